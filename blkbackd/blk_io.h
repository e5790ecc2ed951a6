/* SPDX-License-Identifier: MIT */
/*
 * Disk I/O of one queue: operations are collected, started together, and end in callbacks from the
 * event loop. io_uring where the kernel lets us have it, else the same with preadv and pwritev,
 * which then block the loop.
 */
#ifndef BLKBACKD_BLK_IO_H
#define BLKBACKD_BLK_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "common/list.h"

struct blk_io;
struct event_base;

enum blk_io_kind {
	BLK_IO_READ,
	BLK_IO_WRITE,
	BLK_IO_FLUSH, /* everything that was answered before it is on the medium */
};

enum blk_io_engine {
	BLK_IO_AUTO,
	BLK_IO_URING,
	BLK_IO_SYNC,
};

/* The caller's memory, like iov, until done() was called. */
struct blk_io_op {
	enum blk_io_kind kind;
	struct iovec *iov;
	unsigned int nr_iov;
	uint64_t offset; /* in bytes */
	uint64_t len;
	void (*done)(struct blk_io_op *op, int result); /* 0 or -errno; all bytes or an error */

	/* of blk_io.c */
	struct list link;
	unsigned int at;    /* the iov that is being filled, shortened; */
	struct iovec saved; /* what it was */
	uint64_t moved;
};

/*
 * depth: operations at a time. batch(data) follows each group of done() calls that did not come out
 * of blk_io_kick() or blk_io_drain(). BLK_IO_URING: -errno of io_uring_setup(2) where it cannot be
 * had.
 */
int blk_io_new(struct event_base *base, int fd, unsigned int depth, enum blk_io_engine engine,
	       void (*batch)(void *data), void *data, struct blk_io **ret_io);
struct blk_io *blk_io_free(struct blk_io *io); /* NULL; nothing may be under way: blk_io_drain() */
void blk_io_freep(struct blk_io **io);

const char *blk_io_name(const struct blk_io *io); /* of the engine */

/* Collects; done() may call it. Starts with blk_io_kick(), or by itself after a done() of the
 * loop's. */
void blk_io_submit(struct blk_io *io, struct blk_io_op *op);
/* Starts what was collected; done() of what ended at once is called from inside. */
void blk_io_kick(struct blk_io *io);
/* Blocks until everything submitted is done. */
void blk_io_drain(struct blk_io *io);

#endif
