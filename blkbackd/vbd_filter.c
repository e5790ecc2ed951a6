/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <fcntl.h>
#include <linux/fs.h>

#include "backend/confine.h"
#include "common/cleanup.h"

#include "blkbackd/vbd_filter.h"

static const int always[] = {
	SCMP_SYS(openat),
	SCMP_SYS(readv),
	SCMP_SYS(writev),
	SCMP_SYS(pread64),
	SCMP_SYS(pwrite64),
	SCMP_SYS(preadv),
	SCMP_SYS(pwritev),
	SCMP_SYS(pwritev2),
	SCMP_SYS(fdatasync),
	SCMP_SYS(fallocate),
	SCMP_SYS(lseek),
	SCMP_SYS(stat),
	SCMP_SYS(statx),
	SCMP_SYS(readlink),
	SCMP_SYS(io_uring_setup),
	SCMP_SYS(io_uring_enter),
	SCMP_SYS(io_uring_register),
};

static const unsigned long requests[] = { BLKGETSIZE64, BLKSSZGET, BLKPBSZGET, BLKDISCARD };

/* no F_SETFL on a whim: O_DIRECT on, O_NONBLOCK off are the image's, before it is used */
static const int commands[] = { F_SETFL, F_OFD_SETLK };

const struct filter vbd_filter = {
	.base = &confine_base,
	.always = always,
	.nr_always = ARRAY_SIZE(always),
	.requests = requests,
	.nr_requests = ARRAY_SIZE(requests),
	.commands = commands,
	.nr_commands = ARRAY_SIZE(commands),
};
