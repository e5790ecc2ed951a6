/* SPDX-License-Identifier: MIT */
/*
 * What a store has as a migration stream (stream_wire.h), and back. Socket connections are nothing to
 * another process, so they are left out; open transactions of guests end with EAGAIN in the other store.
 */
#ifndef XENSTORED_MIGRATE_H
#define XENSTORED_MIGRATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xenstored/buf.h"

struct server;

/*
 * All of it, for the caller to free. It has been read into a store beside this one, and was found to be
 * the same. -errno
 */
int migrate_export(struct server *s, uint32_t version, struct buf *ret_stream);

/* nothing but what a new store has: then it may take in another one's */
bool migrate_is_new(struct server *s);

/*
 * Tries the stream on a store beside this one. Text for people in buf: what is wrong with it, or "".
 */
int migrate_check(struct server *s, const void *data, size_t len, char *buf, size_t size);
/* Takes it in, in place of the nodes there are; rings are not mapped yet. -EPROTO only if migrate_check() would say so */
int migrate_load(struct server *s, const void *data, size_t len);

#endif
