/* SPDX-License-Identifier: MIT */
/* Whether a guest may send a frame. Pure; headers are a private copy of its first bytes. */
#ifndef NETBACKD_NET_FILTER_H
#define NETBACKD_NET_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "00:16:3e:00:00:01" and nothing else, a unicast address: 0 or -EINVAL */
int net_mac_parse(const char *text, uint8_t *ret_mac);

/* The frame comes from this address, and does not say in ARP that it comes from another. */
bool net_source_is(const uint8_t *headers, size_t len, const uint8_t *mac);

#endif
