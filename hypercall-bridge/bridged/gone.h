/* SPDX-License-Identifier: MIT */
/*
 * The guests that went last, and how each of them ended. A toolstack removes a guest as soon as it has seen
 * that it ended; whoever else watched it is told at the same time and may come to ask only when it is gone,
 * or another one of its name runs. So what it asks for outlives the guest, and bridged too.
 *
 * LIMIT_GONE of them, in places that are used in turn. By then a domid has not come back: they go round later.
 */
#ifndef BRIDGED_GONE_H
#define BRIDGED_GONE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/bridge.h"
#include "common/bridge_wire.h"

struct state;
struct state_gone;

struct gone {
	uint64_t number; /* they are counted from 1; 0: this place is free */
	uint64_t unique_id, memory_bytes;
	uint32_t shutdown_reason;
	uint32_t slot;
	uint16_t domid;
	bool ended; /* by itself, with that reason, else it was ended while it ran */
	char name[BRIDGE_NAME_MAX];
};

struct gone_table {
	struct gone *all; /* LIMIT_GONE places */
	uint64_t nr;	  /* that there ever were */
	struct state *state;
};

/* empty. -ENOMEM */
int gone_table_init(struct gone_table *t, struct state *state);
/* what is kept stays */
void gone_table_fini(struct gone_table *t);

/* number and slot are the table's */
void gone_add(struct gone_table *t, const struct gone *g);
/* the newest one of that domid, or of that name when that is not "". NULL: none */
const struct gone *gone_find(const struct gone_table *t, uint32_t domid, const char *name);

/* one that is kept: 0, or 1 when it is none of the newest and its record was dropped */
int gone_restore(struct gone_table *t, uint32_t slot, const struct state_gone *kept);

void gone_to_wire(const struct gone *g, Bridge__DomainInfo *ret_info);

#endif
