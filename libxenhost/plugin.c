/* SPDX-License-Identifier: MIT */
/*
 * Transports of others: SCHEME.so in $libdir/xenhost/transports, or in $XENHOST_TRANSPORTS, which counts
 * only in programs that have no more rights than their user. Such a file becomes a part of the process,
 * so root takes none that somebody else could have written: folder and file must be root's and writable
 * by nobody else. What was checked is what is loaded: both are looked at through open descriptors. A
 * plug-in stays loaded for good, as the table of transports points into it.
 */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libxenhost/internal.h"

#include "common/cleanup.h"

#define SYMBOL "xenhost_transport_plugin"

static bool trusted(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return false;
	if (geteuid() != 0)
		return true;
	return st.st_uid == 0 && !(st.st_mode & (S_IWGRP | S_IWOTH));
}

static int open_plugin(const char *dir, const char *scheme)
{
	_cleanup_close_ int dirfd = -1, fd = -1;
	char name[XH_SCHEME_MAX + 8];

	snprintf(name, sizeof(name), "%s.so", scheme);
	dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return -errno;
	fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	return trusted(dirfd) && trusted(fd) ? steal_fd(&fd) : -EACCES;
}

static int load(xenhost_t *host, int fd, const char *scheme)
{
	const struct xenhost_transport_ops *ops;
	char path[32];
	void *library;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (!library) {
		xh_trace(host, XENHOST_LOG_TRANSPORT, "%s.so: %s", scheme, dlerror());
		return -ELIBBAD;
	}
	ops = dlsym(library, SYMBOL);
	if (!ops || !ops->scheme || strcmp(ops->scheme, scheme)) {
		xh_trace(host, XENHOST_LOG_TRANSPORT, "%s.so: no " SYMBOL " of that scheme",
			 scheme);
		dlclose(library);
		return -ELIBBAD;
	}
	return xenhost_register_transport(ops);
}

int xh_plugin_load(xenhost_t *host, const char *scheme)
{
	const char *dir = secure_getenv("XENHOST_TRANSPORTS");
	_cleanup_close_ int fd = -1;
	int r;

	if (!dir || !*dir)
		dir = XENHOST_TRANSPORTDIR;
	fd = open_plugin(dir, scheme);
	if (fd < 0) {
		xh_trace(host, XENHOST_LOG_TRANSPORT, "%s/%s.so: %s", dir, scheme, strerror(-fd));
		return fd == -ENOENT || fd == -ENOTDIR ? -EPROTONOSUPPORT : fd;
	}
	r = load(host, fd, scheme);
	return r == -EEXIST ? 0 : r; /* another thread was faster */
}
