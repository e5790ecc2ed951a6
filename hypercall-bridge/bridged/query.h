/* SPDX-License-Identifier: MIT */
/* Questions that change nothing: ports, and what a domain would ask the hypervisor. Pure. */
#ifndef BRIDGED_QUERY_H
#define BRIDGED_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/bridge.h"
#include "common/bridge_wire.h"

struct domain;

/* an answer's body, that needs no heap */
struct query_ports {
	Bridge__PortList list;
	Bridge__PortInfo infos[BRIDGE_PORT_LIST_MAX], *pointers[BRIDGE_PORT_LIST_MAX];
};

void query_ports(const struct domain *d, uint32_t from, struct query_ports *ret_ports);

struct query_results {
	Bridge__HypercallResult result;
	uint64_t values[BRIDGE_VALUES_MAX];
};

/*
 * One op of xenhost-hypercall(3) about d, asked by a peer of this role, about its own domain or another
 * one. -ENOSYS no such op, -EPERM not for this role, -EINVAL values
 */
int query_hypercall(const struct domain *d, Bridge__Role role, bool about_self,
		    const Bridge__Hypercall *call, struct query_results *ret_results);

#endif
