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

START_TEST(daemon_ends)
{
	static const char *const args[] = { "--host", "none", NULL };
	struct pollfd p = { .fd = xenhost_get_fd(host), .events = POLLIN };

	ck_assert_int_eq(xenhost_store_printf(host, 0, "/x", "1"), 0);
	test_daemon_end(&xenstored);
	ck_assert_int_eq(poll(&p, 1, 10000), 1);
	ck_assert_int_eq(xenhost_process(host), -ECONNRESET);
	ck_assert_int_eq(xenhost_store_printf(host, 0, "/x", "1"), -ENOTCONN);
	/* for teardown */
	test_daemon_start(&xenstored, TOP_BUILDDIR "/xenstored/xenhost-xenstored", rundir, args);
}
END_TEST

UNIT_MAIN_WITH("store-daemon", setup, teardown, values, large_directory, permissions, transactions,
	       watches, daemon_ends)
