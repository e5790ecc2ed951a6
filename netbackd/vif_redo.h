/* SPDX-License-Identifier: MIT */
/*
 * A response takes the place of its request in the ring before the guest is told of it. Who dies in between
 * leaves a ring without the requests that his successor has to serve again; so each request is copied out
 * (into the memfd that outlives us) before its response is put, and the successor puts them back.
 *
 * Each ring's copies belong to the thread that serves the ring.
 */
#ifndef NETBACKD_VIF_REDO_H
#define NETBACKD_VIF_REDO_H

#include <stdint.h>

#include <xenhost/ring.h>

#define REDO_SLOTS 256u	   /* of a ring of one page */
#define REDO_SLOT_SIZE 16u /* bytes of the longest request, and room */

struct redo {
	struct {
		uint64_t mark; /* index of the request + 1, written after the copy; 0 none */
		uint8_t request[REDO_SLOT_SIZE];
	} slots[REDO_SLOTS];
};

/* a new ring: its indices begin anew */
void redo_clear(struct redo *redo);
/* xenhost_ring_put() */
int redo_put(struct redo *redo, struct xenhost_ring *ring, const void *rsp);
/* after xenhost_ring_init(), of a ring that somebody served before us */
void redo_restore(const struct redo *redo, struct xenhost_ring *ring);

#endif
