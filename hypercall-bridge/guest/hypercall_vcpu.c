/* SPDX-License-Identifier: MIT */
/* vcpu_op, sched_op, set_timer_op. */
#include "config.h"

#include <errno.h>

#include "common/cleanup.h"
#include "hypercall-bridge/guest/hypercall_table.h"
#include "hypercall-bridge/guest/upcall.h"

/* vcpu_op(cmd, vcpu, arg): which vCPU it is about is checked here once */
static int64_t vcpu_of(const struct hypercall_guest *g, const struct hypercall *c)
{
	return (uint32_t)c->args[1] < g->nr_vcpus ? (int64_t)(uint32_t)c->args[1] : -ENOENT;
}

static int64_t is_up(struct hypercall_guest *g, const struct hypercall *c)
{
	int64_t vcpu = vcpu_of(g, c);

	return vcpu < 0 ? vcpu : HYPERCALL_OP(g, vcpu_is_up, (unsigned int)vcpu);
}

static int64_t register_vcpu_info(struct hypercall_guest *g, const struct hypercall *c)
{
	struct vcpu_register_vcpu_info arg;
	int64_t vcpu = vcpu_of(g, c);

	if (vcpu < 0)
		return vcpu;
	if (hypercall_fetch(g, c, c->args[2], &arg, sizeof(arg)) < 0)
		return -EFAULT;
	if (arg.offset > XEN_PAGE_SIZE - UPCALL_VCPU_INFO_SIZE || arg.offset % 8)
		return -EINVAL;
	if (arg.mfn >= 1ULL << 40)
		return -EINVAL;
	return HYPERCALL_OP(g, vcpu_info, (unsigned int)vcpu, arg.mfn * XEN_PAGE_SIZE + arg.offset);
}

/*
 * Areas named by a virtual address: the physical one is what KVM wants. An area that crosses a page is
 * fine where the pages follow each other in physical memory too.
 */
static int area(struct hypercall_guest *g, const struct hypercall *c, size_t size,
		uint64_t *ret_gpa)
{
	uint64_t gva, first, last;

	if (hypercall_fetch(g, c, c->args[2], &gva, sizeof(gva)) < 0)
		return -EFAULT;
	if (g->ops->gpa_of(g->ctx, c->vcpu, gva, &first) < 0)
		return -EFAULT;
	if (g->ops->gpa_of(g->ctx, c->vcpu, gva + size - 1, &last) < 0)
		return -EFAULT;
	if (last != first + size - 1)
		return -EINVAL;
	*ret_gpa = first;
	return 0;
}

static int64_t register_runstate(struct hypercall_guest *g, const struct hypercall *c)
{
	int64_t vcpu = vcpu_of(g, c);
	uint64_t gpa;
	int r;

	if (vcpu < 0)
		return vcpu;
	r = area(g, c, sizeof(struct vcpu_runstate_info), &gpa);
	return r < 0 ? r : HYPERCALL_OP(g, vcpu_runstate_area, (unsigned int)vcpu, gpa);
}

static int64_t register_time(struct hypercall_guest *g, const struct hypercall *c)
{
	int64_t vcpu = vcpu_of(g, c);
	uint64_t gpa;
	int r;

	if (vcpu < 0)
		return vcpu;
	r = area(g, c, sizeof(struct vcpu_time_info), &gpa);
	return r < 0 ? r : HYPERCALL_OP(g, vcpu_time_area, (unsigned int)vcpu, gpa);
}

/* There is no periodic timer, so stopping it always works. */
static int64_t stop_periodic(struct hypercall_guest *g, const struct hypercall *c)
{
	int64_t vcpu = vcpu_of(g, c);

	return vcpu < 0 ? vcpu : 0;
}

/* KVM has its own timer for these once VIRQ_TIMER is bound; a call that still comes here is rare. */
static int64_t set_singleshot(struct hypercall_guest *g, const struct hypercall *c)
{
	int64_t vcpu = vcpu_of(g, c);
	uint64_t timeout;

	if (vcpu < 0)
		return vcpu;
	if (vcpu != c->vcpu)
		return -EINVAL;
	if (hypercall_fetch(g, c, c->args[2], &timeout, sizeof(timeout)) < 0)
		return -EFAULT;
	return HYPERCALL_OP(g, vcpu_timer, (unsigned int)vcpu, timeout ? timeout : 1);
}

static int64_t stop_singleshot(struct hypercall_guest *g, const struct hypercall *c)
{
	int64_t vcpu = vcpu_of(g, c);

	if (vcpu < 0)
		return vcpu;
	if (vcpu != c->vcpu)
		return -EINVAL;
	return HYPERCALL_OP(g, vcpu_timer, (unsigned int)vcpu, 0);
}

int64_t hypercall_set_timer(struct hypercall_guest *g, const struct hypercall *c)
{
	uint64_t timeout = c->args[0];

	if (!c->long_mode)
		timeout = (uint32_t)c->args[0] | c->args[1] << 32;
	return HYPERCALL_OP(g, vcpu_timer, c->vcpu, timeout);
}

static hypercall_fn *const vcpu_ops[] = {
	[VCPUOP_is_up] = is_up,
	[VCPUOP_register_runstate_memory_area] = register_runstate,
	[VCPUOP_stop_periodic_timer] = stop_periodic,
	[VCPUOP_set_singleshot_timer] = set_singleshot,
	[VCPUOP_stop_singleshot_timer] = stop_singleshot,
	[VCPUOP_register_vcpu_info] = register_vcpu_info,
	[VCPUOP_register_vcpu_time_memory_area] = register_time,
};

const struct hypercall_table hypercall_vcpu_table = { "vcpu_op", vcpu_ops, ARRAY_SIZE(vcpu_ops),
						      UINT32_MAX };

/* Yield, block and poll may come back at once: the guest looks again. KVM itself does the waiting. */
static int64_t come_back(struct hypercall_guest *g, const struct hypercall *c)
{
	return 0;
}

static int64_t op_shutdown(struct hypercall_guest *g, const struct hypercall *c)
{
	struct sched_shutdown arg;

	if (hypercall_fetch(g, c, c->args[1], &arg, sizeof(arg)) < 0)
		return -EFAULT;
	if (arg.reason == SHUTDOWN_suspend)
		return -ENOSYS;
	if (arg.reason > SHUTDOWN_MAX)
		arg.reason = SHUTDOWN_crash;
	return HYPERCALL_OP(g, shutdown, arg.reason);
}

static hypercall_fn *const sched_ops[] = {
	[SCHEDOP_yield] = come_back,
	[SCHEDOP_block] = come_back,
	[SCHEDOP_shutdown] = op_shutdown,
	[SCHEDOP_poll] = come_back,
	[SCHEDOP_watchdog] = hypercall_unsupported,
};

const struct hypercall_table hypercall_sched_table = { "sched_op", sched_ops, ARRAY_SIZE(sched_ops),
						       UINT32_MAX };
