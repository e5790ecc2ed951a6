/* SPDX-License-Identifier: MIT */
/* The handle: opening, closing, its one pollable descriptor. internal.h has the picture. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "libxenhost/internal.h"

#include "common/cleanup.h"

#define STORE_TIMEOUT_MS 5000

int xh_poll_add(xenhost_t *host, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };

	return epoll_ctl(host->poll_fd, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

void xh_poll_remove(xenhost_t *host, int fd)
{
	(void)epoll_ctl(host->poll_fd, EPOLL_CTL_DEL, fd, NULL);
}

static void handle_closep(xenhost_t **host)
{
	xenhost_close(*host);
}

int xenhost_open(const char *uri, unsigned int flags, xenhost_t **ret_host)
{
	_cleanup_(handle_closep) xenhost_t *host = NULL;
	const char *address;
	int r;

	if (!uri || flags & ~XENHOST_OPEN_KEEP_MARKS || !ret_host)
		return -EINVAL;
	host = calloc(1, sizeof(*host));
	if (!host)
		return -ENOMEM;
	host->flags = flags;
	list_init(&host->shares);
	host->store_timeout = STORE_TIMEOUT_MS;
	host->poll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (host->poll_fd < 0)
		return -errno;
	xh_log_from_environment(host);
	r = xh_uri_parse(host, uri, &host->ops, &address);
	if (r < 0)
		return r;
	host->transport_checks_segs =
		host->ops == &xh_transport_bridge || host->ops == &xh_transport_fake;
	r = host->ops->open(host, address, &host->state);
	if (r < 0)
		return r;
	*ret_host = steal_ptr(&host);
	return 0;
}

xenhost_t *xenhost_close(xenhost_t *host)
{
	if (!host)
		return NULL;
	xh_store_free(host->store);
	if (host->state)
		host->ops->close(host->state);
	xh_shares_free(host);
	xh_domains_free(host->domains);
	closep(&host->poll_fd);
	free(host);
	return NULL;
}

static int watch_transport(xenhost_t *host)
{
	int fd = host->ops->get_fd ? host->ops->get_fd(host->state) : -EOPNOTSUPP;
	int r;

	if (fd == -EOPNOTSUPP)
		return 0;
	r = fd < 0 ? fd : xh_poll_add(host, fd);
	return r == -EEXIST ? 0 : r; /* asked before */
}

/* Not when it is opened: who never waits for the set need not pay for each message that it is told of. */
int xenhost_get_fd(xenhost_t *host)
{
	int r = host ? watch_transport(host) : -EINVAL;

	return r < 0 ? r : host->poll_fd;
}

int xenhost_process(xenhost_t *host)
{
	int done = 0, r;

	if (!host)
		return -EINVAL;
	if (host->ops->process) {
		done = host->ops->process(host->state);
		if (done < 0)
			return done;
	}
	r = xh_store_process(host);
	return r < 0 ? r : done + r;
}

uint16_t xenhost_domid(xenhost_t *host)
{
	return host->ops->domid(host->state);
}

uint64_t xenhost_features(xenhost_t *host)
{
	return host->ops->features;
}

int xenhost_restrict(xenhost_t *host, uint16_t domid)
{
	int r = 0;

	if (!host)
		return -EINVAL;
	if (host->restricted)
		return domid == host->only_domid ? 0 : -EPERM;
	if (host->ops->restrict_to)
		r = host->ops->restrict_to(host->state, domid);
	if (r < 0)
		return r;
	host->only_domid = domid;
	host->restricted = true;
	return 0;
}
