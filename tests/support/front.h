/* SPDX-License-Identifier: MIT */
/*
 * What the other side of a back end does: the toolstack that makes a device's two folders, the front end
 * that fills its own and follows states, and the front end's half of a ring. Failures end the test.
 */
#ifndef TESTS_SUPPORT_FRONT_H
#define TESTS_SUPPORT_FRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <xenhost/backend.h>
#include <xenhost/ring.h>

#include "loopguest/guest.h"

struct front {
	xenhost_t *host; /* a tool's handle: may write everywhere */
	struct guest *guest;
	uint16_t service;
	char front[96];
	char back[96];
};

/* Both folders with owners and permissions, states 1; what else the toolstack knows goes in before
 * front_start(). */
void front_init(struct front *f, xenhost_t *host, struct guest *g, uint16_t service,
		const char *class, unsigned int devid);
void front_start(struct front *f);

/* side: XENHOST_FRONT or XENHOST_BACK */
void front_write(struct front *f, int side, const char *node, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* value into a static buffer; "" when there is none */
const char *front_read(struct front *f, int side, const char *node);
void front_set_state(struct front *f, unsigned int state);
/* waits until the back end's state is `state`, which must come; 0 stands for its folder being gone */
void front_wait(struct front *f, unsigned int state);
/* The way of a front end that goes: 5, waits for 5, 6, waits for 6. Then nothing of ours is in use. */
void front_disconnect(struct front *f);
/* the guest dies, the handle is closed */
void front_free(struct front *f);
/* as the toolstack: unplugs, and removes both folders when the back end let go */
void front_unplug(struct front *f);

/* the home of a guest's domain; xenstored makes those of services */
void front_make_home(xenhost_t *host, uint16_t domid);

/* A ring page of ours, as the front end that a test plays wants it: same size of requests and responses. */
void front_ring_init(struct xenhost_front_ring *r, void *page, size_t slot_size);
/* the back end sleeps until there is one more request than now */
bool front_ring_awaited(const struct xenhost_front_ring *r);
/* sets a producer index that nobody would set */
void front_ring_force(struct xenhost_front_ring *r, uint32_t req_prod);
/* 1 and the beginning of the next response, or 0; the back end must not break the ring */
bool front_ring_take(struct xenhost_front_ring *r, void *rsp, size_t size);
/* a slot, which there must be */
void *front_ring_next(struct xenhost_front_ring *r);

#endif
