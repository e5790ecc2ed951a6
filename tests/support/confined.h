/* SPDX-License-Identifier: MIT */
/* Functions that are tried in a process of their own, which has confined itself first. */
#ifndef TESTS_CONFINED_H
#define TESTS_CONFINED_H

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include <check.h>

/* the exit status of fn after enter(), or 128 + signal; 99: enter() did not return 0 */
static inline int confined_by(int (*enter)(void), int (*fn)(void))
{
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		_exit(enter() == 0 ? fn() : 99);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* an exit status: 0 if a call that has returned r was refused by the filter */
static inline int refused(int r)
{
	return r == -1 && errno == EPERM ? 0 : 1;
}

#endif
