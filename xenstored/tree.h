/* SPDX-License-Identifier: MIT */
/*
 * The tree of nodes. Nodes are counted and shared between versions of the tree: a version is a root
 * pointer, keeping one is keeping a reference to its root. A change copies what it shares with other
 * versions on the way from the root (nodes and directory pages with more than one reference) and changes
 * in place what it does not share; so with one version it is an ordinary tree, and with open
 * transactions each change costs the depth times the logarithm of the directories' sizes.
 *
 * Two nodes at the same path in two versions that are the same pointer are the same in everything below.
 *
 * Changes either happen or fail with -ENOMEM and leave the tree as it was.
 * Knows no sockets, no clock. One thread. heap_fini() when no node is left.
 */
#ifndef XENSTORED_TREE_H
#define XENSTORED_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xenstored/perm.h"
#include "xenstored/slab.h"

struct dir;

struct node {
	uint32_t refs;
	uint32_t hash; /* of the name */
	uint16_t name_len;
	uint16_t value_len;
	uint16_t room; /* bytes at data */
	union {
		uint64_t
			changed; /* stamp of the last change of value or permissions, or of its creation */
		struct node *dead; /* while it waits to be freed */
	};
	struct perms *perms;
	struct dir *kids; /* stays when the last child has gone */
	char data[];	  /* name, value */
};

/* What all versions of one store have in common. */
struct heap {
	uint64_t seed; /* of the hash of names */
	size_t bytes;  /* in nodes and directory pages */
	struct slabs slabs;
	struct node *dead; /* to be freed: a list instead of a recursion down the tree */
};

/* Where a path ends. Valid until the next change. */
struct tree_pos {
	struct node *node;   /* at the path, or its nearest existing ancestor */
	struct node *parent; /* of node, NULL for the root */
	struct node **slot;  /* that points to node */
	struct node **parent_slot;
	size_t rest; /* where in the path the first missing component begins; len + 1 when found */
	bool found;
	bool shared; /* something on the way belongs to other versions, too */
};

static inline const char *node_name(const struct node *n)
{
	return n->data;
}

static inline const char *node_value(const struct node *n)
{
	return n->data + n->name_len;
}

/* bytes that quotas count for a node */
static inline size_t node_size(const struct node *n)
{
	return sizeof(*n) + n->name_len + n->value_len;
}

size_t node_nr_kids(const struct node *n);
size_t node_kids_bytes(const struct node *n); /* of the names with a NUL each */
/* stamp of the last change of the list of children; 0: it never had any */
uint64_t node_listed(const struct node *n);

void heap_fini(struct heap *h);

/* a single node without a name; takes its own reference to perms */
struct node *tree_root_new(struct heap *h, struct perms *perms, uint64_t stamp);
struct node *node_get(struct node *n);
void node_put(struct heap *h, struct node *n);

/* path is canonical and absolute ("/", "/a/b") */
void tree_find(const struct heap *h, struct node **root, const char *path, size_t len,
	       struct tree_pos *ret_pos);
/* just the node, or NULL */
struct node *tree_get(const struct heap *h, struct node *root, const char *path, size_t len);
struct node *tree_kid(const struct heap *h, const struct node *n, const char *name, size_t len);

/*
 * The changes; pos is what tree_find() of the same root and path has just given. stamp goes into the
 * nodes that change. All but tree_remove() leave the node that is now at the path in pos->node.
 */
int tree_write(struct heap *h, struct node **root, struct tree_pos *pos, const char *path,
	       size_t len, const void *value, size_t value_len, uint64_t stamp);
int tree_set_perms(struct heap *h, struct node **root, struct tree_pos *pos, const char *path,
		   size_t len, struct perms *perms, uint64_t stamp);
/* the missing components, the last one with the value, all with these permissions */
int tree_create(struct heap *h, struct node **root, struct tree_pos *pos, const char *path,
		size_t len, struct perms *perms, const void *value, size_t value_len,
		uint64_t stamp);
/* takes the node with all below out; the reference becomes the caller's. Not for the root */
int tree_remove(struct heap *h, struct node **root, const struct tree_pos *pos, const char *path,
		size_t len, uint64_t stamp, struct node **ret_removed);
/*
 * Puts a node (of another version of the same store, same name) at the path whose parent exists, in
 * place of what is there. Takes its own reference.
 */
int tree_graft(struct heap *h, struct node **root, const char *path, size_t len, struct node *n,
	       uint64_t stamp);

/* children one after another, in an order that stays the same while the directory does */
#define DIR_LEVELS 8
struct tree_iter {
	const struct dir *page[DIR_LEVELS];
	uint32_t at[DIR_LEVELS];
	int level; /* -1: at the end */
};

void tree_iter_init(struct tree_iter *it, const struct node *n);
/* starts at the first name that begins at or behind that byte of the names with a NUL each */
void tree_iter_seek(struct tree_iter *it, const struct node *n, size_t offset);
const struct node *tree_iter_next(struct tree_iter *it);

/*
 * These call fn for n and all below, parents first. They recurse once per level, at most WIRE_DEPTH_MAX
 * times, since no path is longer than WIRE_PATH_MAX; fn must not change the tree.
 */
void tree_each(const struct node *n, void (*fn)(void *data, const struct node *n), void *data);
/*
 * Only nodes whose permissions list domid, without looking where none can be. fn: < 0 ends the walk, 0
 * leaves out what is below that node.
 */
int tree_each_listing(const struct node *root, uint16_t domid,
		      int (*fn)(void *data, const char *path, size_t len, const struct node *n),
		      void *data);

/* inside of the tree, shared with dir.c */
uint32_t node_hash(const struct heap *h, const char *name, size_t len);
/* perm_bit() of domains in permissions here and below, possibly more */
uint64_t node_domains(const struct node *n);
void node_bury(struct heap *h,
	       struct node *n); /* drops a reference; the node goes to h->dead with the last one */

#endif
