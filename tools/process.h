/* SPDX-License-Identifier: MIT */
/* One child process that we start, wait for and end. */
#ifndef TOOLS_PROCESS_H
#define TOOLS_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

struct keeper;

struct process {
	const char *name; /* of the program, xenhost-NAME */
	pid_t pid;	  /* 0: not running */
	int pidfd;
	int status; /* of waitpid, when it has ended */
};

/*
 * Starts xenhost-NAME with these arguments, ended by --ready-fd and --exit-with-parent, and waits until
 * it says READY. The program is looked for in $XENHOST_DAEMONS, beside ourselves and in the built-in
 * folder. own_terminal: it keeps our standard input. -errno, logged; -ECHILD when it ended before.
 */
int process_start(struct process *p, const char *name, const char *const *args, bool own_terminal);

/* the same; what it leaves with the keeper is given to the next one that is started so */
int process_start_kept(struct process *p, const char *name, const char *const *args,
		       struct keeper *keeper);

/* where xenhost-NAME is: 0 and its path (PATH_MAX), or -ENOENT */
int process_find(const char *name, char *path);

/* a child that was just forked is ours from now on. -errno: it cannot be watched, and was killed */
int process_adopt(struct process *p, const char *name, pid_t pid);

/* has it ended? Then its status is filled in */
bool process_ended(struct process *p);

/* SIGTERM, then after 30 s SIGKILL; waits. The exit status, 128 + signal, or 0 when it was not running */
int process_stop(struct process *p);

/* exit status of one that has ended, 128 + signal */
int process_exit_status(const struct process *p);

#endif
