/* SPDX-License-Identifier: MIT */
/*
 * A daemon of the build tree: started, waited for, ended. It ends with the test's process in any case.
 * Of the test_ functions failures fail the test.
 */
#ifndef TESTS_SUPPORT_DAEMON_H
#define TESTS_SUPPORT_DAEMON_H

#include "tools/process.h"

struct test_daemon {
	struct process process;
};

/* process_start() with --rundir in front of args, which ends with NULL or is NULL */
int process_run_daemon(struct process *p, const char *name, const char *rundir,
		       const char *const *args);
/* KILL; when this returns it is gone. 0, -ESRCH it was before, or -errno */
int process_kill(struct process *p);

/* args: behind the program's name, ends with NULL; returns when it has said READY */
void test_daemon_start(struct test_daemon *d, const char *program, const char *rundir,
		       const char *const *args);
/* TERM, and the status must be 0 */
void test_daemon_end(struct test_daemon *d);
/* KILL; when this returns it is gone */
void test_daemon_kill(struct test_daemon *d);

#endif
