/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/daemon.h"
#include "common/log.h"

#include <xenhost/event.h>

#include "backend/backend_daemon.h"
#include "backend/confine.h"
#include "backend/opener.h"

#define OPTIONS_MAX 24

struct state {
	const struct backend_daemon *spec;
	struct daemon daemon;
	const char *uri;
	struct opener *opener;
	xenhost_t *host;
	xenhost_backend_t *backend;
	struct xenhost_event event;
	bool started;
	bool lost;
};

/* These are ours, the others are the driver's: each set() gets the data that it knows. */
static const char *host_option, *opend_option;

static int set_host(void *data, const char *value)
{
	host_option = value;
	return 0;
}

static int set_opend(void *data, const char *value)
{
	opend_option = value;
	return 0;
}

static void on_lost(xenhost_t *host, int error, void *data)
{
	struct state *s = data;

	log_error("lost the host %s: %s; start xenhost-bridged and this program again", s->uri,
		  strerror(-error));
	s->lost = true;
	event_base_loopbreak(s->daemon.base);
}

static int make_opener(struct state *s)
{
	const char *path = opend_option;
	char suffix[64], buf[PATH_MAX];
	int r = 0;

	if (!path) {
		snprintf(suffix, sizeof(suffix), OPEN_DIR "/%s.sock",
			 service_builtin[s->spec->service].name);
		r = daemon_path(&s->daemon, suffix, buf, sizeof(buf));
		path = buf;
	}
	if (r == 0)
		r = opener_new(s->daemon.base, path, &s->opener);
	if (r < 0)
		log_error("cannot name the socket of xenhost-opend: %s", strerror(-r));
	return r;
}

static int start(struct state *s)
{
	int r = make_opener(s);

	if (r == 0 && s->spec->start)
		r = s->spec->start(s->spec->driver, s->daemon.base, s->opener);
	if (r < 0)
		return r;
	s->started = true;
	r = xenhost_open(s->uri, s->spec->open_flags, &s->host);
	if (r < 0) {
		log_error("cannot reach the host %s: %s; is xenhost-bridged running?", s->uri,
			  strerror(-r));
		return r;
	}
	r = s->spec->confined ? confine_self(s->spec->confined) : 0;
	if (r < 0) {
		log_error("cannot confine this process: %s", strerror(-r));
		return r;
	}
	r = xenhost_backend_new(s->host, s->spec->ops, s->spec->driver, &s->backend);
	if (r < 0) {
		log_error("cannot watch the Xenstore of %s: %s; is xenhost-xenstored running?",
			  s->uri, strerror(-r));
		return r;
	}
	return xenhost_event_init(&s->event, s->daemon.base, s->host, on_lost, s);
}

static void stop(struct state *s)
{
	xenhost_event_fini(&s->event);
	xenhost_backend_free(s->backend);
	if (s->started && s->spec->stop)
		s->spec->stop(s->spec->driver);
	s->opener = opener_free(s->opener);
	xenhost_close(s->host);
	daemon_loop_free(&s->daemon);
}

static int serve(struct state *s)
{
	int r = daemon_loop_new(&s->daemon);

	if (r < 0)
		return r;
	r = start(s);
	if (r < 0)
		return r;
	r = daemon_run(&s->daemon);
	return s->lost ? -ECONNRESET : r;
}

static int read_options(struct state *s, int argc, char **argv)
{
	struct option_spec all[OPTIONS_MAX] = { 0 };
	char help[PATH_MAX + 64], opend_help[128];
	size_t n = 0;

	snprintf(help, sizeof(help), "whom to serve (default: bridge:RUNDIR/bridge/%s.sock)",
		 service_builtin[s->spec->service].name);
	all[n++] = (struct option_spec){ "host", "URI", help, set_host };
	snprintf(opend_help, sizeof(opend_help),
		 "socket of xenhost-opend (default: RUNDIR/" OPEN_DIR "/%s.sock)",
		 service_builtin[s->spec->service].name);
	all[n++] = (struct option_spec){ "opend", "PATH", opend_help, set_opend };
	for (const struct option_spec *o = s->spec->options; o && o->name && n < OPTIONS_MAX - 1;
	     o++)
		all[n++] = *o;
	return daemon_options(&s->daemon, argc, argv, all, s->spec->driver);
}

int backend_daemon_run(const struct backend_daemon *spec, int argc, char **argv)
{
	struct state s = {
		.spec = spec,
		.daemon = { .name = spec->name, .purpose = spec->purpose },
	};
	char uri[PATH_MAX];
	int r = read_options(&s, argc, argv);

	if (r != 0)
		return r > 0 ? 0 : 2;
	s.uri = host_option;
	if (!s.uri) {
		r = daemon_service_uri(&s.daemon, service_builtin[spec->service].name, uri,
				       sizeof(uri));
		if (r < 0)
			return 1;
		s.uri = uri;
	}
	r = serve(&s);
	stop(&s);
	return r < 0 ? 1 : 0;
}
