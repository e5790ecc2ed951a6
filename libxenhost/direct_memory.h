/* SPDX-License-Identifier: MIT */
/* What direct_memory.c, direct.c and direct_map.c share: one guest's memory, and the lock on the way to it. */
#ifndef LIBXENHOST_DIRECT_MEMORY_H
#define LIBXENHOST_DIRECT_MEMORY_H

#include <stdbool.h>
#include <sys/single_threaded.h>

#include "common/bridge.h"
#include "libxenhost/direct.h"

#define DIRECT_NOBODY 0xffffffffu

struct mapped {
	struct direct_region region;
	uint8_t *addr;
};

/* RAM in frames, what a grant can name: rings and grant frames are no memory that can be granted */
struct ram {
	uint64_t first, nr;
	uint8_t *addr;
};

/*
 * Such a struct is used again for another guest but never freed while its handle lives, so that a thread
 * may take its lock before it knows whether it is still the guest's that it looked for.
 */
struct direct_memory {
	atomic_uint lock;
	uint32_t guest; /* domid, DIRECT_NOBODY when the guest is gone */
	uint32_t ours;	/* type and domid in the first word of an entry granted to us */
	uint32_t nr_grefs;
	_Atomic uint32_t *entries; /* of two words each; NULL: only reserved rings can be reached */
	uint32_t *use;		   /* one word for each gref: direct.c */
	uint64_t held;		   /* uses of all grefs, and mappings of rings */
	size_t nr_ram;
	struct ram ram[BRIDGE_REGIONS_MAX + 1]; /* ended by one without frames */

	struct list link; /* guests->all */
	struct direct_guests *guests;
	uint64_t unique_id;
	size_t nr_regions; /* 0: free to be used again */
	struct mapped regions[BRIDGE_REGIONS_MAX];
};

void direct_memory_lock_slow(struct direct_memory *mem);

/* Held for the few instructions in which counts and entries change together. */
static inline void direct_memory_lock(struct direct_memory *mem)
{
	if (__libc_single_threaded)
		return;
	if (atomic_exchange_explicit(&mem->lock, 1, memory_order_acquire))
		direct_memory_lock_slow(mem);
}

static inline void direct_memory_unlock(struct direct_memory *mem)
{
	atomic_store_explicit(&mem->lock, 0, memory_order_release);
}

/* the guest's memory, locked; NULL there is none */
static inline struct direct_memory *direct_memory_of(struct direct_guests *g, uint16_t domid)
{
	_Atomic(struct direct_memory *) *leaf =
		atomic_load_explicit(&g->by_domid[domid >> 8], memory_order_acquire);
	struct direct_memory *mem =
		leaf ? atomic_load_explicit(&leaf[domid & 0xff], memory_order_acquire) : NULL;

	if (!mem)
		return NULL;
	direct_memory_lock(mem);
	if (mem->guest == domid)
		return mem;
	direct_memory_unlock(mem);
	return NULL;
}

/* the same for one that is not there, after attaching it */
int direct_memory_attach(struct direct_guests *g, uint16_t domid, struct direct_memory **ret_mem);

/* Unmaps the memory of a guest that is gone, once nothing of it is held. */
void direct_memory_release(struct direct_memory *mem);

/* unlocks after `held` went down */
static inline void direct_memory_unheld(struct direct_memory *mem)
{
	bool last = mem->held == 0 && mem->guest == DIRECT_NOBODY;

	direct_memory_unlock(mem);
	if (last)
		direct_memory_release(mem);
}

/*
 * direct.c; with the lock: marks the entry of a gref in use, or unmarks it, and finds the page.
 * -EINVAL out of range, -EPERM, -EACCES, -EBUSY, -EAGAIN, -EFAULT
 */
int direct_gref_get(struct direct_memory *mem, uint32_t gref, unsigned int prot,
		    uint8_t **ret_page);
void direct_gref_put(struct direct_memory *mem, uint32_t gref, unsigned int prot);

#endif
