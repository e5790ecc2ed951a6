/* SPDX-License-Identifier: MIT */
/*
 * xenhost-blkbackd and the set around it, driven by loopback guests. What they check of every request:
 * tests/support/disk.h.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <check.h>
#include <linux/loop.h>

#include "common/cleanup.h"
#include "common/xen.h"

#include "tests/support/disk.h"

#define SECTORS DISK_SECTORS
#define XVDA DISK_XVDA

static struct set set;

static struct disk disk, other;

/* ---- what works ---- */

START_TEST(keys)
{
	disk_create(&disk, &set, "keys", "r");
	front_wait(&disk.front, XENHOST_STATE_INIT_WAIT);
	ck_assert_str_eq(front_read(&disk.front, XENHOST_BACK, "sectors"), "8192");
	ck_assert_str_eq(front_read(&disk.front, XENHOST_BACK, "sector-size"), "512");
	ck_assert_str_eq(front_read(&disk.front, XENHOST_BACK, "physical-sector-size"), "512");
	ck_assert_str_eq(front_read(&disk.front, XENHOST_BACK, "info"), "4");
	ck_assert_str_eq(front_read(&disk.front, XENHOST_BACK, "feature-flush-cache"), "1");
	ck_assert_str_eq(front_read(&disk.front, XENHOST_BACK, "feature-max-indirect-segments"),
			 "256");
	ck_assert_str_eq(front_read(&disk.front, XENHOST_BACK, "hotplug-status"), "connected");
	ck_assert_str_eq(front_read(&disk.front, XENHOST_BACK, "multi-queue-max-queues"), "4");
	ck_assert_str_eq(front_read(&disk.front, XENHOST_BACK, "max-ring-page-order"), "4");
	ck_assert_str_eq(front_read(&disk.front, XENHOST_BACK, "max-ring-pages"), "16");
	ck_assert_str_eq(front_read(&disk.front, XENHOST_BACK, "feature-barrier"), "1");
	/* its only use is to spare mappings, which cost nothing here */
	ck_assert_str_eq(front_read(&disk.front, XENHOST_BACK, "feature-persistent"), "0");
	/* a read-only disk has nothing to give back */
	ck_assert_str_eq(front_read(&disk.front, XENHOST_BACK, "feature-discard"), "0");
	ck_assert_str_eq(front_read(&disk.front, XENHOST_BACK, "discard-granularity"), "");
	disk_close(&disk);
}
END_TEST

/* _i: 32-bit layout, indirect requests */
START_TEST(random_requests)
{
	disk_open(&disk, &set, "random", "w", _i & 1);
	disk_random_io(&disk, 2000, _i & 2 ? DISK_INDIRECT : 0);
	disk_flush(&disk);
	disk_check_image(&disk);
	disk_disconnect(&disk);
	disk_close(&disk);
}
END_TEST

START_TEST(two_disks)
{
	disk_open(&disk, &set, "first", "w", false);
	disk_open(&other, &set, "second", "w", true);
	for (int i = 0; i < 10; i++) {
		disk_random_io(&disk, 100, DISK_INDIRECT);
		disk_random_io(&other, 100, 0);
	}
	disk_check_image(&disk);
	disk_check_image(&other);
	disk_close(&other);
	disk_random_io(&disk, 100, DISK_INDIRECT);
	disk_close(&disk);
}
END_TEST

/* a flush with data: the write is done, and after the flush */
START_TEST(flush_with_data)
{
	struct disk_request *q = &disk.requests[0];

	disk_open(&disk, &set, "flushdata", "w", false);
	disk_submit(&disk, 0, BLKIF_OP_WRITE, 16, 8, false);
	q->op = BLKIF_OP_FLUSH_DISKCACHE;
	((uint8_t *)disk.queues[0].ring.shared)[64] = BLKIF_OP_FLUSH_DISKCACHE;
	disk_publish(&disk);
	disk_complete(&disk);
	disk_check_image(&disk);
	disk_flush(&disk);
	disk_close(&disk);
}
END_TEST

/* grub and OVMF: requests before the back end looked, state 4 without 3, no kick */
START_TEST(requests_before_connecting)
{
	disk_create(&disk, &set, "early", "w");
	front_wait(&disk.front, XENHOST_STATE_INIT_WAIT);
	disk_connect(&disk, true, XENHOST_STATE_CONNECTED);
	disk_disconnect(&disk);
	front_set_state(&disk.front, XENHOST_STATE_INITIALISING);
	front_wait(&disk.front, XENHOST_STATE_INIT_WAIT);

	front_ring_init(&disk.queues[0].ring, guest_page(disk.guest, disk.queues[0].frames[0]),
			108);
	disk.queues[0].grefs[0] =
		guest_grant(disk.guest, SET_BLKBACK, disk.queues[0].frames[0], false);
	disk_submit(&disk, 0, BLKIF_OP_WRITE, 8, 8, false);
	xenhost_front_ring_push(&disk.queues[0].ring);
	ck_assert_int_eq(guest_port_offer(disk.guest, SET_BLKBACK, &disk.queues[0].port), 0);
	front_write(&disk.front, XENHOST_FRONT, "ring-ref", "%u", disk.queues[0].grefs[0]);
	front_write(&disk.front, XENHOST_FRONT, "event-channel", "%u", disk.queues[0].port.number);
	front_set_state(&disk.front, XENHOST_STATE_CONNECTED);
	disk_complete(&disk);
	disk_check_image(&disk);
	disk_close(&disk);
}
END_TEST

START_TEST(reconnects)
{
	disk_create(&disk, &set, "again", "w");
	for (int i = 0; i < 20; i++) {
		disk_connect(&disk, i & 1, XENHOST_STATE_INITIALISED);
		disk_random_io(&disk, 50, i & 2 ? DISK_INDIRECT : 0);
		disk_disconnect(&disk);
		front_set_state(&disk.front, XENHOST_STATE_INITIALISING);
	}
	disk_check_image(&disk);
	disk_close(&disk);
}
END_TEST

START_TEST(unplug)
{
	disk_open(&disk, &set, "unplug", "w", false);
	disk_random_io(&disk, 100, 0);
	front_write(&disk.front, XENHOST_BACK, "online", "0");
	front_write(&disk.front, XENHOST_BACK, "state", "5");
	front_set_state(&disk.front, XENHOST_STATE_CLOSING);
	front_set_state(&disk.front, XENHOST_STATE_CLOSED);
	front_wait(&disk.front, XENHOST_STATE_CLOSED);
	ck_assert_int_eq(guest_revoke(disk.guest, disk.queues[0].grefs[0]), 0);
	disk_check_image(&disk);
	/* the image is free: another guest gets it */
	disk_create_on(&other, &set, "heir", "w", disk.path);
	disk_connect(&other, false, XENHOST_STATE_INITIALISED);
	disk_close(&other);
	disk_close(&disk);
}
END_TEST

/* ---- what must be refused ---- */

START_TEST(bad_requests)
{
	uint32_t good, readonly;

	disk_open(&disk, &set, "bad", "w", _i & 1);
	good = guest_grant(disk.guest, SET_BLKBACK, disk.requests[0].frames[0], false);
	readonly = guest_grant(disk.guest, SET_BLKBACK, disk.requests[0].frames[1], true);
	ck_assert_int_eq(disk_ask(&disk, BLKIF_OP_READ, 1, 0, good, 7), BLKIF_RSP_OKAY);
	ck_assert_int_eq(disk_ask(&disk, BLKIF_OP_READ, 1, SECTORS - 7, good, 7), BLKIF_RSP_ERROR);
	ck_assert_int_eq(disk_ask(&disk, BLKIF_OP_READ, 1, UINT64_MAX, good, 7), BLKIF_RSP_ERROR);
	ck_assert_int_eq(disk_ask(&disk, BLKIF_OP_WRITE, 1, UINT64_MAX - 7, good, 7),
			 BLKIF_RSP_ERROR);
	ck_assert_int_eq(disk_ask(&disk, BLKIF_OP_READ, 0, 0, good, 7), BLKIF_RSP_ERROR);
	ck_assert_int_eq(disk_ask(&disk, BLKIF_OP_READ, 12, 0, good, 7), BLKIF_RSP_ERROR);
	ck_assert_int_eq(disk_ask(&disk, BLKIF_OP_READ, 255, 0, good, 7), BLKIF_RSP_ERROR);
	ck_assert_int_eq(disk_ask(&disk, BLKIF_OP_READ, 1, 0, good, 8), BLKIF_RSP_ERROR);
	ck_assert_int_eq(disk_ask(&disk, BLKIF_OP_READ, 1, 0, good, 255), BLKIF_RSP_ERROR);
	ck_assert_int_eq(disk_ask(&disk, BLKIF_OP_READ, 1, 0, good, 0x0503), BLKIF_RSP_ERROR);
	/* as many sectors as 0xa5a5... is */
	ck_assert_int_eq(disk_ask(&disk, BLKIF_OP_DISCARD, 0, 0, good, 7), BLKIF_RSP_ERROR);
	ck_assert_int_eq(disk_ask(&disk, 200, 1, 0, good, 7), BLKIF_RSP_EOPNOTSUPP);
	/* grants: not there, out of the table, of another domain, read-only, of no memory */
	ck_assert_int_eq(disk_ask(&disk, BLKIF_OP_READ, 1, 0, 4000, 7), BLKIF_RSP_ERROR);
	ck_assert_int_eq(disk_ask(&disk, BLKIF_OP_READ, 1, 0, UINT32_MAX, 7), BLKIF_RSP_ERROR);
	ck_assert_int_eq(disk_ask(&disk, BLKIF_OP_WRITE, 1, 0, readonly, 7), BLKIF_RSP_OKAY);
	ck_assert_int_eq(disk_ask(&disk, BLKIF_OP_READ, 1, 0, readonly, 7), BLKIF_RSP_ERROR);
	ck_assert_int_eq(disk_ask(&disk, BLKIF_OP_WRITE, 1, 0,
				  guest_grant(disk.guest, SET_NETBACK, 0, false), 7),
			 BLKIF_RSP_ERROR);
	ck_assert_int_eq(disk_ask(&disk, BLKIF_OP_WRITE, 1, 0,
				  guest_grant(disk.guest, SET_BLKBACK, 1u << 20, false), 7),
			 BLKIF_RSP_ERROR);
	/* after all that the good one is not in use and works */
	ck_assert_int_eq(disk_ask(&disk, BLKIF_OP_WRITE, 11, 0, good, 7), BLKIF_RSP_OKAY);
	ck_assert_int_eq(guest_revoke(disk.guest, good), 0);
	ck_assert_int_eq(guest_revoke(disk.guest, readonly), 0);
	disk_close(&disk);
}
END_TEST

/* one bad segment among good ones: nothing is done, none stays in use */
START_TEST(one_bad_segment)
{
	const uint32_t none = 3999;

	disk_open(&disk, &set, "onebad", "w", false);
	for (unsigned int bad = 0; bad < 11; bad++) {
		struct disk_request *q = &disk.requests[0];
		uint8_t op;
		int16_t status;

		disk_submit(&disk, 0, BLKIF_OP_READ, 0, 88, false);
		memcpy((uint8_t *)disk.queues[0].ring.shared + 64 +
			       (disk.queues[0].ring.req_prod - 1) % 32 * 112 + 24 + (size_t)bad * 8,
		       &none, sizeof(none));
		disk_publish(&disk);
		ck_assert_uint_eq(disk_next_response(&disk, &op, &status), 0);
		ck_assert_int_eq(status, BLKIF_RSP_ERROR);
		for (unsigned int n = 0; n < 88; n++)
			ck_assert_uint_eq(disk_data_of(&disk, q, n)[0], 0xee);
		disk_give_back(&disk, q);
	}
	disk_random_io(&disk, 50, 0);
	disk_close(&disk);
}
END_TEST

/*
 * XSA-229: neighbours on the disk, done as one, into neighbouring frames of which only the first is granted:
 * what is next to it in memory is not next to it for us.
 */
START_TEST(adjacent_frames)
{
	struct disk_request *q = &disk.requests[0];
	uint8_t op;
	int16_t status;

	disk_open(&disk, &set, "adjacent", "w", false);
	ck_assert_uint_eq(q->frames[1], q->frames[0] + 1);
	memset(guest_page(disk.guest, q->frames[1]), 0xee, XENHOST_PAGE_SIZE);
	disk_submit(&disk, 0, BLKIF_OP_READ, 0, 8, false);
	memcpy(disk_put_header(&disk, 1, BLKIF_OP_READ, 1, 8) + 24, "\x9f\x0f\0\0\0\7", 6);
	disk_publish(&disk);
	for (int i = 0; i < 2; i++) {
		uint64_t id = disk_next_response(&disk, &op, &status);

		ck_assert_int_eq(status, id == 0 ? BLKIF_RSP_OKAY : BLKIF_RSP_ERROR);
	}
	disk_give_back(&disk, q);
	for (unsigned int i = 0; i < XENHOST_PAGE_SIZE; i++)
		ck_assert_uint_eq(((uint8_t *)guest_page(disk.guest, q->frames[1]))[i], 0xee);
	disk_close(&disk);
}
END_TEST

START_TEST(readonly_disk)
{
	uint32_t gref;

	disk_open(&disk, &set, "readonly", "r", false);
	gref = guest_grant(disk.guest, SET_BLKBACK, disk.requests[0].frames[0], false);
	ck_assert_int_eq(disk_ask(&disk, BLKIF_OP_READ, 1, 0, gref, 7), BLKIF_RSP_OKAY);
	ck_assert_int_eq(disk_ask(&disk, BLKIF_OP_WRITE, 1, 0, gref, 7), BLKIF_RSP_ERROR);
	ck_assert_int_eq(disk_ask(&disk, BLKIF_OP_FLUSH_DISKCACHE, 1, 0, gref, 7), BLKIF_RSP_ERROR);
	disk_flush(&disk);
	disk_check_image(&disk);
	disk_close(&disk);
}
END_TEST

/* an index that cannot be: this device stops, all others go on, and it can connect anew */
START_TEST(broken_ring)
{
	static const uint32_t jumps[] = { 33, 1000, 1u << 31, UINT32_MAX };

	disk_open(&disk, &set, "victim", "w", false);
	disk_create(&other, &set, "breaker", "w");
	for (size_t i = 0; i < ARRAY_SIZE(jumps); i++) {
		disk_connect(&other, false, XENHOST_STATE_INITIALISED);
		disk_random_io(&other, 20, 0);
		front_ring_force(&other.queues[0].ring, other.queues[0].ring.req_prod + jumps[i]);
		guest_port_notify(&other.queues[0].port);
		front_wait(&other.front, XENHOST_STATE_CLOSING);
		ck_assert_ptr_nonnull(strstr(disk_error(&other), "indices"));
		disk_random_io(&disk, 50, 0);
		front_set_state(&other.front, XENHOST_STATE_CLOSED);
		front_wait(&other.front, XENHOST_STATE_CLOSED);
		ck_assert_int_eq(guest_revoke(other.guest, other.queues[0].grefs[0]), 0);
		guest_port_close(other.guest, &other.queues[0].port);
		front_set_state(&other.front, XENHOST_STATE_INITIALISING);
	}
	disk_connect(&other, true, XENHOST_STATE_INITIALISED);
	disk_random_io(&other, 50, 0);
	disk_close(&other);
	disk_random_io(&disk, 50, 0);
	disk_check_image(&disk);
	disk_close(&disk);
}
END_TEST

/* random bytes as requests, some of them changed while they are looked at */
START_TEST(scribbles)
{
	disk_open(&disk, &set, "scribble", "w", _i & 1);
	for (unsigned int round = 0; round < 2000; round++) {
		unsigned int n = 1 + (unsigned int)random() % 32;
		uint8_t rsp[16];

		while (n-- > 0 && xenhost_front_ring_free(&disk.queues[0].ring) > 0) {
			uint8_t *slot = front_ring_next(&disk.queues[0].ring);

			for (size_t k = 0; k < disk.queues[0].ring.slot_size; k++)
				slot[k] = (uint8_t)(random() % 4 ? 0 : random());
			slot[0] = (uint8_t)(random() % 8);
		}
		disk_publish(&disk);
		for (int k = 0; k < 200; k++)
			((volatile uint8_t *)disk.queues[0]
				 .ring.shared)[64 + (size_t)random() % 3500] = (uint8_t)random();
		while (front_ring_take(&disk.queues[0].ring, rsp, 12))
			;
	}
	disk_close(&disk);
	disk_open(&disk, &set, "sane", "w", false);
	disk_random_io(&disk, 50, DISK_INDIRECT);
	disk_close(&disk);
}
END_TEST

START_TEST(dies_with_requests_under_way)
{
	disk_open(&other, &set, "survivor", "w", false);
	for (int i = 0; i < 10; i++) {
		char name[16];

		snprintf(name, sizeof(name), "dying%d", i);
		disk_open(&disk, &set, name, "w", i & 1);
		while (disk.inflight < DISK_DEPTH)
			disk_submit_random(&disk, 0);
		disk_publish(&disk);
		disk_close(&disk);
		disk_random_io(&other, 20, 0);
	}
	disk_close(&other);
}
END_TEST

/* each is a front end that says something that cannot be */
START_TEST(bad_keys)
{
	static const struct {
		const char *node, *value;
	} cases[] = {
		{ "ring-ref", "" },
		{ "ring-ref", "4294967296" },
		{ "ring-ref", "0x10" },
		{ "ring-ref", "3999" },
		{ "event-channel", "" },
		{ "event-channel", "999" },
		{ "event-channel", "-1" },
		{ "protocol", "sparc-abi" },
		{ "ring-page-order", "1" },
		{ "ring-page-order", "99999999999999999999" },
		{ "multi-queue-num-queues", "0" },
		{ "multi-queue-num-queues", "2" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char name[16];

		snprintf(name, sizeof(name), "badkey%zu", i);
		disk_create(&disk, &set, name, "w");
		front_wait(&disk.front, XENHOST_STATE_INIT_WAIT);
		front_ring_init(&disk.queues[0].ring,
				guest_page(disk.guest, disk.queues[0].frames[0]), 112);
		disk.queues[0].grefs[0] =
			guest_grant(disk.guest, SET_BLKBACK, disk.queues[0].frames[0], false);
		ck_assert_int_eq(guest_port_offer(disk.guest, SET_BLKBACK, &disk.queues[0].port),
				 0);
		front_write(&disk.front, XENHOST_FRONT, "ring-ref", "%u", disk.queues[0].grefs[0]);
		front_write(&disk.front, XENHOST_FRONT, "event-channel", "%u",
			    disk.queues[0].port.number);
		front_write(&disk.front, XENHOST_FRONT, cases[i].node, "%s", cases[i].value);
		front_set_state(&disk.front, XENHOST_STATE_INITIALISED);
		front_wait(&disk.front, XENHOST_STATE_CLOSING);
		ck_assert_str_ne(disk_error(&disk), "");
		ck_assert_int_eq(guest_revoke(disk.guest, disk.queues[0].grefs[0]), 0);
		disk_close(&disk);
	}
}
END_TEST

/* the toolstack's mistakes get a line that says what is wrong */
START_TEST(bad_images)
{
	static const struct {
		const char *params, *mode, *want;
	} cases[] = {
		{ "/nonexistent/image", "w", "No such file" },
		{ "relative", "w", "absolute" },
		{ "/dev/null", "r", "neither a file nor a block device" },
		{ "/etc/passwd", "rw", "neither r nor w" },
		{ "/etc/passwd", "r", "opend.conf does not let blkback read it" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char name[16];

		memset(&disk, 0, sizeof(disk));
		snprintf(name, sizeof(name), "badimage%zu", i);
		set_guest(&set, name, 16, &disk.front);
		disk.guest = disk.front.guest;
		front_init(&disk.front, disk.front.host, disk.guest, SET_BLKBACK, "vbd", XVDA);
		front_write(&disk.front, XENHOST_BACK, "params", "%s", cases[i].params);
		front_write(&disk.front, XENHOST_BACK, "mode", "%s", cases[i].mode);
		front_start(&disk.front);
		front_wait(&disk.front, XENHOST_STATE_CLOSING);
		ck_assert_ptr_nonnull(strstr(disk_error(&disk), cases[i].want));
		front_free(&disk.front);
	}
}
END_TEST

START_TEST(image_in_use)
{
	disk_open(&disk, &set, "shared", "w", false);
	memset(&other, 0, sizeof(other));
	other.front.host = disk.front.host;
	other.guest = disk.guest;
	front_init(&other.front, disk.front.host, disk.guest, SET_BLKBACK, "vbd", XVDA + 16);
	front_write(&other.front, XENHOST_BACK, "params", "%s", disk.path);
	front_write(&other.front, XENHOST_BACK, "mode", "r");
	front_start(&other.front);
	front_wait(&other.front, XENHOST_STATE_CLOSING);
	disk_random_io(&disk, 50, 0);
	disk_close(&disk);
}
END_TEST

/*
 * A block device that loses what is written: a loop device over a file that is larger than its file
 * system. -errno where we may not make one.
 */
static int make_lossy_device(char *path, size_t size)
{
	struct loop_config config = { .info.lo_flags = LO_FLAGS_AUTOCLEAR };
	_cleanup_close_ int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	_cleanup_close_ int file = -1;
	char dir[96];
	int fd, n;

	if (control < 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -errno;
	snprintf(dir, sizeof(dir), "%s/small", set.rundir);
	if (mkdir(dir, 0700) < 0 || mount("none", dir, "tmpfs", 0, "size=64k") < 0)
		return -errno;
	snprintf(path, size, "%s/file", dir);
	file = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	if (file < 0 || ftruncate(file, SECTORS * 512) < 0)
		return -errno;
	n = ioctl(control, LOOP_CTL_GET_FREE);
	snprintf(path, size, "/dev/loop%d", n);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	config.fd = (uint32_t)file;
	return ioctl(fd, LOOP_CONFIGURE, &config) < 0 ? -errno : fd;
}

/* The status of a write of the whole page of request 1; id 1 is its. */
static int16_t try_write(struct disk *d, uint64_t sector)
{
	struct disk_request *q = &d->requests[1];
	int16_t status;
	uint8_t op;

	disk_submit(d, 1, BLKIF_OP_WRITE, sector, 8, false);
	disk_publish(d);
	/* only ever this one is answered, never the flush */
	ck_assert_uint_eq(disk_next_response(d, &op, &status), 1);
	disk_give_back(d, q);
	return status;
}

/* A flush that failed is not answered; writes fail from then on, reads do not; and it can be closed. */
START_TEST(failed_flush)
{
	char path[128];
	int fd = make_lossy_device(path, sizeof(path));
	uint32_t gref;

	if (fd < 0) {
		printf("no loop device (%s): failed_flush was left out\n", strerror(-fd));
		return;
	}
	disk_prepare(&disk, &set, "lossy", "w", path);
	front_write(&disk.front, XENHOST_BACK, "cache", "page");
	front_start(&disk.front);
	disk_connect(&disk, false, XENHOST_STATE_INITIALISED);
	/* from here on blkbackd alone keeps it */
	close(fd);
	ck_assert_str_eq(front_read(&disk.front, XENHOST_BACK, "sectors"), "8192");
	for (uint64_t sector = 0; sector < SECTORS; sector += 64)
		ck_assert_int_eq(try_write(&disk, sector), BLKIF_RSP_OKAY);
	disk_put_header(&disk, 99, BLKIF_OP_FLUSH_DISKCACHE, 0, 0);
	disk_publish(&disk);
	while (try_write(&disk, 0) == BLKIF_RSP_OKAY)
		;
	ck_assert_int_eq(try_write(&disk, 800), BLKIF_RSP_ERROR);
	disk_put_header(&disk, 98, BLKIF_OP_FLUSH_DISKCACHE, 0, 0);
	ck_assert_int_eq(try_write(&disk, 1600), BLKIF_RSP_ERROR);
	gref = guest_grant(disk.guest, SET_BLKBACK, disk.requests[0].frames[0], false);
	ck_assert_int_eq(disk_ask(&disk, BLKIF_OP_READ, 1, 0, gref, 7), BLKIF_RSP_OKAY);
	disk_disconnect(&disk);
	disk_close(&disk);
}
END_TEST

/* ---- more queues, more pages, more features ---- */

static const struct {
	unsigned int queues, pages;
} shapes[] = { { 1, 2 }, { 1, 16 }, { 2, 1 }, { 4, 1 }, { 4, 4 }, { 3, 16 } };

START_TEST(queues_and_pages)
{
	disk_create(&disk, &set, "shape", "w");
	for (int i = 0; i < 2; i++) {
		disk.nr_queues = shapes[_i].queues;
		disk.pages = shapes[_i].pages;
		disk_connect(&disk, i, XENHOST_STATE_INITIALISED);
		disk_random_io(&disk, 800, DISK_INDIRECT | DISK_FLUSH | DISK_DISCARD);
		disk_flush(&disk);
		ck_assert_uint_eq(disk_stat(&disk, "queues"), shapes[_i].queues);
		ck_assert_uint_eq(disk_stat(&disk, "ring-pages"), shapes[_i].pages);
		disk_disconnect(&disk);
		front_set_state(&disk.front, XENHOST_STATE_INITIALISING);
	}
	disk_check_image(&disk);
	disk_close(&disk);
}
END_TEST

/* one page, named as the first of several */
START_TEST(order_zero)
{
	disk_create(&disk, &set, "order0", "w");
	disk.order_node = true;
	disk_connect(&disk, false, XENHOST_STATE_INITIALISED);
	disk_random_io(&disk, 100, 0);
	disk_disconnect(&disk);
	disk_close(&disk);
}
END_TEST

/* a ring that was in use before, as after a resume elsewhere: its indices are anywhere */
START_TEST(ring_at_an_index)
{
	struct xenhost_front_ring *ring = &disk.queues[0].ring;
	_Atomic uint32_t *page;

	disk_create(&disk, &set, "index", "w");
	front_wait(&disk.front, XENHOST_STATE_INIT_WAIT);
	disk_offer(&disk, false);
	page = ring->shared;
	ring->req_prod = ring->req_published = ring->rsp_cons = UINT32_MAX - 40;
	page[0] = page[2] = ring->req_prod;
	page[1] = page[3] = ring->req_prod + 1;
	front_set_state(&disk.front, XENHOST_STATE_CONNECTED);
	front_wait(&disk.front, XENHOST_STATE_CONNECTED);
	disk_random_io(&disk, 200, 0);
	disk_check_image(&disk);
	disk_close(&disk);
}
END_TEST

static long long blocks_of(const char *path)
{
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	return (long long)st.st_blocks;
}

static void fill_disk(struct disk *d)
{
	for (unsigned int s = 0; s < SECTORS; s += 88) {
		unsigned int i = s / 88 % 32, nr = SECTORS - s < 88 ? SECTORS - s : 88;

		if (d->requests[i].busy)
			disk_complete_all(d);
		disk_submit(d, i, BLKIF_OP_WRITE, s, nr, false);
		disk_publish(d);
	}
	disk_complete_all(d);
	disk_flush(d);
}

START_TEST(discards)
{
	long long before;

	disk_open(&disk, &set, "discard", "w", _i);
	ck_assert_str_eq(front_read(&disk.front, XENHOST_BACK, "feature-discard"), "1");
	ck_assert_str_eq(front_read(&disk.front, XENHOST_BACK, "discard-granularity"), "4096");
	ck_assert_str_eq(front_read(&disk.front, XENHOST_BACK, "discard-alignment"), "0");
	ck_assert_str_eq(front_read(&disk.front, XENHOST_BACK, "discard-secure"), "0");
	fill_disk(&disk);
	before = blocks_of(disk.path);
	disk_submit(&disk, 0, BLKIF_OP_DISCARD, 1001, 5000, false);
	/* too small to be one */
	disk_submit(&disk, 1, BLKIF_OP_DISCARD, 7001, 6, false);
	disk_publish(&disk);
	disk_complete_all(&disk);
	ck_assert_int_le(blocks_of(disk.path), before - 4984);
	disk_check_image(&disk);
	ck_assert_uint_ge(disk_stat(&disk, "discards"), 1);
	disk_close(&disk);
}
END_TEST

static int16_t ask_discard(struct disk *d, uint8_t flag, uint64_t sector, uint64_t nr)
{
	uint8_t *slot = disk_put_header(d, 7777, BLKIF_OP_DISCARD, flag, sector);
	int16_t status;
	uint8_t op;

	memcpy(slot + 24, &nr, sizeof(nr));
	disk_publish(d);
	ck_assert_uint_eq(disk_next_response(d, &op, &status), 7777);
	return status;
}

START_TEST(bad_discards)
{
	disk_open(&disk, &set, "baddiscard", "w", false);
	ck_assert_int_eq(ask_discard(&disk, 0, 0, 0), BLKIF_RSP_ERROR);
	ck_assert_int_eq(ask_discard(&disk, 0, 0, SECTORS + 1), BLKIF_RSP_ERROR);
	ck_assert_int_eq(ask_discard(&disk, 0, 8, UINT64_MAX - 7), BLKIF_RSP_ERROR);
	ck_assert_int_eq(ask_discard(&disk, 0, UINT64_MAX, 8), BLKIF_RSP_ERROR);
	/* secure was not offered */
	ck_assert_int_eq(ask_discard(&disk, BLKIF_DISCARD_SECURE, 0, 8), BLKIF_RSP_EOPNOTSUPP);
	ck_assert_int_eq(ask_discard(&disk, 0, 0, 8), BLKIF_RSP_OKAY);
	disk_close(&disk);
	/* the toolstack does not want it */
	disk_make_image(&set, "nodiscard", disk.path, sizeof(disk.path));
	{
		char path[128];

		strcpy(path, disk.path);
		disk_prepare(&disk, &set, "nodiscard", "w", path);
	}
	front_write(&disk.front, XENHOST_BACK, "discard-enable", "0");
	front_start(&disk.front);
	disk_connect(&disk, false, XENHOST_STATE_INITIALISED);
	ck_assert_str_eq(front_read(&disk.front, XENHOST_BACK, "feature-discard"), "0");
	ck_assert_int_eq(ask_discard(&disk, 0, 0, 8), BLKIF_RSP_EOPNOTSUPP);
	disk_close(&disk);
}
END_TEST

/* writes of the same place: those before a barrier must not end after it, nor those behind it before */
START_TEST(barriers)
{
	disk_open(&disk, &set, "barrier", "w", _i);
	for (unsigned int round = 0; round < 40; round++) {
		for (unsigned int i = 0; i < 30; i++) {
			bool barrier = i % 3 == 1;

			disk_submit(&disk, i, barrier ? BLKIF_OP_WRITE_BARRIER : BLKIF_OP_WRITE, 64,
				    8, false);
		}
		disk_publish(&disk);
		disk_complete_all(&disk);
		disk_submit(&disk, 0, BLKIF_OP_READ, 64, 8, false);
		disk_publish(&disk);
		disk_complete(&disk);
	}
	/* one without data is a flush */
	ck_assert_int_eq(disk_ask(&disk, BLKIF_OP_WRITE_BARRIER, 0, 0, 0, 0), BLKIF_RSP_OKAY);
	disk_close(&disk);
}
END_TEST

/* neighbours that come together are one access, and each is answered; with one event for all */
START_TEST(merged_and_one_event)
{
	unsigned long long notifies;

	disk_open(&disk, &set, "merge", "w", false);
	notifies = disk_stat(&disk, "notifies");
	for (unsigned int i = 0; i < 32; i++)
		disk_submit(&disk, i, BLKIF_OP_WRITE, i * 8, 8, false);
	disk_publish(&disk);
	disk_complete_all(&disk);
	ck_assert_uint_ge(disk_stat(&disk, "merged"), 16);
	ck_assert_uint_le(disk_stat(&disk, "notifies") - notifies, 32);
	disk_check_image(&disk);
	disk_close(&disk);
}
END_TEST

START_TEST(counts)
{
	const char *text;

	disk_open(&disk, &set, "counts", "w", false);
	disk_submit(&disk, 0, BLKIF_OP_WRITE, 0, 8, false);
	disk_submit(&disk, 1, BLKIF_OP_READ, 64, 16, false);
	disk_publish(&disk);
	disk_complete_all(&disk);
	disk_flush(&disk);
	ck_assert_int_eq(disk_ask(&disk, 200, 1, 0, 0, 7), BLKIF_RSP_EOPNOTSUPP);
	text = disk_order(&disk, "stat");
	ck_assert_ptr_nonnull(strstr(text, "ok state=running queues=1 "));
	ck_assert_ptr_nonnull(
		strstr(text, " requests=4 sectors-read=16 sectors-written=8 flushes=1 "));
	ck_assert_ptr_nonnull(strstr(text, " errors=1 "));
	ck_assert_ptr_nonnull(strstr(text, " latency-us="));
	ck_assert_str_eq(disk_order(&disk, "dance"), "error this order is unknown");
	disk_close(&disk);
}
END_TEST

START_TEST(pause_and_resume)
{
	disk_open(&disk, &set, "pause", "w", false);
	disk_random_io(&disk, 50, 0);
	ck_assert_str_eq(disk_order(&disk, "pause"), "ok");
	ck_assert_ptr_nonnull(strstr(disk_order(&disk, "stat"), "state=paused"));
	for (unsigned int i = 0; i < 20; i++)
		disk_submit_random(&disk, 0);
	disk_publish(&disk);
	/* two orders are a fence: the queue has seen the event, or will not before it may go on */
	for (int i = 0; i < 20; i++)
		ck_assert_ptr_nonnull(strstr(disk_order(&disk, "stat"), "state=paused"));
	ck_assert_uint_eq(disk_unanswered(&disk), disk.inflight);
	ck_assert_str_eq(disk_order(&disk, "resume"), "ok");
	disk_complete_all(&disk);
	disk_check_image(&disk);
	disk_disconnect(&disk);
	disk_close(&disk);
}
END_TEST

/* by itself, for those who watch the node */
static void wait_for_state(const char *state)
{
	while (strcmp(front_read(&disk.front, XENHOST_BACK, "xenhost-state"), state) != 0)
		;
}

/* the file is shorter than it was: reads wait until that is mended, or go with the device */
START_TEST(stops_and_goes_on)
{
	disk_make_image(&set, "stops", other.path, sizeof(other.path));
	disk_prepare(&disk, &set, "stops", "w", other.path);
	strcpy(disk.path, other.path);
	front_write(&disk.front, XENHOST_BACK, "rerror", "stop");
	front_start(&disk.front);
	disk.nr_queues = 2;
	disk_connect(&disk, false, XENHOST_STATE_INITIALISED);
	for (int round = 0; round < 2; round++) {
		wait_for_state("running");
		ck_assert_int_eq(truncate(disk.path, SECTORS * 256), 0);
		for (unsigned int i = 0; i < 40; i++)
			disk_submit(&disk, i, BLKIF_OP_READ, 88 * (i + 50), 88, false);
		disk_publish(&disk);
		wait_for_state("stopped");
		while (!strstr(disk_order(&disk, "stat"), "state=stopped"))
			;
		if (round == 1)
			break;
		ck_assert_int_eq(truncate(disk.path, SECTORS * 512), 0);
		ck_assert_str_eq(disk_order(&disk, "resume"), "ok");
		disk_complete_all(&disk);
		disk_random_io(&disk, 50, 0);
		for (unsigned int s = 0; s < SECTORS; s++)
			disk.versions[s] = s < SECTORS / 2 ? disk.versions[s] : 0;
		ck_assert_int_eq(truncate(disk.path, SECTORS * 256), 0);
		ck_assert_int_eq(truncate(disk.path, SECTORS * 512), 0);
	}
	disk_disconnect(&disk);
	disk_close(&disk);
}
END_TEST

/* A barrier that waits for a request which the disk stopped at must not keep it from being taken away. */
START_TEST(barrier_behind_an_error)
{
	disk_make_image(&set, "barred", other.path, sizeof(other.path));
	disk_prepare(&disk, &set, "barred", "w", other.path);
	strcpy(disk.path, other.path);
	front_write(&disk.front, XENHOST_BACK, "rerror", "stop");
	front_start(&disk.front);
	disk_connect(&disk, _i, XENHOST_STATE_INITIALISED);
	ck_assert_int_eq(truncate(disk.path, SECTORS * 256), 0);
	disk_submit(&disk, 0, BLKIF_OP_READ, SECTORS - 88, 88, false);
	disk_submit(&disk, 1, BLKIF_OP_WRITE_BARRIER, 64, 8, false);
	disk_publish(&disk);
	while (!strstr(disk_order(&disk, "stat"), "state=stopped"))
		;
	disk_disconnect(&disk);
	disk_close(&disk);
}
END_TEST

START_TEST(read_errors_are_told)
{
	uint32_t gref;

	disk_open(&disk, &set, "readerror", "w", false);
	gref = guest_grant(disk.guest, SET_BLKBACK, disk.requests[0].frames[0], false);
	ck_assert_int_eq(truncate(disk.path, SECTORS * 256), 0);
	ck_assert_int_eq(disk_ask(&disk, BLKIF_OP_READ, 1, SECTORS - 8, gref, 7), BLKIF_RSP_ERROR);
	ck_assert_int_eq(disk_ask(&disk, BLKIF_OP_READ, 1, 0, gref, 7), BLKIF_RSP_OKAY);
	disk_close(&disk);
}
END_TEST

static void wait_for_sectors(struct disk *d, const char *sectors)
{
	/* "state" is written after it, in the same transaction */
	ck_assert_str_eq(front_read(&d->front, XENHOST_BACK, "sectors"), sectors);
	ck_assert_str_eq(front_read(&d->front, XENHOST_BACK, "state"), "4");
}

START_TEST(resizes)
{
	uint32_t gref;

	disk_open(&disk, &set, "resize", "w", false);
	gref = guest_grant(disk.guest, SET_BLKBACK, disk.requests[0].frames[0], false);
	disk_random_io(&disk, 50, 0);
	ck_assert_int_eq(disk_ask(&disk, BLKIF_OP_READ, 1, SECTORS, gref, 7), BLKIF_RSP_ERROR);
	ck_assert_int_eq(truncate(disk.path, SECTORS * 1024), 0);
	ck_assert_str_eq(disk_order(&disk, "resize"), "ok sectors=16384");
	wait_for_sectors(&disk, "16384");
	ck_assert_int_eq(disk_ask(&disk, BLKIF_OP_READ, 1, SECTORS * 2 - 8, gref, 7),
			 BLKIF_RSP_OKAY);
	/* not smaller, unless it is said so */
	ck_assert_int_eq(truncate(disk.path, SECTORS * 512), 0);
	ck_assert_ptr_nonnull(strstr(disk_order(&disk, "resize"), "error the image is smaller"));
	wait_for_sectors(&disk, "16384");
	ck_assert_str_eq(disk_order(&disk, "resize shrink"), "ok sectors=8192");
	wait_for_sectors(&disk, "8192");
	ck_assert_int_eq(disk_ask(&disk, BLKIF_OP_READ, 1, SECTORS, gref, 7), BLKIF_RSP_ERROR);
	disk_random_io(&disk, 50, 0);
	disk_close(&disk);
}
END_TEST

/* it is noticed without an order as well */
START_TEST(grows_by_itself)
{
	disk_open(&disk, &set, "grows", "w", false);
	ck_assert_int_eq(truncate(disk.path, SECTORS * 1024), 0);
	/* any change in the folder makes it look; so does time, every 10 s */
	front_write(&disk.front, XENHOST_BACK, "something", "new");
	ck_assert_ptr_nonnull(strstr(disk_order(&disk, "stat"), "running"));
	wait_for_sectors(&disk, "16384");
	disk_close(&disk);
}
END_TEST

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* never faster than said; a second's worth at once is free */
START_TEST(throttled)
{
	double start;

	disk_open(&disk, &set, "throttle", "w", false);
	front_write(&disk.front, XENHOST_BACK, "throttle-iops", "400");
	ck_assert_ptr_nonnull(strstr(disk_order(&disk, "stat"), "running"));
	start = seconds();
	disk_random_io(&disk, 700, 0);
	ck_assert_double_ge(seconds() - start, 0.7);
	front_write(&disk.front, XENHOST_BACK, "throttle-iops", "0");
	front_write(&disk.front, XENHOST_BACK, "throttle-bps", "1000000");
	ck_assert_ptr_nonnull(strstr(disk_order(&disk, "stat"), "running"));
	start = seconds();
	for (unsigned int i = 0; i < 32; i++)
		disk_submit(&disk, i, BLKIF_OP_READ, i * 88, 88, false);
	disk_publish(&disk);
	disk_complete_all(&disk);
	ck_assert_double_ge(seconds() - start, 0.35);
	disk_close(&disk);
}
END_TEST

/* a file that poses as a disk of 4096-byte sectors */
START_TEST(large_sectors)
{
	uint32_t gref;

	disk_make_image(&set, "large", other.path, sizeof(other.path));
	disk_prepare(&disk, &set, "large", "w", other.path);
	strcpy(disk.path, other.path);
	front_write(&disk.front, XENHOST_BACK, "logical-sector-size", "4096");
	front_write(&disk.front, XENHOST_BACK, "physical-sector-size-hint", "16384");
	front_start(&disk.front);
	front_wait(&disk.front, XENHOST_STATE_INIT_WAIT);
	/* counts sectors in other units than all others: refused */
	front_write(&disk.front, XENHOST_FRONT, "feature-large-sector-size", "1");
	disk_offer(&disk, false);
	front_set_state(&disk.front, XENHOST_STATE_INITIALISED);
	front_wait(&disk.front, XENHOST_STATE_CLOSING);
	ck_assert_ptr_nonnull(strstr(disk_error(&disk), "feature-large-sector-size"));
	front_set_state(&disk.front, XENHOST_STATE_CLOSED);
	front_wait(&disk.front, XENHOST_STATE_CLOSED);
	disk_release_rings(&disk);
	front_write(&disk.front, XENHOST_FRONT, "feature-large-sector-size", "0");
	front_set_state(&disk.front, XENHOST_STATE_INITIALISING);

	disk_connect(&disk, false, XENHOST_STATE_INITIALISED);
	ck_assert_str_eq(front_read(&disk.front, XENHOST_BACK, "sector-size"), "4096");
	ck_assert_str_eq(front_read(&disk.front, XENHOST_BACK, "physical-sector-size"), "16384");
	ck_assert_str_eq(front_read(&disk.front, XENHOST_BACK, "sectors"), "8192");
	gref = guest_grant(disk.guest, SET_BLKBACK, disk.requests[0].frames[0], false);
	ck_assert_int_eq(disk_ask(&disk, BLKIF_OP_READ, 1, 8, gref, 7), BLKIF_RSP_OKAY);
	ck_assert_int_eq(disk_ask(&disk, BLKIF_OP_READ, 1, 4, gref, 7), BLKIF_RSP_ERROR);
	ck_assert_int_eq(disk_ask(&disk, BLKIF_OP_READ, 1, 8, gref, 3), BLKIF_RSP_ERROR);
	ck_assert_int_eq(disk_ask(&disk, BLKIF_OP_READ, 1, 8, gref, 0x0407), BLKIF_RSP_ERROR);
	for (unsigned int i = 0; i < 8; i++)
		disk_submit(&disk, i, BLKIF_OP_WRITE, i * 80, 80, false);
	disk_publish(&disk);
	disk_complete_all(&disk);
	disk_check_image(&disk);
	disk_close(&disk);
}
END_TEST

static unsigned long daemon_rss(void)
{
	char path[64], line[128];
	unsigned long kb = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)set.services[0].pid);
	f = fopen(path, "re");
	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "VmRSS: %lu", &kb) == 1)
			break;
	fclose(f);
	return kb;
}

/* XSA-349: a guest that writes faster than we look makes us keep nothing; and the others are served */
START_TEST(floods_of_nodes)
{
	unsigned long before;

	disk_open(&disk, &set, "flood", "w", false);
	disk_open(&other, &set, "bystander", "w", false);
	disk_random_io(&other, 100, 0);
	before = daemon_rss();
	for (int i = 0; i < 5000; i++) {
		front_set_state(&disk.front, XENHOST_STATE_CONNECTED);
		front_write(&disk.front, XENHOST_FRONT, "junk", "%d", i);
	}
	disk_random_io(&other, 100, 0);
	disk_random_io(&disk, 100, 0);
	ck_assert_uint_le(daemon_rss(), before + 16384);
	disk_close(&other);
	disk_close(&disk);
}
END_TEST

/* XSA-332: woken for nothing, all the time */
START_TEST(storm_of_events)
{
	disk_open(&disk, &set, "storm", "w", false);
	disk_open(&other, &set, "calm", "w", false);
	for (int i = 0; i < 100; i++) {
		for (int k = 0; k < 200; k++)
			guest_port_notify(&disk.queues[0].port);
		disk_random_io(&other, 5, 0);
	}
	disk_random_io(&disk, 100, 0);
	disk_close(&other);
	disk_close(&disk);
}
END_TEST

/* XSA-350, 374, 441: comes and goes as it likes, with requests under way, broken rings and kicks */
/* asks for the statistics, and does not wait for them */
static void ask_for_stats(unsigned int number)
{
	front_write(&disk.front, XENHOST_BACK, "xenhost-control", "%u stat", number);
}

START_TEST(states_at_random)
{
	disk_create(&disk, &set, "states", "w");
	for (int i = 0; i < 150; i++) {
		front_wait(&disk.front, XENHOST_STATE_INIT_WAIT);
		disk.nr_queues = 1 + (unsigned int)random() % 4;
		disk_offer(&disk, random() % 2);
		if (disk.nr_queues == 1)
			front_write(&disk.front, XENHOST_FRONT, "multi-queue-num-queues", "1");
		front_set_state(&disk.front, 3 + (unsigned int)random() % 2);
		ask_for_stats(10000 + (unsigned int)i);
		while (disk.inflight < 20 && disk_submit_random(&disk, 0))
			;
		disk_publish(&disk);
		if (random() % 4 == 0)
			front_ring_force(&disk.queues[0].ring, (uint32_t)random());
		for (unsigned int k = 0; k < disk.nr_queues; k++)
			guest_port_notify(&disk.queues[k].port);
		if (random() % 2)
			front_set_state(&disk.front, XENHOST_STATE_CLOSING);
		ask_for_stats(20000 + (unsigned int)i);
		front_set_state(&disk.front, XENHOST_STATE_CLOSED);
		front_wait(&disk.front, XENHOST_STATE_CLOSED);
		disk_release_rings(&disk);
		for (unsigned int k = 0; k < disk.nr_requests; k++)
			if (disk.requests[k].busy)
				disk_give_back(&disk, &disk.requests[k]);
		front_set_state(&disk.front, XENHOST_STATE_INITIALISING);
	}
	disk_close(&disk);
}
END_TEST

/*
 * XSA-155: what is checked is what is used, however often it changes meanwhile. Forked, as a second CPU of
 * the guest. Slots of `unit` bytes, in which the grefs begin at `grefs`; their lowest bytes stay, or the
 * guest would have the ring's own page read over in the end.
 */
static pid_t start_flipper(volatile uint8_t *bytes, size_t size, size_t unit, size_t grefs)
{
	unsigned int seed = 1;
	pid_t pid = fork();

	while (pid == 0) {
		size_t i = (unsigned int)rand_r(&seed) % size;

		if (i % unit < grefs || i % 4)
			bytes[i] = (uint8_t)rand_r(&seed);
	}
	ck_assert_int_gt(pid, 0);
	return pid;
}

START_TEST(changing_requests)
{
	unsigned int answered = 0;
	pid_t flipper;

	disk_open(&disk, &set, "flipped", "w", false);
	if (_i == 1) /* the page of indirect segments */
		flipper = start_flipper(guest_page(disk.guest, disk.requests[0].indirect_frame),
					4096, 8, 0);
	else
		flipper = start_flipper((uint8_t *)disk.queues[0].ring.shared + 64,
					(size_t)32 * 112, 112, 24);
	while (answered < 1000) {
		uint8_t rsp[16];

		disk_submit(&disk, 0, BLKIF_OP_READ, 0, _i == 1 ? 8 * 30 : 88, _i == 1);
		disk_publish(&disk);
		while (!front_ring_take(&disk.queues[0].ring, rsp, 16))
			if (!xenhost_front_ring_arm(&disk.queues[0].ring))
				ck_assert_int_eq(
					guest_port_wait(&disk.queues[0].port, DISK_PATIENCE_MS), 1);
		disk_give_back(&disk, &disk.requests[0]);
		answered++;
	}
	ck_assert_int_eq(kill(flipper, SIGKILL), 0);
	ck_assert_int_eq(waitpid(flipper, NULL, 0), flipper);
	disk_close(&disk);
	disk_open(&disk, &set, "unflipped", "w", false);
	disk_random_io(&disk, 50, DISK_INDIRECT);
	disk_close(&disk);
}
END_TEST

static void assert_status_line(const char *path, const char *key, const char *value)
{
	char line[256] = "", want[64];
	FILE *f = fopen(path, "re");

	ck_assert_ptr_nonnull(f);
	snprintf(want, sizeof(want), "%s:\t%s\n", key, value);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)) && line[strlen(key)] == ':')
			break;
	fclose(f);
	ck_assert_msg(!strcmp(line, want), "%s: not %s but %s", path, want, line);
}

/* the daemon has no capabilities and a filter of its system calls, in all threads */
START_TEST(confined)
{
	char path[320];
	struct dirent *entry;
	DIR *dir;

	disk_open(&disk, &set, "confined", "w", false);
	disk_random_io(&disk, 20, DISK_DISCARD);
	snprintf(path, sizeof(path), "/proc/%d/task", (int)set.services[0].pid);
	dir = opendir(path);
	ck_assert_ptr_nonnull(dir);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/status", (int)set.services[0].pid,
			 entry->d_name);
		assert_status_line(path, "CapEff", "0000000000000000");
		assert_status_line(path, "CapPrm", "0000000000000000");
		assert_status_line(path, "NoNewPrivs", "1");
		assert_status_line(path, "Seccomp", "2");
	}
	closedir(dir);
	snprintf(path, sizeof(path), "/proc/%d/status", (int)set.opend.pid);
	assert_status_line(path, "Seccomp", "2");
	disk_close(&disk);
}
END_TEST

static int run_tests(void)
{
	Suite *s = suite_create("loopback-blk");
	TCase *tc = tcase_create("all");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, keys);
	tcase_add_loop_test(tc, random_requests, 0, 4);
	tcase_add_test(tc, two_disks);
	tcase_add_test(tc, flush_with_data);
	tcase_add_test(tc, requests_before_connecting);
	tcase_add_test(tc, reconnects);
	tcase_add_test(tc, unplug);
	tcase_add_loop_test(tc, bad_requests, 0, 2);
	tcase_add_test(tc, one_bad_segment);
	tcase_add_test(tc, adjacent_frames);
	tcase_add_test(tc, readonly_disk);
	tcase_add_test(tc, broken_ring);
	tcase_add_loop_test(tc, scribbles, 0, 2);
	tcase_add_test(tc, dies_with_requests_under_way);
	tcase_add_test(tc, bad_keys);
	tcase_add_test(tc, bad_images);
	tcase_add_test(tc, image_in_use);
	tcase_add_test(tc, failed_flush);
	tcase_add_loop_test(tc, queues_and_pages, 0, (int)ARRAY_SIZE(shapes));
	tcase_add_test(tc, order_zero);
	tcase_add_test(tc, ring_at_an_index);
	tcase_add_loop_test(tc, discards, 0, 2);
	tcase_add_test(tc, bad_discards);
	tcase_add_loop_test(tc, barriers, 0, 2);
	tcase_add_test(tc, merged_and_one_event);
	tcase_add_test(tc, counts);
	tcase_add_test(tc, pause_and_resume);
	tcase_add_test(tc, stops_and_goes_on);
	tcase_add_loop_test(tc, barrier_behind_an_error, 0, 2);
	tcase_add_test(tc, read_errors_are_told);
	tcase_add_test(tc, resizes);
	tcase_add_test(tc, grows_by_itself);
	tcase_add_test(tc, throttled);
	tcase_add_test(tc, large_sectors);
	tcase_add_test(tc, floods_of_nodes);
	tcase_add_test(tc, storm_of_events);
	tcase_add_test(tc, states_at_random);
	tcase_add_loop_test(tc, changing_requests, 0, 2);
#ifndef XENHOST_SANITIZED
	tcase_add_test(tc, confined);
#else
	(void)confined;
#endif
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}

/* What a hostile front end does, again and again, while an honest one beside it is served. */
static int run_hostile(unsigned int seconds)
{
	time_t end = time(NULL) + seconds;
	unsigned int rounds = 0;
	int failed = 0;

	while (!failed && time(NULL) < end) {
		Suite *s = suite_create("hostile");
		TCase *tc = tcase_create("all");
		SRunner *sr = srunner_create(s);

		suite_add_tcase(s, tc);
		tcase_set_timeout(tc, 300);
		tcase_add_loop_test(tc, bad_requests, 0, 2);
		tcase_add_test(tc, one_bad_segment);
		tcase_add_test(tc, broken_ring);
		tcase_add_loop_test(tc, scribbles, 0, 2);
		tcase_add_test(tc, dies_with_requests_under_way);
		tcase_add_test(tc, bad_keys);
		tcase_add_test(tc, bad_discards);
		tcase_add_test(tc, floods_of_nodes);
		tcase_add_test(tc, storm_of_events);
		tcase_add_test(tc, states_at_random);
		tcase_add_loop_test(tc, changing_requests, 0, 2);
		tcase_add_test(tc, two_disks);
		srunner_run_all(sr, CK_SILENT);
		failed = srunner_ntests_failed(sr);
		if (failed)
			srunner_print(sr, CK_NORMAL);
		srunner_free(sr);
		rounds++;
	}
	printf("hostile: %u rounds\n", rounds);
	return failed;
}

static int prepare(const char *engine)
{
	const char *const args[] = { "--engine",  engine,
				     "--threads", "4",
				     "--barrier", getenv("VERBOSE") ? "--verbose" : NULL,
				     NULL };

	return set_start_with(&set, "blkbackd", args);
}

/* the same with both engines; what ends the daemon is as bad as a wrong byte */
int main(void)
{
	static const char *const engines[] = { "uring", "sync" };
	const char *hostile = getenv("XENHOST_HOSTILE_SECONDS");
	int failed = 0;

	for (size_t i = 0; i < ARRAY_SIZE(engines); i++) {
		printf("engine %s\n", engines[i]);
		fflush(stdout);
		if (prepare(engines[i]) < 0)
			return EXIT_FAILURE;
		failed += hostile ? run_hostile((unsigned int)atoi(hostile) / 2) : run_tests();
		failed += set_stop(&set) < 0;
	}
	if (prepare("auto") < 0)
		return EXIT_FAILURE;
	failed += set_lose_host(&set) < 0;
	failed += set_stop(&set) < 0;
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
