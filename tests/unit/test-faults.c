/* SPDX-License-Identifier: MIT */
/*
 * Every public call when something fails inside of it: the first, second ... allocation, then the first,
 * second ... operation of the transport, until it succeeds. It must say so, leave its results alone and
 * leave nothing behind (descriptors are counted here, memory by the sanitizer), and afterwards the same
 * handle must work. Against our own xenstored.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xenhost/domain.h>
#include <xenhost/frontend.h>
#include <xenhost/hypercall.h>

#include "libxenhost/transport_fake.h"
#include "tests/support/daemon.h"
#include "tests/support/faults.h"
#include "tests/support/tempdir.h"
#include "tests/support/unit.h"

#define US 32000
#define RW (XENHOST_READ | XENHOST_WRITE)
#define BACK "/local/domain/32000/backend/test/5/0"
#define FRONT "/local/domain/5/device/test/0"
#define FAULTS_MAX 400 /* more than any of these has to fail */

static char rundir[TEMPDIR_SIZE], uri[TEMPDIR_SIZE + 64];
static struct test_daemon xenstored;
static xenhost_t *host;
static struct fake_domain *guest;
static struct fake_end end;

/* as ck_assert(), which allocates */
#define MUST(what)                                                                 \
	do {                                                                       \
		if (!(what)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __func__, __LINE__, #what); \
			abort();                                                   \
		}                                                                  \
	} while (0)

/* --- the calls: 0 or more is success; what they made is released again --- */

static int call_open(void)
{
	xenhost_t *h = NULL;
	int r = xenhost_open(uri, 0, &h);

	MUST(r == 0 || !h);
	xenhost_close(h);
	return r;
}

static int call_bind(void)
{
	xenhost_port_t *port = NULL;
	int r = xenhost_port_bind(host, 5, end.port, &port);

	MUST(r == 0 || !port);
	xenhost_port_close(port);
	return r;
}

static int call_alloc(void)
{
	xenhost_port_t *port = NULL;
	int r = xenhost_port_alloc(host, 5, &port);

	MUST(r == 0 || !port);
	xenhost_port_close(port);
	return r;
}

static int call_map(void)
{
	const uint32_t grefs[] = { 8, 9 };
	xenhost_map_t *map = NULL;
	int r = xenhost_map_grants(host, 5, grefs, 2, RW, &map);

	MUST(r == 0 || !map);
	xenhost_unmap(map);
	MUST(fake_revoke(guest, 9) == 0);
	fake_grant(guest, 9, 1, US, false);
	return r;
}

static int call_translate(void)
{
	struct xenhost_page page;
	int r = xenhost_translate_gref(host, 5, 8, RW, &page);

	return r < 0 ? r : xenhost_put_gref(host, &page);
}

static int call_copy(void)
{
	char buf[8];
	struct xenhost_copy copy = { buf, 8, 0, 8, 1 };
	int r = xenhost_grant_copy(host, 5, &copy, 1, XENHOST_READ);

	MUST(copy.status == r);
	return r;
}

static int call_share(void)
{
	xenhost_share_t *share = NULL;
	int r = xenhost_share(host, 5, 3, RW, &share);

	MUST(r == 0 || !share);
	MUST(xenhost_unshare(share) == 0);
	return r;
}

static int call_info(void)
{
	struct xenhost_domain_info info;

	return xenhost_domain_info(host, 5, &info);
}

static void on_domain(xenhost_t *h, const struct xenhost_domain_info *info, void *data)
{
}

static int call_domain_watch(void)
{
	unsigned int saved = fault_left();
	xenhost_t *h = NULL;
	int r;

	/* one per handle, so a new one for each */
	fault_allocation(0);
	MUST(xenhost_open("fake:", 0, &h) == 0);
	fault_allocation(saved);
	r = xenhost_domain_watch(h, on_domain, NULL);
	xenhost_close(h);
	return r;
}

static int call_unpause(void)
{
	return xenhost_domain_unpause(host, 5);
}

static int call_hypercall(void)
{
	uint64_t v[2];

	return xenhost_hypercall(host, XENHOST_HYPERCALL_VERSION, NULL, 0, v, 2);
}

static int call_read(void)
{
	char *value = NULL;
	int r = xenhost_store_read(host, 0, "/t/a", &value, NULL);

	MUST(r == 0 || !value);
	free(value);
	return r;
}

static int call_write(void)
{
	return xenhost_store_printf(host, 0, "/t/a", "%s", "value");
}

static int call_list(void)
{
	char **names = NULL;
	int r = xenhost_store_list(host, 0, "/t", &names);

	MUST(r == 1 || (r < 0 && !names));
	free(names);
	return r;
}

static int call_list_large(void)
{
	char **names = NULL;
	int r = xenhost_store_list(host, 0, "/large", &names);

	MUST(r == 70 || (r < 0 && !names));
	free(names);
	return r;
}

static int call_perms(void)
{
	struct xenhost_perm perms[] = { { 'n', 0 }, { 'r', US } };
	int r = xenhost_store_set_perms(host, 0, "/t/a", perms, 2);

	return r < 0 ? r : xenhost_store_get_perms(host, 0, "/t/a", perms, 2);
}

static int in_txn(xenhost_t *h, xenhost_txn_t txn, void *data)
{
	return xenhost_store_printf(h, txn, "/t/a", "in");
}

static int call_txn(void)
{
	return xenhost_txn_run(host, in_txn, NULL);
}

static void on_watch(xenhost_t *h, const char *path, void *data)
{
	(*(int *)data)++;
}

static void wait_readable(void)
{
	struct pollfd p = { .fd = xenhost_get_fd(host), .events = POLLIN };

	MUST(poll(&p, 1, 10000) == 1);
}

/* no memory for an event: then for the watched path as a whole, which needs none */
static int call_watch(void)
{
	xenhost_watch_t *watch = NULL;
	int fired = 0, r = xenhost_watch(host, "/t", on_watch, &fired, &watch);

	MUST(r == 0 || !watch);
	while (r == 0 && !fired) {
		wait_readable();
		MUST(xenhost_process(host) >= 0);
	}
	xenhost_unwatch(watch);
	return r;
}

/* --- a device --- */

static int device_ok(xenhost_device_t *dev)
{
	return 0;
}

static int device_connect(xenhost_device_t *dev)
{
	xenhost_port_t *port = NULL;
	xenhost_map_t *map = NULL;
	char *value = NULL;
	int r = xenhost_device_read_str(dev, XENHOST_FRONT, "ring-ref", &value);

	free(value);
	if (r == 0)
		r = xenhost_device_map_ring(dev, "ring-ref", 1, &map);
	if (r == 0)
		r = xenhost_device_bind_port(dev, "event-channel", &port);
	if (r == 0)
		r = xenhost_device_printf(dev, "sectors", "5");
	xenhost_port_close(port);
	xenhost_unmap(map);
	return r;
}

static void device_end(xenhost_device_t *dev)
{
}

static const struct xenhost_backend_ops back_ops = {
	.size = sizeof(back_ops),
	.type = "test",
	.probe = device_ok,
	.connect = device_connect,
	.disconnect = device_end,
	.remove = device_end,
};

static unsigned int back_state(void)
{
	unsigned int saved = fault_left();
	uint64_t state;

	fault_allocation(0);
	MUST(xenhost_store_read_u64(host, 0, BACK "/state", 9, &state) == 0);
	fault_allocation(saved);
	return (unsigned int)state;
}

static void write_nodes(void)
{
	MUST(xenhost_store_printf(host, 0, BACK "/frontend", FRONT) == 0);
	MUST(xenhost_store_printf(host, 0, BACK "/frontend-id", "5") == 0);
	MUST(xenhost_store_printf(host, 0, BACK "/state", "1") == 0);
	MUST(xenhost_store_printf(host, 0, FRONT "/backend", BACK) == 0);
	MUST(xenhost_store_printf(host, 0, FRONT "/backend-id", "32000") == 0);
	MUST(xenhost_store_printf(host, 0, FRONT "/ring-ref", "8") == 0);
	MUST(xenhost_store_printf(host, 0, FRONT "/event-channel", "%u", end.port) == 0);
	MUST(xenhost_store_printf(host, 0, FRONT "/state", "4") == 0);
}

/* Whatever fails, the device becomes Connected, or is failed with all that follows: never forgotten. */
static int call_backend(void)
{
	xenhost_backend_t *backend = NULL;
	unsigned int state = 0, saved = fault_left();
	int r;

	fault_allocation(0);
	write_nodes();
	fault_allocation(saved);
	r = xenhost_backend_new(host, &back_ops, NULL, &backend);
	MUST(r == 0 || !backend);
	while (r == 0 && state != 4 && state != 5) {
		wait_readable();
		MUST(xenhost_process(host) >= 0);
		state = back_state();
	}
	xenhost_backend_free(backend);
	return r < 0 || state == 4 ? r : -EIO;
}

static int front_ok(xenhost_frontend_t *f)
{
	return 0;
}

static void front_end(xenhost_frontend_t *f)
{
}

static const struct xenhost_frontend_ops front_ops = {
	.size = sizeof(front_ops),
	.setup = front_ok,
	.connected = front_ok,
	.closed = front_end,
};

static int call_frontend(void)
{
	xenhost_frontend_t *front = NULL;
	int r = xenhost_frontend_new(host, FRONT, &front_ops, NULL, &front);

	MUST(r == 0 || !front);
	xenhost_frontend_free(front);
	return r;
}

static const struct {
	const char *name;
	int (*fn)(void);
} calls[] = {
	{ "open", call_open },
	{ "port_bind", call_bind },
	{ "port_alloc", call_alloc },
	{ "map_grants", call_map },
	{ "translate_gref", call_translate },
	{ "grant_copy", call_copy },
	{ "share", call_share },
	{ "domain_info", call_info },
	{ "domain_watch", call_domain_watch },
	{ "domain_unpause", call_unpause },
	{ "hypercall", call_hypercall },
	{ "store_write", call_write },
	{ "store_read", call_read },
	{ "store_list", call_list },
	{ "store_list, many", call_list_large },
	{ "store_perms", call_perms },
	{ "txn_run", call_txn },
	{ "watch", call_watch },
	{ "backend", call_backend },
	{ "frontend", call_frontend },
};

/* --- the loops --- */

static int count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	ck_assert_ptr_nonnull(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void setup(void)
{
	static const char *const args[] = { "--host", "none", NULL };
	char path[128];

	tempdir_make(rundir);
	test_daemon_start(&xenstored, TOP_BUILDDIR "/xenstored/xenhost-xenstored", rundir, args);
	snprintf(uri, sizeof(uri), "fake:%s/xenstored.sock,domid=%d", rundir, US);
	ck_assert_int_eq(xenhost_open(uri, 0, &host), 0);
	ck_assert_int_eq(fake_domain_new(host, 5, 4, &guest), 0);
	fake_grant(guest, 8, 0, US, false);
	fake_grant(guest, 9, 1, US, false);
	ck_assert_int_eq(fake_port_offer(guest, &end), 0);
	for (int i = 0; i < 70; i++) {
		snprintf(path, sizeof(path),
			 "/large/a-name-that-is-as-long-as-it-takes-to-fill-an-answer-0123456-%d",
			 i);
		ck_assert_int_eq(xenhost_store_mkdir(host, 0, path), 0);
	}
}

static void teardown(void)
{
	xenhost_close(host);
	test_daemon_end(&xenstored);
	tempdir_remove(rundir);
}

/* Runs one call with the n-th thing failing, for all n. Returns how often it said so. */
static int loop(size_t i, void (*arm)(unsigned int n), unsigned int (*left)(void))
{
	int failures = 0, before;

	ck_assert_msg(calls[i].fn() >= 0, "%s fails by itself", calls[i].name);
	before = count_fds();
	for (unsigned int n = 1; n < FAULTS_MAX; n++) {
		unsigned int more;
		int r;

		arm(n);
		r = calls[i].fn();
		more = left();
		arm(0);
		failures += r < 0;
		ck_assert_msg(r >= 0 || more == 0, "%s: %d without a fault", calls[i].name, r);
		ck_assert_msg(r >= 0 || r == -ENOMEM || r == -EIO, "%s: %d after fault %u",
			      calls[i].name, r, n);
		ck_assert_msg(count_fds() == before, "%s: descriptors after fault %u",
			      calls[i].name, n);
		r = calls[i].fn();
		ck_assert_msg(r >= 0, "%s: %d again after fault %u", calls[i].name, r, n);
		if (more)
			return failures;
	}
	ck_abort_msg("%s never succeeds", calls[i].name);
	return 0;
}

/* over this transport */
static bool allocates_nothing(int (*fn)(void))
{
	return fn == call_translate || fn == call_copy || fn == call_info || fn == call_unpause ||
	       fn == call_hypercall;
}

START_TEST(no_memory)
{
	int failures = 0;

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		int n = loop(i, fault_allocation, fault_left);

		ck_assert_msg(n > 0 || allocates_nothing(calls[i].fn), "%s allocates nothing",
			      calls[i].name);
		failures += n;
	}
	/* or the faults reach nothing */
	ck_assert_int_gt(failures, 40);
}
END_TEST

static void arm_op(unsigned int n)
{
	fake_fail_op(host, n);
}

static unsigned int left_op(void)
{
	return fake_fail_left(host);
}

START_TEST(transport_fails)
{
	int failures = 0;

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		failures += loop(i, arm_op, left_op);
	ck_assert_int_ge(failures, 9);
}
END_TEST

UNIT_MAIN_WITH("faults", setup, teardown, no_memory, transport_fails)
