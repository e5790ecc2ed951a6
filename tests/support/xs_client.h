/* SPDX-License-Identifier: MIT */
/*
 * A connection to a store in the same process: bytes go in by a call, what would be sent is kept.
 * For tests of xenstored without sockets or rings.
 */
#ifndef TESTS_SUPPORT_XS_CLIENT_H
#define TESTS_SUPPORT_XS_CLIENT_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/list.h"
#include "xenstored/conn.h"
#include "xenstored/domain.h"
#include "xenstored/server.h"

struct xs_client {
	struct conn conn;
	size_t room; /* bytes it takes before it is full */
	char *got;
	size_t nr_got, size;
	bool ended, freed, reads;
	int error;
};

static inline struct xs_client *xs_client_of(struct conn *c)
{
	return list_entry(c, struct xs_client, conn);
}

static inline ssize_t xs_client_write(struct conn *c, const void *data, size_t len)
{
	struct xs_client *x = xs_client_of(c);

	if (len > x->room)
		len = x->room;
	if (x->nr_got + len > x->size) {
		x->size = (x->nr_got + len) * 2;
		x->got = realloc(x->got, x->size);
		if (!x->got)
			abort();
	}
	if (len)
		memcpy(x->got + x->nr_got, data, len);
	x->nr_got += len;
	x->room -= len;
	return (ssize_t)len;
}

static inline void xs_client_wait(struct conn *c, bool for_room, bool read)
{
	xs_client_of(c)->reads = read;
}

static inline void xs_client_ended(struct conn *c, int error)
{
	xs_client_of(c)->ended = true;
	xs_client_of(c)->error = error;
}

static inline void xs_client_free(struct conn *c)
{
	xs_client_of(c)->freed = true;
	conn_fini(c);
}

/* of the domain that the server has; takes all output at once */
static inline void xs_client_open(struct xs_client *x, struct server *s, uint16_t domid)
{
	static const struct conn_ops ops = {
		.write = xs_client_write,
		.wait = xs_client_wait,
		.ended = xs_client_ended,
		.free = xs_client_free,
	};

	*x = (struct xs_client){ .room = SIZE_MAX / 2, .reads = true };
	conn_init(&x->conn, s, domain_find(s, domid), &ops);
}

static inline void xs_client_close(struct xs_client *x)
{
	if (!x->freed) {
		struct server *s = x->conn.server;

		conn_end(&x->conn, 0);
		server_settle(s);
	}
	free(x->got);
	x->got = NULL;
}

static inline void xs_client_send(struct xs_client *x, const void *data, size_t len)
{
	struct server *s = x->conn.server;

	conn_input(&x->conn, data, len);
	server_settle(s);
}

#endif
