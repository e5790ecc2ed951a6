/* SPDX-License-Identifier: MIT */
/*
 * A transport of one's own: "via:RUNDIR,SERVICE" is the host that xenhost-bridged serves there, reached through a
 * second handle. Shows every operation that a back end needs; a real one would do something else inside of them.
 *   cc -shared -fPIC via-transport.c $(pkg-config --cflags --libs xenhost) -o DIR/via.so
 *   XENHOST_TRANSPORTS=DIR upper-backend via:RUNDIR,upper
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <xenhost/evtchn.h>
#include <xenhost/transport.h>

#define PORTS 256

struct via {
	xenhost_t *outer, *inner;
	xenhost_port_t *ports[PORTS]; /* by number */
	char store[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

static int via_open(xenhost_t *host, const char *address, void **ret_state)
{
	struct via *v = calloc(1, sizeof(*v));
	char rundir[64], service[32], uri[160];
	int r = -EINVAL;

	if (!v)
		return -ENOMEM;
	v->outer = host;
	if (sscanf(address, "%63[^,],%31s", rundir, service) == 2) {
		snprintf(v->store, sizeof(v->store), "%s/store/%s.sock", rundir, service);
		snprintf(uri, sizeof(uri), "bridge:%s/bridge/%s.sock", rundir, service);
		r = xenhost_open(uri, 0, &v->inner);
	}
	if (r < 0)
		free(v);
	else
		*ret_state = v;
	return r;
}

static void via_close(void *state)
{
	struct via *v = state;

	for (unsigned int i = 0; i < PORTS; i++)
		xenhost_port_close(v->ports[i]);
	xenhost_close(v->inner);
	free(v);
}

static uint16_t via_domid(void *state)
{
	return xenhost_domid(((struct via *)state)->inner);
}

static int via_get_fd(void *state)
{
	return xenhost_get_fd(((struct via *)state)->inner);
}

static int via_process(void *state)
{
	return xenhost_process(((struct via *)state)->inner);
}

static int via_store_connect(void *state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error;

	strcpy(addr.sun_path, ((struct via *)state)->store);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	error = -errno;
	if (fd >= 0)
		close(fd);
	return error;
}

static void on_domain(xenhost_t *inner, const struct xenhost_domain_info *info, void *data)
{
	(void)inner;
	xenhost_transport_domain(((struct via *)data)->outer, info);
}

static int via_domain_watch(void *state)
{
	struct via *v = state;

	return xenhost_domain_watch(v->inner, on_domain, v);
}

/* the library closes what it gets, so it gets duplicates */
static int via_port_bind(void *state, uint16_t domid, uint32_t remote, struct xenhost_port_fds *ret)
{
	struct via *v = state;
	xenhost_port_t *port;
	int fd, r = xenhost_port_bind(v->inner, domid, remote, &port);

	if (r < 0)
		return r;
	fd = fcntl(xenhost_port_fd(port), F_DUPFD_CLOEXEC, 0);
	if (fd < 0 || xenhost_port_number(port) >= PORTS) {
		xenhost_port_close(port);
		if (fd >= 0)
			close(fd);
		return -EMFILE;
	}
	v->ports[xenhost_port_number(port)] = port;
	*ret = (struct xenhost_port_fds){ .port = xenhost_port_number(port),
					  .wait_fd = fd,
					  .notify_fd = fd };
	return 0;
}

static int via_port_close(void *state, uint32_t number)
{
	struct via *v = state;

	v->ports[number] = xenhost_port_close(v->ports[number]);
	return 0;
}

static int via_port_ack(void *state, const struct xenhost_port_fds *port)
{
	return xenhost_port_ack(((struct via *)state)->ports[port->port]);
}

static int via_port_notify(void *state, const struct xenhost_port_fds *port)
{
	return xenhost_port_notify(((struct via *)state)->ports[port->port]);
}

static int via_map(void *state, uint16_t domid, const uint32_t *grefs, size_t n, unsigned int prot,
		   void **ret_addr, void **ret_map)
{
	xenhost_map_t *map;
	int r = xenhost_map_grants(((struct via *)state)->inner, domid, grefs, n, prot, &map);

	if (r == 0) {
		*ret_addr = xenhost_map_addr(map);
		*ret_map = map;
	}
	return r;
}

static void via_unmap(void *state, void *map)
{
	(void)state;
	xenhost_unmap(map);
}

static int via_io_begin(void *state, uint16_t domid, struct xenhost_seg *segs, size_t n,
			unsigned int prot, struct iovec *iov)
{
	return xenhost_io_begin(((struct via *)state)->inner, domid, segs, n, prot, iov);
}

static int via_io_end(void *state, uint16_t domid, struct xenhost_seg *segs, size_t n,
		      unsigned int prot, struct iovec *iov)
{
	return xenhost_io_end(((struct via *)state)->inner, domid, segs, n, prot, iov);
}

const struct xenhost_transport_ops xenhost_transport_plugin = {
	.size = sizeof(xenhost_transport_plugin),
	.scheme = "via",
	.features = XENHOST_F_MAP | XENHOST_F_DIRECT | XENHOST_F_DOMAINS,
	.open = via_open,
	.close = via_close,
	.domid = via_domid,
	.get_fd = via_get_fd,
	.process = via_process,
	.store_connect = via_store_connect,
	.domain_watch = via_domain_watch,
	.port_bind = via_port_bind,
	.port_close = via_port_close,
	.port_ack = via_port_ack,
	.port_notify = via_port_notify,
	.map = via_map,
	.unmap = via_unmap,
	.io_begin = via_io_begin,
	.io_end = via_io_end,
};
