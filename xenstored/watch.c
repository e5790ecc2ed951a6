/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "xenstored/tree.h"
#include "xenstored/watch.h"

/* Lives as long as it has watches or children. */
struct watch_node {
	struct table_link by_name;
	struct watch_node *parent;
	struct list watches;
	struct list kids;
	struct list of_parent;
	uint32_t name_len;
	char name[];
};

static struct watch_node *node_alloc(const char *name, size_t len)
{
	struct watch_node *n = calloc(1, sizeof(*n) + len);

	if (!n)
		return NULL;
	list_init(&n->watches);
	list_init(&n->kids);
	list_init(&n->of_parent);
	n->name_len = (uint32_t)len;
	if (len)
		memcpy(n->name, name, len);
	return n;
}

int watch_set_init(struct watch_set *ws, uint64_t seed)
{
	*ws = (struct watch_set){ .seed = seed };
	ws->root = node_alloc("", 0);
	ws->special = node_alloc("", 0);
	if (ws->root && ws->special)
		return 0;
	watch_set_fini(ws);
	return -ENOMEM;
}

void watch_set_fini(struct watch_set *ws)
{
	free(ws->root);
	free(ws->special);
	table_fini(&ws->nodes);
	table_fini(&ws->watches);
	ws->root = ws->special = NULL;
}

void watch_owner_init(struct watch_owner *o)
{
	list_init(&o->watches);
	o->nr = 0;
}

static uint32_t kid_hash(const struct watch_set *ws, const struct watch_node *parent,
			 const char *name, size_t len)
{
	return table_hash(ws->seed ^ (uintptr_t)parent, name, len);
}

static struct watch_node *kid_find(const struct watch_set *ws, const struct watch_node *parent,
				   const char *name, size_t len)
{
	struct table_link *l;

	table_for_each(l, &ws->nodes, kid_hash(ws, parent, name, len))
	{
		struct watch_node *n = list_entry(l, struct watch_node, by_name);

		if (n->parent == parent && n->name_len == len && !memcmp(n->name, name, len))
			return n;
	}
	return NULL;
}

static struct watch_node *kid_add(struct watch_set *ws, struct watch_node *parent, const char *name,
				  size_t len)
{
	struct watch_node *n = node_alloc(name, len);

	if (!n)
		return NULL;
	if (table_add(&ws->nodes, &n->by_name, kid_hash(ws, parent, name, len)) < 0) {
		free(n);
		return NULL;
	}
	n->parent = parent;
	list_append(&parent->kids, &n->of_parent);
	return n;
}

/* Frees a node that is not needed any more, and those above it. */
static void prune(struct watch_set *ws, struct watch_node *n)
{
	while (n->parent && list_empty(&n->watches) && list_empty(&n->kids)) {
		struct watch_node *parent = n->parent;

		list_remove(&n->of_parent);
		table_remove(&ws->nodes, &n->by_name);
		free(n);
		n = parent;
	}
}

static struct watch_node *start(const struct watch_set *ws, const char *path, size_t *ret_at)
{
	*ret_at = path[0] == '/' ? 1 : 0;
	return path[0] == '/' ? ws->root : ws->special;
}

static struct watch_node *find_node(const struct watch_set *ws, const char *path, size_t len)
{
	size_t at;
	struct watch_node *n = start(ws, path, &at);

	while (n && at < len) {
		const char *name;
		size_t name_len = wire_component(path, len, &at, &name);

		n = kid_find(ws, n, name, name_len);
	}
	return n;
}

static struct watch_node *make_node(struct watch_set *ws, const char *path, size_t len)
{
	size_t at;
	struct watch_node *n = start(ws, path, &at);

	while (at < len) {
		const char *name;
		size_t name_len = wire_component(path, len, &at, &name);
		struct watch_node *kid = kid_find(ws, n, name, name_len);

		if (!kid)
			kid = kid_add(ws, n, name, name_len);
		if (!kid) {
			prune(ws, n);
			return NULL;
		}
		n = kid;
	}
	return n;
}

static uint32_t watch_key(const struct watch_set *ws, const struct watch_owner *o,
			  const struct watch_node *n, const char *token, size_t len)
{
	return table_hash(ws->seed ^ (uintptr_t)o ^ (uintptr_t)n << 20, token, len);
}

static struct watch *find_at(const struct watch_set *ws, const struct watch_owner *o,
			     const struct watch_node *n, const char *token, size_t len)
{
	struct table_link *l;

	table_for_each(l, &ws->watches, watch_key(ws, o, n, token, len))
	{
		struct watch *w = list_entry(l, struct watch, by_key);

		if (w->owner == o && w->node == n && w->token_len == len &&
		    !memcmp(watch_token(w), token, len))
			return w;
	}
	return NULL;
}

struct watch *watch_find(const struct watch_set *ws, const struct watch_owner *o,
			 const struct wire_path *path, const char *token, size_t token_len)
{
	struct watch_node *n = find_node(ws, path->s, path->len);

	return n ? find_at(ws, o, n, token, token_len) : NULL;
}

static struct watch *watch_new(const struct wire_path *path, const char *token, size_t token_len)
{
	struct watch *w = malloc(sizeof(*w) + path->len + token_len);

	if (!w)
		return NULL;
	w->strip = path->strip;
	w->path_len = (uint32_t)path->len;
	w->token_len = (uint32_t)token_len;
	memcpy(w->data, path->s, path->len);
	memcpy(w->data + path->len, token, token_len);
	return w;
}

int watch_add(struct watch_set *ws, struct watch_owner *o, const struct wire_path *path,
	      const char *token, size_t token_len, int depth, struct watch **ret_watch)
{
	struct watch *w;
	struct watch_node *n;

	if (watch_find(ws, o, path, token, token_len))
		return -EEXIST;
	w = watch_new(path, token, token_len);
	if (!w)
		return -ENOMEM;
	n = make_node(ws, path->s, path->len);
	if (!n || table_add(&ws->watches, &w->by_key, watch_key(ws, o, n, token, token_len)) < 0) {
		if (n)
			prune(ws, n);
		free(w);
		return -ENOMEM;
	}
	w->owner = o;
	w->node = n;
	w->depth = depth;
	list_append(&o->watches, &w->of_owner);
	list_append(&n->watches, &w->at_node);
	o->nr++;
	*ret_watch = w;
	return 0;
}

void watch_remove(struct watch_set *ws, struct watch *w)
{
	struct watch_node *n = w->node;

	table_remove(&ws->watches, &w->by_key);
	list_remove(&w->of_owner);
	list_remove(&w->at_node);
	w->owner->nr--;
	free(w);
	prune(ws, n);
}

static int levels(const char *path, size_t len, size_t at)
{
	int n = 0;

	while (at < len) {
		const char *name;

		wire_component(path, len, &at, &name);
		n++;
	}
	return n;
}

void watch_match(struct watch_set *ws, const char *path, size_t len, watch_fn *fn, void *data)
{
	size_t at;
	struct watch_node *n = start(ws, path, &at);
	int below = levels(path, len, at);

	for (;; below--) {
		struct watch *w;
		const char *name;
		size_t name_len;

		list_for_each(w, &n->watches, at_node)
			if (w->depth == WATCH_ANY_DEPTH || w->depth >= below)
				fn(data, w);
		if (at >= len)
			return;
		name_len = wire_component(path, len, &at, &name);
		n = kid_find(ws, n, name, name_len);
		if (!n)
			return;
	}
}

struct removal {
	const struct heap *heap;
	watch_gone_fn *fn;
	void *data;
};

/* Recurses into what is both watched and removed: not deeper than a path can be. */
static void match_below(const struct removal *rm, struct watch_node *at, const struct node *gone)
{
	struct watch_node *kid;
	struct watch *w;

	list_for_each(kid, &at->kids, of_parent) {
		const struct node *n = tree_kid(rm->heap, gone, kid->name, kid->name_len);

		if (!n)
			continue;
		list_for_each(w, &kid->watches, at_node)
			rm->fn(rm->data, w, n, gone);
		match_below(rm, kid, n);
	}
}

void watch_match_removed(struct watch_set *ws, const struct heap *h, const char *path, size_t len,
			 const struct node *removed, watch_gone_fn *fn, void *data)
{
	struct removal rm = { h, fn, data };
	struct watch_node *n = find_node(ws, path, len);

	if (n)
		match_below(&rm, n, removed);
}
