/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/bridge.h"
#include "common/bridge_client.h"
#include "common/cleanup.h"
#include "common/xen.h"

#include "loopguest/guest.h"

#define GRANT_FRAMES 32u
#define NR_GREFS (GRANT_FRAMES * XEN_PAGE_SIZE / sizeof(grant_entry_v1_t))
#define FIRST_GREF 8u	     /* those below are reserved */
#define STORE_GFN 0xfeffcull /* where Xen's tools put it: beyond all RAM of ours */

struct memory {
	int fd;
	size_t size;
	uint8_t *addr;
};

struct guest {
	struct bridge_client *bridge;
	uint16_t domid;
	struct memory ram, grants, store;
	_Atomic uint32_t *entries; /* two words each: flags and domid, frame */
	uint32_t next_gref;
	uint32_t revoked[NR_GREFS]; /* to be used again */
	size_t nr_revoked;
	uint32_t next_frame;
	struct guest_port store_port;
};

static int memory_new(struct memory *m, const char *name, size_t size)
{
	m->fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (m->fd < 0 || ftruncate(m->fd, (off_t)size) < 0 ||
	    fcntl(m->fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0)
		return -errno;
	m->addr = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, m->fd, 0);
	if (m->addr == MAP_FAILED) {
		m->addr = NULL;
		return -errno;
	}
	m->size = size;
	return 0;
}

static void memory_fini(struct memory *m)
{
	if (m->addr)
		munmap(m->addr, m->size);
	if (m->fd >= 0)
		close(m->fd);
}

static void set_region(Bridge__Region *r, Bridge__RegionKind kind, uint64_t gpa, size_t size,
		       uint32_t fd)
{
	bridge__region__init(r);
	r->kind = kind;
	r->gpa = gpa;
	r->size = size;
	r->fd = fd;
}

static int create_domain(struct guest *g, const char *name)
{
	Bridge__DomainCreate create = BRIDGE__DOMAIN_CREATE__INIT;
	const int fds[] = { g->ram.fd, g->grants.fd, g->store.fd };
	uint64_t unique_id;
	Bridge__Region regions[3], *list[] = { &regions[0], &regions[1], &regions[2] };
	int r;

	set_region(&regions[0], BRIDGE__REGION_KIND__RAM, 0, g->ram.size, 0);
	set_region(&regions[1], BRIDGE__REGION_KIND__GRANT_FRAMES, 0, g->grants.size, 1);
	set_region(&regions[2], BRIDGE__REGION_KIND__STORE_RING, STORE_GFN * XEN_PAGE_SIZE,
		   g->store.size, 2);
	create.name = (char *)(uintptr_t)name;
	create.regions = list;
	create.n_regions = 3;
	create.store_gfn = STORE_GFN;
	r = bridge_client_create_domain(g->bridge, &create, fds, 3, &g->domid, &unique_id);
	if (r < 0)
		fprintf(stderr, "guest: cannot create the domain: %s\n",
			bridge_client_why(g->bridge));
	return r;
}

static int start_running(struct guest *g)
{
	Bridge__DomainUpdate update = BRIDGE__DOMAIN_UPDATE__INIT;
	bridge_frame frame = BRIDGE__FRAME__INIT;
	int r = guest_port_offer(g, 0, &g->store_port);

	if (r < 0)
		return r;
	update.state = BRIDGE__DOMAIN_STATE__RUNNING;
	update.store_port = g->store_port.number;
	frame.body_case = BRIDGE__FRAME__BODY_DOMAIN_UPDATE;
	frame.domain_update = &update;
	return bridge_client_call(g->bridge, &frame, NULL, 0, BRIDGE__FRAME__BODY__NOT_SET, NULL);
}

static int guest_init(struct guest *g, const char *rundir, const char *name, size_t nr_pages)
{
	char path[256];
	int r;

	r = memory_new(&g->ram, "guest", nr_pages * XEN_PAGE_SIZE);
	if (r == 0)
		r = memory_new(&g->grants, "grants", (size_t)GRANT_FRAMES * XEN_PAGE_SIZE);
	if (r == 0)
		r = memory_new(&g->store, "store", XEN_PAGE_SIZE);
	if (r < 0)
		return r;
	g->entries = (void *)g->grants.addr;
	snprintf(path, sizeof(path), "%s/%s", rundir, BRIDGE_SOCKET_VMM);
	r = bridge_client_open(path, "guest", &g->bridge);
	if (r < 0)
		return r;
	r = create_domain(g, name);
	return r < 0 ? r : start_running(g);
}

int guest_new(const char *rundir, const char *name, size_t nr_pages, struct guest **ret_guest)
{
	struct guest *g = calloc(1, sizeof(*g));
	int r;

	if (!g)
		return -ENOMEM;
	g->ram.fd = g->grants.fd = g->store.fd = -1;
	g->store_port.wait_fd = g->store_port.notify_fd = -1;
	g->next_gref = FIRST_GREF;
	r = guest_init(g, rundir, name, nr_pages);
	if (r < 0) {
		guest_free(g);
		return r;
	}
	*ret_guest = g;
	return 0;
}

struct guest *guest_free(struct guest *g)
{
	if (!g)
		return NULL;
	closep(&g->store_port.wait_fd);
	closep(&g->store_port.notify_fd);
	bridge_client_close(g->bridge);
	memory_fini(&g->ram);
	memory_fini(&g->grants);
	memory_fini(&g->store);
	free(g);
	return NULL;
}

int guest_fd(const struct guest *g)
{
	return bridge_client_fd(g->bridge);
}

/* at most as many as others can make in between, so that it ends */
int guest_process(struct guest *g)
{
	for (int i = 0; i < 64; i++) {
		struct bridge_message event;
		int r = bridge_client_event(g->bridge, &event);
		bool end;

		if (r <= 0)
			return r;
		end = event.frame->body_case == BRIDGE__FRAME__BODY_DOMAIN_CONTROL &&
		      event.frame->domain_control->action == BRIDGE__CONTROL_ACTION__DESTROY;
		bridge_message_fini(&event);
		if (end)
			return 1;
	}
	return 0;
}

uint16_t guest_domid(const struct guest *g)
{
	return g->domid;
}

uint64_t guest_store_gfn(const struct guest *g)
{
	return STORE_GFN;
}

uint32_t guest_store_port(const struct guest *g)
{
	return g->store_port.number;
}

void *guest_store_page(const struct guest *g)
{
	return g->store.addr;
}

const struct guest_port *guest_store_event(const struct guest *g)
{
	return &g->store_port;
}

void *guest_page(const struct guest *g, uint32_t frame)
{
	if ((size_t)frame * XEN_PAGE_SIZE >= g->ram.size)
		abort();
	return g->ram.addr + (size_t)frame * XEN_PAGE_SIZE;
}

size_t guest_free_frames(const struct guest *g)
{
	return g->ram.size / XEN_PAGE_SIZE - g->next_frame;
}

size_t guest_free_grants(const struct guest *g)
{
	return NR_GREFS - g->next_gref + g->nr_revoked;
}

uint32_t guest_new_frame(struct guest *g)
{
	(void)guest_page(g, g->next_frame);
	return g->next_frame++;
}

uint32_t guest_grant(struct guest *g, uint16_t domid, uint32_t frame, bool readonly)
{
	uint32_t gref = g->nr_revoked ? g->revoked[--g->nr_revoked] : g->next_gref++;

	if (gref >= NR_GREFS)
		abort();
	atomic_store(&g->entries[2 * gref + 1], frame);
	atomic_store(&g->entries[2 * gref], (uint32_t)GTF_permit_access |
						    (readonly ? GTF_readonly : 0u) |
						    (uint32_t)domid << 16);
	return gref;
}

bool guest_grant_in_use(const struct guest *g, uint32_t gref)
{
	return atomic_load(&g->entries[2 * gref]) & (GTF_reading | GTF_writing);
}

int guest_revoke(struct guest *g, uint32_t gref)
{
	uint32_t word = atomic_load(&g->entries[2 * gref]);

	if (word & (GTF_reading | GTF_writing))
		return -EBUSY;
	if (!atomic_compare_exchange_strong(&g->entries[2 * gref], &word, 0))
		return -EBUSY;
	g->revoked[g->nr_revoked++] = gref;
	return 0;
}

static int port_call(struct guest *g, bridge_frame *frame, struct guest_port *ret_port)
{
	struct bridge_message answer;
	int r = bridge_client_call(g->bridge, frame, NULL, 0, BRIDGE__FRAME__BODY_PORT, &answer);

	if (r < 0)
		return r;
	*ret_port = (struct guest_port){ answer.frame->port->port, answer.fds[0], answer.fds[1] };
	answer.nr_fds = 0;
	bridge_message_fini(&answer);
	return 0;
}

int guest_port_offer(struct guest *g, uint16_t domid, struct guest_port *ret_port)
{
	Bridge__PortAlloc alloc = BRIDGE__PORT_ALLOC__INIT;
	bridge_frame frame = BRIDGE__FRAME__INIT;

	alloc.remote_domid = domid;
	frame.body_case = BRIDGE__FRAME__BODY_PORT_ALLOC;
	frame.port_alloc = &alloc;
	return port_call(g, &frame, ret_port);
}

int guest_port_bind(struct guest *g, uint16_t domid, uint32_t remote_port,
		    struct guest_port *ret_port)
{
	Bridge__PortBind bind = BRIDGE__PORT_BIND__INIT;
	bridge_frame frame = BRIDGE__FRAME__INIT;

	bind.remote_domid = domid;
	bind.remote_port = remote_port;
	frame.body_case = BRIDGE__FRAME__BODY_PORT_BIND;
	frame.port_bind = &bind;
	return port_call(g, &frame, ret_port);
}

void guest_port_close(struct guest *g, struct guest_port *port)
{
	Bridge__PortClose close_port = BRIDGE__PORT_CLOSE__INIT;
	bridge_frame frame = BRIDGE__FRAME__INIT;

	close_port.port = port->number;
	frame.body_case = BRIDGE__FRAME__BODY_PORT_CLOSE;
	frame.port_close = &close_port;
	(void)bridge_client_call(g->bridge, &frame, NULL, 0, BRIDGE__FRAME__BODY__NOT_SET, NULL);
	closep(&port->wait_fd);
	closep(&port->notify_fd);
	port->wait_fd = port->notify_fd = -1;
}

void guest_port_notify(const struct guest_port *port)
{
	(void)eventfd_write(port->notify_fd, 1);
}

int guest_port_wait(const struct guest_port *port, int timeout_ms)
{
	struct pollfd p = { .fd = port->wait_fd, .events = POLLIN };
	eventfd_t count;
	int r;

	do {
		r = poll(&p, 1, timeout_ms);
	} while (r < 0 && errno == EINTR);
	return r > 0 && eventfd_read(port->wait_fd, &count) == 0;
}
