/* SPDX-License-Identifier: MIT */
/*
 * The front end's side of a shared ring, the mirror of ring.c. The pages are ours but the back end
 * writes them too, and it is not trusted: responses are copied out once, and a response index that
 * goes beyond what was asked ends the ring. Invariant: rsp_cons <= req_published <= req_prod, and
 * req_prod - rsp_cons <= size. Pure: no I/O, allocation, clock or globals.
 */
#include "config.h"

#include <xenhost/ring.h>

#include "libxenhost/ring_page.h"

static struct sring *shared(const struct xenhost_front_ring *ring)
{
	return ring->shared;
}

static void *slot(const struct xenhost_front_ring *ring, uint32_t index)
{
	return shared(ring)->slots + (size_t)(index & (ring->size - 1)) * ring->slot_size;
}

int xenhost_front_ring_init(struct xenhost_front_ring *ring, void *pages, size_t nr_pages,
			    size_t req_size, size_t rsp_size)
{
	int size;

	if (!ring)
		return -EINVAL;
	size = ring_slots(pages, nr_pages, req_size, rsp_size);
	if (size < 0)
		return size;
	*ring = (struct xenhost_front_ring){
		.shared = pages,
		.size = (uint32_t)size,
		.slot_size = (uint32_t)(req_size > rsp_size ? req_size : rsp_size),
		.rsp_size = (uint32_t)rsp_size,
	};
	memset(pages, 0, nr_pages * XENHOST_PAGE_SIZE);
	atomic_store(&shared(ring)->req_event, 1);
	atomic_store(&shared(ring)->rsp_event, 1);
	return 0;
}

uint32_t xenhost_front_ring_free(const struct xenhost_front_ring *ring)
{
	return ring->size - (ring->req_prod - ring->rsp_cons);
}

void *xenhost_front_ring_next(struct xenhost_front_ring *ring)
{
	return xenhost_front_ring_free(ring) ? slot(ring, ring->req_prod++) : NULL;
}

int xenhost_front_ring_push(struct xenhost_front_ring *ring)
{
	uint32_t old = ring->req_published, new = ring->req_prod, event;

	/* sequentially consistent, both: see xenhost_ring_push() */
	atomic_store(&shared(ring)->req_prod, new);
	ring->req_published = new;
	event = atomic_load(&shared(ring)->req_event);
	return new - event < new - old;
}

/* responses ready to be taken, or -EPROTO */
static int pending(const struct xenhost_front_ring *ring)
{
	uint32_t ready = atomic_load(&shared(ring)->rsp_prod) - ring->rsp_cons;

	return ready > ring->req_published - ring->rsp_cons ? -EPROTO : (int)ready;
}

int xenhost_front_ring_get(struct xenhost_front_ring *ring, void *rsp)
{
	int r = pending(ring);

	if (r <= 0)
		return r;
	copy_once(rsp, slot(ring, ring->rsp_cons++), ring->rsp_size);
	return 1;
}

int xenhost_front_ring_arm(struct xenhost_front_ring *ring)
{
	int r;

	atomic_store(&shared(ring)->rsp_event, ring->rsp_cons + 1);
	r = pending(ring);
	return r < 0 ? r : r > 0;
}
