/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/bridge.h"
#include "common/bridge_client.h"
#include "common/cleanup.h"
#include "common/xen.h"
#include "hypercall-bridge/guest/upcall.h"
#include "loopguest/hypervisor.h"

/* --- memory: addresses are physical ones, there is no paging --- */

static int gpa_of(void *ctx, unsigned int vcpu, uint64_t gva, uint64_t *ret_gpa)
{
	*ret_gpa = gva;
	return 0;
}

static uint8_t *page_of(const struct hypervisor *h, uint64_t gfn)
{
	if (gfn < h->ram->size / XEN_PAGE_SIZE)
		return h->ram->addr + gfn * XEN_PAGE_SIZE;
	if (gfn == STORE_GFN)
		return h->store->addr;
	if (gfn >= OWN_GFN && gfn < OWN_GFN + OWN_PAGES)
		return h->own + (gfn - OWN_GFN) * XEN_PAGE_SIZE;
	for (uint32_t i = 0; gfn && i < GRANT_FRAMES; i++)
		if (h->grant_gfn[i] == gfn)
			return h->grants->addr + (size_t)i * XEN_PAGE_SIZE;
	return NULL;
}

static void *host_of(void *ctx, uint64_t gpa)
{
	uint8_t *page = page_of(ctx, gpa / XEN_PAGE_SIZE);

	return page ? page + gpa % XEN_PAGE_SIZE : NULL;
}

/* the guest's own page becomes it, as with the vmm */
static int map_shared_info(void *ctx, uint64_t gfn, bool long_mode)
{
	struct hypervisor *h = ctx;
	uint8_t *page = page_of(h, gfn);

	if (!page || gfn == STORE_GFN || !long_mode)
		return -EINVAL;
	if (h->shared_info && h->shared_info != page)
		memcpy(page, h->shared_info, XEN_PAGE_SIZE);
	else if (!h->shared_info)
		memset(page, 0, XEN_PAGE_SIZE);
	h->shared_info = page;
	if (!h->vcpu_info)
		h->vcpu_info = page;
	return 0;
}

/* only where there is nothing */
static int map_grant_frame(void *ctx, uint32_t frame, uint64_t gfn)
{
	struct hypervisor *h = ctx;

	if (frame >= GRANT_FRAMES || gfn == 0)
		return -EINVAL;
	if (page_of(h, gfn))
		return h->grant_gfn[frame] == gfn ? 0 : -EBUSY;
	h->grant_gfn[frame] = gfn;
	return 0;
}

static uint64_t grant_gfn(void *ctx, uint32_t frame)
{
	const struct hypervisor *h = ctx;
	uint64_t gfn = frame < GRANT_FRAMES ? h->grant_gfn[frame] : 0;

	return gfn ? gfn : UINT64_MAX;
}

static int unmap(void *ctx, uint64_t gfn)
{
	struct hypervisor *h = ctx;

	for (uint32_t i = 0; gfn && i < GRANT_FRAMES; i++) {
		if (h->grant_gfn[i] == gfn) {
			h->grant_gfn[i] = 0;
			return 0;
		}
	}
	return -EINVAL;
}

static int vcpu_info(void *ctx, unsigned int vcpu, uint64_t gpa)
{
	struct hypervisor *h = ctx;
	uint8_t *to = host_of(h, gpa);

	if (!to)
		return -EINVAL;
	if (h->vcpu_info && h->vcpu_info != to) {
		memset(to, 0, UPCALL_VCPU_INFO_SIZE);
		upcall_merge(&upcall_layout_64, h->vcpu_info, to);
	}
	h->vcpu_info = to;
	return 0;
}

static bool vcpu_is_up(void *ctx, unsigned int vcpu)
{
	return true;
}

/* nobody is interrupted: the kernel looks for itself */
static int upcall_vector(void *ctx, unsigned int vcpu, uint8_t vector)
{
	return 0;
}

/* --- ports --- */

static int make_room(struct hypervisor *h, uint32_t number)
{
	uint32_t nr = h->nr_ports ? h->nr_ports : 8;
	struct guest_port *more;

	while (nr <= number)
		nr *= 2;
	if (nr == h->nr_ports)
		return 0;
	more = reallocarray(h->ports, nr, sizeof(*more));
	if (!more)
		return -ENOMEM;
	for (uint32_t i = h->nr_ports; i < nr; i++)
		more[i] = (struct guest_port){ i, -1, -1 };
	h->ports = more;
	h->nr_ports = nr;
	return 0;
}

static int ask_for_port(struct hypervisor *h, bridge_frame *frame, struct guest_port *port)
{
	struct bridge_message answer;
	int r = bridge_client_call(h->bridge, frame, NULL, 0, BRIDGE__FRAME__BODY_PORT, &answer);

	if (r < 0)
		return r;
	port->wait_fd = steal_fd(&answer.fds[0]);
	port->notify_fd = steal_fd(&answer.fds[1]);
	bridge_message_fini(&answer);
	return 0;
}

static int open_remote(struct hypervisor *h, uint32_t number, const struct port *p)
{
	Bridge__PortAlloc alloc = BRIDGE__PORT_ALLOC__INIT;
	Bridge__PortBind bind = BRIDGE__PORT_BIND__INIT;
	bridge_frame frame = BRIDGE__FRAME__INIT;

	alloc.port = bind.port = number;
	alloc.remote_domid = bind.remote_domid = p->remote_domid;
	bind.remote_port = p->remote_port;
	if (p->state == EVTCHNSTAT_unbound) {
		frame.body_case = BRIDGE__FRAME__BODY_PORT_ALLOC;
		frame.port_alloc = &alloc;
	} else {
		frame.body_case = BRIDGE__FRAME__BODY_PORT_BIND;
		frame.port_bind = &bind;
	}
	return ask_for_port(h, &frame, &h->ports[number]);
}

/* both ends are its own */
static int open_ipi(struct guest_port *port)
{
	port->wait_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (port->wait_fd < 0)
		return -errno;
	port->notify_fd = fcntl(port->wait_fd, F_DUPFD_CLOEXEC, 0);
	if (port->notify_fd >= 0)
		return 0;
	closep(&port->wait_fd);
	port->wait_fd = -1;
	return -EMFILE;
}

static int port_opened(void *ctx, uint32_t number)
{
	struct hypervisor *h = ctx;
	const struct port *p = ports_get(&h->guest.ports, number);
	int r = make_room(h, number);

	if (r < 0)
		return r;
	switch (p->state) {
	case EVTCHNSTAT_unbound:
	case EVTCHNSTAT_interdomain:
		return open_remote(h, number, p);
	case EVTCHNSTAT_ipi:
		return open_ipi(&h->ports[number]);
	default: /* VIRQs: none is ever raised */
		return 0;
	}
}

static void close_fds(struct guest_port *port)
{
	closep(&port->wait_fd);
	closep(&port->notify_fd);
	port->wait_fd = port->notify_fd = -1;
}

static void port_closed(void *ctx, uint32_t number, const struct port *old)
{
	Bridge__PortClose close_port = BRIDGE__PORT_CLOSE__INIT;
	bridge_frame frame = BRIDGE__FRAME__INIT;
	struct hypervisor *h = ctx;

	close_fds(&h->ports[number]);
	if (h->shared_info)
		upcall_clear(&upcall_layout_64, h->shared_info, number);
	if (old->state != EVTCHNSTAT_unbound && old->state != EVTCHNSTAT_interdomain)
		return;
	close_port.port = number;
	frame.body_case = BRIDGE__FRAME__BODY_PORT_CLOSE;
	frame.port_close = &close_port;
	(void)bridge_client_call(h->bridge, &frame, NULL, 0, BRIDGE__FRAME__BODY__NOT_SET, NULL);
}

static int port_send(void *ctx, uint32_t number)
{
	const struct guest_port *port = hypervisor_port(ctx, number);

	guest_port_notify(port);
	return 0;
}

static int raise_port(struct hypervisor *h, uint32_t number)
{
	return upcall_raise(&upcall_layout_64, h->shared_info, h->vcpu_info, number);
}

static int port_unmask(void *ctx, uint32_t number)
{
	struct hypervisor *h = ctx;
	int r = h->shared_info ? upcall_unmask(&upcall_layout_64, h->shared_info, number) : 0;

	if (r > 0)
		r = raise_port(h, number);
	return r < 0 ? r : 0;
}

const struct guest_port *hypervisor_port(const struct hypervisor *h, uint32_t number)
{
	if (number >= h->nr_ports || h->ports[number].wait_fd < 0)
		abort();
	return &h->ports[number];
}

int hypervisor_deliver(struct hypervisor *h, uint32_t number)
{
	eventfd_t count;

	if (!ports_get(&h->guest.ports, number) || !h->shared_info)
		return -EINVAL;
	if (h->ports[number].wait_fd < 0 || eventfd_read(h->ports[number].wait_fd, &count) < 0)
		return 0;
	return raise_port(h, number);
}

/* --- the end --- */

static int op_shutdown(void *ctx, unsigned int reason)
{
	Bridge__DomainUpdate update = BRIDGE__DOMAIN_UPDATE__INIT;
	bridge_frame frame = BRIDGE__FRAME__INIT;
	struct hypervisor *h = ctx;

	if (reason == SHUTDOWN_soft_reset) /* another kernel: there is none */
		return -ENOSYS;
	update.state = BRIDGE__DOMAIN_STATE__SHUTDOWN;
	update.shutdown_reason = reason;
	update.store_port = (uint32_t)h->guest.params[HVM_PARAM_STORE_EVTCHN];
	frame.body_case = BRIDGE__FRAME__BODY_DOMAIN_UPDATE;
	frame.domain_update = &update;
	return bridge_client_call(h->bridge, &frame, NULL, 0, BRIDGE__FRAME__BODY__NOT_SET, NULL);
}

static const struct hypercall_ops ops = {
	.gpa_of = gpa_of,
	.host_of = host_of,
	.map_shared_info = map_shared_info,
	.map_grant_frame = map_grant_frame,
	.unmap = unmap,
	.grant_gfn = grant_gfn,
	.vcpu_info = vcpu_info,
	.vcpu_is_up = vcpu_is_up,
	.upcall_vector = upcall_vector,
	.port_opened = port_opened,
	.port_closed = port_closed,
	.port_send = port_send,
	.port_unmask = port_unmask,
	.shutdown = op_shutdown,
};

int hypervisor_init(struct hypervisor *h, struct bridge_client *bridge, const struct memory *ram,
		    const struct memory *grants, const struct memory *store)
{
	struct hypercall_guest *g = &h->guest;

	h->bridge = bridge;
	h->ram = ram;
	h->grants = grants;
	h->store = store;
	h->own = aligned_alloc(XEN_PAGE_SIZE, OWN_PAGES * XEN_PAGE_SIZE);
	if (!h->own)
		return -ENOMEM;
	memset(h->own, 0, OWN_PAGES * XEN_PAGE_SIZE);
	hypercall_guest_init(g, &ops, h, 1);
	g->nr_pages = ram->size / XEN_PAGE_SIZE;
	g->grant_frames_max = GRANT_FRAMES;
	g->nr_memmap = 1;
	g->memmap[0] = (struct hypercall_memmap){ 0, ram->size, 1 };
	return 0;
}

void hypervisor_fini(struct hypervisor *h)
{
	for (uint32_t i = 0; i < h->nr_ports; i++)
		close_fds(&h->ports[i]);
	free(h->ports);
	free(h->own);
}

int hypervisor_open_store_port(struct hypervisor *h)
{
	int number = ports_open_unbound(&h->guest.ports, 0, 0);
	int r = number < 0 ? number : port_opened(h, (uint32_t)number);

	if (r < 0)
		return r;
	h->guest.params[HVM_PARAM_STORE_EVTCHN] = (uint64_t)number;
	h->guest.params[HVM_PARAM_STORE_PFN] = STORE_GFN;
	return 0;
}
