/* SPDX-License-Identifier: MIT */
/* The host that a subcommand works on: the tools' socket of the run directory it was given. */
#ifndef TOOLS_CONNECT_H
#define TOOLS_CONNECT_H

#include <xenhost/xenhost.h>

/* rundir, or where NULL leads to: $XENHOST_RUNDIR, if that is set and not empty, or the system's */
const char *connect_rundir(const char *rundir);

/* rundir as above. 0 or -errno, logged */
int connect_host(const char *rundir, xenhost_t **ret_host);

/* logs why a domain or a guest (what) of that name or domid was not found */
void connect_no_domain(const char *what, const char *which, int error);

#endif
