/* SPDX-License-Identifier: MIT */
/*
 * A back end of one's own: "upper" devices turn what lies in the guest's pages into upper case, in place.
 * A request names a part of a granted page, the answer has the request's id and 0 or -errno.
 *   cc upper-backend.c $(pkg-config --cflags --libs xenhost) -o upper-backend
 *   upper-backend bridge:RUNDIR/bridge/upper.sock      (xenhost-bridged --service upper=32010)
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <xenhost/backend.h>
#include <xenhost/ring.h>

struct request {
	uint32_t id, gref;
	uint16_t offset, len;
};
struct response {
	uint32_t id;
	int32_t status;
};
struct upper {
	xenhost_device_t *dev;
	xenhost_map_t *map;
	xenhost_port_t *port;
	struct xenhost_ring ring;
};

static int epoll_fd;

static int32_t handle(struct upper *u, const struct request *req)
{
	struct xenhost_seg seg = { .gref = req->gref, .offset = req->offset, .len = req->len };
	uint16_t guest = xenhost_device_frontend_domid(u->dev);
	xenhost_t *host = xenhost_device_host(u->dev);
	struct iovec iov;
	int r = xenhost_io_begin(host, guest, &seg, 1, XENHOST_READ | XENHOST_WRITE, &iov);

	for (size_t i = 0; r == 0 && i < iov.iov_len; i++)
		((char *)iov.iov_base)[i] = (char)toupper(((unsigned char *)iov.iov_base)[i]);
	return r < 0 ? r : xenhost_io_end(host, guest, &seg, 1, XENHOST_READ | XENHOST_WRITE, &iov);
}

static void serve(struct upper *u)
{
	struct request req;
	int r;

	do {
		while ((r = xenhost_ring_get(&u->ring, &req)) > 0)
			xenhost_ring_put(&u->ring, &(struct response){ req.id, handle(u, &req) });
		if (xenhost_ring_push(&u->ring) > 0)
			xenhost_port_notify(u->port);
	} while (r == 0 && (r = xenhost_ring_arm(&u->ring, 1)) > 0);
	if (r == 0)
		return;
	epoll_ctl(epoll_fd, EPOLL_CTL_DEL, xenhost_port_fd(u->port), NULL);
	xenhost_device_fail(u->dev, r, "the front end broke the ring");
}

static void on_disconnect(xenhost_device_t *dev)
{
	struct upper *u = xenhost_device_data(dev);

	xenhost_port_close(u->port); /* and with its descriptor, epoll lets go */
	xenhost_unmap(u->map);
	free(u);
}

static int on_connect(xenhost_device_t *dev)
{
	struct upper *u = calloc(1, sizeof(*u));
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = u };
	int r = -12;

	if (u && (r = xenhost_device_map_ring(dev, "ring-ref", 1, &u->map)) == 0)
		r = xenhost_ring_init(&u->ring, xenhost_map_addr(u->map), 1, sizeof(struct request),
				      sizeof(struct response));
	if (r == 0 && (r = xenhost_device_bind_port(dev, "event-channel", &u->port)) == 0)
		r = epoll_ctl(epoll_fd, EPOLL_CTL_ADD, xenhost_port_fd(u->port), &ev);
	if (u)
		xenhost_device_set_data(u->dev = dev, u);
	if (u && r < 0)
		on_disconnect(dev);
	return r;
}

static int probe(xenhost_device_t *dev)
{
	return xenhost_device_printf(dev, "max-len", "4096");
}

static const struct xenhost_backend_ops ops = {
	.size = sizeof(ops),
	.type = "upper",
	.probe = probe,
	.connect = on_connect,
	.disconnect = on_disconnect,
};

int main(int argc, char **argv)
{
	struct epoll_event ev = { .events = EPOLLIN };
	xenhost_backend_t *backend;
	xenhost_t *host;
	int r = xenhost_open(argc > 1 ? argv[1] : "bridge:", 0, &host);

	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (r < 0 || (r = xenhost_backend_new(host, &ops, NULL, &backend)) < 0)
		return fprintf(stderr, "cannot serve: %s\n", strerror(-r)), 1;
	for (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, xenhost_get_fd(host), &ev);
	     epoll_wait(epoll_fd, &ev, 1, -1) >= 0 && r >= 0;)
		if (!ev.data.ptr)
			r = xenhost_process(host);
		else if (xenhost_port_ack(((struct upper *)ev.data.ptr)->port) > 0)
			serve(ev.data.ptr);
	return 1; /* the host is lost */
}
