/* SPDX-License-Identifier: MIT */
/*
 * What every daemon has in common: options, run directory, readiness, signals, end with the parent.
 * Only main.c uses it. Not thread safe.
 */
#ifndef COMMON_DAEMON_H
#define COMMON_DAEMON_H

#include <stdbool.h>

#include "common/options.h"

struct event_base;

struct daemon {
	const char *name;    /* of the program, as in messages */
	const char *purpose; /* one line for --help */
	const char *rundir;  /* --rundir, XENHOST_RUNDIR or the built-in one */
	int ready_fd;	     /* --ready-fd, -1 without */
	bool verbose;
	struct event_base *base;
	struct event *signals[2];
	struct event *watchdog; /* NULL: systemd does not ask for one */
};

/*
 * Reads the common options (--rundir --ready-fd --exit-with-parent --verbose --help --version) and those
 * of `extra` (ends with a NULL name). 0 = go on, 1 = help or version was printed (exit 0),
 * -EINVAL = a usage error was printed (exit 2). Opens the log, ignores SIGPIPE, blocks no signal.
 */
int daemon_options(struct daemon *d, int argc, char **argv, const struct option_spec *extra,
		   void *data);

/* as many descriptors as the system lets us have: for who has some for each client or guest */
void daemon_raise_descriptors(void);

/* the event loop, ended by SIGTERM and SIGINT. 0 or -errno, logged */
int daemon_loop_new(struct daemon *d);
void daemon_loop_free(struct daemon *d);

/*
 * Says "READY\n" on --ready-fd and READY=1 to systemd, and from then on that the loop turns if systemd wants to
 * hear it. 0 or -errno, logged
 */
int daemon_ready(struct daemon *d);

/* daemon_ready(), and the loop until its end. 0 or -errno, logged */
int daemon_run(struct daemon *d);

/* the URI by which a service reaches this run directory's bridged. 0 or -ENAMETOOLONG, logged */
int daemon_service_uri(const struct daemon *d, const char *service, char *buf, unsigned long size);

/* RUNDIR/suffix in a static buffer of the caller. 0 or -ENAMETOOLONG */
int daemon_path(const struct daemon *d, const char *suffix, char *buf, unsigned long size);

#endif
