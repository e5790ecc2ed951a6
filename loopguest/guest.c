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
#include "loopguest/hypervisor.h"

#define NR_GREFS (GRANT_FRAMES * XEN_PAGE_SIZE / sizeof(grant_entry_v1_t))
#define FIRST_GREF 8u /* those below are reserved */

struct guest {
	struct bridge_client *bridge;
	struct hypervisor xen;
	struct memory ram, grants, store;
	_Atomic uint32_t *entries; /* two words each: flags and domid, frame */
	uint32_t next_gref;
	uint32_t revoked[NR_GREFS]; /* to be used again */
	size_t nr_revoked;
	uint32_t next_frame;
	uint32_t store_port;
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
	r = bridge_client_create_domain(g->bridge, &create, fds, 3, &g->xen.guest.domid,
					&unique_id);
	if (r < 0)
		fprintf(stderr, "guest: cannot create the domain: %s\n",
			bridge_client_why(g->bridge));
	return r;
}

int64_t guest_hypercall(struct guest *g, unsigned int nr, uint64_t op, void *arg, size_t size)
{
	const struct hypercall call = {
		.long_mode = true,
		.nr = nr,
		/* the last one is a count for those that take lists of structures */
		.args = { op, ARGUMENT_GFN * XEN_PAGE_SIZE, 1 },
	};
	int64_t r;

	if (size > XEN_PAGE_SIZE)
		abort();
	if (size)
		memcpy(g->xen.own, arg, size);
	r = hypercall_answer(&g->xen.guest, &call);
	if (size)
		memcpy(arg, g->xen.own, size);
	return r;
}

static int64_t event_channel_op(struct guest *g, uint64_t op, void *arg, size_t size)
{
	return guest_hypercall(g, __HYPERVISOR_event_channel_op, op, arg, size);
}

static int64_t add_to_physmap(struct guest *g, uint32_t space, uint64_t idx, uint64_t gfn)
{
	struct xen_add_to_physmap arg = {
		.domid = DOMID_SELF, .space = space, .idx = idx, .gpfn = gfn
	};

	return guest_hypercall(g, __HYPERVISOR_memory_op, XENMEM_add_to_physmap, &arg, sizeof(arg));
}

static int64_t get_param(struct guest *g, uint32_t index, uint64_t *ret_value)
{
	struct xen_hvm_param arg = { .domid = DOMID_SELF, .index = index };
	int64_t r = guest_hypercall(g, __HYPERVISOR_hvm_op, HVMOP_get_param, &arg, sizeof(arg));

	*ret_value = arg.value;
	return r;
}

/* What kernels do first, in their order. */
static int boot(struct guest *g)
{
	struct gnttab_query_size table = { .dom = DOMID_SELF };
	uint64_t gfn = 0, port = 0;
	int64_t r = add_to_physmap(g, XENMAPSPACE_shared_info, 0, SHARED_INFO_GFN);

	if (r == 0)
		r = get_param(g, HVM_PARAM_STORE_PFN, &gfn);
	if (r == 0)
		r = get_param(g, HVM_PARAM_STORE_EVTCHN, &port);
	if (r == 0)
		r = guest_hypercall(g, __HYPERVISOR_grant_table_op, GNTTABOP_query_size, &table,
				    sizeof(table));
	for (uint32_t i = 0; r == 0 && i < table.max_nr_frames; i++)
		r = add_to_physmap(g, XENMAPSPACE_grant_table, i, GRANT_GFN + i);
	if (r == 0 && gfn != STORE_GFN)
		r = -EINVAL;
	g->store_port = (uint32_t)port;
	return (int)r;
}

static int start_running(struct guest *g)
{
	Bridge__DomainUpdate update = BRIDGE__DOMAIN_UPDATE__INIT;
	bridge_frame frame = BRIDGE__FRAME__INIT;
	int r = hypervisor_open_store_port(&g->xen);

	if (r == 0)
		r = boot(g);
	if (r < 0)
		return r;
	update.state = BRIDGE__DOMAIN_STATE__RUNNING;
	update.store_port = g->store_port;
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
	r = hypervisor_init(&g->xen, g->bridge, &g->ram, &g->grants, &g->store);
	if (r == 0)
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
	hypervisor_fini(&g->xen);
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

/* 1: the guest is to end */
static int take_event(struct guest *g, const bridge_frame *frame)
{
	const Bridge__PortChanged *p = frame->port_changed;

	if (frame->body_case == BRIDGE__FRAME__BODY_DOMAIN_CONTROL)
		return frame->domain_control->action == BRIDGE__CONTROL_ACTION__DESTROY;
	if (frame->body_case != BRIDGE__FRAME__BODY_PORT_CHANGED)
		return 0;
	if (p->bound)
		ports_peer_joined(&g->xen.guest.ports, p->port, (uint16_t)p->remote_domid,
				  p->remote_port);
	else
		ports_peer_left(&g->xen.guest.ports, p->port);
	return 0;
}

/* at most as many as others can make in between, so that it ends */
int guest_process(struct guest *g)
{
	for (int i = 0; i < 64; i++) {
		struct bridge_message event;
		int r = bridge_client_event(g->bridge, &event);

		if (r <= 0)
			return r;
		r = take_event(g, event.frame);
		bridge_message_fini(&event);
		if (r)
			return r;
	}
	return 0;
}

uint16_t guest_domid(const struct guest *g)
{
	return g->xen.guest.domid;
}

uint64_t guest_store_gfn(const struct guest *g)
{
	return STORE_GFN;
}

uint32_t guest_store_port(const struct guest *g)
{
	return g->store_port;
}

void *guest_store_page(const struct guest *g)
{
	return g->store.addr;
}

const struct guest_port *guest_store_event(const struct guest *g)
{
	return hypervisor_port(&g->xen, g->store_port);
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

/* the descriptors stay the guest's */
static int opened(struct guest *g, int64_t r, uint32_t number, struct guest_port *ret_port)
{
	if (r < 0)
		return (int)r;
	*ret_port = *hypervisor_port(&g->xen, number);
	return 0;
}

int guest_port_offer(struct guest *g, uint16_t domid, struct guest_port *ret_port)
{
	struct evtchn_alloc_unbound arg = { .dom = DOMID_SELF, .remote_dom = domid };
	int64_t r = event_channel_op(g, EVTCHNOP_alloc_unbound, &arg, sizeof(arg));

	return opened(g, r, arg.port, ret_port);
}

int guest_port_bind(struct guest *g, uint16_t domid, uint32_t remote_port,
		    struct guest_port *ret_port)
{
	struct evtchn_bind_interdomain arg = { .remote_dom = domid, .remote_port = remote_port };
	int64_t r = event_channel_op(g, EVTCHNOP_bind_interdomain, &arg, sizeof(arg));

	return opened(g, r, arg.local_port, ret_port);
}

void guest_port_close(struct guest *g, struct guest_port *port)
{
	struct evtchn_close arg = { .port = port->number };

	(void)event_channel_op(g, EVTCHNOP_close, &arg, sizeof(arg));
	port->wait_fd = port->notify_fd = -1;
}

void guest_port_notify(const struct guest_port *port)
{
	(void)eventfd_write(port->notify_fd, 1);
}

int guest_deliver(struct guest *g, uint32_t port)
{
	return hypervisor_deliver(&g->xen, port);
}

void *guest_shared_info(const struct guest *g)
{
	return g->xen.shared_info;
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
