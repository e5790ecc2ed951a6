/* SPDX-License-Identifier: MIT */
/*
 * One qemu-nbd(8), for a disk whose image is no raw one: started, watched and ended by us; xenhost-blkbackd finds its
 * socket in the disk's nodes. It is confined before it begins, to its own image and those that this one names, and
 * ends with us, also when we are killed. The socket is ours: it stays while another qemu-nbd takes over, and
 * requests wait in it.
 */
#ifndef TOOLS_IMAGE_SERVER_H
#define TOOLS_IMAGE_SERVER_H

#include <stdbool.h>

#include "tools/process.h"

#define IMAGE_SERVER_SOCKET_MAX 108u

struct image_server {
	/* the caller's */
	char socket[IMAGE_SERVER_SOCKET_MAX]; /* SOCKET.log beside it is what qemu-nbd says */
	const char *path, *format;	      /* absolute; qcow2 */
	bool read_only, backing;	      /* backing: images that it names may be read */

	int listening; /* -1 or the socket */
	struct process process;
};

/* returns when it serves. -errno, logged */
int image_server_start(struct image_server *s);
/* another one in the place of one that has ended; the same */
int image_server_again(struct image_server *s);
void image_server_stop(struct image_server *s);

/*
 * Can it be served, as far as its head says? Also for one that does not run. -errno, logged. An image that belongs to
 * others (-EACCES) is an error here, too.
 */
int image_server_check(const struct image_server *s);

#endif
