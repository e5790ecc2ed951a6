/* SPDX-License-Identifier: MIT */
/*
 * Load for any Xenstore daemon, over its Unix socket: one process plays all clients of a scenario. Each has
 * a number of requests under way; an answer makes the next request, and all that one read gives leaves in
 * one write. A single client blocks in its read as real ones do, several share an epoll.
 *
 * One thread, so what is measured is the daemon as long as this needs less time than it: store.py
 * prints how busy both were.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define ROOM (256u * 1024)
#define CLIENTS_MAX 8192

enum {
	READ = 2,
	WATCH = 4,
	START = 6,
	END = 7,
	INTRODUCE = 8,
	WRITE = 11,
	MKDIR = 12,
	RM = 13,
	EVENT = 15,
	ERROR = 16
};

struct header {
	uint32_t type, req_id, tx_id, len;
};

struct client {
	int fd, nr;
	uint64_t seq; /* requests made */
	uint32_t tx;
	int step;
	uint32_t rng;
	size_t in_len, out_len;
	char *in, *out;
};

struct scenario;

struct run {
	const struct scenario *scenario;
	const char *socket;
	int nr_clients, depth;
	long arg;
	struct client *clients;
	struct client control;
	int epoll;
	uint64_t done, lost, events; /* counted since the start of the measurement */
};

struct scenario {
	const char *name;
	int nr_clients, depth;
	void (*setup)(struct run *r);
	void (*next)(struct run *r, struct client *c);
	/* NULL: each answer counts and makes the next request */
	void (*answer)(struct run *r, struct client *c, const struct header *h, const char *data);
	const char *what;
};

static void __attribute__((format(printf, 1, 2), noreturn)) die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fprintf(stderr, "store-load: ");
	vfprintf(stderr, fmt, args);
	fprintf(stderr, "\n");
	va_end(args);
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint32_t rnd(struct client *c, uint32_t n)
{
	c->rng ^= c->rng << 13;
	c->rng ^= c->rng >> 17;
	c->rng ^= c->rng << 5;
	return c->rng % n;
}

/* --- requests --- */

/* payload: strings with a NUL each, as many as fmt has lines */
static void put(struct client *c, uint32_t type, const char *data, size_t len)
{
	const struct header h = { type, (uint32_t)c->seq++, c->tx, (uint32_t)len };

	if (c->out_len + sizeof(h) + len > ROOM)
		die("too many requests at once");
	memcpy(c->out + c->out_len, &h, sizeof(h));
	memcpy(c->out + c->out_len + sizeof(h), data, len);
	c->out_len += sizeof(h) + len;
}

static size_t digits(char *p, unsigned long v)
{
	char text[24];
	size_t n = 0;

	do {
		text[n++] = (char)('0' + v % 10);
	} while (v /= 10);
	for (size_t i = 0; i < n; i++)
		p[i] = text[n - 1 - i];
	return n;
}

/* "PREFIX/A/B" with its NUL, and a value behind it; negative: left out */
static void put_path(struct client *c, uint32_t type, const char *prefix, long a, long b,
		     const char *value)
{
	char buf[256];
	size_t n = strlen(prefix);

	memcpy(buf, prefix, n);
	if (a >= 0) {
		buf[n++] = '/';
		n += digits(buf + n, (unsigned long)a);
	}
	if (b >= 0) {
		buf[n++] = '/';
		n += digits(buf + n, (unsigned long)b);
	}
	buf[n++] = 0;
	if (value) {
		memcpy(buf + n, value, strlen(value));
		n += strlen(value);
	}
	put(c, type, buf, n);
}

static void put_end(struct client *c)
{
	put(c, END, "T", 2);
	c->tx = 0;
}

/* --- bytes --- */

static void flush(struct client *c)
{
	size_t at = 0;

	while (at < c->out_len) {
		const ssize_t n = send(c->fd, c->out + at, c->out_len - at, MSG_NOSIGNAL);

		if (n < 0)
			die("the daemon has gone: %s", strerror(errno));
		at += (size_t)n;
	}
	c->out_len = 0;
}

static void handle(struct run *r, struct client *c, const struct header *h, const char *data)
{
	if (h->type == EVENT) {
		r->events++;
		return;
	}
	if (r->scenario->answer) {
		r->scenario->answer(r, c, h, data);
		return;
	}
	if (h->type == ERROR)
		die("client %d: %.*s", c->nr, (int)h->len, data);
	r->done++;
	r->scenario->next(r, c);
}

/* Reads what there is, once. */
static void fill(struct client *c)
{
	const ssize_t n = recv(c->fd, c->in + c->in_len, ROOM - c->in_len, 0);

	if (n <= 0)
		die("the daemon has gone: %s", n ? strerror(errno) : "end of file");
	c->in_len += (size_t)n;
}

static void serve(struct run *r, struct client *c)
{
	size_t at = 0;
	struct header h;

	fill(c);
	while (c->in_len - at >= sizeof(h)) {
		memcpy(&h, c->in + at, sizeof(h));
		if (c->in_len - at < sizeof(h) + h.len)
			break;
		handle(r, c, &h, c->in + at + sizeof(h));
		at += sizeof(h) + h.len;
	}
	c->in_len -= at;
	memmove(c->in, c->in + at, c->in_len);
	flush(c);
}

/* Waits for nr answers to what was put. */
static void wait_for(struct client *c, uint64_t nr)
{
	struct header h;

	flush(c);
	while (nr) {
		size_t at = 0;

		fill(c);
		while (c->in_len - at >= sizeof(h)) {
			memcpy(&h, c->in + at, sizeof(h));
			if (c->in_len - at < sizeof(h) + h.len)
				break;
			if (h.type == ERROR)
				die("setup: %.*s", (int)h.len, c->in + at + sizeof(h));
			nr -= h.type != EVENT;
			at += sizeof(h) + h.len;
		}
		c->in_len -= at;
		memmove(c->in, c->in + at, c->in_len);
	}
}

static void client_open(struct run *r, struct client *c, int nr)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	*c = (struct client){ .nr = nr, .rng = (uint32_t)nr * 2654435761u + 1 };
	c->in = malloc(ROOM);
	c->out = malloc(ROOM);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(un.sun_path, sizeof(un.sun_path), "%s", r->socket);
	if (!c->in || !c->out || c->fd < 0)
		die("cannot make client %d: %s", nr, strerror(errno));
	if (connect(c->fd, (struct sockaddr *)&un, sizeof(un)) < 0)
		die("cannot connect to %s: %s", r->socket, strerror(errno));
}

/* --- setups --- */

#define BATCH 256

static void make_nodes(struct run *r, const char *prefix, long dirs, long nodes)
{
	long pending = 0;

	for (long i = 0; i < dirs; i++)
		for (long j = 0; j < nodes; j++) {
			put_path(&r->control, WRITE, prefix, dirs > 1 ? i : -1, j, "value");
			if (++pending < BATCH)
				continue;
			wait_for(&r->control, (uint64_t)pending);
			pending = 0;
		}
	wait_for(&r->control, (uint64_t)pending);
}

/* A directory for each client, with 16 nodes as a device has them. */
static void setup_devices(struct run *r)
{
	make_nodes(r, "/bench", r->nr_clients < 2 ? 2 : r->nr_clients, 16);
}

static void setup_one_directory(struct run *r)
{
	make_nodes(r, "/bench/dir", 1, r->nr_clients);
}

static void setup_none(struct run *r)
{
}

static void setup_flat(struct run *r)
{
	make_nodes(r, "/bench/flat", 1, r->arg);
}

/* as many connections, with a watch each on something of their own; they are never read again */
static void setup_watchers(struct run *r)
{
	setup_devices(r);
	for (long i = 0; i < r->arg; i++) {
		struct client c;
		char buf[64];

		client_open(r, &c, (int)i);
		put(&c, WATCH, buf,
		    (size_t)snprintf(buf, sizeof(buf), "/bench/other/%ld%ctoken", i, 0) + 1);
		wait_for(&c, 1);
		free(c.in);
		free(c.out);
	}
}

static void setup_matching(struct run *r)
{
	setup_devices(r);
	for (int i = 1; i < r->nr_clients; i++) {
		put(&r->clients[i], WATCH, "/bench/0\0token", sizeof("/bench/0\0token"));
		wait_for(&r->clients[i], 1);
	}
}

static void setup_introduce(struct run *r)
{
	setup_devices(r);
	for (long i = 1; i <= r->arg; i++) {
		char buf[64];
		int n = snprintf(buf, sizeof(buf), "%ld%c1%c1%c", i, 0, 0, 0);

		put(&r->control, INTRODUCE, buf, (size_t)n);
		if (i % BATCH == 0)
			wait_for(&r->control, BATCH);
	}
	wait_for(&r->control, (uint64_t)(r->arg % BATCH));
}

/* --- what clients do --- */

static void next_read(struct run *r, struct client *c)
{
	put_path(c, READ, "/bench", c->nr, (long)(c->seq & 15), NULL);
}

static void next_write(struct run *r, struct client *c)
{
	put_path(c, WRITE, "/bench", c->nr, (long)(c->seq & 15), "another");
}

static void next_half(struct run *r, struct client *c)
{
	if (c->seq & 1)
		next_read(r, c);
	else
		next_write(r, c);
}

static void next_90_10(struct run *r, struct client *c)
{
	if (rnd(c, 10))
		put_path(c, READ, "/bench", rnd(c, (uint32_t)r->nr_clients), rnd(c, 16), NULL);
	else
		next_write(r, c);
}

/* only the first client works, the others just watch it */
static void next_writer(struct run *r, struct client *c)
{
	if (c->nr == 0)
		next_write(r, c);
}

/* a node of its own, made and removed again */
static void next_one_directory(struct run *r, struct client *c)
{
	if (c->seq & 1)
		put_path(c, RM, "/bench/dir/n", c->nr, -1, NULL);
	else
		put_path(c, WRITE, "/bench/dir/n", c->nr, -1, "value");
}

/* three of four look, the others write, make or remove */
static void next_flat(struct run *r, struct client *c)
{
	const uint64_t seq = c->seq;

	if (seq % 4)
		put_path(c, READ, "/bench/flat", rnd(c, (uint32_t)r->arg), -1, NULL);
	else if (seq % 16 == 4)
		put_path(c, WRITE, "/bench/flat/new", c->nr, -1, "value");
	else if (seq % 16 == 12)
		put_path(c, RM, "/bench/flat/new", c->nr, -1, NULL);
	else
		put_path(c, WRITE, "/bench/flat", rnd(c, (uint32_t)r->arg), -1, "other");
}

static void next_start(struct run *r, struct client *c)
{
	c->step = 0;
	put(c, START, "", 1);
}

static bool is_again(const struct header *h, const char *data)
{
	return h->type == ERROR && h->len == 7 && !memcmp(data, "EAGAIN", 7);
}

static void count_end(struct run *r, struct client *c, const struct header *h, const char *data)
{
	if (h->type != ERROR)
		r->done++;
	else if (is_again(h, data))
		r->lost++;
	else
		die("end of a transaction: %.*s", (int)h->len, data);
	next_start(r, c);
}

/* start, read, write, end: each waits for the answer, as libxenstore's callers do */
static void answer_txn(struct run *r, struct client *c, const struct header *h, const char *data)
{
	if (h->type == ERROR && c->step != 3)
		die("in a transaction: %.*s", (int)h->len, data);
	switch (c->step++) {
	case 0:
		c->tx = (uint32_t)strtoul(data, NULL, 10);
		put_path(c, READ, "/bench", c->nr, 1, NULL);
		break;
	case 1:
		put_path(c, WRITE, "/bench", c->nr, 2, "value");
		break;
	case 2:
		put_end(c);
		break;
	default:
		count_end(r, c, h, data);
	}
}

/* start, make or remove a node of its own in the one directory, end */
static void answer_txn_directory(struct run *r, struct client *c, const struct header *h,
				 const char *data)
{
	if (h->type == ERROR && c->step != 2)
		die("in a transaction: %.*s", (int)h->len, data);
	switch (c->step++) {
	case 0:
		c->tx = (uint32_t)strtoul(data, NULL, 10);
		if (c->seq % 2)
			put_path(c, WRITE, "/bench/dir/n", c->nr, -1, "value");
		else
			put_path(c, RM, "/bench/dir/n", c->nr, -1, NULL);
		break;
	case 1:
		put_end(c);
		break;
	default:
		count_end(r, c, h, data);
	}
}

static const struct scenario scenarios[] = {
	{ "closed-read", 1, 1, setup_devices, next_read, NULL, "1 client, one READ at a time" },
	{ "closed-write", 1, 1, setup_devices, next_write, NULL, "1 client, one WRITE at a time" },
	{ "deep-read", 1, 32, setup_devices, next_read, NULL, "1 client, 32 READs under way" },
	{ "deep-write", 1, 32, setup_devices, next_write, NULL, "1 client, 32 WRITEs under way" },
	{ "many", 16, 1, setup_devices, next_half, NULL, "16 clients, READ and WRITE in turn" },
	{ "mix", 16, 8, setup_devices, next_90_10, NULL, "16 clients 8 deep, 90 % READ" },
	{ "txn", 8, 1, setup_devices, next_start, answer_txn, "8 clients, transactions" },
	{ "dir", 64, 8, setup_one_directory, next_one_directory, NULL,
	  "64 clients 8 deep make and remove nodes in one directory" },
	{ "dir-closed", 64, 1, setup_one_directory, next_one_directory, NULL,
	  "the same one at a time" },
	{ "dir-txn", 64, 1, setup_one_directory, next_start, answer_txn_directory,
	  "64 clients make nodes in one directory, in transactions" },
	{ "watchers", 1, 32, setup_watchers, next_write, NULL,
	  "one writer, ARG others watch something else" },
	{ "matching", 401, 1, setup_matching, next_writer, NULL,
	  "one writer, 400 others watch what it writes" },
	{ "flat", 1, 1, setup_flat, next_flat, NULL, "a directory of ARG nodes, one at a time" },
	{ "flat-deep", 1, 32, setup_flat, next_flat, NULL, "the same 32 deep" },
	{ "introduced", 16, 8, setup_introduce, next_90_10, NULL, "mix, ARG domains introduced" },
	{ "nothing", 1, 1, setup_none, next_read, NULL, NULL },
};

/* --- one run --- */

static void start_clients(struct run *r)
{
	r->epoll = epoll_create1(EPOLL_CLOEXEC);
	for (int i = 0; i < r->nr_clients; i++) {
		struct epoll_event e = { .events = EPOLLIN, .data.ptr = &r->clients[i] };

		if (epoll_ctl(r->epoll, EPOLL_CTL_ADD, r->clients[i].fd, &e) < 0)
			die("epoll: %s", strerror(errno));
		for (int j = 0; j < r->depth; j++)
			r->scenario->next(r, &r->clients[i]);
		flush(&r->clients[i]);
	}
}

static void step(struct run *r)
{
	struct epoll_event events[64];
	int n;

	if (r->nr_clients == 1) {
		serve(r, &r->clients[0]);
		return;
	}
	n = epoll_wait(r->epoll, events, 64, -1);
	for (int i = 0; i < n; i++)
		serve(r, events[i].data.ptr);
}

static void run_for(struct run *r, double seconds)
{
	const double end = now() + seconds;

	r->done = r->lost = r->events = 0;
	for (unsigned int i = 0; i & 15 || now() < end; i++)
		step(r);
}

static double cpu_seconds(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void raise_limits(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0)
		return;
	l.rlim_cur = l.rlim_max;
	setrlimit(RLIMIT_NOFILE, &l);
}

static void remove_all(struct run *r)
{
	put_path(&r->control, RM, "/bench", -1, -1, NULL);
	wait_for(&r->control, 1);
}

static int measure(struct run *r, double seconds)
{
	double begin, cpu;

	client_open(r, &r->control, 0);
	put_path(&r->control, MKDIR, "/bench", -1, -1, NULL);
	wait_for(&r->control, 1);
	r->clients = calloc((size_t)r->nr_clients, sizeof(*r->clients));
	for (int i = 0; i < r->nr_clients; i++)
		client_open(r, &r->clients[i], i);
	r->scenario->setup(r);
	start_clients(r);
	run_for(r, seconds / 5); /* to warm up */
	begin = now();
	cpu = cpu_seconds();
	run_for(r, seconds);
	seconds = now() - begin;
	printf("%.1f %.3f %" PRIu64 " %" PRIu64 "\n", (double)r->done / seconds,
	       (cpu_seconds() - cpu) / seconds, r->lost, r->events);
	remove_all(r);
	return 0;
}

/* Makes a tree of so many nodes and says how long its removal takes. */
static int measure_removal(struct run *r)
{
	double begin;

	client_open(r, &r->control, 0);
	make_nodes(r, "/bench", r->arg / 100, 100);
	begin = now();
	remove_all(r);
	printf("%.1f 0 0 0\n", (double)r->arg / (now() - begin));
	return 0;
}

/* A store as a host with many guests has it; stays. */
static int fill_store(struct run *r)
{
	client_open(r, &r->control, 0);
	for (long i = 0; i < r->arg / 100; i++) {
		char prefix[64];

		snprintf(prefix, sizeof(prefix), "/local/domain/%ld/device/vbd", i + 1);
		make_nodes(r, prefix, 6, 16);
	}
	printf("0 0 0 0\n");
	return 0;
}

/* Each of its nodes is written so many times, in an order that has nothing to do with where they are. */
#define CHURNS 5

static int churn_store(struct run *r)
{
	const long domains = r->arg / 100, nodes = domains * 96;
	long pending = 0;

	client_open(r, &r->control, 0);
	for (long i = 0; i < CHURNS * nodes; i++) {
		const long at = (long)((unsigned long)i * 7919 % (unsigned long)nodes);
		char prefix[64];

		snprintf(prefix, sizeof(prefix), "/local/domain/%ld/device/vbd", at / 96 + 1);
		put_path(&r->control, WRITE, prefix, at / 16 % 6, at % 16, "VALUE");
		if (++pending < BATCH)
			continue;
		wait_for(&r->control, (uint64_t)pending);
		pending = 0;
	}
	wait_for(&r->control, (uint64_t)pending);
	printf("0 0 0 0\n");
	return 0;
}

/* --- the least that any daemon needs --- */

static const char *echo_answer(const struct header *h, uint32_t *ret_len)
{
	*ret_len = h->type == READ ? 5 : h->type == START ? 2 : 3;
	return h->type == READ ? "value" : h->type == START ? "1" : "OK";
}

static void echo_serve(struct client *c)
{
	const ssize_t n = recv(c->fd, c->in + c->in_len, ROOM - c->in_len, 0);
	size_t at = 0;
	struct header h;

	if (n <= 0) {
		close(c->fd);
		return;
	}
	c->in_len += (size_t)n;
	while (c->in_len - at >= sizeof(h)) {
		struct header out;
		const char *data;

		memcpy(&h, c->in + at, sizeof(h));
		if (c->in_len - at < sizeof(h) + h.len)
			break;
		out = h;
		data = echo_answer(&h, &out.len);
		memcpy(c->out + c->out_len, &out, sizeof(out));
		memcpy(c->out + c->out_len + sizeof(out), data, out.len);
		c->out_len += sizeof(out) + out.len;
		at += sizeof(h) + h.len;
	}
	c->in_len -= at;
	memmove(c->in, c->in + at, c->in_len);
	flush(c);
}

static void echo_accept(int epoll, int listener)
{
	struct client *c = calloc(1, sizeof(*c));
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };

	if (!c)
		die("no memory");
	c->fd = accept(listener, NULL, NULL);
	c->in = malloc(ROOM);
	c->out = malloc(ROOM);
	if (c->fd < 0 || !c->in || !c->out || epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &e) < 0)
		die("cannot accept: %s", strerror(errno));
}

/* Answers everything at once, keeps nothing: what the sockets and the scheduler cost. */
static int echo(const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	const int listener = socket(AF_UNIX, SOCK_STREAM, 0), epoll = epoll_create1(0);
	struct epoll_event e = { .events = EPOLLIN };

	snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	if (bind(listener, (struct sockaddr *)&un, sizeof(un)) < 0 || listen(listener, 512) < 0 ||
	    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &e) < 0)
		die("cannot listen on %s: %s", path, strerror(errno));
	for (;;) {
		struct epoll_event events[64];
		const int n = epoll_wait(epoll, events, 64, -1);

		for (int i = 0; i < n; i++)
			if (events[i].data.ptr)
				echo_serve(events[i].data.ptr);
			else
				echo_accept(epoll, listener);
	}
}

static const struct scenario *find(const char *name)
{
	for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++)
		if (!strcmp(scenarios[i].name, name))
			return &scenarios[i];
	die("no scenario %s", name);
}

static void usage(FILE *out)
{
	fprintf(out, "Usage: store-load SOCKET SECONDS SCENARIO [ARG]\n"
		     "       store-load SOCKET 0 remove|fill|churn|echo NODES\n"
		     "Prints: operations per second, how busy this process was, transactions lost, "
		     "events.\n");
	for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++)
		if (scenarios[i].what)
			fprintf(out, "  %-14s %s\n", scenarios[i].name, scenarios[i].what);
}

int main(int argc, char **argv)
{
	struct run r = { 0 };

	if (argc > 1 && !strcmp(argv[1], "--help")) {
		usage(stdout);
		return 0;
	}
	if (argc < 4) {
		usage(stderr);
		return 2;
	}
	raise_limits();
	r.socket = argv[1];
	r.arg = argc > 4 ? atol(argv[4]) : 0;
	if (!strcmp(argv[3], "echo"))
		return echo(r.socket);
	if (!strcmp(argv[3], "remove"))
		return measure_removal(&r);
	if (!strcmp(argv[3], "fill"))
		return fill_store(&r);
	if (!strcmp(argv[3], "churn"))
		return churn_store(&r);
	r.scenario = find(argv[3]);
	r.nr_clients = r.scenario->nr_clients;
	r.depth = r.scenario->depth;
	return measure(&r, atof(argv[2]));
}
