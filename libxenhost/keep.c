/* SPDX-License-Identifier: MIT */
/* Deposits: argument checks, then the transport. */
#include "config.h"

#include <errno.h>

#include <xenhost/keep.h>

#include "libxenhost/internal.h"

int xenhost_keep_put(xenhost_t *host, const char *name, int fd)
{
	if (!host || !name || !*name || fd < 0)
		return -EINVAL;
	return host->ops->keep_put ? host->ops->keep_put(host->state, name, fd) : -EOPNOTSUPP;
}

int xenhost_keep_get(xenhost_t *host, const char *name, int *ret_fd)
{
	if (!host || !name || !*name || !ret_fd)
		return -EINVAL;
	return host->ops->keep_get ? host->ops->keep_get(host->state, name, ret_fd) : -EOPNOTSUPP;
}

int xenhost_keep_drop(xenhost_t *host, const char *name)
{
	if (!host || !name || !*name)
		return -EINVAL;
	return host->ops->keep_drop ? host->ops->keep_drop(host->state, name) : -EOPNOTSUPP;
}
