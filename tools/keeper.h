/* SPDX-License-Identifier: MIT */
/*
 * Keeps descriptors for a daemon that may be killed and started again: bridged of a private set. It plays
 * systemd's part in the same protocol (sd_notify(3) with FDSTORE=1, sd_listen_fds(3)), so that bridged has
 * one way for both. Owns the descriptors and a thread that takes them in: the daemon may be sending while
 * the main thread waits for an answer from it.
 */
#ifndef TOOLS_KEEPER_H
#define TOOLS_KEEPER_H

#include <stddef.h>

#define KEEPER_ROOM 24000	/* descriptors */
#define KEEPER_FIRST_FD 3	/* SD_LISTEN_FDS_START */
#define KEEPER_NAMES_MAX 131000 /* bytes of one environment variable, less the name */

struct keeper;

/* listens on RUNDIR/keeper.sock; the folder must be there. 0 or -errno, logged */
int keeper_new(const char *rundir, struct keeper **ret_keeper);
struct keeper *keeper_free(struct keeper *k); /* NULL */

/* what a process needs to get the descriptors: for its fork and exec, then to be freed */
struct keeper_loan {
	char **envp;	/* with NOTIFY_SOCKET, FDSTORE and LISTEN_* */
	char *pid_text; /* of LISTEN_PID=, KEEPER_PID_LEN characters: for the child to fill in */
	int *fds; /* copies with numbers behind KEEPER_FIRST_FD + nr; where they go is KEEPER_FIRST_FD + i */
	size_t nr;
};
#define KEEPER_PID_LEN 10

/* takes in what was sent before the daemon died. 0 or -errno */
int keeper_lend(struct keeper *k, struct keeper_loan *ret_loan);
void keeper_loan_fini(struct keeper_loan *loan);
/* in the child, before exec: async-signal-safe. 0 or -1 */
int keeper_loan_apply(const struct keeper_loan *loan);

size_t keeper_count(struct keeper *k);

#endif
