/* SPDX-License-Identifier: MIT */
/*
 * A private set: bridged, xenstored and the back ends, started for this run, in a run directory of their
 * own, under our user. Convenience, not separation: they all have the same rights.
 */
#ifndef TOOLS_PRIVATE_SET_H
#define TOOLS_PRIVATE_SET_H

#include <stdbool.h>

#include "tools/process.h"

enum {
	SET_BRIDGED,
	SET_XENSTORED,
	SET_OPEND,
	SET_BLKBACKD,
	SET_NETBACKD,
	SET_MAX,
};

#define SET_RESTARTS_MAX 5   /* of one daemon, */
#define SET_RESTARTS_TIME 60 /* in so many seconds */

struct private_set {
	char rundir[64];
	bool own_rundir; /* made by us: removed at the end */
	struct process daemons[SET_MAX];
	long long restarts[SET_MAX][SET_RESTARTS_MAX]; /* when, in seconds; round */
	unsigned int nr_restarts[SET_MAX];
	int poll_fd;	       /* epoll: the ends of all daemons */
	struct keeper *keeper; /* of bridged's descriptors */
};

/* rundir NULL: a fresh one. 0 or -errno, logged; on failure nothing is left running */
int private_set_start(struct private_set *set, const char *rundir);
/* ends them in reverse order, removes the run directory. -ECHILD when one ended with another status than 0 */
int private_set_stop(struct private_set *set);
/* readable: private_set_lost() has something to do */
int private_set_fd(const struct private_set *set);
/* Starts those again that have ended. The name of one that ends again and again (logged), else NULL */
const char *private_set_lost(struct private_set *set);

#endif
