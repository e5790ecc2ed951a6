/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdbool.h>

#include "hypercall-bridge/bridged/query.h"

#include "common/cleanup.h"
#include "common/xen.h"
#include "hypercall-bridge/bridged/domain.h"
#include "hypercall-bridge/bridged/limits.h"

/* as guests are told by hypercall-bridge/guest */
#define VERSION_MAJOR 4u
#define VERSION_MINOR 17u

static Bridge__PortInfo__State state_to_wire(enum port_state state)
{
	switch (state) {
	case PORT_UNBOUND:
		return BRIDGE__PORT_INFO__STATE__UNBOUND;
	case PORT_INTERDOMAIN:
		return BRIDGE__PORT_INFO__STATE__INTERDOMAIN;
	case PORT_DEAD:
		return BRIDGE__PORT_INFO__STATE__DEAD;
	default:
		return BRIDGE__PORT_INFO__STATE__UNKNOWN;
	}
}

void query_ports(const struct domain *d, uint32_t from, struct query_ports *ret_ports)
{
	bridge__port_list__init(&ret_ports->list);
	ret_ports->list.ports = ret_ports->pointers;
	for (uint32_t i = from; i < d->ports.room; i++) {
		const struct port *p = port_get(&d->ports, i);
		Bridge__PortInfo *info = &ret_ports->infos[ret_ports->list.n_ports];

		if (!p)
			continue;
		if (ret_ports->list.n_ports == BRIDGE_PORT_LIST_MAX) {
			ret_ports->list.next = i;
			return;
		}
		bridge__port_info__init(info);
		info->port = i;
		info->state = state_to_wire(p->state);
		info->remote_domid = p->remote_domid;
		info->remote_port = p->remote_port;
		ret_ports->pointers[ret_ports->list.n_ports++] = info;
	}
}

static int ask_version(const struct domain *d, const uint64_t *args, uint64_t *results)
{
	results[0] = VERSION_MAJOR;
	results[1] = VERSION_MINOR;
	return 0;
}

static int ask_evtchn_status(const struct domain *d, const uint64_t *args, uint64_t *results)
{
	const struct port *p =
		args[0] < BRIDGE_PORTS_MAX ? port_get(&d->ports, (uint32_t)args[0]) : NULL;

	if (args[0] == 0 || args[0] >= BRIDGE_PORTS_MAX)
		return -EINVAL;
	results[0] = EVTCHNSTAT_closed;
	if (!p || p->state == PORT_DEAD)
		return 0;
	results[0] = p->state == PORT_UNBOUND ? EVTCHNSTAT_unbound : EVTCHNSTAT_interdomain;
	results[1] = p->remote_domid;
	results[2] = p->remote_port;
	return 0;
}

static int ask_grant_size(const struct domain *d, const uint64_t *args, uint64_t *results)
{
	if (d->kind != BRIDGE__DOMAIN_KIND__GUEST_DOMAIN)
		return -EINVAL;
	for (size_t i = 0; i < d->nr_regions; i++)
		if (d->regions[i].kind == BRIDGE__REGION_KIND__GRANT_FRAMES)
			results[0] = d->regions[i].size / XEN_PAGE_SIZE;
	results[1] = LIMIT_GRANT_FRAMES;
	return 0;
}

/* those that others must know */
static int ask_hvm_param(const struct domain *d, const uint64_t *args, uint64_t *results)
{
	if (d->kind != BRIDGE__DOMAIN_KIND__GUEST_DOMAIN)
		return -EINVAL;
	switch (args[0]) {
	case HVM_PARAM_STORE_PFN:
		results[0] = d->store_gfn;
		return 0;
	case HVM_PARAM_STORE_EVTCHN:
		results[0] = d->store_port;
		return 0;
	case HVM_PARAM_CONSOLE_PFN:
		results[0] = d->console_gfn;
		return 0;
	case HVM_PARAM_CONSOLE_EVTCHN:
		results[0] = d->console_port;
		return 0;
	default:
		return -EINVAL;
	}
}

#define R(role) (1u << BRIDGE__ROLE__##role)
#define ANYONE (R(TOOL) | R(STORE) | R(OWNER) | R(SERVICE))

/* who may ask about itself, and who about others. Stopping oneself is not for those who speak to us. */
static const struct {
	bool known;
	unsigned int about_self, about_others;
	uint8_t nr_args, nr_results;
	int (*ask)(const struct domain *d, const uint64_t *args, uint64_t *results);
} table[] = {
	[BRIDGE_HYPERCALL_VERSION] = { true, ANYONE, 0, 0, 2, ask_version },
	[BRIDGE_HYPERCALL_EVTCHN_STATUS] = { true, ANYONE, R(TOOL), 1, 3, ask_evtchn_status },
	[BRIDGE_HYPERCALL_GRANT_SIZE] = { true, ANYONE, R(TOOL) | R(SERVICE), 0, 2,
					  ask_grant_size },
	[BRIDGE_HYPERCALL_HVM_PARAM] = { true, ANYONE, R(TOOL) | R(STORE), 1, 1, ask_hvm_param },
	[BRIDGE_HYPERCALL_SHUTDOWN] = { true, 0, 0, 1, 0, NULL },
};

int query_hypercall(const struct domain *d, Bridge__Role role, bool about_self,
		    const Bridge__Hypercall *call, struct query_results *ret_results)
{
	unsigned int roles;
	int r;

	if (call->op >= ARRAY_SIZE(table) || !table[call->op].known)
		return -ENOSYS;
	roles = about_self ? table[call->op].about_self : table[call->op].about_others;
	if (!(roles & 1u << role))
		return -EPERM;
	if (call->n_args != table[call->op].nr_args)
		return -EINVAL;
	bridge__hypercall_result__init(&ret_results->result);
	for (size_t i = 0; i < BRIDGE_VALUES_MAX; i++)
		ret_results->values[i] = 0;
	r = table[call->op].ask(d, call->args, ret_results->values);
	if (r < 0)
		return r;
	ret_results->result.results = ret_results->values;
	ret_results->result.n_results = table[call->op].nr_results;
	return 0;
}
