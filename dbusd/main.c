/* SPDX-License-Identifier: MIT */
/*
 * xenhost-dbusd: this host's domains on D-Bus. A process of its own: bridged and xenstored, on which everything
 * depends, have nothing to do with D-Bus.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <event2/event.h>

#include <xenhost/event.h>

#include "common/bridge.h"
#include "common/daemon.h"
#include "common/log.h"
#include "dbusd/access.h"
#include "dbusd/bus.h"
#include "dbusd/objects.h"

struct dbusd {
	struct daemon daemon;
	struct access_rules access;
	const char *address;
	struct bus bus;
	struct objects objects;
	struct xenhost_event event;
	bool lost;
};

/* the one that bus_open()'s callback knows */
static struct dbusd dbusd = {
	.daemon = { .name = "xenhost-dbusd",
		    .purpose = "Shows this host's domains on D-Bus, and commands them." },
};

static int set_bus(void *data, const char *value)
{
	dbusd.address = value;
	return 0;
}

static int set_look(void *data, const char *value)
{
	return access_allow(&dbusd.access, value, ACCESS_LOOK);
}

static int set_command(void *data, const char *value)
{
	return access_allow(&dbusd.access, value, ACCESS_COMMAND);
}

static const struct option_spec options[] = {
	{ "bus", "ADDRESS", "of D-Bus (default: the system's)", set_bus },
	{ "look", "GROUP", "members may see what there is; again for more groups", set_look },
	{ "command", "GROUP", "members may also start, end and pause guests; again for more groups",
	  set_command },
	{ NULL, NULL, NULL, NULL },
};

static void end(struct dbusd *d)
{
	d->lost = true;
	event_base_loopbreak(d->daemon.base);
}

static void on_host_lost(xenhost_t *host, int error, void *data)
{
	log_error("lost xenhost-bridged: %s", strerror(-error));
	end(data);
}

static void on_bus_lost(struct bus *b, int error)
{
	log_error("lost D-Bus: %s", strerror(-error));
	end(&dbusd);
}

static int open_host(struct dbusd *d)
{
	char uri[4200];
	int r;

	snprintf(uri, sizeof(uri), "bridge:%s/" BRIDGE_SOCKET_TOOL, d->daemon.rundir);
	r = xenhost_open(uri, 0, &d->objects.host);
	if (r < 0)
		log_error("cannot reach the host %s: %s; is xenhost-bridged running?", uri,
			  strerror(-r));
	return r;
}

static int start(struct dbusd *d)
{
	int r = open_host(d);

	if (r < 0)
		return r;
	d->bus.base = d->daemon.base;
	d->bus.access = &d->access;
	d->bus.lost = on_bus_lost;
	d->objects.bus = &d->bus;
	d->objects.rundir = d->daemon.rundir;
	r = bus_open(&d->bus, d->address);
	if (r == 0)
		r = objects_start(&d->objects);
	if (r == 0)
		r = xenhost_event_init(&d->event, d->daemon.base, d->objects.host, on_host_lost, d);
	if (r == 0)
		r = bus_serve(&d->bus);
	return r;
}

static void stop(struct dbusd *d)
{
	xenhost_event_fini(&d->event);
	if (d->objects.bus)
		objects_stop(&d->objects);
	bus_close(&d->bus);
	xenhost_close(d->objects.host);
	daemon_loop_free(&d->daemon);
}

int main(int argc, char **argv)
{
	int r = daemon_options(&dbusd.daemon, argc, argv, options, &dbusd);

	if (r != 0)
		return r < 0 ? 2 : 0;
	objects_init(&dbusd.objects);
	r = daemon_loop_new(&dbusd.daemon);
	if (r == 0)
		r = start(&dbusd);
	if (r == 0)
		r = daemon_run(&dbusd.daemon);
	stop(&dbusd);
	return r < 0 || dbusd.lost ? 1 : 0;
}
