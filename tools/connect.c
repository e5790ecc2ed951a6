/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bridge.h"
#include "common/log.h"
#include "tools/connect.h"

const char *connect_rundir(const char *rundir)
{
	const char *env = getenv("XENHOST_RUNDIR");

	if (rundir)
		return rundir;
	return env && *env ? env : XENHOST_RUNSTATEDIR;
}

int connect_host(const char *rundir, xenhost_t **ret_host)
{
	char uri[256] = "bridge:";
	int n = 0, r;

	if (rundir)
		n = snprintf(uri, sizeof(uri), "bridge:%s/" BRIDGE_SOCKET_TOOL, rundir);
	r = n >= (int)sizeof(uri) ? -ENAMETOOLONG : xenhost_open(uri, 0, ret_host);
	if (r < 0)
		log_error("cannot reach xenhost-bridged in %s: %s; does it run? "
			  "systemctl start xenhost.target starts it, --rundir names another place",
			  connect_rundir(rundir), strerror(-r));
	return r;
}

void connect_no_domain(const char *what, const char *which, int error)
{
	if (error == -ESRCH || error == -ENOENT)
		log_error("there is no %s %s; xenhost domain list shows those there are", what,
			  which);
	else
		log_error("cannot look for the %s %s: %s", what, which, strerror(-error));
}
