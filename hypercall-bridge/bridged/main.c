/* SPDX-License-Identifier: MIT */
/* xenhost-bridged: the policy side of the hypercall bridge. ARCHITECTURE.md says who talks to it. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <event2/event.h>

#include "common/cleanup.h"
#include "common/daemon.h"
#include "common/log.h"
#include "hypercall-bridge/bridged/client.h"
#include "hypercall-bridge/bridged/listener.h"
#include "hypercall-bridge/bridged/server.h"

static int set_service(void *data, const char *value)
{
	return service_table_set(data, value);
}

static const struct option_spec options[] = {
	{ "service", "NAME=DOMID",
	  "a service domain; again for more (blkback=32000, netback=32001)", set_service },
	{ NULL, NULL, NULL, NULL },
};

/* Descriptors of every guest and client come together here: as many as we may. */
static void raise_limits(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0)
		return;
	l.rlim_cur = l.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &l) < 0)
		log_warning("cannot raise the limit of open files: %s", strerror(errno));
}

static int add_services(struct server *s)
{
	int r = 0;

	for (unsigned int i = 0; i < s->services.nr && r == 0; i++)
		r = domain_add_service(&s->domains, s->services.entries[i].name,
				       s->services.entries[i].domid);
	return r;
}

static int serve(struct server *s, struct daemon *d)
{
	int r = domain_table_init(&s->domains);

	if (r == 0)
		r = add_services(s);
	if (r < 0) {
		log_error("cannot make the domain table: %s", strerror(-r));
		return r;
	}
	r = listener_open_all(s);
	if (r < 0)
		return r;
	r = daemon_ready(d);
	if (r < 0) {
		log_error("cannot say ready on descriptor %d: %s", d->ready_fd, strerror(-r));
		return r;
	}
	return event_base_dispatch(d->base) < 0 ? -1 : 0;
}

int main(int argc, char **argv)
{
	struct daemon d = {
		.name = "xenhost-bridged",
		.purpose = "Domains, memory, grants and event channels of this host's guests."
	};
	struct server s = { 0 };
	int r;

	service_table_init(&s.services);
	r = daemon_options(&d, argc, argv, options, &s.services);
	if (r != 0)
		return r < 0 ? 2 : 0;
	r = daemon_loop_new(&d);
	if (r < 0) {
		log_error("cannot make an event loop: %s", strerror(-r));
		return 1;
	}
	raise_limits();
	s.base = d.base;
	s.rundir = d.rundir;
	list_init(&s.clients);
	list_init(&s.listeners);
	keep_table_init(&s.kept);
	r = serve(&s, &d);
	listener_close_all(&s);
	client_free_all(&s);
	keep_table_fini(&s.kept);
	domain_table_fini(&s.domains);
	daemon_loop_free(&d);
	return r < 0 ? 1 : 0;
}
