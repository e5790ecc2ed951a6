/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/kernel_cache.h"

static const char *value(const char *name)
{
	const char *v = getenv(name);

	return v && *v ? v : NULL;
}

static int put(char *path, size_t size, const char *first, const char *rest)
{
	int n = snprintf(path, size, "%s%s", first, rest);

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

static int make(const char *path)
{
	return mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

/* of the user: $XDG_CACHE_HOME/xenhost, or $HOME/.cache/xenhost */
static int users(char *path, size_t size)
{
	const char *base = value("XDG_CACHE_HOME"), *home = value("HOME");
	int r;

	if (!base && !home)
		return -ENOENT;
	r = put(path, size, base ? base : home, base ? "" : "/.cache");
	if (r == 0)
		r = make(path);
	if (r == 0)
		r = put(path + strlen(path), size - strlen(path), "/xenhost", "");
	if (r == 0)
		r = make(path);
	return r < 0 ? r : put(path + strlen(path), size - strlen(path), "/kernels", "");
}

int kernel_cache(char *path, size_t size)
{
	const char *own = value("XENHOST_KERNEL_CACHE"), *service = value("CACHE_DIRECTORY");

	if (own)
		return strcmp(own, "none") == 0 ? -ENOENT : put(path, size, own, "");
	return service ? put(path, size, service, "/kernels") : users(path, size);
}
