/* SPDX-License-Identifier: MIT */
/*
 * Granting pages of our own domain to another one, the front end's half of grants. The handle knows all of
 * them: pages that the other side does not let go of are left to their fate, and end with the handle.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "libxenhost/internal.h"

struct xenhost_share {
	struct list link; /* host->shares */
	xenhost_t *host;
	void *addr;
	void *share; /* the transport's */
	size_t n;
	uint32_t grefs[];
};

int xenhost_share(xenhost_t *host, uint16_t domid, size_t n, unsigned int prot,
		  xenhost_share_t **ret_share)
{
	xenhost_share_t *share;
	int r;

	if (!host || !ret_share || n == 0 || n > XENHOST_GRANTS_MAX)
		return -EINVAL;
	if (prot != XENHOST_READ && prot != (XENHOST_READ | XENHOST_WRITE))
		return -EINVAL;
	if (!host->ops->share || !host->ops->unshare)
		return -EOPNOTSUPP;
	if (!xh_allowed(host, domid))
		return -EPERM;
	share = calloc(1, sizeof(*share) + n * sizeof(uint32_t));
	if (!share)
		return -ENOMEM;
	share->host = host;
	share->n = n;
	r = host->ops->share(host->state, domid, n, prot, share->grefs, &share->addr,
			     &share->share);
	if (r < 0) {
		free(share);
		return r;
	}
	list_append(&host->shares, &share->link);
	*ret_share = share;
	return 0;
}

void *xenhost_share_addr(const xenhost_share_t *share)
{
	return share->addr;
}

uint32_t xenhost_share_gref(const xenhost_share_t *share, size_t i)
{
	return i < share->n ? share->grefs[i] : 0;
}

int xenhost_unshare(xenhost_share_t *share)
{
	int r;

	if (!share)
		return 0;
	r = share->host->ops->unshare(share->host->state, share->share);
	if (r < 0)
		return r;
	list_remove(&share->link);
	free(share);
	return 0;
}

void xh_shares_free(xenhost_t *host)
{
	xenhost_share_t *share, *tmp;

	list_for_each_safe(share, tmp, &host->shares, link)
		free(share);
}
