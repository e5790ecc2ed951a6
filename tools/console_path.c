/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "tools/connect.h"
#include "tools/console_path.h"

static int folder(const char *rundir, char *path, size_t size)
{
	int n = snprintf(path, size, "%s/console", connect_rundir(rundir));

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : n;
}

int console_path(const char *rundir, const char *name, char *path, size_t size)
{
	int n = folder(rundir, path, size), m;

	if (n < 0)
		return n;
	m = snprintf(path + n, size - (size_t)n, "/%s.sock", name);
	return m < 0 || (size_t)m >= size - (size_t)n ? -ENAMETOOLONG : 0;
}

int console_path_make(const char *rundir)
{
	char path[256];
	int r = folder(rundir, path, sizeof(path));

	if (r < 0)
		return r;
	return mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
}
