/* SPDX-License-Identifier: MIT */
/*
 * Disk I/O of one queue: operations are collected, started together, and end in callbacks from the
 * event loop. io_uring where the kernel lets us have it; else, and for images in memory, the same with
 * preadv and pwritev, which then block the loop. Neighbours on the disk that stand next to each other
 * are done as one.
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
struct io_uring;
struct nbd_handle;

enum blk_io_kind {
	BLK_IO_READ,
	BLK_IO_WRITE,
	BLK_IO_FLUSH,	/* everything that was answered before it is on the medium */
	BLK_IO_DISCARD, /* of BLK_IO_NBD only; blk_slow.h does the others. No iov */
};

enum blk_io_engine {
	BLK_IO_AUTO,
	BLK_IO_URING,
	BLK_IO_SYNC,
	BLK_IO_NULL, /* does nothing: no medium */
	BLK_IO_NBD,  /* by a server; see blk_io_connect() */
};

/* The caller's memory, like iov, until done() was called. */
struct blk_io_op {
	enum blk_io_kind kind;
	bool fua; /* a write that is on the medium when it is done */
	struct iovec *iov;
	unsigned int nr_iov;
	unsigned int
		room; /* of iov[]: what is behind nr_iov may be used to append neighbours; or 0 */
	uint64_t offset; /* in bytes */
	uint64_t len;
	void (*done)(struct blk_io_op *op, int result); /* 0 or -errno; all bytes or an error */

	/* of blk_io.c */
	struct list link;
	struct list merged; /* done as a part of this one */
	uint64_t total;	    /* bytes, with those */
	bool alone;	    /* as a part of another it did not work */
	unsigned int at;    /* the iov that is being filled, shortened; */
	struct iovec saved; /* what it was */
	uint64_t moved;
};

struct blk_io_config {
	int fd;
	int fence_fd; /* kept open by the kernel until its last request of ours is over; or -1 */
	unsigned int depth;	   /* operations at a time */
	enum blk_io_engine engine; /* AUTO: uring, or sync where it cannot be had */
	/* follows each group of done() calls that did not come out of blk_io_kick() or blk_io_drain() */
	void (*batch)(void *data);
	void (*lost)(void *data); /* of BLK_IO_NBD: blk_io_connect() is wanted */
	void *data;
};

/* BLK_IO_URING: -errno of io_uring_setup(2) where it cannot be had. Nothing runs yet. Any thread */
int blk_io_new(const struct blk_io_config *config, struct blk_io **ret_io);
/* From now on it belongs to the thread of base. 0 or -errno */
int blk_io_start(struct blk_io *io, struct event_base *base);
/* NULL; nothing may be under way. In its thread, or before it was started */
struct blk_io *blk_io_free(struct blk_io *io);
void blk_io_freep(struct blk_io **io);

const char *blk_io_name(const struct blk_io *io); /* of the engine */
uint64_t blk_io_merged(const struct blk_io *io);  /* operations that were part of another */

/*
 * BLK_IO_NBD has no connection until it gets one, and asks for another by lost() when it goes; what is under
 * way waits. The handle is taken over. After giving up there is none any more, and what waits for one is
 * done() with -ECANCELED. Nothing happens with other engines.
 */
void blk_io_connect(struct blk_io *io, struct nbd_handle *handle);
void blk_io_give_up(struct blk_io *io);

/* for tests; NULL: there is none */
struct io_uring *blk_io_ring(struct blk_io *io);

/* Collects; done() may call it. Starts with blk_io_kick(), or by itself after a done() of the
 * loop's. */
void blk_io_submit(struct blk_io *io, struct blk_io_op *op);
/* Starts what was collected; done() of what ended at once is called from inside. */
void blk_io_kick(struct blk_io *io);
/* looks whether something is done, without the loop; done() is called from inside */
void blk_io_poll(struct blk_io *io);
/* Blocks until everything submitted is done. */
void blk_io_drain(struct blk_io *io);

#endif
