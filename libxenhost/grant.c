/* SPDX-License-Identifier: MIT */
/* Grants: argument checks, then the transport. */
#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "libxenhost/internal.h"

#define IO_SEGS_MAX 512

struct xenhost_map {
	xenhost_t *host;
	void *addr;
	void *map;
};

static bool prot_valid(unsigned int prot)
{
	return prot && !(prot & ~(XENHOST_READ | XENHOST_WRITE));
}

int xenhost_map_grants(xenhost_t *host, uint16_t domid, const uint32_t *grefs, size_t n,
		       unsigned int prot, xenhost_map_t **ret_map)
{
	xenhost_map_t *map;
	int r;

	if (!host || !grefs || !ret_map || n == 0 || n > XENHOST_GRANTS_MAX || !prot_valid(prot))
		return -EINVAL;
	if (!host->ops->map)
		return -EOPNOTSUPP;
	map = malloc(sizeof(*map));
	if (!map)
		return -ENOMEM;
	map->host = host;
	r = host->ops->map(host->state, domid, grefs, n, prot, &map->addr, &map->map);
	if (r < 0) {
		free(map);
		return r;
	}
	*ret_map = map;
	return 0;
}

void *xenhost_map_addr(const xenhost_map_t *map)
{
	return map->addr;
}

xenhost_map_t *xenhost_unmap(xenhost_map_t *map)
{
	if (!map)
		return NULL;
	map->host->ops->unmap(map->host->state, map->map);
	free(map);
	return NULL;
}

static int check_segs(struct xenhost_seg *segs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (segs[i].len == 0 || (size_t)segs[i].offset + segs[i].len > XENHOST_PAGE_SIZE)
			return -EINVAL;
	return 0;
}

int xenhost_io_begin(xenhost_t *host, uint16_t domid, struct xenhost_seg *segs, size_t n,
		     unsigned int prot, struct iovec *iov)
{
	if (!host || !segs || !iov || n == 0 || n > IO_SEGS_MAX || !prot_valid(prot))
		return -EINVAL;
	if (check_segs(segs, n) < 0)
		return -EINVAL;
	if (!host->ops->io_begin)
		return -EOPNOTSUPP;
	return host->ops->io_begin(host->state, domid, segs, n, prot, iov);
}

int xenhost_io_end(xenhost_t *host, uint16_t domid, struct xenhost_seg *segs, size_t n,
		   unsigned int prot, struct iovec *iov)
{
	if (!host || !segs || !iov || n == 0 || n > IO_SEGS_MAX || !prot_valid(prot))
		return -EINVAL;
	return host->ops->io_end(host->state, domid, segs, n, prot, iov);
}
