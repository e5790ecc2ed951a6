/* SPDX-License-Identifier: MIT */
/* xenhost store top: who uses the Xenstore, and how much, once a second. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "tools/json.h"
#include "tools/store_control.h"
#include "tools/store_verbs.h"

#define SHOWN_MAX 40 /* lines for people; JSON has all */

/* one connection, as the daemon counts */
struct row {
	uint64_t number;
	unsigned int domid;
	int pid; /* 0: a guest's ring */
	uint64_t requests, events, unread, watches, transactions;
	double requests_rate, events_rate;
};

struct table {
	struct row *rows;
	size_t nr;
	double at; /* seconds */
};

static void table_fini(struct table *t)
{
	free(t->rows);
	*t = (struct table){ 0 };
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int parse_row(const char *line, struct row *r)
{
	return sscanf(line,
		      "%" SCNu64 " %u %d %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
		      &r->number, &r->domid, &r->pid, &r->requests, &r->events, &r->unread,
		      &r->watches, &r->transactions) == 8
		       ? 0
		       : -EPROTO;
}

static int add_lines(struct table *t, char *text)
{
	char *save, *line;

	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		struct row *rows = realloc(t->rows, (t->nr + 1) * sizeof(*rows));

		if (!rows)
			return -ENOMEM;
		t->rows = rows;
		rows[t->nr] = (struct row){ 0 };
		if (parse_row(line, &rows[t->nr]) < 0) {
			log_error("xenhost-xenstored answers in a way that is not known: %s", line);
			return -EPROTO;
		}
		t->nr++;
	}
	return 0;
}

/* All connections; the daemon gives as many at once as fit into a message. */
static int look(struct control *c, struct table *t)
{
	uint64_t behind = 0;
	int r;

	t->at = now();
	for (;;) {
		const size_t before = t->nr;
		char words[40];

		snprintf(words, sizeof(words), "top %" PRIu64, behind);
		r = control_words(c, words);
		if (r == -EREMOTEIO)
			log_error("xenhost-xenstored does not know top: %s", c->answer);
		if (r < 0)
			return r;
		r = add_lines(t, c->answer);
		if (r < 0 || t->nr == before)
			return r;
		behind = t->rows[t->nr - 1].number;
	}
}

/* Both are sorted by number. */
static void rate(struct table *t, const struct table *last)
{
	const double seconds = t->at - last->at;
	size_t i = 0;

	for (size_t n = 0; n < t->nr; n++) {
		struct row *r = &t->rows[n];
		const struct row *o = NULL;

		while (i < last->nr && last->rows[i].number < r->number)
			i++;
		if (i < last->nr && last->rows[i].number == r->number)
			o = &last->rows[i];
		r->requests_rate = (double)(r->requests - (o ? o->requests : 0)) / seconds;
		r->events_rate = (double)(r->events - (o ? o->events : 0)) / seconds;
	}
}

static int busier(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	const double dx = x->requests_rate + x->events_rate, dy = y->requests_rate + y->events_rate;

	if (dx != dy)
		return dx < dy ? 1 : -1;
	return x->number < y->number ? -1 : x->number > y->number;
}

/* the program's name, which any program chooses for itself: only what can be printed */
static void who(const struct row *r, char *buf, size_t size)
{
	char path[40];
	FILE *f;

	snprintf(buf, size, "ring");
	if (!r->pid)
		return;
	snprintf(buf, size, "?");
	snprintf(path, sizeof(path), "/proc/%d/comm", r->pid);
	f = fopen(path, "re");
	if (!f)
		return;
	if (fgets(buf, (int)size, f))
		buf[strcspn(buf, "\n")] = 0;
	fclose(f);
	for (; *buf; buf++)
		if ((unsigned char)*buf < ' ' || (unsigned char)*buf > '~')
			*buf = '?';
}

static void print_text(const struct table *t)
{
	double requests = 0, events = 0;

	for (size_t i = 0; i < t->nr; i++) {
		requests += t->rows[i].requests_rate;
		events += t->rows[i].events_rate;
	}
	if (isatty(STDOUT_FILENO))
		printf("\033[H\033[2J");
	printf("%zu connections, %.0f requests/s, %.0f events/s\n", t->nr, requests, events);
	printf("%6s %-16s %8s %12s %10s %9s %8s %5s\n", "domain", "client", "process", "requests/s",
	       "events/s", "unread", "watches", "txns");
	for (size_t i = 0; i < t->nr && i < SHOWN_MAX; i++) {
		const struct row *r = &t->rows[i];
		char name[32];

		who(r, name, sizeof(name));
		printf("%6u %-16s %8d %12.0f %10.0f %9" PRIu64 " %8" PRIu64 " %5" PRIu64 "\n",
		       r->domid, name, r->pid, r->requests_rate, r->events_rate, r->unread,
		       r->watches, r->transactions);
	}
	if (t->nr > SHOWN_MAX)
		printf("and %zu more\n", t->nr - SHOWN_MAX);
}

static void print_json(const struct table *t)
{
	printf("[");
	for (size_t i = 0; i < t->nr; i++) {
		const struct row *r = &t->rows[i];
		char name[32];

		who(r, name, sizeof(name));
		printf("%s{\"connection\": %" PRIu64
		       ", \"domain\": %u, \"process\": %d, \"client\": ",
		       i ? ", " : "", r->number, r->domid, r->pid);
		json_string(stdout, name);
		printf(", \"requests\": %" PRIu64
		       ", \"requests_per_second\": %.1f, \"events\": %" PRIu64
		       ", \"events_per_second\": %.1f, \"unread_bytes\": %" PRIu64
		       ", \"watches\": %" PRIu64 ", \"transactions\": %" PRIu64 "}",
		       r->requests, r->requests_rate, r->events, r->events_rate, r->unread,
		       r->watches, r->transactions);
	}
	printf("]\n");
}

int store_top(const char *rundir, unsigned long long count, bool json)
{
	_cleanup_(control_close) struct control c = { .fd = -1 };
	_cleanup_(table_fini) struct table last = { 0 };
	int r = control_open(rundir, &c);

	if (r == 0)
		r = look(&c, &last);
	for (unsigned long long i = 0; r == 0 && (!count || i < count); i++) {
		struct table t = { 0 }, sorted;

		sleep(1);
		r = look(&c, &t);
		if (r < 0) {
			table_fini(&t);
			break;
		}
		rate(&t, &last);
		table_fini(&last);
		last = t;
		sorted = (struct table){ malloc(t.nr * sizeof(*t.rows)), t.nr, t.at };
		if (!sorted.rows)
			return -ENOMEM;
		memcpy(sorted.rows, t.rows, t.nr * sizeof(*t.rows));
		qsort(sorted.rows, sorted.nr, sizeof(*sorted.rows), busier);
		if (json)
			print_json(&sorted);
		else
			print_text(&sorted);
		fflush(stdout);
		table_fini(&sorted);
	}
	return r;
}
