/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hypercall-bridge/bridged/gone.h"

#include "hypercall-bridge/bridged/limits.h"
#include "hypercall-bridge/bridged/state.h"

int gone_table_init(struct gone_table *t, struct state *state)
{
	*t = (struct gone_table){ .all = calloc(LIMIT_GONE, sizeof(*t->all)), .state = state };
	return t->all ? 0 : -ENOMEM;
}

void gone_table_fini(struct gone_table *t)
{
	free(t->all);
	*t = (struct gone_table){ 0 };
}

static struct gone *place_of(const struct gone_table *t, uint64_t number)
{
	return &t->all[number % LIMIT_GONE];
}

static void write_record(const struct gone_table *t, const struct gone *g)
{
	struct state_record r = { .kind = STATE_GONE };

	r.gone = (struct state_gone){
		.number = g->number,
		.unique_id = g->unique_id,
		.memory_bytes = g->memory_bytes,
		.shutdown_reason = g->shutdown_reason,
		.domid = g->domid,
		.ended = g->ended,
	};
	memcpy(r.gone.name, g->name, sizeof(r.gone.name));
	state_write(t->state, g->slot, &r);
}

/* A place keeps its record. Without room for another one it is known as long as we live. */
void gone_add(struct gone_table *t, const struct gone *g)
{
	struct gone *place = place_of(t, ++t->nr);
	uint32_t slot = place->slot;

	if (!place->number && state_new(t->state, NULL, 0, &slot) < 0)
		slot = STATE_NO_SLOT;
	*place = *g;
	place->number = t->nr;
	place->slot = slot;
	write_record(t, place);
}

const struct gone *gone_find(const struct gone_table *t, uint32_t domid, const char *name)
{
	for (uint64_t n = t->nr; n > 0 && t->nr - n < LIMIT_GONE; n--) {
		const struct gone *g = place_of(t, n);

		if (g->number == n && (*name ? !strcmp(g->name, name) : g->domid == domid))
			return g;
	}
	return NULL;
}

int gone_restore(struct gone_table *t, uint32_t slot, const struct state_gone *kept)
{
	struct gone *place = place_of(t, kept->number);

	if (place->number >= kept->number) {
		state_free(t->state, slot);
		return 1;
	}
	if (place->number)
		state_free(t->state, place->slot);
	*place = (struct gone){
		.number = kept->number,
		.unique_id = kept->unique_id,
		.memory_bytes = kept->memory_bytes,
		.shutdown_reason = kept->shutdown_reason,
		.slot = slot,
		.domid = kept->domid,
		.ended = kept->ended,
	};
	memcpy(place->name, kept->name, sizeof(place->name));
	if (t->nr < kept->number)
		t->nr = kept->number;
	return 0;
}

void gone_to_wire(const struct gone *g, Bridge__DomainInfo *ret_info)
{
	Bridge__DomainInfo info = BRIDGE__DOMAIN_INFO__INIT;

	info.domid = g->domid;
	info.unique_id = g->unique_id;
	info.name = (char *)(uintptr_t)g->name;
	info.kind = BRIDGE__DOMAIN_KIND__GUEST_DOMAIN;
	info.state = BRIDGE__DOMAIN_STATE__GONE;
	info.shutdown_reason = g->shutdown_reason;
	info.ended = g->ended;
	info.memory_bytes = g->memory_bytes;
	*ret_info = info;
}
