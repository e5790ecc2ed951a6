/* SPDX-License-Identifier: MIT */
/*
 * xenhost-blkbackd killed and ended under a loopback guest that goes on: no request is lost, answered twice
 * or answered with an error, no data is wrong, and the states in the store do not move.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <check.h>

#include "common/cleanup.h"
#include "common/xen.h"

#include "tests/support/daemon.h"
#include "tests/support/disk.h"

#define KILLS 10	/* XENHOST_KILLS: so many instead, of each shape and engine */
#define IN_FLIGHT_MIN 8 /* of them must find requests under way */

static struct set set;
static struct disk disk, other;
static const char *engine;

static struct process *daemon_process(void)
{
	return &set.services[0];
}

static int start_daemon(void)
{
	const char *const args[] = {
		"--engine", engine, "--threads", "4", getenv("VERBOSE") ? "--verbose" : NULL, NULL
	};

	return process_run_daemon(daemon_process(), "blkbackd", set.rundir, args);
}

static void assert_states(struct disk *d)
{
	ck_assert_str_eq(front_read(&d->front, XENHOST_BACK, "state"), "4");
	ck_assert_str_eq(front_read(&d->front, XENHOST_FRONT, "state"), "4");
}

static void fill_queues(struct disk *d, unsigned int what)
{
	for (unsigned int tries = 0; d->inflight < d->nr_requests && tries < 2000; tries++)
		disk_submit_random(d, what);
	disk_publish(d);
}

static void complete_some(struct disk *d, unsigned int n)
{
	while (n-- > 0 && d->inflight > 0)
		disk_complete(d);
}

/* A verifying load at full depth, killed again and again in the middle of it. */
START_TEST(killed_under_load)
{
	static const struct {
		unsigned int queues, pages;
		bool is32;
	} shapes[] = { { 4, 1, false }, { 2, 4, true } };
	const int least = getenv("XENHOST_KILLS") ? atoi(getenv("XENHOST_KILLS")) : KILLS;
	unsigned int in_flight = 0;
	int kills;
	unsigned long long replayed = 0;

	disk_create(&disk, &set, "killed", "w");
	disk.nr_queues = shapes[_i].queues;
	disk.pages = shapes[_i].pages;
	disk_connect(&disk, shapes[_i].is32, XENHOST_STATE_INITIALISED);
	for (kills = 0; kills < least || in_flight < IN_FLIGHT_MIN; kills++) {
		ck_assert_int_lt(kills, 5 * least);
		disk_random_io(&disk, 100, DISK_INDIRECT | DISK_FLUSH | DISK_DISCARD);
		fill_queues(&disk, DISK_INDIRECT | DISK_FLUSH | DISK_DISCARD);
		complete_some(&disk, (unsigned int)random() % 60);
		fill_queues(&disk, DISK_INDIRECT | DISK_FLUSH | DISK_DISCARD);
		ck_assert_int_eq(process_kill(daemon_process()), 0);
		in_flight += disk_unanswered(&disk) > 0;
		assert_states(&disk);
		ck_assert_int_eq(start_daemon(), 0);
		disk_complete_all(&disk);
		assert_states(&disk);
		replayed += disk_stat(&disk, "replayed");
	}
	printf("%d kills, %u of them while requests were under way; %llu requests were done again\n",
	       kills, in_flight, replayed);
	ck_assert_msg(replayed > 0, "no kill ever met a request that had been taken");
	disk_flush(&disk);
	disk_check_image(&disk);
	disk_disconnect(&disk);
	disk_close(&disk);
}
END_TEST

/* SIGTERM: nothing is under way afterwards that was taken, so nothing is done again */
START_TEST(ended_in_order)
{
	disk_create(&disk, &set, "ended", "w");
	disk.nr_queues = 3;
	disk_connect(&disk, true, XENHOST_STATE_INITIALISED);
	for (int i = 0; i < 5; i++) {
		disk_random_io(&disk, 100, DISK_INDIRECT);
		fill_queues(&disk, DISK_INDIRECT | DISK_DISCARD);
		ck_assert_int_eq(process_stop(daemon_process()), 0);
		assert_states(&disk);
		ck_assert_int_eq(start_daemon(), 0);
		disk_complete_all(&disk);
	}
	disk_random_io(&disk, 100, 0);
	disk_check_image(&disk);
	disk_disconnect(&disk);
	disk_close(&disk);
}
END_TEST

/* its reads still write to the guest after it is dead: a shared lock on the image would not tell */
START_TEST(killed_readonly)
{
	disk_open(&disk, &set, "rokilled", "r", false);
	for (int i = 0; i < 5; i++) {
		for (unsigned int k = 0; k < 32; k++)
			if (!disk.requests[k].busy)
				disk_submit(&disk, k, BLKIF_OP_READ, k * 256, 256, true);
		disk_publish(&disk);
		ck_assert_int_eq(process_kill(daemon_process()), 0);
		ck_assert_int_eq(start_daemon(), 0);
		disk_complete_all(&disk);
	}
	disk_disconnect(&disk);
	disk_close(&disk);
}
END_TEST

/* what the operator said, and what the front end asked before, survive as well */
START_TEST(paused_over_a_kill)
{
	disk_open(&disk, &set, "pausedkill", "w", false);
	ck_assert_str_eq(disk_order(&disk, "pause"), "ok");
	fill_queues(&disk, 0);
	ck_assert_int_eq(process_kill(daemon_process()), 0);
	ck_assert_int_eq(start_daemon(), 0);
	ck_assert_ptr_nonnull(strstr(disk_order(&disk, "stat"), "state=paused"));
	ck_assert_uint_eq(disk_unanswered(&disk), disk.inflight);
	ck_assert_str_eq(disk_order(&disk, "resume"), "ok");
	disk_complete_all(&disk);
	disk_check_image(&disk);
	disk_close(&disk);
}
END_TEST

/* a request that the medium refused waits across the restart; one that is unplugged meanwhile ends */
START_TEST(stopped_over_a_kill)
{
	disk_make_image(&set, "stopkill", other.path, sizeof(other.path));
	disk_prepare(&disk, &set, "stopkill", "w", other.path);
	strcpy(disk.path, other.path);
	front_write(&disk.front, XENHOST_BACK, "rerror", "stop");
	front_start(&disk.front);
	disk_connect(&disk, false, XENHOST_STATE_INITIALISED);
	ck_assert_int_eq(truncate(disk.path, 512 * 8), 0);
	disk_submit(&disk, 0, BLKIF_OP_READ, 64, 8, false);
	disk_publish(&disk);
	while (!strstr(disk_order(&disk, "stat"), "state=stopped"))
		;
	ck_assert_int_eq(process_kill(daemon_process()), 0);
	ck_assert_int_eq(truncate(disk.path, DISK_SECTORS * 512), 0);
	ck_assert_int_eq(start_daemon(), 0);
	ck_assert_ptr_nonnull(strstr(disk_order(&disk, "stat"), "state=stopped"));
	ck_assert_uint_eq(disk_unanswered(&disk), 1);
	ck_assert_str_eq(disk_order(&disk, "resume"), "ok");
	disk_complete_all(&disk);
	disk_disconnect(&disk);
	disk_close(&disk);
}
END_TEST

/* A front end that closes, or begins anew, while nobody is there; the old journal must not be taken for
 * that of the new connection. */
START_TEST(reconnects_while_dead)
{
	disk_open(&disk, &set, "redead", "w", false);
	for (int i = 0; i < 4; i++) {
		fill_queues(&disk, DISK_INDIRECT);
		ck_assert_int_eq(process_kill(daemon_process()), 0);
		front_set_state(&disk.front, XENHOST_STATE_CLOSING);
		front_set_state(&disk.front, XENHOST_STATE_CLOSED);
		if (i & 1)
			front_set_state(&disk.front, XENHOST_STATE_INITIALISING);
		ck_assert_int_eq(start_daemon(), 0);
		if (!(i & 1)) {
			front_wait(&disk.front, XENHOST_STATE_CLOSED);
			front_set_state(&disk.front, XENHOST_STATE_INITIALISING);
		}
		front_wait(&disk.front, XENHOST_STATE_INIT_WAIT);
		/* of what was not answered nothing is known: a new disk */
		ck_assert_int_eq(truncate(disk.path, 0), 0);
		ck_assert_int_eq(truncate(disk.path, DISK_SECTORS * 512), 0);
		memset(disk.versions, 0, sizeof(disk.versions));
		for (unsigned int k = 0; k < disk.nr_requests; k++) {
			/* the marks of a process that was killed are gone too */
			if (disk.requests[k].busy)
				disk_give_back(&disk, &disk.requests[k]);
		}
		disk_release_rings(&disk);
		disk_connect(&disk, i & 2, XENHOST_STATE_INITIALISED);
		disk_random_io(&disk, 100, 0);
		disk_check_image(&disk);
	}
	disk_close(&disk);
}
END_TEST

/* The predecessor may have died between an answer and its event: the successor makes up for it. */
START_TEST(notified_after_a_kill)
{
	disk_open(&disk, &set, "notify", "w", false);
	disk_random_io(&disk, 50, 0);
	ck_assert_int_eq(process_kill(daemon_process()), 0);
	while (guest_port_wait(&disk.queues[0].port, 0))
		;
	ck_assert_int_eq(start_daemon(), 0);
	ck_assert_int_eq(guest_port_wait(&disk.queues[0].port, DISK_PATIENCE_MS), 1);
	disk_close(&disk);
}
END_TEST

/* the guest is gone when the successor comes */
START_TEST(guest_dies_while_dead)
{
	disk_open(&disk, &set, "gone", "w", false);
	fill_queues(&disk, 0);
	ck_assert_int_eq(process_kill(daemon_process()), 0);
	disk_close(&disk);
	ck_assert_int_eq(start_daemon(), 0);
	disk_open(&disk, &set, "heir", "w", false);
	disk_random_io(&disk, 100, 0);
	disk_close(&disk);
}
END_TEST

/* A ring that contradicts the journal: the device is broken, the daemon and the others are not. */
START_TEST(ring_changed_while_dead)
{
	disk_open(&other, &set, "honest", "w", false);
	disk_open(&disk, &set, "forger", "w", false);
	disk_random_io(&disk, 20, 0);
	disk_random_io(&other, 20, 0);
	ck_assert_int_eq(process_kill(daemon_process()), 0);
	((_Atomic uint32_t *)disk.queues[0].ring.shared)[2] += 5;
	ck_assert_int_eq(start_daemon(), 0);
	front_wait(&disk.front, XENHOST_STATE_CLOSING);
	ck_assert_ptr_nonnull(strstr(disk_error(&disk), "indices"));
	disk_random_io(&other, 20, 0);
	assert_states(&other);
	disk_close(&disk);
	disk_close(&other);
}
END_TEST

/* Somebody has the image while we are away: the successor waits, and goes on when it is free. */
START_TEST(waits_for_the_image)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	_cleanup_close_ int fd = -1;

	disk_open(&other, &set, "unblocked", "w", false);
	disk_open(&disk, &set, "blocked", "w", false);
	fill_queues(&disk, 0);
	ck_assert_int_eq(process_kill(daemon_process()), 0);
	fd = open(disk.path, O_RDWR | O_CLOEXEC);
	while (fcntl(fd, F_OFD_SETLK, &lock) < 0)
		ck_assert_int_eq(errno, EAGAIN);
	ck_assert_int_eq(start_daemon(), 0);
	/* the others do not wait with it */
	disk_random_io(&other, 100, 0);
	assert_states(&disk);
	closep(&fd);
	fd = -1;
	disk_complete_all(&disk);
	disk_check_image(&disk);
	disk_close(&disk);
	disk_close(&other);
}
END_TEST

static int run_tests(void)
{
	Suite *s = suite_create("loopback-blk-restart");
	TCase *tc = tcase_create("all");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_set_timeout(tc, getenv("XENHOST_KILLS") ? 1800 : 200);
	tcase_add_loop_test(tc, killed_under_load, 0, 2);
	tcase_add_test(tc, ended_in_order);
	tcase_add_test(tc, killed_readonly);
	tcase_add_test(tc, paused_over_a_kill);
	tcase_add_test(tc, stopped_over_a_kill);
	tcase_add_test(tc, reconnects_while_dead);
	tcase_add_test(tc, notified_after_a_kill);
	tcase_add_test(tc, guest_dies_while_dead);
	tcase_add_test(tc, ring_changed_while_dead);
	tcase_add_test(tc, waits_for_the_image);
	srunner_set_fork_status(sr, CK_NOFORK); /* the daemons are our children */
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}

int main(void)
{
	static const char *const engines[] = { "uring", "sync" };
	int failed = 0;

	for (size_t i = 0; i < ARRAY_SIZE(engines) && !failed; i++) {
		engine = engines[i];
		printf("engine %s\n", engine);
		fflush(stdout);
		if (set_start(&set) < 0)
			return EXIT_FAILURE;
		set.nr_services = 1;
		failed = start_daemon() < 0 || run_tests();
		failed += set_stop(&set) < 0;
	}
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
