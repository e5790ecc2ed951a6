/* SPDX-License-Identifier: MIT */
/*
 * A daemon of the build tree for one test: started, waited for, ended. Failures fail the test. It ends
 * with the test's process in any case.
 */
#ifndef TESTS_SUPPORT_DAEMON_H
#define TESTS_SUPPORT_DAEMON_H

#include <sys/types.h>

struct test_daemon {
	const char *program;
	pid_t pid;
};

/* args: behind the program's name, ends with NULL; returns when it has said READY */
void test_daemon_start(struct test_daemon *d, const char *program, const char *rundir,
		       const char *const *args);
/* TERM, and the status must be 0 */
void test_daemon_end(struct test_daemon *d);
/* KILL; when this returns it is gone */
void test_daemon_kill(struct test_daemon *d);

#endif
