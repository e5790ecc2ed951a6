/* SPDX-License-Identifier: MIT */
/*
 * Disk I/O of a loopback guest through xenhost-blkbackd, beside the same I/O of this process on the same
 * file by io_uring. XENHOST_BENCH_DIR: folder on the disk to be measured (default: /var/tmp).
 */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <check.h>
#include <liburing.h>

#include "common/xen.h"

#include "tests/bench/bench.h"
#include "tests/support/disk.h"

#define FILE_SIZE (256ull << 20)
#define NULL_GOAL 2000000.0

struct load {
	struct disk *disk;
	unsigned int depth, pages; /* of a request */
	uint32_t grefs[DISK_DEPTH * 11];
	char path[256];
	int fd;
	struct io_uring ring;
	uint8_t *memory;
};

static struct set set;
static struct disk disk;

static uint64_t random_block(const struct load *l)
{
	return (uint64_t)random() % (FILE_SIZE / 4096 / l->pages) * l->pages;
}

/* --- ours --- */

static void put_read(struct load *l, unsigned int id)
{
	uint8_t *slot =
		disk_put_header(l->disk, id, BLKIF_OP_READ, (uint8_t)l->pages, random_block(l) * 8);

	for (unsigned int s = 0; s < l->pages; s++) {
		memcpy(slot + 24 + (size_t)s * 8, &l->grefs[id * l->pages + s], 4);
		slot[24 + s * 8 + 4] = 0;
		slot[24 + s * 8 + 5] = 7;
	}
}

static double ours(void *data, unsigned int n)
{
	struct load *l = data;
	struct disk_queue *q = &l->disk->queues[0];
	unsigned int put = 0, got = 0;
	double start = bench_now();

	for (; put < l->depth && put < n; put++)
		put_read(l, put);
	disk_publish(l->disk);
	while (got < n) {
		unsigned int before = got;
		uint8_t rsp[16];

		while (front_ring_take(&q->ring, rsp, sizeof(rsp))) {
			got++;
			if (put < n) {
				put_read(l, rsp[0]);
				put++;
			}
		}
		if (got != before)
			disk_publish(l->disk);
		else if (!xenhost_front_ring_arm(&q->ring))
			(void)guest_port_wait(&q->port, DISK_PATIENCE_MS);
	}
	return bench_now() - start;
}

/* --- the peer --- */

static void prepare(struct load *l, unsigned int id)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&l->ring);
	size_t size = (size_t)l->pages * 4096;

	io_uring_prep_read(sqe, l->fd, l->memory + id * size, (unsigned int)size,
			   random_block(l) * 4096);
	io_uring_sqe_set_data64(sqe, id);
}

static double bare(void *data, unsigned int n)
{
	struct load *l = data;
	unsigned int put = 0, got = 0;
	double start = bench_now();

	for (; put < l->depth && put < n; put++)
		prepare(l, put);
	while (got < n) {
		struct io_uring_cqe *cqe;

		if (io_uring_submit_and_wait(&l->ring, 1) < 0)
			return -1;
		while (io_uring_peek_cqe(&l->ring, &cqe) == 0) {
			unsigned int id = (unsigned int)io_uring_cqe_get_data64(cqe);

			if (cqe->res != (int)(l->pages * 4096))
				return -1;
			io_uring_cqe_seen(&l->ring, cqe);
			got++;
			if (put < n) {
				prepare(l, id);
				put++;
			}
		}
	}
	return bench_now() - start;
}

/* --- set-up --- */

static bool make_file(struct load *l, const char *dir)
{
	static uint8_t block[1 << 20];

	snprintf(l->path, sizeof(l->path), "%s/xenhost-bench-%d", dir, (int)getpid());
	l->fd = open(l->path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	if (l->fd < 0)
		return false;
	memset(block, 0x5a, sizeof(block));
	for (uint64_t at = 0; at < FILE_SIZE; at += sizeof(block))
		if (pwrite(l->fd, block, sizeof(block), (off_t)at) != sizeof(block))
			return false;
	fsync(l->fd);
	(void)fcntl(l->fd, F_SETFL, O_DIRECT);
	l->memory = aligned_alloc(4096, (size_t)l->depth * l->pages * 4096);
	return l->memory && io_uring_queue_init(l->depth, &l->ring, 0) == 0;
}

static void open_disk(struct load *l, const char *name, const char *image)
{
	l->disk = &disk;
	disk_create_on(&disk, &set, name, "r", image);
	disk_connect(&disk, false, XENHOST_STATE_INITIALISED);
	for (unsigned int i = 0; i < l->depth * l->pages; i++)
		l->grefs[i] = guest_grant(disk.guest, SET_BLKBACK,
					  disk.requests[i / l->pages].frames[i % l->pages], false);
}

static bool against_bare(const char *name, const char *dir, unsigned int depth, unsigned int pages,
			 unsigned int n, double goal)
{
	struct load l = { .depth = depth, .pages = pages };
	struct bench_pair pair = { name, ours, bare, &l, n, n, goal };
	bool met;

	if (!make_file(&l, dir)) {
		printf("GOAL %s: no file in %s MISSED\n", name, dir);
		return false;
	}
	open_disk(&l, "bench", l.path);
	met = bench_run(&pair);
	disk_close(&disk);
	io_uring_queue_exit(&l.ring);
	close(l.fd);
	unlink(l.path);
	free(l.memory);
	return met;
}

/* what the protocol alone costs */
static bool null_disk(void)
{
	struct load l = { .depth = 32, .pages = 1 };
	double best = 0;

	open_disk(&l, "null", "null:256M");
	for (int i = 0; i < BENCH_ROUNDS; i++) {
		double iops = 300000 / ours(&l, 300000) * 1e9;

		best = iops > best ? iops : best;
	}
	disk_close(&disk);
	printf("GOAL block-null-qd32-iops: %.0f (goal >= %.0f) %s\n", best, NULL_GOAL,
	       best >= NULL_GOAL ? "met" : "MISSED");
	return best >= NULL_GOAL;
}

/* A test because what plays the front end speaks in assertions. */
START_TEST(all)
{
	const char *dir = getenv("XENHOST_BENCH_DIR");
	bool met;

	met = null_disk();
	/* 0.97 of the peer's rate is 1.03 of its time */
	met &= against_bare("block-disk-4k-qd32", dir ? dir : "/var/tmp", 32, 1, 8000, 1.03);
	met &= against_bare("block-disk-44k-qd8", dir ? dir : "/var/tmp", 8, 11, 2000, 1.03);
	met &= against_bare("block-tmpfs-4k-qd32", "/dev/shm", 32, 1, 20000, 1.0);
	ck_assert_msg(met, "a goal was missed");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("bench-block");
	TCase *tc = tcase_create("all");
	SRunner *sr = srunner_create(s);
	int failed;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (set_start_with(&set, "blkbackd", NULL) < 0)
		return EXIT_FAILURE;
	suite_add_tcase(s, tc);
	tcase_set_timeout(tc, 0);
	tcase_add_test(tc, all);
	srunner_set_fork_status(sr, CK_NOFORK);
	srunner_run_all(sr, CK_SILENT);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return set_stop(&set) == 0 && !failed ? EXIT_SUCCESS : EXIT_FAILURE;
}
