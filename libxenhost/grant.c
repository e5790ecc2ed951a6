/* SPDX-License-Identifier: MIT */
/* Grants: argument checks, then the transport. */
#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

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
	if (!xh_allowed(host, domid))
		return -EPERM;
	map = malloc(sizeof(*map));
	if (!map)
		return -ENOMEM;
	map->host = host;
	r = host->ops->map(host->state, domid, grefs, n, prot, &map->addr, &map->map);
	xh_trace(host, XENHOST_LOG_GRANT, "map domain %u gref %u and %zu more: %d", domid, grefs[0],
		 n - 1, r);
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
	xh_trace(map->host, XENHOST_LOG_GRANT, "unmap %p", map->addr);
	map->host->ops->unmap(map->host->state, map->map);
	free(map);
	return NULL;
}

static bool segs_valid(const struct xenhost_seg *segs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!xh_seg_valid(&segs[i]))
			return false;
	return true;
}

int xenhost_io_begin(xenhost_t *host, uint16_t domid, struct xenhost_seg *segs, size_t n,
		     unsigned int prot, struct iovec *iov)
{
	int r;

	if (!host || !segs || !iov || n == 0 || n > IO_SEGS_MAX || !prot_valid(prot))
		return -EINVAL;
	if (!host->transport_checks_segs && !segs_valid(segs, n))
		return -EINVAL;
	if (!host->ops->io_begin)
		return -EOPNOTSUPP;
	if (!xh_allowed(host, domid))
		return -EPERM;
	r = host->ops->io_begin(host->state, domid, segs, n, prot, iov);
	xh_trace(host, XENHOST_LOG_GRANT, "io domain %u, %zu segments: %d", domid, n, r);
	return r;
}

int xenhost_io_end(xenhost_t *host, uint16_t domid, struct xenhost_seg *segs, size_t n,
		   unsigned int prot, struct iovec *iov)
{
	if (!host || !segs || !iov || n == 0 || n > IO_SEGS_MAX || !prot_valid(prot))
		return -EINVAL;
	return host->ops->io_end(host->state, domid, segs, n, prot, iov);
}

static int translate_as_io(xenhost_t *host, uint16_t domid, uint32_t gref, unsigned int prot,
			   struct xenhost_page *page)
{
	struct xenhost_seg seg = { .gref = gref, .len = XENHOST_PAGE_SIZE };
	struct iovec iov;
	int r;

	if (!host->ops->io_begin)
		return -EOPNOTSUPP;
	r = host->ops->io_begin(host->state, domid, &seg, 1, prot, &iov);
	if (r == 0)
		*page = (struct xenhost_page){ iov.iov_base, domid, (uint16_t)prot, seg };
	return r;
}

static int translate_traced(xenhost_t *host, uint16_t domid, uint32_t gref, unsigned int prot,
			    struct xenhost_page *page)
{
	int r;

	if (host->ops->translate)
		r = host->ops->translate(host->state, domid, gref, prot, page);
	else
		r = translate_as_io(host, domid, gref, prot, page);
	xh_trace(host, XENHOST_LOG_GRANT, "translate domain %u gref %u: %d", domid, gref, r);
	return r;
}

/* The path that is always taken does no more than it must: it costs about as much as two atomic operations. */
int xenhost_translate_gref(xenhost_t *host, uint16_t domid, uint32_t gref, unsigned int prot,
			   struct xenhost_page *ret_page)
{
	if (!host || !ret_page || !prot_valid(prot))
		return -EINVAL;
	if (!xh_allowed(host, domid))
		return -EPERM;
	if (host->log_topics || !host->ops->translate)
		return translate_traced(host, domid, gref, prot, ret_page);
	return host->ops->translate(host->state, domid, gref, prot, ret_page);
}

static int put_as_io(xenhost_t *host, struct xenhost_page *page)
{
	struct iovec iov = { page->addr, XENHOST_PAGE_SIZE };

	page->addr = NULL;
	return host->ops->io_end(host->state, page->domid, &page->seg, 1, page->prot, &iov);
}

int xenhost_put_gref(xenhost_t *host, struct xenhost_page *page)
{
	if (!host || !page || !page->addr)
		return -EINVAL;
	return host->ops->translate ? host->ops->put(host->state, page) : put_as_io(host, page);
}

int xenhost_grants_settle(xenhost_t *host, uint16_t domid)
{
	int r;

	if (!host)
		return -EINVAL;
	if (!host->ops->settle)
		return -EOPNOTSUPP;
	if (!xh_allowed(host, domid))
		return -EPERM;
	r = host->ops->settle(host->state, domid);
	xh_trace(host, XENHOST_LOG_GRANT, "settle domain %u: %d", domid, r);
	return r;
}

static int copy_one(xenhost_t *host, uint16_t domid, struct xenhost_copy *c, unsigned int direction)
{
	struct xenhost_seg seg = { .gref = c->gref, .offset = c->offset, .len = c->len };
	struct iovec iov;
	int r;

	if (!c->local)
		return -EINVAL;
	r = xenhost_io_begin(host, domid, &seg, 1, direction, &iov);
	if (r < 0)
		return r;
	if (direction == XENHOST_READ)
		memcpy(c->local, iov.iov_base, c->len);
	else
		memcpy(iov.iov_base, c->local, c->len);
	return xenhost_io_end(host, domid, &seg, 1, direction, &iov);
}

int xenhost_grant_copy(xenhost_t *host, uint16_t domid, struct xenhost_copy *segs, size_t n,
		       unsigned int direction)
{
	int error = 0;

	if (!host || !segs || n == 0 || n > IO_SEGS_MAX)
		return -EINVAL;
	if (direction != XENHOST_READ && direction != XENHOST_WRITE)
		return -EINVAL;
	if (!host->ops->io_begin)
		return -EOPNOTSUPP;
	if (!xh_allowed(host, domid))
		return -EPERM;
	for (size_t i = 0; i < n; i++) {
		segs[i].status = copy_one(host, domid, &segs[i], direction);
		if (segs[i].status < 0 && error == 0)
			error = segs[i].status;
	}
	return error;
}
