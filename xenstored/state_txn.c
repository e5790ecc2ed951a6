/* SPDX-License-Identifier: MIT */
/*
 * Open transactions for another program in our place. What one has looked at is written as it is now: one
 * that has lost already is told so by its first record alone, so of the others all that they looked at is
 * what is there now, and the successor lets them begin on its present version and see and have done the
 * same.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "common/cleanup.h"
#include "xenstored/conn.h"
#include "xenstored/domain.h"
#include "xenstored/server.h"
#include "xenstored/state.h"
#include "xenstored/txn.h"

#define TXN_CHANGES (TXN_CHANGED | TXN_CREATED | TXN_REMOVED)
#define TXN_ALL (TXN_NODE | TXN_LIST | TXN_SUBTREE | TXN_CHANGES | TXN_FIRES)

_Static_assert(TXN_SPECIALS == STORE_SPECIALS, "one for each");

/* --- writing --- */

static struct journal_record record_of(const struct conn *c, enum journal_type type, uint32_t id)
{
	return (struct journal_record){
		.type = (uint8_t)type,
		.domid = c->domain->domid,
		.id = state_conn_id(c),
		.n = { id },
	};
}

static struct journal_part part_of(const struct perms *p)
{
	return (struct journal_part){ p->list, p->nr * sizeof(p->list[0]) };
}

static void write_touch(struct conn *c, const struct txn *t, const struct touch *o,
			unsigned int what, bool content)
{
	struct journal_record r = record_of(c, JOURNAL_TXN_TOUCH, t->id);
	const struct node *n = NULL;

	if (content)
		n = tree_get(&c->server->store.heap, t->root, o->path, o->len);
	r.n[1] = what;
	r.part[0] = (struct journal_part){ o->path, o->len };
	if (n) {
		r.flags = JOURNAL_HAS;
		r.part[1] = part_of(n->perms);
		r.part[2] = (struct journal_part){ node_value(n), n->value_len };
	}
	state_append(c->server, &r);
}

static void write_touches(struct conn *c, const struct txn *t)
{
	const struct touch *o;

	for (size_t i = 0; i < t->touches.nr_buckets; i++)
		for (struct table_link *l = t->touches.buckets[i]; l; l = l->next) {
			o = list_entry(l, struct touch, by_path);
			if (!(o->what & TXN_CHANGES))
				write_touch(c, t, o, o->what & ~TXN_FIRES, false);
		}
	/* as at a commit: first what went, for some of that was made again */
	list_for_each(o, &t->changes, of_changes)
		write_touch(c, t, o, o->what & ~TXN_FIRES, false);
	list_for_each(o, &t->changes, of_changes)
		if (tree_get(&c->server->store.heap, t->root, o->path, o->len))
			write_touch(c, t, o, 0, true);
	list_for_each(o, &t->fires, of_fires)
		write_touch(c, t, o, TXN_FIRES, false);
}

static void write_tallies(struct conn *c, const struct txn *t)
{
	for (size_t i = 0; i < t->nr_tallies; i++) {
		const struct txn_tally *more = &t->tallies[i];
		const struct journal_tally tally = { more->add.nodes, more->add.bytes };
		struct journal_record r = record_of(c, JOURNAL_TXN_TALLY, t->id);

		r.n[1] = more->domid;
		r.part[2] = (struct journal_part){ &tally, sizeof(tally) };
		state_append(c->server, &r);
	}
}

static void write_specials(struct conn *c, const struct txn *t)
{
	for (uint32_t i = 0; i < TXN_SPECIALS; i++) {
		struct journal_record r = record_of(c, JOURNAL_TXN_SPECIAL, t->id);

		if (!t->special[i] && !t->special_seen[i])
			continue;
		r.n[1] = i;
		r.flags = t->special_seen[i] ? JOURNAL_SEEN : 0;
		if (t->special[i]) {
			r.flags |= JOURNAL_HAS;
			r.part[1] = part_of(t->special[i]);
		}
		state_append(c->server, &r);
	}
}

static bool has_lost(const struct store *s, const struct txn *t)
{
	if (t->lost || txn_conflicts(&s->heap, t, s->root))
		return true;
	for (size_t i = 0; i < TXN_SPECIALS; i++)
		if (t->special_seen[i] && t->special_seen[i] != s->special[i])
			return true;
	return false;
}

void state_txn_write(struct conn *c, const struct txn *t)
{
	struct journal_record r = record_of(c, JOURNAL_TXN_KEEP, t->id);

	if (has_lost(&c->server->store, t))
		return;
	r.n[1] = t->failed;
	state_append(c->server, &r);
	write_touches(c, t);
	write_tallies(c, t);
	write_specials(c, t);
}

/* --- reading --- */

static int remove_at(struct server *s, struct txn *t, const struct journal_part *path)
{
	struct heap *h = &s->store.heap;
	struct tree_pos pos;
	struct node *gone;
	int r;

	tree_find(h, &t->root, path->data, path->len, &pos);
	if (!pos.found || !pos.parent)
		return 0;
	r = tree_remove(h, &t->root, &pos, path->data, path->len, ++s->store.stamp, &gone);
	if (r == 0)
		node_put(h, gone);
	return r;
}

static int put_at(struct server *s, struct txn *t, const struct journal_record *r)
{
	struct heap *h = &s->store.heap;
	const struct journal_part *path = &r->part[0], *value = &r->part[2];
	_cleanup_(perms_putp) struct perms *perms =
		perms_new(r->part[1].data, r->part[1].len / sizeof(struct perm));
	struct tree_pos pos;
	int res;

	if (!perms)
		return -ENOMEM;
	t->domains |= perms->domains;
	tree_find(h, &t->root, path->data, path->len, &pos);
	if (!pos.found)
		return tree_create(h, &t->root, &pos, path->data, path->len, perms, value->data,
				   value->len, ++s->store.stamp);
	res = tree_write(h, &t->root, &pos, path->data, path->len, value->data, value->len,
			 ++s->store.stamp);
	if (res < 0)
		return res;
	tree_find(h, &t->root, path->data, path->len, &pos);
	return tree_set_perms(h, &t->root, &pos, path->data, path->len, perms, ++s->store.stamp);
}

static int load_touch(struct server *s, struct txn *t, const struct journal_record *r)
{
	const struct journal_part *path = &r->part[0];
	const size_t before = s->store.heap.bytes;
	int res = txn_touch(&s->store.heap, t, path->data, path->len, r->n[1] & TXN_ALL);

	if (res == 0 && (r->n[1] & TXN_REMOVED))
		res = remove_at(s, t, path);
	if (res == 0 && (r->flags & JOURNAL_HAS))
		res = put_at(s, t, r);
	t->bytes += (int64_t)s->store.heap.bytes - (int64_t)before;
	return res;
}

static int load_tally(struct txn *t, const struct journal_record *r)
{
	struct tally *tally = txn_tally(t, (uint16_t)r->n[1]);
	struct journal_tally more;

	if (!tally)
		return -ENOMEM;
	memcpy(&more, r->part[2].data, sizeof(more));
	*tally = (struct tally){ more.nodes, more.bytes };
	return 0;
}

static int load_special(struct server *s, struct txn *t, const struct journal_record *r)
{
	const uint32_t i = r->n[1];

	if ((r->flags & JOURNAL_SEEN) && !t->special_seen[i])
		t->special_seen[i] = perms_get(s->store.special[i]);
	if (!(r->flags & JOURNAL_HAS))
		return 0;
	perms_put(t->special[i]);
	t->special[i] = perms_new(r->part[1].data, r->part[1].len / sizeof(struct perm));
	if (!t->special[i])
		return -ENOMEM;
	t->domains |= t->special[i]->domains;
	return 0;
}

static int load_one(struct server *s, struct txn *t, const struct journal_record *r)
{
	switch (r->type) {
	case JOURNAL_TXN_KEEP:
		t->lost = false;
		t->failed = r->n[1];
		return 0;
	case JOURNAL_TXN_TOUCH:
		return load_touch(s, t, r);
	case JOURNAL_TXN_TALLY:
		return load_tally(t, r);
	default:
		return load_special(s, t, r);
	}
}

int state_txn_load(struct server *s, struct conn *c, const struct journal_record *r)
{
	struct txn *t = conn_txn(c, r->n[0]);
	int res;

	if (!t)
		return 0;
	res = load_one(s, t, r);
	c->domain->caller.account->bytes += t->bytes - t->charged;
	t->charged = t->bytes;
	return res;
}
