/* SPDX-License-Identifier: MIT */
/* xenhost-opend: opens what back ends need and may not open themselves. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include <event2/event.h>

#include "common/daemon.h"
#include "common/filter.h"
#include "common/log.h"

#include "opend/opend_filter.h"
#include "opend/server.h"

struct state {
	struct server server;
	const char *config;
};

static struct conf conf;

static int set_config(void *data, const char *value)
{
	((struct state *)data)->config = value;
	return 0;
}

static int set_any(void *data, const char *value)
{
	conf.any = true;
	return 0;
}

static int set_service(void *data, const char *value)
{
	return service_table_set(&((struct state *)data)->server.services, value);
}

static const struct option_spec options[] = {
	{ "any", NULL, "open whatever this user may open, for everybody; no file is read",
	  set_any },
	{ "config", "FILE", "what may be opened for whom (default: " XENHOST_OPEND_CONF ")",
	  set_config },
	{ "service", "NAME=DOMID",
	  "a service domain; again for more (blkback=32000, netback=32001)", set_service },
	{ NULL, NULL, NULL, NULL },
};

static int serve(struct state *s, struct daemon *d)
{
	int r = conf.any ? 0 : conf_read(s->config, &conf);

	if (r == 0)
		r = server_open(&s->server);
	if (r < 0)
		return r;
	r = filter_enter(&opend_filter);
	if (r < 0) {
		log_error("cannot confine this process: %s", strerror(-r));
		return r;
	}
	return daemon_run(d);
}

int main(int argc, char **argv)
{
	struct daemon d = {
		.name = "xenhost-opend",
		.purpose = "Opens images and network devices for the back ends.",
	};
	struct state s = {
		.server = { .conf = &conf, .lock_fd = -1 },
		.config = XENHOST_OPEND_CONF,
	};
	int r;

	service_table_init(&s.server.services);
	list_init(&s.server.sockets);
	r = daemon_options(&d, argc, argv, options, &s);
	if (r != 0)
		return r < 0 ? 2 : 0;
	r = daemon_loop_new(&d);
	if (r < 0)
		return 1;
	s.server.base = d.base;
	s.server.rundir = d.rundir;
	r = serve(&s, &d);
	server_close(&s.server);
	daemon_loop_free(&d);
	return r < 0 ? 1 : 0;
}
