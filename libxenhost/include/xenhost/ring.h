/* SPDX-License-Identifier: MIT */
/*
 * Both sides of a shared ring (Xen's public/io/ring.h): what comes from the other side is copied out once
 * and never looked at in shared memory again; a producer index that cannot be ends the ring. Pure
 * functions on mapped memory; one thread at a time per ring.
 */
#ifndef XENHOST_RING_H
#define XENHOST_RING_H

#include <xenhost/xenhost.h>

#ifdef __cplusplus
extern "C" {
#endif

struct xenhost_ring {
	void *shared;
	uint32_t size;	    /* slots, a power of two */
	uint32_t slot_size; /* bytes: the larger of request and response */
	uint32_t req_size;
	uint32_t rsp_size;
	uint32_t req_cons;     /* requests taken */
	uint32_t rsp_prod_pvt; /* responses put, not all published */
	uint32_t rsp_prod;     /* responses published */
};

/*
 * pages: mapped ring of nr_pages * 4096 bytes (nr_pages a power of two); starts where the ring stands:
 * requests and responses published before are done. -EINVAL sizes, -EPROTO indices that cannot be.
 */
XENHOST_API int xenhost_ring_init(struct xenhost_ring *ring, void *pages, size_t nr_pages,
				  size_t req_size, size_t rsp_size);

/*
 * Right after init: a predecessor has taken the requests before req_cons, and those of them whose answers
 * are not published will be answered now. -EPROTO: that cannot be
 */
XENHOST_API int xenhost_ring_resume(struct xenhost_ring *ring, uint32_t req_cons);

/* requests ready to be taken, or -EPROTO */
XENHOST_API int xenhost_ring_pending(const struct xenhost_ring *ring);
/* copies the next request (req_size bytes): 1, 0 none, -EPROTO the front end broke the ring */
XENHOST_API int xenhost_ring_get(struct xenhost_ring *ring, void *req);
/* copies the request `ahead` places behind the next one without taking it: 1, 0, -EPROTO */
XENHOST_API int xenhost_ring_peek(const struct xenhost_ring *ring, uint32_t ahead, void *req);
/* takes n requests that were peeked at */
XENHOST_API void xenhost_ring_skip(struct xenhost_ring *ring, uint32_t n);

/* queues a response (rsp_size bytes); there is a free slot for every request taken: else -ENOSPC */
XENHOST_API int xenhost_ring_put(struct xenhost_ring *ring, const void *rsp);
/* publishes what was put: 1 = the front end wants an event */
XENHOST_API int xenhost_ring_push(struct xenhost_ring *ring);
/* asks for an event at `more` further requests (at least 1) and looks again: 1 there are some, 0, -EPROTO */
XENHOST_API int xenhost_ring_arm(struct xenhost_ring *ring, uint32_t more);

/* --- the front end's side --- */

struct xenhost_front_ring {
	void *shared;
	uint32_t size;
	uint32_t slot_size;
	uint32_t rsp_size;
	uint32_t req_prod;	/* requests made */
	uint32_t req_published; /* ... that the back end can see */
	uint32_t rsp_cons;	/* responses taken */
};

/* empties the pages, which nobody uses yet. Sizes as above. -EINVAL */
XENHOST_API int xenhost_front_ring_init(struct xenhost_front_ring *ring, void *pages,
					size_t nr_pages, size_t req_size, size_t rsp_size);
/* slots for more requests */
XENHOST_API uint32_t xenhost_front_ring_free(const struct xenhost_front_ring *ring);
/* the next request's slot, to be filled before push; NULL when none is free */
XENHOST_API void *xenhost_front_ring_next(struct xenhost_front_ring *ring);
/* publishes the requests: 1 = the back end wants an event */
XENHOST_API int xenhost_front_ring_push(struct xenhost_front_ring *ring);
/* copies the next response (rsp_size bytes): 1, 0 none, -EPROTO the back end broke the ring */
XENHOST_API int xenhost_front_ring_get(struct xenhost_front_ring *ring, void *rsp);
/* asks for an event at the next response and looks again: 1 there is one, 0, -EPROTO */
XENHOST_API int xenhost_front_ring_arm(struct xenhost_front_ring *ring);

#ifdef __cplusplus
}
#endif

#endif
