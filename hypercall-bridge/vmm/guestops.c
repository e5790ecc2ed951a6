/* SPDX-License-Identifier: MIT */
/* What a guest's hypercalls do outside of its own tables. Everything here runs with the vm lock held. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/xen.h"
#include "hypercall-bridge/guest/upcall.h"
#include "hypercall-bridge/vmm/bridge.h"
#include "hypercall-bridge/vmm/console.h"
#include "hypercall-bridge/vmm/evtchn.h"
#include "hypercall-bridge/vmm/mem.h"
#include "hypercall-bridge/vmm/vcpu.h"
#include "hypercall-bridge/vmm/vm.h"

static int gpa_of(void *ctx, unsigned int vcpu, uint64_t gva, uint64_t *ret_gpa)
{
	const struct vm *vm = ctx;

	return vcpu_translate(vm->vcpus[vcpu], gva, ret_gpa);
}

static void *host_of(void *ctx, uint64_t gpa)
{
	const struct vm *vm = ctx;
	uint64_t at = gpa % XEN_PAGE_SIZE;
	uint8_t *page = mem_host(vm->mem, gpa - at, XEN_PAGE_SIZE);

	return page ? page + at : NULL;
}

static const struct upcall_layout *layout_of(const struct vm *vm)
{
	return vm->long_mode ? &upcall_layout_64 : &upcall_layout_32;
}

/* A guest could fill the log with what it can repeat. */
static void warn_once(struct vm *vm, unsigned int what, const char *text, int error)
{
	if (!(vm->warned & what))
		log_warning("the guest %s: %s", text, strerror(-error));
	vm->warned |= what;
}

/* KVM latches the mode by itself on a write of the hypercall page only, which guests no longer do. */
static int tell_long_mode(struct vm *vm, bool long_mode)
{
	struct kvm_xen_hvm_attr attr = { .type = KVM_XEN_ATTR_TYPE_LONG_MODE,
					 .u.long_mode = long_mode };
	int r = kvm_xen_attr(&vm->kvm, &attr);

	if (r == 0)
		vm->long_mode = long_mode;
	return r;
}

/* By our address where KVM takes it: such a place survives changes of the memory slots. */
static int tell_shared_info(struct vm *vm)
{
	struct kvm_xen_hvm_attr attr = { .type = KVM_XEN_ATTR_TYPE_SHARED_INFO,
					 .u.shared_info.gfn = vm->shared_info_gfn };

	if (vm->kvm.xen & XEN_HVM_SHARED_INFO_HVA) {
		attr.type = XEN_ATTR_SHARED_INFO_HVA;
		attr.u.shared_info.gfn = (uintptr_t)vm->shared_info;
	}
	return kvm_xen_attr(&vm->kvm, &attr);
}

static int tell_vcpu_info(struct vm *vm, unsigned int vcpu, uint64_t gpa)
{
	struct kvm_xen_vcpu_attr attr = { .type = KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO, .u.gpa = gpa };
	void *host = mem_info(vm->mem, gpa, UPCALL_VCPU_INFO_SIZE);
	int r;

	if (!host)
		return -EINVAL;
	if (vm->kvm.xen & XEN_HVM_SHARED_INFO_HVA) {
		attr.type = XEN_VCPU_ATTR_VCPU_INFO_HVA;
		attr.u.gpa = (uintptr_t)host;
	}
	r = vcpu_attr(vm->vcpus[vcpu], &attr);
	if (r == 0)
		vm->vcpus[vcpu]->info_gpa = gpa;
	return r;
}

static int set_timer(struct vm *vm, unsigned int vcpu, uint32_t port, uint64_t abs_ns)
{
	struct kvm_xen_vcpu_attr attr = {
		.type = KVM_XEN_VCPU_ATTR_TYPE_TIMER,
		.u.timer = { .port = port,
			     .priority = KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL,
			     .expires_ns = abs_ns },
	};

	return vcpu_attr(vm->vcpus[vcpu], &attr);
}

/* From here on KVM delivers events; timers that were bound before become KVM's too. */
static int activate(struct vm *vm)
{
	int r = evtchn_activate(vm->evtchn);

	for (unsigned int i = 0; i < vm->nr_vcpus && r == 0; i++) {
		uint32_t port = ports_of_virq(&vm->guest.ports, VIRQ_TIMER, i);

		if (port)
			r = set_timer(vm, i, port, 0);
	}
	return r;
}

/*
 * The guest's own page becomes shared_info, if it names one: no page of ours comes over it, so whoever maps
 * the guest's RAM sees it too. The clock of every vCPU must run in it at once: Linux takes its TSC rate from there.
 */
static int map_shared_info(void *ctx, uint64_t gfn, bool long_mode)
{
	struct vm *vm = ctx;
	uint8_t *old = vm->shared_info, *page = mem_map_shared(vm->mem, gfn);
	int r;

	if (!page)
		return -EINVAL;
	if (old && page != old)
		memcpy(page, old, XEN_PAGE_SIZE);
	else if (!old)
		memset(page, 0, XEN_PAGE_SIZE);
	r = tell_long_mode(vm, long_mode);
	if (r < 0)
		return r;
	vm->shared_info = page;
	vm->shared_info_gfn = gfn;
	vm->guest.ports.limit = long_mode ? PORTS_MAX : PORTS_MAX_32;
	r = tell_shared_info(vm);
	for (unsigned int i = 0; i < vm->nr_vcpus && r == 0; i++)
		if (!vm->vcpus[i]->info_registered)
			r = tell_vcpu_info(vm, i, gfn * XEN_PAGE_SIZE + i * UPCALL_VCPU_INFO_SIZE);
	return r < 0 || evtchn_is_active(vm->evtchn) ? r : activate(vm);
}

static int map_grant_frame(void *ctx, uint32_t frame, uint64_t gfn)
{
	struct vm *vm = ctx;

	if (vm->shared_info && gfn == vm->shared_info_gfn)
		return -EBUSY;
	return mem_map_grant(vm->mem, frame, gfn);
}

static uint64_t grant_gfn(void *ctx, uint32_t frame)
{
	const struct vm *vm = ctx;
	uint64_t gfn = frame < MEM_GRANT_FRAMES ? vm->mem->grant_gfn[frame] : 0;

	return gfn ? gfn : UINT64_MAX;
}

static int unmap(void *ctx, uint64_t gfn)
{
	struct vm *vm = ctx;

	return mem_unmap_grant(vm->mem, gfn);
}

/* Pages that KVM writes into by itself stay. */
static bool is_in_use(const struct vm *vm, uint64_t gfn, uint64_t nr)
{
	if (vm->shared_info && vm->shared_info_gfn - gfn < nr)
		return true;
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		if (vm->vcpus[i]->info_gpa && vm->vcpus[i]->info_gpa / XEN_PAGE_SIZE - gfn < nr)
			return true;
	return false;
}

static int balloon(void *ctx, uint64_t gfn, uint64_t nr, bool give)
{
	struct vm *vm = ctx;

	return give && is_in_use(vm, gfn, nr) ? -EBUSY : mem_balloon(vm->mem, gfn, nr, give);
}

/* Copy, switch, then add what KVM still set in the old place in between. */
static int vcpu_info(void *ctx, unsigned int vcpu, uint64_t gpa)
{
	struct vm *vm = ctx;
	struct vcpu *v = vm->vcpus[vcpu];
	void *to = mem_info(vm->mem, gpa, UPCALL_VCPU_INFO_SIZE);
	void *from = NULL;
	int r;

	if (!to)
		return -EINVAL;
	if (v->info_gpa && v->info_gpa != gpa)
		from = mem_info(vm->mem, v->info_gpa, UPCALL_VCPU_INFO_SIZE);
	if (from)
		memmove(to, from,
			UPCALL_VCPU_INFO_SIZE); /* the guest may choose places that overlap */
	r = tell_vcpu_info(vm, vcpu, gpa);
	if (r < 0)
		return r;
	if (from)
		upcall_merge(layout_of(vm), from, to);
	v->info_registered = true;
	return 0;
}

static int vcpu_time_area(void *ctx, unsigned int vcpu, uint64_t gpa)
{
	struct vm *vm = ctx;
	struct kvm_xen_vcpu_attr attr = { .type = KVM_XEN_VCPU_ATTR_TYPE_VCPU_TIME_INFO,
					  .u.gpa = gpa };

	return vcpu_attr(vm->vcpus[vcpu], &attr);
}

/* Linux takes a refusal for a bug of its own; without KVM's help the guest sees no stolen time. */
static int vcpu_runstate_area(void *ctx, unsigned int vcpu, uint64_t gpa)
{
	struct vm *vm = ctx;
	struct kvm_xen_vcpu_attr attr = { .type = KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADDR,
					  .u.gpa = gpa };
	size_t size = sizeof(struct vcpu_runstate_info);
	void *area = mem_ram(vm->mem, gpa, size);
	int r;

	if (!area)
		return -EFAULT;
	r = vcpu_attr(vm->vcpus[vcpu], &attr);
	if (r < 0) {
		warn_once(vm, VM_WARNED_RUNSTATE, "has no runstate areas", r);
		memset(area, 0, size);
	}
	return 0;
}

static int runstate_flag(void *ctx, bool enable)
{
	struct vm *vm = ctx;
	struct kvm_xen_hvm_attr attr = { .type = XEN_ATTR_RUNSTATE_UPDATE_FLAG,
					 .u.long_mode = enable };

	if (!(vm->kvm.xen & XEN_HVM_RUNSTATE_UPDATE_FLAG))
		return -EINVAL;
	return kvm_xen_attr(&vm->kvm, &attr);
}

static int vcpu_timer(void *ctx, unsigned int vcpu, uint64_t abs_ns)
{
	struct vm *vm = ctx;
	uint32_t port = ports_of_virq(&vm->guest.ports, VIRQ_TIMER, vcpu);

	if (!port || !evtchn_is_active(vm->evtchn))
		return abs_ns ? -EINVAL : 0;
	return set_timer(vm, vcpu, port, abs_ns);
}

static bool is_up(void *ctx, unsigned int vcpu)
{
	struct vm *vm = ctx;

	return vcpu_is_up(vm->vcpus[vcpu]);
}

static int upcall_vector(void *ctx, unsigned int vcpu, uint8_t vector)
{
	struct vm *vm = ctx;
	struct kvm_xen_hvm_attr all = { .type = KVM_XEN_ATTR_TYPE_UPCALL_VECTOR,
					.u.vector = vector };
	struct kvm_xen_vcpu_attr one = { .type = KVM_XEN_VCPU_ATTR_TYPE_UPCALL_VECTOR,
					 .u.vector = vector };

	if (vcpu == HYPERCALL_ALL_VCPUS)
		return kvm_xen_attr(&vm->kvm, &all);
	return vcpu_attr(vm->vcpus[vcpu], &one);
}

/* A pair of eventfds from bridged becomes the port's way to the far side. */
static int open_remote(struct vm *vm, uint32_t number, const struct port *port)
{
	int fds[2];
	int r;

	if (number > EVTCHN_PORT_MAX || !evtchn_has_room(vm->evtchn))
		return -ENOSPC;
	if (port->state == EVTCHNSTAT_unbound)
		r = bridge_port_alloc(vm->bridge, number, port->remote_domid, fds);
	else
		r = bridge_port_bind(vm->bridge, number, port->remote_domid, port->remote_port,
				     fds);
	if (r < 0)
		return r;
	r = evtchn_bind(vm->evtchn, number, port->vcpu, fds[0], fds[1]);
	if (r < 0) {
		closep(&fds[0]);
		closep(&fds[1]);
		(void)bridge_port_close(vm->bridge, number);
		return r;
	}
	/* the far side may have notified before we were there */
	if (port->state == EVTCHNSTAT_interdomain)
		evtchn_notify_self(vm->evtchn, number);
	return 1;
}

/* 1 when KVM serves sends of the port from now on */
static int open_by_kind(struct vm *vm, uint32_t number, const struct port *port)
{
	int r;

	switch (port->state) {
	case EVTCHNSTAT_unbound:
	case EVTCHNSTAT_interdomain:
		return open_remote(vm, number, port);
	case EVTCHNSTAT_ipi:
		r = evtchn_bind_ipi(vm->evtchn, number, port->vcpu);
		return r < 0 ? r : 1;
	default: /* only the timer is ever raised */
		if (port->virq != VIRQ_TIMER || !evtchn_is_active(vm->evtchn))
			return 0;
		return set_timer(vm, port->vcpu, number, 0);
	}
}

static int port_opened(void *ctx, uint32_t number)
{
	struct vm *vm = ctx;
	int r = open_by_kind(vm, number, ports_get(&vm->guest.ports, number));

	if (r > 0)
		ports_set_bound(&vm->guest.ports, number, true);
	return r < 0 ? r : 0;
}

/* The console's port, as we make it, is not known to bridged. */
static void port_closed(void *ctx, uint32_t number, const struct port *old)
{
	struct vm *vm = ctx;

	evtchn_unbind(vm->evtchn, number);
	if (vm->shared_info)
		upcall_clear(layout_of(vm), vm->shared_info, number);
	if (old->state == EVTCHNSTAT_virq && old->virq == VIRQ_TIMER)
		(void)set_timer(vm, old->vcpu, 0, 0);
	if (number == VM_CONSOLE_PORT && vm->console_port_local)
		vm->console_port_local = false; /* from now on the number is like any other */
	else if (old->state == EVTCHNSTAT_unbound || old->state == EVTCHNSTAT_interdomain)
		(void)bridge_port_close(vm->bridge, number);
}

static void port_moved(void *ctx, uint32_t number)
{
	struct vm *vm = ctx;
	const struct port *port = ports_get(&vm->guest.ports, number);
	int r = evtchn_move(vm->evtchn, number, port->vcpu);

	if (r < 0)
		warn_once(vm, VM_WARNED_MOVE, "has a port that stays on its old vCPU", r);
}

static int port_send(void *ctx, uint32_t number)
{
	struct vm *vm = ctx;

	vm->sends++;
	if (ports_get(&vm->guest.ports, number)->bound && evtchn_is_active(vm->evtchn))
		vm->bound_sends++;
	return evtchn_notify(vm->evtchn, number);
}

/* Raising again by KVM sets the selector bit and interrupts, as for any new event. */
static int port_unmask(void *ctx, uint32_t number)
{
	struct vm *vm = ctx;
	const struct port *port = ports_get(&vm->guest.ports, number);
	int r;

	if (!vm->shared_info)
		return 0;
	r = upcall_unmask(layout_of(vm), vm->shared_info, number);
	return r > 0 ? evtchn_raise(vm->evtchn, number, port->vcpu) : r;
}

static int op_shutdown(void *ctx, unsigned int reason)
{
	static const enum vm_end ends[] = {
		[SHUTDOWN_poweroff] = VM_POWEROFF,
		[SHUTDOWN_reboot] = VM_REBOOT,
		[SHUTDOWN_crash] = VM_CRASH,
		[SHUTDOWN_watchdog] = VM_WATCHDOG,
	};
	struct vm *vm = ctx;

	if (reason == SHUTDOWN_soft_reset) {
		vm_soft_reset(vm);
		return 0;
	}
	if (reason >= ARRAY_SIZE(ends) || ends[reason] == VM_RUNNING)
		return -EINVAL;
	vm_end(vm, ends[reason]);
	return 0;
}

static void console_write(void *ctx, const char *text, size_t len)
{
	struct vm *vm = ctx;

	console_early(vm->console, text, len);
}

static void unknown(void *ctx, uint64_t nr, uint64_t op)
{
	log_info("the guest uses hypercall %" PRIu64 " operation %" PRIu64
		 " (%s), which is not known here",
		 nr, op, hypercall_name(nr < HYPERCALL_NR_MAX ? (unsigned int)nr : 0));
}

const struct hypercall_ops guestops = {
	.gpa_of = gpa_of,
	.host_of = host_of,
	.map_shared_info = map_shared_info,
	.map_grant_frame = map_grant_frame,
	.unmap = unmap,
	.grant_gfn = grant_gfn,
	.balloon = balloon,
	.vcpu_info = vcpu_info,
	.vcpu_time_area = vcpu_time_area,
	.vcpu_runstate_area = vcpu_runstate_area,
	.vcpu_timer = vcpu_timer,
	.vcpu_is_up = is_up,
	.runstate_flag = runstate_flag,
	.upcall_vector = upcall_vector,
	.port_opened = port_opened,
	.port_closed = port_closed,
	.port_moved = port_moved,
	.port_send = port_send,
	.port_unmask = port_unmask,
	.shutdown = op_shutdown,
	.console_write = console_write,
	.unknown = unknown,
};

static int open_console_port(struct vm *vm)
{
	struct hypercall_guest *g = &vm->guest;
	int fds[2];
	int r;

	r = ports_open_interdomain(&g->ports, VM_CONSOLE_PORT, 0, 0);
	if (r < 0)
		return r;
	r = console_guest_fds(vm->console, fds);
	if (r < 0)
		return r;
	r = evtchn_bind(vm->evtchn, VM_CONSOLE_PORT, 0, fds[0], fds[1]);
	if (r < 0) {
		closep(&fds[0]);
		closep(&fds[1]);
		return r;
	}
	ports_set_bound(&g->ports, VM_CONSOLE_PORT, true);
	g->params[HVM_PARAM_CONSOLE_EVTCHN] = VM_CONSOLE_PORT;
	vm->console_port_local = true;
	g->params[HVM_PARAM_CONSOLE_PFN] = MEM_CONSOLE / XEN_PAGE_SIZE;
	return 0;
}

/* The two ports a guest is born with, and the parameters by which it finds them. */
int guestops_open_static_ports(struct vm *vm)
{
	struct hypercall_guest *g = &vm->guest;
	int r;

	r = ports_open_unbound(&g->ports, VM_STORE_PORT, 0);
	if (r > 0)
		r = port_opened(vm, VM_STORE_PORT);
	if (r < 0)
		return r;
	g->params[HVM_PARAM_STORE_EVTCHN] = VM_STORE_PORT;
	g->params[HVM_PARAM_STORE_PFN] = MEM_STORE / XEN_PAGE_SIZE;
	return open_console_port(vm);
}
