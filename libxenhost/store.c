/* SPDX-License-Identifier: MIT */
/*
 * Calls to xenstored and their answers over the connection that store_conn.c keeps.
 *
 * Owned by the handle, used by the handle's one thread. A call is appended
 * to `calls`, its bytes to `out`; an answer finds its call by req_id. A call that nobody waits for
 * any more (deadline passed, or posted) is `forgotten` and released by its answer. Watch events
 * that come while somebody waits are queued by watch.c; callbacks run in xh_store_process() only.
 *
 * xenstored is trusted not to be hostile, but not to be right: a message that cannot be ends the
 * connection, with -EPROTO for those who wait. store_conn.c then makes a new one.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/xen.h"
#include "libxenhost/store.h"
#include "libxenhost/stream.h"

#define CALLS_MAX 1024 /* unanswered ones; more only when xenstored hangs and deadlines pass */
#define REPLY_SIZE \
	32 /* had before the request is sent: what changes something has no longer answer */
#define READS_MAX 16 /* of one process, so that it ends */

struct call {
	struct list link;
	uint32_t id;
	uint32_t type;
	bool done;
	bool forgotten; /* nobody waits */
	int error;	/* 0 or -errno */
	char *reply;
	size_t len;
};

static void call_free(struct call *call)
{
	free(call->reply);
	free(call);
}

void xh_store_end_calls(struct xh_store *store, int error)
{
	struct call *call, *tmp;

	list_for_each_safe(call, tmp, &store->calls, link) {
		list_remove(&call->link);
		call->done = true;
		call->error = error;
		if (call->forgotten)
			call_free(call);
	}
	store->nr_calls = 0;
}

/* --- bytes --- */

/* 0: sent as much as goes now */
static int store_flush(struct xh_store *store)
{
	size_t done = 0;

	while (done < store->out_len) {
		ssize_t n = xh_stream_send(store->fd, store->out + done, store->out_len - done);

		if (n == -EINTR)
			continue;
		if (n == -EAGAIN)
			break;
		if (n < 0)
			return xh_store_lost(store, (int)n);
		done += (size_t)n;
	}
	store->out_len -= done;
	memmove(store->out, store->out + done, store->out_len);
	return 0;
}

static int out_reserve(struct xh_store *store, size_t more)
{
	size_t room =
		store->out_room ? store->out_room : 2 * (XH_WIRE_HEADER + XH_WIRE_PAYLOAD_MAX);
	uint8_t *out;

	while (room < store->out_len + more)
		room *= 2;
	if (room == store->out_room)
		return 0;
	out = realloc(store->out, room);
	if (!out)
		return -ENOMEM;
	store->out = out;
	store->out_room = room;
	return 0;
}

/* --- messages in --- */

/* A transaction whose opener gave up waiting would stay open, and count against our quota. */
static void end_forgotten_txn(struct xh_store *store, const char *payload, size_t len)
{
	const struct iovec drop = xh_store_string("F");
	uint64_t txn;

	if (len && xh_wire_number(payload, len - 1, UINT32_MAX, &txn) == 0)
		(void)xh_store_post(store, XS_TRANSACTION_END, (uint32_t)txn, &drop, 1, NULL);
}

static void call_answer(struct call *call, bool error, const char *payload, size_t len)
{
	call->done = true;
	if (error) {
		call->error = -xh_wire_errno(payload, len);
		return;
	}
	if (len >= REPLY_SIZE) {
		char *reply = realloc(call->reply, len + 1);

		if (!reply) {
			call->error = -ENOMEM;
			return;
		}
		call->reply = reply;
	}
	memcpy(call->reply, payload, len);
	call->reply[len] = '\0';
	call->len = len;
}

static int on_answer(struct xh_store *store, const struct xh_wire_header *header,
		     const char *payload)
{
	bool error = header->type == XS_ERROR;
	struct call *call = NULL, *c;

	xh_trace(store->host, XENHOST_LOG_STORE, "<- answer %u type %u %.*s, %u bytes",
		 header->req_id, header->type, error ? (int)header->len : 0, payload, header->len);
	/* the first one, as good as always */
	list_for_each(c, &store->calls, link) {
		if (c->id != header->req_id)
			continue;
		call = c;
		break;
	}
	if (!call || (!error && call->type != header->type))
		return -EPROTO;
	list_remove(&call->link);
	store->nr_calls--;
	if (call->forgotten) {
		if (call->type == XS_TRANSACTION_START && !error)
			end_forgotten_txn(store, payload, header->len);
		else if (call->type == XS_WATCH && error)
			xh_watch_refused(store, call->id);
		call_free(call);
	} else {
		call_answer(call, error, payload, header->len);
	}
	return 0;
}

/* Takes every whole message from `in`. 0 or -EPROTO */
static int store_parse(struct xh_store *store)
{
	size_t done = 0;

	while (store->in_len - done >= XH_WIRE_HEADER) {
		const char *payload = (const char *)store->in + done + XH_WIRE_HEADER;
		struct xh_wire_header header;
		int r = xh_wire_parse(store->in + done, &header);

		if (r < 0)
			return r;
		if (store->in_len - done - XH_WIRE_HEADER < header.len)
			break;
		if (header.type == XS_WATCH_EVENT)
			r = xh_watch_event(store, payload, header.len);
		else
			r = on_answer(store, &header, payload);
		if (r < 0)
			return r;
		if (store->fd < 0) /* lost while answering: `in` is gone */
			return -ECONNRESET;
		done += XH_WIRE_HEADER + header.len;
	}
	store->in_len -= done;
	memmove(store->in, store->in + done, store->in_len);
	return 0;
}

/* 1: something came, 0: nothing now, < 0: lost */
static int store_receive(struct xh_store *store)
{
	ssize_t n;
	int r;

	n = xh_stream_receive(store->fd, store->in + store->in_len,
			      sizeof(store->in) - store->in_len);
	if (n == -EAGAIN || n == -EINTR)
		return 0;
	if (n <= 0)
		return xh_store_lost(store, n == 0 ? -ECONNRESET : (int)n);
	store->in_len += (size_t)n;
	r = store_parse(store);
	return r < 0 ? xh_store_lost(store, r) : 1;
}

/* --- calls --- */

/* 0, -ETIMEDOUT, or as poll(2). timeout in ms, -1: none */
static int store_wait(struct xh_store *store, const struct call *call, int timeout)
{
	int64_t deadline = xh_store_now_ms() + timeout;

	while (!call->done) {
		struct pollfd p = { .fd = store->fd, .events = POLLIN };
		int64_t left = timeout < 0 ? -1 : deadline - xh_store_now_ms();
		int r;

		if (store_flush(store) < 0)
			break;
		if (store->out_len)
			p.events |= POLLOUT;
		if (timeout >= 0 && left < 0)
			left = 0;
		r = poll(&p, 1, (int)left);
		if (r < 0 && errno != EINTR)
			return -errno;
		if (r == 0)
			return -ETIMEDOUT;
		/* lost: the call is done with the reason */
		if (r > 0 && (p.revents & ~POLLOUT))
			store_receive(store);
	}
	return 0;
}

static size_t parts_len(const struct iovec *parts, size_t nr_parts)
{
	size_t len = 0;

	for (size_t i = 0; i < nr_parts && len <= XH_WIRE_PAYLOAD_MAX; i++)
		len = parts[i].iov_len > XH_WIRE_PAYLOAD_MAX ? SIZE_MAX : len + parts[i].iov_len;
	return len;
}

/* the first part is a path or a name in all of them; values are not shown */
static void trace_call(struct xh_store *store, const struct xh_wire_header *header,
		       const struct iovec *parts, size_t nr_parts)
{
	bool string = nr_parts && parts[0].iov_len;

	xh_trace(store->host, XENHOST_LOG_STORE,
		 "-> request %u type %u transaction %u %.*s, %u bytes", header->req_id,
		 header->type, header->tx_id, string ? (int)parts[0].iov_len - 1 : 0,
		 string ? (const char *)parts[0].iov_base : "", header->len);
}

static int call_queue(struct xh_store *store, uint32_t type, uint32_t txn,
		      const struct iovec *parts, size_t nr_parts, struct call **ret_call)
{
	struct xh_wire_header header = { .type = type, .tx_id = txn };
	size_t len = parts_len(parts, nr_parts);
	struct call *call;
	int r;

	if (len > XH_WIRE_PAYLOAD_MAX)
		return -E2BIG;
	if (store->fd < 0)
		return -ENOTCONN;
	if (store->nr_calls >= CALLS_MAX)
		return xh_store_lost(store, -ETIMEDOUT);
	r = out_reserve(store, XH_WIRE_HEADER + len);
	if (r < 0)
		return r;
	call = calloc(1, sizeof(*call));
	if (!call)
		return -ENOMEM;
	header.len = (uint32_t)len;
	header.req_id = call->id = ++store->last_id;
	call->type = type;
	xh_wire_build(&header, store->out + store->out_len);
	store->out_len += XH_WIRE_HEADER;
	for (size_t i = 0; i < nr_parts; i++) {
		if (parts[i].iov_len)
			memcpy(store->out + store->out_len, parts[i].iov_base, parts[i].iov_len);
		store->out_len += parts[i].iov_len;
	}
	list_append(&store->calls, &call->link);
	store->nr_calls++;
	trace_call(store, &header, parts, nr_parts);
	*ret_call = call;
	return 0;
}

int xh_store_post(struct xh_store *store, uint32_t type, uint32_t txn, const struct iovec *parts,
		  size_t nr_parts, uint32_t *ret_id)
{
	struct call *call;
	int r = call_queue(store, type, txn, parts, nr_parts, &call);

	if (r < 0)
		return r;
	call->forgotten = true;
	if (ret_id)
		*ret_id = call->id;
	r = store_flush(store);
	xh_store_update_wake(store);
	return r;
}

static int store_call(struct xh_store *store, uint32_t type, uint32_t txn,
		      const struct iovec *parts, size_t nr_parts, char **ret_reply, size_t *ret_len)
{
	_cleanup_free_ char *room = malloc(REPLY_SIZE);
	struct call *call;
	int r;

	if (!room)
		return -ENOMEM;
	r = call_queue(store, type, txn, parts, nr_parts, &call);
	if (r < 0)
		return r;
	call->reply = steal_ptr(&room);
	r = store_wait(store, call, store->host->store_timeout);
	if (r < 0) {
		call->forgotten = true;
		return r;
	}
	r = call->error;
	if (r == 0) {
		*ret_reply = steal_ptr(&call->reply);
		*ret_len = call->len;
	}
	call_free(call);
	return r;
}

int xh_store_call(xenhost_t *host, uint32_t type, uint32_t txn, const struct iovec *parts,
		  size_t nr_parts, char **ret_reply, size_t *ret_len)
{
	struct xh_store *store;
	uint32_t wire;
	int r;

	r = xh_store_get(host, &store);
	if (r == 0)
		r = xh_txn_wire(store, txn, &wire);
	if (r < 0)
		return r;
	r = store_call(store, type, wire, parts, nr_parts, ret_reply, ret_len);
	xh_store_update_wake(store);
	return r;
}

int xh_store_call_ack(xenhost_t *host, uint32_t type, uint32_t txn, const struct iovec *parts,
		      size_t nr_parts)
{
	_cleanup_free_ char *reply = NULL;
	size_t len;
	int r = xh_store_call(host, type, txn, parts, nr_parts, &reply, &len);

	if (r < 0)
		return r;
	return xh_wire_ack(reply, len) < 0 ? xh_store_malformed(host) : 0;
}

int xh_store_malformed(xenhost_t *host)
{
	xh_store_lost(host->store, -EPROTO);
	xh_store_update_wake(host->store);
	return -EPROTO;
}

struct iovec xh_store_string(const char *s)
{
	return (struct iovec){ (char *)(uintptr_t)s, strlen(s) + 1 };
}

/* --- process --- */

void xh_work_queue(struct xh_store *store, struct xh_work *work)
{
	if (list_empty(&work->link))
		list_append(&store->works, &work->link);
	xh_store_update_wake(store);
}

void xh_work_cancel(struct xh_work *work)
{
	list_remove(&work->link);
}

static void move_all(struct list *from, struct list *to)
{
	while (!list_empty(from)) {
		struct list *link = from->next;

		list_remove(link);
		list_append(to, link);
	}
}

/*
 * Those queued now; what they queue waits for the next process, so that this one ends. All wait while
 * the connection is lost.
 */
static int run_works(struct xh_store *store)
{
	struct list now;
	int n = 0;

	list_init(&now);
	move_all(&store->works, &now);
	for (; !list_empty(&now) && store->fd >= 0; n++) {
		struct xh_work *work = list_entry(now.next, struct xh_work, link);

		list_remove(&work->link);
		work->fn(work);
	}
	move_all(&now, &store->works);
	return n;
}

static int process(struct xh_store *store)
{
	xh_store_retry(store);
	if (store->fd >= 0)
		store_flush(store);
	for (int i = 0; i < READS_MAX && store->fd >= 0; i++)
		if (store_receive(store) <= 0)
			break;
	xh_watch_resume(store);
	return xh_watch_dispatch(store) + run_works(store);
}

int xh_store_process(xenhost_t *host)
{
	struct xh_store *store = host->store;
	int n;

	/* a callback that processes: its events wait until it has returned */
	if (!store || store->processing)
		return 0;
	store->processing = true;
	n = process(store);
	store->processing = false;
	xh_store_update_wake(store);
	return n;
}
