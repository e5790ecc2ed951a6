/* SPDX-License-Identifier: MIT */
/*
 * A disk image: a raw file or a block device, opened and locked. Formats are never probed. The lock
 * is an OFD lock on a description that nobody else gets, so that a successor that has the lock
 * knows that the predecessor's I/O is over.
 */
#ifndef BLKBACKD_IMAGE_H
#define BLKBACKD_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

struct image {
	int fd;
	bool readonly;
	bool is_device;
	uint64_t sectors;	    /* of 512 bytes */
	unsigned int sector_size;   /* logical, in bytes */
	unsigned int physical_size; /* physical sector, in bytes */
	char path[];
};

/*
 * The image named by a toolstack's `params` ("raw:" or "aio:" in front is taken off), read-write
 * with an exclusive lock or read-only with a shared one. errno of open(2), -EBUSY somebody has it
 * locked, -EINVAL no absolute path, smaller than a sector, or an odd sector size, -ENOTBLK neither
 * file nor block device.
 */
int image_open(const char *params, bool readonly, struct image **ret_image);
struct image *image_close(struct image *image); /* NULL */
void image_closep(struct image **image);

/* one line for a person about what image_open() returned */
const char *image_strerror(int error);

#endif
