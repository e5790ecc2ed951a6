/* SPDX-License-Identifier: MIT */
/* The Xenstore client against our own xenstored, over its sockets. */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xenhost/store.h>

#include "tests/support/daemon.h"
#include "tests/support/tempdir.h"
#include "tests/support/unit.h"

static char rundir[TEMPDIR_SIZE];
static struct test_daemon xenstored;
static xenhost_t *host, *other;

static xenhost_t *open_host(void)
{
	char uri[128];
	xenhost_t *h;

	snprintf(uri, sizeof(uri), "fake:%s/xenstored.sock", rundir);
	ck_assert_int_eq(xenhost_open(uri, 0, &h), 0);
	return h;
}

static void setup(void)
{
	static const char *const args[] = { "--host", "none", NULL };

	tempdir_make(rundir);
	test_daemon_start(&xenstored, TOP_BUILDDIR "/xenstored/xenhost-xenstored", rundir, args);
	host = open_host();
	other = open_host();
}

static void teardown(void)
{
	xenhost_close(other);
	xenhost_close(host);
	test_daemon_end(&xenstored);
	tempdir_remove(rundir);
}

static void assert_value(xenhost_t *h, xenhost_txn_t txn, const char *path, const char *want)
{
	char *value;
	size_t len;

	ck_assert_int_eq(xenhost_store_read(h, txn, path, &value, &len), 0);
	ck_assert_uint_eq(len, strlen(want));
	ck_assert_str_eq(value, want);
	free(value);
}

START_TEST(values)
{
	static char big[4097];
	char *value;
	size_t len;
	uint64_t v;

	ck_assert_int_eq(xenhost_store_write(host, 0, "/t/a", "b\0c", 3), 0);
	ck_assert_int_eq(xenhost_store_read(other, 0, "/t/a", &value, &len), 0);
	ck_assert_uint_eq(len, 3);
	ck_assert_mem_eq(value, "b\0c", 4);
	free(value);
	ck_assert_int_eq(xenhost_store_read(host, 0, "/t/none", &value, &len), -ENOENT);
	ck_assert_int_eq(xenhost_store_read(host, 0, "/bad//path", &value, &len), -EINVAL);
	ck_assert_int_eq(xenhost_store_printf(host, 0, "/t/n", "%d", 42), 0);
	ck_assert_int_eq(xenhost_store_read_u64(host, 0, "/t/n", 100, &v), 0);
	ck_assert_uint_eq(v, 42);
	ck_assert_int_eq(xenhost_store_write(host, 0, "/t/big", big, 4096 - 7), 0);
	ck_assert_int_eq(xenhost_store_read(host, 0, "/t/big", &value, &len), 0);
	ck_assert_uint_eq(len, 4096 - 7);
	free(value);
	ck_assert_int_eq(xenhost_store_write(host, 0, "/t/big", big, 4096 - 6), -E2BIG);
	/* relative to our home */
	ck_assert_int_eq(xenhost_store_printf(host, 0, "mine", "x"), 0);
	assert_value(host, 0, "/local/domain/0/mine", "x");
	ck_assert_int_eq(xenhost_store_rm(host, 0, "/t"), 0);
	ck_assert_int_eq(xenhost_store_read(host, 0, "/t/a", &value, &len), -ENOENT);
}
END_TEST

/* more names than one answer holds */
START_TEST(large_directory)
{
	enum { N = 700 };
	bool seen[N] = { false };
	char path[64], **names;
	unsigned int i;

	ck_assert_int_eq(xenhost_store_mkdir(host, 0, "/d"), 0);
	ck_assert_int_eq(xenhost_store_list(host, 0, "/d", &names), 0);
	ck_assert_ptr_null(names[0]);
	free(names);
	for (i = 0; i < N; i++) {
		snprintf(path, sizeof(path), "/d/a-rather-long-name-%u", i);
		ck_assert_int_eq(xenhost_store_mkdir(host, 0, path), 0);
	}
	ck_assert_int_eq(xenhost_store_list(host, 0, "/d", &names), N);
	for (char **name = names; *name; name++) {
		ck_assert_int_eq(sscanf(*name, "a-rather-long-name-%u", &i), 1);
		ck_assert(i < N && !seen[i]);
		seen[i] = true;
	}
	free(names);
	ck_assert_int_eq(xenhost_store_list(host, 0, "/none", &names), -ENOENT);
}
END_TEST

START_TEST(permissions)
{
	const struct xenhost_perm set[] = { { 'n', 32000 }, { 'r', 32001 }, { 'b', 0 } };
	struct xenhost_perm get[2] = { { 0 } };

	ck_assert_int_eq(xenhost_store_mkdir(host, 0, "/p"), 0);
	ck_assert_int_eq(xenhost_store_set_perms(host, 0, "/p", set, 3), 0);
	ck_assert_int_eq(xenhost_store_get_perms(host, 0, "/p", NULL, 0), 3);
	ck_assert_int_eq(xenhost_store_get_perms(host, 0, "/p", get, 2), 3);
	ck_assert_int_eq(get[0].letter, 'n');
	ck_assert_uint_eq(get[0].domid, 32000);
	ck_assert_int_eq(get[1].letter, 'r');
	ck_assert_uint_eq(get[1].domid, 32001);
}
END_TEST

struct race {
	int runs;
	int lose; /* so many times */
};

static int increment(xenhost_t *h, xenhost_txn_t txn, void *data)
{
	struct race *race = data;
	uint64_t v;
	int r;

	r = xenhost_store_read_u64(h, txn, "/x/n", 1000, &v);
	if (r < 0)
		return r;
	/* somebody else is faster */
	if (race->runs++ < race->lose)
		ck_assert_int_eq(xenhost_store_printf(other, 0, "/x/n", "%d", 10 * race->runs), 0);
	return xenhost_store_printf(h, txn, "/x/n", "%d", (int)v + 1);
}

START_TEST(transactions)
{
	struct race race = { 0, 2 };
	xenhost_txn_t txn;

	ck_assert_int_eq(xenhost_store_printf(host, 0, "/x/n", "1"), 0);
	ck_assert_int_eq(xenhost_txn_run(host, increment, &race), 0);
	ck_assert_int_eq(race.runs, 3);
	assert_value(host, 0, "/x/n", "21");
	/* not seen outside until committed; nothing is left of a dropped one */
	ck_assert_int_eq(xenhost_txn_begin(host, &txn), 0);
	ck_assert_int_eq(xenhost_store_printf(host, txn, "/x/n", "99"), 0);
	assert_value(host, txn, "/x/n", "99");
	assert_value(other, 0, "/x/n", "21");
	ck_assert_int_eq(xenhost_txn_end(host, txn, 0), 0);
	assert_value(host, 0, "/x/n", "21");
	ck_assert_int_eq(xenhost_txn_end(host, txn, 1), -ENOENT);
}
END_TEST

struct seen {
	int n;
	char last[64];
};

static void see(xenhost_t *h, const char *path, void *data)
{
	struct seen *seen = data;

	seen->n++;
	snprintf(seen->last, sizeof(seen->last), "%s", path);
}

static void process_one(xenhost_t *h)
{
	struct pollfd p = { .fd = xenhost_get_fd(h), .events = POLLIN };
	int r;

	do {
		ck_assert_int_eq(poll(&p, 1, 10000), 1);
		r = xenhost_process(h);
		ck_assert_int_ge(r, 0);
	} while (r == 0);
	ck_assert_int_eq(r, 1);
}

START_TEST(watches)
{
	struct seen seen = { 0 }, relative = { 0 };
	xenhost_watch_t *watch, *watch2;
	char *value;

	ck_assert_int_eq(xenhost_watch(host, "/w", see, &seen, &watch), 0);
	process_one(host);
	ck_assert_str_eq(seen.last, "/w");
	ck_assert_int_eq(xenhost_store_printf(other, 0, "/w/a/b", "1"), 0);
	process_one(host);
	ck_assert_str_eq(seen.last, "/w/a/b");
	/* a hundred writes while we are busy otherwise: one event */
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(xenhost_store_printf(other, 0, "/w/c", "%d", i), 0);
	ck_assert_int_eq(xenhost_store_read(host, 0, "/w/c", &value, NULL), 0);
	ck_assert_str_eq(value, "99");
	free(value);
	process_one(host);
	ck_assert_int_eq(xenhost_process(host), 0);
	ck_assert_int_eq(seen.n, 3);

	ck_assert_int_eq(xenhost_watch(host, "rel", see, &relative, &watch2), 0);
	process_one(host);
	ck_assert_str_eq(relative.last, "rel");
	ck_assert_int_eq(xenhost_store_printf(other, 0, "/local/domain/0/rel/x", "1"), 0);
	process_one(host);
	ck_assert_str_eq(relative.last, "rel/x");

	xenhost_unwatch(watch);
	ck_assert_int_eq(xenhost_store_printf(other, 0, "/w/a", "2"), 0);
	ck_assert_int_eq(xenhost_store_read(host, 0, "/w/a", &value, NULL), 0);
	free(value);
	ck_assert_int_eq(xenhost_process(host), 0);
	ck_assert_int_eq(seen.n, 3);
	xenhost_unwatch(watch2);
}
END_TEST

/* --- the daemon dies and is started again --- */

static void start_daemon(void)
{
	static const char *const args[] = { "--host", "none", NULL };

	test_daemon_start(&xenstored, TOP_BUILDDIR "/xenstored/xenhost-xenstored", rundir, args);
}

/* processes until a call gets through again; how many callbacks that took does not matter */
static void reconnect(xenhost_t *h)
{
	struct pollfd p = { .fd = xenhost_get_fd(h), .events = POLLIN };
	char *value = NULL;

	while (xenhost_store_read(h, 0, "/", &value, NULL) < 0) {
		ck_assert_int_eq(poll(&p, 1, 10000), 1);
		ck_assert_int_ge(xenhost_process(h), 0);
	}
	free(value);
}

START_TEST(daemon_killed)
{
	struct pollfd p = { .fd = xenhost_get_fd(host), .events = POLLIN };
	char *value;

	ck_assert_int_eq(xenhost_store_printf(host, 0, "/x", "1"), 0);
	assert_value(other, 0, "/x", "1");
	test_daemon_kill(&xenstored);
	/* nobody there: calls fail at once, the loop goes on and is not lost */
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(poll(&p, 1, 10000), 1);
		ck_assert_int_eq(xenhost_process(host), 0);
		ck_assert_int_eq(xenhost_store_read(host, 0, "/x", &value, NULL), -ENOTCONN);
	}
	start_daemon();
	reconnect(host);
	ck_assert_int_eq(xenhost_store_printf(host, 0, "/y", "1"), 0);
	assert_value(host, 0, "/y", "1");
	/* a handle that learns of it by a call */
	ck_assert_int_eq(xenhost_store_read(other, 0, "/y", &value, NULL), -ECONNRESET);
	reconnect(other);
	assert_value(other, 0, "/y", "1");
}
END_TEST

START_TEST(watches_outlive_it)
{
	enum { N = 600 }; /* more than are set again at once */
	static struct seen seen[N];
	xenhost_watch_t *watch[N], *late;
	struct seen seen_late = { 0 };
	char path[32];

	for (int i = 0; i < N; i++) {
		snprintf(path, sizeof(path), "/w/%d", i);
		ck_assert_int_eq(xenhost_watch(host, path, see, &seen[i], &watch[i]), 0);
	}
	while (xenhost_process(host) > 0)
		;
	memset(seen, 0, sizeof(seen));
	test_daemon_kill(&xenstored);
	ck_assert_int_eq(xenhost_watch(host, "/late", see, &seen_late, &late), -ECONNRESET);
	ck_assert_int_eq(xenhost_watch(host, "/late", see, &seen_late, &late), -ENOTCONN);
	watch[1] = xenhost_unwatch(watch[1]);
	start_daemon();
	reconnect(host);
	/* in the middle of it: one more, one less */
	ck_assert_int_eq(xenhost_watch(host, "/late", see, &seen_late, &late), 0);
	watch[2] = xenhost_unwatch(watch[2]);
	while (seen[N - 1].n == 0 || seen_late.n == 0) {
		struct pollfd p = { .fd = xenhost_get_fd(host), .events = POLLIN };

		ck_assert_int_eq(poll(&p, 1, 10000), 1);
		ck_assert_int_ge(xenhost_process(host), 0);
	}
	ck_assert_int_eq(xenhost_process(host), 0);
	for (int i = 0; i < N; i++) {
		ck_assert_int_eq(seen[i].n, i != 1 && (i != 2 || seen[i].n));
		seen[i].n = 0;
	}
	ck_assert_int_eq(seen_late.n, 1);
	/* and they are there for changes, each once */
	ck_assert_int_eq(xenhost_store_printf(host, 0, "/w/7/x", "1"), 0);
	process_one(host);
	ck_assert_str_eq(seen[7].last, "/w/7/x");
	ck_assert_int_eq(xenhost_store_printf(host, 0, "/w/2", "1"), 0);
	ck_assert_int_eq(xenhost_process(host), 0);
	for (int i = 0; i < N; i++)
		xenhost_unwatch(watch[i]);
	xenhost_unwatch(late);
}
END_TEST

/* an event that waited when the daemon died is not lost, and not reported twice */
START_TEST(waiting_events)
{
	struct seen seen = { 0 };
	xenhost_watch_t *watch;
	char *value;

	ck_assert_int_eq(xenhost_watch(host, "/w", see, &seen, &watch), 0);
	/* with the answer the event has come, too, but we do not process */
	ck_assert_int_eq(xenhost_store_read(host, 0, "/", &value, NULL), 0);
	free(value);
	test_daemon_kill(&xenstored);
	ck_assert_int_eq(xenhost_store_read(host, 0, "/", &value, NULL), -ECONNRESET);
	ck_assert_int_eq(xenhost_process(host), 0);
	ck_assert_int_eq(seen.n, 0);
	start_daemon();
	reconnect(host);
	if (seen.n == 0)
		process_one(host);
	/* nothing can be on its way behind this answer */
	assert_value(host, 0, "/local", "");
	ck_assert_int_eq(xenhost_process(host), 0);
	ck_assert_int_eq(seen.n, 1);
	xenhost_unwatch(watch);
}
END_TEST

static int kill_within(xenhost_t *h, xenhost_txn_t txn, void *data)
{
	int *runs = data;

	if ((*runs)++ == 0)
		test_daemon_kill(&xenstored);
	return xenhost_store_printf(h, txn, "/t", "run");
}

START_TEST(transactions_are_lost)
{
	xenhost_txn_t before, after, never;
	char *value;
	int runs = 0;

	ck_assert_int_eq(xenhost_txn_begin(host, &before), 0);
	ck_assert_int_eq(xenhost_txn_begin(host, &never), 0);
	ck_assert_int_eq(xenhost_store_printf(host, before, "/t", "before"), 0);
	test_daemon_kill(&xenstored);
	ck_assert_int_eq(xenhost_store_printf(host, before, "/t", "before"), -ECONNRESET);
	ck_assert_int_eq(xenhost_store_printf(host, before, "/t", "before"), -EAGAIN);
	ck_assert_int_eq(xenhost_txn_begin(host, &after), -ENOTCONN);
	start_daemon();
	reconnect(host);
	/* the new daemon counts from the beginning: the old number must not mean the new transaction */
	ck_assert_int_eq(xenhost_txn_begin(host, &after), 0);
	ck_assert_int_eq(xenhost_store_printf(host, before, "/t", "before"), -EAGAIN);
	ck_assert_int_eq(xenhost_txn_end(host, before, 1), -EAGAIN);
	ck_assert_int_eq(xenhost_txn_end(host, before, 1), -ENOENT);
	ck_assert_int_eq(xenhost_txn_end(host, never, 0), 0);
	ck_assert_int_eq(xenhost_store_printf(host, after, "/t", "after"), 0);
	ck_assert_int_eq(xenhost_txn_end(host, after, 1), 0);
	assert_value(host, 0, "/t", "after");

	ck_assert_int_eq(xenhost_txn_run(host, kill_within, &runs), -ENOTCONN);
	ck_assert_int_eq(runs, 1);
	start_daemon();
	reconnect(host);
	ck_assert_int_eq(xenhost_store_read(host, 0, "/t", &value, NULL), -ENOENT);
	ck_assert_int_eq(xenhost_txn_run(host, kill_within, &runs), 0);
	assert_value(host, 0, "/t", "run");
}
END_TEST

UNIT_MAIN_WITH("store-daemon", setup, teardown, values, large_directory, permissions, transactions,
	       watches, daemon_killed, watches_outlive_it, waiting_events, transactions_are_lost)
