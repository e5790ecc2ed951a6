/* SPDX-License-Identifier: MIT */
/*
 * Disks whose image is a qcow2: the server that xenhost run starts for each (tools/image_server.c), over which a
 * loopback guest reads and writes while it is killed; and images that are refused.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <check.h>

#include "common/cleanup.h"

#include "tests/support/daemon.h"
#include "tests/support/disk.h"
#include "tools/image_server.h"

#define SKIPPED 77
#define KILLS 4
#define NONE (-1)

static struct set set;
static struct disk disk;
static struct image_server server;
static char image[128], said[4096];

/* ---- what it logs ---- */

static int err = NONE, kept = NONE;

static void listen_to_log(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/said", set.rundir);
	fflush(stderr);
	kept = dup(STDERR_FILENO);
	err = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ck_assert_int_ge(dup2(err, STDERR_FILENO), 0);
}

static void stop_listening(void)
{
	ssize_t n;

	fflush(stderr);
	dup2(kept, STDERR_FILENO);
	n = pread(err, said, sizeof(said) - 1, 0);
	said[n > 0 ? n : 0] = '\0';
	close(kept);
	close(err);
}

static int lines(void)
{
	int n = 0;

	for (const char *c = said; *c; c++)
		n += *c == '\n';
	return n;
}

/* ---- images ---- */

static void run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void run(const char *fmt, ...)
{
	char command[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	ck_assert_msg(system(command) == 0, "%s", command);
}

static void name_server(const char *path, bool backing)
{
	server = (struct image_server){ .path = path, .format = "qcow2", .backing = backing };
	snprintf(server.socket, sizeof(server.socket), "%s/nbd.sock", set.rundir);
}

static void setup(void)
{
	snprintf(image, sizeof(image), "%s/image.qcow2", set.rundir);
	run("qemu-img create -q -f qcow2 %s %u", image, DISK_SECTORS * 512);
	name_server(image, false);
}

static void teardown(void)
{
	image_server_stop(&server);
	unlink(image);
}

static void connect_disk(const char *name)
{
	char path[sizeof(disk.path)];

	disk_make_image(&set, name, path, sizeof(path));
	disk_prepare(&disk, &set, name, "w", "");
	strcpy(disk.path, path);
	front_write(&disk.front, XENHOST_BACK, "params", "nbd:unix:%s", server.socket);
	front_start(&disk.front);
	disk_connect(&disk, false, XENHOST_STATE_INITIALISED);
}

static void check_disk(void)
{
	disk_disconnect(&disk);
	image_server_stop(&server);
	/* 3: clusters that a killed one had taken and not used yet; no mistake in what is used */
	run("qemu-img check -q %s || [ $? = 3 ]", image);
	run("qemu-img convert -f qcow2 -O raw %s %s", image, disk.path);
	disk_check_image(&disk);
	disk_close(&disk);
}

/* ---- tests ---- */

static void kill_server(void)
{
	struct pollfd p = { .fd = server.process.pidfd, .events = POLLIN };

	ck_assert_int_eq(kill(server.process.pid, SIGKILL), 0);
	ck_assert_int_eq(poll(&p, 1, DISK_PATIENCE_MS), 1);
	ck_assert(process_ended(&server.process));
}

/* Nothing that was answered is lost, without a flush, and whoever is in the middle of a request waits. */
START_TEST(killed_under_io)
{
	ck_assert_int_eq(image_server_start(&server), 0);
	connect_disk("qcow2");
	for (int i = 0; i < KILLS; i++) {
		disk_random_io(&disk, 50, DISK_INDIRECT);
		for (int n = 0; n < 8; n++)
			disk_submit_random(&disk, DISK_INDIRECT);
		disk_publish(&disk);
		disk_complete(&disk);
		kill_server();
		ck_assert_int_eq(image_server_again(&server), 0);
		disk_complete_all(&disk);
	}
	check_disk();
}
END_TEST

/* a template, read only, below an image that takes the writes */
START_TEST(on_top_of_another)
{
	char below[160];

	snprintf(below, sizeof(below), "%s/below.qcow2", set.rundir);
	run("qemu-img create -q -f qcow2 %s %u", below, DISK_SECTORS * 512);
	run("qemu-img create -q -f qcow2 -F qcow2 -b below.qcow2 %s", image);
	run("chmod 0444 %s", below);
	name_server(image, true);
	ck_assert_int_eq(image_server_start(&server), 0);
	connect_disk("top");
	disk_random_io(&disk, 100, DISK_INDIRECT);
	check_disk();
	unlink(below);
}
END_TEST

static void refused(const char *why)
{
	listen_to_log();
	ck_assert_int_lt(image_server_start(&server), 0);
	stop_listening();
	ck_assert_msg(strstr(said, why) != NULL, "'%s' is not in: %s", why, said);
	ck_assert_msg(lines() == 1, "%s", said);
	ck_assert_int_lt(access(server.socket, F_OK), 0);
}

/* One line each, and nothing stays behind. */
START_TEST(refusals)
{
	char other[160];

	snprintf(other, sizeof(other), "%s/other.img", set.rundir);
	run("truncate -s 1M %s", other);
	run("qemu-img create -q -f qcow2 -F raw -b other.img %s", image);
	refused("is on top of another one, other.img: allow that with FILE,backing");
	run("qemu-img create -q -f qcow2 -u -F qed -b other.img %s 1M", image);
	server.backing = true;
	refused("names no format of its backing file, or another one than raw and qcow2");
	run("qemu-img create -q -f qcow2 -u -F raw -b nbd:127.0.0.1:1 %s 1M", image);
	refused("Protocol not supported");
	run("qemu-img create -q -f qcow2 -u -F raw -b gone.img %s 1M", image);
	refused("cannot find gone.img, which is below the image");
	run("qemu-img create -q -f qcow2 -u -F qcow2 -b image.qcow2 %s 1M", image);
	refused("has more than 32 below it");
	run("qemu-img create -q -f qcow2 -o data_file=%s %s 1M", other, image);
	refused("has its data in another file");
	name_server(other, false);
	refused("it does not begin as a qcow2 image");
	name_server("/nowhere/image", false);
	refused("image /nowhere/image: No such file or directory");
	/* a head that is right up to where qemu-nbd looks further */
	name_server(image, false);
	run("qemu-img create -q -f qcow2 %s 1M; printf '\\377' | dd of=%s bs=1 seek=40 conv=notrunc status=none",
	    image, image);
	refused("qemu-nbd cannot serve the image");
	setenv("XENHOST_QEMU_NBD", "no-such-nbd", 1);
	refused("install the package qemu-utils");
	unsetenv("XENHOST_QEMU_NBD");
	unlink(other);
}
END_TEST

/* Two guests would destroy it: the first one's server has it locked. */
START_TEST(in_use)
{
	struct image_server first;

	ck_assert_int_eq(image_server_start(&server), 0);
	first = server;
	name_server(image, false);
	snprintf(server.socket, sizeof(server.socket), "%s/second.sock", set.rundir);
	refused("Is another process using the image");
	image_server_stop(&first);
	ck_assert_int_eq(image_server_start(&server), 0);
}
END_TEST

int main(void)
{
	static const char *verbose[2];
	Suite *s = suite_create("loopback-blk-qcow2");
	TCase *tc = tcase_create("all");
	SRunner *sr = srunner_create(s);
	int failed;

	verbose[0] = getenv("VERBOSE") ? "--verbose" : NULL;
	if (system("qemu-nbd --version >/dev/null 2>&1") != 0) {
		printf("qemu-nbd is missing; run scripts/install-deps\n");
		return SKIPPED;
	}
	if (set_start_with(&set, "blkbackd", verbose) < 0)
		return EXIT_FAILURE;
	suite_add_tcase(s, tc);
	tcase_set_timeout(tc, 200);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, killed_under_io);
	tcase_add_test(tc, on_top_of_another);
	tcase_add_test(tc, refusals);
	tcase_add_test(tc, in_use);
	srunner_set_fork_status(sr, CK_NOFORK); /* the daemons are our children */
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	failed += set_stop(&set) < 0;
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
