/* SPDX-License-Identifier: MIT */
/*
 * A disk image: a raw file or a block device, opened and locked by somebody else (xenhost-opend). Formats
 * are never probed.
 */
#ifndef BLKBACKD_IMAGE_H
#define BLKBACKD_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

struct nbd_export;

struct image {
	int fd;	  /* -1: there is no medium, "null:SIZE", or */
	bool nbd; /* a server has it */
	bool readonly;
	bool is_device;
	bool direct;	/* O_DIRECT: the host's page cache is not in between */
	bool immediate; /* memory, as tmpfs: nothing is gained by waiting for it in the background */
	bool discard;
	uint32_t discard_granularity; /* bytes */
	uint32_t discard_alignment;
	uint64_t sectors;	    /* of 512 bytes */
	unsigned int sector_size;   /* logical, in bytes */
	unsigned int physical_size; /* physical sector, in bytes */
	char path[];
};

/*
 * The image that fd is of, which is taken over in any case; path is for messages. granularity: of a device's
 * discards in bytes, 0: it has none. -EINVAL smaller than a sector, or an odd sector size, -ENOTBLK neither
 * file nor block device.
 */
int image_adopt(const char *path, int fd, bool readonly, uint32_t granularity,
		struct image **ret_image);
/* Stores nothing, for measurements. size: in bytes, or with K, M, G. -EINVAL */
int image_null(const char *size, bool readonly, struct image **ret_image);
/* A server's. -EROFS: it is to be written, and may not be */
int image_nbd(const char *name, const struct nbd_export *exp, bool readonly,
	      struct image **ret_image);
struct image *image_close(struct image *image); /* NULL */
void image_closep(struct image **image);

/* Past the host's page cache from now on, if it can be. */
void image_set_direct(struct image *image);

/* A file's sectors are as large as one says: 512 or 4096, physical not smaller. -EINVAL, -EPERM a device */
int image_set_sector_size(struct image *image, unsigned int logical, unsigned int physical);

/* the size as it is now, in sectors of 512 bytes: 0, or -errno */
int image_size(const struct image *image, uint64_t *ret_sectors);

/* Blocks for long: gives the range's space back, what is read there afterwards is undefined. 0 or -errno */
int image_discard(const struct image *image, uint64_t offset, uint64_t len);

/* one line for a person about what image_adopt() returned */
const char *image_strerror(int error);

#endif
