/* SPDX-License-Identifier: MIT */
/*
 * Mappings of granted pages, for rings. One page points into the RAM that is mapped anyway; several are
 * made contiguous by mapping each page of the memfd again (area, area_size). A mapping holds its grefs, or
 * the ring behind a reserved one, and with them the guest's memory.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "libxenhost/direct_memory.h"

#include "common/cleanup.h"
#include "common/xen.h"

struct direct_map {
	struct direct_memory *mem;
	unsigned int prot;
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
	direct_memory_lock(map->mem);
	for (size_t i = 0; i < map->nr_grefs; i++)
		direct_gref_put(map->mem, map->grefs[i], map->prot);
	map->mem->held--;
	direct_memory_unheld(map->mem);
	free(map);
}

static void direct_map_freep(struct direct_map **map)
{
	direct_map_free(*map);
}

static int map_alloc(struct direct_guests *g, uint16_t domid, size_t n, unsigned int prot,
		     struct direct_map **ret_map)
{
	struct direct_map *map = calloc(1, sizeof(*map) + n * sizeof(uint32_t));

	if (!map)
		return -ENOMEM;
	map->prot = prot;
	map->mem = direct_memory_of(g, domid);
	if (!map->mem) {
		int r = direct_memory_attach(g, domid, &map->mem);

		if (r < 0) {
			free(map);
			return r;
		}
	}
	map->mem->held++;
	direct_memory_unlock(map->mem);
	*ret_map = map;
	return 0;
}

/* grefs 0 and 1 have rings of their own behind them, which a service may hold without any RAM */
static uint8_t *reserved_ring(const struct direct_memory *mem, uint32_t gref)
{
	enum direct_kind kind =
		gref == GNTTAB_RESERVED_XENSTORE ? DIRECT_STORE_RING : DIRECT_CONSOLE_RING;

	if (gref != GNTTAB_RESERVED_XENSTORE && gref != GNTTAB_RESERVED_CONSOLE)
		return NULL;
	for (size_t i = 0; i < mem->nr_regions; i++)
		if (mem->regions[i].region.kind == kind)
			return mem->regions[i].addr;
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

static int hold(struct direct_map *map, uint32_t gref, uint8_t **ret_page)
{
	int r;

	direct_memory_lock(map->mem);
	r = direct_gref_get(map->mem, gref, map->prot, ret_page);
	direct_memory_unlock(map->mem);
	if (r == 0)
		map->grefs[map->nr_grefs++] = gref;
	return r;
}

/* the descriptor of the region that a page is in, and where */
static int fd_of(const struct direct_memory *mem, const uint8_t *page, off_t *ret_offset)
{
	for (size_t i = 0; i < mem->nr_regions; i++) {
		const struct mapped *m = &mem->regions[i];
		size_t offset = (size_t)((uintptr_t)page - (uintptr_t)m->addr);

		if (offset >= m->region.size)
			continue;
		*ret_offset = (off_t)(m->region.offset + offset);
		return m->region.fd;
	}
	return -EFAULT;
}

static int map_page(struct direct_map *map, size_t i, uint32_t gref)
{
	int prot = PROT_READ | (map->prot & XENHOST_WRITE ? PROT_WRITE : 0);
	uint8_t *page;
	off_t offset = 0;
	int r = hold(map, gref, &page), fd;

	if (r < 0)
		return r;
	fd = fd_of(map->mem, page, &offset);
	if (fd < 0)
		return fd;
	if (mmap((uint8_t *)map->area + i * XEN_PAGE_SIZE, XEN_PAGE_SIZE, prot,
		 MAP_SHARED | MAP_FIXED, fd, offset) == MAP_FAILED)
		return -errno;
	return 0;
}

static int map_single(struct direct_map *map, uint32_t gref, void **ret_addr)
{
	uint8_t *page = reserved_ring(map->mem, gref);
	int r = page ? 0 : hold(map, gref, &page);

	if (r == 0)
		*ret_addr = page;
	return r;
}

int direct_map_new(struct direct_guests *g, uint16_t domid, const uint32_t *grefs, size_t n,
		   unsigned int prot, void **ret_addr, struct direct_map **ret_map)
{
	_cleanup_(direct_map_freep) struct direct_map *map = NULL;
	int r = map_alloc(g, domid, n, prot, &map);

	if (r < 0)
		return r;
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
