/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "common/cleanup.h"
#include "common/options.h"

#include "blkbackd/blk_ring.h"
#include "blkbackd/image.h"
#include "blkbackd/nbd_dial.h"

int image_size(const struct image *img, uint64_t *ret_sectors)
{
	uint64_t bytes;
	struct stat st;

	if (img->fd < 0) {
		*ret_sectors = img->sectors;
		return 0;
	}
	if (img->is_device) {
		if (ioctl(img->fd, BLKGETSIZE64, &bytes) < 0)
			return -errno;
	} else {
		if (fstat(img->fd, &st) < 0)
			return -errno;
		bytes = (uint64_t)st.st_size;
	}
	*ret_sectors = bytes / img->sector_size * (img->sector_size / BLK_SECTOR);
	return 0;
}

static int update_size(struct image *img)
{
	int r = image_size(img, &img->sectors);

	return r < 0 ? r : img->sectors ? 0 : -EINVAL;
}

static int read_geometry(struct image *img)
{
	struct stat st;

	if (fstat(img->fd, &st) < 0)
		return -errno;
	img->is_device = S_ISBLK(st.st_mode);
	img->sector_size = img->physical_size = BLK_SECTOR;
	if (img->is_device) {
		if (ioctl(img->fd, BLKSSZGET, &img->sector_size) < 0 ||
		    ioctl(img->fd, BLKPBSZGET, &img->physical_size) < 0)
			return -errno;
	} else if (!S_ISREG(st.st_mode)) {
		return -ENOTBLK;
	}
	if (img->sector_size != 512 && img->sector_size != 4096)
		return -EINVAL;
	return update_size(img);
}

/* A file system that cannot say "not now" has its data in memory; to ask it in the background costs more. */
static void probe_immediate(struct image *img)
{
	uint8_t byte;
	struct iovec iov = { &byte, 1 };

	img->immediate = !img->is_device && preadv2(img->fd, &iov, 1, 0, RWF_NOWAIT) < 0 &&
			 errno == EOPNOTSUPP;
}

/*
 * Behind the end of a file there is nothing to lose: whether the file system can do it shows there. Of a
 * device somebody else had to look, as we may open nothing.
 */
static void probe_discard(struct image *img, uint32_t device_granularity)
{
	const int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	uint64_t granularity = device_granularity;
	struct stat st;

	if (img->readonly || fstat(img->fd, &st) < 0)
		return;
	if (!img->is_device) {
		if (fallocate(img->fd, mode, (st.st_size + 0xfffff) & ~0xfffff, 4096) < 0)
			return;
		granularity = (uint64_t)st.st_blksize;
	}
	if (granularity == 0 || granularity > INT32_MAX || granularity % BLK_SECTOR)
		return;
	img->discard = true;
	img->discard_granularity = (uint32_t)granularity;
}

static int image_new(const char *name, int fd, bool readonly, struct image **ret_image)
{
	struct image *img = calloc(1, sizeof(*img) + strlen(name) + 1);

	if (!img) {
		closep(&fd);
		return -ENOMEM;
	}
	strcpy(img->path, name);
	img->fd = fd;
	img->readonly = readonly;
	*ret_image = img;
	return 0;
}

int image_adopt(const char *path, int fd, bool readonly, uint32_t granularity,
		struct image **ret_image)
{
	_cleanup_(image_closep) struct image *img = NULL;
	int r = image_new(path, fd, readonly, &img);

	if (r == 0)
		r = read_geometry(img);
	if (r < 0)
		return r;
	probe_immediate(img);
	probe_discard(img, granularity);
	*ret_image = steal_ptr(&img);
	return 0;
}

int image_null(const char *size, bool readonly, struct image **ret_image)
{
	unsigned long long bytes;
	struct image *img = NULL;
	int r;

	if (options_size(size, &bytes) < 0 || bytes < BLK_SECTOR)
		return -EINVAL;
	r = image_new("null", -1, readonly, &img);
	if (r < 0)
		return r;
	img->sector_size = img->physical_size = BLK_SECTOR;
	img->sectors = bytes / BLK_SECTOR;
	img->immediate = true;
	*ret_image = img;
	return 0;
}

int image_nbd(const char *name, const struct nbd_export *exp, bool readonly,
	      struct image **ret_image)
{
	struct image *img = NULL;
	int r;

	if (exp->readonly && !readonly)
		return -EROFS;
	r = image_new(name, -1, readonly, &img);
	if (r < 0)
		return r;
	img->nbd = true;
	img->sector_size = exp->sector_size;
	img->physical_size = exp->physical_size;
	img->sectors = exp->size / exp->sector_size * (exp->sector_size / BLK_SECTOR);
	img->discard = !readonly && (exp->trim || exp->zero);
	img->discard_granularity = 4096; /* what is less no server can give back */
	*ret_image = img;
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

/* A sector in the middle of a page, as guests read them: where that does not work, O_DIRECT is of no use. */
static bool direct_works(const struct image *img)
{
	uint8_t *buf = aligned_alloc(4096, 8192);
	uint64_t at = img->sectors > img->sector_size / BLK_SECTOR ? img->sector_size : 0;
	bool ok = buf && pread(img->fd, buf + img->sector_size % 4096, img->sector_size,
			       (off_t)at) == (ssize_t)img->sector_size;

	free(buf);
	return ok;
}

void image_set_direct(struct image *img)
{
	if (img->fd < 0 || fcntl(img->fd, F_SETFL, O_DIRECT) < 0)
		return;
	img->direct = direct_works(img);
	if (!img->direct)
		(void)fcntl(img->fd, F_SETFL, 0);
}

int image_set_sector_size(struct image *img, unsigned int logical, unsigned int physical)
{
	if (img->is_device)
		return -EPERM;
	if ((logical != 512 && logical != 4096) || physical < logical || physical > 65536 ||
	    (physical & (physical - 1)))
		return -EINVAL;
	img->sector_size = logical;
	img->physical_size = physical;
	img->sectors -= img->sectors % (logical / BLK_SECTOR);
	return img->sectors ? 0 : -EINVAL;
}

int image_discard(const struct image *img, uint64_t offset, uint64_t len)
{
	uint64_t range[2] = { offset, len };

	if (img->is_device)
		return ioctl(img->fd, BLKDISCARD, range) < 0 ? -errno : 0;
	return fallocate(img->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
			 (off_t)len) < 0
		       ? -errno
		       : 0;
}

const char *image_strerror(int error)
{
	switch (error) {
	case -EINVAL:
		return "smaller than one sector of 512 or 4096 bytes";
	case -ENOTBLK:
		return "neither a file nor a block device";
	case -EROFS:
		return "the server lets nobody write it; give the disk to the guest as read-only";
	default:
		return strerror(-error);
	}
}
