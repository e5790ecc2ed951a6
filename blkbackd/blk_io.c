/* SPDX-License-Identifier: MIT */
/*
 * Owns an io_uring instance and the lists of operations on their way. One thread, from blk_io_start() on.
 * An operation is in exactly one place: todo (collected), in the kernel, part of one that is there (merged), flush_waiting (collected, or waiting for
 * the flush that is under way: that one may have begun before the writes it has to cover were
 * answered), or flush_running (one fdatasync for all of them). done() callbacks may submit; they
 * never free the engine.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#include <event2/event.h>
#include <liburing.h>

#include "common/cleanup.h"
#include "common/log.h"

#include "blkbackd/blk_io.h"
#include "blkbackd/blk_nbd.h"

#define MERGE_MAX (1u << 20)

/*
 * A ring may get the address of one that another thread has just given up. The kernel sees to the order
 * of that; the lock tells thread sanitizers, which do not know liburing's system calls.
 */
static pthread_mutex_t ring_memory = PTHREAD_MUTEX_INITIALIZER;

struct blk_io {
	int fd;
	int fence_fd;
	bool null;
	uint64_t nr_merged;
	unsigned int nr_ops; /* submitted and not done */
	bool flushing;	     /* flush_running is in the kernel */
	struct list todo, flush_waiting, flush_running;
	void (*batch)(void *data);
	void *data;
	struct blk_nbd *nbd; /* instead of fd */

	bool uring;
	bool fixed_file; /* the image is registered as file 0, the fence as 1 */
	struct io_uring ring;
	int eventfd;
	struct event *event;
	struct event *retry; /* the kernel had no memory for a submission */
};

static void op_done(struct blk_io *io, struct blk_io_op *op, int result)
{
	if (op->at < op->nr_iov)
		op->iov[op->at] = op->saved;
	io->nr_ops--;
	op->done(op, result);
}

/* n more bytes were moved, at most what was asked for. */
static void op_advance(struct blk_io_op *op, size_t n)
{
	op->moved += n;
	while (op->at < op->nr_iov && n >= op->iov[op->at].iov_len) {
		n -= op->iov[op->at].iov_len;
		op->iov[op->at] = op->saved;
		if (++op->at < op->nr_iov)
			op->saved = op->iov[op->at];
	}
	if (n > 0) {
		op->iov[op->at].iov_base = (char *)op->iov[op->at].iov_base + n;
		op->iov[op->at].iov_len -= n;
	}
}

/* may be done as one with those in front of it? */
static bool can_follow(const struct blk_io_op *head, const struct blk_io_op *op)
{
	return op->kind == head->kind && !op->alone && !op->fua &&
	       op->offset == head->offset + head->total && op->nr_iov > 0 &&
	       head->nr_iov + op->nr_iov <= head->room && head->total + op->len <= MERGE_MAX;
}

/* The next operation, with all that follow it on the disk and in the list as a part of it. */
static struct blk_io_op *take_op(struct blk_io *io)
{
	struct blk_io_op *head = list_entry(io->todo.next, struct blk_io_op, link);

	list_remove(&head->link);
	if (head->alone || head->fua || head->moved > 0)
		return head;
	while (!list_empty(&io->todo)) {
		struct blk_io_op *op = list_entry(io->todo.next, struct blk_io_op, link);

		if (!can_follow(head, op))
			break;
		memcpy(head->iov + head->nr_iov, op->iov, op->nr_iov * sizeof(op->iov[0]));
		head->nr_iov += op->nr_iov;
		head->total += op->len;
		list_remove(&op->link);
		list_append(&head->merged, &op->link);
		io->nr_merged++;
	}
	return head;
}

/* Not all of it worked: each on its own, so that each gets its own error. */
static void split_op(struct blk_io *io, struct blk_io_op *head)
{
	struct list *after = &io->todo;

	head->alone = true;
	head->total = head->len;
	list_append(after, &head->link);
	while (!list_empty(&head->merged)) {
		struct blk_io_op *op = list_entry(head->merged.next, struct blk_io_op, link);

		head->nr_iov -= op->nr_iov;
		op->alone = true;
		list_remove(&op->link);
		list_append(after, &op->link);
	}
}

static void merged_done(struct blk_io *io, struct blk_io_op *head)
{
	while (!list_empty(&head->merged)) {
		struct blk_io_op *op = list_entry(head->merged.next, struct blk_io_op, link);

		list_remove(&op->link);
		head->nr_iov -= op->nr_iov;
		op_done(io, op, 0);
	}
	op_done(io, head, 0);
}

static ssize_t sync_once(int fd, const struct blk_io_op *op)
{
	const struct iovec *iov = op->iov + op->at;
	int nr = (int)(op->nr_iov - op->at);
	off_t offset = (off_t)(op->offset + op->moved);

	if (op->kind == BLK_IO_READ)
		return preadv(fd, iov, nr, offset);
	return op->fua ? pwritev2(fd, iov, nr, offset, RWF_DSYNC) : pwritev(fd, iov, nr, offset);
}

/* The rest of an operation, blocking. An end of the file in the middle of the disk is an error. */
static int op_sync(int fd, struct blk_io_op *op)
{
	while (op->moved < op->len) {
		ssize_t n = sync_once(fd, op);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		op_advance(op, (size_t)n);
	}
	return 0;
}

/*
 * Only an interruption is tried again: after any other error the kernel has forgotten which pages
 * it could not write, and a second fdatasync would succeed without them.
 */
static int flush_sync(int fd)
{
	int r;

	do {
		r = fdatasync(fd);
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

static void flush_done(struct blk_io *io, int result)
{
	struct list *running = &io->flush_running;

	io->flushing = false;
	while (!list_empty(running)) {
		struct blk_io_op *op = list_entry(running->next, struct blk_io_op, link);

		list_remove(&op->link);
		op_done(io, op, result);
	}
}

/* Everybody who waits gets one flush that begins now; false: none is wanted, or must wait. */
static bool flush_begin(struct blk_io *io)
{
	if (io->flushing || list_empty(&io->flush_waiting))
		return false;
	while (!list_empty(&io->flush_waiting)) {
		struct list *first = io->flush_waiting.next;

		list_remove(first);
		list_append(&io->flush_running, first);
	}
	io->flushing = true;
	return true;
}

void blk_io_submit(struct blk_io *io, struct blk_io_op *op)
{
	op->at = 0;
	op->moved = 0;
	op->alone = false;
	op->total = op->len;
	list_init(&op->merged);
	if (op->nr_iov > 0)
		op->saved = op->iov[0];
	io->nr_ops++;
	list_append(op->kind == BLK_IO_FLUSH ? &io->flush_waiting : &io->todo, &op->link);
}

static void sync_op(struct blk_io *io, struct blk_io_op *op)
{
	if (list_empty(&op->merged))
		op_done(io, op, io->null ? 0 : op_sync(io->fd, op));
	else if (io->null || sync_once(io->fd, op) == (ssize_t)op->total)
		merged_done(io, op);
	else
		split_op(io, op);
}

static void sync_kick(struct blk_io *io)
{
	for (;;) {
		while (!list_empty(&io->todo))
			sync_op(io, take_op(io));
		if (!flush_begin(io))
			return;
		flush_done(io, io->null ? 0 : flush_sync(io->fd));
	}
}

/* --- by a server --- */

static void on_nbd_done(void *data, struct blk_io_op *op, int result)
{
	struct blk_io *io = data;

	if (!op)
		flush_done(io, result);
	else if (list_empty(&op->merged))
		op_done(io, op, result);
	else if (result == 0)
		merged_done(io, op);
	else
		split_op(io, op);
}

static void nbd_kick(struct blk_io *io)
{
	do {
		while (!list_empty(&io->todo))
			blk_nbd_submit(io->nbd, take_op(io));
		if (flush_begin(io))
			blk_nbd_flush(io->nbd);
		blk_nbd_kick(io->nbd);
	} while (!list_empty(&io->todo) || (!io->flushing && !list_empty(&io->flush_waiting)));
}

static void on_nbd_batch(void *data)
{
	struct blk_io *io = data;

	nbd_kick(io);
	io->batch(io->data);
}

static int nbd_open(struct blk_io *io, const struct blk_io_config *config)
{
	const struct blk_nbd_config nbd = {
		.depth = config->depth,
		.done = on_nbd_done,
		.batch = on_nbd_batch,
		.lost = config->lost,
		.lost_data = config->data,
		.data = io,
	};

	return blk_nbd_new(&nbd, &io->nbd);
}

void blk_io_connect(struct blk_io *io, struct nbd_handle *handle)
{
	if (io->nbd)
		blk_nbd_connect(io->nbd, handle);
}

void blk_io_give_up(struct blk_io *io)
{
	if (!io->nbd)
		return;
	blk_nbd_give_up(io->nbd);
	nbd_kick(io);
}

/* --- by io_uring --- */

static void prepare_op(struct blk_io *io, struct io_uring_sqe *sqe, struct blk_io_op *op)
{
	int fd = io->fixed_file ? 0 : io->fd;
	const struct iovec *iov = op->iov + op->at;
	unsigned int nr = op->nr_iov - op->at;

	if (op->kind == BLK_IO_READ)
		io_uring_prep_readv(sqe, fd, iov, nr, op->offset + op->moved);
	else
		io_uring_prep_writev2(sqe, fd, iov, nr, op->offset + op->moved,
				      op->fua ? RWF_DSYNC : 0);
	if (io->fixed_file)
		sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data(sqe, op);
}

static void prepare_flush(struct blk_io *io, struct io_uring_sqe *sqe)
{
	io_uring_prep_fsync(sqe, io->fixed_file ? 0 : io->fd, IORING_FSYNC_DATASYNC);
	if (io->fixed_file)
		sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data(sqe, io); /* not an operation's address */
}

/* As many as the submission queue takes; the rest stays collected. */
static void uring_prepare(struct blk_io *io)
{
	struct io_uring_sqe *sqe;

	while (!list_empty(&io->todo) && (sqe = io_uring_get_sqe(&io->ring)))
		prepare_op(io, sqe, take_op(io));
	if (io_uring_sq_space_left(&io->ring) > 0 && flush_begin(io))
		prepare_flush(io, io_uring_get_sqe(&io->ring));
}

/* One completion: done, to go on with, or to end here because io_uring will not do it. */
static void uring_complete(struct blk_io *io, struct blk_io_op *op, int res)
{
	if (!list_empty(&op->merged)) {
		if (res > 0 && (uint64_t)res == op->total)
			merged_done(io, op);
		else
			split_op(io, op);
		return;
	}
	if (res == -EAGAIN || res == -EINTR) {
		op_done(io, op, op_sync(io->fd, op));
		return;
	}
	if (res <= 0) {
		op_done(io, op, res < 0 ? res : -EIO);
		return;
	}
	op_advance(op, (size_t)res);
	if (op->moved >= op->len)
		op_done(io, op, 0);
	else
		list_append(&io->todo, &op->link);
}

/* Returns how many completions there were. */
static unsigned int uring_reap(struct blk_io *io)
{
	struct io_uring_cqe *cqe;
	unsigned int n = 0;

	while (io_uring_peek_cqe(&io->ring, &cqe) == 0) {
		void *data = io_uring_cqe_get_data(cqe);
		int res = cqe->res;

		io_uring_cqe_seen(&io->ring, cqe);
		if (data != io)
			uring_complete(io, data, res);
		else
			flush_done(io, res == -EINTR || res == -EAGAIN ? flush_sync(io->fd) : res);
		n++;
	}
	return n;
}

static bool uring_has_more(const struct blk_io *io)
{
	return !list_empty(&io->todo) || (!io->flushing && !list_empty(&io->flush_waiting)) ||
	       io_uring_sq_ready(&io->ring) > 0;
}

/*
 * Hands everything collected to the kernel, and what the callbacks of what ended at once collected.
 * wait: completions to wait for, 0 or 1. Bounded, as each operation moves on each time.
 */
static void uring_kick(struct blk_io *io, unsigned int wait)
{
	static const struct timeval soon = { .tv_usec = 10000 };

	while (wait > 0 || uring_has_more(io)) {
		int r;

		uring_prepare(io);
		r = io_uring_submit_and_wait(&io->ring, wait);
		if (uring_reap(io) == 0 && r < 0 && r != -EINTR) {
			log_debug("io_uring_enter: %s; trying again", strerror(-r));
			event_add(io->retry, &soon);
			return;
		}
		wait = 0;
	}
}

static void on_completion(evutil_socket_t fd, short what, void *data)
{
	struct blk_io *io = data;

	uring_reap(io);
	uring_kick(io, 0);
	io->batch(io->data);
}

void blk_io_poll(struct blk_io *io)
{
	if (io->uring && uring_reap(io) > 0)
		uring_kick(io, 0);
}

void blk_io_kick(struct blk_io *io)
{
	if (io->uring)
		uring_kick(io, 0);
	else if (io->nbd)
		nbd_kick(io);
	else
		sync_kick(io);
}

void blk_io_drain(struct blk_io *io)
{
	while (io->nr_ops > 0) {
		if (io->uring) {
			uring_kick(io, 1);
		} else if (io->nbd) {
			nbd_kick(io);
			blk_nbd_wait(io->nbd);
		} else {
			sync_kick(io);
		}
	}
}

/* Two calls that liburing 2.3 declares and does not export. */
static int uring_register(struct blk_io *io, unsigned int op, void *arg, unsigned int n)
{
	return syscall(__NR_io_uring_register, io->ring.ring_fd, op, arg, n) < 0 ? -errno : 0;
}

/*
 * Deferred task work runs when we ask for completions, all in one go; kernels before 6.1 lack it. Such
 * a ring belongs to the thread that enables it.
 */
static int uring_setup(struct blk_io *io, unsigned int depth)
{
	static const unsigned int flags[] = {
		IORING_SETUP_R_DISABLED | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			IORING_SETUP_TASKRUN_FLAG,
		IORING_SETUP_R_DISABLED,
	};
	int r = -EINVAL;

	pthread_mutex_lock(&ring_memory);
	for (size_t i = 0; i < ARRAY_SIZE(flags) && r == -EINVAL; i++)
		r = io_uring_queue_init(depth + 1, &io->ring, flags[i]);
	pthread_mutex_unlock(&ring_memory);
	io->uring = r >= 0;
	return r;
}

/* What the filter of system calls cannot see: this ring reads, writes and flushes our image, no more. */
static int uring_restrict(struct blk_io *io)
{
	static const uint8_t ops[] = { IORING_OP_READV, IORING_OP_WRITEV, IORING_OP_FSYNC };
	struct io_uring_restriction list[ARRAY_SIZE(ops) + 4] = { 0 };
	unsigned int n = 0;

	for (; n < ARRAY_SIZE(ops); n++) {
		list[n].opcode = IORING_RESTRICTION_SQE_OP;
		list[n].sqe_op = ops[n];
	}
	list[n].opcode = IORING_RESTRICTION_REGISTER_OP;
	list[n++].register_op = IORING_REGISTER_ENABLE_RINGS;
	list[n].opcode = IORING_RESTRICTION_REGISTER_OP;
	list[n++].register_op = IORING_UNREGISTER_FILES;
	if (io->fixed_file) {
		list[n].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
		list[n++].sqe_flags = IOSQE_FIXED_FILE;
		list[n].opcode = IORING_RESTRICTION_SQE_FLAGS_REQUIRED;
		list[n++].sqe_flags = IOSQE_FIXED_FILE;
	}
	return uring_register(io, IORING_REGISTER_RESTRICTIONS, list, n);
}

static int uring_open(struct blk_io *io, unsigned int depth)
{
	int files[2] = { io->fd, io->fence_fd };
	int r;

	io->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (io->eventfd < 0)
		return -errno;
	r = uring_setup(io, depth);
	if (r < 0)
		return r;
	r = io_uring_register_eventfd(&io->ring, io->eventfd);
	if (r < 0)
		return r;
	r = io_uring_register_files(&io->ring, files, io->fence_fd >= 0 ? 2 : 1);
	/* without it the fence would fall too early */
	if (r < 0 && io->fence_fd >= 0)
		return r;
	io->fixed_file = r == 0;
	return uring_restrict(io);
}

static int uring_start(struct blk_io *io, struct event_base *base)
{
	int r = uring_register(io, IORING_REGISTER_ENABLE_RINGS, NULL, 0);

	if (r < 0)
		return r;
	/* the eventfd is never read: each completion is an edge */
	io->event = event_new(base, io->eventfd, EV_READ | EV_ET | EV_PERSIST, on_completion, io);
	io->retry = evtimer_new(base, on_completion, io);
	if (!io->event || !io->retry || event_add(io->event, NULL) < 0)
		return -ENOMEM;
	return 0;
}

int blk_io_start(struct blk_io *io, struct event_base *base)
{
	if (io->nbd)
		return blk_nbd_start(io->nbd, base);
	return io->uring ? uring_start(io, base) : 0;
}

static void uring_close(struct blk_io *io)
{
	if (io->event)
		event_free(io->event);
	if (io->retry)
		event_free(io->retry);
	/* the kernel takes a ring down later, and would keep the image open until then */
	if (io->fixed_file)
		io_uring_unregister_files(&io->ring);
	if (io->uring) {
		pthread_mutex_lock(&ring_memory);
		io_uring_queue_exit(&io->ring);
		pthread_mutex_unlock(&ring_memory);
	}
	if (io->eventfd >= 0)
		close(io->eventfd);
	io->event = io->retry = NULL;
	io->eventfd = -1;
	io->uring = io->fixed_file = false;
}

int blk_io_new(const struct blk_io_config *config, struct blk_io **ret_io)
{
	_cleanup_(blk_io_freep) struct blk_io *io = calloc(1, sizeof(*io));
	bool uring = config->engine == BLK_IO_AUTO || config->engine == BLK_IO_URING;
	int r;

	if (!io)
		return -ENOMEM;
	io->fd = config->fd;
	io->fence_fd = config->fence_fd;
	io->null = config->engine == BLK_IO_NULL;
	io->eventfd = -1;
	io->batch = config->batch;
	io->data = config->data;
	list_init(&io->todo);
	list_init(&io->flush_waiting);
	list_init(&io->flush_running);
	if (config->engine == BLK_IO_NBD) {
		r = nbd_open(io, config);
		if (r == 0)
			*ret_io = steal_ptr(&io);
		return r;
	}
	r = uring ? uring_open(io, config->depth) : 0;
	if (r < 0) {
		if (config->engine == BLK_IO_URING)
			return r;
		log_debug("no io_uring (%s): the disk is read and written one request at a time",
			  strerror(-r));
		uring_close(io);
	}
	*ret_io = steal_ptr(&io);
	return 0;
}

struct blk_io *blk_io_free(struct blk_io *io)
{
	if (io) {
		assert(io->nr_ops == 0);
		uring_close(io);
		blk_nbd_free(io->nbd);
		free(io);
	}
	return NULL;
}

void blk_io_freep(struct blk_io **io)
{
	*io = blk_io_free(*io);
}

const char *blk_io_name(const struct blk_io *io)
{
	return io->uring ? "io_uring" : io->nbd ? "nbd" : io->null ? "null" : "preadv";
}

struct io_uring *blk_io_ring(struct blk_io *io)
{
	return io->uring ? &io->ring : NULL;
}

uint64_t blk_io_merged(const struct blk_io *io)
{
	return io->nr_merged;
}
