/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/daemon.h"

#define ARGS_MAX 16

static void run(const char *program, const char *rundir, const char *const *args, int ready_fd)
{
	const char *argv[ARGS_MAX + 8] = { program, "--rundir", rundir, "--exit-with-parent",
					   "--ready-fd" };
	char fd[16];
	int n = 5;

	snprintf(fd, sizeof(fd), "%d", ready_fd);
	argv[n++] = fd;
	for (int i = 0; i < ARGS_MAX && args[i]; i++)
		argv[n++] = args[i];
	execv(program, (char **)argv);
	perror(program);
	_exit(127);
}

void test_daemon_start(struct test_daemon *d, const char *program, const char *rundir,
		       const char *const *args)
{
	char line[8] = "";
	int ready[2];

	d->program = program;
	ck_assert_int_eq(pipe(ready), 0);
	d->pid = fork();
	ck_assert_int_ge(d->pid, 0);
	if (d->pid == 0) {
		close(ready[0]);
		run(program, rundir, args, ready[1]);
	}
	close(ready[1]);
	ck_assert_msg(read(ready[0], line, sizeof(line) - 1) == 6 && !strcmp(line, "READY\n"),
		      "%s did not get ready", program);
	close(ready[0]);
}

void test_daemon_end(struct test_daemon *d)
{
	int status;

	ck_assert_int_eq(kill(d->pid, SIGTERM), 0);
	ck_assert_int_eq(waitpid(d->pid, &status, 0), d->pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s ended with status 0x%x",
		      d->program, (unsigned int)status);
}

void test_daemon_kill(struct test_daemon *d)
{
	ck_assert_int_eq(kill(d->pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(d->pid, NULL, 0), d->pid);
}
