/* SPDX-License-Identifier: MIT */
/*
 * What a program does with Xen's own client library, all of its calls that need no guest: values, lists,
 * permissions, watches read by a thread of the library, transactions that lose and win, several threads on
 * one handle. Compiled and run by xenstored-libxenstore.sh against any daemon; the first that is wrong ends it.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xenstore.h>

#define THREADS 4
#define ROUNDS 200

#define CHECK(x)                                                                    \
	do {                                                                        \
		if (!(x)) {                                                         \
			fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #x, \
				strerror(errno));                                   \
			exit(1);                                                    \
		}                                                                   \
	} while (0)

static struct xs_handle *xs;

static bool put(xs_transaction_t t, const char *path, const char *value)
{
	return xs_write(xs, t, path, value, (unsigned int)strlen(value));
}

static bool is(xs_transaction_t t, const char *path, const char *value)
{
	unsigned int len = 99;
	char *got = xs_read(xs, t, path, &len);
	const bool same = got && len == strlen(value) && !memcmp(got, value, len);

	free(got);
	return same;
}

static void values(void)
{
	unsigned int nr;
	char **names, *home;

	CHECK(put(XBT_NULL, "/l/a", "one"));
	CHECK(is(XBT_NULL, "/l/a", "one"));
	CHECK(put(XBT_NULL, "/l/a", ""));
	CHECK(is(XBT_NULL, "/l/a", ""));
	CHECK(!xs_read(xs, XBT_NULL, "/l/none", &nr) && errno == ENOENT);
	CHECK(!put(XBT_NULL, "/l/a b", "x") && errno == EINVAL);
	CHECK(xs_mkdir(xs, XBT_NULL, "/l/dir/below"));
	names = xs_directory(xs, XBT_NULL, "/l", &nr);
	CHECK(names && nr == 2 && strcmp(names[0], names[1]));
	free(names);
	CHECK(xs_rm(xs, XBT_NULL, "/l/dir"));
	CHECK(!xs_directory(xs, XBT_NULL, "/l/dir", &nr) && errno == ENOENT);
	home = xs_get_domain_path(xs, 7);
	CHECK(home && !strcmp(home, "/local/domain/7"));
	free(home);
	CHECK(!xs_is_domain_introduced(xs, 7));
}

static void permissions(void)
{
	struct xs_permissions set[2] = { { 0, XS_PERM_NONE }, { 0, XS_PERM_READ } }, *got;
	unsigned int nr;

	CHECK(put(XBT_NULL, "/l/p", "x"));
	CHECK(xs_set_permissions(xs, XBT_NULL, "/l/p", set, 2));
	got = xs_get_permissions(xs, XBT_NULL, "/l/p", &nr);
	CHECK(got && nr == 2 && got[0].id == 0 && got[0].perms == XS_PERM_NONE &&
	      got[1].perms == XS_PERM_READ);
	free(got);
}

/* more names than one answer can hold */
static void large_directory(void)
{
	char path[64], **names;
	unsigned int nr;

	for (int i = 0; i < 300; i++) {
		snprintf(path, sizeof(path), "/l/large/a-name-of-some-length-%d", i);
		CHECK(put(XBT_NULL, path, ""));
	}
	names = xs_directory(xs, XBT_NULL, "/l/large", &nr);
	CHECK(names && nr == 300);
	free(names);
	CHECK(xs_rm(xs, XBT_NULL, "/l/large"));
}

static bool next_is(char **e, const char *path, const char *token)
{
	return !strcmp(e[XS_WATCH_PATH], path) && !strcmp(e[XS_WATCH_TOKEN], token);
}

/* the next one; blocks in the library */
static void event(const char *path, const char *token)
{
	unsigned int nr;
	char **e = xs_read_watch(xs, &nr);

	CHECK(e && nr == 2);
	if (!next_is(e, path, token)) {
		fprintf(stderr, "event %s %s, expected %s %s\n", e[XS_WATCH_PATH],
			e[XS_WATCH_TOKEN], path, token);
		exit(1);
	}
	free(e);
}

/* both, in an order that is the daemon's own */
static void two_events(const char *path1, const char *token1, const char *path2, const char *token2)
{
	unsigned int nr;
	char **e = xs_read_watch(xs, &nr);
	const bool first = e && next_is(e, path1, token1);

	CHECK(first || (e && next_is(e, path2, token2)));
	free(e);
	event(first ? path2 : path1, first ? token2 : token1);
}

static void watches(void)
{
	struct pollfd p = { .fd = xs_fileno(xs), .events = POLLIN };

	CHECK(xs_watch(xs, "/l/w", "first"));
	CHECK(poll(&p, 1, 30000) == 1);
	event("/l/w", "first");
	CHECK(!xs_check_watch(xs) && errno == EAGAIN);
	CHECK(!xs_watch(xs, "/l/w", "first") && errno == EEXIST);
	CHECK(put(XBT_NULL, "/l/w/x", "1"));
	event("/l/w/x", "first");
	CHECK(xs_watch(xs, "/l/w/x", "second"));
	event("/l/w/x", "second");
	CHECK(xs_rm(xs, XBT_NULL, "/l/w"));
	two_events("/l/w", "first", "/l/w/x", "second");
	CHECK(xs_watch(xs, "@releaseDomain", "special"));
	event("@releaseDomain", "special");
	CHECK(xs_unwatch(xs, "@releaseDomain", "special"));
	CHECK(xs_unwatch(xs, "/l/w/x", "second"));
	CHECK(!xs_unwatch(xs, "/l/w/x", "second") && errno == ENOENT);
	CHECK(xs_unwatch(xs, "/l/w", "first"));
}

static void transactions(void)
{
	xs_transaction_t t = xs_transaction_start(xs);

	CHECK(t != XBT_NULL);
	CHECK(put(t, "/l/t/x", "inside"));
	CHECK(is(t, "/l/t/x", "inside"));
	CHECK(!is(XBT_NULL, "/l/t/x", "inside"));
	CHECK(xs_transaction_end(xs, t, true)); /* abort */
	CHECK(!is(XBT_NULL, "/l/t/x", "inside"));

	t = xs_transaction_start(xs);
	CHECK(put(t, "/l/t/x", "inside"));
	CHECK(xs_transaction_end(xs, t, false));
	CHECK(is(XBT_NULL, "/l/t/x", "inside"));

	t = xs_transaction_start(xs);
	CHECK(is(t, "/l/t/x", "inside"));
	CHECK(put(XBT_NULL, "/l/t/x", "outside"));
	CHECK(put(t, "/l/t/y", "inside"));
	CHECK(!xs_transaction_end(xs, t, false) && errno == EAGAIN);
	CHECK(!xs_transaction_end(xs, t, false) && errno == ENOENT);
}

/* adds 1 in a transaction until it is done */
static void increment(struct xs_handle *h)
{
	for (;;) {
		const xs_transaction_t t = xs_transaction_start(h);
		unsigned int len;
		char *text, next[16];

		CHECK(t != XBT_NULL);
		text = xs_read(h, t, "/l/count", &len);
		CHECK(text);
		snprintf(next, sizeof(next), "%d", atoi(text) + 1);
		free(text);
		CHECK(xs_write(h, t, "/l/count", next, (unsigned int)strlen(next)));
		if (xs_transaction_end(h, t, false))
			return;
		CHECK(errno == EAGAIN);
	}
}

static void *own_handle(void *data)
{
	struct xs_handle *h = xs_open(0);

	CHECK(h);
	for (int i = 0; i < ROUNDS / 10; i++)
		increment(h);
	xs_close(h);
	return data;
}

static void *shared_handle(void *data)
{
	const int nr = *(int *)data;
	char path[32], value[32];

	for (int i = 0; i < ROUNDS; i++) {
		snprintf(path, sizeof(path), "/l/thread/%d", nr);
		snprintf(value, sizeof(value), "%d", nr * ROUNDS + i);
		CHECK(put(XBT_NULL, path, value));
		CHECK(is(XBT_NULL, path, value));
	}
	return data;
}

static void run_threads(void *(*fn)(void *))
{
	pthread_t threads[THREADS];
	int nrs[THREADS];

	for (int i = 0; i < THREADS; i++) {
		nrs[i] = i;
		CHECK(!pthread_create(&threads[i], NULL, fn, &nrs[i]));
	}
	for (int i = 0; i < THREADS; i++)
		CHECK(!pthread_join(threads[i], NULL));
}

static void threads(void)
{
	char expected[16];

	run_threads(shared_handle);
	CHECK(put(XBT_NULL, "/l/count", "0"));
	run_threads(own_handle);
	snprintf(expected, sizeof(expected), "%d", THREADS * ROUNDS / 10);
	CHECK(is(XBT_NULL, "/l/count", expected));
}

int main(void)
{
	xs = xs_open(0);
	CHECK(xs);
	values();
	permissions();
	large_directory();
	watches();
	transactions();
	threads();
	CHECK(xs_rm(xs, XBT_NULL, "/l"));
	xs_close(xs);
	return 0;
}
