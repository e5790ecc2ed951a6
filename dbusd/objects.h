/* SPDX-License-Identifier: MIT */
/*
 * Domains as objects of D-Bus: /org/xenhost is the host (org.xenhost.Host1), below it one object per domain
 * (org.xenhost.Domain1), by its unique id. Owns the list of them, which follows bridged's.
 */
#ifndef DBUSD_OBJECTS_H
#define DBUSD_OBJECTS_H

#include <xenhost/xenhost.h>

#include "common/list.h"
#include "dbusd/devices.h"
#include "dbusd/store.h"

struct bus;

struct objects {
	struct bus *bus;
	xenhost_t *host;
	const char *rundir; /* the system's */
	struct list all;
	struct devices devices;
	struct store store;
};

void objects_init(struct objects *o); /* before all else */
/* Fills what follows bus and host. 0 or -errno, logged. Both must outlive it */
int objects_start(struct objects *o);
/* of the guest that has this domid now. -ESRCH */
int objects_unique_id(const struct objects *o, uint16_t domid, uint64_t *ret_id);
void objects_stop(struct objects *o);

#endif
