/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include <xenhost/event.h>
#include <xenhost/frontend.h>
#include <xenhost/ring.h>

#include "loopguest/ring.h"

#include "common/cleanup.h"
#include "common/log.h"
#include "loopguest/guest_transport.h"

#define DEPTH 8u /* requests on the ring, each with a page of its own */

struct request {
	uint32_t id, gref;
	uint16_t offset, len;
};

struct response {
	uint32_t id;
	int32_t status;
};

struct ring {
	char name[48];
	struct event_base *base;
	xenhost_t *host;
	struct xenhost_event watch;
	xenhost_frontend_t *front;
	char path[80], back[80];
	xenhost_share_t *page, *data;
	struct xenhost_front_ring shared;
	xenhost_port_t *port;
	struct event *readable;
	uint64_t answers, bad;
	uint8_t fill;
};

/* --- traffic --- */

static uint8_t *page_of(struct ring *ring, uint32_t id)
{
	return (uint8_t *)xenhost_share_addr(ring->data) + (size_t)id * XENHOST_PAGE_SIZE;
}

static void ask(struct ring *ring, uint32_t id)
{
	struct request *req = xenhost_front_ring_next(&ring->shared);

	if (!req)
		return;
	memset(page_of(ring, id), 'a' + ring->fill++ % 26, XENHOST_PAGE_SIZE);
	*req = (struct request){ id, xenhost_share_gref(ring->data, id), 0, XENHOST_PAGE_SIZE };
}

static void take(struct ring *ring, const struct response *rsp)
{
	ring->answers++;
	if (rsp->id >= DEPTH) {
		ring->bad++;
		return;
	}
	if (rsp->status < 0 || !isupper(page_of(ring, rsp->id)[0]) ||
	    !isupper(page_of(ring, rsp->id)[XENHOST_PAGE_SIZE - 1]))
		ring->bad++;
	ask(ring, rsp->id);
}

static void broken(struct ring *ring, const char *what, int r)
{
	log_error("%s: %s: %s", ring->name, what, strerror(-r));
	ring->bad++;
	xenhost_frontend_close(ring->front);
}

static void push(struct ring *ring)
{
	if (xenhost_front_ring_push(&ring->shared) > 0)
		(void)xenhost_port_notify(ring->port);
}

static void on_event(evutil_socket_t fd, short what, void *data)
{
	struct ring *ring = data;
	struct response rsp;
	int r;

	(void)xenhost_port_ack(ring->port);
	do {
		while ((r = xenhost_front_ring_get(&ring->shared, &rsp)) > 0)
			take(ring, &rsp);
		if (r == 0)
			r = xenhost_front_ring_arm(&ring->shared);
	} while (r > 0);
	if (r < 0)
		broken(ring, "the back end broke the ring", r);
	else
		push(ring);
}

/* --- the device --- */

static int setup(xenhost_frontend_t *front)
{
	struct ring *ring = xenhost_frontend_data(front);
	int r = xenhost_frontend_share_ring(front, "ring-ref", 1, &ring->page);

	if (r == 0)
		r = xenhost_front_ring_init(&ring->shared, xenhost_share_addr(ring->page), 1,
					    sizeof(struct request), sizeof(struct response));
	if (r == 0)
		r = xenhost_share(ring->host, xenhost_frontend_backend_domid(front), DEPTH,
				  XENHOST_READ | XENHOST_WRITE, &ring->data);
	return r < 0 ? r : xenhost_frontend_offer_port(front, "event-channel", &ring->port);
}

static int connected(xenhost_frontend_t *front)
{
	struct ring *ring = xenhost_frontend_data(front);

	ring->readable = event_new(ring->base, xenhost_port_fd(ring->port), EV_READ | EV_PERSIST,
				   on_event, ring);
	if (!ring->readable || event_add(ring->readable, NULL) < 0)
		return -ENOMEM;
	for (uint32_t id = 0; id < DEPTH; id++)
		ask(ring, id);
	push(ring);
	return 0;
}

static void stop(xenhost_frontend_t *front)
{
	struct ring *ring = xenhost_frontend_data(front);

	if (ring->readable)
		event_free(ring->readable);
	ring->readable = NULL;
}

static void closed(xenhost_frontend_t *front)
{
	struct ring *ring = xenhost_frontend_data(front);

	ring->port = xenhost_port_close(ring->port);
	if (xenhost_unshare(ring->page) == 0)
		ring->page = NULL;
	if (xenhost_unshare(ring->data) == 0)
		ring->data = NULL;
}

static const struct xenhost_frontend_ops ops = {
	.size = sizeof(ops),
	.setup = setup,
	.connected = connected,
	.stop = stop,
	.closed = closed,
};

/* --- the toolstack's part --- */

static int make_folder(struct ring *ring, const char *path, uint16_t owner, uint16_t reader)
{
	const struct xenhost_perm perms[] = { { 'n', owner }, { 'r', reader } };
	int r = xenhost_store_mkdir(ring->host, 0, path);

	return r < 0 ? r : xenhost_store_set_perms(ring->host, 0, path, perms, 2);
}

static int plug(struct ring *ring, uint16_t service)
{
	unsigned int domid = xenhost_domid(ring->host);
	xenhost_t *host = ring->host;
	int r;

	snprintf(ring->path, sizeof(ring->path), "/local/domain/%u/device/upper/0", domid);
	snprintf(ring->back, sizeof(ring->back), "/local/domain/%u/backend/upper/%u/0", service,
		 domid);
	r = make_folder(ring, ring->path, 0, service);
	if (r == 0)
		r = make_folder(ring, ring->back, service, 0);
	r = r < 0 ? r : xenhost_store_printf(host, 0, ring->path, "%s", "");
	if (r == 0) {
		char node[112];

		snprintf(node, sizeof(node), "%s/backend", ring->path);
		r = xenhost_store_printf(host, 0, node, "%s", ring->back);
		snprintf(node, sizeof(node), "%s/backend-id", ring->path);
		r = r < 0 ? r : xenhost_store_printf(host, 0, node, "%u", service);
		snprintf(node, sizeof(node), "%s/frontend-id", ring->back);
		r = r < 0 ? r : xenhost_store_printf(host, 0, node, "%u", domid);
		snprintf(node, sizeof(node), "%s/frontend", ring->back);
		r = r < 0 ? r : xenhost_store_printf(host, 0, node, "%s", ring->path);
		snprintf(node, sizeof(node), "%s/online", ring->back);
		r = r < 0 ? r : xenhost_store_printf(host, 0, node, "1");
		snprintf(node, sizeof(node), "%s/state", ring->back);
		r = r < 0 ? r : xenhost_store_printf(host, 0, node, "1");
	}
	return r;
}

static void on_lost(xenhost_t *host, int error, void *data)
{
	struct ring *ring = data;

	log_error("%s: the host is lost: %s", ring->name, strerror(-error));
}

static int ring_init(struct ring *ring, const char *rundir, unsigned int pages, uint16_t service)
{
	char uri[160];
	int r;

	snprintf(uri, sizeof(uri), "guest:%s,%s,%u", rundir, ring->name, pages);
	r = xenhost_open(uri, 0, &ring->host);
	if (r == 0)
		r = plug(ring, service);
	if (r == 0)
		r = xenhost_frontend_new(ring->host, ring->path, &ops, ring, &ring->front);
	if (r == 0)
		r = xenhost_event_init(&ring->watch, ring->base, ring->host, on_lost, ring);
	return r;
}

int ring_start(struct event_base *base, const char *rundir, const char *name, unsigned int pages,
	       uint16_t service, struct ring **ret_ring)
{
	struct ring *ring = calloc(1, sizeof(*ring));
	int r = guest_transport_register();

	if (!ring || (r < 0 && r != -EEXIST)) {
		free(ring);
		return ring ? r : -ENOMEM;
	}
	ring->base = base;
	snprintf(ring->name, sizeof(ring->name), "%s", name);
	r = ring_init(ring, rundir, pages, service);
	if (r < 0) {
		log_error("%s: cannot plug in its device: %s", name, strerror(-r));
		ring_stop(ring);
		return r;
	}
	*ret_ring = ring;
	return 0;
}

struct ring *ring_stop(struct ring *ring)
{
	if (!ring)
		return NULL;
	xenhost_event_fini(&ring->watch);
	xenhost_frontend_free(ring->front);
	if (ring->host && *ring->path) {
		(void)xenhost_store_rm(ring->host, 0, ring->back);
		(void)xenhost_store_rm(ring->host, 0, ring->path);
	}
	xenhost_close(ring->host);
	free(ring);
	return NULL;
}

uint64_t ring_answers(const struct ring *ring)
{
	return ring->answers;
}

uint64_t ring_bad(const struct ring *ring)
{
	return ring->bad;
}
