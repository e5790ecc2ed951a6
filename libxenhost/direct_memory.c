/* SPDX-License-Identifier: MIT */
/*
 * The guests of a handle and their memory. Owns the mappings and duplicates of the regions' descriptors.
 *
 * Looking a guest up takes no lock but that of the guest found: by_domid has two levels, of which the
 * lower are made once and stay, and so do the guests' structs. Whoever holds a struct's lock and sees the
 * domid it came for in it has the right one. guests->lock orders those that add and drop.
 * Lock order: guests->lock, then that of a guest.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libxenhost/direct_memory.h"

#include "common/cleanup.h"
#include "common/xen.h"

void direct_memory_lock_slow(struct direct_memory *mem)
{
	for (unsigned int spins = 1;; spins++) {
		if (!atomic_load_explicit(&mem->lock, memory_order_relaxed) &&
		    !atomic_exchange_explicit(&mem->lock, 1, memory_order_acquire))
			return;
		if (spins % 128 == 0)
			sched_yield(); /* the holder was preempted */
	}
}

static int map_region(struct mapped *m, const struct direct_region *region)
{
	int fd = fcntl(region->fd, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	m->region = *region;
	m->region.fd = fd;
	m->addr = mmap(NULL, region->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd,
		       (off_t)region->offset);
	if (m->addr == MAP_FAILED) {
		int error = -errno;

		close(fd);
		m->addr = NULL;
		return error;
	}
	return 0;
}

static void unmap_all(struct direct_memory *mem)
{
	for (size_t i = 0; i < mem->nr_regions; i++) {
		munmap(mem->regions[i].addr, mem->regions[i].region.size);
		close(mem->regions[i].region.fd);
	}
	if (mem->use)
		munmap(mem->use, mem->nr_grefs * sizeof(*mem->use));
	mem->use = NULL;
	mem->entries = NULL;
	mem->nr_grefs = 0;
	mem->nr_ram = 0;
	memset(mem->ram, 0, sizeof(mem->ram));
	mem->nr_regions = 0;
}

static int set_grant_frames(struct direct_memory *mem, const struct mapped *m)
{
	uint32_t n = (uint32_t)(m->region.size / sizeof(grant_entry_v1_t));

	/* not of the heap: most of it is never touched */
	void *use = mmap(NULL, n * sizeof(*mem->use), PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (use == MAP_FAILED)
		return -ENOMEM;
	mem->use = use;
	mem->nr_grefs = n;
	mem->entries = (void *)m->addr;
	return 0;
}

static int add_region(struct direct_memory *mem, const struct direct_region *region)
{
	struct mapped *m = &mem->regions[mem->nr_regions];
	int r = map_region(m, region);

	if (r < 0)
		return r;
	mem->nr_regions++;
	if (region->kind == DIRECT_RAM)
		mem->ram[mem->nr_ram++] = (struct ram){ region->gpa >> XEN_PAGE_SHIFT,
							region->size >> XEN_PAGE_SHIFT, m->addr };
	if (region->kind == DIRECT_GRANT_FRAMES && !mem->entries)
		return set_grant_frames(mem, m);
	return 0;
}

/* one that is free, or a new one; under guests->lock */
static struct direct_memory *take_free(struct direct_guests *g)
{
	struct direct_memory *mem;

	list_for_each(mem, &g->all, link)
		if (mem->nr_regions == 0)
			return mem;
	mem = calloc(1, sizeof(*mem));
	if (!mem)
		return NULL;
	mem->guests = g;
	mem->guest = DIRECT_NOBODY;
	list_append(&g->all, &mem->link);
	return mem;
}

static int make_leaf(struct direct_guests *g, uint16_t domid)
{
	_Atomic(struct direct_memory *) *leaf = atomic_load(&g->by_domid[domid >> 8]);

	if (leaf)
		return 0;
	leaf = calloc(256, sizeof(*leaf));
	if (!leaf)
		return -ENOMEM;
	atomic_store_explicit(&g->by_domid[domid >> 8], leaf, memory_order_release);
	return 0;
}

static void publish(struct direct_memory *mem, uint16_t domid, uint64_t unique_id)
{
	struct direct_guests *g = mem->guests;

	mem->unique_id = unique_id;
	mem->ours = (uint32_t)g->domid << 16 | GTF_permit_access;
	direct_memory_lock(mem);
	mem->guest = domid;
	direct_memory_unlock(mem);
	atomic_store_explicit(&atomic_load(&g->by_domid[domid >> 8])[domid & 0xff], mem,
			      memory_order_release);
}

static int add_locked(struct direct_guests *g, uint16_t domid, uint64_t unique_id,
		      const struct direct_region *regions, size_t n)
{
	struct direct_memory *mem = direct_memory_of(g, domid);
	int r;

	if (mem) {
		direct_memory_unlock(mem);
		return -EEXIST;
	}
	r = make_leaf(g, domid);
	if (r < 0)
		return r;
	mem = take_free(g);
	if (!mem)
		return -ENOMEM;
	for (size_t i = 0; i < n && r == 0; i++)
		r = add_region(mem, &regions[i]);
	if (r < 0)
		unmap_all(mem);
	else
		publish(mem, domid, unique_id);
	return r;
}

int direct_guests_add(struct direct_guests *g, uint16_t domid, uint64_t unique_id,
		      const struct direct_region *regions, size_t n)
{
	int r;

	if (n == 0 || n > BRIDGE_REGIONS_MAX)
		return -EINVAL;
	pthread_mutex_lock(&g->lock);
	r = add_locked(g, domid, unique_id, regions, n);
	pthread_mutex_unlock(&g->lock);
	return r;
}

void direct_memory_release(struct direct_memory *mem)
{
	struct direct_guests *g = mem->guests;

	pthread_mutex_lock(&g->lock);
	unmap_all(mem);
	pthread_mutex_unlock(&g->lock);
}

int direct_memory_attach(struct direct_guests *g, uint16_t domid, struct direct_memory **ret_mem)
{
	struct direct_memory *mem;
	int r = g->attach ? g->attach(g->data, domid) : -ESRCH;

	if (r < 0)
		return r;
	mem = direct_memory_of(g, domid);
	if (!mem)
		return -ESRCH; /* gone again */
	*ret_mem = mem;
	return 0;
}

/* under guests->lock: nobody finds it any more; whoever lets go of it last unmaps it */
static void drop(struct direct_memory *mem)
{
	bool unused;

	direct_memory_lock(mem);
	unused = mem->held == 0;
	mem->guest = DIRECT_NOBODY;
	direct_memory_unlock(mem);
	if (unused)
		unmap_all(mem);
}

void direct_guests_drop(struct direct_guests *g, uint64_t unique_id)
{
	struct direct_memory *mem;

	pthread_mutex_lock(&g->lock);
	list_for_each(mem, &g->all, link)
		if (mem->guest != DIRECT_NOBODY && mem->unique_id == unique_id)
			drop(mem);
	pthread_mutex_unlock(&g->lock);
}

void direct_guests_keep(struct direct_guests *g,
			bool (*there)(void *data, uint16_t domid, uint64_t unique_id), void *data)
{
	struct direct_memory *mem;

	pthread_mutex_lock(&g->lock);
	list_for_each(mem, &g->all, link)
		if (mem->guest != DIRECT_NOBODY &&
		    !there(data, (uint16_t)mem->guest, mem->unique_id))
			drop(mem);
	pthread_mutex_unlock(&g->lock);
}

void direct_guests_drop_others(struct direct_guests *g, uint16_t domid)
{
	struct direct_memory *mem;

	pthread_mutex_lock(&g->lock);
	list_for_each(mem, &g->all, link)
		if (mem->guest != DIRECT_NOBODY && mem->guest != domid)
			drop(mem);
	pthread_mutex_unlock(&g->lock);
}

void direct_guests_init(struct direct_guests *g, uint16_t domid,
			int (*attach)(void *data, uint16_t domid), void *data)
{
	memset(g, 0, sizeof(*g));
	g->domid = domid;
	g->attach = attach;
	g->data = data;
	list_init(&g->all);
	pthread_mutex_init(&g->lock, NULL);
}

/* What is still held is left as it is, mapped and marked: somebody may be writing there. */
void direct_guests_fini(struct direct_guests *g)
{
	struct direct_memory *mem, *tmp;

	list_for_each_safe(mem, tmp, &g->all, link) {
		list_remove(&mem->link);
		if (mem->held == 0)
			unmap_all(mem);
		else if (mem->use)
			munmap(mem->use, mem->nr_grefs * sizeof(*mem->use));
		free(mem);
	}
	for (size_t i = 0; i < 256; i++)
		free(atomic_load(&g->by_domid[i]));
	pthread_mutex_destroy(&g->lock);
}
