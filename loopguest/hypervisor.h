/* SPDX-License-Identifier: MIT */
/*
 * What a hypervisor is to a loopback guest: its hypercalls are answered by hypercall-bridge/guest, as the vmm's
 * guests' are, and what they do outside of that - bridged, eventfds, pages - is done here. guest.c is the kernel.
 * Between these two files only. One thread at a time.
 */
#ifndef LOOPGUEST_HYPERVISOR_H
#define LOOPGUEST_HYPERVISOR_H

#include <stddef.h>
#include <stdint.h>

#include "hypercall-bridge/guest/hypercall.h"
#include "loopguest/guest.h"

#define GRANT_FRAMES 32u
#define STORE_GFN 0xfeffcull /* where Xen's tools put it: beyond all RAM of ours */

/* Pages that are no RAM: what a kernel would have on its stack and in its image */
#define OWN_GFN (1ULL << 39)
#define ARGUMENT_GFN OWN_GFN
#define SHARED_INFO_GFN (OWN_GFN + 1)
#define OWN_PAGES 2u
#define GRANT_GFN (OWN_GFN + 16) /* where the kernel wants its grant table */

struct bridge_client;

struct memory {
	int fd;
	size_t size;
	uint8_t *addr;
};

struct hypervisor {
	struct bridge_client *bridge; /* not ours */
	const struct memory *ram, *grants, *store;
	uint8_t *own;			  /* OWN_PAGES */
	uint8_t *shared_info, *vcpu_info; /* where the guest wants them, NULL: nowhere yet */
	uint64_t grant_gfn[GRANT_FRAMES]; /* 0: not mapped */
	struct guest_port *ports;	  /* descriptors by number, -1: none */
	uint32_t nr_ports;
	struct hypercall_guest guest;
};

/* 0 or -ENOMEM */
int hypervisor_init(struct hypervisor *h, struct bridge_client *bridge, const struct memory *ram,
		    const struct memory *grants, const struct memory *store);
/* closes descriptors; bridged learns of it by the end of the connection */
void hypervisor_fini(struct hypervisor *h);

/* the port that each guest is born with, and the parameters that say so. 0 or -errno */
int hypervisor_open_store_port(struct hypervisor *h);

/* descriptors of an open port; there must be one */
const struct guest_port *hypervisor_port(const struct hypervisor *h, uint32_t number);

/* what KVM does when the port's eventfd is written: takes the event, and raises the port. As upcall_raise() */
int hypervisor_deliver(struct hypervisor *h, uint32_t number);

#endif
