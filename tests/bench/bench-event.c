/* SPDX-License-Identifier: MIT */
/*
 * What the library's data path costs against the bare thing below it: events between two processes against
 * two eventfds, grants against the compare-and-swaps that they cannot do without, a question to bridged
 * against two processes on a SEQPACKET socket. A loopback guest is the other process; ratios, each
 * measured in turns.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xenhost/evtchn.h>
#include <xenhost/gnttab.h>
#include <xenhost/hypercall.h>

#include "tests/bench/bench.h"
#include "loopguest/guest.h"
#include "tests/support/set.h"

#define SEGS 32u

/* --- the other process: a guest, and the peer's end --- */

struct order {
	char what; /* 'o' our event channel, 'b' bare eventfds, 's' bare socket */
	int cpu;
	unsigned int n;
};

struct greeting {
	uint16_t domid;
	uint32_t port;
	uint32_t grefs[SEGS];
};

static struct {
	struct set set;
	int to_guest[2], to_us[2]; /* pipes */
	int bare_there, bare_back; /* eventfds */
	int sock[2];
	struct greeting guest;
	pid_t pid;
	xenhost_t *host;
	xenhost_port_t *port;
	int cpus[2], guest_cpu;
} b;

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
}

static void echo_socket(unsigned int n)
{
	char buf[64];

	while (n--) {
		ssize_t len = recv(b.sock[1], buf, sizeof(buf), 0);

		if (len <= 0 || send(b.sock[1], buf, (size_t)len, 0) != len)
			_exit(1);
	}
}

static void echo_events(const struct guest_port *port, unsigned int n)
{
	while (n--) {
		if (guest_port_wait(port, 30000) != 1)
			_exit(1);
		guest_port_notify(port);
	}
}

static int run_guest(void)
{
	struct guest_port port, bare = { 0, b.bare_there, b.bare_back };
	struct greeting greeting;
	struct order order;
	struct guest *g;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (guest_new(b.set.rundir, "bench", 64, &g) < 0 ||
	    guest_port_offer(g, SET_BLKBACK, &port) < 0)
		return 1;
	greeting = (struct greeting){ .domid = guest_domid(g), .port = port.number };
	for (unsigned int i = 0; i < SEGS; i++)
		greeting.grefs[i] = guest_grant(g, SET_BLKBACK, guest_new_frame(g), false);
	if (write(b.to_us[1], &greeting, sizeof(greeting)) != sizeof(greeting))
		return 1;
	while (read(b.to_guest[0], &order, sizeof(order)) == sizeof(order)) {
		char ready = 1;

		pin(order.cpu);
		(void)guest_port_wait(&port, 0); /* binding made it pending */
		if (write(b.to_us[1], &ready, 1) != 1)
			return 1;
		if (order.what == 's')
			echo_socket(order.n);
		else
			echo_events(order.what == 'o' ? &port : &bare, order.n);
	}
	guest_free(g);
	return 0;
}

static void command(char what, unsigned int n)
{
	struct order order = { what, b.guest_cpu, n };
	char ready;

	if (write(b.to_guest[1], &order, sizeof(order)) != sizeof(order) ||
	    read(b.to_us[0], &ready, 1) != 1)
		abort();
}

/* --- events --- */

static void wait_for(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (poll(&p, 1, 30000) != 1)
		abort();
}

static double event_ours(void *data, unsigned int n)
{
	double start;

	command('o', n);
	(void)xenhost_port_ack(b.port);
	start = bench_now();
	for (unsigned int i = 0; i < n; i++) {
		if (xenhost_port_notify(b.port) < 0)
			return -1;
		do
			wait_for(xenhost_port_fd(b.port));
		while (xenhost_port_ack(b.port) != 1);
	}
	return bench_now() - start;
}

static double event_bare(void *data, unsigned int n)
{
	eventfd_t count;
	double start;

	command('b', n);
	start = bench_now();
	for (unsigned int i = 0; i < n; i++) {
		if (eventfd_write(b.bare_there, 1) < 0)
			return -1;
		do
			wait_for(b.bare_back);
		while (eventfd_read(b.bare_back, &count) < 0);
	}
	return bench_now() - start;
}

static bool bench_events(void)
{
	const struct bench_pair same = {
		"event-same-cpu", event_ours, event_bare, NULL, 5000, 5000, 1.05
	};
	const struct bench_pair cross = {
		"event-cross-cpu", event_ours, event_bare, NULL, 5000, 5000, 1.05
	};
	bool good;

	b.guest_cpu = b.cpus[0];
	good = bench_run(&same);
	b.guest_cpu = b.cpus[1];
	return bench_run(&cross) && good;
}

/* --- grants --- */

static _Atomic uint32_t word[16] __attribute__((aligned(64)));

static double cas_pair(void *data, unsigned int n)
{
	double start = bench_cpu();

	for (unsigned int i = 0; i < n; i++) {
		uint32_t old = atomic_load(&word[0]);

		atomic_compare_exchange_strong(&word[0], &old, old | 8);
		old = atomic_load(&word[0]);
		atomic_compare_exchange_strong(&word[0], &old, old & ~8u);
	}
	return bench_cpu() - start;
}

static double translate_put(void *data, unsigned int n)
{
	double start = bench_cpu();
	struct xenhost_page page;

	for (unsigned int i = 0; i < n; i++)
		if (xenhost_translate_gref(b.host, b.guest.domid, b.guest.grefs[i % SEGS],
					   XENHOST_READ | XENHOST_WRITE, &page) < 0 ||
		    xenhost_put_gref(b.host, &page) < 0)
			return -1;
	return bench_cpu() - start;
}

static double io(unsigned int nr_segs, unsigned int n)
{
	struct xenhost_seg segs[SEGS];
	struct iovec iov[SEGS];
	double start;

	for (unsigned int i = 0; i < SEGS; i++)
		segs[i] = (struct xenhost_seg){ .gref = b.guest.grefs[i], .len = 4096 };
	start = bench_cpu();
	for (unsigned int i = 0; i < n; i++)
		if (xenhost_io_begin(b.host, b.guest.domid, segs, nr_segs, XENHOST_READ, iov) < 0 ||
		    xenhost_io_end(b.host, b.guest.domid, segs, nr_segs, XENHOST_READ, iov) < 0)
			return -1;
	return bench_cpu() - start;
}

static double io_one(void *data, unsigned int n)
{
	return io(1, n);
}

static double io_many(void *data, unsigned int n)
{
	return io(SEGS, n);
}

static bool bench_grants(const char *threads)
{
	char one[64], many[64];
	struct bench_pair translate = { one, translate_put, cas_pair, NULL, 2000000, 2000000, 3 };
	struct bench_pair batch = { many, io_many, io_one, NULL, 100000, 1500000, 12 };
	bool good;

	snprintf(one, sizeof(one), "translate-put-%s", threads);
	snprintf(many, sizeof(many), "io-32-segments-%s", threads);
	good = bench_run(&translate);
	return bench_run(&batch) && good;
}

/* Whatever is no read(2), write(2) or exit(2) kills the child */
static bool no_system_calls(void)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		bool bad = prctl(PR_SET_SECCOMP, 1) < 0;

		for (int i = 0; i < 1000 && !bad; i++) {
			struct xenhost_page page;

			bad = xenhost_translate_gref(b.host, b.guest.domid, b.guest.grefs[0],
						     XENHOST_READ, &page) < 0 ||
			      xenhost_put_gref(b.host, &page) < 0;
		}
		syscall(60, bad); /* exit, not exit_group */
	}
	(void)waitpid(pid, &status, 0);
	printf("GOAL translate-put-system-calls: %s (goal <= 0) %s\n", status ? "some" : "0",
	       status ? "MISSED" : "met");
	return status == 0;
}

/* --- questions --- */

static double ask_ours(void *data, unsigned int n)
{
	double start = bench_now();

	for (unsigned int i = 0; i < n; i++) {
		uint64_t version[2];

		if (xenhost_hypercall(b.host, XENHOST_HYPERCALL_VERSION, NULL, 0, version, 2) < 0)
			return -1;
	}
	return bench_now() - start;
}

static double ask_bare(void *data, unsigned int n)
{
	char buf[24] = "";
	double start;

	command('s', n);
	start = bench_now();
	for (unsigned int i = 0; i < n; i++)
		if (send(b.sock[0], buf, sizeof(buf), 0) != sizeof(buf) ||
		    recv(b.sock[0], buf, sizeof(buf), 0) != sizeof(buf))
			return -1;
	return bench_now() - start;
}

static void pin_bridged(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	(void)sched_setaffinity(b.set.bridged.pid, sizeof(set), &set);
}

static bool bench_questions(void)
{
	const struct bench_pair same = {
		"hypercall-same-cpu", ask_ours, ask_bare, NULL, 3000, 3000, 1.3
	};
	const struct bench_pair cross = {
		"hypercall-cross-cpu", ask_ours, ask_bare, NULL, 3000, 3000, 1.3
	};
	bool good;

	b.guest_cpu = b.cpus[0];
	pin_bridged(b.cpus[0]);
	good = bench_run(&same);
	b.guest_cpu = b.cpus[1];
	pin_bridged(b.cpus[1]);
	return bench_run(&cross) && good;
}

/* its presence makes locks of the library real ones */
static void *sleeper(void *data)
{
	for (;;)
		pause();
	return NULL;
}

/* --- start --- */

static void find_cpus(void)
{
	cpu_set_t set;
	int n = 0;

	CPU_ZERO(&set);
	(void)sched_getaffinity(0, sizeof(set), &set);
	for (int i = 0; i < CPU_SETSIZE && n < 2; i++)
		if (CPU_ISSET(i, &set))
			b.cpus[n++] = i;
	if (n == 1)
		b.cpus[1] = b.cpus[0];
}

static int start_guest(void)
{
	if (pipe(b.to_guest) < 0 || pipe(b.to_us) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET, 0, b.sock) < 0)
		return -errno;
	b.bare_there = eventfd(0, EFD_NONBLOCK);
	b.bare_back = eventfd(0, EFD_NONBLOCK);
	b.pid = fork();
	if (b.pid < 0)
		return -errno;
	if (b.pid == 0) {
		close(b.to_guest[1]);
		_exit(run_guest());
	}
	close(b.to_guest[0]);
	if (read(b.to_us[0], &b.guest, sizeof(b.guest)) != sizeof(b.guest))
		return -EPIPE;
	return 0;
}

static int open_host(void)
{
	char uri[128];
	int r;

	snprintf(uri, sizeof(uri), "bridge:%s/bridge/blkback.sock", b.set.rundir);
	r = xenhost_open(uri, 0, &b.host);
	return r < 0 ? r : xenhost_port_bind(b.host, b.guest.domid, b.guest.port, &b.port);
}

/*
 * As nobody else may run on these processors meanwhile, for both sides alike: children have it from us. Without the
 * right to it the figures are those of a machine that does other things, too.
 */
static void run_first(void)
{
	const struct sched_param first = { .sched_priority = 10 };

	if (sched_setscheduler(0, SCHED_FIFO, &first) < 0)
		printf("bench-event: no real-time priority (%s): needs an idle machine\n",
		       strerror(errno));
}

static bool wanted(int argc, char **argv, const char *part)
{
	bool wants = argc < 2;

	for (int i = 1; i < argc; i++)
		wants |= strcmp(argv[i], part) == 0;
	return wants;
}

/* arguments: parts to run (events, questions, grants); none: all */
int main(int argc, char **argv)
{
	pthread_t thread;
	bool good = true;
	int r;

	find_cpus();
	run_first();
	r = set_start(&b.set);
	if (r == 0)
		r = start_guest();
	if (r == 0)
		r = open_host();
	if (r < 0) {
		fprintf(stderr, "bench-event: cannot start: %s\n", strerror(-r));
		(void)set_stop(&b.set);
		return 1;
	}
	pin(b.cpus[0]);
	if (wanted(argc, argv, "events"))
		good &= bench_events();
	if (wanted(argc, argv, "questions"))
		good &= bench_questions();
	if (wanted(argc, argv, "grants")) {
		good &= bench_grants("one-thread");
		good &= no_system_calls();
		if (pthread_create(&thread, NULL, sleeper, NULL) == 0)
			good &= bench_grants("threads");
	}
	xenhost_port_close(b.port);
	xenhost_close(b.host);
	close(b.to_guest[1]);
	(void)waitpid(b.pid, NULL, 0);
	(void)set_stop(&b.set);
	return good ? 0 : 1;
}
