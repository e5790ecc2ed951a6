/* SPDX-License-Identifier: MIT */
/*
 * The Xenstore on D-Bus: /org/xenhost/store, org.xenhost.Store1, as domain 0 sees it. There are secrets in it, so all
 * of it is for those who may command. A watch is its caller's: the signal goes to nobody else, and it ends with the caller.
 */
#ifndef DBUSD_STORE_H
#define DBUSD_STORE_H

#include <xenhost/xenhost.h>

#include "common/list.h"

struct bus;

struct store {
	struct bus *bus;
	xenhost_t *host;
	struct list watches;
	unsigned int nr_watches;
};

/* 0 or -errno of sd-bus */
int store_start(struct store *s, struct bus *bus, xenhost_t *host);
void store_stop(struct store *s);

#endif
