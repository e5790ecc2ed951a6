/* SPDX-License-Identifier: MIT */
/*
 * upper FOLDER TEXT: the front end of an "upper" device (examples/upper-backend.c) as an ordinary program of
 * a guest, with what its kernel gives to programs: pages to grant (/dev/xen/gntalloc), event channels
 * (/dev/xen/evtchn), the Xenstore (/dev/xen/xenbus). Prints what the back end made of TEXT. Stands alone;
 * linked statically into the guest's initramfs.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xen/xen.h>

#include <xen/evtchn.h>
#include <xen/gntalloc.h>
#include <xen/io/xs_wire.h>

#define PAGE 4096u
#define PATIENCE_S 60

struct request {
	uint32_t id, gref;
	uint16_t offset, len;
};

struct response {
	uint32_t id;
	int32_t status;
};

/* public/io/ring.h; a slot has the size of the larger of the two */
struct ring {
	_Atomic uint32_t req_prod, req_event, rsp_prod, rsp_event;
	uint8_t pad[48];
	union {
		struct request req;
		struct response rsp;
	} slots[];
};

static struct {
	int store, evtchn;
	uint32_t grefs[2], port;
	uint16_t back_domid;
	struct ring *ring;
	char *data;
	char front[128], back[128];
} u;

static void fail(const char *what)
{
	fprintf(stderr, "upper: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int device(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		fail(path);
	return fd;
}

/* --- the store; nothing is watched, so nothing but answers comes --- */

static void read_all(void *to, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = read(u.store, (char *)to + done, len - done);

		if (n <= 0)
			fail("/dev/xen/xenbus");
		done += (size_t)n;
	}
}

/* the answer into buf, as text */
static void ask(uint32_t type, const char *body, size_t len, char *buf, size_t size)
{
	struct {
		struct xsd_sockmsg head;
		char body[256];
	} message = { .head = { .type = type, .req_id = 1, .len = (uint32_t)len } };

	memcpy(message.body, body, len);
	if (write(u.store, &message, sizeof(message.head) + len) < 0)
		fail("/dev/xen/xenbus");
	read_all(&message.head, sizeof(message.head));
	if (message.head.len >= size)
		fail("the answer is too long");
	read_all(buf, message.head.len);
	buf[message.head.len] = '\0';
	if (message.head.type == XS_ERROR) {
		fprintf(stderr, "upper: %s: %s\n", body, buf);
		exit(1);
	}
}

static void read_node(const char *folder, const char *node, char *buf, size_t size)
{
	char path[192];

	snprintf(path, sizeof(path), "%s/%s", folder, node);
	ask(XS_READ, path, strlen(path) + 1, buf, size);
}

static void write_node(const char *node, uint32_t value)
{
	char body[224], answer[64];
	int n = snprintf(body, sizeof(body), "%s/%s%c%u", u.front, node, 0, value);

	ask(XS_WRITE, body, (size_t)n, answer, sizeof(answer));
}

static void wait_back(const char *state)
{
	char value[64] = "";

	for (int i = 0; i < PATIENCE_S * 20; i++) {
		read_node(u.back, "state", value, sizeof(value));
		if (!strcmp(value, state))
			return;
		usleep(50000);
	}
	fprintf(stderr, "upper: the back end is in state %s, not %s\n", value, state);
	exit(1);
}

/* --- pages and events --- */

static void *share_pages(void)
{
	union {
		struct ioctl_gntalloc_alloc_gref alloc;
		uint32_t room[sizeof(struct ioctl_gntalloc_alloc_gref) / 4 + 2];
	} pages = { .alloc = {
			    .domid = u.back_domid, .flags = GNTALLOC_FLAG_WRITABLE, .count = 2 } };
	int fd = device("/dev/xen/gntalloc");
	void *addr;

	if (ioctl(fd, IOCTL_GNTALLOC_ALLOC_GREF, &pages) < 0)
		fail("IOCTL_GNTALLOC_ALLOC_GREF");
	memcpy(u.grefs, pages.alloc.gref_ids, sizeof(u.grefs));
	addr = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		    (off_t)pages.alloc.index);
	if (addr == MAP_FAILED)
		fail("mmap of /dev/xen/gntalloc");
	return addr;
}

static void offer_port(void)
{
	struct ioctl_evtchn_bind_unbound_port bind = { .remote_domain = u.back_domid };
	int port;

	u.evtchn = device("/dev/xen/evtchn");
	port = ioctl(u.evtchn, IOCTL_EVTCHN_BIND_UNBOUND_PORT, &bind);
	if (port < 0)
		fail("IOCTL_EVTCHN_BIND_UNBOUND_PORT");
	u.port = (uint32_t)port;
}

static void wait_event(void)
{
	struct pollfd p = { .fd = u.evtchn, .events = POLLIN };
	uint32_t port;

	if (poll(&p, 1, PATIENCE_S * 1000) != 1)
		fail("no event");
	if (read(u.evtchn, &port, sizeof(port)) != sizeof(port) ||
	    write(u.evtchn, &port, sizeof(port)) != sizeof(port) || port != u.port)
		fail("/dev/xen/evtchn");
}

/* --- the device --- */

static void connect_device(void)
{
	uint8_t *pages = share_pages();

	u.ring = (struct ring *)(void *)pages;
	u.data = (char *)pages + PAGE;
	u.ring->req_event = u.ring->rsp_event = 1;
	offer_port();
	write_node("ring-ref", u.grefs[0]);
	write_node("event-channel", u.port);
	wait_back("2");
	write_node("state", 3);
	wait_back("4");
	write_node("state", 4);
}

/* one after the other; after 256 the slots are used again */
static void transform(uint32_t id, size_t len)
{
	const uint32_t nr_slots = 256; /* (4096 - 64) / 12, down to a power of two */
	struct ioctl_evtchn_notify notify = { .port = u.port };
	struct response rsp;

	u.ring->slots[id % nr_slots].req = (struct request){ id, u.grefs[1], 0, (uint16_t)len };
	u.ring->rsp_event = id + 1;
	u.ring->req_prod = id + 1;
	if (ioctl(u.evtchn, IOCTL_EVTCHN_NOTIFY, &notify) < 0)
		fail("IOCTL_EVTCHN_NOTIFY");
	while (u.ring->rsp_prod != id + 1)
		wait_event();
	rsp = u.ring->slots[id % nr_slots].rsp;
	if (rsp.id == id && rsp.status == 0)
		return;
	fprintf(stderr, "upper: answer %u has id %u, status %d\n", id, rsp.id, rsp.status);
	exit(1);
}

int main(int argc, char **argv)
{
	char id[16];
	size_t len;

	if (argc != 3) {
		fprintf(stderr, "usage: upper FOLDER TEXT\n");
		return 2;
	}
	u.store = device("/dev/xen/xenbus");
	snprintf(u.front, sizeof(u.front), "%s", argv[1]);
	read_node(u.front, "backend", u.back, sizeof(u.back));
	read_node(u.front, "backend-id", id, sizeof(id));
	u.back_domid = (uint16_t)atoi(id);
	connect_device();
	len = strlen(argv[2]);
	for (uint32_t i = 0; i < 300; i++) {
		memcpy(u.data, argv[2], len);
		transform(i, len);
	}
	printf("%.*s\n", (int)len, u.data);
	write_node("state", 5);
	wait_back("5");
	write_node("state", 6);
	wait_back("6");
	return 0;
}
