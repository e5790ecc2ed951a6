/* SPDX-License-Identifier: MIT */
/*
 * Guests that notify each other: two by two over an event channel, each answering each event with one. An
 * odd one out is alone.
 */
#ifndef LOOPGUEST_EVENTS_H
#define LOOPGUEST_EVENTS_H

#include <stdint.h>

struct event_base;
struct events;
struct guest;

/* 0 or -errno */
int events_start(struct event_base *base, struct guest *const *guests, unsigned int n,
		 struct events **ret_events);
struct events *events_stop(struct events *e); /* NULL */
/* there and back again, of all pairs */
uint64_t events_rounds(const struct events *e);

#endif
