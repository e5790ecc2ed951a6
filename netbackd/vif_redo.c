/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "netbackd/vif_redo.h"

#define RING_HEADER 64u /* bytes before the first slot (xen/io/ring.h) */

static uint8_t *slot_of(const struct xenhost_ring *ring, uint32_t index)
{
	return (uint8_t *)ring->shared + RING_HEADER +
	       (size_t)(index & (ring->size - 1)) * ring->slot_size;
}

void redo_clear(struct redo *redo)
{
	for (uint32_t i = 0; i < REDO_SLOTS; i++)
		redo->slots[i].mark = 0;
}

int redo_put(struct redo *redo, struct xenhost_ring *ring, const void *rsp)
{
	uint32_t index = ring->rsp_prod_pvt;

	if (ring->size > REDO_SLOTS || ring->req_size > REDO_SLOT_SIZE)
		return -EINVAL;
	memcpy(redo->slots[index % REDO_SLOTS].request, slot_of(ring, index), ring->req_size);
	/* for who finds this after a kill the compiler alone has to keep the order */
	atomic_signal_fence(memory_order_seq_cst);
	redo->slots[index % REDO_SLOTS].mark = (uint64_t)index + 1;
	atomic_signal_fence(memory_order_seq_cst);
	return xenhost_ring_put(ring, rsp);
}

void redo_restore(const struct redo *redo, struct xenhost_ring *ring)
{
	if (ring->size > REDO_SLOTS || ring->req_size > REDO_SLOT_SIZE)
		return;
	for (uint32_t i = 0; i < ring->size; i++) {
		uint32_t index = ring->rsp_prod + i;

		if (redo->slots[index % REDO_SLOTS].mark != (uint64_t)index + 1)
			return;
		memcpy(slot_of(ring, index), redo->slots[index % REDO_SLOTS].request,
		       ring->req_size);
	}
}
