/* SPDX-License-Identifier: MIT */
/*
 * Memory for the small pieces that the tree is made of: by size classes of 8 bytes, without a header each,
 * neighbours of one size next to each other. What becomes free is used again by the same class; a slab
 * that is empty goes back, and what is more than a few of them to the system.
 * The caller gives the size back with the piece. Larger pieces come from malloc(), and all do under the
 * address sanitizer, so that it sees them.
 */
#ifndef XENSTORED_SLAB_H
#define XENSTORED_SLAB_H

#include <stddef.h>

#include "common/list.h"

#define SLAB_STEP 8u
#define SLAB_LARGEST 512u

struct slab_region;

struct slabs {
	struct list partial[SLAB_LARGEST / SLAB_STEP]; /* of slabs with room; first all zeros */
	struct list empty;
	size_t nr_empty;
	struct slab_region *regions;
};

/* what slab_alloc() really takes */
static inline size_t slab_size(size_t size)
{
	return (size + SLAB_STEP - 1) & ~(size_t)(SLAB_STEP - 1);
}

/* a struct slabs that is all zeros is ready. NULL: out of memory */
void *slab_alloc(struct slabs *s, size_t size);
void slab_free(struct slabs *s, void *p, size_t size);
/* NULL: as it was */
void *slab_resize(struct slabs *s, void *p, size_t old_size, size_t size);
/* nothing is in use any more */
void slab_fini(struct slabs *s);

#endif
