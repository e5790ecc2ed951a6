/* SPDX-License-Identifier: MIT */
/*
 * The connection to D-Bus in the event loop, and the one place where it is decided who may call what: each
 * call passes a filter before any object sees it.
 */
#ifndef DBUSD_BUS_H
#define DBUSD_BUS_H

#include <systemd/sd-bus.h>

#include "dbusd/access.h"

#define BUS_NAME "org.xenhost"
#define BUS_ROOT "/org/xenhost"

/* of a vtable. Rights are bus.c's business: without the flag the library would add a rule of its own. */
#define BUS_METHOD(name, in, out, fn) SD_BUS_METHOD(name, in, out, fn, SD_BUS_VTABLE_UNPRIVILEGED)

struct event_base;

struct bus {
	sd_bus *bus;
	struct event_base *base;
	struct event *event;
	const struct access_rules *access;
	void (*lost)(struct bus *b, int error);
};

/* address NULL: the system's. 0 or -errno, logged. No name is taken yet */
int bus_open(struct bus *b, const char *address);
/* Objects are there: from now on others find us. 0 or -errno, logged */
int bus_serve(struct bus *b);
void bus_close(struct bus *b);
/* after something was sent from outside of a call */
void bus_kick(struct bus *b);

#endif
