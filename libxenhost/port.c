/* SPDX-License-Identifier: MIT */
/* Event channel ports: one object and one descriptor per port. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "libxenhost/internal.h"

struct xenhost_port {
	xenhost_t *host;
	struct xenhost_port_fds fds;
};

static int port_new(xenhost_t *host, const struct xenhost_port_fds *fds, xenhost_port_t **ret_port)
{
	xenhost_port_t *port = malloc(sizeof(*port));

	if (!port) {
		if (host->ops->port_close)
			(void)host->ops->port_close(host->state, fds->port);
		close(fds->wait_fd);
		if (fds->notify_fd != fds->wait_fd)
			close(fds->notify_fd);
		return -ENOMEM;
	}
	port->host = host;
	port->fds = *fds;
	*ret_port = port;
	return 0;
}

int xenhost_port_bind(xenhost_t *host, uint16_t domid, uint32_t remote_port,
		      xenhost_port_t **ret_port)
{
	struct xenhost_port_fds fds = { 0 };
	int r;

	if (!host || !ret_port)
		return -EINVAL;
	if (!host->ops->port_bind)
		return -EOPNOTSUPP;
	if (!xh_allowed(host, domid))
		return -EPERM;
	r = host->ops->port_bind(host->state, domid, remote_port, &fds);
	xh_trace(host, XENHOST_LOG_PORT, "bind domain %u port %u: %d", domid, remote_port,
		 r < 0 ? r : (int)fds.port);
	return r < 0 ? r : port_new(host, &fds, ret_port);
}

int xenhost_port_alloc(xenhost_t *host, uint16_t domid, xenhost_port_t **ret_port)
{
	struct xenhost_port_fds fds = { 0 };
	int r;

	if (!host || !ret_port)
		return -EINVAL;
	if (!host->ops->port_alloc)
		return -EOPNOTSUPP;
	if (!xh_allowed(host, domid))
		return -EPERM;
	r = host->ops->port_alloc(host->state, domid, &fds);
	xh_trace(host, XENHOST_LOG_PORT, "alloc for domain %u: %d", domid,
		 r < 0 ? r : (int)fds.port);
	return r < 0 ? r : port_new(host, &fds, ret_port);
}

/* The host may be lost already: then there is nobody to tell, and the descriptors are ours anyway. */
xenhost_port_t *xenhost_port_close(xenhost_port_t *port)
{
	if (!port)
		return NULL;
	xh_trace(port->host, XENHOST_LOG_PORT, "close %u", port->fds.port);
	if (port->host->ops->port_close)
		(void)port->host->ops->port_close(port->host->state, port->fds.port);
	close(port->fds.wait_fd);
	if (port->fds.notify_fd != port->fds.wait_fd)
		close(port->fds.notify_fd);
	free(port);
	return NULL;
}

uint32_t xenhost_port_number(const xenhost_port_t *port)
{
	return port->fds.port;
}

int xenhost_port_fd(const xenhost_port_t *port)
{
	return port->fds.wait_fd;
}

int xenhost_port_ack(xenhost_port_t *port)
{
	return port->host->ops->port_ack(port->host->state, &port->fds);
}

int xenhost_port_notify(xenhost_port_t *port)
{
	return port->host->ops->port_notify(port->host->state, &port->fds);
}
