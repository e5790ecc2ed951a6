/* SPDX-License-Identifier: MIT */
/*
 * xenhost top: what guests' disks and network cards do, by the figures that the back ends count (order stat).
 * Rates are between two looks; a device that the back end does not answer for in time is left out of one.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <xenhost/backend.h>
#include <xenhost/domain.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/options.h"
#include "common/service.h"
#include "tools/commands.h"
#include "tools/connect.h"
#include "tools/json.h"
#include "tools/pv_device.h"

#define BUCKETS 40 /* of latencies: bucket i is below 2^i us */
#define SHOWN_MAX 40

struct counters {
	uint64_t requests, events, in_bytes, out_bytes; /* in: to the guest */
	uint64_t latency[BUCKETS];
};

struct row {
	bool disk;
	unsigned int domid, devid;
	double at;
	struct counters now, per_second; /* latency of per_second: not divided */
};

struct table {
	struct row *rows;
	size_t nr;
	bool full; /* of memory */
};

struct top {
	const char *rundir;
	bool json;
	unsigned long long count; /* 0: until it is ended */
	xenhost_t *host;
	struct pv_device disks, cards;
	struct table *filling; /* by the callbacks of pv_list() */
};

static int set_rundir(void *data, const char *value)
{
	((struct top *)data)->rundir = value;
	return 0;
}

static int set_json(void *data, const char *value)
{
	((struct top *)data)->json = true;
	return 0;
}

static int set_count(void *data, const char *value)
{
	return options_number(value, 1, 1000000000, &((struct top *)data)->count);
}

static const struct option_spec specs[] = {
	{ "count", "N", "end after so many seconds (with --json: 1)", set_count },
	{ "json", NULL, "print JSON, for scripts", set_json },
	{ "rundir", "DIR", "run directory of xenhost-bridged (default: the system's)", set_rundir },
	{ NULL, NULL, NULL, NULL },
};

/* --- what back ends count --- */

static void parse_latency(const char *text, uint64_t *latency)
{
	unsigned long long below, n;
	int end;

	while (sscanf(text, "%llu:%llu%n", &below, &n, &end) == 2) {
		unsigned int i = 0;

		while (i < BUCKETS - 1 && 1ull << i < below)
			i++;
		latency[i] += n;
		text += end;
		if (*text++ != ',')
			break;
	}
}

static void take_pair(struct counters *c, const char *name, const char *value)
{
	const struct {
		const char *name;
		uint64_t *where;
		unsigned int times;
	} known[] = {
		{ "requests", &c->requests, 1 },       { "events", &c->events, 1 },
		{ "sectors-read", &c->in_bytes, 512 }, { "sectors-written", &c->out_bytes, 512 },
		{ "rx-bytes", &c->in_bytes, 1 },       { "tx-bytes", &c->out_bytes, 1 },
		{ "rx-frames", &c->requests, 1 },      { "tx-frames", &c->requests, 1 },
	};

	if (!strcmp(name, "latency-us"))
		parse_latency(value, c->latency);
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(name, known[i].name))
			*known[i].where += strtoull(value, NULL, 10) * known[i].times;
}

static struct counters parse_counters(char *text)
{
	struct counters c = { 0 };
	char *save, *pair;

	for (pair = strtok_r(text, " ", &save); pair; pair = strtok_r(NULL, " ", &save)) {
		char *value = strchr(pair, '=');

		if (!value)
			continue;
		*value++ = '\0';
		take_pair(&c, pair, value);
	}
	return c;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void add_row(struct table *t, const struct row *row)
{
	struct row *more = reallocarray(t->rows, t->nr + 1, sizeof(*more));

	if (!more) {
		t->full = true;
		return;
	}
	t->rows = more;
	t->rows[t->nr++] = *row;
}

static void on_device(struct pv_device *d, unsigned int state)
{
	_cleanup_free_ char *text = NULL;
	struct top *top = d->data;
	struct row row = { .disk = d == &top->disks, .domid = d->domid, .devid = d->devid };

	if (state != XENHOST_STATE_CONNECTED || pv_stat(d, &text) < 0)
		return;
	row.at = now();
	row.now = parse_counters(text);
	add_row(top->filling, &row);
}

static int look(struct top *top, struct table *t)
{
	*t = (struct table){ 0 };
	top->filling = t;
	pv_each(&top->disks, on_device);
	pv_each(&top->cards, on_device);
	return t->full ? -ENOMEM : 0;
}

/* --- rates --- */

static uint64_t per(uint64_t newer, uint64_t older, double seconds)
{
	/* a back end that was started again counts anew */
	return newer < older ? 0 : (uint64_t)((double)(newer - older) / seconds + 0.5);
}

static void rate_row(struct row *r, const struct row *o)
{
	const double seconds = r->at - o->at > 0 ? r->at - o->at : 1;

	r->per_second.requests = per(r->now.requests, o->now.requests, seconds);
	r->per_second.events = per(r->now.events, o->now.events, seconds);
	r->per_second.in_bytes = per(r->now.in_bytes, o->now.in_bytes, seconds);
	r->per_second.out_bytes = per(r->now.out_bytes, o->now.out_bytes, seconds);
	for (unsigned int i = 0; i < BUCKETS; i++)
		r->per_second.latency[i] = r->now.latency[i] < o->now.latency[i]
						   ? 0
						   : r->now.latency[i] - o->now.latency[i];
}

static void rate(struct table *t, const struct table *last)
{
	for (size_t i = 0; i < t->nr; i++)
		for (size_t k = 0; k < last->nr; k++)
			if (t->rows[i].disk == last->rows[k].disk &&
			    t->rows[i].domid == last->rows[k].domid &&
			    t->rows[i].devid == last->rows[k].devid)
				rate_row(&t->rows[i], &last->rows[k]);
}

static int busier(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->per_second.requests != y->per_second.requests)
		return x->per_second.requests < y->per_second.requests ? 1 : -1;
	if (x->domid != y->domid)
		return x->domid < y->domid ? -1 : 1;
	if (x->disk != y->disk)
		return x->disk ? -1 : 1;
	return x->devid < y->devid ? -1 : x->devid > y->devid;
}

/* below so many us that share of the requests was done, 0: there were none */
static uint64_t percentile(const uint64_t *latency, unsigned int percent)
{
	uint64_t all = 0, sum = 0;

	for (unsigned int i = 0; i < BUCKETS; i++)
		all += latency[i];
	for (unsigned int i = 0; i < BUCKETS && all; i++) {
		sum += latency[i];
		if (sum * 100 >= all * percent)
			return 1ull << i;
	}
	return 0;
}

/* --- showing them --- */

static const char *name_of(struct top *top, unsigned int domid)
{
	static struct xenhost_domain_info info;

	if (xenhost_domain_info(top->host, (uint16_t)domid, &info) < 0)
		snprintf(info.name, sizeof(info.name), "%u", domid);
	return info.name;
}

static void latency_text(uint64_t us, char *buf, size_t size)
{
	if (us)
		snprintf(buf, size, "<%" PRIu64, us);
	else
		snprintf(buf, size, "-");
}

static void print_text(struct top *top, const struct table *t)
{
	if (isatty(STDOUT_FILENO))
		printf("\033[H\033[2J");
	printf("%-20s %-4s %8s %10s %10s %10s %10s %9s %9s\n", "guest", "kind", "device",
	       "requests/s", "in KiB/s", "out KiB/s", "events/s", "median us", "99% us");
	for (size_t i = 0; i < t->nr && i < SHOWN_MAX; i++) {
		const struct row *r = &t->rows[i];
		const struct counters *c = &r->per_second;
		char median[24], most[24];

		latency_text(percentile(c->latency, 50), median, sizeof(median));
		latency_text(percentile(c->latency, 99), most, sizeof(most));
		printf("%-20.20s %-4s %8u %10" PRIu64 " %10" PRIu64 " %10" PRIu64 " %10" PRIu64
		       " %9s %9s\n",
		       name_of(top, r->domid), r->disk ? "disk" : "net", r->devid, c->requests,
		       c->in_bytes >> 10, c->out_bytes >> 10, c->events, median, most);
	}
	if (t->nr == 0)
		printf("no disk or network card is served\n");
	if (t->nr > SHOWN_MAX)
		printf("and %zu more\n", t->nr - SHOWN_MAX);
}

static void print_json(struct top *top, const struct table *t)
{
	printf("[");
	for (size_t i = 0; i < t->nr; i++) {
		const struct row *r = &t->rows[i];
		const struct counters *c = &r->per_second;

		printf("%s{\"domid\": %u, \"name\": ", i ? ",\n " : "", r->domid);
		json_string(stdout, name_of(top, r->domid));
		printf(", \"kind\": \"%s\", \"devid\": %u, \"requests\": %" PRIu64
		       ", \"requests_per_second\": %" PRIu64 ", \"in_bytes_per_second\": %" PRIu64
		       ", \"out_bytes_per_second\": %" PRIu64 ", \"events_per_second\": %" PRIu64
		       ", \"median_us_below\": %" PRIu64 ", \"p99_us_below\": %" PRIu64 "}",
		       r->disk ? "disk" : "net", r->devid, r->now.requests, c->requests,
		       c->in_bytes, c->out_bytes, c->events, percentile(c->latency, 50),
		       percentile(c->latency, 99));
	}
	printf("]\n");
}

static int show(struct top *top)
{
	struct table last, t;
	int r = look(top, &last);

	for (unsigned long long i = 0; r == 0 && (!top->count || i < top->count); i++) {
		sleep(1);
		r = look(top, &t);
		rate(&t, &last);
		free(last.rows);
		if (t.nr)
			qsort(t.rows, t.nr, sizeof(*t.rows), busier);
		if (r == 0 && top->json)
			print_json(top, &t);
		else if (r == 0)
			print_text(top, &t);
		if (fflush(stdout) != 0)
			r = -EPIPE;
		last = t;
	}
	free(last.rows);
	if (r < 0 && r != -EPIPE)
		log_error("cannot look at the devices: %s", strerror(-r));
	return r == -EPIPE ? 0 : r;
}

int cmd_top(int argc, char **argv)
{
	static const struct options options = {
		.program = "xenhost top",
		.purpose = "Shows what guests' disks and network cards do, once a second.",
		.page = "xenhost-top(1)",
	};
	struct top top = { 0 };
	const struct option_table table = { specs, &top };
	int i = options_parse(&options, argc, argv, &table, 1), r;

	if (i <= 0)
		return i < 0 ? EXIT_USAGE : 0;
	if (top.json && !top.count)
		top.count = 1;
	r = connect_host(top.rundir, &top.host);
	if (r < 0)
		return 1;
	top.disks = (struct pv_device){ .class = "vbd",
					.what = "disk",
					.program = "xenhost-blkbackd",
					.timeout_s = 30,
					.backend = service_builtin[SERVICE_BLKBACK].domid,
					.host = top.host,
					.data = &top };
	top.cards = (struct pv_device){ .class = "vif",
					.what = "card",
					.program = "xenhost-netbackd",
					.timeout_s = 30,
					.backend = service_builtin[SERVICE_NETBACK].domid,
					.host = top.host,
					.data = &top };
	r = show(&top);
	xenhost_close(top.host);
	return r < 0 ? 1 : 0;
}
