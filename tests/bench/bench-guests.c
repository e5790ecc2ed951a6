/* SPDX-License-Identifier: MIT */
/*
 * Many guests: what it takes to make them, what memory each costs whom, and whether an event to one of a
 * thousand costs more than to a single one. The guests are another process, we are their service.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xenhost/evtchn.h>
#include <xenhost/gnttab.h>

#include "loopguest/guest.h"
#include "tests/bench/bench.h"
#include "tests/support/set.h"

#define MANY 1000u
#define EVENTS 20000u

struct offer {
	uint16_t domid;
	uint32_t port, gref;
};

/* a process with n guests, and our ends of their ports */
struct crowd {
	unsigned int n;
	pid_t pid;
	int from; /* pipe */
	struct offer *offers;
	xenhost_port_t **ports;
	int epoll_fd;
	double made, bound; /* seconds */
};

static struct set set;
static xenhost_t *host;

/* --- the guests --- */

static int make(struct guest **g, struct guest_port *port, unsigned int i, unsigned int n,
		int epoll_fd, int to)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = port };
	struct offer offer;
	char name[32];
	int r;

	snprintf(name, sizeof(name), "of-%u-%u", n, i);
	r = guest_new(set.rundir, name, 16, g);
	if (r == 0)
		r = guest_port_offer(*g, SET_BLKBACK, port);
	if (r < 0)
		return r;
	offer = (struct offer){ guest_domid(*g), port->number,
				guest_grant(*g, SET_BLKBACK, guest_new_frame(*g), false) };
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, port->wait_fd, &ev) < 0 ||
	    write(to, &offer, sizeof(offer)) != sizeof(offer))
		return -errno;
	return 0;
}

static int run_guests(unsigned int n, int to)
{
	struct guest_port *ports = calloc(n, sizeof(*ports));
	struct guest **guests = calloc(n, sizeof(*guests));
	int epoll_fd = epoll_create1(0);
	struct epoll_event ev;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!ports || !guests || epoll_fd < 0)
		return 1;
	for (unsigned int i = 0; i < n; i++) {
		int r = make(&guests[i], &ports[i], i, n, epoll_fd, to);

		if (r < 0) {
			fprintf(stderr, "guest %u: %s\n", i, strerror(-r));
			return 1;
		}
	}
	while (epoll_wait(epoll_fd, &ev, 1, -1) == 1) {
		const struct guest_port *port = ev.data.ptr;

		if (guest_port_wait(port, 0) == 1)
			guest_port_notify(port);
	}
	return 0;
}

/* --- the service --- */

static int bind_all(struct crowd *c)
{
	for (unsigned int i = 0; i < c->n; i++) {
		struct epoll_event ev = { .events = EPOLLIN, .data.u32 = i };
		struct xenhost_page page;
		int r = xenhost_port_bind(host, c->offers[i].domid, c->offers[i].port,
					  &c->ports[i]);

		if (r == 0)
			r = xenhost_translate_gref(host, c->offers[i].domid, c->offers[i].gref,
						   XENHOST_READ, &page);
		if (r == 0)
			r = xenhost_put_gref(host, &page);
		if (r < 0)
			return r;
		if (epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, xenhost_port_fd(c->ports[i]), &ev) < 0)
			return -errno;
	}
	return 0;
}

/* binding made both ends pending: until they have all answered */
static int settle(struct crowd *c)
{
	struct epoll_event ev;

	while (epoll_wait(c->epoll_fd, &ev, 1, 300) == 1)
		if (xenhost_port_ack(c->ports[ev.data.u32]) < 0)
			return -EIO;
	return 0;
}

static int start(struct crowd *c, unsigned int n)
{
	double before = bench_now();
	int pipes[2], r;

	*c = (struct crowd){ .n = n, .epoll_fd = epoll_create1(EPOLL_CLOEXEC) };
	c->offers = calloc(n, sizeof(*c->offers));
	c->ports = calloc(n, sizeof(*c->ports));
	if (!c->offers || !c->ports || c->epoll_fd < 0 || pipe2(pipes, O_CLOEXEC) < 0)
		return -ENOMEM;
	c->pid = fork();
	if (c->pid == 0)
		_exit(run_guests(n, pipes[1]));
	close(pipes[1]);
	c->from = pipes[0];
	for (unsigned int i = 0; i < n; i++)
		if (read(c->from, &c->offers[i], sizeof(c->offers[i])) != sizeof(c->offers[i]))
			return -EPIPE;
	c->made = (bench_now() - before) / 1e9;
	r = bind_all(c);
	c->bound = (bench_now() - before) / 1e9 - c->made;
	return r < 0 ? r : settle(c);
}

static double ping(void *data, unsigned int n)
{
	struct crowd *c = *(struct crowd **)data;
	double begin = bench_now();

	for (unsigned int i = 0; i < n; i++) {
		unsigned int which = (unsigned int)(i * 2654435761u) % c->n;
		struct epoll_event ev;

		if (xenhost_port_notify(c->ports[which]) < 0)
			return -1;
		if (epoll_wait(c->epoll_fd, &ev, 1, 30000) != 1 || ev.data.u32 != which ||
		    xenhost_port_ack(c->ports[which]) != 1)
			return -1;
	}
	return bench_now() - begin;
}

static double ping_many(void *data, unsigned int n)
{
	return ping(&((struct crowd **)data)[1], n);
}

static long rss_kib(pid_t pid)
{
	char path[64], line[128];
	long kib = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "RssAnon: %ld", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib;
}

static int measure(void)
{
	struct crowd one, many, *both[] = { &one, &many };
	const struct bench_pair pair = {
		"event-of-1000-guests", ping_many, ping, both, EVENTS, EVENTS, 1.5
	};
	long bridged, us;
	bool good;
	int r = start(&one, 1);

	if (r < 0)
		return r;
	bridged = rss_kib(set.bridged.pid);
	us = rss_kib(getpid());
	r = start(&many, MANY);
	if (r < 0)
		return r;
	printf("%u guests: made in %.2f s, reached by their service in %.2f s\n", MANY, many.made,
	       many.bound);
	printf("memory for each, beside its own: bridged %.1f KiB, service %.1f KiB\n",
	       (double)(rss_kib(set.bridged.pid) - bridged) / MANY,
	       (double)(rss_kib(getpid()) - us) / MANY);
	good = bench_run(&pair);
	kill(one.pid, SIGKILL);
	kill(many.pid, SIGKILL);
	(void)waitpid(one.pid, NULL, 0);
	(void)waitpid(many.pid, NULL, 0);
	return good ? 0 : -EDOM;
}

static void pin(void)
{
	cpu_set_t all, cpu;

	CPU_ZERO(&cpu);
	if (sched_getaffinity(0, sizeof(all), &all) < 0)
		return;
	for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&cpu) == 0; i++)
		if (CPU_ISSET(i, &all))
			CPU_SET(i, &cpu);
	(void)sched_setaffinity(0, sizeof(cpu), &cpu);
}

int main(void)
{
	struct rlimit l;
	char uri[128];
	int r;

	if (getrlimit(RLIMIT_NOFILE, &l) == 0) {
		l.rlim_cur = l.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &l);
	}
	r = set_start(&set);
	/* we and the guests: waking another processor up would be most of what is measured */
	pin();
	snprintf(uri, sizeof(uri), "bridge:%s/bridge/blkback.sock", set.rundir);
	if (r == 0)
		r = xenhost_open(uri, 0, &host);
	if (r == 0)
		r = measure();
	if (r < 0 && r != -EDOM)
		fprintf(stderr, "bench-guests: %s\n", strerror(-r));
	xenhost_close(host);
	(void)set_stop(&set);
	return r < 0 ? 1 : 0;
}
