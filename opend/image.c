/* SPDX-License-Identifier: MIT */
/*
 * OPEN_IMAGE: a regular file or a block device, locked by the description that is handed out, which nobody
 * else has: who gets the lock knows that no predecessor's I/O is under way any more.
 *
 * A name is first turned into a descriptor that cannot do anything (O_PATH), what that is of is looked at,
 * and only then it is opened: a FIFO would block, a tape would be wound. Symbolic links are not followed,
 * so that who may write in a folder of images cannot point out of it; below /dev, where they are udev's,
 * they may lead to other places below /dev.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/cleanup.h"

#include "opend/opend.h"

static int open_beneath(int folder, const char *path, uint64_t resolve)
{
	const struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = resolve };
	long fd = syscall(SYS_openat2, folder, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

/* What the name means, or -errno. */
static int find(const char *path, bool any)
{
	static const char dev[] = "/dev/";
	_cleanup_close_ int folder = -1;

	if (any)
		return open_beneath(AT_FDCWD, path, RESOLVE_NO_MAGICLINKS);
	if (strncmp(path, dev, strlen(dev)) != 0)
		return open_beneath(AT_FDCWD, path, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
	folder = open(dev, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return -errno;
	return open_beneath(folder, path + strlen(dev), RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
}

/*
 * Non-blocking, because of drives without a medium; the flag goes afterwards: io_uring would answer -EAGAIN
 * instead of waiting. O_EXCL on a device keeps mounts away.
 */
static int open_found(int found, mode_t type, bool writable)
{
	int flags = (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	_cleanup_close_ int fd = -1;
	char path[64];

	if (S_ISBLK(type) && writable)
		flags |= O_EXCL;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", found);
	fd = open(path, flags);
	if (fd < 0 || fcntl(fd, F_SETFL, 0) < 0)
		return -errno;
	return steal_fd(&fd);
}

static int lock(int fd, bool writable)
{
	struct flock l = { .l_type = writable ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, F_OFD_SETLK, &l) == 0)
		return 0;
	return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
}

/* A number of /sys/dev/block/MAJOR:MINOR/queue, or of the whole disk's for a partition; 0: not there */
static unsigned long long queue_limit(dev_t dev, const char *name)
{
	static const char *const folders[] = { "queue", "../queue" };
	unsigned long long value = 0;

	for (size_t i = 0; i < ARRAY_SIZE(folders) && value == 0; i++) {
		char path[128];
		FILE *f;

		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s/%s", major(dev), minor(dev),
			 folders[i], name);
		f = fopen(path, "re");
		if (!f)
			continue;
		if (fscanf(f, "%llu", &value) != 1)
			value = 0;
		fclose(f);
	}
	return value;
}

/* Of a device: its opener may look, its user may not. */
static uint32_t discard_granularity(const struct stat *st)
{
	unsigned long long bytes;

	if (!S_ISBLK(st->st_mode) || queue_limit(st->st_rdev, "discard_max_bytes") == 0)
		return 0;
	bytes = queue_limit(st->st_rdev, "discard_granularity");
	return bytes <= INT32_MAX ? (uint32_t)bytes : 0;
}

static const char *why(int error)
{
	switch (error) {
	case -ELOOP:
		return "a part of the path is a symbolic link; name the place itself";
	case -EXDEV:
		return "it leads out of /dev";
	case -ENOTBLK:
		return "neither a file nor a block device";
	case -EBUSY:
		return "already in use and locked; detach it there first";
	default:
		return strerror(-error);
	}
}

static int open_image(const char *path, bool any, bool writable, struct result *result)
{
	_cleanup_close_ int found = -1, fd = -1;
	struct stat st;
	int r;

	found = find(path, any);
	if (found < 0)
		return found;
	if (fstat(found, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return -ENOTBLK;
	fd = open_found(found, st.st_mode, writable);
	if (fd < 0)
		return fd;
	r = lock(fd, writable);
	if (r < 0)
		return r;
	result->value = discard_granularity(&st);
	result->fds[result->nr_fds++] = steal_fd(&fd);
	return 0;
}

int image_op(const struct conf *conf, const char *service, const struct open_request *request,
	     struct result *result)
{
	bool writable = request->flags & OPEN_WRITABLE;
	const char *path = request->strings[0];
	int r;

	if (request->nr_strings != 1 || !conf_path_plain(path))
		return result_error(result, -EINVAL,
				    "an image is named by an absolute path without //, . and ..");
	if (!conf_allows(conf, service, CONF_WRITABLE, path) &&
	    (writable || !conf_allows(conf, service, CONF_READONLY, path)))
		return result_error(result, -EPERM, "opend.conf does not let %s %s it", service,
				    writable ? "write" : "read");
	r = open_image(path, conf->any, writable, result);
	return r < 0 ? result_error(result, r, "%s", why(r)) : 0;
}
