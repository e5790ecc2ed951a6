/* SPDX-License-Identifier: MIT */
/*
 * upper-front RUNDIR DOMID: a loopback guest with the front end of examples/upper-backend.c, whose domain is
 * DOMID. Plugs a device in, has some megabytes turned into upper case, sends requests that must fail, closes
 * in order, and begins once more. Prints what it did; status 0 when all of it was right.
 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xenhost/frontend.h>
#include <xenhost/ring.h>

#include "common/cleanup.h"
#include "loopguest/guest_transport.h"

#define PATIENCE_MS 30000
#define DATA_PAGES 8u
#define ROUNDS 500u

#define MUST(what)                                                                 \
	do {                                                                       \
		if (!(what)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __func__, __LINE__, #what); \
			exit(1);                                                   \
		}                                                                  \
	} while (0)

struct request {
	uint32_t id, gref;
	uint16_t offset, len;
};

struct response {
	uint32_t id;
	int32_t status;
};

static struct {
	xenhost_t *host;
	xenhost_share_t *ring_pages, *data, *readonly;
	struct xenhost_front_ring ring;
	xenhost_port_t *port;
	bool connected;
	int closed;
} f;

static int setup(xenhost_frontend_t *front)
{
	uint16_t back = xenhost_frontend_backend_domid(front);

	MUST(xenhost_frontend_share_ring(front, "ring-ref", 1, &f.ring_pages) == 0);
	MUST(xenhost_front_ring_init(&f.ring, xenhost_share_addr(f.ring_pages), 1,
				     sizeof(struct request), sizeof(struct response)) == 0);
	MUST(xenhost_frontend_offer_port(front, "event-channel", &f.port) == 0);
	MUST(xenhost_share(f.host, back, DATA_PAGES, XENHOST_READ | XENHOST_WRITE, &f.data) == 0);
	MUST(xenhost_share(f.host, back, 1, XENHOST_READ, &f.readonly) == 0);
	return 0;
}

static int connected(xenhost_frontend_t *front)
{
	uint64_t max;

	MUST(xenhost_frontend_read_u64(front, XENHOST_BACK, "max-len", 4096, &max) == 0);
	MUST(max == 4096);
	f.connected = true;
	return 0;
}

/* Closed is its last word: it has unmapped the ring, and holds no data page */
static void closed(xenhost_frontend_t *front)
{
	MUST(xenhost_unshare(f.ring_pages) == 0);
	MUST(xenhost_unshare(f.data) == 0);
	MUST(xenhost_unshare(f.readonly) == 0);
	f.port = xenhost_port_close(f.port);
	f.connected = false;
	f.closed++;
}

static const struct xenhost_frontend_ops ops = {
	.size = sizeof(ops),
	.setup = setup,
	.connected = connected,
	.closed = closed,
};

/* --- the toolstack --- */

static void write_node(const char *folder, const char *node, const char *value)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/%s", folder, node);
	MUST(xenhost_store_write(f.host, 0, path, value, strlen(value)) == 0);
}

static void plug(unsigned int service, char *front, size_t size)
{
	unsigned int domid = xenhost_domid(f.host);
	const struct xenhost_perm owner[] = { { 'n', (uint16_t)service } };
	char back[128], id[16];

	snprintf(front, size, "/local/domain/%u/device/upper/0", domid);
	snprintf(back, sizeof(back), "/local/domain/%u/backend/upper/%u/0", service, domid);
	MUST(xenhost_store_mkdir(f.host, 0, back) == 0);
	MUST(xenhost_store_set_perms(f.host, 0, back, owner, 1) == 0);
	MUST(xenhost_store_mkdir(f.host, 0, front) == 0);
	MUST(xenhost_store_set_perms(f.host, 0, front,
				     (struct xenhost_perm[]){ { 'n', 0 }, { 'r', owner->domid } },
				     2) == 0);
	snprintf(id, sizeof(id), "%u", service);
	write_node(front, "backend", back);
	write_node(front, "backend-id", id);
	snprintf(id, sizeof(id), "%u", domid);
	write_node(back, "frontend-id", id);
	write_node(back, "frontend", front);
	write_node(back, "online", "1");
	write_node(back, "state", "1");
}

/* --- requests --- */

static void step(void)
{
	struct pollfd p = { .fd = xenhost_get_fd(f.host), .events = POLLIN };

	MUST(poll(&p, 1, PATIENCE_MS) == 1);
	MUST(xenhost_process(f.host) >= 0);
}

static struct response wait_response(void)
{
	struct response rsp;

	while (xenhost_front_ring_get(&f.ring, &rsp) == 0) {
		struct pollfd p = { .fd = xenhost_port_fd(f.port), .events = POLLIN };

		if (xenhost_front_ring_arm(&f.ring) > 0)
			continue;
		MUST(poll(&p, 1, PATIENCE_MS) == 1);
		MUST(xenhost_port_ack(f.port) >= 0);
	}
	return rsp;
}

static void put(uint32_t id, uint32_t gref, unsigned int offset, unsigned int len)
{
	struct request *req = xenhost_front_ring_next(&f.ring);

	MUST(req);
	*req = (struct request){ id, gref, (uint16_t)offset, (uint16_t)len };
}

static void push(void)
{
	if (xenhost_front_ring_push(&f.ring) > 0)
		MUST(xenhost_port_notify(f.port) == 0);
}

static void convert(unsigned int round)
{
	uint8_t *data = xenhost_share_addr(f.data), want[DATA_PAGES * XENHOST_PAGE_SIZE];

	for (size_t i = 0; i < sizeof(want); i++) {
		data[i] = (uint8_t)(i * 7 + round);
		want[i] = (uint8_t)toupper(data[i]);
	}
	for (uint32_t i = 0; i < DATA_PAGES; i++)
		put(i, xenhost_share_gref(f.data, i), 0, XENHOST_PAGE_SIZE);
	push();
	for (uint32_t i = 0; i < DATA_PAGES; i++) {
		struct response rsp = wait_response();

		MUST(rsp.id == i && rsp.status == 0);
	}
	MUST(!memcmp(data, want, sizeof(want)));
}

static void bad_requests(void)
{
	const struct {
		uint32_t gref;
		unsigned int offset, len;
		int status;
	} bad[] = {
		{ xenhost_share_gref(f.readonly, 0), 0, 1, -EACCES },
		{ xenhost_share_gref(f.data, 0), 4000, 97, -EINVAL },
		{ xenhost_share_gref(f.data, 0), 0, 0, -EINVAL },
		{ 3000, 0, 1, -EPERM },
		{ UINT32_MAX, 0, 1, -EINVAL },
	};

	for (uint32_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct response rsp;

		put(i, bad[i].gref, bad[i].offset, bad[i].len);
		push();
		rsp = wait_response();
		MUST(rsp.id == i && rsp.status == bad[i].status);
	}
}

static void life(const char *path)
{
	xenhost_frontend_t *front;
	int before = f.closed;

	MUST(xenhost_frontend_new(f.host, path, &ops, NULL, &front) == 0);
	while (!f.connected)
		step();
	for (unsigned int round = 0; round < ROUNDS; round++)
		convert(round);
	bad_requests();
	convert(0);
	xenhost_frontend_close(front);
	while (f.closed == before)
		step();
	MUST(xenhost_frontend_state(front) == XENHOST_STATE_CLOSED);
	xenhost_frontend_free(front);
	printf("%u KiB in upper case\n", (ROUNDS + 1) * DATA_PAGES * XENHOST_PAGE_SIZE / 1024);
}

int main(int argc, char **argv)
{
	char uri[128], path[128];

	MUST(argc == 3);
	MUST(guest_transport_register() == 0);
	snprintf(uri, sizeof(uri), "guest:%s,upper-front,64", argv[1]);
	MUST(xenhost_open(uri, 0, &f.host) == 0);
	plug((unsigned int)atoi(argv[2]), path, sizeof(path));
	life(path);
	life(path);
	xenhost_close(f.host);
	return 0;
}
