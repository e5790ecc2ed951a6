/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "common/cleanup.h"
#include "hypercall-bridge/guest/hypercall.h"
#include "hypercall-bridge/guest/hypercall_table.h"

static const struct hypercall_table timer_table = { .name = "set_timer_op" };

static const struct hypercall_table *const tables[HYPERCALL_NR_MAX] = {
	[__HYPERVISOR_memory_op] = &hypercall_memory_table,
	[__HYPERVISOR_set_timer_op] = &timer_table,
	[__HYPERVISOR_xen_version] = &hypercall_version_table,
	[__HYPERVISOR_console_io] = &hypercall_console_table,
	[__HYPERVISOR_grant_table_op] = &hypercall_grant_table,
	[__HYPERVISOR_vm_assist] = &hypercall_assist_table,
	[__HYPERVISOR_vcpu_op] = &hypercall_vcpu_table,
	[__HYPERVISOR_sched_op] = &hypercall_sched_table,
	[__HYPERVISOR_event_channel_op] = &hypercall_evtchn_table,
	[__HYPERVISOR_hvm_op] = &hypercall_hvm_table,
};

void hypercall_guest_init(struct hypercall_guest *g, const struct hypercall_ops *ops, void *ctx,
			  unsigned int nr_vcpus)
{
	memset(g, 0, sizeof(*g));
	g->ops = ops;
	g->ctx = ctx;
	g->nr_vcpus = nr_vcpus;
	g->grant_frames = 1;
	g->grant_frames_max = 1;
	ports_init(&g->ports, nr_vcpus);
}

void hypercall_reset(struct hypercall_guest *g)
{
	hypercall_close_ports(g);
	g->ports.limit = PORTS_MAX;
	g->params[HVM_PARAM_CALLBACK_IRQ] = 0;
	g->grant_frames = 1;
}

static const struct hypercall_table *table_of(uint64_t nr)
{
	return nr < HYPERCALL_NR_MAX ? tables[nr] : NULL;
}

const char *hypercall_name(unsigned int nr)
{
	const struct hypercall_table *t = table_of(nr);

	return t ? t->name : "hypercall";
}

unsigned int hypercall_op(const struct hypercall *call)
{
	const struct hypercall_table *t = table_of(call->nr);

	if (!t || !t->ops)
		return 0;
	return (uint32_t)call->args[0] & t->op_mask;
}

bool hypercall_is_self(const struct hypercall_guest *g, uint16_t domid)
{
	return domid == DOMID_SELF || domid == g->domid;
}

/* host address of gva and how much of `len` lies in its page */
static void *window(struct hypercall_guest *g, const struct hypercall *c, uint64_t gva, size_t len,
		    size_t *ret_part)
{
	size_t left = XEN_PAGE_SIZE - (gva & (XEN_PAGE_SIZE - 1));
	uint64_t gpa;

	if (g->ops->gpa_of(g->ctx, c->vcpu, gva, &gpa) < 0)
		return NULL;
	*ret_part = len < left ? len : left;
	return g->ops->host_of(g->ctx, gpa);
}

/* a pointer that wraps is none; a 32-bit caller has 32-bit ones */
static bool plausible(const struct hypercall *c, uint64_t gva, size_t len)
{
	uint64_t last;

	if (!gva || __builtin_add_overflow(gva, (uint64_t)len, &last))
		return false;
	return c->long_mode || last <= 1ULL << 32;
}

int hypercall_fetch(struct hypercall_guest *g, const struct hypercall *c, uint64_t gva, void *buf,
		    size_t len)
{
	if (!plausible(c, gva, len))
		return -EFAULT;
	while (len) {
		size_t part;
		const void *from = window(g, c, gva, len, &part);

		if (!from)
			return -EFAULT;
		memcpy(buf, from, part);
		buf = (char *)buf + part;
		gva += part;
		len -= part;
	}
	return 0;
}

int hypercall_store(struct hypercall_guest *g, const struct hypercall *c, uint64_t gva,
		    const void *buf, size_t len)
{
	if (!plausible(c, gva, len))
		return -EFAULT;
	while (len) {
		size_t part;
		void *to = window(g, c, gva, len, &part);

		if (!to)
			return -EFAULT;
		memcpy(to, buf, part);
		buf = (const char *)buf + part;
		gva += part;
		len -= part;
	}
	return 0;
}

int64_t hypercall_unsupported(struct hypercall_guest *g, const struct hypercall *c)
{
	return -ENOSYS;
}

#define UNKNOWN_MAX \
	8 /* operations of one hypercall that are told; a guest that tries all is no news */

/* One bit per number and operation, the rest shares the last ones. */
static int64_t unknown(struct hypercall_guest *g, const struct hypercall *c)
{
	unsigned int nr = c->nr < HYPERCALL_NR_MAX ? (unsigned int)c->nr : HYPERCALL_NR_MAX - 1;
	unsigned int op = hypercall_op(c);
	uint64_t bit = 1ULL << (op < HYPERCALL_OP_MAX ? op : HYPERCALL_OP_MAX - 1);

	if (!(g->logged[nr] & bit) && __builtin_popcountll(g->logged[nr]) < UNKNOWN_MAX &&
	    g->ops->unknown)
		g->ops->unknown(g->ctx, c->nr, op);
	g->logged[nr] |= bit;
	return -ENOSYS;
}

int64_t hypercall_answer(struct hypercall_guest *g, const struct hypercall *call)
{
	const struct hypercall_table *t = table_of(call->nr);
	unsigned int op = hypercall_op(call);

	if (call->cpl != 0)
		return -EPERM;
	if (call->nr == __HYPERVISOR_set_timer_op)
		return hypercall_set_timer(g, call);
	if (!t || op >= t->nr_ops || !t->ops[op])
		return unknown(g, call);
	return t->ops[op](g, call);
}
