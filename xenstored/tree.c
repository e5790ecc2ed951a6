/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "xenstored/dir.h"
#include "xenstored/table.h"
#include "xenstored/tree.h"
#include "xenstored/wire.h"

uint32_t node_hash(const struct heap *h, const char *name, size_t len)
{
	return table_hash(h->seed, name, len);
}

size_t node_nr_kids(const struct node *n)
{
	return n->kids ? n->kids->nr : 0;
}

size_t node_kids_bytes(const struct node *n)
{
	return n->kids ? n->kids->bytes : 0;
}

uint64_t node_listed(const struct node *n)
{
	return n->kids ? n->kids->listed : 0;
}

uint64_t node_domains(const struct node *n)
{
	return n->perms->domains | (n->kids ? n->kids->domains : 0);
}

void heap_fini(struct heap *h)
{
	slab_fini(&h->slabs);
}

/* Room for the data of a node, so that the whole is what it takes anyway. */
static size_t room_for(size_t data)
{
	return slab_size(sizeof(struct node) + data) - sizeof(struct node);
}

static struct node *node_alloc(struct heap *h, size_t data)
{
	size_t room = room_for(data);
	struct node *n = slab_alloc(&h->slabs, sizeof(*n) + room);

	if (!n)
		return NULL;
	h->bytes += sizeof(*n) + room;
	n->refs = 1;
	n->room = (uint16_t)room;
	return n;
}

static struct node *node_new(struct heap *h, const char *name, size_t name_len, struct perms *perms,
			     const void *value, size_t value_len, uint64_t stamp)
{
	struct node *n = node_alloc(h, name_len + value_len);

	if (!n)
		return NULL;
	n->hash = node_hash(h, name, name_len);
	n->name_len = (uint16_t)name_len;
	n->value_len = (uint16_t)value_len;
	n->changed = stamp;
	n->perms = perms_get(perms);
	n->kids = NULL;
	if (name_len)
		memcpy(n->data, name, name_len);
	if (value_len)
		memcpy(n->data + name_len, value, value_len);
	return n;
}

struct node *tree_root_new(struct heap *h, struct perms *perms, uint64_t stamp)
{
	return node_new(h, "", 0, perms, NULL, 0, stamp);
}

struct node *node_get(struct node *n)
{
	n->refs++;
	return n;
}

void node_bury(struct heap *h, struct node *n)
{
	if (--n->refs)
		return;
	n->dead = h->dead;
	h->dead = n;
}

void node_put(struct heap *h, struct node *n)
{
	if (!n)
		return;
	node_bury(h, n);
	while ((n = h->dead)) {
		h->dead = n->dead;
		dir_put(h, n->kids);
		perms_put(n->perms);
		h->bytes -= sizeof(*n) + n->room;
		slab_free(&h->slabs, n, sizeof(*n) + n->room);
	}
}

/* Makes *slot a node that only this version refers to. */
static int node_own(struct heap *h, struct node **slot)
{
	struct node *old = *slot, *n;
	size_t data = (size_t)old->name_len + old->value_len;
	uint16_t room;

	if (old->refs == 1)
		return 0;
	n = node_alloc(h, data);
	if (!n)
		return -ENOMEM;
	room = n->room;
	memcpy(n, old, sizeof(*n) + data);
	n->refs = 1;
	n->room = room;
	perms_get(n->perms);
	dir_get(n->kids);
	old->refs--;
	*slot = n;
	return 0;
}

static struct node **find_kid(const struct heap *h, const struct node *n, const char *name,
			      size_t len, bool *shared)
{
	return n->kids ? dir_find(n->kids, node_hash(h, name, len), name, len, shared) : NULL;
}

struct node *tree_kid(const struct heap *h, const struct node *n, const char *name, size_t len)
{
	bool shared = false;
	struct node **slot = find_kid(h, n, name, len, &shared);

	return slot ? *slot : NULL;
}

void tree_find(const struct heap *h, struct node **root, const char *path, size_t len,
	       struct tree_pos *ret_pos)
{
	struct tree_pos pos = { *root, NULL, root, NULL, 1, true, (*root)->refs > 1 };

	while (pos.rest < len) {
		size_t next = pos.rest;
		const char *name;
		size_t n = wire_component(path, len, &next, &name);
		struct node **slot = find_kid(h, pos.node, name, n, &pos.shared);

		if (!slot) {
			pos.found = false;
			break;
		}
		pos.parent = pos.node;
		pos.parent_slot = pos.slot;
		pos.node = *slot;
		pos.slot = slot;
		pos.shared |= pos.node->refs > 1;
		pos.rest = next;
	}
	*ret_pos = pos;
}

struct node *tree_get(const struct heap *h, struct node *root, const char *path, size_t len)
{
	struct tree_pos pos;

	tree_find(h, &root, path, len, &pos);
	return pos.found ? pos.node : NULL;
}

/* The slot of an existing node, all on the way owned by this version, its pages marked with domains. */
static int own_path(struct heap *h, struct node **root, const char *path, size_t len,
		    uint64_t domains, struct node ***ret_slot)
{
	struct node **slot = root, **kid;
	size_t at = 1;

	for (;;) {
		bool shared = false;
		const char *name;
		size_t n;
		int r = node_own(h, slot);

		if (r < 0)
			return r;
		if (at >= len)
			break;
		n = wire_component(path, len, &at, &name);
		kid = find_kid(h, *slot, name, n, &shared);
		if (!kid)
			return -ENOENT;
		r = dir_own_slot(h, &(*slot)->kids, *kid, domains, &slot);
		if (r < 0)
			return r;
	}
	*ret_slot = slot;
	return 0;
}

/* What is not shared and already marked needs no second walk. */
static int own_pos(struct heap *h, struct node **root, const struct tree_pos *pos, const char *path,
		   size_t len, uint64_t domains, struct node ***ret_slot)
{
	size_t upto = pos->found ? len : pos->rest - 1;

	if (pos->shared || (domains & ~node_domains(pos->node)))
		return own_path(h, root, path, upto, domains, ret_slot);
	*ret_slot = pos->slot;
	return 0;
}

static int set_value(struct heap *h, struct node **slot, const void *value, size_t value_len)
{
	struct node *n = *slot;
	size_t data = n->name_len + value_len;

	if (data > n->room || n->room > 2 * data + 64) {
		size_t room = room_for(data);

		n = slab_resize(&h->slabs, n, sizeof(*n) + n->room, sizeof(*n) + room);
		if (!n)
			return -ENOMEM;
		h->bytes += room - n->room;
		n->room = (uint16_t)room;
		*slot = n;
	}
	if (value_len)
		memcpy(n->data + n->name_len, value, value_len);
	n->value_len = (uint16_t)value_len;
	return 0;
}

int tree_write(struct heap *h, struct node **root, struct tree_pos *pos, const char *path,
	       size_t len, const void *value, size_t value_len, uint64_t stamp)
{
	struct node **slot;
	int r = own_pos(h, root, pos, path, len, 0, &slot);

	if (r == 0)
		r = set_value(h, slot, value, value_len);
	if (r < 0)
		return r;
	(*slot)->changed = stamp;
	pos->node = *slot;
	return 0;
}

int tree_set_perms(struct heap *h, struct node **root, struct tree_pos *pos, const char *path,
		   size_t len, struct perms *perms, uint64_t stamp)
{
	struct node **slot;
	int r = own_pos(h, root, pos, path, len, perms->domains, &slot);

	if (r < 0)
		return r;
	perms_get(perms);
	perms_put((*slot)->perms);
	(*slot)->perms = perms;
	(*slot)->changed = stamp;
	pos->node = *slot;
	return 0;
}

static int insert_kid(struct heap *h, struct node *parent, struct node *kid, uint64_t stamp)
{
	int r = dir_insert(h, &parent->kids, kid);

	if (r == 0)
		parent->kids->listed = stamp;
	return r;
}

/* The missing components from `rest` on, one below another, not yet part of the tree. */
static int new_chain(struct heap *h, const char *path, size_t rest, size_t len, struct perms *perms,
		     const void *value, size_t value_len, uint64_t stamp, struct node **ret_top,
		     struct node **ret_bottom)
{
	struct node *top = NULL, *bottom = NULL;

	for (size_t end = len; end > rest;) {
		size_t start = end;
		struct node *n;
		int r = 0;

		while (start > rest && path[start - 1] != '/')
			start--;
		n = node_new(h, path + start, end - start, perms, value, top ? 0 : value_len,
			     stamp);
		if (n && top)
			r = insert_kid(h, n, top, stamp);
		if (!n || r < 0) {
			node_put(h, n);
			node_put(h, top);
			return -ENOMEM;
		}
		if (top)
			node_put(h, top); /* its parent has one */
		else
			bottom = n;
		top = n;
		end = start - 1;
	}
	*ret_top = top;
	*ret_bottom = bottom;
	return 0;
}

int tree_create(struct heap *h, struct node **root, struct tree_pos *pos, const char *path,
		size_t len, struct perms *perms, const void *value, size_t value_len,
		uint64_t stamp)
{
	struct node **slot, *top, *bottom;
	int r;

	r = new_chain(h, path, pos->rest, len, perms, value, value_len, stamp, &top, &bottom);
	if (r < 0)
		return r;
	r = own_pos(h, root, pos, path, len, perms->domains, &slot);
	if (r == 0)
		r = insert_kid(h, *slot, top, stamp);
	if (r == 0)
		pos->node = bottom;
	node_put(h, top);
	return r;
}

static size_t parent_len(const char *path, size_t len)
{
	while (path[len - 1] != '/')
		len--;
	return len - 1; /* 0 for a child of the root: own_path() stops there, too */
}

int tree_remove(struct heap *h, struct node **root, const struct tree_pos *pos, const char *path,
		size_t len, uint64_t stamp, struct node **ret_removed)
{
	struct node **slot = pos->parent_slot, *n = pos->node;
	int r = 0;

	if (pos->shared)
		r = own_path(h, root, path, parent_len(path, len), 0, &slot);
	if (r < 0)
		return r;
	node_get(n);
	r = dir_remove(h, &(*slot)->kids, n);
	if (r < 0) {
		n->refs--;
		return r;
	}
	(*slot)->kids->listed = stamp;
	*ret_removed = n;
	return 0;
}

int tree_graft(struct heap *h, struct node **root, const char *path, size_t len, struct node *n,
	       uint64_t stamp)
{
	struct node **parent, **slot, *old;
	struct tree_pos pos;
	int r;

	tree_find(h, root, path, len, &pos);
	r = own_path(h, root, path, parent_len(path, len), node_domains(n), &parent);
	if (r < 0)
		return r;
	if (!pos.found)
		return insert_kid(h, *parent, n, stamp);
	r = dir_own_slot(h, &(*parent)->kids, pos.node, node_domains(n), &slot);
	if (r < 0)
		return r;
	old = *slot;
	*slot = node_get(n);
	(*parent)->kids->listed = stamp;
	node_put(h, old);
	return 0;
}

void tree_iter_init(struct tree_iter *it, const struct node *n)
{
	it->level = n->kids ? 0 : -1;
	it->page[0] = n->kids;
	it->at[0] = 0;
}

static void iter_enter(struct tree_iter *it, const struct dir *page)
{
	it->level++;
	it->page[it->level] = page;
	it->at[it->level] = 0;
}

const struct node *tree_iter_next(struct tree_iter *it)
{
	while (it->level >= 0) {
		const struct dir *d = it->page[it->level];
		const struct node *s;

		if (it->at[it->level] >= dir_nr_slots(d)) {
			it->level--;
			continue;
		}
		s = d->slot[it->at[it->level]++];
		if (!slot_is_page(s))
			return s;
		iter_enter(it, slot_page(s));
	}
	return NULL;
}

void tree_iter_seek(struct tree_iter *it, const struct node *n, size_t offset)
{
	tree_iter_init(it, n);
	if (offset >= node_kids_bytes(n))
		it->level = -1;
	while (offset && it->level >= 0) {
		const struct node *s = it->page[it->level]->slot[it->at[it->level]++];
		size_t size = slot_is_page(s) ? slot_page(s)->bytes : s->name_len + 1u;

		if (offset < size && slot_is_page(s))
			iter_enter(it, slot_page(s));
		else
			offset -= offset < size ? offset : size;
	}
}

static void each_in_page(const struct dir *d, void (*fn)(void *data, const struct node *n),
			 void *data)
{
	dir_prefetch(d);
	for (uint32_t i = 0; i < dir_nr_slots(d); i++) {
		const struct node *s = d->slot[i];

		if (slot_is_page(s))
			each_in_page(slot_page(s), fn, data);
		else
			tree_each(s, fn, data);
	}
}

void tree_each(const struct node *n, void (*fn)(void *data, const struct node *n), void *data)
{
	fn(data, n);
	if (n->kids)
		each_in_page(n->kids, fn, data);
}

struct listing {
	uint16_t domid;
	uint64_t bit;
	int (*fn)(void *data, const char *path, size_t len, const struct node *n);
	void *data;
	char path[WIRE_PATH_MAX + 1];
};

static int listing_node(struct listing *l, const struct node *n, size_t len);

static int listing_page(struct listing *l, const struct dir *d, size_t len)
{
	int r = 0;

	if (!(d->domains & l->bit))
		return 0;
	for (uint32_t i = 0; i < dir_nr_slots(d) && r >= 0; i++) {
		const struct node *s = d->slot[i];

		if (slot_is_page(s))
			r = listing_page(l, slot_page(s), len);
		else if (node_domains(s) & l->bit)
			r = listing_node(l, s, len);
	}
	return r;
}

/* len: of the path of the parent, without a slash at its end */
static int listing_node(struct listing *l, const struct node *n, size_t len)
{
	int r = 1;

	if (n->name_len) {
		l->path[len++] = '/';
		memcpy(l->path + len, node_name(n), n->name_len);
		len += n->name_len;
	}
	if (perms_lists(n->perms, l->domid))
		r = len ? l->fn(l->data, l->path, len, n) : l->fn(l->data, "/", 1, n);
	if (r <= 0 || !n->kids)
		return r;
	return listing_page(l, n->kids, len);
}

int tree_each_listing(const struct node *root, uint16_t domid,
		      int (*fn)(void *data, const char *path, size_t len, const struct node *n),
		      void *data)
{
	struct listing l = { .domid = domid, .bit = perm_bit(domid), .fn = fn, .data = data };
	int r = listing_node(&l, root, 0);

	return r < 0 ? r : 0;
}
