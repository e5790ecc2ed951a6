/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "xenstored/conn.h"
#include "xenstored/domain.h"
#include "xenstored/ops.h"
#include "xenstored/server.h"
#include "xenstored/state.h"

/*
 * More unread output than that stops requests. A client that sends many and only then reads must get
 * through with what clients do, so this is not small.
 */
#define OUT_FULL (4096u * 1024) /* of the control domain */
#define OUT_FULL_DOMAIN (1024u * 1024)
/* More than that, and events of one watch are lumped together. */
#define EVENTS_FULL (1024u * 1024)
#define EVENTS_FULL_DOMAIN (64u * 1024)
#define PENDING_MIN 32

/* An unsent event. It is one as long as offset >= sent; older entries are free places. */
struct conn_pending {
	uint64_t offset; /* of its header in the stream, plus one; 0: never used */
	uint32_t hash;
	uint32_t len; /* of the payload */
};

void conn_init(struct conn *c, struct server *s, struct domain *d, const struct conn_ops *ops)
{
	*c = (struct conn){
		.server = s, .domain = d, .ops = ops, .reads = true, .number = ++s->last_conn
	};
	list_append(&s->conns, &c->of_server);
	list_init(&c->of_dirty);
	list_init(&c->of_touched);
	list_init(&c->txns);
	watch_owner_init(&c->watches);
}

void conn_remove_watch(struct conn *c, struct watch *w)
{
	struct account *a = c->domain->caller.account;

	a->watches--;
	a->bytes -= (int64_t)watch_size(w->path_len, w->token_len);
	watch_remove(&c->server->watches, w);
}

void conn_drop_watches(struct conn *c)
{
	struct watch *w, *tmp;

	list_for_each_safe(w, tmp, &c->watches.watches, of_owner)
		conn_remove_watch(c, w);
}

void conn_drop_txns(struct conn *c)
{
	struct txn *t, *tmp;

	list_for_each_safe(t, tmp, &c->txns, of_owner)
		store_end(&c->server->store, &c->domain->caller, t, false);
	server_unfavour(c->server, c);
}

static void forget_pending(struct conn *c)
{
	free(c->pending);
	c->pending = NULL;
	c->pending_size = c->nr_pending = 0;
}

void conn_reset(struct conn *c)
{
	conn_drop_watches(c);
	conn_drop_txns(c);
	buf_fini(&c->in);
	buf_fini(&c->out);
	forget_pending(c);
	c->unread = 0;
	c->broken = false;
}

void conn_fini(struct conn *c)
{
	if (!c->dead)
		conn_reset(c);
	list_remove(&c->of_server);
	list_remove(&c->of_dirty);
	list_remove(&c->of_touched);
}

void conn_end(struct conn *c, int error)
{
	if (c->dead)
		return;
	c->dead = true;
	conn_reset(c);
	list_remove(&c->of_dirty);
	list_append(&c->server->ended, &c->of_dirty);
	c->ops->ended(c, error);
}

void conn_mark(struct conn *c)
{
	if (list_empty(&c->of_dirty) && !c->dead)
		list_append(&c->server->dirty, &c->of_dirty);
}

/* --- input --- */

static bool out_full(const struct conn *c)
{
	const uint32_t outstanding = c->domain->caller.account->limit[QUOTA_OUTSTANDING];

	if (c->out.len > (c->domain->caller.who.control ? OUT_FULL : OUT_FULL_DOMAIN))
		return true;
	return outstanding && c->unread >= outstanding;
}

bool conn_wants_input(const struct conn *c)
{
	return !c->dead && !out_full(c) && !server_holds(c->server, c);
}

/* Handles complete requests; returns the bytes that are done with. */
static size_t run(struct conn *c, const char *data, size_t len)
{
	size_t used = 0;

	while (conn_wants_input(c)) {
		struct wire_header h;
		int n = wire_peek(data + used, len - used, &h);

		if (n < 0) {
			conn_end(c, n);
			return len;
		}
		if (n == 0 || (size_t)n > len - used)
			break;
		c->nr_requests++;
		ops_handle(c, &h, data + used + WIRE_HEADER_SIZE);
		used += (size_t)n;
	}
	return used;
}

static void keep(struct conn *c, const void *data, size_t len)
{
	char *p = len ? buf_add(&c->in, len) : NULL;

	if (p)
		memcpy(p, data, len);
	else if (len)
		c->broken = true;
}

void conn_input(struct conn *c, const void *data, size_t len)
{
	if (c->dead)
		return;
	if (c->in.len) {
		keep(c, data, len);
		if (!c->broken) {
			size_t n = run(c, buf_head(&c->in), c->in.len);

			if (!c->dead)
				buf_consume(&c->in, n);
		}
	} else {
		size_t n = run(c, data, len);

		if (!c->dead)
			keep(c, (const char *)data + n, len - n);
	}
	conn_mark(c);
}

/* --- output --- */

static void consume_out(struct conn *c, size_t n)
{
	c->sent += n;
	buf_consume(&c->out, n);
	if (c->out.len <= WIRE_HEADER_SIZE + WIRE_PAYLOAD_MAX)
		c->unread = 0;
	if (c->out.len == 0 && c->pending_size > PENDING_MIN)
		forget_pending(c);
}

/* all that fits: true when everything left */
static bool send_out(struct conn *c)
{
	state_commit(c->server);
	while (c->out.len) {
		ssize_t n = c->ops->write(c, buf_head(&c->out), c->out.len);

		if (n < 0) {
			conn_end(c, (int)n);
			return false;
		}
		if (n == 0)
			return false;
		consume_out(c, (size_t)n);
	}
	return true;
}

/* Requests that had to wait; those whose answers fill the queue again wait on. */
static void resume(struct conn *c)
{
	size_t n;

	if (!c->in.len || !conn_wants_input(c))
		return;
	n = run(c, buf_head(&c->in), c->in.len);
	if (!c->dead)
		buf_consume(&c->in, n);
	if (n && c->kept)
		state_touch(c);
}

void conn_flush(struct conn *c)
{
	bool all, read;

	if (c->broken) {
		log_warning("domain %u: connection ended, no memory for what it must be told",
			    c->domain->domid);
		conn_end(c, -ENOMEM);
		return;
	}
	all = send_out(c);
	if (c->dead)
		return;
	resume(c);
	if (c->dead)
		return;
	if (all && c->out.len)
		conn_mark(c); /* answers to what had waited: after the others */
	read = conn_wants_input(c);
	if (c->waits_room == !all && c->reads == read)
		return;
	c->waits_room = !all;
	c->reads = read;
	c->ops->wait(c, !all, read);
}

static char *add_message(struct conn *c, const struct wire_header *h)
{
	char *p = buf_add(&c->out, WIRE_HEADER_SIZE + h->len);

	if (!p) {
		c->broken = true;
		conn_mark(c);
		return NULL;
	}
	if (c->kept)
		state_touch(c);
	memcpy(p, h, sizeof(*h));
	return p + WIRE_HEADER_SIZE;
}

char *conn_reply_room(struct conn *c, const struct wire_header *h, size_t len)
{
	const struct wire_header out = { h->type, h->req_id, h->tx_id, (uint32_t)len };

	c->unread++;
	return add_message(c, &out);
}

void conn_reply(struct conn *c, const struct wire_header *h, const void *data, size_t len)
{
	char *p = conn_reply_room(c, h, len);

	if (p && len)
		memcpy(p, data, len);
}

void conn_ack(struct conn *c, const struct wire_header *h)
{
	conn_reply(c, h, "OK", 3);
}

void conn_error(struct conn *c, const struct wire_header *h, int error)
{
	const char *name = wire_error_name(error);
	const struct wire_header out = { WIRE_ERROR, h->req_id, h->tx_id, 0 };

	conn_reply(c, &out, name, strlen(name) + 1);
}

/* --- events --- */

static bool is_pending(const struct conn *c, const struct conn_pending *p)
{
	return p->offset > c->sent;
}

static bool same_event(const struct conn *c, const struct conn_pending *p, const char *payload,
		       size_t len)
{
	const char *queued = buf_head(&c->out) + (p->offset - 1 - c->sent) + WIRE_HEADER_SIZE;

	return p->len == len && !memcmp(queued, payload, len);
}

/* The entry of an equal event that waits, or a free place for it. */
static struct conn_pending *find_pending(struct conn *c, const char *payload, size_t len,
					 uint32_t hash)
{
	struct conn_pending *free_place = NULL;

	for (size_t i = hash;; i++) {
		struct conn_pending *p = &c->pending[i & (c->pending_size - 1)];

		if (!is_pending(c, p)) {
			if (!free_place)
				free_place = p;
			if (!p->offset)
				return free_place;
		} else if (p->hash == hash && same_event(c, p, payload, len)) {
			return p;
		}
	}
}

static size_t count_pending(const struct conn *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->pending_size; i++)
		n += is_pending(c, &c->pending[i]);
	return n;
}

/* A table at most half full, without the events that left. */
static int make_pending_room(struct conn *c)
{
	size_t live = count_pending(c), size = PENDING_MIN;
	struct conn_pending *old = c->pending;
	const size_t old_size = c->pending_size;

	while (size < live * 4)
		size *= 2;
	c->pending = calloc(size, sizeof(*c->pending));
	if (!c->pending) {
		c->pending = old;
		return -ENOMEM;
	}
	c->pending_size = size;
	c->nr_pending = live;
	for (size_t i = 0; i < old_size; i++) {
		size_t at = old[i].hash;

		if (!is_pending(c, &old[i]))
			continue;
		while (c->pending[at & (size - 1)].offset)
			at++;
		c->pending[at & (size - 1)] = old[i];
	}
	free(old);
	return 0;
}

static void queue_event(struct conn *c, const char *payload, size_t len, bool first)
{
	const struct wire_header h = { WIRE_WATCH_EVENT, 0, 0, (uint32_t)len };
	const uint32_t hash = table_hash(c->server->watches.seed, payload, len);
	const uint64_t offset = c->sent + c->out.len + 1;
	struct conn_pending *place;
	char *p;

	if (c->nr_pending * 2 >= c->pending_size && make_pending_room(c) < 0) {
		c->broken = true;
		conn_mark(c);
		return;
	}
	place = find_pending(c, payload, len, hash);
	if (is_pending(c, place) && !first)
		return;
	p = add_message(c, &h);
	if (!p)
		return;
	memcpy(p, payload, len);
	c->nr_events++;
	if (!place->offset)
		c->nr_pending++;
	*place = (struct conn_pending){ offset, hash, (uint32_t)len };
	conn_mark(c);
}

void conn_event(struct conn *c, const struct watch *w, const char *path, size_t len, bool first)
{
	char payload[WIRE_PAYLOAD_MAX];

	if (c->dead)
		return;
	if (c->out.len > (c->domain->caller.who.control ? EVENTS_FULL : EVENTS_FULL_DOMAIN) &&
	    !first) {
		path = watch_path(w);
		len = w->path_len;
	}
	path += w->strip;
	len -= w->strip;
	if (len + w->token_len + 2 > sizeof(payload))
		return; /* the peer could not take it; the watch stays */
	memcpy(payload, path, len);
	payload[len++] = 0;
	memcpy(payload + len, watch_token(w), w->token_len);
	len += w->token_len;
	payload[len++] = 0;
	queue_event(c, payload, len, first);
}

/* --- transactions --- */

struct txn *conn_txn(struct conn *c, uint32_t id)
{
	struct txn *t;

	list_for_each(t, &c->txns, of_owner)
		if (t->id == id)
			return t;
	return NULL;
}

uint32_t conn_new_txn_id(struct conn *c)
{
	do {
		c->last_txn++;
	} while (!c->last_txn || conn_txn(c, c->last_txn));
	return c->last_txn;
}
