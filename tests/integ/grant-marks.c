/* SPDX-License-Identifier: MIT */
/*
 * Services that are killed with grants in use: the guest's entries stay marked while nobody knows whether
 * something is still under way, and are unmarked by the next process of the service or by a tool.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xenhost/gnttab.h>

#include "common/bridge.h"
#include "common/bridge_client.h"
#include "loopguest/guest.h"
#include "tests/support/set.h"
#include "tests/support/unit.h"

#define GRANTS 40u

static struct set set;

struct killed {
	pid_t pid;
	struct guest *guest;
	uint32_t grefs[GRANTS];
};

static int open_service(unsigned int flags, xenhost_t **ret_host)
{
	char uri[128];

	snprintf(uri, sizeof(uri), "bridge:%s/bridge/blkback.sock", set.rundir);
	return xenhost_open(uri, flags, ret_host);
}

/* the service's process: a ring mapped, pages for writing and for reading; then it waits to be killed */
static int use_grants(const struct killed *k, int ready)
{
	struct xenhost_seg segs[GRANTS];
	struct iovec iov[GRANTS];
	xenhost_map_t *map;
	xenhost_t *host;
	uint16_t domid = guest_domid(k->guest);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (unsigned int i = 0; i < GRANTS; i++)
		segs[i] = (struct xenhost_seg){ .gref = k->grefs[i], .len = 4096 };
	if (open_service(0, &host) < 0 ||
	    xenhost_map_grants(host, domid, k->grefs, 4, XENHOST_READ | XENHOST_WRITE, &map) < 0 ||
	    xenhost_io_begin(host, domid, segs, GRANTS / 2, XENHOST_WRITE, iov) < 0 ||
	    xenhost_io_begin(host, domid, segs + GRANTS / 2, GRANTS / 2, XENHOST_READ, iov) < 0 ||
	    write(ready, "1", 1) != 1)
		return 1;
	pause();
	return 0;
}

static unsigned int in_use(const struct killed *k)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < GRANTS; i++)
		n += guest_grant_in_use(k->guest, k->grefs[i]);
	return n;
}

static void start(struct killed *k)
{
	int ready[2];
	char byte;

	ck_assert_int_eq(pipe(ready), 0);
	ck_assert_int_eq(guest_new(set.rundir, "marks", 64, &k->guest), 0);
	for (unsigned int i = 0; i < GRANTS; i++)
		k->grefs[i] = guest_grant(k->guest, SET_BLKBACK, guest_new_frame(k->guest), false);
	k->pid = fork();
	if (k->pid == 0)
		_exit(use_grants(k, ready[1]));
	close(ready[1]);
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	ck_assert_uint_eq(in_use(k), GRANTS);
}

static void kill_service(const struct killed *k)
{
	int status;

	ck_assert_int_eq(kill(k->pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(k->pid, &status, 0), k->pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* everything can be taken back by the guest, which ends */
static void finish(struct killed *k)
{
	for (unsigned int i = 0; i < GRANTS; i++)
		ck_assert_int_eq(guest_revoke(k->guest, k->grefs[i]), 0);
	guest_free(k->guest);
}

static int touch(xenhost_t *host, const struct killed *k)
{
	struct xenhost_page page;
	int r = xenhost_translate_gref(host, guest_domid(k->guest), k->grefs[1], XENHOST_READ,
				       &page);

	return r < 0 ? r : xenhost_put_gref(host, &page);
}

static int settle_by_tool(const struct killed *k, uint32_t *ret_grants)
{
	Bridge__GrantSettle settle = BRIDGE__GRANT_SETTLE__INIT;
	bridge_frame frame = BRIDGE__FRAME__INIT;
	struct bridge_client *client;
	struct bridge_message answer;
	char path[128];
	int r;

	snprintf(path, sizeof(path), "%s/" BRIDGE_SOCKET_TOOL, set.rundir);
	ck_assert_int_eq(bridge_client_open(path, "test", &client), 0);
	settle.domid = guest_domid(k->guest);
	settle.to_domid = SET_BLKBACK;
	frame.body_case = BRIDGE__FRAME__BODY_GRANT_SETTLE;
	frame.grant_settle = &settle;
	r = bridge_client_call(client, &frame, NULL, 0, BRIDGE__FRAME__BODY_GRANT_SETTLED, &answer);
	if (r == 0) {
		*ret_grants = answer.frame->grant_settled->grants;
		bridge_message_fini(&answer);
	}
	bridge_client_close(client);
	return r;
}

START_TEST(test_successor_cleans)
{
	struct killed k;
	xenhost_t *host;

	start(&k);
	kill_service(&k);
	ck_assert_uint_eq(in_use(&k), GRANTS);
	ck_assert_int_eq(guest_revoke(k.guest, k.grefs[0]), -EBUSY);
	ck_assert_int_eq(open_service(0, &host), 0);
	ck_assert_uint_eq(in_use(&k), GRANTS); /* not reached yet */
	ck_assert_int_eq(touch(host, &k), 0);
	ck_assert_uint_eq(in_use(&k), 0);
	xenhost_close(host);
	finish(&k);
}
END_TEST

START_TEST(test_successor_adopts)
{
	struct xenhost_seg seg = { .len = 1 };
	struct killed k;
	struct iovec iov;
	xenhost_t *host;

	start(&k);
	kill_service(&k);
	ck_assert_int_eq(open_service(XENHOST_OPEN_KEEP_MARKS, &host), 0);
	seg.gref = k.grefs[3];
	ck_assert_int_eq(xenhost_io_begin(host, guest_domid(k.guest), &seg, 1, XENHOST_READ, &iov),
			 0);
	ck_assert_uint_eq(in_use(&k), GRANTS);
	ck_assert_int_eq(touch(host, &k), 0);
	ck_assert_uint_eq(in_use(&k), GRANTS - 1); /* what was used again is over as ever */
	ck_assert_int_eq(xenhost_grants_settle(host, guest_domid(k.guest)), GRANTS - 1);
	ck_assert_uint_eq(in_use(&k), 1);
	ck_assert_int_eq(xenhost_grants_settle(host, guest_domid(k.guest)), 0);
	ck_assert_int_eq(xenhost_io_end(host, guest_domid(k.guest), &seg, 1, XENHOST_READ, &iov),
			 0);
	ck_assert_int_eq(xenhost_grants_settle(host, 31999), -ESRCH);
	xenhost_close(host);
	finish(&k);
}
END_TEST

/* two processes of one service: nobody takes the marks of the one that lives */
START_TEST(test_other_process_lives)
{
	uint32_t n = 0;
	struct killed k;
	xenhost_t *host;

	start(&k);
	ck_assert_int_eq(open_service(0, &host), 0);
	ck_assert_int_eq(touch(host, &k), 0);
	ck_assert_uint_ge(in_use(&k), GRANTS - 1);
	ck_assert_int_eq(xenhost_grants_settle(host, guest_domid(k.guest)), -EBUSY);
	ck_assert_int_eq(settle_by_tool(&k, &n), -EBUSY);
	xenhost_close(host);
	ck_assert_int_eq(settle_by_tool(&k, &n), -EBUSY);
	kill_service(&k);
	ck_assert_int_eq(settle_by_tool(&k, &n), 0);
	ck_assert_uint_ge(n, GRANTS - 1);
	ck_assert_uint_eq(in_use(&k), 0);
	ck_assert_int_eq(settle_by_tool(&k, &n), 0);
	ck_assert_uint_eq(n, 0);
	finish(&k);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("grant-marks");
	TCase *tc = tcase_create("grant-marks");
	SRunner *sr = srunner_create(s);
	int failed = 1;

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_successor_cleans);
	tcase_add_test(tc, test_successor_adopts);
	tcase_add_test(tc, test_other_process_lives);
	suite_add_tcase(s, tc);
	if (set_start(&set) == 0) {
		srunner_run_all(sr, CK_NORMAL);
		failed = srunner_ntests_failed(sr);
		if (set_stop(&set) < 0)
			failed = 1;
	}
	srunner_free(sr);
	return failed ? 1 : 0;
}
