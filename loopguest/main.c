/* SPDX-License-Identifier: MIT */
/* xenhost-loopguest: guests without a machine, for demonstrations and measurements. */
#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <event2/event.h>

#include <xenhost/domain.h>
#include <xenhost/xenhost.h>

#include "common/bridge.h"
#include "common/cleanup.h"
#include "common/daemon.h"
#include "common/log.h"
#include "loopguest/events.h"
#include "loopguest/guest.h"
#include "loopguest/ring.h"

#define PAGE_SIZE_BYTES 4096u

struct loopguest {
	struct daemon d;
	unsigned long long nr_guests, memory, seconds;
	const char *name;
	bool events, json;
	const char *service; /* of rings, NULL: none */
	uint16_t service_domid;
	struct guest **guests; /* idle ones, and those with events */
	struct event **commands;
	struct ring **rings;
	unsigned int nr_made;
	struct events *traffic;
	struct event *end;
	double start;
};

static int set_guests(void *data, const char *value)
{
	return options_number(value, 1, 4096, &((struct loopguest *)data)->nr_guests);
}

static int set_memory(void *data, const char *value)
{
	struct loopguest *l = data;
	int r = options_size(value, &l->memory);

	return r < 0 || l->memory < 16 * PAGE_SIZE_BYTES || l->memory > 1ULL << 36 ? -EINVAL : 0;
}

static int set_name(void *data, const char *value)
{
	size_t len = strlen(value);

	((struct loopguest *)data)->name = value;
	return len == 0 || len > 24 || strchr(value, ',') ? -EINVAL : 0;
}

static int set_seconds(void *data, const char *value)
{
	return options_number(value, 1, 1000000, &((struct loopguest *)data)->seconds);
}

static int set_events(void *data, const char *value)
{
	((struct loopguest *)data)->events = true;
	return 0;
}

static int set_ring(void *data, const char *value)
{
	((struct loopguest *)data)->service = value;
	return 0;
}

static int set_json(void *data, const char *value)
{
	((struct loopguest *)data)->json = true;
	return 0;
}

static const struct option_spec options[] = {
	{ "guests", "N", "so many guests (default: 1)", set_guests },
	{ "memory", "SIZE", "memory of each (default: 1M)", set_memory },
	{ "name", "PREFIX", "names: PREFIX-0, PREFIX-1 ... (default: loop)", set_name },
	{ "events", NULL, "two by two they notify each other all the time", set_events },
	{ "ring", "SERVICE", "each has requests for the example back end of that service domain",
	  set_ring },
	{ "seconds", "N", "end after that time (default: when told to)", set_seconds },
	{ "json", NULL, "print the result as JSON, for scripts", set_json },
	{ NULL, NULL, NULL, NULL },
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void on_command(evutil_socket_t fd, short what, void *data)
{
	struct loopguest *l = data;

	for (unsigned int i = 0; i < l->nr_made; i++) {
		int r = fd == guest_fd(l->guests[i]) ? guest_process(l->guests[i]) : 0;

		if (r == 0)
			continue;
		if (r < 0)
			log_error("bridged is lost: %s", strerror(-r));
		else
			log_info("guest %u is to end: all do", guest_domid(l->guests[i]));
		event_base_loopbreak(l->d.base);
	}
}

static int make_guest(struct loopguest *l, const char *name)
{
	unsigned int i = l->nr_made;
	int r = guest_new(l->d.rundir, name, l->memory / PAGE_SIZE_BYTES, &l->guests[i]);

	if (r < 0)
		return r;
	l->nr_made++;
	l->commands[i] =
		event_new(l->d.base, guest_fd(l->guests[i]), EV_READ | EV_PERSIST, on_command, l);
	return l->commands[i] && event_add(l->commands[i], NULL) == 0 ? 0 : -ENOMEM;
}

static int make_ring(struct loopguest *l, const char *name)
{
	int r = ring_start(l->d.base, l->d.rundir, name,
			   (unsigned int)(l->memory / PAGE_SIZE_BYTES), l->service_domid,
			   &l->rings[l->nr_made]);

	if (r == 0)
		l->nr_made++;
	return r;
}

static int make_all(struct loopguest *l)
{
	l->guests = calloc(l->nr_guests, sizeof(*l->guests));
	l->commands = calloc(l->nr_guests, sizeof(*l->commands));
	l->rings = calloc(l->nr_guests, sizeof(*l->rings));
	if (!l->guests || !l->commands || !l->rings)
		return -ENOMEM;
	while (l->nr_made < l->nr_guests) {
		char name[64];
		int r;

		snprintf(name, sizeof(name), "%s-%u", l->name, l->nr_made);
		r = l->service ? make_ring(l, name) : make_guest(l, name);
		if (r < 0) {
			log_error("cannot make guest %s: %s; does xenhost-bridged run? --rundir "
				  "names another place",
				  name, strerror(-r));
			return r;
		}
	}
	return l->events ? events_start(l->d.base, l->guests, l->nr_made, &l->traffic) : 0;
}

static int find_service(struct loopguest *l)
{
	struct xenhost_domain_info info;
	xenhost_t *host = NULL;
	char uri[160];
	int r;

	if (!l->service)
		return 0;
	snprintf(uri, sizeof(uri), "bridge:%s/" BRIDGE_SOCKET_TOOL, l->d.rundir);
	r = xenhost_open(uri, 0, &host);
	if (r == 0)
		r = xenhost_domain_by_name(host, l->service, &info);
	xenhost_close(host);
	if (r < 0)
		log_error(
			"cannot find the service %s: %s; xenhost domain list shows those there are",
			l->service, strerror(-r));
	else
		l->service_domid = info.domid;
	return r;
}

static void on_end(evutil_socket_t fd, short what, void *data)
{
	event_base_loopbreak(((struct loopguest *)data)->d.base);
}

static int end_later(struct loopguest *l)
{
	const struct timeval time = { .tv_sec = (time_t)l->seconds };

	if (!l->seconds)
		return 0;
	l->end = evtimer_new(l->d.base, on_end, l);
	return l->end && event_add(l->end, &time) == 0 ? 0 : -ENOMEM;
}

/* 0, or -EIO when something was answered wrongly */
static int report(const struct loopguest *l, double made)
{
	double seconds = now() - l->start;
	uint64_t done = 0, bad = 0;
	const char *what = "things done";

	for (unsigned int i = 0; l->service && i < l->nr_made; i++) {
		done += ring_answers(l->rings[i]);
		bad += ring_bad(l->rings[i]);
		what = "requests";
	}
	if (l->traffic) {
		done = events_rounds(l->traffic);
		what = "round trips";
	}
	if (l->json)
		printf("{\"guests\": %u, \"setup_seconds\": %.3f, \"seconds\": %.3f, \"done\": %llu, "
		       "\"bad\": %llu}\n",
		       l->nr_made, made, seconds, (unsigned long long)done,
		       (unsigned long long)bad);
	else
		printf("%u guests, made in %.3f s; %llu %s in %.3f s%s\n", l->nr_made, made,
		       (unsigned long long)done, what, seconds, bad ? ", some WRONG" : "");
	return bad ? -EIO : 0;
}

static int run(struct loopguest *l)
{
	double before = now(), made;
	int r = find_service(l);

	if (r == 0)
		r = make_all(l);
	made = now() - before;
	if (r == 0)
		r = end_later(l);
	if (r == 0)
		r = daemon_ready(&l->d);
	if (r < 0)
		return r;
	l->start = now();
	r = event_base_dispatch(l->d.base);
	return r < 0 ? -EIO : report(l, made);
}

static void finish(struct loopguest *l)
{
	l->traffic = events_stop(l->traffic);
	for (unsigned int i = 0; i < l->nr_made; i++) {
		if (l->commands[i])
			event_free(l->commands[i]);
		guest_free(l->guests[i]);
		ring_stop(l->rings[i]);
	}
	free(l->guests);
	free(l->commands);
	free(l->rings);
	if (l->end)
		event_free(l->end);
	daemon_loop_free(&l->d);
}

int main(int argc, char **argv)
{
	struct loopguest l = {
		.d = { .name = "xenhost-loopguest",
		       .purpose =
			       "Guests that are no machines: memory, grants, events and front ends "
			       "of this process." },
		.nr_guests = 1,
		.memory = 1 << 20,
		.name = "loop",
	};
	int r = daemon_options(&l.d, argc, argv, options, &l);

	if (r != 0)
		return r < 0 ? 2 : 0;
	if (l.events && l.service) {
		log_error("--events and --ring are two different things to do");
		return 2;
	}
	daemon_raise_descriptors();
	r = daemon_loop_new(&l.d);
	if (r < 0)
		return 1;
	r = run(&l);
	finish(&l);
	return r < 0 ? 1 : 0;
}
