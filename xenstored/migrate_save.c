/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "xenstored/conn.h"
#include "xenstored/domain.h"
#include "xenstored/migrate.h"
#include "xenstored/server.h"
#include "xenstored/stream_wire.h"

struct save {
	struct server *s;
	uint32_t version;
	struct buf out;
	bool failed; /* out of memory: out is not whole */
	uint32_t conns;
	char names[256]; /* of all quotas, each with its NUL */
	size_t names_len;
	char path[WIRE_PATH_MAX + 1];
};

static void add(struct save *sv, const struct stream_record *r)
{
	char *p = sv->failed ? NULL : buf_add(&sv->out, stream_size(sv->version, r));

	if (p)
		stream_encode(sv->version, r, p);
	else
		sv->failed = true;
}

static void add_head(struct save *sv)
{
	const struct stream_record global = { .type = STREAM_GLOBAL, .fd = -1, .event_fd = -1 };
	char *p = buf_add(&sv->out, STREAM_HEAD_SIZE);

	if (!p) {
		sv->failed = true;
		return;
	}
	stream_head_encode(sv->version, p);
	add(sv, &global);
}

/* --- limits --- */

/* Not in version 1: the document has them there by now, but who reads no more than that refuses them (4.17). */
static void add_limits(struct save *sv, struct stream_record *r, const uint32_t *limits)
{
	if (sv->version < 2)
		return;
	r->nr_quotas = QUOTA_ITEMS;
	r->quotas = limits;
	r->names = (struct stream_part){ sv->names, sv->names_len };
	add(sv, r);
}

static void name_limits(struct save *sv)
{
	for (unsigned int i = 0; i < QUOTA_ITEMS; i++) {
		const char *name = quota_name((enum quota_item)i);

		memcpy(sv->names + sv->names_len, name, strlen(name) + 1);
		sv->names_len += strlen(name) + 1;
	}
}

static void add_default_limits(struct save *sv)
{
	struct stream_record r = { .type = STREAM_QUOTA };

	add_limits(sv, &r, sv->s->quota.limit[QUOTA_GUEST]);
}

/* Domain 0 has none. */
static void add_domain(struct save *sv, const struct domain *d)
{
	struct stream_record r = { .type = STREAM_DOMAIN,
				   .domid = d->domid,
				   .features = d->features };
	const enum quota_kind kind = d->fixed ? QUOTA_SERVICE : QUOTA_GUEST;
	const struct account *a = d->caller.account;

	if (!d->domid || (!memcmp(a->limit, sv->s->quota.limit[kind], sizeof(a->limit)) &&
			  (!d->introduced || d->fixed)))
		return;
	add_limits(sv, &r, a->limit);
}

/* --- connections --- */

static void add_watches(struct save *sv, struct conn *c, uint32_t id)
{
	const struct watch *w;

	list_for_each(w, &c->watches.watches, of_owner) {
		const struct stream_record r = {
			.type = STREAM_WATCH,
			.conn = id,
			.path = { watch_path(w) + w->strip, w->path_len - w->strip },
			.token = { watch_token(w), w->token_len },
			.depth = w->depth == WATCH_ANY_DEPTH ? STREAM_ANY_DEPTH
				 : w->depth < (int)STREAM_ANY_DEPTH
					 ? (uint16_t)w->depth
					 : (uint16_t)(STREAM_ANY_DEPTH - 1),
		};

		add(sv, &r);
	}
}

static void add_txns(struct save *sv, struct conn *c, uint32_t id)
{
	const struct txn *t;

	list_for_each(t, &c->txns, of_owner) {
		const struct stream_record r = { .type = STREAM_TXN, .conn = id, .tx = t->id };

		add(sv, &r);
	}
}

static struct stream_part all_of(const struct buf *b)
{
	return (struct stream_part){ b->len ? buf_head(b) : NULL, b->len };
}

static void add_ring(struct save *sv, struct domain *d)
{
	struct conn *c = d->conn;
	struct stream_record r = {
		.type = STREAM_CONN,
		.conn = ++sv->conns,
		.kind = STREAM_RING,
		.domid = d->domid,
		.target = d->caller.who.target == DOMID_NONE ? STREAM_NO_DOMAIN
							     : d->caller.who.target,
		.port = d->port,
		.has_unique_id = d->unique_id != 0,
		.unique_id = d->unique_id,
	};

	if (c) {
		r.in = all_of(&c->in);
		r.out = all_of(&c->out);
		r.partial = (uint32_t)stream_partial(r.out.data, r.out.len);
	}
	add(sv, &r);
	if (!c)
		return;
	add_watches(sv, c, r.conn);
	add_txns(sv, c, r.conn);
}

/* --- nodes --- */

static void add_node(struct save *sv, const char *path, size_t len, const struct perms *p,
		     const char *value, size_t value_len)
{
	const struct stream_record r = {
		.type = STREAM_NODE,
		.nr_perms = (uint16_t)p->nr,
		.perms = p->list,
		.path = { path, len },
		.value = { value, value_len },
	};

	add(sv, &r);
}

/* len: of the path of the parent, without a slash at its end. Recurses as deep as a path can be. */
static void add_nodes(struct save *sv, const struct node *n, size_t len)
{
	const struct node *kid;
	struct tree_iter it;

	if (n->name_len) {
		sv->path[len++] = '/';
		memcpy(sv->path + len, node_name(n), n->name_len);
		len += n->name_len;
	}
	add_node(sv, len ? sv->path : "/", len ? len : 1, n->perms, node_value(n), n->value_len);
	tree_iter_init(&it, n);
	while ((kid = tree_iter_next(&it)))
		add_nodes(sv, kid, len);
}

static void add_specials(struct save *sv)
{
	static const char *const names[] = {
		[STORE_INTRODUCE] = "@introduceDomain", [STORE_RELEASE] = "@releaseDomain"
	};

	for (size_t i = 0; i < STORE_SPECIALS; i++)
		add_node(sv, names[i], strlen(names[i]), sv->s->store.special[i], "", 0);
}

static int save_all(struct server *s, uint32_t version, struct buf *ret_stream)
{
	static const struct stream_record end = { .type = STREAM_END };
	struct save sv = { .s = s, .version = version };
	struct domain *d;

	name_limits(&sv);
	add_head(&sv);
	add_default_limits(&sv);
	list_for_each(d, domains_all(s), of_domains)
		if (d->introduced && !d->fixed)
			add_ring(&sv, d);
	list_for_each(d, domains_all(s), of_domains)
		add_domain(&sv, d);
	add_nodes(&sv, s->store.root, 0);
	add_specials(&sv);
	add(&sv, &end);
	if (sv.failed) {
		buf_fini(&sv.out);
		return -ENOMEM;
	}
	*ret_stream = sv.out;
	return 0;
}

/* --- reading back --- */

/* A server beside this one, without sockets and host, that takes in the stream. NULL: said in buf why not */
static struct server *beside(struct server *s, const void *data, size_t len, char *buf, size_t size)
{
	struct server *other = calloc(1, sizeof(*other));
	int r;

	if (!other) {
		snprintf(buf, size, "out of memory");
		return NULL;
	}
	other->rehearsal = true;
	other->lock_fd = -1;
	other->services = s->services;
	other->fixed_seed = s->store.heap.seed;
	other->import = data;
	other->import_len = len;
	other->complaint = buf;
	other->complaint_size = size;
	r = server_open(other);
	if (r == 0)
		return other;
	if (!buf[0])
		snprintf(buf, size, "%s", strerror(-r));
	server_close(other);
	free(other);
	return NULL;
}

int migrate_check(struct server *s, const void *data, size_t len, char *buf, size_t size)
{
	struct server *other;

	buf[0] = 0;
	other = beside(s, data, len, buf, size);
	if (!other)
		return -EPROTO;
	server_close(other);
	free(other);
	return 0;
}

/* What the other one gives is the same. Version 1 leaves out features and depths: so does the second one. */
static int compare(struct server *s, uint32_t version, const struct buf *b)
{
	struct buf again = { 0 };
	char text[256] = "";
	struct server *other = beside(s, buf_head(b), b->len, text, sizeof(text));
	int r;

	if (!other) {
		log_error("a stream of the store cannot be read back: %s", text);
		return -EPROTO;
	}
	r = save_all(other, version, &again);
	if (r == 0 && (again.len != b->len || memcmp(buf_head(&again), buf_head(b), b->len) != 0)) {
		log_error("a stream of the store that was read back is not the same");
		r = -EPROTO;
	}
	buf_fini(&again);
	server_close(other);
	free(other);
	return r;
}

int migrate_export(struct server *s, uint32_t version, struct buf *ret_stream)
{
	struct buf b = { 0 };
	int r = save_all(s, version, &b);

	if (r == 0)
		r = compare(s, version, &b);
	if (r < 0) {
		buf_fini(&b);
		return r;
	}
	*ret_stream = b;
	return 0;
}
