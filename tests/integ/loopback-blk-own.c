/* SPDX-License-Identifier: MIT */
/*
 * Two guests, each with a xenhost-blkbackd for its own disks: one is killed while the other serves. One of the
 * processes looks at its rings before it sleeps, always and for long, the other never does.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "common/cleanup.h"
#include "common/xen.h"

#include "tests/support/daemon.h"
#include "tests/support/disk.h"

#define FIRST 32010
#define SECOND 32011

static struct set set;
static struct disk first, second;

static int start_one(struct process *p, const char *service, const char *poll)
{
	const char *args[] = { "--host",
			       NULL,
			       "--poll",
			       poll,
			       "--threads",
			       "1",
			       getenv("VERBOSE") ? "--verbose" : NULL,
			       NULL };
	char uri[128];

	snprintf(uri, sizeof(uri), "bridge:%s/bridge/%s.sock", set.rundir, service);
	args[1] = uri;
	return process_run_daemon(p, "blkbackd", set.rundir, args);
}

static void open_disk_of(struct disk *d, uint16_t service, const char *name)
{
	char path[sizeof(d->path)];

	disk_make_image(&set, name, path, sizeof(path));
	disk_prepare_of(d, &set, service, name, "w", path);
	front_start(&d->front);
	strcpy(d->path, path);
	disk_connect(d, false, XENHOST_STATE_INITIALISED);
}

static void fill_queue(struct disk *d)
{
	for (unsigned int tries = 0; d->inflight < d->nr_requests && tries < 2000; tries++)
		disk_submit_random(d, DISK_INDIRECT);
	disk_publish(d);
}

START_TEST(each_its_own_process)
{
	open_disk_of(&first, FIRST, "own-first");
	open_disk_of(&second, SECOND, "own-second");
	disk_random_io(&first, 300, DISK_INDIRECT | DISK_FLUSH);
	disk_random_io(&second, 300, DISK_INDIRECT | DISK_FLUSH);
	fill_queue(&first);
	ck_assert_int_eq(process_kill(&set.services[0]), 0);
	fill_queue(&first);
	/* nobody serves the one, nobody else notices */
	disk_random_io(&second, 300, DISK_INDIRECT | DISK_FLUSH);
	ck_assert_int_eq(start_one(&set.services[0], "first", "1000"), 0);
	disk_complete_all(&first);
	disk_random_io(&second, 300, DISK_INDIRECT);
	disk_check_image(&first);
	disk_check_image(&second);
	disk_disconnect(&first);
	disk_close(&first);
	disk_disconnect(&second);
	disk_close(&second);
}
END_TEST

/* Events are asked for only before sleeping: while a ring is looked at there are fewer than batches. */
START_TEST(polled)
{
	unsigned int batches = 0;

	open_disk_of(&first, FIRST, "own-polled");
	while (disk_stat(&first, "events") + 20 > batches) {
		ck_assert_uint_lt(batches, 1000000);
		disk_submit(&first, 0, BLKIF_OP_WRITE, batches % 512 * 8, 8, false);
		disk_publish(&first);
		disk_complete_all(&first);
		batches++;
	}
	disk_check_image(&first);
	disk_close(&first);
}
END_TEST

static int run_tests(void)
{
	Suite *s = suite_create("loopback-blk-own");
	TCase *tc = tcase_create("all");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_set_timeout(tc, 200);
	tcase_add_test(tc, each_its_own_process);
	tcase_add_test(tc, polled);
	srunner_set_fork_status(sr, CK_NOFORK); /* the daemons are our children */
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}

int main(void)
{
	static const char *const services[] = { "--service", "first=32010", "--service",
						"second=32011", NULL };
	int failed;

	if (set_start_services(&set, services) < 0)
		return EXIT_FAILURE;
	set.nr_services = 2;
	failed = start_one(&set.services[0], "first", "1000") < 0 ||
		 start_one(&set.services[1], "second", "0") < 0 || run_tests();
	failed += set_stop(&set) < 0;
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
