/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "xenstored/conn.h"
#include "xenstored/domain.h"
#include "xenstored/idmap.h"
#include "xenstored/journal_wire.h"
#include "xenstored/migrate.h"
#include "xenstored/server.h"
#include "xenstored/stream_wire.h"

_Static_assert(STREAM_PERMS_MAX <= JOURNAL_PERMS_MAX, "what is read can be kept");

struct load {
	struct server *s;
	uint32_t version;
	uint32_t *conns; /* numbers of connections whose domain is in domids at the same place */
	uint16_t *domids;
	size_t nr_conns;
	unsigned int sockets; /* left out */
};

/* For who asked, or into the log. Always -EPROTO */
__attribute__((format(printf, 2, 3))) static int bad(const struct load *l, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (l->s->complaint)
		snprintf(l->s->complaint, l->s->complaint_size, "%s", text);
	else
		log_error("migration stream: %s", text);
	return -EPROTO;
}

/* --- nodes --- */

static struct perms *read_perms(const struct stream_record *r)
{
	_cleanup_free_ struct perm *list = malloc(r->nr_perms * sizeof(*list));

	for (size_t i = 0; list && i < r->nr_perms; i++)
		if (stream_perm(r, i, &list[i]) < 0)
			return NULL;
	return list ? perms_new(list, r->nr_perms) : NULL;
}

static int load_special(struct load *l, const struct stream_record *r, struct perms *p)
{
	const int which = store_special(r->path.data, r->path.len);

	if (which < 0)
		return bad(l, "a node %.100s, which no store has", r->path.data);
	perms_put(l->s->store.special[which]);
	l->s->store.special[which] = perms_get(p);
	return 0;
}

static int put_node(struct load *l, const struct stream_record *r, struct perms *p)
{
	struct store *st = &l->s->store;
	const char *path = r->path.data;
	const size_t len = r->path.len;
	struct tree_pos pos;
	int res;

	tree_find(&st->heap, &st->root, path, len, &pos);
	if (!pos.found) {
		if (memchr(path + pos.rest, '/', len - pos.rest))
			return bad(l, "node %.100s comes before its parent", path);
		return tree_create(&st->heap, &st->root, &pos, path, len, p, r->value.data,
				   r->value.len, ++st->stamp);
	}
	res = tree_write(&st->heap, &st->root, &pos, path, len, r->value.data, r->value.len,
			 ++st->stamp);
	if (res < 0)
		return res;
	tree_find(&st->heap, &st->root, path, len, &pos);
	return tree_set_perms(&st->heap, &st->root, &pos, path, len, p, ++st->stamp);
}

static int load_node(struct load *l, const struct stream_record *r)
{
	_cleanup_(perms_putp) struct perms *p = NULL;
	char buf[WIRE_PATH_MAX];
	struct wire_path path;

	if (r->conn)
		return 0; /* of a transaction, which will fail with EAGAIN */
	if (!r->path.len || (r->path.data[0] != '/' && r->path.data[0] != '@') ||
	    wire_path_parse(r->path.data, r->path.len, "/", 0, true, buf, &path) != 0 ||
	    path.len != r->path.len)
		return bad(l, "'%.100s' is no path of a node", r->path.data);
	if (r->value.len > WIRE_PAYLOAD_MAX)
		return bad(l, "node %.100s has %zu bytes, more than %u", r->path.data, r->value.len,
			   WIRE_PAYLOAD_MAX);
	p = read_perms(r);
	if (!p)
		return bad(l, "node %.100s has permissions that cannot be read", r->path.data);
	return path.special ? load_special(l, r, p) : put_node(l, r, p);
}

/* --- domains --- */

static int load_limits(struct load *l, const struct stream_record *r, uint32_t *limits)
{
	size_t at = 0;

	for (size_t i = 0; i < r->nr_quotas; i++) {
		struct stream_part name;
		uint32_t value;
		int item;

		stream_quota(r, i, &at, &name, &value);
		item = quota_item_parse(name.data, name.len);
		if (item >= 0)
			limits[item] = value;
	}
	return 0;
}

static int load_domain(struct load *l, const struct stream_record *r)
{
	struct account *a = quota_account(&l->s->quota, r->domid);
	struct domain *d = domain_find(l->s, r->domid);

	if (!a)
		return -ENOMEM;
	if (d && !d->fixed && l->version >= 2)
		d->features = r->features & FEATURES_ALL;
	return r->domid ? load_limits(l, r, a->limit) : 0;
}

/* The guest's, or NULL: of what is left out. */
static struct conn *conn_of(const struct load *l, const struct stream_record *r)
{
	for (size_t i = l->nr_conns; i > 0; i--)
		if (l->conns[i - 1] == r->conn)
			return domain_find(l->s, l->domids[i - 1])->conn;
	return NULL;
}

static int note_conn(struct load *l, const struct stream_record *r)
{
	uint32_t *conns = realloc(l->conns, (l->nr_conns + 1) * sizeof(*conns));
	uint16_t *domids;

	if (!conns)
		return -ENOMEM;
	l->conns = conns;
	domids = realloc(l->domids, (l->nr_conns + 1) * sizeof(*domids));
	if (!domids)
		return -ENOMEM;
	l->domids = domids;
	conns[l->nr_conns] = r->conn;
	domids[l->nr_conns++] = r->domid;
	return 0;
}

static int put_bytes(struct buf *b, const struct stream_part *p)
{
	char *to = p->len ? buf_add(b, p->len) : NULL;

	if (to)
		memcpy(to, p->data, p->len);
	return to || !p->len ? 0 : -ENOMEM;
}

/* Where there is no host there are no rings, but what is known of the domain is kept. */
static int load_ring(struct load *l, struct domain *d, const struct stream_record *r)
{
	int res;

	if (!domains_host(l->s) && !l->s->rehearsal)
		return 0;
	res = domain_restore_ring(l->s, d, 0, JOURNAL_AS_IS);
	if (res == 0)
		res = put_bytes(&d->conn->in, &r->in);
	if (res == 0)
		res = put_bytes(&d->conn->out, &r->out);
	return res;
}

static int load_conn(struct load *l, const struct stream_record *r)
{
	struct domain *d = domain_find(l->s, r->domid);
	int res;

	if (r->kind != STREAM_RING) {
		l->sockets++;
		return 0;
	}
	if (d && d->fixed) /* domain 0 has a ring under Xen */
		return 0;
	if (d && d->introduced)
		return bad(l, "domain %u has two connections", r->domid);
	if (!d)
		d = domain_restore(l->s, r->domid);
	if (!d)
		return -ENOMEM;
	res = note_conn(l, r);
	if (res < 0)
		return res;
	if (!d->told)
		d->unique_id = r->has_unique_id ? r->unique_id : 0;
	d->exists = d->introduced = true;
	d->port = r->port;
	domain_put_target(l->s, d, r->target == STREAM_NO_DOMAIN ? DOMID_NONE : r->target);
	return load_ring(l, d, r);
}

static int load_watch(struct load *l, const struct stream_record *r)
{
	struct conn *c = conn_of(l, r);
	char buf[WIRE_PATH_MAX];
	struct wire_path path;
	struct watch *w;
	int res;

	if (!c)
		return 0;
	if (wire_path_parse(r->path.data, r->path.len, c->domain->base, 0, true, buf, &path) != 0)
		return bad(l, "'%.100s' is no path to watch", r->path.data);
	res = watch_add(&l->s->watches, &c->watches, &path, r->token.data, r->token.len,
			r->depth == STREAM_ANY_DEPTH ? WATCH_ANY_DEPTH : r->depth, &w);
	if (res == -EEXIST)
		return bad(l, "domain %u watches %.100s twice with one token", c->domain->domid,
			   r->path.data);
	if (res < 0)
		return res;
	c->domain->caller.account->watches++;
	c->domain->caller.account->bytes += (int64_t)watch_size(w->path_len, w->token_len);
	return 0;
}

static int load_txn(struct load *l, const struct stream_record *r)
{
	struct conn *c = conn_of(l, r);
	struct txn *t;

	if (!c)
		return 0;
	if (!r->tx || conn_txn(c, r->tx))
		return bad(l, "domain %u has transaction %u twice", c->domain->domid, r->tx);
	if (store_begin(&l->s->store, &c->domain->caller, r->tx, &t))
		return 0; /* its end will be answered with ENOENT */
	t->lost = true;
	list_append(&c->txns, &t->of_owner);
	c->last_txn = r->tx;
	return 0;
}

/* --- all of it --- */

static int load_one(struct load *l, const struct stream_record *r)
{
	switch (r->type) {
	case STREAM_CONN:
		return load_conn(l, r);
	case STREAM_WATCH:
		return load_watch(l, r);
	case STREAM_TXN:
		return load_txn(l, r);
	case STREAM_NODE:
		return load_node(l, r);
	case STREAM_QUOTA:
		return load_limits(l, r, l->s->quota.limit[QUOTA_GUEST]);
	case STREAM_DOMAIN:
		return load_domain(l, r);
	default:
		return 0;
	}
}

static int load_records(struct load *l, const char *data, size_t len)
{
	struct stream_record r = { .type = STREAM_TYPES };
	struct stream_head head;
	size_t at = STREAM_HEAD_SIZE;
	int res = stream_head_decode(data, len, &head);

	if (res < 0)
		return bad(l, res == -EPROTO ? "this is none" : "of a version that is not known");
	l->version = head.version;
	while (r.type != STREAM_END) {
		const int64_t n = stream_decode(&head, data + at, len - at, &r);

		if (n < 0)
			return bad(l, "damaged or cut off at byte %zu of %zu", at, len);
		at += (size_t)n;
		res = load_one(l, &r);
		if (res < 0)
			return res;
	}
	return 0;
}

static void count(void *data, const struct node *n)
{
	struct account *a = quota_account(data, perms_owner(n->perms));

	if (!a)
		return;
	a->nodes.nodes++;
	a->nodes.bytes += (int64_t)node_size(n);
}

/* Owners of nodes that were there may be others now. */
static void count_again(struct server *s)
{
	struct account *a;
	struct txn *t;

	for (uint32_t id = 0; (a = idmap_next(&s->quota.accounts, &id)); id++)
		a->nodes = (struct tally){ 0 };
	tree_each(s->store.root, count, &s->quota);
	list_for_each(t, &s->store.txns, of_store)
		if (t->lost)
			txn_give_up(&s->store.heap, t, s->store.root);
}

static int drop_nodes(struct store *st)
{
	const struct node *kid;
	struct tree_iter it;
	int r = 0;

	for (tree_iter_init(&it, st->root); r == 0 && (kid = tree_iter_next(&it));
	     tree_iter_init(&it, st->root)) {
		char path[WIRE_PATH_MAX + 1] = "/";
		struct tree_pos pos;
		struct node *gone;

		memcpy(path + 1, node_name(kid), kid->name_len);
		tree_find(&st->heap, &st->root, path, kid->name_len + 1u, &pos);
		r = tree_remove(&st->heap, &st->root, &pos, path, kid->name_len + 1u, ++st->stamp,
				&gone);
		if (r == 0)
			node_put(&st->heap, gone);
	}
	return r;
}

int migrate_load(struct server *s, const void *data, size_t len)
{
	struct load l = { .s = s };
	int r = drop_nodes(&s->store);

	if (r == 0)
		r = load_records(&l, data, len);
	count_again(s);
	free(l.conns);
	free(l.domids);
	if (r == 0 && l.sockets && !s->rehearsal)
		log_info("migration stream: %u connections to sockets are left out", l.sockets);
	return r;
}

/* --- is there anything? --- */

static bool only_has(struct server *s, const char *path, const char *const *names, size_t nr)
{
	const struct node *n = tree_get(&s->store.heap, s->store.root, path, strlen(path)), *kid;
	struct tree_iter it;

	if (!n)
		return true;
	tree_iter_init(&it, n);
	while ((kid = tree_iter_next(&it))) {
		bool known = false;

		for (size_t i = 0; i < nr; i++)
			known |= strlen(names[i]) == kid->name_len &&
				 !memcmp(names[i], node_name(kid), kid->name_len);
		if (!known)
			return false;
	}
	return true;
}

bool migrate_is_new(struct server *s)
{
	static const char *const top[] = { "tool", "local" }, *const tool[] = { "xenstored" },
				 *const local[] = { "domain" }, *const home[] = { "name", "domid" };
	const struct node *n, *kid;
	const struct domain *d;
	struct tree_iter it;

	list_for_each(d, domains_all(s), of_domains)
		if (d->introduced && !d->fixed)
			return false;
	if (!only_has(s, "/", top, 2) || !only_has(s, "/tool", tool, 1) ||
	    !only_has(s, "/tool/xenstored", NULL, 0) || !only_has(s, "/local", local, 1))
		return false;
	n = tree_get(&s->store.heap, s->store.root, "/local/domain", 13);
	if (!n)
		return true;
	tree_iter_init(&it, n);
	while ((kid = tree_iter_next(&it))) {
		char path[40];
		uint16_t domid;

		if (wire_domid(node_name(kid), kid->name_len, &domid) < 0)
			return false;
		d = domain_find(s, domid);
		snprintf(path, sizeof(path), "/local/domain/%u", domid);
		if (!d || !d->fixed || !only_has(s, path, home, 2))
			return false;
	}
	return true;
}
