/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <xenhost/keep.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "xenstored/conn.h"
#include "xenstored/domain.h"
#include "xenstored/journal.h"
#include "xenstored/server.h"
#include "xenstored/sock.h"
#include "xenstored/state.h"
#include "xenstored/txn.h"

/* A journal is written anew when it has become that much longer than its first image. */
#define GROWTH(image) ((image) / 2 + (1u << 20))

struct state {
	struct server *server;
	struct xenhost *host;
	struct journal journal;
	size_t image; /* bytes of what there was at its beginning */
	struct list touched;
	bool whole; /* for another program in our place: with what ends with a process */
};

static void append(const struct server *s, const struct journal_record *r)
{
	journal_append(&s->state->journal, r);
}

void state_append(struct server *s, const struct journal_record *r)
{
	append(s, r);
}

/* --- nodes, domains, limits --- */

void state_node(struct server *s, const char *path, size_t len, const struct node *n)
{
	struct journal_record r = { .type = n ? JOURNAL_NODE : JOURNAL_GONE,
				    .part = { { path, len } } };

	if (!s->state)
		return;
	if (n) {
		r.part[1] = (struct journal_part){ n->perms->list,
						   n->perms->nr * sizeof(n->perms->list[0]) };
		r.part[2] = (struct journal_part){ node_value(n), n->value_len };
	}
	append(s, &r);
}

void state_special(struct server *s, unsigned int which, const struct perms *p)
{
	const struct journal_record r = {
		.type = JOURNAL_SPECIAL,
		.n = { which },
		.part = { [1] = { p->list, p->nr * sizeof(p->list[0]) } },
	};

	if (s->state)
		append(s, &r);
}

void state_domain(struct server *s, const struct domain *d)
{
	const struct journal_record r = {
		.type = JOURNAL_DOMAIN,
		.domid = d->domid,
		.flags = (uint8_t)((d->exists ? JOURNAL_EXISTS : 0) |
				   (d->introduced ? JOURNAL_INTRODUCED : 0) |
				   (d->shut ? JOURNAL_SHUT : 0)),
		.n = { d->port, d->features, d->caller.who.target },
		.id = d->unique_id,
	};

	if (s->state && !d->fixed)
		append(s, &r);
}

void state_domain_gone(struct server *s, uint16_t domid)
{
	const struct journal_record r = { .type = JOURNAL_DOMAIN_GONE, .domid = domid };

	if (s->state)
		append(s, &r);
}

void state_quota(struct server *s, uint16_t domid, unsigned int item, uint32_t value)
{
	const struct journal_record r = { .type = JOURNAL_QUOTA,
					  .domid = domid,
					  .n = { item, value } };

	if (s->state)
		append(s, &r);
}

/* --- connections --- */

static bool is_kept(const struct conn *c)
{
	return c->server->state && (c->kept || c->server->state->whole);
}

uint64_t state_conn_id(const struct conn *c)
{
	return c->kept ? 0 : c->number;
}

static void append_watch(struct conn *c, const struct watch *w, enum journal_type type)
{
	const struct journal_record r = {
		.type = (uint8_t)type,
		.domid = c->domain->domid,
		.n = { (uint32_t)w->depth, w->strip },
		.id = state_conn_id(c),
		.part = { { watch_path(w), w->path_len }, { watch_token(w), w->token_len } },
	};

	if (is_kept(c))
		append(c->server, &r);
}

void state_watch(struct conn *c, const struct watch *w)
{
	append_watch(c, w, JOURNAL_WATCH);
}

void state_unwatch(struct conn *c, const struct watch *w)
{
	append_watch(c, w, JOURNAL_UNWATCH);
}

static void append_plain(struct conn *c, enum journal_type type, uint32_t n)
{
	const struct journal_record r = {
		.type = (uint8_t)type, .domid = c->domain->domid, .n = { n }, .id = state_conn_id(c)
	};

	if (is_kept(c))
		append(c->server, &r);
}

void state_drop(struct conn *c)
{
	append_plain(c, JOURNAL_DROP, 0);
}

void state_txn(struct conn *c, uint32_t id, int open)
{
	append_plain(c, open ? JOURNAL_TXN_START : JOURNAL_TXN_END, id);
}

static struct journal_part bytes_of(const struct buf *b, size_t from)
{
	return (struct journal_part){ b->len > from ? buf_head(b) + from : NULL,
				      b->len > from ? b->len - from : 0 };
}

static void untouch(struct conn *c)
{
	list_remove(&c->of_touched);
	c->logged = c->sent + c->out.len;
}

void state_ring(struct conn *c, uint32_t rsp_prod, enum journal_reset reset)
{
	const struct journal_record r = {
		.type = JOURNAL_RING,
		.domid = c->domain->domid,
		.n = { c->consumed, rsp_prod, reset },
		.part = { bytes_of(&c->in, 0), bytes_of(&c->out, 0) },
	};

	if (!is_kept(c))
		return;
	append(c->server, &r);
	untouch(c);
}

void state_ring_end(struct conn *c)
{
	append_plain(c, JOURNAL_RING_END, 0);
	list_remove(&c->of_touched);
}

void state_touch(struct conn *c)
{
	if (is_kept(c) && !c->dead && list_empty(&c->of_touched))
		list_append(&c->server->state->touched, &c->of_touched);
}

static void append_io(struct conn *c)
{
	const struct journal_record r = {
		.type = JOURNAL_RING_IO,
		.domid = c->domain->domid,
		.n = { c->consumed },
		.part = { bytes_of(&c->in, 0), bytes_of(&c->out, (size_t)(c->logged - c->sent)) },
	};

	append(c->server, &r);
	untouch(c);
}

/* --- the journal --- */

/* Without a journal a restart begins with an empty store; an old one would be worse. */
static void give_up(struct server *s, int error)
{
	struct state *st = s->state;

	log_error(
		"cannot keep the store's state for a restart: %s; serving on, but when this process "
		"ends the store is lost",
		strerror(-error));
	journal_spoil(&st->journal);
	xenhost_keep_drop(st->host, STATE_DEPOSIT);
	state_stop(s);
}

void state_commit(struct server *s)
{
	struct state *st = s->state;

	if (!st)
		return;
	while (!list_empty(&st->touched))
		append_io(list_entry(st->touched.next, struct conn, of_touched));
	if (st->journal.failed)
		give_up(s, -ENOMEM);
	else
		journal_commit(&st->journal);
}

/* --- all there is --- */

struct walk {
	struct server *s;
	char path[WIRE_PATH_MAX + 1];
};

/* len: of the path of the parent, without a slash at its end. Recurses as deep as a path can be. */
static void write_nodes(struct walk *w, const struct node *n, size_t len)
{
	const struct node *kid;
	struct tree_iter it;

	if (n->name_len) {
		w->path[len++] = '/';
		memcpy(w->path + len, node_name(n), n->name_len);
		len += n->name_len;
	}
	state_node(w->s, len ? w->path : "/", len ? len : 1, n);
	tree_iter_init(&it, n);
	while ((kid = tree_iter_next(&it)))
		write_nodes(w, kid, len);
}

static void write_limits(struct server *s)
{
	const struct account *a;

	for (unsigned int i = 0; i < QUOTA_ITEMS; i++)
		state_quota(s, JOURNAL_NEW_GUESTS, i, s->quota.limit[QUOTA_GUEST][i]);
	for (uint32_t id = 1; (a = idmap_next(&s->quota.accounts, &id)); id++)
		for (unsigned int i = 0; i < QUOTA_ITEMS; i++)
			if (a->limit[i] != s->quota.limit[QUOTA_GUEST][i])
				state_quota(s, a->domid, i, a->limit[i]);
}

static void write_watches(struct conn *c)
{
	struct watch *w;

	list_for_each(w, &c->watches.watches, of_owner)
		state_watch(c, w);
}

static void write_ring(struct conn *c)
{
	state_ring(c, c->ops->position(c), JOURNAL_NO_RESET);
	write_watches(c);
}

/* Behind the nodes, which is what transactions are told apart from. */
static void write_txns(struct server *s)
{
	const struct txn *t;
	struct conn *c;

	list_for_each(c, &s->conns, of_server) {
		if (c->dead || !is_kept(c))
			continue;
		list_for_each(t, &c->txns, of_owner) {
			state_txn(c, t->id, 1);
			if (s->state->whole)
				state_txn_write(c, t);
		}
	}
}

static void write_socket(struct conn *c, int fd)
{
	const struct journal_record r = {
		.type = JOURNAL_SOCKET,
		.domid = c->domain->domid,
		.id = c->number,
		.n = { (uint32_t)fd, c->last_txn, c->unread },
		.part = { bytes_of(&c->in, 0), bytes_of(&c->out, 0) },
	};

	append(c->server, &r);
	write_watches(c);
}

static void write_listener(void *data, uint16_t domid, int fd, const char *path, bool ours)
{
	const struct journal_record r = {
		.type = JOURNAL_LISTEN,
		.domid = domid,
		.n = { (uint32_t)fd, ours },
		.part = { { path, strlen(path) } },
	};

	append(data, &r);
}

static void write_process(struct server *s)
{
	const struct journal_record lock = { .type = JOURNAL_LOCK, .n = { (uint32_t)s->lock_fd } };
	struct conn *c;

	if (s->lock_fd >= 0)
		append(s, &lock);
	sock_each_listener(s, write_listener, s);
	list_for_each(c, &s->conns, of_server)
		if (!c->dead && sock_fd(c) >= 0)
			write_socket(c, sock_fd(c));
}

static void write_all(struct server *s)
{
	struct walk w = { .s = s };
	struct domain *d;

	write_limits(s);
	list_for_each(d, domains_all(s), of_domains) {
		state_domain(s, d);
		if (d->conn && d->conn->kept && !d->conn->dead)
			write_ring(d->conn);
	}
	write_nodes(&w, s->store.root, 0);
	for (unsigned int i = 0; i < STORE_SPECIALS; i++)
		state_special(s, i, s->store.special[i]);
	if (s->state->whole)
		write_process(s);
	write_txns(s);
}

int state_image(struct server *s, int *ret_fd)
{
	struct state image = { .server = s, .whole = true }, *kept;
	int r = journal_new(s->generation, &image.journal);

	if (r < 0)
		return r;
	list_init(&image.touched);
	state_commit(s);
	kept = s->state;
	s->state = &image;
	write_all(s);
	s->state = kept;
	journal_commit(&image.journal);
	r = image.journal.failed ? -ENOMEM : 0;
	if (r == 0)
		*ret_fd = steal_fd(&image.journal.fd);
	journal_close(&image.journal);
	return r;
}

/* A new journal in place of the old one, which counts until the host has the new one. */
static int rewrite(struct server *s)
{
	struct state *st = s->state;
	struct journal old = st->journal;
	int r = journal_new(s->generation, &st->journal);

	if (r < 0)
		return r;
	write_all(s);
	journal_commit(&st->journal);
	r = st->journal.failed ? -ENOMEM
			       : xenhost_keep_put(st->host, STATE_DEPOSIT, st->journal.fd);
	if (r < 0) {
		journal_close(&st->journal);
		st->journal = old;
		return r;
	}
	st->image = st->journal.end;
	journal_close(&old);
	return 0;
}

/* It is away for the moment, or for good: what it has of us is not lost by that. */
static bool is_away(int error)
{
	return error == -ENOTCONN || error == -ECONNRESET || error == -EPIPE || error == -ETIMEDOUT;
}

void state_settle(struct server *s)
{
	const struct state *st = s->state;
	int r;

	if (!st || st->journal.end < st->image + GROWTH(st->image))
		return;
	state_commit(s);
	r = s->state ? rewrite(s) : 0;
	if (is_away(r))
		s->state->image =
			s->state->journal.end; /* the old one goes on; not at once again */
	else if (r < 0)
		give_up(s, r);
}

int state_renew(struct server *s)
{
	int r;

	state_commit(s);
	r = s->state ? rewrite(s) : 0;
	if (r < 0 && !is_away(r))
		give_up(s, r);
	return 0;
}

void state_move(struct server *s, struct xenhost *host)
{
	if (!s->state) {
		state_start(s, host);
		return;
	}
	s->state->host = host;
	state_renew(s);
}

static void on_changed(void *data, const char *path, size_t len, const struct node *n)
{
	state_node(data, path, len, n);
}

static void on_changed_special(void *data, enum store_special which)
{
	struct server *s = data;

	state_special(s, which, s->store.special[which]);
}

int state_start(struct server *s, struct xenhost *host)
{
	struct state *st = calloc(1, sizeof(*st));
	int r;

	if (!st)
		return -ENOMEM;
	st->server = s;
	st->host = host;
	st->journal.fd = -1;
	list_init(&st->touched);
	s->state = st;
	r = rewrite(s);
	if (r == 0) {
		s->store.hooks.changed = on_changed;
		s->store.hooks.changed_special = on_changed_special;
		return 0;
	}
	if (r != -EOPNOTSUPP)
		give_up(s, r);
	else
		state_stop(s);
	return 0;
}

void state_stop(struct server *s)
{
	struct state *st = s->state;

	if (!st)
		return;
	s->store.hooks.changed = NULL;
	s->store.hooks.changed_special = NULL;
	while (!list_empty(&st->touched))
		list_remove(st->touched.next);
	journal_close(&st->journal);
	free(st);
	s->state = NULL;
}
