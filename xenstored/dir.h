/* SPDX-License-Identifier: MIT */
/*
 * The children of one node: a trie of pages over the hash of their names, 5 bits per level, each page
 * only as large as what it holds. Pages are counted and shared between versions of the tree like nodes
 * (see tree.h). Used by tree.c only.
 *
 * A slot holds a node, or a page marked by the lowest bit of the pointer. Below the seventh level all 32 bits of
 * the hash are used up: there map is 0 and the slots are just a list.
 * No page but the first of a directory holds a single node and nothing else; the first may be empty.
 */
#ifndef XENSTORED_DIR_H
#define XENSTORED_DIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xenstored/tree.h"

struct dir {
	uint32_t refs;
	uint32_t map;	  /* one bit per slot, in the order of the slots */
	uint32_t nr;	  /* nodes here and in the pages below */
	uint32_t bytes;	  /* of their names, with a NUL each */
	uint64_t domains; /* of the nodes, and so of all below them */
	uint64_t listed;  /* of the first page: stamp of its last change */
	struct node *slot[];
};

/* slot of the child, or NULL; *shared is set when a page on the way has more than one reference */
struct node **dir_find(const struct dir *d, uint32_t hash, const char *name, size_t len,
		       bool *shared);

/* These copy shared pages and so may move them: *d is the new first page. 0 or -ENOMEM */
int dir_insert(struct heap *h, struct dir **d,
	       struct node *n); /* not there yet; takes its own reference */
int dir_remove(struct heap *h, struct dir **d,
	       const struct node *n); /* is there; drops a reference */
/* slot of a child that is there, in pages of our own, with domains added to theirs */
int dir_own_slot(struct heap *h, struct dir **d, const struct node *n, uint64_t domains,
		 struct node ***ret_slot);

struct dir *dir_get(struct dir *d);
void dir_put(struct heap *h, struct dir *d);

static inline bool slot_is_page(const struct node *s)
{
	return (uintptr_t)s & 1;
}

static inline struct dir *slot_page(const struct node *s)
{
	return (struct dir *)((uintptr_t)s & ~(uintptr_t)1);
}

/* in place: without a machine option the compiler calls a function for it, on the hottest path */
static inline uint32_t dir_count_bits(uint32_t v)
{
	v -= v >> 1 & 0x55555555;
	v = (v & 0x33333333) + (v >> 2 & 0x33333333);
	return ((v + (v >> 4)) & 0x0f0f0f0f) * 0x01010101 >> 24;
}

static inline uint32_t dir_nr_slots(const struct dir *d)
{
	return d->map ? dir_count_bits(d->map) : d->nr;
}

/* before all slots are looked at: their memory comes at once and not one after another */
static inline void dir_prefetch(const struct dir *d)
{
	for (uint32_t i = 0; i < dir_nr_slots(d); i++)
		__builtin_prefetch(slot_page(d->slot[i]));
}

#endif
