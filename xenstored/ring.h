/* SPDX-License-Identifier: MIT */
/*
 * The page that a guest shares with the store (public/io/xs_wire.h): two rings of 1024 bytes. Only this
 * file touches the page. The guest may change any byte of it at any time: each index is read once, what
 * lies behind it is copied out. Pure: no I/O, allocation or globals.
 */
#ifndef XENSTORED_RING_H
#define XENSTORED_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RING_BYTES 1024u

#define RING_ERROR_NONE 0u
#define RING_ERROR_COMM 1u
#define RING_ERROR_INDEX 2u
#define RING_ERROR_PROTOCOL 3u

/* Bytes copied and consumed or published, -EPROTO when the indices are impossible. */
int ring_read(void *page, void *buf, size_t len);
int ring_write(void *page, const void *buf, size_t len);

/* As ring_read(), but the bytes stay until ring_set_consumed() with the position behind them. */
int ring_peek(const void *page, void *buf, size_t len, uint32_t *ret_behind);
void ring_set_consumed(void *page, uint32_t position);
uint32_t ring_consumed(const void *page);
/* where the next byte of output goes */
uint32_t ring_position(const void *page);

/* 0, or -EPROTO when the indices of either ring are impossible */
int ring_check(const void *page);

/* both rings empty, no error, connected */
void ring_reset(void *page);
/* both rings empty for a guest that asked to connect again; the indices stay its own */
void ring_drain(void *page);
bool ring_wants_reconnect(const void *page);
void ring_set_connected(void *page);
void ring_set_features(void *page, uint32_t features);
void ring_set_error(void *page, uint32_t error);

#endif
