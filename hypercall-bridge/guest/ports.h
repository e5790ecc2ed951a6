/* SPDX-License-Identifier: MIT */
/*
 * A guest's event channel ports: what each is bound to and which vCPU it notifies. Pure state: it knows
 * neither memory nor eventfds, its owner makes those follow. Port 0 is never used. Lookups of a port
 * that the guest names are always bounds checked here.
 * Threads: none of this locks; the owner serialises.
 */
#ifndef HYPERCALL_BRIDGE_GUEST_PORTS_H
#define HYPERCALL_BRIDGE_GUEST_PORTS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/xen.h"

#define PORTS_MAX 4096	  /* two-level ABI of a 64-bit guest */
#define PORTS_MAX_32 1024 /* of a 32-bit guest */
#define PORTS_VCPUS_MAX 32
#define PORTS_VIRQS_MAX 24

struct port {
	uint8_t state; /* EVTCHNSTAT_* */
	bool bound;    /* the owner's: KVM handles sends of this port itself */
	uint16_t vcpu;
	uint16_t remote_domid; /* unbound, interdomain */
	uint16_t virq;	       /* virq */
	uint32_t remote_port;  /* interdomain */
};

struct ports {
	uint32_t limit; /* first number that does not exist */
	unsigned int nr_vcpus;
	struct port table[PORTS_MAX];
	uint16_t virq_port[PORTS_VCPUS_MAX][PORTS_VIRQS_MAX]; /* 0: not bound */
};

void ports_init(struct ports *p, unsigned int nr_vcpus);

/* NULL when it is closed or no port at all */
const struct port *ports_get(const struct ports *p, uint32_t number);

/*
 * The opening calls return the port number. wanted: 0 = lowest free one. -ENOSPC none is free,
 * -EBUSY the wanted one is not, -EINVAL it cannot exist.
 */
int ports_open_unbound(struct ports *p, uint32_t wanted, uint16_t remote_domid);
int ports_open_interdomain(struct ports *p, uint32_t wanted, uint16_t remote_domid,
			   uint32_t remote_port);
int ports_open_ipi(struct ports *p, unsigned int vcpu);			/* -ENOENT: vcpu */
int ports_open_virq(struct ports *p, uint32_t virq, unsigned int vcpu); /* -EEXIST: bound already */

int ports_close(struct ports *p, uint32_t number, struct port *ret_old);
int ports_bind_vcpu(struct ports *p, uint32_t number, unsigned int vcpu);
void ports_set_bound(struct ports *p, uint32_t number, bool bound);

/* the far end of an unbound or interdomain port was joined or went away; others ignore it */
void ports_peer_joined(struct ports *p, uint32_t number, uint16_t remote_domid,
		       uint32_t remote_port);
void ports_peer_left(struct ports *p, uint32_t number);

/* port of a virq that is bound on this vCPU, or 0 */
uint32_t ports_of_virq(const struct ports *p, uint32_t virq, unsigned int vcpu);

/* per-vCPU VIRQs stay on the vCPU they were bound on */
bool ports_virq_is_percpu(uint32_t virq);

#endif
