/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/daemon.h"

#define ARGS_MAX 16
#define PREFIX "xenhost-"

int process_run_daemon(struct process *p, const char *name, const char *rundir,
		       const char *const *args)
{
	const char *argv[ARGS_MAX] = { "--rundir", rundir };
	size_t n = 2;

	for (; args && *args && n < ARGS_MAX - 1; args++)
		argv[n++] = *args;
	argv[n] = NULL;
	return process_start(p, name, argv, false);
}

int process_kill(struct process *p)
{
	struct pollfd pfd = { .fd = p->pidfd, .events = POLLIN };

	if (process_ended(p))
		return -ESRCH;
	if (kill(p->pid, SIGKILL) < 0)
		return -errno;
	while (!process_ended(p))
		if (poll(&pfd, 1, -1) < 0 && errno != EINTR)
			return -errno;
	return 0;
}

/* program: DIR/xenhost-NAME of the build tree, whatever the environment says */
void test_daemon_start(struct test_daemon *d, const char *program, const char *rundir,
		       const char *const *args)
{
	const char *file = strrchr(program, '/');
	char dir[512];

	ck_assert(file && !strncmp(file + 1, PREFIX, strlen(PREFIX)));
	snprintf(dir, sizeof(dir), "%.*s", (int)(file - program), program);
	ck_assert_int_eq(setenv("XENHOST_DAEMONS", dir, 1), 0);
	ck_assert_msg(process_run_daemon(&d->process, file + 1 + strlen(PREFIX), rundir, args) == 0,
		      "%s did not get ready", program);
}

void test_daemon_end(struct test_daemon *d)
{
	int status;

	ck_assert_msg(!process_ended(&d->process), "xenhost-%s ended by itself", d->process.name);
	status = process_stop(&d->process);
	ck_assert_msg(status == 0, "xenhost-%s ended with status %d", d->process.name, status);
}

void test_daemon_kill(struct test_daemon *d)
{
	ck_assert_int_eq(process_kill(&d->process), 0);
}
