/* SPDX-License-Identifier: MIT */
/* The daemons of xenhost run, killed one after the other under a guest: each is started again, but not for ever. */
#include "config.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xenhost/domain.h>
#include <xenhost/store.h>

#include "common/bridge.h"
#include "tests/support/daemon.h"
#include "loopguest/guest.h"
#include "tests/support/unit.h"
#include "tools/private_set.h"

#define PATIENCE_MS 60000

static struct private_set set;

static const char *kill_one(int which)
{
	struct pollfd p = { .fd = private_set_fd(&set), .events = POLLIN };
	pid_t pid = set.daemons[which].pid;
	const char *lost;

	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	do {
		ck_assert_int_eq(poll(&p, 1, PATIENCE_MS), 1);
		lost = private_set_lost(&set);
	} while (!lost && set.daemons[which].pid == pid);
	return lost;
}

/* the store answers again; calls fail at once while it is away */
static void wait_store(xenhost_t *host, const char *expected)
{
	struct pollfd p = { .fd = xenhost_get_fd(host), .events = POLLIN };
	char *value = NULL;

	for (int ms = 0; xenhost_store_read(host, 0, "/test", &value, NULL) < 0; ms += 10) {
		ck_assert_int_lt(ms, PATIENCE_MS);
		(void)poll(&p, 1, 10);
		ck_assert_int_ge(xenhost_process(host), 0);
	}
	ck_assert_str_eq(value, expected);
	free(value);
}

START_TEST(test_killed)
{
	struct xenhost_domain_info info, again;
	struct guest *guest;
	xenhost_t *host;
	char uri[128];

	snprintf(uri, sizeof(uri), "bridge:%s/" BRIDGE_SOCKET_TOOL, set.rundir);
	ck_assert_int_eq(xenhost_open(uri, 0, &host), 0);
	ck_assert_int_eq(guest_new(set.rundir, "guest", 4, &guest), 0);
	ck_assert_int_eq(xenhost_domain_by_name(host, "guest", &info), 0);
	ck_assert_int_eq(xenhost_store_write(host, 0, "/test", "kept", 4), 0);
	for (int i = 0; i < SET_MAX; i++) {
		ck_assert_ptr_null(kill_one(i));
		ck_assert_int_eq(xenhost_domain_by_name(host, "guest", &again), 0);
		ck_assert_uint_eq(again.unique_id, info.unique_id);
		wait_store(host, "kept");
	}
	for (int i = 1; i < SET_RESTARTS_MAX; i++)
		ck_assert_ptr_null(kill_one(SET_BLKBACKD));
	ck_assert_str_eq(kill_one(SET_BLKBACKD), "blkbackd"); /* enough */
	guest_free(guest);
	xenhost_close(host);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("private-set");
	TCase *t = tcase_create("all");
	SRunner *runner;
	int failed;

	if (private_set_start(&set, NULL) < 0)
		return 1;
	tcase_set_timeout(t, 0);
	tcase_add_test(t, test_killed);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_set_fork_status(runner, CK_NOFORK); /* the daemons are our children */
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return private_set_stop(&set) < 0 || failed;
}
