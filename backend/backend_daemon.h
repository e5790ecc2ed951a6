/* SPDX-License-Identifier: MIT */
/*
 * A back end as a program: options, one host, one driver, one event loop. Only main.c uses it; it runs
 * once in a process.
 */
#ifndef BACKEND_BACKEND_DAEMON_H
#define BACKEND_BACKEND_DAEMON_H

#include <stdbool.h>

#include <xenhost/backend.h>

#include "common/options.h"
#include "common/service.h"

struct event_base;
struct filter;
struct opener;

struct backend_daemon {
	const char *name;	       /* of the program */
	const char *purpose;	       /* one line for --help */
	enum service_id service;       /* whose socket the default host is */
	unsigned int open_flags;       /* of xenhost_open() */
	const struct filter *confined; /* by confine.h, once everything is there; NULL: not */
	const struct xenhost_backend_ops *ops;
	const struct option_spec
		*options; /* beside the common ones; ends with a NULL name, or NULL */
	void *driver;	  /* for the options and xenhost_backend_data() */
	/* before the first device, after the last one; optional. start gives 0 or -errno, logged */
	int (*start)(void *driver, struct event_base *base, struct opener *opener);
	void (*stop)(void *driver);
};

/* Serves until SIGTERM or until the host is lost. The exit status: 0, 1, or 2 for usage */
int backend_daemon_run(const struct backend_daemon *spec, int argc, char **argv);

#endif
