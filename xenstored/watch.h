/* SPDX-License-Identifier: MIT */
/*
 * All watches, found by path: a trie with one node per watched component (and the components above), so
 * that a change costs its depth plus the watches that match, however many others there are.
 * Knows nothing of connections: an owner is a list that its connection embeds.
 * Special paths ("@releaseDomain") have a trie of their own; "/" is not above them.
 */
#ifndef XENSTORED_WATCH_H
#define XENSTORED_WATCH_H

#include <stddef.h>
#include <stdint.h>

#include "common/list.h"
#include "xenstored/table.h"
#include "xenstored/wire.h"

#define WATCH_ANY_DEPTH (-1)

struct node;
struct heap;
struct watch_node;

struct watch_owner {
	struct list watches;
	uint32_t nr;
};

struct watch {
	struct table_link by_key; /* owner, path, token */
	struct list of_owner;
	struct list at_node;
	struct watch_owner *owner;
	struct watch_node *node;
	int depth;	/* how far below the path it looks, or WATCH_ANY_DEPTH */
	uint32_t strip; /* this many bytes at the front of an event's path are not shown */
	uint32_t path_len, token_len;
	char data[]; /* path, token */
};

struct watch_set {
	uint64_t seed;
	struct table nodes;   /* by parent and name */
	struct table watches; /* by owner, node and token */
	struct watch_node *root, *special;
};

static inline const char *watch_path(const struct watch *w)
{
	return w->data;
}

static inline const char *watch_token(const struct watch *w)
{
	return w->data + w->path_len;
}

/* bytes that quotas count */
static inline size_t watch_size(size_t path_len, size_t token_len)
{
	return sizeof(struct watch) + path_len + token_len;
}

int watch_set_init(struct watch_set *ws, uint64_t seed);
void watch_set_fini(struct watch_set *ws); /* no watches are left */

void watch_owner_init(struct watch_owner *o);

/* 0, -EEXIST, -ENOMEM */
int watch_add(struct watch_set *ws, struct watch_owner *o, const struct wire_path *path,
	      const char *token, size_t token_len, int depth, struct watch **ret_watch);
struct watch *watch_find(const struct watch_set *ws, const struct watch_owner *o,
			 const struct wire_path *path, const char *token, size_t token_len);
void watch_remove(struct watch_set *ws, struct watch *w);

/*
 * fn for every watch at or above path whose depth reaches it, those further up first. fn must not add or
 * remove watches.
 */
typedef void watch_fn(void *data, struct watch *w);
void watch_match(struct watch_set *ws, const char *path, size_t len, watch_fn *fn, void *data);

/*
 * fn for every watch strictly below path whose own node went with the subtree `removed`: parent is the
 * removed node above it.
 */
typedef void watch_gone_fn(void *data, struct watch *w, const struct node *gone,
			   const struct node *parent);
void watch_match_removed(struct watch_set *ws, const struct heap *h, const char *path, size_t len,
			 const struct node *removed, watch_gone_fn *fn, void *data);

#endif
