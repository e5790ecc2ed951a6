/* SPDX-License-Identifier: MIT */
/* event_channel_op. Its structures are the same for 32- and 64-bit callers. */
#include "config.h"

#include <errno.h>

#include "common/cleanup.h"
#include "hypercall-bridge/guest/hypercall_table.h"

_Static_assert(sizeof(struct evtchn_status) == 24, "the ABI's");
_Static_assert(sizeof(struct evtchn_bind_interdomain) == 12, "the ABI's");

#define FETCH(g, c, arg) hypercall_fetch(g, c, (c)->args[1], &(arg), sizeof(arg))
#define STORE(g, c, arg) hypercall_store(g, c, (c)->args[1], &(arg), sizeof(arg))

static void close_port(struct hypercall_guest *g, uint32_t port)
{
	struct port old;

	if (ports_close(&g->ports, port, &old) == 0 && g->ops->port_closed)
		g->ops->port_closed(g->ctx, port, &old);
}

/* Makes the world follow a new table entry, or takes the entry back. port may be an error. */
static int64_t opened(struct hypercall_guest *g, int port)
{
	int r;

	if (port < 0)
		return port;
	r = HYPERCALL_OP(g, port_opened, (uint32_t)port);
	if (r < 0) {
		ports_close(&g->ports, (uint32_t)port, NULL);
		return r;
	}
	return port;
}

/* A guest that cannot be told its port's number does not have the port. */
static int64_t deliver(struct hypercall_guest *g, int64_t port, int fault)
{
	if (port > 0 && fault < 0) {
		close_port(g, (uint32_t)port);
		return fault;
	}
	return port < 0 ? port : 0;
}

static uint16_t remote(const struct hypercall_guest *g, uint16_t domid)
{
	return domid == DOMID_SELF ? g->domid : domid;
}

static int64_t alloc_unbound(struct hypercall_guest *g, const struct hypercall *c)
{
	struct evtchn_alloc_unbound arg;
	int64_t r;

	if (FETCH(g, c, arg) < 0)
		return -EFAULT;
	if (!hypercall_is_self(g, arg.dom))
		return -EPERM;
	r = opened(g, ports_open_unbound(&g->ports, 0, remote(g, arg.remote_dom)));
	arg.port = (evtchn_port_t)r;
	return deliver(g, r, r < 0 ? 0 : STORE(g, c, arg));
}

static int64_t bind_interdomain(struct hypercall_guest *g, const struct hypercall *c)
{
	struct evtchn_bind_interdomain arg;
	int64_t r;

	if (FETCH(g, c, arg) < 0)
		return -EFAULT;
	r = opened(g, ports_open_interdomain(&g->ports, 0, remote(g, arg.remote_dom),
					     arg.remote_port));
	arg.local_port = (evtchn_port_t)r;
	return deliver(g, r, r < 0 ? 0 : STORE(g, c, arg));
}

static int64_t bind_virq(struct hypercall_guest *g, const struct hypercall *c)
{
	struct evtchn_bind_virq arg;
	int64_t r;

	if (FETCH(g, c, arg) < 0)
		return -EFAULT;
	r = opened(g, ports_open_virq(&g->ports, arg.virq, arg.vcpu));
	arg.port = (evtchn_port_t)r;
	return deliver(g, r, r < 0 ? 0 : STORE(g, c, arg));
}

static int64_t bind_ipi(struct hypercall_guest *g, const struct hypercall *c)
{
	struct evtchn_bind_ipi arg;
	int64_t r;

	if (FETCH(g, c, arg) < 0)
		return -EFAULT;
	r = opened(g, ports_open_ipi(&g->ports, arg.vcpu));
	arg.port = (evtchn_port_t)r;
	return deliver(g, r, r < 0 ? 0 : STORE(g, c, arg));
}

static int64_t op_close(struct hypercall_guest *g, const struct hypercall *c)
{
	struct evtchn_close arg;

	if (FETCH(g, c, arg) < 0)
		return -EFAULT;
	if (!ports_get(&g->ports, arg.port))
		return -EINVAL;
	close_port(g, arg.port);
	return 0;
}

static int64_t op_send(struct hypercall_guest *g, const struct hypercall *c)
{
	const struct port *port;
	struct evtchn_send arg;

	if (FETCH(g, c, arg) < 0)
		return -EFAULT;
	port = ports_get(&g->ports, arg.port);
	if (!port || port->state == EVTCHNSTAT_virq)
		return -EINVAL;
	return HYPERCALL_OP(g, port_send, arg.port);
}

static void describe(const struct port *port, struct evtchn_status *arg)
{
	arg->status = port->state;
	arg->vcpu = port->vcpu;
	switch (port->state) {
	case EVTCHNSTAT_unbound:
		arg->u.unbound.dom = port->remote_domid;
		break;
	case EVTCHNSTAT_interdomain:
		arg->u.interdomain.dom = port->remote_domid;
		arg->u.interdomain.port = port->remote_port;
		break;
	case EVTCHNSTAT_virq:
		arg->u.virq = port->virq;
		break;
	default:
		break;
	}
}

static int64_t op_status(struct hypercall_guest *g, const struct hypercall *c)
{
	const struct port *port;
	struct evtchn_status arg;

	if (FETCH(g, c, arg) < 0)
		return -EFAULT;
	if (!hypercall_is_self(g, arg.dom))
		return -EPERM;
	if (arg.port >= g->ports.limit)
		return -EINVAL;
	port = ports_get(&g->ports, arg.port);
	arg.status = EVTCHNSTAT_closed;
	if (port)
		describe(port, &arg);
	return STORE(g, c, arg);
}

static int64_t op_bind_vcpu(struct hypercall_guest *g, const struct hypercall *c)
{
	struct evtchn_bind_vcpu arg;
	int r;

	if (FETCH(g, c, arg) < 0)
		return -EFAULT;
	r = ports_bind_vcpu(&g->ports, arg.port, arg.vcpu);
	if (r == 0 && g->ops->port_moved)
		g->ops->port_moved(g->ctx, arg.port);
	return r;
}

static int64_t op_unmask(struct hypercall_guest *g, const struct hypercall *c)
{
	struct evtchn_unmask arg;

	if (FETCH(g, c, arg) < 0)
		return -EFAULT;
	if (!ports_get(&g->ports, arg.port))
		return -EINVAL;
	return HYPERCALL_OP(g, port_unmask, arg.port);
}

void hypercall_close_ports(struct hypercall_guest *g)
{
	for (uint32_t port = 1; port < g->ports.limit; port++)
		if (ports_get(&g->ports, port))
			close_port(g, port);
}

static int64_t op_reset(struct hypercall_guest *g, const struct hypercall *c)
{
	struct evtchn_reset arg;

	if (FETCH(g, c, arg) < 0)
		return -EFAULT;
	if (!hypercall_is_self(g, arg.dom))
		return -EPERM;
	hypercall_close_ports(g);
	return 0;
}

static hypercall_fn *const ops[] = {
	[EVTCHNOP_bind_interdomain] = bind_interdomain,
	[EVTCHNOP_bind_virq] = bind_virq,
	[EVTCHNOP_bind_pirq] = hypercall_unsupported,
	[EVTCHNOP_close] = op_close,
	[EVTCHNOP_send] = op_send,
	[EVTCHNOP_status] = op_status,
	[EVTCHNOP_alloc_unbound] = alloc_unbound,
	[EVTCHNOP_bind_ipi] = bind_ipi,
	[EVTCHNOP_bind_vcpu] = op_bind_vcpu,
	[EVTCHNOP_unmask] = op_unmask,
	[EVTCHNOP_reset] = op_reset,
	/* the FIFO ABI: refusing it makes guests use the two-level one, which KVM knows */
	[EVTCHNOP_init_control] = hypercall_unsupported,
	[EVTCHNOP_expand_array] = hypercall_unsupported,
	[EVTCHNOP_set_priority] = hypercall_unsupported,
};

const struct hypercall_table hypercall_evtchn_table = { "event_channel_op", ops, ARRAY_SIZE(ops),
							UINT32_MAX };
