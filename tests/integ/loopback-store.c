/* SPDX-License-Identifier: MIT */
/*
 * xenhost-xenstored killed under a loopback guest: xenhost-bridged keeps its journal, the ring and the
 * port go on. The guest waits for its port only, so an event channel that got lost is seen.
 */
#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <check.h>

#include <xenhost/store.h>

#include "common/xen.h"

#include "tests/support/daemon.h"
#include "tests/support/front.h"
#include "loopguest/guest.h"
#include "tests/support/set.h"

#define PATIENCE_MS 20000
#define KILLS 5

static struct set set;

static struct xenstore_domain_interface *page_of(const struct guest *g)
{
	return guest_store_page(g);
}

static void send_bytes(const struct guest *g, const void *data, size_t len)
{
	struct xenstore_domain_interface *p = page_of(g);

	for (size_t i = 0; i < len; i++)
		p->req[MASK_XENSTORE_IDX(p->req_prod + i)] = ((const char *)data)[i];
	__atomic_store_n(&p->req_prod, p->req_prod + (uint32_t)len, __ATOMIC_RELEASE);
	guest_port_notify(guest_store_event(g));
}

static void request(const struct guest *g, uint32_t type, const char *payload, size_t len)
{
	const struct xsd_sockmsg h = { .type = type, .req_id = 1, .len = (uint32_t)len };
	char buf[256];

	memcpy(buf, &h, sizeof(h));
	memcpy(buf + sizeof(h), payload, len);
	send_bytes(g, buf, sizeof(h) + len);
}

static void take(const struct guest *g, void *data, size_t len)
{
	struct xenstore_domain_interface *p = page_of(g);

	for (size_t i = 0; i < len; i++) {
		while (__atomic_load_n(&p->rsp_prod, __ATOMIC_ACQUIRE) == p->rsp_cons)
			ck_assert_msg(guest_port_wait(guest_store_event(g), PATIENCE_MS) == 1,
				      "nothing comes from the store");
		((char *)data)[i] = p->rsp[MASK_XENSTORE_IDX(p->rsp_cons)];
		p->rsp_cons++;
	}
	guest_port_notify(guest_store_event(g));
}

/* the next message must be this one */
static void expect(const struct guest *g, uint32_t type, const char *payload, size_t len)
{
	struct xsd_sockmsg h;
	char buf[4096];

	take(g, &h, sizeof(h));
	ck_assert_uint_le(h.len, sizeof(buf));
	take(g, buf, h.len);
	ck_assert_uint_eq(h.type, type);
	ck_assert_uint_eq(h.len, len);
	ck_assert_int_eq(memcmp(buf, payload, len), 0);
}

#define REQUEST(g, type, s) request(g, type, s, sizeof(s) - 1)
#define EXPECT(g, type, s) expect(g, type, s, sizeof(s) - 1)

static void kill_store(void)
{
	ck_assert_int_eq(process_kill(&set.xenstored), 0);
	ck_assert_int_eq(process_run_daemon(&set.xenstored, "xenstored", set.rundir, NULL), 0);
}

static void write_as_tool(const struct guest *g, const char *value)
{
	xenhost_t *host;
	char path[64];

	snprintf(path, sizeof(path), "/local/domain/%u/k", guest_domid(g));
	ck_assert_int_eq(set_open(&set, &host), 0);
	ck_assert_int_eq(xenhost_store_write(host, 0, path, value, strlen(value)), 0);
	xenhost_close(host);
}

START_TEST(test_killed)
{
	const struct xsd_sockmsg half = { .type = XS_READ, .req_id = 1, .len = 2 };
	struct guest *g;
	struct front f;

	set_guest(&set, "guest", 16, &f);
	g = f.guest;
	ck_assert_int_eq(xenhost_store_introduce(f.host, guest_domid(g), guest_store_gfn(g),
						 guest_store_port(g)),
			 0);
	REQUEST(g, XS_WATCH, "k\0t\0");
	EXPECT(g, XS_WATCH, "OK\0");
	EXPECT(g, XS_WATCH_EVENT, "k\0t\0");
	for (int i = 0; i < KILLS; i++) {
		kill_store();
		write_as_tool(g, "value");
		EXPECT(g, XS_WATCH_EVENT, "k\0t\0");
		REQUEST(g, XS_READ, "k\0");
		EXPECT(g, XS_READ, "value");
		send_bytes(g, &half, sizeof(half));
		kill_store();
		send_bytes(g, "k", 2);
		EXPECT(g, XS_READ, "value");
	}
	front_free(&f);
}
END_TEST

/* value NULL: until it is not there */
static void wait_for(const char *path, const char *value)
{
	static const struct timespec moment = { 0, 20000000 };

	for (int i = 0;; i++) {
		xenhost_t *host;
		char *got = NULL;
		size_t len;
		int r = set_open(&set, &host);
		const bool connected = r == 0;

		if (r == 0)
			r = xenhost_store_read(host, 0, path, &got, &len);
		if (connected)
			xenhost_close(host);
		if (value ? r == 0 && len == strlen(value) && !memcmp(got, value, len)
			  : r == -ENOENT) {
			free(got);
			return;
		}
		free(got);
		ck_assert_msg(i < 3000, "%s is not %s but %d", path, value ? value : "gone", r);
		nanosleep(&moment, NULL);
	}
}

/*
 * A host that keeps nothing is killed, and another one comes in its place: the guests are gone with it, the
 * store is not, and it is the new host that keeps it.
 */
START_TEST(test_another_host)
{
	char guests[64];
	xenhost_t *host;
	struct guest *g;
	struct front f;

	set_guest(&set, "other", 16, &f);
	g = f.guest;
	ck_assert_int_eq(xenhost_store_introduce(f.host, guest_domid(g), guest_store_gfn(g),
						 guest_store_port(g)),
			 0);
	REQUEST(g, XS_WRITE, "k\0his");
	EXPECT(g, XS_WRITE, "OK\0");
	snprintf(guests, sizeof(guests), "/local/domain/%u/k", guest_domid(g));
	ck_assert_int_eq(set_open(&set, &host), 0);
	ck_assert_int_eq(xenhost_store_write(host, 0, "/kept", "value", 5), 0);
	xenhost_close(host);
	ck_assert_int_eq(set_kill_bridged(&set), 0);
	ck_assert_int_eq(set_start_bridged(&set), 0);
	wait_for(guests, NULL);
	wait_for("/kept", "value");
	kill_store();
	wait_for("/kept", "value");
	front_free(&f);
}
END_TEST

static int run_tests(void)
{
	Suite *suite = suite_create("loopback-store");
	TCase *tcase = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, test_killed);
	tcase_add_test(tcase, test_another_host);
	suite_add_tcase(suite, tcase);
	srunner_set_fork_status(runner, CK_NOFORK); /* the daemons are our children */
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed;
}

int main(void)
{
	int failed;

	if (set_start(&set) < 0)
		return EXIT_FAILURE;
	failed = run_tests();
	return set_stop(&set) < 0 || failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
