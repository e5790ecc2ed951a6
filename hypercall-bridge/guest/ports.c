/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "common/xen.h"
#include "hypercall-bridge/guest/ports.h"

void ports_init(struct ports *p, unsigned int nr_vcpus)
{
	memset(p, 0, sizeof(*p));
	p->limit = PORTS_MAX;
	p->nr_vcpus = nr_vcpus < PORTS_VCPUS_MAX ? nr_vcpus : PORTS_VCPUS_MAX;
}

static bool exists(const struct ports *p, uint32_t number)
{
	return number > 0 && number < p->limit && number < PORTS_MAX;
}

const struct port *ports_get(const struct ports *p, uint32_t number)
{
	if (!exists(p, number) || p->table[number].state == EVTCHNSTAT_closed)
		return NULL;
	return &p->table[number];
}

static int find_free(const struct ports *p, uint32_t wanted)
{
	if (wanted) {
		if (!exists(p, wanted))
			return -EINVAL;
		return ports_get(p, wanted) ? -EBUSY : (int)wanted;
	}
	for (uint32_t i = 1; exists(p, i); i++)
		if (p->table[i].state == EVTCHNSTAT_closed)
			return (int)i;
	return -ENOSPC;
}

static int open_port(struct ports *p, uint32_t wanted, struct port value)
{
	int number = find_free(p, wanted);

	if (number > 0)
		p->table[number] = value;
	return number;
}

int ports_open_unbound(struct ports *p, uint32_t wanted, uint16_t remote_domid)
{
	return open_port(
		p, wanted,
		(struct port){ .state = EVTCHNSTAT_unbound, .remote_domid = remote_domid });
}

int ports_open_interdomain(struct ports *p, uint32_t wanted, uint16_t remote_domid,
			   uint32_t remote_port)
{
	return open_port(p, wanted,
			 (struct port){ .state = EVTCHNSTAT_interdomain,
					.remote_domid = remote_domid,
					.remote_port = remote_port });
}

int ports_open_ipi(struct ports *p, unsigned int vcpu)
{
	if (vcpu >= p->nr_vcpus)
		return -ENOENT;
	return open_port(p, 0, (struct port){ .state = EVTCHNSTAT_ipi, .vcpu = (uint16_t)vcpu });
}

bool ports_virq_is_percpu(uint32_t virq)
{
	return virq == VIRQ_TIMER || virq == VIRQ_DEBUG || virq == VIRQ_XENOPROF ||
	       virq == VIRQ_XENPMU;
}

int ports_open_virq(struct ports *p, uint32_t virq, unsigned int vcpu)
{
	int number;

	if (virq >= PORTS_VIRQS_MAX)
		return -EINVAL;
	if (vcpu >= p->nr_vcpus)
		return -ENOENT;
	if (vcpu != 0 && !ports_virq_is_percpu(virq))
		return -EINVAL;
	if (p->virq_port[vcpu][virq])
		return -EEXIST;
	number = open_port(p, 0,
			   (struct port){ .state = EVTCHNSTAT_virq,
					  .vcpu = (uint16_t)vcpu,
					  .virq = (uint16_t)virq });
	if (number > 0)
		p->virq_port[vcpu][virq] = (uint16_t)number;
	return number;
}

/* A global VIRQ may have been moved to another vCPU since; it is filed under vCPU 0. */
static void forget_virq(struct ports *p, const struct port *port)
{
	p->virq_port[ports_virq_is_percpu(port->virq) ? port->vcpu : 0][port->virq] = 0;
}

int ports_close(struct ports *p, uint32_t number, struct port *ret_old)
{
	const struct port *port = ports_get(p, number);

	if (!port)
		return -EINVAL;
	if (port->state == EVTCHNSTAT_virq)
		forget_virq(p, port);
	if (ret_old)
		*ret_old = *port;
	memset(&p->table[number], 0, sizeof(p->table[number]));
	return 0;
}

int ports_bind_vcpu(struct ports *p, uint32_t number, unsigned int vcpu)
{
	const struct port *port = ports_get(p, number);

	if (vcpu >= p->nr_vcpus)
		return -ENOENT;
	if (!port || port->state == EVTCHNSTAT_ipi)
		return -EINVAL;
	if (port->state == EVTCHNSTAT_virq && ports_virq_is_percpu(port->virq))
		return -EINVAL;
	p->table[number].vcpu = (uint16_t)vcpu;
	return 0;
}

void ports_set_bound(struct ports *p, uint32_t number, bool bound)
{
	if (ports_get(p, number))
		p->table[number].bound = bound;
}

void ports_peer_joined(struct ports *p, uint32_t number, uint16_t remote_domid,
		       uint32_t remote_port)
{
	const struct port *port = ports_get(p, number);

	if (!port || port->state != EVTCHNSTAT_unbound)
		return;
	p->table[number].state = EVTCHNSTAT_interdomain;
	p->table[number].remote_domid = remote_domid;
	p->table[number].remote_port = remote_port;
}

void ports_peer_left(struct ports *p, uint32_t number)
{
	const struct port *port = ports_get(p, number);

	if (!port || port->state != EVTCHNSTAT_interdomain)
		return;
	p->table[number].state = EVTCHNSTAT_unbound;
	p->table[number].remote_port = 0;
}

uint32_t ports_of_virq(const struct ports *p, uint32_t virq, unsigned int vcpu)
{
	if (virq >= PORTS_VIRQS_MAX || vcpu >= p->nr_vcpus)
		return 0;
	return p->virq_port[vcpu][virq];
}
