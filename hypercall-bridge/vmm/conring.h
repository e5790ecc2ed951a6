/* SPDX-License-Identifier: MIT */
/*
 * The two byte rings of a PV console page. The guest may write any of it at any time: indices are read
 * once, a fill level that cannot be is -EPROTO, and only bytes are taken. Pure.
 */
#ifndef HYPERCALL_BRIDGE_VMM_CONRING_H
#define HYPERCALL_BRIDGE_VMM_CONRING_H

#include <stddef.h>
#include <stdint.h>

/* Copies what the guest wrote without taking it: bytes (0 = none), or -EPROTO. */
int conring_peek(const void *page, char *buf, size_t size);
/* gives `len` bytes that were looked at back to the guest as room */
void conring_consume(void *page, size_t len);

/* Puts input for the guest: bytes that fitted, or -EPROTO. */
int conring_put(void *page, const char *buf, size_t len);

#endif
