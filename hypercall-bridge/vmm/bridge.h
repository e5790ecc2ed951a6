/* SPDX-License-Identifier: MIT */
/*
 * The vmm as owner of one domain at xenhost-bridged. Calls come from the control thread and from vCPU
 * threads (the guest opens a port); a mutex of its own serialises them, and it is the last lock taken.
 * Events are fetched by the control thread alone.
 *
 * A bridged that was killed and started again is connected to again, in whichever call comes first, and
 * this is its domain's owner again (common/bridge_client.h): a hypercall that needs bridged takes longer
 * then, and nothing else of the guest notices. Port events come for every port afterwards.
 */
#ifndef HYPERCALL_BRIDGE_VMM_BRIDGE_H
#define HYPERCALL_BRIDGE_VMM_BRIDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/bridge_wire.h"

struct mem;
struct bridge;

enum bridge_event_kind {
	BRIDGE_EVENT_OTHER, /* none of ours */
	BRIDGE_EVENT_UNPAUSE,
	BRIDGE_EVENT_PAUSE,
	BRIDGE_EVENT_DESTROY,
	BRIDGE_EVENT_PORT,
	BRIDGE_EVENT_DUMP,
};

struct bridge_event {
	enum bridge_event_kind kind;
	uint32_t port; /* PORT: ours */
	uint32_t remote_domid, remote_port;
	bool bound;
	int file, status; /* DUMP: the receiver's */
};

/* says what is wrong itself */
int bridge_open(const char *path, struct bridge **ret);
struct bridge *bridge_close(struct bridge *b);
void bridge_closep(struct bridge **b);

/* registers the domain and hands over the descriptors of its memory; says what is wrong itself */
int bridge_create(struct bridge *b, const char *name, const struct mem *mem, uint16_t *ret_domid,
		  uint64_t *ret_unique_id);

int bridge_update(struct bridge *b, Bridge__DomainState state, uint32_t reason, uint32_t store_port,
		  uint32_t console_port);

/* ret_fds: readable when the far side notifies us; notifies it. The caller's. */
int bridge_port_alloc(struct bridge *b, uint32_t port, uint32_t remote_domid, int ret_fds[2]);
int bridge_port_bind(struct bridge *b, uint32_t port, uint32_t remote_domid, uint32_t remote_port,
		     int ret_fds[2]);
int bridge_port_close(struct bridge *b, uint32_t port);

int bridge_fd(const struct bridge *b);
/* 1 an event, 0 none now, -errno when bridged is lost */
int bridge_next_event(struct bridge *b, struct bridge_event *ret);

#endif
