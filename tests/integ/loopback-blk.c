/* SPDX-License-Identifier: MIT */
/*
 * xenhost-blkbackd and the set around it, driven by loopback guests. Every byte that is read is checked
 * against a model of the disk; every grant is revoked as soon as its request was answered, as front ends
 * do that trust nobody.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <check.h>
#include <linux/loop.h>

#include "common/cleanup.h"
#include "common/xen.h"

#include "tests/support/front.h"
#include "loopguest/guest.h"
#include "tests/support/set.h"

#define SECTORS 8192u
#define DEPTH 32u
#define SEGS_MAX 32u /* as Linux uses of an indirect request */
#define PATIENCE_MS 30000
#define XVDA 51712u

static struct set set;

/* ---- a disk as its front end sees it ---- */

struct request {
	bool busy;
	uint8_t op;
	uint64_t sector;
	unsigned int nr_sectors;
	unsigned int nr_segs;
	uint32_t frames[SEGS_MAX];
	uint32_t grefs[SEGS_MAX];
	uint32_t indirect_frame;
	uint32_t indirect_gref; /* 0: none */
};

struct disk {
	struct guest *guest;
	struct front front;
	struct xenhost_front_ring ring;
	struct guest_port port;
	bool is32; /* the 32-bit layout */
	char path[128];
	uint32_t ring_frame;
	uint32_t ring_gref;
	struct request requests[DEPTH];
	uint32_t versions[SECTORS]; /* the model: what was written last */
	bool claimed[SECTORS];	    /* a request is under way there */
	unsigned int inflight;
	uint32_t version;
};

static uint32_t word_of(uint64_t sector, uint32_t version, unsigned int i)
{
	return (uint32_t)(sector * 2654435761u) ^ version * 40503u ^ i << 20;
}

static void fill_sector(void *where, uint64_t sector, uint32_t version)
{
	uint32_t words[128];

	for (unsigned int i = 0; i < 128; i++)
		words[i] = version ? word_of(sector, version, i) : 0;
	memcpy(where, words, sizeof(words));
}

static void check_sector(const void *where, uint64_t sector, uint32_t version)
{
	uint8_t want[512];

	fill_sector(want, sector, version);
	if (memcmp(where, want, sizeof(want)))
		ck_abort_msg("sector %llu is not what was written (version %u)",
			     (unsigned long long)sector, version);
}

static void make_image(const char *name, char *path, size_t size)
{
	int fd;

	snprintf(path, size, "%s/%s", set.rundir, name);
	fd = open(path, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, SECTORS * 512), 0);
	close(fd);
}

/* A guest with a device that is complete in the store. */
static void disk_create_on(struct disk *d, const char *name, const char *mode, const char *image)
{
	memset(d, 0, sizeof(*d));
	set_guest(&set, name, 2048, &d->front);
	d->guest = d->front.guest;
	front_init(&d->front, d->front.host, d->guest, SET_BLKBACK, "vbd", XVDA);
	front_write(&d->front, XENHOST_BACK, "params", "aio:%s", image);
	front_write(&d->front, XENHOST_BACK, "mode", "%s", mode);
	front_write(&d->front, XENHOST_BACK, "device-type", "disk");
	front_write(&d->front, XENHOST_FRONT, "virtual-device", "%u", XVDA);
	for (unsigned int i = 0; i < DEPTH; i++) {
		for (unsigned int j = 0; j < SEGS_MAX; j++)
			d->requests[i].frames[j] = guest_new_frame(d->guest);
		d->requests[i].indirect_frame = guest_new_frame(d->guest);
	}
	d->ring_frame = guest_new_frame(d->guest);
	front_start(&d->front);
}

static void disk_create(struct disk *d, const char *name, const char *mode)
{
	char path[sizeof(d->path)];

	make_image(name, path, sizeof(path));
	disk_create_on(d, name, mode, path);
	strcpy(d->path, path);
}

/* What a front end does when it sees InitWait. state: 3, or 4 as OVMF does */
static void disk_connect(struct disk *d, bool is32, unsigned int state)
{
	front_wait(&d->front, XENHOST_STATE_INIT_WAIT);
	d->is32 = is32;
	front_ring_init(&d->ring, guest_page(d->guest, d->ring_frame), is32 ? 108 : 112);
	ck_assert_uint_eq(d->ring.size, 32);
	d->ring_gref = guest_grant(d->guest, SET_BLKBACK, d->ring_frame, false);
	ck_assert_int_eq(guest_port_offer(d->guest, SET_BLKBACK, &d->port), 0);
	front_write(&d->front, XENHOST_FRONT, "ring-ref", "%u", d->ring_gref);
	front_write(&d->front, XENHOST_FRONT, "event-channel", "%u", d->port.number);
	front_write(&d->front, XENHOST_FRONT, "protocol", "%s",
		    is32 ? XEN_IO_PROTO_ABI_X86_32 : XEN_IO_PROTO_ABI_X86_64);
	front_set_state(&d->front, state);
	front_wait(&d->front, XENHOST_STATE_CONNECTED);
	front_set_state(&d->front, XENHOST_STATE_CONNECTED);
}

static void disk_disconnect(struct disk *d)
{
	front_disconnect(&d->front);
	ck_assert_int_eq(guest_revoke(d->guest, d->ring_gref), 0);
	guest_port_close(d->guest, &d->port);
}

static void disk_open(struct disk *d, const char *name, const char *mode, bool is32)
{
	disk_create(d, name, mode);
	disk_connect(d, is32, XENHOST_STATE_INITIALISED);
}

static void disk_close(struct disk *d)
{
	front_free(&d->front);
	if (*d->path)
		unlink(d->path);
}

/* ---- requests ---- */

static void put16(uint8_t *slot, size_t at, uint16_t v)
{
	memcpy(slot + at, &v, sizeof(v));
}

static void put32(uint8_t *slot, size_t at, uint32_t v)
{
	memcpy(slot + at, &v, sizeof(v));
}

static void put64(uint8_t *slot, size_t at, uint64_t v)
{
	memcpy(slot + at, &v, sizeof(v));
}

static void put_seg(uint8_t *where, uint32_t gref, unsigned int nr)
{
	put32(where, 0, gref);
	where[4] = 0;
	where[5] = (uint8_t)(nr - 1);
}

/* The slot of a plain request without segments; id is the index of the request. */
static uint8_t *put_header(struct disk *d, unsigned int i, uint8_t op, uint8_t nr, uint64_t sector)
{
	uint8_t *slot = front_ring_next(&d->ring);

	memset(slot, 0xa5, d->ring.slot_size);
	slot[0] = op;
	slot[1] = nr;
	put64(slot, d->is32 ? 4 : 8, i);
	put64(slot, d->is32 ? 12 : 16, sector);
	return slot;
}

static void put_plain(struct disk *d, unsigned int i)
{
	const struct request *q = &d->requests[i];
	uint8_t *slot = put_header(d, i, q->op, (uint8_t)q->nr_segs, q->sector);
	unsigned int left = q->nr_sectors;

	for (unsigned int s = 0; s < q->nr_segs; s++, left -= 8)
		put_seg(slot + (d->is32 ? 20 : 24) + (size_t)s * 8, q->grefs[s],
			left < 8 ? left : 8);
}

static void put_indirect(struct disk *d, unsigned int i)
{
	struct request *q = &d->requests[i];
	uint8_t *slot = put_header(d, i, BLKIF_OP_INDIRECT, q->op, q->sector);
	uint8_t *page = guest_page(d->guest, q->indirect_frame);
	unsigned int left = q->nr_sectors;

	for (unsigned int s = 0; s < q->nr_segs; s++, left -= 8)
		put_seg(page + (size_t)s * 8, q->grefs[s], left < 8 ? left : 8);
	put16(slot, 2, (uint16_t)q->nr_segs);
	put32(slot, d->is32 ? 24 : 28, q->indirect_gref);
}

static unsigned int free_request(const struct disk *d)
{
	for (unsigned int i = 0; i < DEPTH; i++)
		if (!d->requests[i].busy)
			return i;
	return DEPTH;
}

static uint8_t *data_of(struct disk *d, const struct request *q, unsigned int n)
{
	return (uint8_t *)guest_page(d->guest, q->frames[n / 8]) + n % 8 * 512;
}

/* Puts a read or write into the ring, not yet published. */
static void submit(struct disk *d, unsigned int i, uint8_t op, uint64_t sector, unsigned int nr,
		   bool indirect)
{
	struct request *q = &d->requests[i];

	q->busy = true;
	q->op = op;
	q->sector = sector;
	q->nr_sectors = nr;
	q->nr_segs = (nr + 7) / 8;
	for (unsigned int s = 0; s < q->nr_segs; s++)
		q->grefs[s] =
			guest_grant(d->guest, SET_BLKBACK, q->frames[s], op == BLKIF_OP_WRITE);
	q->indirect_gref =
		indirect ? guest_grant(d->guest, SET_BLKBACK, q->indirect_frame, true) : 0;
	if (op == BLKIF_OP_WRITE)
		d->version++;
	for (unsigned int n = 0; n < nr; n++) {
		d->claimed[sector + n] = true;
		if (op == BLKIF_OP_WRITE) {
			d->versions[sector + n] = d->version;
			fill_sector(data_of(d, q, n), sector + n, d->version);
		} else {
			memset(data_of(d, q, n), 0xee, 512);
		}
	}
	if (indirect)
		put_indirect(d, i);
	else
		put_plain(d, i);
	d->inflight++;
}

static void publish(struct disk *d)
{
	if (xenhost_front_ring_push(&d->ring))
		guest_port_notify(&d->port);
}

/* The next response: its id, with the status in *ret_status. */
static uint64_t next_response(struct disk *d, uint8_t *ret_op, int16_t *ret_status)
{
	static const uint8_t zeros[6];
	size_t size = d->is32 ? 12 : 16;
	uint8_t rsp[16];
	uint64_t id;

	while (!front_ring_take(&d->ring, rsp, size)) {
		if (!xenhost_front_ring_arm(&d->ring))
			ck_assert_int_eq(guest_port_wait(&d->port, PATIENCE_MS), 1);
	}
	memcpy(&id, rsp, sizeof(id));
	*ret_op = rsp[8];
	memcpy(ret_status, rsp + 10, sizeof(*ret_status));
	ck_assert_uint_eq(rsp[9], 0);
	ck_assert_mem_eq(rsp + 12, zeros, size - 12);
	return id;
}

/* The pages are ours again at this moment, not later. */
static void give_back(struct disk *d, struct request *q)
{
	for (unsigned int s = 0; s < q->nr_segs; s++)
		ck_assert_int_eq(guest_revoke(d->guest, q->grefs[s]), 0);
	if (q->indirect_gref)
		ck_assert_int_eq(guest_revoke(d->guest, q->indirect_gref), 0);
	for (unsigned int n = 0; n < q->nr_sectors; n++)
		d->claimed[q->sector + n] = false;
	q->busy = false;
	d->inflight--;
}

static void complete(struct disk *d)
{
	struct request *q;
	int16_t status;
	uint64_t id;
	uint8_t op;

	id = next_response(d, &op, &status);
	ck_assert_uint_lt(id, DEPTH);
	q = &d->requests[id];
	ck_assert(q->busy);
	ck_assert_uint_eq(op, q->op);
	ck_assert_int_eq(status, BLKIF_RSP_OKAY);
	if (q->op == BLKIF_OP_READ) {
		for (unsigned int n = 0; n < q->nr_sectors; n++)
			check_sector(data_of(d, q, n), q->sector + n, d->versions[q->sector + n]);
	}
	give_back(d, q);
}

/* One request without data, or one that must fail: its status. */
static int16_t ask(struct disk *d, uint8_t op, uint8_t nr, uint64_t sector, uint32_t gref,
		   unsigned int first_last)
{
	uint8_t *slot = put_header(d, 77, op, nr, sector);
	int16_t status;
	uint8_t got;

	for (unsigned int s = 0; s < (nr < 11 ? nr : 11u); s++) {
		uint8_t *seg = slot + (d->is32 ? 20 : 24) + (size_t)s * 8;

		put32(seg, 0, gref);
		seg[4] = (uint8_t)(first_last >> 8);
		seg[5] = (uint8_t)first_last;
	}
	publish(d);
	ck_assert_uint_eq(next_response(d, &got, &status), 77);
	ck_assert_uint_eq(got, op == BLKIF_OP_INDIRECT ? nr : op);
	return status;
}

static void flush(struct disk *d)
{
	ck_assert_int_eq(ask(d, BLKIF_OP_FLUSH_DISKCACHE, 0, 0, 0, 0), BLKIF_RSP_OKAY);
}

static bool range_free(const struct disk *d, uint64_t sector, unsigned int nr)
{
	for (unsigned int n = 0; n < nr; n++)
		if (d->claimed[sector + n])
			return false;
	return true;
}

/* A request at a random place that no other is at; false: none was found */
static bool submit_random(struct disk *d, bool indirect)
{
	unsigned int i = free_request(d);
	unsigned int nr = 1 + (unsigned int)random() % ((indirect ? SEGS_MAX : 11) * 8);
	uint64_t sector = (uint64_t)random() % (SECTORS - nr + 1);

	if (i == DEPTH || !range_free(d, sector, nr))
		return false;
	submit(d, i, random() % 2 ? BLKIF_OP_READ : BLKIF_OP_WRITE, sector, nr, indirect);
	return true;
}

static void random_io(struct disk *d, unsigned int count, bool indirect)
{
	unsigned int done = 0;

	while (done < count) {
		unsigned int want = 1 + (unsigned int)random() % DEPTH;

		while (d->inflight < want && submit_random(d, indirect && random() % 2))
			;
		publish(d);
		if (d->inflight > 0) {
			complete(d);
			done++;
		}
	}
	while (d->inflight > 0)
		complete(d);
}

/* what is in the file is what was written */
static void check_image(struct disk *d)
{
	int fd = open(d->path, O_RDONLY | O_CLOEXEC);
	uint8_t buf[512];

	ck_assert_int_ge(fd, 0);
	for (uint64_t s = 0; s < SECTORS; s++) {
		ck_assert_int_eq(pread(fd, buf, 512, (off_t)s * 512), 512);
		check_sector(buf, s, d->versions[s]);
	}
	close(fd);
}

static struct disk disk, other;

/* ---- what works ---- */

START_TEST(keys)
{
	disk_create(&disk, "keys", "r");
	front_wait(&disk.front, XENHOST_STATE_INIT_WAIT);
	ck_assert_str_eq(front_read(&disk.front, XENHOST_BACK, "sectors"), "8192");
	ck_assert_str_eq(front_read(&disk.front, XENHOST_BACK, "sector-size"), "512");
	ck_assert_str_eq(front_read(&disk.front, XENHOST_BACK, "physical-sector-size"), "512");
	ck_assert_str_eq(front_read(&disk.front, XENHOST_BACK, "info"), "4");
	ck_assert_str_eq(front_read(&disk.front, XENHOST_BACK, "feature-flush-cache"), "1");
	ck_assert_str_eq(front_read(&disk.front, XENHOST_BACK, "feature-max-indirect-segments"),
			 "256");
	ck_assert_str_eq(front_read(&disk.front, XENHOST_BACK, "hotplug-status"), "connected");
	/* what is not there yet must not be offered */
	ck_assert_str_eq(front_read(&disk.front, XENHOST_BACK, "multi-queue-max-queues"), "");
	ck_assert_str_eq(front_read(&disk.front, XENHOST_BACK, "max-ring-page-order"), "");
	ck_assert_str_eq(front_read(&disk.front, XENHOST_BACK, "feature-discard"), "");
	disk_close(&disk);
}
END_TEST

/* _i: 32-bit layout, indirect requests */
START_TEST(random_requests)
{
	disk_open(&disk, "random", "w", _i & 1);
	random_io(&disk, 4000, _i & 2);
	flush(&disk);
	check_image(&disk);
	disk_disconnect(&disk);
	disk_close(&disk);
}
END_TEST

START_TEST(two_disks)
{
	disk_open(&disk, "first", "w", false);
	disk_open(&other, "second", "w", true);
	for (int i = 0; i < 10; i++) {
		random_io(&disk, 100, true);
		random_io(&other, 100, false);
	}
	check_image(&disk);
	check_image(&other);
	disk_close(&other);
	random_io(&disk, 100, true);
	disk_close(&disk);
}
END_TEST

/* a flush with data: the write is done, and after the flush */
START_TEST(flush_with_data)
{
	struct request *q = &disk.requests[0];

	disk_open(&disk, "flushdata", "w", false);
	submit(&disk, 0, BLKIF_OP_WRITE, 16, 8, false);
	q->op = BLKIF_OP_FLUSH_DISKCACHE;
	((uint8_t *)disk.ring.shared)[64] = BLKIF_OP_FLUSH_DISKCACHE;
	publish(&disk);
	complete(&disk);
	check_image(&disk);
	flush(&disk);
	disk_close(&disk);
}
END_TEST

/* grub and OVMF: requests before the back end looked, state 4 without 3, no kick */
START_TEST(requests_before_connecting)
{
	disk_create(&disk, "early", "w");
	front_wait(&disk.front, XENHOST_STATE_INIT_WAIT);
	disk_connect(&disk, true, XENHOST_STATE_CONNECTED);
	disk_disconnect(&disk);
	front_set_state(&disk.front, XENHOST_STATE_INITIALISING);
	front_wait(&disk.front, XENHOST_STATE_INIT_WAIT);

	front_ring_init(&disk.ring, guest_page(disk.guest, disk.ring_frame), 108);
	disk.ring_gref = guest_grant(disk.guest, SET_BLKBACK, disk.ring_frame, false);
	submit(&disk, 0, BLKIF_OP_WRITE, 8, 8, false);
	xenhost_front_ring_push(&disk.ring);
	ck_assert_int_eq(guest_port_offer(disk.guest, SET_BLKBACK, &disk.port), 0);
	front_write(&disk.front, XENHOST_FRONT, "ring-ref", "%u", disk.ring_gref);
	front_write(&disk.front, XENHOST_FRONT, "event-channel", "%u", disk.port.number);
	front_set_state(&disk.front, XENHOST_STATE_CONNECTED);
	complete(&disk);
	check_image(&disk);
	disk_close(&disk);
}
END_TEST

START_TEST(reconnects)
{
	disk_create(&disk, "again", "w");
	for (int i = 0; i < 20; i++) {
		disk_connect(&disk, i & 1, XENHOST_STATE_INITIALISED);
		random_io(&disk, 50, i & 2);
		disk_disconnect(&disk);
		front_set_state(&disk.front, XENHOST_STATE_INITIALISING);
	}
	check_image(&disk);
	disk_close(&disk);
}
END_TEST

START_TEST(unplug)
{
	disk_open(&disk, "unplug", "w", false);
	random_io(&disk, 100, false);
	front_write(&disk.front, XENHOST_BACK, "online", "0");
	front_write(&disk.front, XENHOST_BACK, "state", "5");
	front_set_state(&disk.front, XENHOST_STATE_CLOSING);
	front_set_state(&disk.front, XENHOST_STATE_CLOSED);
	front_wait(&disk.front, XENHOST_STATE_CLOSED);
	ck_assert_int_eq(guest_revoke(disk.guest, disk.ring_gref), 0);
	check_image(&disk);
	/* the image is free: another guest gets it */
	disk_create_on(&other, "heir", "w", disk.path);
	disk_connect(&other, false, XENHOST_STATE_INITIALISED);
	disk_close(&other);
	disk_close(&disk);
}
END_TEST

/* ---- what must be refused ---- */

START_TEST(bad_requests)
{
	uint32_t good, readonly;

	disk_open(&disk, "bad", "w", _i & 1);
	good = guest_grant(disk.guest, SET_BLKBACK, disk.requests[0].frames[0], false);
	readonly = guest_grant(disk.guest, SET_BLKBACK, disk.requests[0].frames[1], true);
	ck_assert_int_eq(ask(&disk, BLKIF_OP_READ, 1, 0, good, 7), BLKIF_RSP_OKAY);
	ck_assert_int_eq(ask(&disk, BLKIF_OP_READ, 1, SECTORS - 7, good, 7), BLKIF_RSP_ERROR);
	ck_assert_int_eq(ask(&disk, BLKIF_OP_READ, 1, UINT64_MAX, good, 7), BLKIF_RSP_ERROR);
	ck_assert_int_eq(ask(&disk, BLKIF_OP_WRITE, 1, UINT64_MAX - 7, good, 7), BLKIF_RSP_ERROR);
	ck_assert_int_eq(ask(&disk, BLKIF_OP_READ, 0, 0, good, 7), BLKIF_RSP_ERROR);
	ck_assert_int_eq(ask(&disk, BLKIF_OP_READ, 12, 0, good, 7), BLKIF_RSP_ERROR);
	ck_assert_int_eq(ask(&disk, BLKIF_OP_READ, 255, 0, good, 7), BLKIF_RSP_ERROR);
	ck_assert_int_eq(ask(&disk, BLKIF_OP_READ, 1, 0, good, 8), BLKIF_RSP_ERROR);
	ck_assert_int_eq(ask(&disk, BLKIF_OP_READ, 1, 0, good, 255), BLKIF_RSP_ERROR);
	ck_assert_int_eq(ask(&disk, BLKIF_OP_READ, 1, 0, good, 0x0503), BLKIF_RSP_ERROR);
	ck_assert_int_eq(ask(&disk, BLKIF_OP_WRITE_BARRIER, 1, 0, good, 7), BLKIF_RSP_EOPNOTSUPP);
	ck_assert_int_eq(ask(&disk, BLKIF_OP_DISCARD, 0, 0, good, 7), BLKIF_RSP_EOPNOTSUPP);
	ck_assert_int_eq(ask(&disk, 200, 1, 0, good, 7), BLKIF_RSP_EOPNOTSUPP);
	/* grants: not there, out of the table, of another domain, read-only, of no memory */
	ck_assert_int_eq(ask(&disk, BLKIF_OP_READ, 1, 0, 4000, 7), BLKIF_RSP_ERROR);
	ck_assert_int_eq(ask(&disk, BLKIF_OP_READ, 1, 0, UINT32_MAX, 7), BLKIF_RSP_ERROR);
	ck_assert_int_eq(ask(&disk, BLKIF_OP_WRITE, 1, 0, readonly, 7), BLKIF_RSP_OKAY);
	ck_assert_int_eq(ask(&disk, BLKIF_OP_READ, 1, 0, readonly, 7), BLKIF_RSP_ERROR);
	ck_assert_int_eq(
		ask(&disk, BLKIF_OP_WRITE, 1, 0, guest_grant(disk.guest, SET_NETBACK, 0, false), 7),
		BLKIF_RSP_ERROR);
	ck_assert_int_eq(ask(&disk, BLKIF_OP_WRITE, 1, 0,
			     guest_grant(disk.guest, SET_BLKBACK, 1u << 20, false), 7),
			 BLKIF_RSP_ERROR);
	/* after all that the good one is not in use and works */
	ck_assert_int_eq(ask(&disk, BLKIF_OP_WRITE, 11, 0, good, 7), BLKIF_RSP_OKAY);
	ck_assert_int_eq(guest_revoke(disk.guest, good), 0);
	ck_assert_int_eq(guest_revoke(disk.guest, readonly), 0);
	disk_close(&disk);
}
END_TEST

/* one bad segment among good ones: nothing is done, none stays in use */
START_TEST(one_bad_segment)
{
	disk_open(&disk, "onebad", "w", false);
	for (unsigned int bad = 0; bad < 11; bad++) {
		struct request *q = &disk.requests[0];
		uint8_t op;
		int16_t status;

		submit(&disk, 0, BLKIF_OP_READ, 0, 88, false);
		put32((uint8_t *)disk.ring.shared,
		      64 + (disk.ring.req_prod - 1) % 32 * 112 + 24 + (size_t)bad * 8, 3999);
		publish(&disk);
		ck_assert_uint_eq(next_response(&disk, &op, &status), 0);
		ck_assert_int_eq(status, BLKIF_RSP_ERROR);
		for (unsigned int n = 0; n < 88; n++)
			ck_assert_uint_eq(data_of(&disk, q, n)[0], 0xee);
		give_back(&disk, q);
	}
	random_io(&disk, 50, false);
	disk_close(&disk);
}
END_TEST

START_TEST(readonly_disk)
{
	uint32_t gref;

	disk_open(&disk, "readonly", "r", false);
	gref = guest_grant(disk.guest, SET_BLKBACK, disk.requests[0].frames[0], false);
	ck_assert_int_eq(ask(&disk, BLKIF_OP_READ, 1, 0, gref, 7), BLKIF_RSP_OKAY);
	ck_assert_int_eq(ask(&disk, BLKIF_OP_WRITE, 1, 0, gref, 7), BLKIF_RSP_ERROR);
	ck_assert_int_eq(ask(&disk, BLKIF_OP_FLUSH_DISKCACHE, 1, 0, gref, 7), BLKIF_RSP_ERROR);
	flush(&disk);
	check_image(&disk);
	disk_close(&disk);
}
END_TEST

static const char *error_node(struct disk *d)
{
	static char text[256];
	_cleanup_free_ char *value = NULL;
	char path[160];

	snprintf(path, sizeof(path), "/local/domain/%u/error/backend/vbd/%u/%u/error", SET_BLKBACK,
		 guest_domid(d->guest), XVDA);
	ck_assert_int_eq(xenhost_store_read(d->front.host, 0, path, &value, NULL), 0);
	snprintf(text, sizeof(text), "%s", value);
	return text;
}

/* an index that cannot be: this device stops, all others go on, and it can connect anew */
START_TEST(broken_ring)
{
	static const uint32_t jumps[] = { 33, 1000, 1u << 31, UINT32_MAX };

	disk_open(&disk, "victim", "w", false);
	disk_create(&other, "breaker", "w");
	for (size_t i = 0; i < ARRAY_SIZE(jumps); i++) {
		disk_connect(&other, false, XENHOST_STATE_INITIALISED);
		random_io(&other, 20, false);
		front_ring_force(&other.ring, other.ring.req_prod + jumps[i]);
		guest_port_notify(&other.port);
		front_wait(&other.front, XENHOST_STATE_CLOSING);
		ck_assert_ptr_nonnull(strstr(error_node(&other), "indices"));
		random_io(&disk, 50, false);
		front_set_state(&other.front, XENHOST_STATE_CLOSED);
		front_wait(&other.front, XENHOST_STATE_CLOSED);
		ck_assert_int_eq(guest_revoke(other.guest, other.ring_gref), 0);
		guest_port_close(other.guest, &other.port);
		front_set_state(&other.front, XENHOST_STATE_INITIALISING);
	}
	disk_connect(&other, true, XENHOST_STATE_INITIALISED);
	random_io(&other, 50, false);
	disk_close(&other);
	random_io(&disk, 50, false);
	check_image(&disk);
	disk_close(&disk);
}
END_TEST

/* random bytes as requests, some of them changed while they are looked at */
START_TEST(scribbles)
{
	disk_open(&disk, "scribble", "w", _i & 1);
	for (unsigned int round = 0; round < 2000; round++) {
		unsigned int n = 1 + (unsigned int)random() % 32;
		uint8_t rsp[16];

		while (n-- > 0 && xenhost_front_ring_free(&disk.ring) > 0) {
			uint8_t *slot = front_ring_next(&disk.ring);

			for (size_t k = 0; k < disk.ring.slot_size; k++)
				slot[k] = (uint8_t)(random() % 4 ? 0 : random());
			slot[0] = (uint8_t)(random() % 8);
		}
		publish(&disk);
		for (int k = 0; k < 200; k++)
			((volatile uint8_t *)disk.ring.shared)[64 + (size_t)random() % 3500] =
				(uint8_t)random();
		while (front_ring_take(&disk.ring, rsp, 12))
			;
	}
	disk_close(&disk);
	disk_open(&disk, "sane", "w", false);
	random_io(&disk, 50, true);
	disk_close(&disk);
}
END_TEST

START_TEST(dies_with_requests_under_way)
{
	disk_open(&other, "survivor", "w", false);
	for (int i = 0; i < 10; i++) {
		char name[16];

		snprintf(name, sizeof(name), "dying%d", i);
		disk_open(&disk, name, "w", i & 1);
		while (disk.inflight < DEPTH)
			submit_random(&disk, false);
		publish(&disk);
		disk_close(&disk);
		random_io(&other, 20, false);
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
		disk_create(&disk, name, "w");
		front_wait(&disk.front, XENHOST_STATE_INIT_WAIT);
		front_ring_init(&disk.ring, guest_page(disk.guest, disk.ring_frame), 112);
		disk.ring_gref = guest_grant(disk.guest, SET_BLKBACK, disk.ring_frame, false);
		ck_assert_int_eq(guest_port_offer(disk.guest, SET_BLKBACK, &disk.port), 0);
		front_write(&disk.front, XENHOST_FRONT, "ring-ref", "%u", disk.ring_gref);
		front_write(&disk.front, XENHOST_FRONT, "event-channel", "%u", disk.port.number);
		front_write(&disk.front, XENHOST_FRONT, cases[i].node, "%s", cases[i].value);
		front_set_state(&disk.front, XENHOST_STATE_INITIALISED);
		front_wait(&disk.front, XENHOST_STATE_CLOSING);
		ck_assert_str_ne(error_node(&disk), "");
		ck_assert_int_eq(guest_revoke(disk.guest, disk.ring_gref), 0);
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
		ck_assert_ptr_nonnull(strstr(error_node(&disk), cases[i].want));
		front_free(&disk.front);
	}
}
END_TEST

START_TEST(image_in_use)
{
	disk_open(&disk, "shared", "w", false);
	memset(&other, 0, sizeof(other));
	other.front.host = disk.front.host;
	other.guest = disk.guest;
	front_init(&other.front, disk.front.host, disk.guest, SET_BLKBACK, "vbd", XVDA + 16);
	front_write(&other.front, XENHOST_BACK, "params", "%s", disk.path);
	front_write(&other.front, XENHOST_BACK, "mode", "r");
	front_start(&other.front);
	front_wait(&other.front, XENHOST_STATE_CLOSING);
	random_io(&disk, 50, false);
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
	struct request *q = &d->requests[1];
	int16_t status;
	uint8_t op;

	submit(d, 1, BLKIF_OP_WRITE, sector, 8, false);
	publish(d);
	/* only ever this one is answered, never the flush */
	ck_assert_uint_eq(next_response(d, &op, &status), 1);
	give_back(d, q);
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
	disk_create_on(&disk, "lossy", "w", path);
	disk_connect(&disk, false, XENHOST_STATE_INITIALISED);
	/* from here on blkbackd alone keeps it */
	close(fd);
	ck_assert_str_eq(front_read(&disk.front, XENHOST_BACK, "sectors"), "8192");
	for (uint64_t sector = 0; sector < SECTORS; sector += 64)
		ck_assert_int_eq(try_write(&disk, sector), BLKIF_RSP_OKAY);
	put_header(&disk, 99, BLKIF_OP_FLUSH_DISKCACHE, 0, 0);
	publish(&disk);
	while (try_write(&disk, 0) == BLKIF_RSP_OKAY)
		;
	ck_assert_int_eq(try_write(&disk, 800), BLKIF_RSP_ERROR);
	put_header(&disk, 98, BLKIF_OP_FLUSH_DISKCACHE, 0, 0);
	ck_assert_int_eq(try_write(&disk, 1600), BLKIF_RSP_ERROR);
	gref = guest_grant(disk.guest, SET_BLKBACK, disk.requests[0].frames[0], false);
	ck_assert_int_eq(ask(&disk, BLKIF_OP_READ, 1, 0, gref, 7), BLKIF_RSP_OKAY);
	disk_disconnect(&disk);
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
	tcase_add_test(tc, readonly_disk);
	tcase_add_test(tc, broken_ring);
	tcase_add_loop_test(tc, scribbles, 0, 2);
	tcase_add_test(tc, dies_with_requests_under_way);
	tcase_add_test(tc, bad_keys);
	tcase_add_test(tc, bad_images);
	tcase_add_test(tc, image_in_use);
	tcase_add_test(tc, failed_flush);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}

static int prepare(const char *engine)
{
	const char *const args[] = { "--engine", engine, getenv("VERBOSE") ? "--verbose" : NULL,
				     NULL };

	return set_start_with(&set, "blkbackd", args);
}

/* the same with both engines; what ends the daemon is as bad as a wrong byte */
int main(void)
{
	static const char *const engines[] = { "uring", "sync" };
	int failed = 0;

	for (size_t i = 0; i < ARRAY_SIZE(engines); i++) {
		printf("engine %s\n", engines[i]);
		fflush(stdout);
		if (prepare(engines[i]) < 0)
			return EXIT_FAILURE;
		failed += run_tests();
		failed += set_stop(&set) < 0;
	}
	if (prepare("auto") < 0)
		return EXIT_FAILURE;
	failed += set_lose_host(&set) < 0;
	failed += set_stop(&set) < 0;
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
