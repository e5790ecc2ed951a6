/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "common/cleanup.h"

#include "blkbackd/blk_ring.h"
#include "blkbackd/image.h"

static const char *strip_prefix(const char *params)
{
	static const char *const prefixes[] = { "raw:", "aio:" };

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		if (!strncmp(params, prefixes[i], strlen(prefixes[i])))
			return params + strlen(prefixes[i]);
	}
	return params;
}

/*
 * Non-blocking, so that a FIFO or a drive without a medium cannot hold us up; the flag goes
 * afterwards, because io_uring would answer -EAGAIN instead of waiting. O_EXCL on a device keeps
 * mounts away.
 */
static int open_fd(const char *path, bool readonly, int *ret_fd)
{
	int flags = (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	if (S_ISBLK(st.st_mode) && !readonly)
		flags |= O_EXCL;
	else if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return -ENOTBLK;
	fd = open(path, flags);
	if (fd < 0)
		return -errno;
	if (fcntl(fd, F_SETFL, 0) < 0)
		return -errno;
	*ret_fd = steal_fd(&fd);
	return 0;
}

static int lock_fd(int fd, bool readonly)
{
	struct flock lock = { .l_type = readonly ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
}

/* The type is looked at again here: the path may have changed since open_fd(). */
static int read_geometry(struct image *img)
{
	uint64_t bytes;
	struct stat st;

	if (fstat(img->fd, &st) < 0)
		return -errno;
	img->is_device = S_ISBLK(st.st_mode);
	img->sector_size = img->physical_size = BLK_SECTOR;
	if (img->is_device) {
		if (ioctl(img->fd, BLKGETSIZE64, &bytes) < 0 ||
		    ioctl(img->fd, BLKSSZGET, &img->sector_size) < 0 ||
		    ioctl(img->fd, BLKPBSZGET, &img->physical_size) < 0)
			return -errno;
	} else if (S_ISREG(st.st_mode)) {
		bytes = (uint64_t)st.st_size;
	} else {
		return -ENOTBLK;
	}
	if (img->sector_size != 512 && img->sector_size != 4096)
		return -EINVAL;
	img->sectors = bytes / img->sector_size * (img->sector_size / BLK_SECTOR);
	return img->sectors ? 0 : -EINVAL;
}

int image_open(const char *params, bool readonly, struct image **ret_image)
{
	const char *path = strip_prefix(params);
	_cleanup_(image_closep) struct image *img = NULL;
	int r;

	if (path[0] != '/')
		return -EINVAL;
	img = calloc(1, sizeof(*img) + strlen(path) + 1);
	if (!img)
		return -ENOMEM;
	strcpy(img->path, path);
	img->fd = -1;
	img->readonly = readonly;
	r = open_fd(path, readonly, &img->fd);
	if (r < 0)
		return r;
	r = lock_fd(img->fd, readonly);
	if (r < 0)
		return r;
	r = read_geometry(img);
	if (r < 0)
		return r;
	*ret_image = steal_ptr(&img);
	return 0;
}

struct image *image_close(struct image *image)
{
	if (image) {
		if (image->fd >= 0)
			close(image->fd);
		free(image);
	}
	return NULL;
}

void image_closep(struct image **image)
{
	*image = image_close(*image);
}

const char *image_strerror(int error)
{
	switch (error) {
	case -EBUSY:
		return "already in use and locked; detach it there first";
	case -EINVAL:
		return "not an absolute path, or smaller than one sector of 512 or 4096 bytes";
	case -ENOTBLK:
		return "neither a file nor a block device";
	default:
		return strerror(-error);
	}
}
