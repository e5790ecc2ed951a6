/* SPDX-License-Identifier: MIT */
/*
 * xenhost-bridged is killed under guests that work. Each guest is a thread: it puts a number into a page
 * that it grants to the service, notifies, and waits for the answer; after some rounds it closes the port
 * and offers another one, so that bridged is needed, too. The service is one more thread with one handle.
 * Main kills: at any moment, or when nobody needs bridged; then traffic must go on while there is none.
 * At the end nothing may be left: descriptors, ports, domains.
 *
 * XENHOST_KILLS and XENHOST_GUESTS make it longer.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <xenhost/domain.h>
#include <xenhost/evtchn.h>
#include <xenhost/gnttab.h>
#include <xenhost/xenhost.h>

#include "loopguest/guest.h"
#include "tests/support/set.h"
#include "tests/support/unit.h"
#include "tools/keeper.h"

#define GUESTS_MAX 16
#define PATIENCE_MS 60000
#define ROUNDS_PER_PORT 64
#define ROUNDS_ALONE 100 /* of each guest, without bridged */
#define NOBODY 31999	 /* the highest domid of a guest, which none has */

/* what a guest and the service tell each other beside the page: one at a time, guarded by the mutex */
struct link {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint32_t offered; /* by the guest: its port, 0 none */
	uint32_t gref;
	bool bound;	  /* by the service */
	bool wants_close; /* by the guest; the service closes and clears it */
	xenhost_port_t *port;
};

struct worker {
	unsigned int number;
	pthread_t thread;
	struct guest *guest;
	uint16_t domid;
	uint32_t frame, gref;
	struct link link;
	_Atomic unsigned long rounds;
	_Atomic bool in_control; /* needs bridged now */
	_Atomic bool failed;
};

static struct set set;
static xenhost_t *service;
static struct worker workers[GUESTS_MAX];
static unsigned int nr_guests = 3, nr_kills = 6;
static int work_fd = -1; /* the service has links to look at */
static _Atomic bool no_control, stop_guests, stop_service, service_failed;
static pthread_t service_thread;

static void say(const struct worker *w, const char *what, long a, long b)
{
	fprintf(stderr, "guest %u: %s (%ld, %ld)\n", w->number, what, a, b);
	atomic_store(&((struct worker *)(uintptr_t)w)->failed, true);
}

static int wait_changed(struct link *l)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_MS / 1000;
	return pthread_cond_timedwait(&l->changed, &l->lock, &until);
}

/* --- the guests --- */

static bool connect_port(struct worker *w, struct guest_port *port)
{
	struct link *l = &w->link;
	int r = guest_port_offer(w->guest, SET_BLKBACK, port);

	if (r < 0) {
		say(w, "cannot offer a port", r, 0);
		return false;
	}
	pthread_mutex_lock(&l->lock);
	l->offered = port->number;
	l->gref = w->gref;
	l->bound = false;
	(void)eventfd_write(work_fd, 1);
	while (!l->bound && r == 0)
		r = wait_changed(l);
	pthread_mutex_unlock(&l->lock);
	if (r)
		say(w, "the service does not bind", r, port->number);
	return r == 0;
}

static bool disconnect_port(struct worker *w, struct guest_port *port)
{
	struct link *l = &w->link;
	int r = 0;

	pthread_mutex_lock(&l->lock);
	l->wants_close = true;
	(void)eventfd_write(work_fd, 1);
	while (l->wants_close && r == 0)
		r = wait_changed(l);
	pthread_mutex_unlock(&l->lock);
	guest_port_close(w->guest, port);
	if (r)
		say(w, "the service does not close", r, 0);
	return r == 0;
}

static bool one_round(struct worker *w, const struct guest_port *port, uint32_t number)
{
	_Atomic uint32_t *page = guest_page(w->guest, w->frame);

	atomic_store(&page[0], number);
	guest_port_notify(port);
	while (atomic_load(&page[1]) != number) {
		if (!guest_port_wait(port, PATIENCE_MS)) {
			say(w, "no answer to", number, atomic_load(&page[1]));
			return false;
		}
	}
	return true;
}

static void *guest_main(void *data)
{
	struct worker *w = data;
	uint32_t number = 0;
	struct guest_port port;

	while (!atomic_load(&stop_guests) && !atomic_load(&w->failed)) {
		bool good = connect_port(w, &port);

		atomic_store(&w->in_control, false);
		if (!good)
			return NULL;
		for (unsigned int i = 0; good && !atomic_load(&stop_guests) &&
					 (i < ROUNDS_PER_PORT || atomic_load(&no_control));
		     i++) {
			good = one_round(w, &port, ++number);
			atomic_fetch_add(&w->rounds, 1);
		}
		atomic_store(&w->in_control, true);
		if (!disconnect_port(w, &port))
			return NULL;
	}
	return NULL;
}

/* --- the service --- */

static void change_link(struct worker *w)
{
	struct link *l = &w->link;
	int r = 0;

	pthread_mutex_lock(&l->lock);
	if (l->wants_close) {
		l->port = xenhost_port_close(l->port);
		l->wants_close = false;
	}
	if (l->offered && !l->bound) {
		r = xenhost_port_bind(service, w->domid, l->offered, &l->port);
		l->bound = r == 0;
		l->offered = 0;
		if (r < 0)
			say(w, "cannot bind", r, 0);
	}
	pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->lock);
}

static void answer(struct worker *w)
{
	struct xenhost_seg seg = { .gref = w->gref, .offset = 0, .len = 4096 };
	struct iovec iov;
	_Atomic uint32_t *page;
	uint32_t number;
	int r;

	(void)xenhost_port_ack(w->link.port);
	r = xenhost_io_begin(service, w->domid, &seg, 1, XENHOST_WRITE, &iov);
	if (r < 0 || seg.status < 0) {
		say(w, "cannot use the grant", r, seg.status);
		return;
	}
	page = iov.iov_base;
	number = atomic_load(&page[0]);
	if (number - atomic_load(&page[1]) > 1)
		say(w, "a request was lost", number, atomic_load(&page[1]));
	atomic_store(&page[1], number);
	r = xenhost_io_end(service, w->domid, &seg, 1, XENHOST_WRITE, &iov);
	if (r < 0 || seg.status < 0)
		say(w, "cannot end the grant's use", r, seg.status);
	(void)xenhost_port_notify(w->link.port);
}

static void *service_main(void *data)
{
	while (!atomic_load(&stop_service)) {
		struct pollfd p[2 + GUESTS_MAX] = {
			{ .fd = work_fd, .events = POLLIN },
			{ .fd = xenhost_get_fd(service), .events = POLLIN },
		};
		eventfd_t count;

		for (unsigned int i = 0; i < nr_guests; i++)
			p[2 + i] = (struct pollfd){
				.fd = workers[i].link.port ? xenhost_port_fd(workers[i].link.port)
							   : -1,
				.events = POLLIN,
			};
		if (poll(p, 2 + nr_guests, -1) < 0 && errno != EINTR)
			break;
		for (unsigned int i = 0; i < nr_guests; i++)
			if (p[2 + i].fd >= 0 && p[2 + i].revents)
				answer(&workers[i]);
		if (p[1].revents && xenhost_process(service) < 0) {
			fprintf(stderr, "the service lost its host\n");
			atomic_store(&service_failed, true);
			break;
		}
		if (p[0].revents && eventfd_read(work_fd, &count) == 0)
			for (unsigned int i = 0; i < nr_guests; i++)
				change_link(&workers[i]);
	}
	return NULL;
}

/* --- main --- */

static unsigned int open_files(pid_t pid)
{
	unsigned int n = 0;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void check_failed(void)
{
	ck_assert(!atomic_load(&service_failed));
	for (unsigned int i = 0; i < nr_guests; i++)
		ck_assert_msg(!atomic_load(&workers[i].failed), "guest %u failed", i);
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* a moment more; false when it has been long enough */
static bool wait_more(int64_t *deadline)
{
	if (*deadline == 0)
		*deadline = now_ms() + PATIENCE_MS;
	(void)poll(NULL, 0, 1);
	return now_ms() < *deadline;
}

/* until each guest has made so many more rounds */
static void wait_rounds(unsigned long more)
{
	unsigned long from[GUESTS_MAX];
	int64_t deadline = 0;

	for (unsigned int i = 0; i < nr_guests; i++)
		from[i] = atomic_load(&workers[i].rounds);
	for (unsigned int i = 0; i < nr_guests; i++)
		while (atomic_load(&workers[i].rounds) < from[i] + more) {
			check_failed();
			ck_assert_msg(wait_more(&deadline), "guest %u stands still", i);
		}
}

/* nobody is in need of bridged, until no_control is taken back */
static void wait_no_control(void)
{
	int64_t deadline = 0;

	atomic_store(&no_control, true);
	for (unsigned int i = 0; i < nr_guests; i++)
		while (atomic_load(&workers[i].in_control)) {
			check_failed();
			ck_assert(wait_more(&deadline));
		}
	/* in_control is false a moment before the last round that may lead to the next: see it pass */
	wait_rounds(ROUNDS_PER_PORT + 1);
	for (unsigned int i = 0; i < nr_guests; i++)
		while (atomic_load(&workers[i].in_control))
			ck_assert(wait_more(&deadline));
}

static void kill_once(unsigned int i)
{
	bool alone = i % 2;

	if (alone)
		wait_no_control();
	else
		(void)poll(NULL, 0, rand() % 8); /* any moment will do */
	ck_assert_int_eq(set_kill_bridged(&set), 0);
	if (alone)
		wait_rounds(ROUNDS_ALONE);
	ck_assert_int_eq(set_start_bridged(&set), 0);
	atomic_store(&no_control, false);
	wait_rounds(2 * ROUNDS_PER_PORT); /* and a port was closed and offered */
}

static void start_guests(void)
{
	for (unsigned int i = 0; i < nr_guests; i++) {
		struct worker *w = &workers[i];
		char name[32];

		*w = (struct worker){ .number = i };
		pthread_mutex_init(&w->link.lock, NULL);
		pthread_cond_init(&w->link.changed, NULL);
		snprintf(name, sizeof(name), "guest-%u", i);
		ck_assert_int_eq(guest_new(set.rundir, name, 4, &w->guest), 0);
		w->domid = guest_domid(w->guest);
		w->frame = guest_new_frame(w->guest);
		w->gref = guest_grant(w->guest, SET_BLKBACK, w->frame, false);
		atomic_store(&w->in_control, true);
	}
	for (unsigned int i = 0; i < nr_guests; i++)
		ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, guest_main, &workers[i]),
				 0);
}

/* the domain is gone for others, too: bridged has come to it */
static void wait_gone(xenhost_t *tool, uint16_t domid)
{
	struct xenhost_domain_info info;
	int64_t deadline = 0;

	while (xenhost_domain_info(tool, domid, &info) != -ESRCH)
		ck_assert(wait_more(&deadline));
}

static void stop_all(void)
{
	xenhost_t *tool;

	atomic_store(&stop_guests, true);
	for (unsigned int i = 0; i < nr_guests; i++)
		pthread_join(workers[i].thread, NULL);
	atomic_store(&stop_service, true);
	(void)eventfd_write(work_fd, 1);
	pthread_join(service_thread, NULL);
	check_failed();
	ck_assert_int_eq(set_open(&set, &tool), 0);
	for (unsigned int i = 0; i < nr_guests; i++) {
		ck_assert_ptr_null(workers[i].link.port);
		ck_assert(!guest_grant_in_use(workers[i].guest, workers[i].gref));
		guest_free(workers[i].guest);
		wait_gone(tool, workers[i].domid);
	}
	xenhost_close(tool);
}

struct counts {
	unsigned int bridged, own;
	size_t kept;
};

/* A connection that was just closed may still be open at the other end. */
static void wait_counts(const struct counts *was)
{
	int64_t deadline = 0;

	for (;;) {
		unsigned int bridged = open_files(set.bridged.pid), own = open_files(getpid());
		size_t kept = keeper_count(set.keeper);

		if (bridged <= was->bridged && own <= was->own && kept == was->kept)
			return;
		ck_assert_msg(wait_more(&deadline),
			      "left over: bridged has %u (%u), the keeper %zu (%zu), we %u (%u)",
			      bridged, was->bridged, kept, was->kept, own, was->own);
	}
}

/*
 * What bridged and we have open before anything begins. xenstored's connections may not have been accepted yet;
 * one that came after them and has its answer tells that they are.
 */
static void count_open(struct counts *ret)
{
	struct xenhost_domain_info info;
	unsigned int with_tool;
	int64_t deadline = 0;
	xenhost_t *tool;

	/* first: it takes in what is on its way, also into our count */
	ret->kept = keeper_count(set.keeper);
	ret->own = open_files(getpid());
	ck_assert_int_eq(set_open(&set, &tool), 0);
	ck_assert_int_eq(xenhost_domain_info(tool, NOBODY, &info), -ESRCH);
	with_tool = open_files(set.bridged.pid);
	xenhost_close(tool);
	while ((ret->bridged = open_files(set.bridged.pid)) >= with_tool)
		ck_assert(wait_more(&deadline));
}

START_TEST(test_killed_under_traffic)
{
	unsigned long rounds = 0;
	struct counts was;
	char uri[128];

	work_fd = eventfd(0, EFD_CLOEXEC);
	count_open(&was);
	snprintf(uri, sizeof(uri), "bridge:%s/bridge/blkback.sock", set.rundir);
	ck_assert_int_eq(xenhost_open(uri, 0, &service), 0);
	start_guests();
	ck_assert_int_eq(pthread_create(&service_thread, NULL, service_main, NULL), 0);
	for (unsigned int i = 0; i < nr_kills; i++) {
		kill_once(i);
		check_failed();
	}
	stop_all();
	xenhost_close(service);
	wait_counts(&was);
	for (unsigned int i = 0; i < nr_guests; i++)
		rounds += atomic_load(&workers[i].rounds);
	printf("%u kills, %u guests, %lu rounds; nothing lost, nothing left over\n", nr_kills,
	       nr_guests, rounds);
	close(work_fd);
}
END_TEST

static unsigned int from_env(const char *name, unsigned int value, unsigned int max)
{
	const char *text = getenv(name);
	int n = text ? atoi(text) : 0;

	return n > 0 && (unsigned int)n <= max ? (unsigned int)n : value;
}

int main(void)
{
	Suite *s = suite_create("loopback-restart");
	TCase *t = tcase_create("all");
	SRunner *runner;
	int failed;

	nr_guests = from_env("XENHOST_GUESTS", nr_guests, GUESTS_MAX);
	nr_kills = from_env("XENHOST_KILLS", nr_kills, 100000);
	if (set_start_kept(&set) < 0)
		return 1;
	tcase_set_timeout(t, 0);
	tcase_add_test(t, test_killed_under_traffic);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_set_fork_status(runner, CK_NOFORK); /* the keeper's thread is in this process */
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return set_stop(&set) < 0 || failed;
}
