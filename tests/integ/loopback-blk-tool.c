/* SPDX-License-Identifier: MIT */
/* xenhost block, with a loopback guest that has a front end or has none. */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <check.h>

#include "common/cleanup.h"
#include "common/xen.h"

#include "tests/support/disk.h"

static struct set set;
static struct disk disk;

/* Runs xenhost block ARGS; its exit status, with what it said in a static buffer */
static int __attribute__((format(printf, 2, 3))) block(const char **ret_text, const char *fmt, ...)
{
	static char text[8192];
	char args[512], command[768];
	size_t len;
	va_list ap;
	FILE *f;

	va_start(ap, fmt);
	vsnprintf(args, sizeof(args), fmt, ap);
	va_end(ap);
	snprintf(command, sizeof(command), "xenhost block --rundir %s %s 2>&1", set.rundir, args);
	f = popen(command, "re");
	ck_assert_ptr_nonnull(f);
	len = fread(text, 1, sizeof(text) - 1, f);
	text[len] = '\0';
	*ret_text = text;
	return WEXITSTATUS(pclose(f));
}

#define EXPECT(status, want, ...)                                                             \
	do {                                                                                  \
		const char *said_;                                                            \
		int got_ = block(&said_, __VA_ARGS__);                                        \
		ck_assert_msg(got_ == (status) && strstr(said_, want), "status %d, said: %s", \
			      got_, said_);                                                   \
	} while (0)

/* xenhost top, once: does what it says of the one disk that there is have this? */
static void check_top(const char *want)
{
	char command[128], text[2048];
	size_t len;
	FILE *f;

	snprintf(command, sizeof(command), "xenhost top --rundir %s --json 2>&1", set.rundir);
	f = popen(command, "re");
	ck_assert_ptr_nonnull(f);
	len = fread(text, 1, sizeof(text) - 1, f);
	text[len] = '\0';
	ck_assert_int_eq(pclose(f), 0);
	ck_assert_msg(strstr(text, want) && !strstr(text, "\"requests\": 0,"), "top says: %s",
		      text);
}

/* a guest without disks; d->front is where its front end will be */
static void make_guest(struct disk *d, const char *name, unsigned int devid)
{
	memset(d, 0, sizeof(*d));
	d->nr_queues = d->pages = 1;
	set_guest(&set, name, 4096, &d->front);
	d->guest = d->front.guest;
	d->front.service = SET_BLKBACK;
	snprintf(d->front.front, sizeof(d->front.front), "/local/domain/%u/device/vbd/%u",
		 guest_domid(d->guest), devid);
	snprintf(d->front.back, sizeof(d->front.back), "/local/domain/%u/backend/vbd/%u/%u",
		 SET_BLKBACK, guest_domid(d->guest), devid);
	for (unsigned int i = 0; i < DISK_QUEUES_MAX; i++)
		for (unsigned int p = 0; p < DISK_PAGES_MAX; p++)
			d->queues[i].frames[p] = guest_new_frame(d->guest);
	disk_make_image(&set, name, d->path, sizeof(d->path));
}

START_TEST(whole_life)
{
	make_guest(&disk, "life", DISK_XVDA + 16);
	EXPECT(0, "xvda\n", "attach life null:8M");
	EXPECT(0, "xvdb\n", "--set throttle-iops=100000 attach life %s", disk.path);
	EXPECT(0, "waiting", "list life");
	EXPECT(1, "not connected", "stat life xvdb");
	disk_connect(&disk, false, XENHOST_STATE_INITIALISED);
	disk_random_io(&disk, 50, 0);
	EXPECT(0, "connected", "list");
	EXPECT(0, "\nrequests         ", "stat life xvdb");
	check_top("\"name\": \"life\", \"kind\": \"disk\", \"devid\": 51728, \"requests\": ");
	EXPECT(0, "\"state\": \"running\"", "--json stat life xvdb");
	EXPECT(0, "", "pause life 51728");
	EXPECT(0, "\"state\": \"paused\"", "--json stat life xvdb");
	EXPECT(0, "", "resume life xvdb");
	disk_random_io(&disk, 50, 0);
	ck_assert_int_eq(truncate(disk.path, DISK_SECTORS * 1024), 0);
	EXPECT(0, "16384", "resize life xvdb");
	ck_assert_int_eq(truncate(disk.path, DISK_SECTORS * 512), 0);
	EXPECT(1, "smaller", "resize life xvdb");
	EXPECT(0, "8192", "--shrink resize life xvdb");
	disk_random_io(&disk, 50, 0);
	/* the guest does not let go: it stays and works */
	EXPECT(1, "--force", "--timeout 1 detach life xvdb");
	EXPECT(0, "closing", "list life");
	disk_random_io(&disk, 50, 0);
	disk_check_image(&disk);
	EXPECT(0, "", "--timeout 1 --force detach life xvdb");
	EXPECT(1, "no such disk", "stat life xvdb");
	EXPECT(0, "xvdb\n", "attach life %s xvdb", disk.path);
	EXPECT(0, "", "--timeout 1 --force detach life xvdb");
	EXPECT(0, "", "--timeout 1 --force detach life xvda");
	EXPECT(0, "[]\n", "--json list life");
	disk_close(&disk);
}
END_TEST

/* A guest that closes in order while the tool waits */
START_TEST(detach_in_order)
{
	const char *said;
	pid_t pid;
	int status;

	make_guest(&disk, "order", DISK_XVDA);
	EXPECT(0, "xvda\n", "--read-only attach order %s", disk.path);
	disk_connect(&disk, true, XENHOST_STATE_INITIALISED);
	pid = fork();
	if (pid == 0)
		_exit(block(&said, "detach order xvda"));
	front_wait(&disk.front, XENHOST_STATE_CLOSING);
	front_set_state(&disk.front, XENHOST_STATE_CLOSING);
	front_set_state(&disk.front, XENHOST_STATE_CLOSED);
	/* the folders go with it */
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	disk_release_rings(&disk);
	ck_assert_int_eq(status, 0);
	EXPECT(0, "[]\n", "--json list order");
	disk_close(&disk);
}
END_TEST

START_TEST(mistakes)
{
	make_guest(&disk, "wrong", DISK_XVDA);
	EXPECT(2, "block takes attach", "attach wrong");
	EXPECT(2, "block takes attach", "frobnicate wrong xvda");
	EXPECT(2, "bad value: --set nothing", "--set nothing attach wrong %s", disk.path);
	EXPECT(1, "there is no guest nobody", "attach nobody %s", disk.path);
	EXPECT(1, "xvd1 is no disk's name", "stat wrong xvd1");
	EXPECT(1, "cannot find the image", "attach wrong no/such/image");
	/* what the back end refuses leaves nothing behind */
	EXPECT(1, "No such file", "attach wrong /nonexistent/image");
	EXPECT(0, "[]\n", "--json list wrong");
	ck_assert_str_eq(front_read(&disk.front, XENHOST_FRONT, "state"), "");
	EXPECT(0, "xvda", "attach wrong %s", disk.path);
	EXPECT(1, "has a disk of this name already", "attach wrong null:1M xvda");
	EXPECT(1, "in use and locked", "attach wrong %s xvdc", disk.path);
	EXPECT(0, "\"image\": \"", "--json list wrong");
	disk_close(&disk);
}
END_TEST

int main(void)
{
	const char *const args[] = { getenv("VERBOSE") ? "--verbose" : NULL, NULL };
	Suite *s = suite_create("loopback-blk-tool");
	TCase *tc = tcase_create("all");
	SRunner *sr = srunner_create(s);
	int failed;

	if (set_start_with(&set, "blkbackd", args) < 0)
		return EXIT_FAILURE;
	suite_add_tcase(s, tc);
	tcase_set_timeout(tc, 200);
	tcase_add_test(tc, whole_life);
	tcase_add_test(tc, detach_in_order);
	tcase_add_test(tc, mistakes);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	failed += set_stop(&set) < 0;
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
