/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "xenstored/txn.h"

struct txn *txn_new(struct node *base, uint32_t id)
{
	struct txn *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->id = id;
	t->base = node_get(base);
	t->root = node_get(base);
	list_init(&t->of_store);
	list_init(&t->of_owner);
	list_init(&t->changes);
	list_init(&t->fires);
	t->bytes = sizeof(*t);
	return t;
}

static void free_touches(struct txn *t)
{
	for (size_t i = 0; i < t->touches.nr_buckets; i++) {
		struct table_link *l = t->touches.buckets[i], *next;

		for (; l; l = next) {
			next = l->next;
			free(list_entry(l, struct touch, by_path));
		}
	}
	table_fini(&t->touches);
}

void txn_free(struct heap *h, struct txn *t)
{
	if (!t)
		return;
	list_remove(&t->of_store);
	list_remove(&t->of_owner);
	node_put(h, t->root);
	node_put(h, t->base);
	free_touches(t);
	free(t->tallies);
	for (size_t i = 0; i < TXN_SPECIALS; i++) {
		perms_put(t->special[i]);
		perms_put(t->special_seen[i]);
	}
	free(t);
}

void txn_give_up(struct heap *h, struct txn *t, struct node *present)
{
	struct node *base = t->base, *root = t->root;

	t->base = node_get(present);
	t->root = node_get(present);
	t->lost = true;
	node_put(h, root);
	node_put(h, base);
}

static struct touch *find(const struct heap *h, const struct txn *t, const char *path, size_t len)
{
	struct table_link *l;

	table_for_each(l, &t->touches, table_hash(h->seed, path, len))
	{
		struct touch *o = list_entry(l, struct touch, by_path);

		if (o->len == len && !memcmp(o->path, path, len))
			return o;
	}
	return NULL;
}

bool txn_touched(const struct heap *h, const struct txn *t, const char *path, size_t len)
{
	return find(h, t, path, len) != NULL;
}

static struct touch *touch_new(struct heap *h, struct txn *t, const char *path, size_t len)
{
	struct touch *o = calloc(1, sizeof(*o) + len);
	const struct node *n;

	if (!o)
		return NULL;
	o->len = (uint32_t)len;
	memcpy(o->path, path, len);
	list_init(&o->of_changes);
	list_init(&o->of_fires);
	n = tree_get(h, t->base, path, len);
	if (n) {
		o->changed = n->changed;
		o->listed = node_listed(n);
	}
	if (table_add(&t->touches, &o->by_path, table_hash(h->seed, path, len)) < 0) {
		free(o);
		return NULL;
	}
	t->bytes += (int64_t)(sizeof(*o) + len);
	return o;
}

int txn_touch(struct heap *h, struct txn *t, const char *path, size_t len, unsigned int what)
{
	struct touch *o = find(h, t, path, len);

	if (!o)
		o = touch_new(h, t, path, len);
	if (!o) {
		t->failed = true;
		return -ENOMEM;
	}
	o->what |= what;
	if ((what & (TXN_CHANGED | TXN_CREATED | TXN_REMOVED)) && list_empty(&o->of_changes))
		list_append(&t->changes, &o->of_changes);
	if ((what & TXN_FIRES) && list_empty(&o->of_fires))
		list_append(&t->fires, &o->of_fires);
	return 0;
}

struct tally *txn_tally(struct txn *t, uint16_t domid)
{
	struct txn_tally *more;

	for (size_t i = 0; i < t->nr_tallies; i++)
		if (t->tallies[i].domid == domid)
			return &t->tallies[i].add;
	more = realloc(t->tallies, (t->nr_tallies + 1) * sizeof(*more));
	if (!more) {
		t->failed = true;
		return NULL;
	}
	t->tallies = more;
	more += t->nr_tallies++;
	*more = (struct txn_tally){ .domid = domid };
	return &more->add;
}

static bool conflicts(const struct heap *h, const struct txn *t, const struct touch *o,
		      struct node *present)
{
	const struct node *n = tree_get(h, present, o->path, o->len);

	if ((n ? n->changed : 0) != o->changed)
		return true;
	if ((o->what & TXN_LIST) && (n ? node_listed(n) : 0) != o->listed)
		return true;
	return (o->what & TXN_SUBTREE) && n != tree_get(h, t->base, o->path, o->len);
}

bool txn_conflicts(const struct heap *h, const struct txn *t, struct node *present)
{
	if (present == t->base)
		return false;
	for (size_t i = 0; i < t->touches.nr_buckets; i++)
		for (struct table_link *l = t->touches.buckets[i]; l; l = l->next)
			if (conflicts(h, t, list_entry(l, struct touch, by_path), present))
				return true;
	return false;
}

static int merge_removed(struct heap *h, const struct touch *o, struct node **root, uint64_t stamp)
{
	struct tree_pos pos;
	struct node *gone;
	int r;

	tree_find(h, root, o->path, o->len, &pos);
	if (!pos.found)
		return 0;
	r = tree_remove(h, root, &pos, o->path, o->len, stamp, &gone);
	if (r == 0)
		node_put(h, gone);
	return r;
}

static int merge_changed(struct heap *h, const struct touch *o, const struct node *n,
			 struct node **root, uint64_t stamp)
{
	struct tree_pos pos;
	int r;

	tree_find(h, root, o->path, o->len, &pos);
	if (!pos.found) /* went with a parent that was replaced, and came with its new subtree */
		return 0;
	r = tree_write(h, root, &pos, o->path, o->len, node_value(n), n->value_len, stamp);
	if (r < 0)
		return r;
	tree_find(h, root, o->path, o->len, &pos);
	return tree_set_perms(h, root, &pos, o->path, o->len, n->perms, stamp);
}

static int merge_one(struct heap *h, const struct txn *t, const struct touch *o, struct node **root,
		     uint64_t stamp)
{
	struct node *n = tree_get(h, t->root, o->path, o->len);

	if (!n)
		return merge_removed(h, o, root, stamp);
	if (o->what & TXN_CREATED)
		return tree_graft(h, root, o->path, o->len, n, stamp);
	return merge_changed(h, o, n, root, stamp);
}

int txn_merge(struct heap *h, const struct txn *t, struct node *present, uint64_t stamp,
	      struct node **ret_root)
{
	struct node *root;
	struct touch *o;

	if (present == t->base) {
		*ret_root = node_get(t->root);
		return 0;
	}
	root = node_get(present);
	list_for_each(o, &t->changes, of_changes) {
		int r = merge_one(h, t, o, &root, stamp);

		if (r < 0) {
			node_put(h, root);
			return r;
		}
	}
	*ret_root = root;
	return 0;
}
