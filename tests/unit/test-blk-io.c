/* SPDX-License-Identifier: MIT */
/* Both engines on a real file; _i is the engine. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <check.h>
#include <event2/event.h>
#include <liburing.h>

#include "common/cleanup.h"

#include "blkbackd/blk_io.h"

#define BLOCK 4096u
#define NR_BLOCKS 64u
#define DEPTH 32u

static const enum blk_io_engine engines[] = { BLK_IO_URING, BLK_IO_SYNC };

struct op {
	struct blk_io_op io;
	struct iovec iov[4];
	int result;
	int calls;
	struct blk_io_op *next; /* submitted from done() */
};

static struct event_base *base;
static struct blk_io *io;
static int fd;
static struct op ops[DEPTH];
static uint8_t data[NR_BLOCKS * BLOCK];
static unsigned int batches;

static void on_batch(void *arg)
{
	batches++;
}

static void on_done(struct blk_io_op *op, int result)
{
	struct op *o = list_entry(op, struct op, io);

	o->result = result;
	o->calls++;
	if (o->next)
		blk_io_submit(io, o->next);
}

static void setup(void)
{
	char path[] = "/tmp/xhblkioXXXXXX";

	fd = mkostemp(path, O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	unlink(path);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i / BLOCK + i % 251);
	ck_assert_int_eq(pwrite(fd, data, sizeof(data), 0), sizeof(data));
	base = event_base_new();
	memset(ops, 0, sizeof(ops));
	batches = 0;
}

static void teardown(void)
{
	io = blk_io_free(io);
	event_base_free(base);
	close(fd);
}

static void open_engine(int i)
{
	const struct blk_io_config config = {
		.fd = fd,
		.fence_fd = -1,
		.depth = DEPTH,
		.engine = engines[i],
		.batch = on_batch,
	};

	ck_assert_int_eq(blk_io_new(&config, &io), 0);
	ck_assert_int_eq(blk_io_start(io, base), 0);
	ck_assert_str_eq(blk_io_name(io), i == 0 ? "io_uring" : "preadv");
}

static void submit(struct op *o, enum blk_io_kind kind, void *buf, uint64_t offset, size_t len)
{
	o->iov[0] = (struct iovec){ buf, len };
	o->io = (struct blk_io_op){ .kind = kind,
				    .iov = o->iov,
				    .nr_iov = kind == BLK_IO_FLUSH ? 0 : 1,
				    .offset = offset,
				    .len = kind == BLK_IO_FLUSH ? 0 : len,
				    .done = on_done };
	blk_io_submit(io, &o->io);
}

static void run_until_done(unsigned int n)
{
	for (;;) {
		unsigned int done = 0;

		for (unsigned int i = 0; i < n; i++)
			done += ops[i].calls > 0;
		if (done == n)
			return;
		event_base_loop(base, EVLOOP_ONCE);
	}
}

START_TEST(reads_what_is_there)
{
	static uint8_t buf[DEPTH][BLOCK];

	open_engine(_i);
	for (unsigned int i = 0; i < DEPTH; i++)
		submit(&ops[i], BLK_IO_READ, buf[i], (uint64_t)(NR_BLOCKS - 1 - i) * BLOCK, BLOCK);
	ck_assert_int_eq(ops[0].calls, 0);
	blk_io_kick(io);
	run_until_done(DEPTH);
	for (unsigned int i = 0; i < DEPTH; i++) {
		ck_assert_int_eq(ops[i].result, 0);
		ck_assert_int_eq(ops[i].calls, 1);
		ck_assert_mem_eq(buf[i], data + (NR_BLOCKS - 1 - i) * BLOCK, BLOCK);
	}
}
END_TEST

START_TEST(writes_scattered_memory)
{
	static uint8_t a[512], b[1024], c[512], back[2048];
	struct op *o = &ops[0];

	open_engine(_i);
	memset(a, 1, sizeof(a));
	memset(b, 2, sizeof(b));
	memset(c, 3, sizeof(c));
	submit(o, BLK_IO_WRITE, a, 512, sizeof(a));
	o->iov[1] = (struct iovec){ b, sizeof(b) };
	o->iov[2] = (struct iovec){ c, sizeof(c) };
	o->io.nr_iov = 3;
	o->io.len = 2048;
	blk_io_kick(io);
	run_until_done(1);
	ck_assert_int_eq(o->result, 0);
	/* what the caller gets back is what it gave */
	ck_assert_ptr_eq(o->iov[0].iov_base, a);
	ck_assert_ptr_eq(o->iov[2].iov_base, c);
	ck_assert_uint_eq(o->iov[2].iov_len, sizeof(c));
	ck_assert_int_eq(pread(fd, back, sizeof(back), 512), sizeof(back));
	ck_assert_mem_eq(back, a, 512);
	ck_assert_mem_eq(back + 512, b, 1024);
	ck_assert_mem_eq(back + 1536, c, 512);
}
END_TEST

/* The file ends inside the second iov: what is there is read, then it is an error. */
START_TEST(a_shrunken_file_is_an_error)
{
	static uint8_t buf[2 * BLOCK];
	struct op *o = &ops[0];

	open_engine(_i);
	ck_assert_int_eq(ftruncate(fd, BLOCK + 100), 0);
	submit(o, BLK_IO_READ, buf, 0, BLOCK);
	o->iov[1] = (struct iovec){ buf + BLOCK, BLOCK };
	o->io.nr_iov = 2;
	o->io.len = sizeof(buf);
	blk_io_kick(io);
	run_until_done(1);
	ck_assert_int_eq(o->result, -EIO);
	ck_assert_mem_eq(buf, data, BLOCK + 100);
	ck_assert_ptr_eq(o->iov[1].iov_base, buf + BLOCK);
	ck_assert_uint_eq(o->iov[1].iov_len, BLOCK);
}
END_TEST

START_TEST(errors_come_back)
{
	static uint8_t buf[BLOCK];

	open_engine(_i);
	/* memory that is not there */
	submit(&ops[0], BLK_IO_READ, (void *)8, 0, BLOCK);
	submit(&ops[1], BLK_IO_READ, buf, 0, BLOCK);
	blk_io_kick(io);
	run_until_done(2);
	ck_assert_int_eq(ops[0].result, -EFAULT);
	ck_assert_int_eq(ops[1].result, 0);
}
END_TEST

START_TEST(flushes_and_follow_ups)
{
	static uint8_t buf[BLOCK];

	open_engine(_i);
	for (unsigned int i = 0; i < 8; i++)
		submit(&ops[i], BLK_IO_FLUSH, NULL, 0, 0);
	/* ops[8] is submitted by the done() of the last flush */
	memset(buf, 0x77, sizeof(buf));
	submit(&ops[8], BLK_IO_WRITE, buf, 0, BLOCK);
	blk_io_kick(io);
	run_until_done(9);
	memset(&ops[8].result, 0xff, sizeof(int));
	ops[8].calls = 0;
	ops[7].calls = 0;
	ops[8].io.offset = BLOCK;
	ops[7].next = &ops[8].io;
	submit(&ops[7], BLK_IO_FLUSH, NULL, 0, 0);
	blk_io_kick(io);
	run_until_done(9);
	for (unsigned int i = 0; i < 9; i++) {
		ck_assert_int_eq(ops[i].result, 0);
		ck_assert_int_eq(ops[i].calls, 1);
	}
	ck_assert_int_eq(pread(fd, data, 2 * BLOCK, 0), 2 * BLOCK);
	ck_assert_mem_eq(data, buf, BLOCK);
	ck_assert_mem_eq(data + BLOCK, buf, BLOCK);
}
END_TEST

/* a pipe has no fdatasync: the error must reach each flush that waited */
START_TEST(failed_flushes_are_told)
{
	int p[2];

	ck_assert_int_eq(pipe(p), 0);
	close(fd);
	fd = p[1];
	open_engine(_i);
	submit(&ops[0], BLK_IO_FLUSH, NULL, 0, 0);
	submit(&ops[1], BLK_IO_FLUSH, NULL, 0, 0);
	blk_io_kick(io);
	run_until_done(2);
	ck_assert_int_eq(ops[0].result, -EINVAL);
	ck_assert_int_eq(ops[1].result, -EINVAL);
	close(p[0]);
}
END_TEST

START_TEST(drain_waits)
{
	static uint8_t buf[DEPTH][BLOCK];

	open_engine(_i);
	for (unsigned int i = 0; i < DEPTH - 1; i++)
		submit(&ops[i], i % 2 ? BLK_IO_READ : BLK_IO_WRITE, buf[i], (uint64_t)i * BLOCK,
		       BLOCK);
	submit(&ops[DEPTH - 1], BLK_IO_FLUSH, NULL, 0, 0);
	blk_io_drain(io);
	for (unsigned int i = 0; i < DEPTH; i++)
		ck_assert_int_eq(ops[i].calls, 1);
	ck_assert_uint_eq(batches, 0);
	blk_io_drain(io);
}
END_TEST

/* neighbours on the disk are done as one, up to what there is room for; others are not */
START_TEST(merges_neighbours)
{
	static uint8_t buf[DEPTH][BLOCK];

	open_engine(_i);
	for (unsigned int i = 0; i < 8; i++) {
		submit(&ops[i], BLK_IO_READ, buf[i], (uint64_t)i * BLOCK, BLOCK);
		ops[i].io.room = 4;
	}
	for (unsigned int i = 8; i < 12; i++) {
		submit(&ops[i], BLK_IO_READ, buf[i], (uint64_t)i * 2 * BLOCK, BLOCK);
		ops[i].io.room = 4;
	}
	memset(buf[12], 1, BLOCK);
	submit(&ops[12], BLK_IO_WRITE, buf[12], 40 * BLOCK, BLOCK);
	submit(&ops[13], BLK_IO_READ, buf[13], 41 * BLOCK, BLOCK);
	ops[12].io.room = 4;
	blk_io_kick(io);
	run_until_done(14);
	ck_assert_uint_eq(blk_io_merged(io), 6);
	for (unsigned int i = 0; i < 14; i++) {
		ck_assert_int_eq(ops[i].result, 0);
		ck_assert_int_eq(ops[i].calls, 1);
		ck_assert_uint_eq(ops[i].io.nr_iov, 1);
		ck_assert_ptr_eq(ops[i].iov[0].iov_base, buf[i]);
	}
	for (unsigned int i = 0; i < 8; i++)
		ck_assert_mem_eq(buf[i], data + (size_t)i * BLOCK, BLOCK);
	for (unsigned int i = 8; i < 12; i++)
		ck_assert_mem_eq(buf[i], data + (size_t)i * 2 * BLOCK, BLOCK);
	ck_assert_mem_eq(buf[13], data + 41 * BLOCK, BLOCK);
}
END_TEST

/* one of those that were done as one cannot be: the others are not its victims */
START_TEST(each_has_its_own_error)
{
	static uint8_t buf[4][BLOCK];

	open_engine(_i);
	for (unsigned int i = 0; i < 4; i++) {
		submit(&ops[i], BLK_IO_READ, i == 2 ? (void *)8 : buf[i], (uint64_t)i * BLOCK,
		       BLOCK);
		ops[i].io.room = 4;
	}
	blk_io_kick(io);
	run_until_done(4);
	for (unsigned int i = 0; i < 4; i++) {
		ck_assert_int_eq(ops[i].calls, 1);
		ck_assert_int_eq(ops[i].result, i == 2 ? -EFAULT : 0);
		if (i != 2)
			ck_assert_mem_eq(buf[i], data + (size_t)i * BLOCK, BLOCK);
	}
}
END_TEST

START_TEST(writes_through)
{
	static uint8_t buf[BLOCK], back[BLOCK];

	open_engine(_i);
	memset(buf, 0x5a, sizeof(buf));
	submit(&ops[0], BLK_IO_WRITE, buf, 3 * BLOCK, BLOCK);
	ops[0].io.fua = true;
	blk_io_kick(io);
	run_until_done(1);
	ck_assert_int_eq(ops[0].result, 0);
	ck_assert_int_eq(pread(fd, back, BLOCK, 3 * BLOCK), BLOCK);
	ck_assert_mem_eq(back, buf, BLOCK);
}
END_TEST

/* one that is never started gives everything back as well: the image is free at once */
START_TEST(never_started)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[64];
	int again;

	ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &lock), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDWR | O_CLOEXEC);
	open_engine(_i);
	io = blk_io_free(io);
	close(fd);
	ck_assert_int_eq(fcntl(again, F_OFD_SETLK, &lock), 0);
	fd = again;
}
END_TEST

/* What the filter of system calls cannot see: the ring does nothing but what a disk needs. */
START_TEST(restricted)
{
	struct io_uring *ring;
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;

	open_engine(0);
	ring = blk_io_ring(io);
	sqe = io_uring_get_sqe(ring);
	io_uring_prep_openat(sqe, AT_FDCWD, "/etc/passwd", O_RDONLY, 0);
	ck_assert_int_eq(io_uring_submit_and_wait(ring, 1), 1);
	ck_assert_int_eq(io_uring_peek_cqe(ring, &cqe), 0);
	ck_assert_int_eq(cqe->res, -EACCES);
	io_uring_cqe_seen(ring, cqe);
	/* not even of another file */
	sqe = io_uring_get_sqe(ring);
	io_uring_prep_fsync(sqe, fd, 0);
	ck_assert_int_eq(io_uring_submit_and_wait(ring, 1), 1);
	ck_assert_int_eq(io_uring_peek_cqe(ring, &cqe), 0);
	ck_assert_int_eq(cqe->res, -EACCES);
	io_uring_cqe_seen(ring, cqe);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("blk_io");
	TCase *tc = tcase_create("all");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, reads_what_is_there, 0, 2);
	tcase_add_loop_test(tc, writes_scattered_memory, 0, 2);
	tcase_add_loop_test(tc, a_shrunken_file_is_an_error, 0, 2);
	tcase_add_loop_test(tc, errors_come_back, 0, 2);
	tcase_add_loop_test(tc, flushes_and_follow_ups, 0, 2);
	tcase_add_loop_test(tc, failed_flushes_are_told, 0, 2);
	tcase_add_loop_test(tc, drain_waits, 0, 2);
	tcase_add_loop_test(tc, merges_neighbours, 0, 2);
	tcase_add_loop_test(tc, each_has_its_own_error, 0, 2);
	tcase_add_loop_test(tc, writes_through, 0, 2);
	tcase_add_loop_test(tc, never_started, 0, 2);
	tcase_add_test(tc, restricted);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
