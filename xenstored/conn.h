/* SPDX-License-Identifier: MIT */
/*
 * One connection to the store: bytes in, bytes out, the watches and transactions that belong to it. What
 * carries the bytes (a socket, a guest's ring) is behind struct conn_ops.
 *
 * Input may come in any pieces; complete requests are answered in their order, the answers of one
 * conn_input() leave together. While too much output waits to be read, requests wait, too.
 *
 * A watch event never waits and never makes its causer wait: one that equals an event still unsent is
 * left out, and when too much waits, events of one watch become one that names the watched path itself
 * ("something at or below here changed").
 *
 * A connection ends in two steps: conn_end() takes away all it has and may be called at any time but
 * from inside a watch match; the struct lives until its carrier frees it in server_settle().
 */
#ifndef XENSTORED_CONN_H
#define XENSTORED_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/list.h"
#include "xenstored/buf.h"
#include "xenstored/watch.h"
#include "xenstored/wire.h"

struct conn;
struct domain;
struct server;
struct txn;

struct conn_ops {
	/* Takes output: bytes taken, 0 when there is no room now, -errno when the connection is lost. */
	ssize_t (*write)(struct conn *c, const void *data, size_t len);
	/* Output was held up, or requests were: tell when there is room; go on reading, or do not. */
	void (*wait)(struct conn *c, bool for_room, bool read);
	/* conn_end() was called; error: 0, -EPROTO (impossible message), or what write gave */
	void (*ended)(struct conn *c, int error);
	void (*free)(struct conn *c);
	/* kept ones only: where in the carrier the next byte of output goes */
	uint32_t (*position)(const struct conn *c);
};

struct conn_pending; /* an unsent event */

struct conn {
	struct list of_server; /* all connections */
	struct list
		of_dirty; /* of those with something to do in server_settle(), or of ended ones */
	struct server *server;
	struct domain *domain;
	const struct conn_ops *ops;
	struct watch_owner watches;
	struct list txns;
	uint32_t last_txn;
	uint32_t lost_txns; /* one after another, by conflicts */
	struct buf in;	    /* less than one request, or what had to wait */
	struct buf out;
	uint64_t sent;	 /* bytes that left ever: out starts at this offset of the stream */
	uint32_t unread; /* answers in out, about */
	uint64_t nr_requests, nr_events;
	uint64_t number;	      /* never used for another connection of this store */
	struct conn_pending *pending; /* hash table by content */
	size_t pending_size, nr_pending;
	struct list of_touched; /* of those that the journal is behind of */
	uint64_t logged;	/* up to there in the stream of output the journal knows it */
	uint32_t consumed;	/* position in the peer's stream of input, of kept ones */
	bool kept;		/* outlives the process: see state.h */
	bool dead;
	bool broken; /* could not keep what it must be told: ends at the next settling */
	bool waits_room, reads;
};

void conn_init(struct conn *c, struct server *s, struct domain *d, const struct conn_ops *ops);
void conn_fini(struct conn *c);
/* ends it and lets ops->ended() know */
void conn_end(struct conn *c, int error);
/* as if it had just been made: no watches, transactions, half requests, unsent answers */
void conn_reset(struct conn *c);
void conn_remove_watch(struct conn *c, struct watch *w);
void conn_drop_watches(struct conn *c);
void conn_drop_txns(struct conn *c);

/* bytes from the peer; answers wait in out until server_settle() */
void conn_input(struct conn *c, const void *data, size_t len);
bool conn_wants_input(const struct conn *c);
/* sends what can be sent, then goes on with requests that had to wait */
void conn_flush(struct conn *c);

/* answers */
void conn_reply(struct conn *c, const struct wire_header *h, const void *data, size_t len);
void conn_ack(struct conn *c, const struct wire_header *h);
void conn_error(struct conn *c, const struct wire_header *h, int error);
/* room for an answer of that size, to be filled; NULL: the connection is broken */
char *conn_reply_room(struct conn *c, const struct wire_header *h, size_t len);

/* path: absolute; first: the one event that follows the answer to WATCH, never left out */
void conn_event(struct conn *c, const struct watch *w, const char *path, size_t len, bool first);

struct txn *conn_txn(struct conn *c, uint32_t id); /* or NULL */
uint32_t conn_new_txn_id(struct conn *c);

/* something to do in server_settle() */
void conn_mark(struct conn *c);

#endif
