/* SPDX-License-Identifier: MIT */
/*
 * Disks that an NBD server has: nbdkit over a file, which can be looked at, and qemu-nbd over a qcow2 image.
 * Servers get their listening socket from us, so a front end never comes too early.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <check.h>

#include "common/cleanup.h"
#include "common/xen.h"

#include "tests/support/daemon.h"
#include "tests/support/disk.h"

#define ARGS_MAX 16
#define SKIPPED 77

static struct set set;
static struct disk disk;
static int listening = -1;
static pid_t server;
static char params[160];
static const char *options[3] = { "--barrier" };

/* ---- servers ---- */

static void listen_unix(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/nbd.sock", set.rundir);
	snprintf(params, sizeof(params), "nbd+unix:///?socket=%s", addr.sun_path);
	(void)unlink(addr.sun_path);
	listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(listening, 0);
	ck_assert_int_eq(bind(listening, (struct sockaddr *)&addr, sizeof(addr)), 0);
	ck_assert_int_eq(listen(listening, 16), 0);
}

static void listen_tcp(void)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(addr);

	listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(listening, 0);
	ck_assert_int_eq(bind(listening, (struct sockaddr *)&addr, sizeof(addr)), 0);
	ck_assert_int_eq(listen(listening, 16), 0);
	ck_assert_int_eq(getsockname(listening, (struct sockaddr *)&addr, &len), 0);
	snprintf(params, sizeof(params), "nbd://127.0.0.1:%u", ntohs(addr.sin_port));
}

/* In the child: the socket is descriptor 3, as systemd would pass it. */
static void run_server(char *const *argv)
{
	char pid[16];

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	if (dup2(listening, 3) != 3 || fcntl(3, F_SETFD, 0) < 0 ||
	    setenv("LISTEN_FDS", "1", 1) < 0 || setenv("LISTEN_PID", pid, 1) < 0)
		_exit(126);
	execvp(argv[0], argv);
	_exit(127);
}

static void start_server(const char *const *args)
{
	char *argv[ARGS_MAX] = { 0 };

	for (size_t i = 0; args[i]; i++)
		argv[i] = (char *)(uintptr_t)args[i];
	server = fork();
	ck_assert_int_ge(server, 0);
	if (server == 0)
		run_server(argv);
}

static void kill_server(int signal)
{
	ck_assert_int_eq(kill(server, signal), 0);
	ck_assert_int_eq(waitpid(server, NULL, 0), server);
	server = 0;
}

/* One thread: with more nbdkit 1.32 fails an assertion of its own when a client ends in the middle of requests. */
static void start_nbdkit(void)
{
	const char *const args[] = { "nbdkit", "-f", "-t", "1", "file", disk.path, NULL };

	start_server(args);
}

static void start_qemu(const char *image)
{
	const char *const args[] = { "qemu-nbd",	"--persistent", "--format=qcow2",
				     "--discard=unmap", image,		NULL };

	start_server(args);
}

static void teardown(void)
{
	if (server)
		kill_server(SIGKILL);
	closep(&listening);
	listening = -1;
}

/* ---- disks ---- */

/* a device whose image is `params`, behind which is the file disk.path */
static void prepare(const char *name, const char *mode)
{
	char path[sizeof(disk.path)];

	disk_make_image(&set, name, path, sizeof(path));
	disk_prepare(&disk, &set, name, mode, "");
	strcpy(disk.path, path);
	front_write(&disk.front, XENHOST_BACK, "params", "%s", params);
}

static void connect_disk(bool is32)
{
	front_start(&disk.front);
	disk_connect(&disk, is32, XENHOST_STATE_INITIALISED);
}

/* _i: 32-bit layout, TCP */
START_TEST(served_by_nbdkit)
{
	if (_i & 2)
		listen_tcp();
	else
		listen_unix();
	prepare("nbdkit", "w");
	start_nbdkit();
	connect_disk(_i & 1);
	ck_assert_str_eq(front_read(&disk.front, XENHOST_BACK, "sectors"), "8192");
	ck_assert_str_eq(front_read(&disk.front, XENHOST_BACK, "multi-queue-max-queues"), "1");
	ck_assert_str_eq(front_read(&disk.front, XENHOST_BACK, "feature-discard"), "1");
	disk_random_io(&disk, 1000, DISK_INDIRECT | DISK_FLUSH | DISK_DISCARD);
	disk_flush(&disk);
	ck_assert_ptr_nonnull(strstr(disk_order(&disk, "stat"), "engine=nbd"));
	disk_check_image(&disk);
	/* a front end that comes again gets a connection again */
	disk_disconnect(&disk);
	front_set_state(&disk.front, XENHOST_STATE_INITIALISING);
	disk_connect(&disk, false, XENHOST_STATE_INITIALISED);
	disk_random_io(&disk, 100, DISK_INDIRECT);
	disk_check_image(&disk);
	disk_disconnect(&disk);
	disk_close(&disk);
}
END_TEST

/* qcow2: the server knows the format, we do not */
START_TEST(served_by_qemu)
{
	char command[400], image[128];

	listen_unix();
	prepare("qemu", "w");
	snprintf(image, sizeof(image), "%s/image.qcow2", set.rundir);
	snprintf(command, sizeof(command), "qemu-img create -q -f qcow2 %s %u", image,
		 DISK_SECTORS * 512);
	ck_assert_int_eq(system(command), 0);
	start_qemu(image);
	connect_disk(false);
	/* clusters of 64 KiB: what is discarded in them may stay */
	disk_random_io(&disk, 500, DISK_INDIRECT | DISK_FLUSH);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(process_kill(&set.services[0]), 0);
		ck_assert_int_eq(
			process_run_daemon(&set.services[0], "blkbackd", set.rundir, options), 0);
		disk_random_io(&disk, 100, DISK_INDIRECT);
	}
	disk_disconnect(&disk);
	/* what it has written out is what was written to the disk */
	kill_server(SIGTERM);
	snprintf(command, sizeof(command), "qemu-img convert -f qcow2 -O raw %s %s", image,
		 disk.path);
	ck_assert_int_eq(system(command), 0);
	disk_check_image(&disk);
	unlink(image);
	disk_close(&disk);
}
END_TEST

static void fill(void)
{
	for (unsigned int tries = 0; disk.inflight < disk.nr_requests && tries < 1000; tries++)
		disk_submit_random(&disk, DISK_INDIRECT | DISK_FLUSH | DISK_DISCARD);
	disk_publish(&disk);
}

/* The server goes in the middle of requests and comes again: no error, nothing lost. */
START_TEST(server_killed)
{
	listen_unix();
	prepare("gone", "w");
	start_nbdkit();
	connect_disk(false);
	for (int i = 0; i < 4; i++) {
		disk_random_io(&disk, 50, DISK_INDIRECT);
		fill();
		disk_complete(&disk);
		/* by SIGTERM nbdkit with one thread ends when its client sends something, an idle one never */
		kill_server(SIGKILL);
		start_nbdkit();
		disk_complete_all(&disk);
	}
	disk_flush(&disk);
	disk_check_image(&disk);
	/* it is away for longer than the disk: to unplug does not wait for it */
	fill();
	kill_server(SIGKILL);
	front_write(&disk.front, XENHOST_BACK, "online", "0");
	front_write(&disk.front, XENHOST_BACK, "state", "5");
	front_set_state(&disk.front, XENHOST_STATE_CLOSING);
	front_set_state(&disk.front, XENHOST_STATE_CLOSED);
	front_wait(&disk.front, XENHOST_STATE_CLOSED);
	disk_close(&disk);
}
END_TEST

/*
 * A server that ends between the write of a barrier and the flush behind it may not have kept what it wrote:
 * both are done again.
 */
START_TEST(barrier_done_again)
{
	char pwrite[200], flush[400], log[16] = "";
	const char *const args[] = { "nbdkit",
				     "-f",
				     "-t",
				     "1",
				     "eval",
				     "get_size=echo 4M",
				     "can_write=exit 0",
				     "can_flush=exit 0",
				     "can_fua=echo none",
				     "pread=head -c $3 /dev/zero",
				     pwrite,
				     flush,
				     NULL };
	FILE *f;

	listen_unix();
	prepare("barrier", "w");
	snprintf(pwrite, sizeof(pwrite), "pwrite=cat >/dev/null; printf w >>%s/barrier.log",
		 set.rundir);
	/* the first flush behind a write is the end */
	snprintf(flush, sizeof(flush),
		 "flush=cd %s; printf f >>barrier.log; "
		 "if grep -q w barrier.log && [ ! -e once ]; then : >once; kill -9 $PPID; fi",
		 set.rundir);
	start_server(args);
	connect_disk(false);
	disk_submit(&disk, 0, BLKIF_OP_WRITE_BARRIER, 0, 8, false);
	disk_publish(&disk);
	ck_assert_int_eq(waitpid(server, NULL, 0), server);
	start_server(args);
	disk_complete_all(&disk);
	disk_disconnect(&disk);
	disk_close(&disk);
	snprintf(flush, sizeof(flush), "%s/barrier.log", set.rundir);
	f = fopen(flush, "re");
	ck_assert_ptr_nonnull(f);
	ck_assert_ptr_nonnull(fgets(log, sizeof(log), f));
	fclose(f);
	ck_assert_str_eq(log, "fwfwf");
	unlink(flush);
	snprintf(flush, sizeof(flush), "%s/once", set.rundir);
	unlink(flush);
}
END_TEST

/* We go in the middle of requests; _i & 1: by SIGTERM, _i & 2: the server does, too */
START_TEST(backend_killed)
{
	listen_unix();
	prepare("kill", "w");
	start_nbdkit();
	connect_disk(_i & 1);
	for (int i = 0; i < 4; i++) {
		disk_random_io(&disk, 50, DISK_INDIRECT);
		fill();
		if (_i & 2)
			kill_server(SIGKILL);
		if (_i & 1)
			ck_assert_int_eq(process_stop(&set.services[0]), 0);
		else
			ck_assert_int_eq(process_kill(&set.services[0]), 0);
		ck_assert_int_eq(
			process_run_daemon(&set.services[0], "blkbackd", set.rundir, options), 0);
		if (_i & 2)
			start_nbdkit();
		disk_complete_all(&disk);
		ck_assert_str_eq(front_read(&disk.front, XENHOST_BACK, "state"), "4");
	}
	disk_flush(&disk);
	disk_check_image(&disk);
	disk_disconnect(&disk);
	disk_close(&disk);
}
END_TEST

/* What the server cannot do is an error of that request. */
START_TEST(server_has_errors)
{
	const char *args[] = { "nbdkit",
			       "-f",
			       "--filter=error",
			       "file",
			       disk.path,
			       "error-pread=EIO",
			       "error-pread-rate=100%",
			       NULL };
	uint32_t gref;

	listen_unix();
	prepare("errors", "w");
	start_server(args);
	connect_disk(false);
	gref = guest_grant(disk.guest, SET_BLKBACK, disk.requests[0].frames[0], false);
	ck_assert_int_eq(disk_ask(&disk, BLKIF_OP_READ, 1, 0, gref, 7), BLKIF_RSP_ERROR);
	ck_assert_int_eq(disk_ask(&disk, BLKIF_OP_WRITE, 1, 0, gref, 7), BLKIF_RSP_OKAY);
	ck_assert_int_eq(disk_ask(&disk, BLKIF_OP_READ, 1, 8, gref, 7), BLKIF_RSP_ERROR);
	disk_flush(&disk);
	disk_close(&disk);
}
END_TEST

static void refused(const char *why)
{
	front_start(&disk.front);
	front_wait(&disk.front, XENHOST_STATE_CLOSING);
	ck_assert_msg(strstr(disk_error(&disk), why) != NULL, "%s", disk_error(&disk));
	disk_close(&disk);
}

START_TEST(no_disks)
{
	const char *const args[] = { "nbdkit", "-f", "-r", "file", disk.path, NULL };

	snprintf(params, sizeof(params), "nbd+unix:///?socket=%s/nobody", set.rundir);
	prepare("nosocket", "w");
	refused("No such file");
	snprintf(params, sizeof(params), "nbd://127.0.0.1:1");
	prepare("noserver", "w");
	refused("refused");
	snprintf(params, sizeof(params), "nbd://127.0.0.2:1");
	prepare("forbidden", "w");
	refused("opend.conf does not let blkback connect");
	snprintf(params, sizeof(params), "nbd://a?b");
	prepare("nonsense", "w");
	refused("is no NBD disk");
	listen_unix();
	prepare("readonly", "w");
	start_server(args);
	refused("lets nobody write it");
}
END_TEST

static bool is_there(const char *command)
{
	return system(command) == 0;
}

int main(void)
{
	Suite *s = suite_create("loopback-blk-nbd");
	TCase *tc = tcase_create("all");
	SRunner *sr = srunner_create(s);
	int failed;

	options[1] = getenv("VERBOSE") ? "--verbose" : NULL;
	if (!is_there("nbdkit --version >/dev/null 2>&1") ||
	    !is_there("qemu-nbd --version >/dev/null 2>&1")) {
		printf("nbdkit or qemu-nbd is missing; run scripts/install-deps\n");
		return SKIPPED;
	}
	if (set_start_with(&set, "blkbackd", options) < 0)
		return EXIT_FAILURE;
	suite_add_tcase(s, tc);
	tcase_set_timeout(tc, 200);
	tcase_add_checked_fixture(tc, NULL, teardown);
	tcase_add_loop_test(tc, served_by_nbdkit, 0, 4);
	tcase_add_test(tc, served_by_qemu);
	tcase_add_test(tc, server_killed);
	tcase_add_test(tc, barrier_done_again);
	tcase_add_loop_test(tc, backend_killed, 0, 4);
	tcase_add_test(tc, server_has_errors);
	tcase_add_test(tc, no_disks);
	srunner_set_fork_status(sr, CK_NOFORK); /* the daemons are our children */
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	failed += set_stop(&set) < 0;
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
