/* SPDX-License-Identifier: MIT */
/* xenhost-bridged: the policy side of the hypercall bridge. ARCHITECTURE.md says who talks to it. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "common/cleanup.h"
#include "common/daemon.h"
#include "common/log.h"
#include "hypercall-bridge/bridged/client.h"
#include "hypercall-bridge/bridged/dispatch.h"
#include "hypercall-bridge/bridged/policy.h"
#include "hypercall-bridge/bridged/restore.h"
#include "hypercall-bridge/bridged/server.h"
#include "hypercall-bridge/bridged/sockets.h"
#include "hypercall-bridge/bridged/state.h"

static int set_service(void *data, const char *value)
{
	return service_table_set(&((struct server *)data)->services, value);
}

static int set_return_time(void *data, const char *value)
{
	unsigned long long seconds;
	int r = options_number(value, 1, 3600, &seconds);

	if (r == 0)
		((struct server *)data)->return_seconds = (unsigned int)seconds;
	return r;
}

static int set_policy(void *data, const char *value)
{
	((struct server *)data)->policy_path = value;
	return 0;
}

static const struct option_spec options[] = {
	{ "service", "NAME=DOMID",
	  "a service domain; again for more (blkback=32000, netback=32001)", set_service },
	{ "policy", "FILE", "who may have to do with whom: bridge.conf(5)", set_policy },
	{ "return-time", "SECONDS",
	  "after a restart, time for the owners of guests to come back (default: 30)",
	  set_return_time },
	{ NULL, NULL, NULL, NULL },
};

static int add_services(struct server *s)
{
	int r = domain_add_control(&s->domains);

	for (unsigned int i = 0; i < s->services.nr && r == 0; i++)
		r = domain_add_service(&s->domains, s->services.entries[i].name,
				       s->services.entries[i].domid);
	if (r < 0)
		log_error("cannot make the domain table: %s", strerror(-r));
	return r;
}

static void on_return_time(evutil_socket_t fd, short what, void *data)
{
	dispatch_end_waiting(data);
}

static int await_owners(struct server *s)
{
	const struct timeval time = { .tv_sec = s->return_seconds };

	s->return_timer = evtimer_new(s->base, on_return_time, s);
	return s->return_timer && event_add(s->return_timer, &time) == 0 ? 0 : -ENOMEM;
}

static int serve(struct server *s, struct daemon *d)
{
	int r = policy_read(s->policy_path, s->policy);

	if (r == 0)
		r = restore_tables(s);
	if (r > 0)
		r = await_owners(s);
	if (r == 0)
		r = add_services(s);
	if (r < 0)
		return r;
	if (s->state)
		s->instance = state_instance(s->state);
	r = sockets_open(s);
	return r < 0 ? r : daemon_run(d);
}

int main(int argc, char **argv)
{
	struct daemon d = {
		.name = "xenhost-bridged",
		.purpose = "Domains, memory, grants and event channels of this host's guests."
	};
	static struct policy policy;
	struct server s = { .return_seconds = 30, .policy = &policy };
	int r;

	service_table_init(&s.services);
	r = daemon_options(&d, argc, argv, options, &s);
	if (r != 0)
		return r < 0 ? 2 : 0;
	r = daemon_loop_new(&d);
	if (r < 0)
		return 1;
	daemon_raise_descriptors();
	s.base = d.base;
	s.rundir = d.rundir;
	list_init(&s.clients);
	list_init(&s.doors);
	keep_table_init(&s.kept, NULL);
	r = serve(&s, &d);
	sockets_close(&s);
	client_free_all(&s);
	keep_table_fini(&s.kept);
	domain_table_fini(&s.domains);
	state_close(s.state);
	fdstore_close(&s.fdstore);
	if (s.return_timer)
		event_free(s.return_timer);
	daemon_loop_free(&d);
	return r < 0 ? 1 : 0;
}
