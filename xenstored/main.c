/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <event2/event.h>

#include "common/bridge.h"
#include "common/daemon.h"
#include "common/filemap.h"
#include "common/log.h"
#include "common/options.h"
#include "xenstored/live.h"
#include "xenstored/server.h"

#define XEN_SOCKET "/run/xenstored/socket"

struct config {
	struct server *server;
	const char *host;
	bool rehearse;
	const char *import;
	const char *xen_socket;
};

static int set_service(void *data, const char *value)
{
	return service_table_set(&((struct config *)data)->server->services, value);
}

static int set_host(void *data, const char *value)
{
	((struct config *)data)->host = value;
	return 0;
}

static int set_take_over(void *data, const char *value)
{
	unsigned long long fd;
	int r = options_number(value, 0, INT_MAX, &fd);

	if (r == 0) {
		((struct config *)data)->server->taking_over = true;
		((struct config *)data)->server->take_over_fd = (int)fd;
	}
	return r;
}

static int set_rehearse(void *data, const char *value)
{
	((struct config *)data)->rehearse = true;
	return set_take_over(data, value);
}

static int set_xen_socket(void *data, const char *value)
{
	((struct config *)data)->xen_socket = value;
	return 0;
}

static int set_import(void *data, const char *value)
{
	((struct config *)data)->import = value;
	return 0;
}

static const struct option_spec options[] = {
	{ "service", "NAME=DOMID",
	  "a service domain with a socket store/NAME.sock; may be repeated", set_service },
	{ "host", "URI",
	  "where guests are (default: bridge:RUNDIR/" BRIDGE_SOCKET_STORE "; none: no guests)",
	  set_host },
	{ "xen-socket", "PATH",
	  "another socket of domain 0 (default: " XEN_SOCKET
	  " with the built-in run directory, else none)",
	  set_xen_socket },
	{ "import", "FILE", "begin with the migration stream in this file", set_import },
	{ "take-over", "FD", "live-update: go on where the program before in this process stopped",
	  set_take_over },
	{ "rehearse", "FD", "live-update: end with status 79 if --take-over could read that",
	  set_rehearse },
	{ NULL, NULL, NULL, NULL },
};

static int serve(struct daemon *d, struct server *s)
{
	int r;

	daemon_raise_descriptors();
	s->base = d->base;
	s->rundir = d->rundir;
	r = server_start(s);
	if (r < 0)
		return r;
	r = daemon_run(d);
	server_stop(s);
	return r;
}

int main(int argc, char **argv)
{
	static struct server server = { .lock_fd = -1 };
	struct daemon d = { .name = "xenhost-xenstored", .purpose = "The Xenstore." };
	struct config o = { .server = &server };
	char uri[4200], *import = NULL;
	int r;

	service_table_init(&server.services);
	r = daemon_options(&d, argc, argv, options, &o);
	if (r)
		return r < 0 ? 2 : 0;
	if (o.rehearse)
		return server_rehearse(&server) < 0 ? 1 : LIVE_REHEARSED;
	server.argv = argv;
	/* for as long as the process lives */
	r = o.import ? filemap_read(o.import, &import, &server.import_len) : 0;
	if (r < 0) {
		log_error("cannot read %s: %s", o.import, strerror(-r));
		return 1;
	}
	snprintf(uri, sizeof(uri), "bridge:%s/%s", d.rundir, BRIDGE_SOCKET_STORE);
	server.import = import;
	server.host_uri = !o.host ? uri : strcmp(o.host, "none") ? o.host : NULL;
	if (!o.xen_socket)
		o.xen_socket = strcmp(d.rundir, XENHOST_RUNSTATEDIR) ? "none" : XEN_SOCKET;
	server.xen_socket = strcmp(o.xen_socket, "none") ? o.xen_socket : NULL;
	r = daemon_loop_new(&d);
	if (r < 0)
		return 1;
	r = serve(&d, &server);
	daemon_loop_free(&d);
	return r < 0 ? 1 : 0;
}
