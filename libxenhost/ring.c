/* SPDX-License-Identifier: MIT */
/*
 * The back end's side of a shared ring. Only this file and ring_front.c touch a ring page.
 *
 * The page belongs to the front end: everything read from it is read once into a local, checked,
 * and only the local is used. We write rsp_prod, req_event and response slots, nothing else.
 * Indices run freely modulo 2^32. Invariant of our own: rsp_prod <= rsp_prod_pvt <= req_cons, and
 * req_cons - rsp_prod <= size. A front end learns of a free slot by the published rsp_prod only, so
 * a sane req_prod lies in [req_cons, rsp_prod + size]; this also ends every pass that does not
 * publish, and there is a free slot for each request taken. Pure: no I/O, allocation, clock or
 * globals.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#include <xenhost/gnttab.h>
#include <xenhost/ring.h>

#include "libxenhost/ring_page.h"

static struct sring *shared(const struct xenhost_ring *ring)
{
	return ring->shared;
}

static void *slot(const struct xenhost_ring *ring, uint32_t index)
{
	return shared(ring)->slots + (size_t)(index & (ring->size - 1)) * ring->slot_size;
}

int xenhost_ring_init(struct xenhost_ring *ring, void *pages, size_t nr_pages, size_t req_size,
		      size_t rsp_size)
{
	struct xenhost_ring r = { .shared = pages };
	uint32_t prod;
	int size;

	if (!ring)
		return -EINVAL;
	size = ring_slots(pages, nr_pages, req_size, rsp_size);
	if (size < 0)
		return size;
	r.size = (uint32_t)size;
	r.slot_size = (uint32_t)(req_size > rsp_size ? req_size : rsp_size);
	r.req_size = (uint32_t)req_size;
	r.rsp_size = (uint32_t)rsp_size;

	prod = atomic_load(&shared(&r)->rsp_prod);
	r.req_cons = r.rsp_prod_pvt = r.rsp_prod = prod;
	if (xenhost_ring_pending(&r) < 0)
		return -EPROTO;
	*ring = r;
	return 0;
}

int xenhost_ring_resume(struct xenhost_ring *ring, uint32_t req_cons)
{
	struct xenhost_ring r;

	if (!ring || ring->req_cons != ring->rsp_prod)
		return -EINVAL;
	r = *ring;
	r.req_cons = req_cons;
	if (req_cons - r.rsp_prod > r.size || xenhost_ring_pending(&r) < 0)
		return -EPROTO;
	*ring = r;
	return 0;
}

int xenhost_ring_pending(const struct xenhost_ring *ring)
{
	uint32_t prod = atomic_load(&shared(ring)->req_prod);
	uint32_t used = ring->req_cons - ring->rsp_prod;

	/* behind what was taken (it went backwards) wraps to a large number and fails as well */
	if (prod - ring->req_cons > ring->size - used)
		return -EPROTO;
	return (int)(prod - ring->req_cons);
}

int xenhost_ring_peek(const struct xenhost_ring *ring, uint32_t ahead, void *req)
{
	int pending = xenhost_ring_pending(ring);

	if (pending < 0)
		return pending;
	if (ahead >= (uint32_t)pending)
		return 0;
	copy_once(req, slot(ring, ring->req_cons + ahead), ring->req_size);
	return 1;
}

void xenhost_ring_skip(struct xenhost_ring *ring, uint32_t n)
{
	/* more than there can be is a bug of the caller, whatever the front end does */
	assert(n <= ring->size - (ring->req_cons - ring->rsp_prod));
	ring->req_cons += n;
}

int xenhost_ring_get(struct xenhost_ring *ring, void *req)
{
	int r = xenhost_ring_peek(ring, 0, req);

	if (r > 0)
		ring->req_cons++;
	return r;
}

int xenhost_ring_put(struct xenhost_ring *ring, const void *rsp)
{
	if (ring->rsp_prod_pvt == ring->req_cons)
		return -ENOSPC;
	memcpy(slot(ring, ring->rsp_prod_pvt), rsp, ring->rsp_size);
	ring->rsp_prod_pvt++;
	return 0;
}

int xenhost_ring_push(struct xenhost_ring *ring)
{
	uint32_t old = ring->rsp_prod, new = ring->rsp_prod_pvt, event;

	/*
	 * Sequentially consistent, both: rsp_prod must be out before we look whether the front end
	 * sleeps, because it sets rsp_event and then looks at rsp_prod.
	 */
	atomic_store(&shared(ring)->rsp_prod, new);
	ring->rsp_prod = new;
	event = atomic_load(&shared(ring)->rsp_event);
	return new - event < new - old;
}

int xenhost_ring_arm(struct xenhost_ring *ring, uint32_t more)
{
	int pending;

	if (more == 0)
		more = 1;
	if (more > ring->size)
		more = ring->size;
	/* ordered as in push: a request whose front end did not see our req_event is seen here */
	atomic_store(&shared(ring)->req_event, ring->req_cons + more);
	pending = xenhost_ring_pending(ring);
	return pending < 0 ? pending : pending > 0;
}
