/* SPDX-License-Identifier: MIT */
/*
 * Front ends with traffic: each has the "upper" device of examples/upper-backend.c and always some requests
 * on its ring, of which each is answered with its page in upper case. As there is no toolstack, it plugs its
 * device in itself.
 */
#ifndef LOOPGUEST_RING_H
#define LOOPGUEST_RING_H

#include <stdint.h>

struct event_base;
struct ring;

/* A guest of its own with this name, whose device the domain `service` is to serve. 0 or -errno, logged */
int ring_start(struct event_base *base, const char *rundir, const char *name, unsigned int pages,
	       uint16_t service, struct ring **ret_ring);
/* NULL. Asks for nothing: the guest is gone, the device unplugged */
struct ring *ring_stop(struct ring *ring);
/* requests that were answered, and of those how many not as they should be */
uint64_t ring_answers(const struct ring *ring);
uint64_t ring_bad(const struct ring *ring);

#endif
