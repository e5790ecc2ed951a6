/* SPDX-License-Identifier: MIT */
/*
 * Inside of the Xenstore client. store_conn.c has the connection's life, stream.c its bytes, store.c
 * calls and answers, txn.c transactions, store_ops.c the other public operations, watch.c watches and
 * their events; backend.c and device.c use xh_work.
 */
#ifndef LIBXENHOST_STORE_H
#define LIBXENHOST_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "libxenhost/internal.h"
#include "libxenhost/store_wire.h"

#define XH_STORE_IN_SIZE (4 * (XH_WIRE_HEADER + XH_WIRE_PAYLOAD_MAX))

struct xh_store {
	xenhost_t *host;
	int fd;		      /* -1: lost */
	uint64_t connection;  /* its number: 1, 2 ... */
	int64_t connected_at; /* ms */
	int retry_fd;	      /* timer: time to connect again */
	int retry_ms;	      /* the last delay */
	int wake_fd;	      /* readable: something to do although the socket is quiet */
	bool awake;
	bool processing; /* inside xh_store_process() */

	uint32_t last_id;
	struct list calls; /* sent or queued, not answered, in order */
	size_t nr_calls;

	uint8_t *out; /* not sent yet */
	size_t out_len, out_room;
	uint8_t in[XH_STORE_IN_SIZE]; /* never holds a whole message between calls */
	size_t in_len;

	/* txn.c */
	struct list txns;
	uint32_t last_txn;

	/* watch.c */
	xenhost_watch_t **watches; /* by slot; NULL: free */
	uint32_t nr_slots;
	uint64_t resumed;     /* the last connection on which all watches are set */
	uint32_t resume_slot; /* watches below it are set on this connection */
	uint32_t nr_dead;     /* unwatched, but xenstored does not know */
	uint64_t last_serial;
	struct list events; /* waiting for xh_store_process(), in order */
	size_t nr_events;
	xenhost_watch_t *running; /* whose callback runs */

	struct list works;
};

/* Something to do later, from xh_store_process(); at most queued once. list_init() `link` first. */
struct xh_work {
	struct list link;
	void (*fn)(struct xh_work *work);
};

/* store_conn.c: the store, with a first connection made now if there was none yet */
int xh_store_get(xenhost_t *host, struct xh_store **ret_store);
/* Ends the connection; a new one comes from xh_store_process(). Returns what the calls get: error, or
 * -ECONNRESET for -EPIPE */
int xh_store_lost(struct xh_store *store, int error);
/* connects again if the connection is lost and it is time */
void xh_store_retry(struct xh_store *store);
/* at the end of everything that may have queued or taken events or works */
void xh_store_update_wake(struct xh_store *store);
int64_t xh_store_now_ms(void);

/* store.c: those who wait for answers get an error */
void xh_store_end_calls(struct xh_store *store, int error);

/*
 * Sends and waits for the answer: payload with a NUL behind it (not counted), the caller frees it.
 * An ERROR answer is its -errno. -E2BIG when the parts are too long together.
 */
int xh_store_call(xenhost_t *host, uint32_t type, uint32_t txn, const struct iovec *parts,
		  size_t nr_parts, char **ret_reply, size_t *ret_len);
/* the same when the answer must be OK */
int xh_store_call_ack(xenhost_t *host, uint32_t type, uint32_t txn, const struct iovec *parts,
		      size_t nr_parts);
/* an answer made no sense: ends the connection. -EPROTO */
int xh_store_malformed(xenhost_t *host);
/* Sends without waiting; the answer is thrown away. wire_txn: xenstored's number. Never blocks */
int xh_store_post(struct xh_store *store, uint32_t type, uint32_t wire_txn,
		  const struct iovec *parts, size_t nr_parts, uint32_t *ret_id);
/* a string with its NUL as a part */
struct iovec xh_store_string(const char *s);

void xh_work_queue(struct xh_store *store, struct xh_work *work);
void xh_work_cancel(struct xh_work *work);

/* txn.c: xenstored's number of a transaction. -ENOENT no such, -EAGAIN lost with its connection */
int xh_txn_wire(const struct xh_store *store, xenhost_txn_t number, uint32_t *ret_wire);
void xh_txn_free_all(struct xh_store *store);

/* watch.c: an event came in. -EPROTO */
int xh_watch_event(struct xh_store *store, const char *payload, size_t len);
/* runs callbacks of what waits now, not of what they add. Returns their number */
int xh_watch_dispatch(struct xh_store *store);
/* forgets events that wait: each watch will have one, that its path may have changed, when set again */
void xh_watch_lost(struct xh_store *store);
/* tells xenstored what it has yet to be told of watches, as much as goes at once; at each process */
void xh_watch_resume(struct xh_store *store);
/* that request, of xh_watch_resume(), was refused */
void xh_watch_refused(struct xh_store *store, uint32_t id);
void xh_watch_free_all(struct xh_store *store);

#endif
