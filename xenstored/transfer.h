/* SPDX-License-Identifier: MIT */
/*
 * CONTROL stream: a migration stream in pieces that fit into messages. One at a time; it belongs to the
 * connection that began it and ends with it.
 *   stream out [VERSION]  makes one of the store; answers its length
 *   stream get OFFSET     a piece of it
 *   stream put BYTES      one more piece of one that comes in
 *   stream in             takes what came into the store, which must be new
 */
#ifndef XENSTORED_TRANSFER_H
#define XENSTORED_TRANSFER_H

#include <stddef.h>
#include <stdint.h>

struct conn;
struct server;

/* 0, or a positive errno; text for people in buf if the answer is one: else "" */
int transfer_out(struct server *s, struct conn *c, uint32_t version, char *buf, size_t size);
/* the bytes stay until the next call; none: behind the end */
int transfer_get(struct server *s, struct conn *c, uint64_t offset, const char **ret_data,
		 size_t *ret_len);
int transfer_put(struct server *s, struct conn *c, const char *data, size_t len);
int transfer_in(struct server *s, struct conn *c, char *buf, size_t size);

void transfer_settle(struct server *s); /* forgets one whose connection is gone */
void transfer_stop(struct server *s);

#endif
