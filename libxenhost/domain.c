/* SPDX-License-Identifier: MIT */
/*
 * Domains as the transport tells them. With a watch the handle keeps the last word about each domain that
 * exists, sorted by domid, so that xenhost_domain_known() answers without asking.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libxenhost/internal.h"

#define STALE (1u << 31) /* of flags, in our copy: not told again since the snapshot began */

struct xh_domains {
	void (*fn)(xenhost_t *host, const struct xenhost_domain_info *info, void *data);
	void *data;
	struct xenhost_domain_info *known;
	size_t nr, room;
};

void xh_domains_free(struct xh_domains *domains)
{
	if (!domains)
		return;
	free(domains->known);
	free(domains);
}

/* index of the first entry that is not below domid */
static size_t find(const struct xh_domains *d, uint16_t domid)
{
	size_t lo = 0, hi = d->nr;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (d->known[mid].domid < domid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct xenhost_domain_info *get(const struct xh_domains *d, uint16_t domid)
{
	size_t i = find(d, domid);

	return i < d->nr && d->known[i].domid == domid ? &d->known[i] : NULL;
}

static int insert(struct xh_domains *d, const struct xenhost_domain_info *info)
{
	size_t i = find(d, info->domid);

	if (d->nr == d->room) {
		size_t room = d->room ? d->room * 2 : 16;
		struct xenhost_domain_info *more = reallocarray(d->known, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		d->known = more;
		d->room = room;
	}
	memmove(&d->known[i + 1], &d->known[i], (d->nr - i) * sizeof(*d->known));
	d->known[i] = *info;
	d->nr++;
	return 0;
}

static void forget(struct xh_domains *d, struct xenhost_domain_info *known)
{
	size_t i = (size_t)(known - d->known);

	memmove(known, known + 1, (d->nr - i - 1) * sizeof(*known));
	d->nr--;
}

/* Nobody said so, but it must be: its domid has another domain now, or none. */
static void tell_gone(xenhost_t *host, struct xenhost_domain_info *known)
{
	struct xh_domains *d = host->domains;
	struct xenhost_domain_info gone = *known;

	gone.state = XENHOST_DOMAIN_GONE;
	gone.flags &= XENHOST_DOMAIN_F_ENDED;
	forget(d, known);
	if (d->fn)
		d->fn(host, &gone, d->data);
}

void xh_domains_snapshot(xenhost_t *host)
{
	struct xh_domains *d = host->domains;

	for (size_t i = 0; d && i < d->nr; i++)
		d->known[i].flags |= STALE;
}

/* A callback may ask what is known, but cannot change it; still each round looks from the start. */
static void end_snapshot(xenhost_t *host)
{
	struct xh_domains *d = host->domains;
	size_t i = 0;

	while (i < d->nr)
		if (d->known[i].flags & STALE)
			tell_gone(host, &d->known[i]);
		else
			i++;
}

static int remember(xenhost_t *host, const struct xenhost_domain_info *info)
{
	struct xh_domains *d = host->domains;
	struct xenhost_domain_info *known = get(d, info->domid);

	if (info->state == XENHOST_DOMAIN_GONE) {
		if (known && known->unique_id == info->unique_id)
			forget(d, known);
		return 0;
	}
	if (known && known->unique_id != info->unique_id) {
		tell_gone(host, known);
		known = NULL;
	}
	if (!known)
		return insert(d, info);
	*known = *info;
	return 0;
}

void xenhost_transport_domain(xenhost_t *host, const struct xenhost_domain_info *info)
{
	struct xenhost_domain_info *known;
	struct xh_domains *d = host->domains;
	int r;

	if (!d)
		return;
	xh_trace(host, XENHOST_LOG_DOMAIN, "domain %u (%s) is in state %u", info->domid, info->name,
		 info->state);
	r = remember(host, info);
	known = get(d, info->domid);
	if (known)
		known->flags &= XENHOST_DOMAIN_F_ENDED;
	if (info->flags & XENHOST_DOMAIN_F_SNAPSHOT_END)
		end_snapshot(host);
	if (r == 0 && d->fn) /* else not known, so asked for when needed */
		d->fn(host, info, d->data);
}

static int query(xenhost_t *host, uint16_t domid, const char *name,
		 struct xenhost_domain_info *ret_info)
{
	if (!host || !ret_info)
		return -EINVAL;
	if (!host->ops->domain_info)
		return -EOPNOTSUPP;
	return host->ops->domain_info(host->state, domid, name, ret_info);
}

int xenhost_domain_info(xenhost_t *host, uint16_t domid, struct xenhost_domain_info *ret_info)
{
	return query(host, domid, NULL, ret_info);
}

int xenhost_domain_by_name(xenhost_t *host, const char *name, struct xenhost_domain_info *ret_info)
{
	if (!name || !*name || strlen(name) >= XENHOST_DOMAIN_NAME_MAX)
		return -EINVAL;
	return query(host, 0, name, ret_info);
}

int xenhost_domain_ended(xenhost_t *host, uint16_t domid, struct xenhost_domain_info *ret_info)
{
	if (!host || !ret_info)
		return -EINVAL;
	if (!host->ops->domain_ended)
		return query(host, domid, NULL, ret_info);
	return host->ops->domain_ended(host->state, domid, ret_info);
}

int xenhost_domain_watch(xenhost_t *host,
			 void (*fn)(xenhost_t *host, const struct xenhost_domain_info *info,
				    void *data),
			 void *data)
{
	int r;

	if (!host)
		return -EINVAL;
	if (!host->ops->domain_watch)
		return -EOPNOTSUPP;
	if (!fn) {
		if (host->domains)
			host->domains->fn = NULL;
		return 0;
	}
	if (host->domains)
		return -EBUSY;
	host->domains = calloc(1, sizeof(*host->domains));
	if (!host->domains)
		return -ENOMEM;
	host->domains->fn = fn;
	host->domains->data = data;
	r = host->ops->domain_watch(host->state);
	if (r < 0) {
		xh_domains_free(host->domains);
		host->domains = NULL;
	}
	return r;
}

int xenhost_domain_known(xenhost_t *host, uint16_t domid, struct xenhost_domain_info *ret_info)
{
	const struct xenhost_domain_info *known;

	if (!host || !host->domains || !ret_info)
		return -EINVAL;
	known = get(host->domains, domid);
	if (!known)
		return -ESRCH;
	*ret_info = *known;
	ret_info->flags &= XENHOST_DOMAIN_F_ENDED;
	return 0;
}

static int control(xenhost_t *host, uint16_t domid, int action)
{
	if (!host)
		return -EINVAL;
	if (!host->ops->domain_control)
		return -EOPNOTSUPP;
	if (!xh_allowed(host, domid))
		return -EPERM;
	return host->ops->domain_control(host->state, domid, action);
}

int xenhost_domain_unpause(xenhost_t *host, uint16_t domid)
{
	return control(host, domid, 0);
}

int xenhost_domain_pause(xenhost_t *host, uint16_t domid)
{
	return control(host, domid, 2);
}

int xenhost_domain_destroy(xenhost_t *host, uint16_t domid)
{
	return control(host, domid, 1);
}
