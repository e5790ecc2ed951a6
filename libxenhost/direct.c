/* SPDX-License-Identifier: MIT */
/*
 * One word per gref (use[]) counts this process's uses, so that two requests may name one grant: the
 * guest's entry is marked at the first and unmarked at the last. Its top bit is a lock for the few
 * instructions in which count and entry change together; nothing is decided from the guest's own bits.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libxenhost/direct.h"

#include "common/bridge.h"
#include "common/cleanup.h"
#include "common/xen.h"

#define USE_BUSY (1u << 31)
#define USE_WRITER (1u << 16) /* writers in bits 16-30, all users in bits 0-15 */
#define USE_USERS_MAX 0xfffu
#define ENTRY_TRIES 5

struct mapped {
	struct direct_region region;
	uint8_t *addr;
};

struct direct_memory {
	atomic_uint refs;
	uint16_t domid;
	size_t nr_regions;
	struct mapped regions[BRIDGE_REGIONS_MAX];
	const struct mapped *grant_frames; /* NULL: only reserved rings can be reached */
	uint32_t nr_grefs;
	atomic_uint *use;
};

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

static void memory_free(struct direct_memory *mem)
{
	for (size_t i = 0; i < mem->nr_regions; i++) {
		munmap(mem->regions[i].addr, mem->regions[i].region.size);
		close(mem->regions[i].region.fd);
	}
	free(mem->use);
	free(mem);
}

static void memory_freep(struct direct_memory **mem)
{
	if (*mem)
		memory_free(*mem);
}

static int set_grant_frames(struct direct_memory *mem, const struct mapped *m)
{
	mem->nr_grefs = (uint32_t)(m->region.size / sizeof(grant_entry_v1_t));
	mem->use = calloc(mem->nr_grefs, sizeof(*mem->use));
	if (!mem->use)
		return -ENOMEM;
	mem->grant_frames = m;
	return 0;
}

int direct_memory_new(uint16_t domid, const struct direct_region *regions, size_t n,
		      struct direct_memory **ret_mem)
{
	_cleanup_(memory_freep) struct direct_memory *mem = NULL;

	if (n > BRIDGE_REGIONS_MAX)
		return -EINVAL;
	mem = calloc(1, sizeof(*mem));
	if (!mem)
		return -ENOMEM;
	atomic_init(&mem->refs, 1);
	mem->domid = domid;
	for (size_t i = 0; i < n; i++) {
		int r = map_region(&mem->regions[i], &regions[i]);

		if (r < 0)
			return r;
		mem->nr_regions++;
		if (regions[i].kind == DIRECT_GRANT_FRAMES && !mem->grant_frames) {
			r = set_grant_frames(mem, &mem->regions[i]);
			if (r < 0)
				return r;
		}
	}
	*ret_mem = steal_ptr(&mem);
	return 0;
}

struct direct_memory *direct_memory_get(struct direct_memory *mem)
{
	atomic_fetch_add(&mem->refs, 1);
	return mem;
}

void direct_memory_put(struct direct_memory *mem)
{
	if (mem && atomic_fetch_sub(&mem->refs, 1) == 1)
		memory_free(mem);
}

/* the page of a frame in RAM; rings and grant frames are no memory that can be granted */
static const struct mapped *ram_of(const struct direct_memory *mem, uint64_t frame,
				   uint64_t *ret_offset)
{
	uint64_t gpa = frame << XEN_PAGE_SHIFT;

	for (size_t i = 0; i < mem->nr_regions; i++) {
		const struct direct_region *r = &mem->regions[i].region;

		if (r->kind != DIRECT_RAM || gpa < r->gpa || gpa - r->gpa >= r->size)
			continue;
		*ret_offset = gpa - r->gpa;
		return &mem->regions[i];
	}
	return NULL;
}

static uint32_t use_lock(atomic_uint *use)
{
	for (unsigned int spins = 0;; spins++) {
		unsigned int old = atomic_load_explicit(use, memory_order_relaxed);

		if (!(old & USE_BUSY) &&
		    atomic_compare_exchange_weak_explicit(
			    use, &old, old | USE_BUSY, memory_order_acquire, memory_order_relaxed))
			return old;
		if (spins % 128 == 127)
			sched_yield(); /* the holder was preempted */
	}
}

static void use_unlock(atomic_uint *use, uint32_t value)
{
	atomic_store_explicit(use, value, memory_order_release);
}

static _Atomic uint32_t *entry_of(const struct direct_memory *mem, uint32_t gref)
{
	return (_Atomic uint32_t *)(void *)(mem->grant_frames->addr +
					    (size_t)gref * sizeof(grant_entry_v1_t));
}

/* flags and domid are one word: checked and marked in use by one compare-and-swap */
static int entry_mark(const struct direct_memory *mem, uint32_t gref, bool write)
{
	_Atomic uint32_t *entry = entry_of(mem, gref);
	uint32_t word = atomic_load(entry);

	for (int i = 0; i < ENTRY_TRIES; i++) {
		uint32_t mark = GTF_reading | (write ? GTF_writing : 0);

		if ((word & GTF_type_mask) != GTF_permit_access || word >> 16 != mem->domid)
			return -EPERM;
		if (write && (word & GTF_readonly))
			return -EACCES;
		if (atomic_compare_exchange_strong(entry, &word, word | mark))
			return 0;
	}
	return -EAGAIN;
}

static void entry_unmark(const struct direct_memory *mem, uint32_t gref, uint32_t use)
{
	uint32_t clear = 0;

	if (use / USE_WRITER == 0)
		clear |= GTF_writing;
	if (use == 0)
		clear |= GTF_reading;
	if (clear)
		atomic_fetch_and(entry_of(mem, gref), ~clear);
}

static int gref_get(struct direct_memory *mem, uint32_t gref, bool write)
{
	uint32_t use;
	int r;

	if (!mem->grant_frames || gref >= mem->nr_grefs)
		return -EINVAL;
	use = use_lock(&mem->use[gref]);
	r = (use & 0xffff) >= USE_USERS_MAX ? -EBUSY : entry_mark(mem, gref, write);
	if (r == 0)
		use += 1 + (write ? USE_WRITER : 0);
	use_unlock(&mem->use[gref], use);
	return r;
}

static void gref_put(struct direct_memory *mem, uint32_t gref, bool write)
{
	uint32_t use = use_lock(&mem->use[gref]) - 1 - (write ? USE_WRITER : 0);

	entry_unmark(mem, gref, use);
	use_unlock(&mem->use[gref], use);
}

/* the frame is read after the entry was marked: from then on the guest must not change it */
static int gref_page(struct direct_memory *mem, uint32_t gref, bool write,
		     const struct mapped **ret_region, uint64_t *ret_offset)
{
	const struct mapped *m;
	uint32_t frame;
	int r = gref_get(mem, gref, write);

	if (r < 0)
		return r;
	frame = atomic_load(entry_of(mem, gref) + 1);
	m = ram_of(mem, frame, ret_offset);
	if (!m) {
		gref_put(mem, gref, write);
		return -EFAULT;
	}
	*ret_region = m;
	return 0;
}

int direct_io_begin(struct direct_memory *mem, struct xenhost_seg *segs, size_t n,
		    unsigned int prot, struct iovec *iov)
{
	bool write = prot & XENHOST_WRITE;
	int error = 0;

	for (size_t i = 0; i < n; i++) {
		const struct mapped *m;
		uint64_t offset;

		segs[i].status = gref_page(mem, segs[i].gref, write, &m, &offset);
		if (segs[i].status == 0)
			iov[i] = (struct iovec){ m->addr + offset + segs[i].offset, segs[i].len };
		else if (error == 0)
			error = segs[i].status;
	}
	if (error == 0)
		return 0;
	for (size_t i = 0; i < n; i++)
		if (segs[i].status == 0)
			gref_put(mem, segs[i].gref, write);
	return error;
}

void direct_io_end(struct direct_memory *mem, struct xenhost_seg *segs, size_t n, unsigned int prot)
{
	for (size_t i = 0; i < n; i++) {
		gref_put(mem, segs[i].gref, prot & XENHOST_WRITE);
		segs[i].status = 0;
	}
}

/*
 * A mapping of one page points into the RAM that is mapped anyway; several are made contiguous by mapping
 * each page of the memfd again (area, area_size).
 */
struct direct_map {
	struct direct_memory *mem;
	bool write;
	void *area;
	size_t area_size;
	size_t nr_grefs; /* held */
	uint32_t grefs[];
};

void direct_map_free(struct direct_map *map)
{
	if (!map)
		return;
	if (map->area)
		munmap(map->area, map->area_size);
	for (size_t i = 0; i < map->nr_grefs; i++)
		gref_put(map->mem, map->grefs[i], map->write);
	direct_memory_put(map->mem);
	free(map);
}

static void direct_map_freep(struct direct_map **map)
{
	direct_map_free(*map);
}

static struct direct_map *map_alloc(struct direct_memory *mem, size_t n, unsigned int prot)
{
	struct direct_map *map = calloc(1, sizeof(*map) + n * sizeof(uint32_t));

	if (!map)
		return NULL;
	map->mem = direct_memory_get(mem);
	map->write = prot & XENHOST_WRITE;
	return map;
}

/* grefs 0 and 1 have rings of their own behind them, which a service may hold without any RAM */
static const struct mapped *reserved_ring(const struct direct_memory *mem, uint32_t gref)
{
	enum direct_kind kind =
		gref == GNTTAB_RESERVED_XENSTORE ? DIRECT_STORE_RING : DIRECT_CONSOLE_RING;

	if (gref != GNTTAB_RESERVED_XENSTORE && gref != GNTTAB_RESERVED_CONSOLE)
		return NULL;
	for (size_t i = 0; i < mem->nr_regions; i++)
		if (mem->regions[i].region.kind == kind)
			return &mem->regions[i];
	return NULL;
}

static int reserve_area(struct direct_map *map, size_t n)
{
	void *area = mmap(NULL, n * XEN_PAGE_SIZE, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (area == MAP_FAILED)
		return -errno;
	map->area = area;
	map->area_size = n * XEN_PAGE_SIZE;
	return 0;
}

static int map_page(struct direct_map *map, size_t i, uint32_t gref)
{
	int prot = PROT_READ | (map->write ? PROT_WRITE : 0);
	const struct mapped *m;
	uint64_t offset;
	int r = gref_page(map->mem, gref, map->write, &m, &offset);

	if (r < 0)
		return r;
	map->grefs[map->nr_grefs++] = gref;
	if (mmap((uint8_t *)map->area + i * XEN_PAGE_SIZE, XEN_PAGE_SIZE, prot,
		 MAP_SHARED | MAP_FIXED, m->region.fd,
		 (off_t)(m->region.offset + offset)) == MAP_FAILED)
		return -errno;
	return 0;
}

static int map_single(struct direct_map *map, uint32_t gref, void **ret_addr)
{
	const struct mapped *m = reserved_ring(map->mem, gref);
	uint64_t offset = 0;
	int r;

	if (!m) {
		r = gref_page(map->mem, gref, map->write, &m, &offset);
		if (r < 0)
			return r;
		map->grefs[map->nr_grefs++] = gref;
	}
	*ret_addr = m->addr + offset;
	return 0;
}

int direct_map_new(struct direct_memory *mem, const uint32_t *grefs, size_t n, unsigned int prot,
		   void **ret_addr, struct direct_map **ret_map)
{
	_cleanup_(direct_map_freep) struct direct_map *map = map_alloc(mem, n, prot);
	int r;

	if (!map)
		return -ENOMEM;
	if (n == 1) {
		r = map_single(map, grefs[0], ret_addr);
		if (r < 0)
			return r;
		*ret_map = steal_ptr(&map);
		return 0;
	}
	r = reserve_area(map, n);
	for (size_t i = 0; i < n && r == 0; i++)
		r = map_page(map, i, grefs[i]);
	if (r < 0)
		return r;
	*ret_addr = map->area;
	*ret_map = steal_ptr(&map);
	return 0;
}
