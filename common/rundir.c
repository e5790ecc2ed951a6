/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/rundir.h"

static int make(const char *path, mode_t mode)
{
	if (mkdir(path, mode) == 0 || errno == EEXIST)
		return 0;
	return -errno;
}

int rundir_make(const char *rundir, const char *folder, mode_t mode)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/%s", rundir, folder);
	int r = n < 0 || (size_t)n >= sizeof(path) ? -ENAMETOOLONG : make(rundir, mode);

	if (r == 0)
		r = make(path, mode);
	if (r < 0)
		log_error("cannot make the folder %s/%s: %s; name another place with --rundir",
			  rundir, folder, strerror(-r));
	return r;
}

int rundir_lock(const char *rundir, const char *file, const char *program, int *ret_fd)
{
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/%s", rundir, file);

	if (n >= 0 && (size_t)n < sizeof(path))
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	else
		errno = ENAMETOOLONG;
	if (fd < 0) {
		int r = -errno;

		log_error("cannot open the lock %s/%s: %s; name another place with --rundir",
			  rundir, file, strerror(-r));
		return r;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		log_error("another %s serves %s; end that first, or use another --rundir", program,
			  rundir);
		return -EBUSY;
	}
	*ret_fd = steal_fd(&fd);
	return 0;
}
