/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <check.h>

#include "common/cleanup.h"
#include "common/xen.h"

#include "tests/support/disk.h"

#define GUEST_PAGES (DISK_QUEUES_MAX * DISK_DEPTH_BIG * (DISK_SEGS_MAX + 2))

/* ---- the model ---- */

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

void disk_check_image(struct disk *d)
{
	int fd = open(d->path, O_RDONLY | O_CLOEXEC);
	uint8_t buf[512];

	ck_assert_int_ge(fd, 0);
	for (uint64_t s = 0; s < DISK_SECTORS; s++) {
		ck_assert_int_eq(pread(fd, buf, 512, (off_t)s * 512), 512);
		check_sector(buf, s, d->versions[s]);
	}
	close(fd);
}

void disk_make_image(const struct set *set, const char *name, char *path, size_t size)
{
	int fd;

	snprintf(path, size, "%s/%s", set->rundir, name);
	fd = open(path, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, DISK_SECTORS * 512), 0);
	close(fd);
}

/* ---- the device ---- */

void disk_prepare(struct disk *d, const struct set *set, const char *name, const char *mode,
		  const char *image)
{
	disk_prepare_of(d, set, SET_BLKBACK, name, mode, image);
}

void disk_prepare_of(struct disk *d, const struct set *set, uint16_t service, const char *name,
		     const char *mode, const char *image)
{
	memset(d, 0, sizeof(*d));
	d->nr_queues = d->pages = 1;
	set_guest(set, name, GUEST_PAGES, &d->front);
	d->guest = d->front.guest;
	front_init(&d->front, d->front.host, d->guest, service, "vbd", DISK_XVDA);
	front_write(&d->front, XENHOST_BACK, "params", "aio:%s", image);
	front_write(&d->front, XENHOST_BACK, "mode", "%s", mode);
	front_write(&d->front, XENHOST_BACK, "device-type", "disk");
	front_write(&d->front, XENHOST_FRONT, "virtual-device", "%u", DISK_XVDA);
	for (unsigned int i = 0; i < DISK_QUEUES_MAX; i++)
		for (unsigned int p = 0; p < DISK_PAGES_MAX; p++)
			d->queues[i].frames[p] = guest_new_frame(d->guest);
}

void disk_create_on(struct disk *d, const struct set *set, const char *name, const char *mode,
		    const char *image)
{
	disk_prepare(d, set, name, mode, image);
	front_start(&d->front);
}

void disk_create(struct disk *d, const struct set *set, const char *name, const char *mode)
{
	char path[sizeof(d->path)];

	disk_make_image(set, name, path, sizeof(path));
	disk_create_on(d, set, name, mode, path);
	strcpy(d->path, path);
}

static unsigned int depth_of(const struct disk *d)
{
	return d->pages > 1 ? DISK_DEPTH_BIG : DISK_DEPTH;
}

/* frames for those that have none yet */
static void make_requests(struct disk *d)
{
	d->nr_requests = d->nr_queues * depth_of(d);
	for (unsigned int i = 0; i < d->nr_requests; i++) {
		struct disk_request *q = &d->requests[i];

		if (q->indirect_frame)
			continue;
		for (unsigned int j = 0; j < DISK_SEGS_MAX; j++)
			q->frames[j] = guest_new_frame(d->guest);
		q->indirect_frame = guest_new_frame(d->guest);
	}
}

static void write_queue_node(struct disk *d, unsigned int queue, const char *node,
			     unsigned int value)
{
	char path[64];

	if (d->nr_queues == 1)
		snprintf(path, sizeof(path), "%s", node);
	else
		snprintf(path, sizeof(path), "queue-%u/%s", queue, node);
	front_write(&d->front, XENHOST_FRONT, path, "%u", value);
}

static void offer_queue(struct disk *d, unsigned int number)
{
	struct disk_queue *q = &d->queues[number];
	size_t slot = d->is32 ? 108 : 112;

	ck_assert_int_eq(xenhost_front_ring_init(&q->ring, guest_page(d->guest, q->frames[0]),
						 d->pages, slot, slot),
			 0);
	ck_assert_uint_eq(q->ring.size, d->pages * 32);
	for (unsigned int p = 0; p < d->pages; p++) {
		char node[24] = "ring-ref";

		if (d->pages > 1 || d->order_node)
			snprintf(node, sizeof(node), "ring-ref%u", p);
		q->grefs[p] = guest_grant(d->guest, d->front.service, q->frames[p], false);
		write_queue_node(d, number, node, q->grefs[p]);
	}
	ck_assert_int_eq(guest_port_offer(d->guest, d->front.service, &q->port), 0);
	write_queue_node(d, number, "event-channel", q->port.number);
}

void disk_offer(struct disk *d, bool is32)
{
	d->is32 = is32;
	make_requests(d);
	if (d->nr_queues > 1)
		front_write(&d->front, XENHOST_FRONT, "multi-queue-num-queues", "%u", d->nr_queues);
	if (d->pages > 1 || d->order_node)
		front_write(&d->front, XENHOST_FRONT, "ring-page-order", "%d",
			    __builtin_ctz(d->pages));
	for (unsigned int i = 0; i < d->nr_queues; i++)
		offer_queue(d, i);
	front_write(&d->front, XENHOST_FRONT, "protocol", "%s",
		    is32 ? XEN_IO_PROTO_ABI_X86_32 : XEN_IO_PROTO_ABI_X86_64);
}

void disk_connect(struct disk *d, bool is32, unsigned int state)
{
	front_wait(&d->front, XENHOST_STATE_INIT_WAIT);
	disk_offer(d, is32);
	front_set_state(&d->front, state);
	front_wait(&d->front, XENHOST_STATE_CONNECTED);
	front_set_state(&d->front, XENHOST_STATE_CONNECTED);
}

void disk_release_rings(struct disk *d)
{
	for (unsigned int i = 0; i < d->nr_queues; i++) {
		struct disk_queue *q = &d->queues[i];

		for (unsigned int p = 0; p < d->pages; p++)
			ck_assert_int_eq(guest_revoke(d->guest, q->grefs[p]), 0);
		guest_port_close(d->guest, &q->port);
	}
}

void disk_disconnect(struct disk *d)
{
	front_disconnect(&d->front);
	disk_release_rings(d);
}

void disk_open(struct disk *d, const struct set *set, const char *name, const char *mode, bool is32)
{
	disk_create(d, set, name, mode);
	disk_connect(d, is32, XENHOST_STATE_INITIALISED);
}

void disk_close(struct disk *d)
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

static struct disk_queue *queue_of(struct disk *d, unsigned int i)
{
	return &d->queues[i < d->nr_requests ? i / depth_of(d) : 0];
}

uint8_t *disk_put_header(struct disk *d, unsigned int i, uint8_t op, uint8_t nr, uint64_t sector)
{
	struct disk_queue *q = queue_of(d, i);
	uint8_t *slot = front_ring_next(&q->ring);

	memset(slot, 0xa5, q->ring.slot_size);
	slot[0] = op;
	slot[1] = nr;
	put64(slot, d->is32 ? 4 : 8, i);
	put64(slot, d->is32 ? 12 : 16, sector);
	return slot;
}

static void put_plain(struct disk *d, unsigned int i)
{
	const struct disk_request *q = &d->requests[i];
	uint8_t *slot = disk_put_header(d, i, q->op, (uint8_t)q->nr_segs, q->sector);
	unsigned int left = q->nr_sectors;

	for (unsigned int s = 0; s < q->nr_segs; s++, left -= 8)
		put_seg(slot + (d->is32 ? 20 : 24) + (size_t)s * 8, q->grefs[s],
			left < 8 ? left : 8);
}

static void put_indirect(struct disk *d, unsigned int i)
{
	struct disk_request *q = &d->requests[i];
	uint8_t *slot = disk_put_header(d, i, BLKIF_OP_INDIRECT, q->op, q->sector);
	uint8_t *page = guest_page(d->guest, q->indirect_frame);
	unsigned int left = q->nr_sectors;

	for (unsigned int s = 0; s < q->nr_segs; s++, left -= 8)
		put_seg(page + (size_t)s * 8, q->grefs[s], left < 8 ? left : 8);
	put16(slot, 2, (uint16_t)q->nr_segs);
	put32(slot, d->is32 ? 24 : 28, q->indirect_gref);
}

static void put_discard(struct disk *d, unsigned int i)
{
	struct disk_request *q = &d->requests[i];
	uint8_t *slot = disk_put_header(d, i, q->op, 0, q->sector);

	put64(slot, d->is32 ? 20 : 24, q->nr_sectors);
}

uint8_t *disk_data_of(struct disk *d, const struct disk_request *q, unsigned int n)
{
	return (uint8_t *)guest_page(d->guest, q->frames[n / 8]) + n % 8 * 512;
}

static bool carries_data(uint8_t op)
{
	return op != BLKIF_OP_FLUSH_DISKCACHE && op != BLKIF_OP_DISCARD;
}

/* A file's hole is zeros; what is not a whole block of it stays. */
static void model_discard(struct disk *d, uint64_t sector, unsigned int nr)
{
	uint64_t from = (sector + 7) / 8 * 8, to = (sector + nr) / 8 * 8;

	for (uint64_t s = from; s < to; s++)
		d->versions[s] = 0;
}

static void fill_request(struct disk *d, struct disk_request *q)
{
	bool writes = q->op != BLKIF_OP_READ;

	if (writes)
		d->version++;
	for (unsigned int n = 0; n < q->nr_sectors; n++) {
		if (writes) {
			d->versions[q->sector + n] = d->version;
			fill_sector(disk_data_of(d, q, n), q->sector + n, d->version);
		} else {
			memset(disk_data_of(d, q, n), 0xee, 512);
		}
	}
}

void disk_submit(struct disk *d, unsigned int i, uint8_t op, uint64_t sector, unsigned int nr,
		 bool indirect)
{
	struct disk_request *q = &d->requests[i];
	bool data = carries_data(op);

	q->busy = true;
	q->op = op;
	q->sector = sector;
	q->nr_sectors = nr;
	q->nr_segs = data ? (nr + 7) / 8 : 0;
	for (unsigned int s = 0; s < q->nr_segs; s++)
		q->grefs[s] =
			guest_grant(d->guest, d->front.service, q->frames[s], op != BLKIF_OP_READ);
	q->indirect_gref =
		indirect ? guest_grant(d->guest, d->front.service, q->indirect_frame, true) : 0;
	for (unsigned int n = 0; n < nr; n++)
		d->claimed[sector + n] = true;
	if (data)
		fill_request(d, q);
	if (op == BLKIF_OP_DISCARD) {
		model_discard(d, sector, nr);
		put_discard(d, i);
	} else if (indirect) {
		put_indirect(d, i);
	} else {
		put_plain(d, i);
	}
	d->inflight++;
}

void disk_publish(struct disk *d)
{
	for (unsigned int i = 0; i < d->nr_queues; i++)
		if (xenhost_front_ring_push(&d->queues[i].ring))
			guest_port_notify(&d->queues[i].port);
}

/* Until one of the ports is pending; it is not any more afterwards. */
static void wait_ports(struct disk *d)
{
	struct pollfd fds[DISK_QUEUES_MAX];

	for (unsigned int i = 0; i < d->nr_queues; i++)
		fds[i] = (struct pollfd){ .fd = d->queues[i].port.wait_fd, .events = POLLIN };
	if (poll(fds, d->nr_queues, DISK_PATIENCE_MS) < 1)
		ck_abort_msg("no answer, with %u requests under way", d->inflight);
	for (unsigned int i = 0; i < d->nr_queues; i++)
		if (fds[i].revents)
			(void)guest_port_wait(&d->queues[i].port, 0);
}

static void take_response(struct disk *d, uint8_t *rsp, size_t size)
{
	for (;;) {
		bool more = false;

		for (unsigned int i = 0; i < d->nr_queues; i++)
			if (front_ring_take(&d->queues[i].ring, rsp, size))
				return;
		for (unsigned int i = 0; i < d->nr_queues; i++)
			more |= xenhost_front_ring_arm(&d->queues[i].ring) != 0;
		if (!more)
			wait_ports(d);
	}
}

uint64_t disk_next_response(struct disk *d, uint8_t *ret_op, int16_t *ret_status)
{
	static const uint8_t zeros[6];
	size_t size = d->is32 ? 12 : 16;
	uint8_t rsp[16];
	uint64_t id;

	take_response(d, rsp, size);
	memcpy(&id, rsp, sizeof(id));
	*ret_op = rsp[8];
	memcpy(ret_status, rsp + 10, sizeof(*ret_status));
	ck_assert_uint_eq(rsp[9], 0);
	ck_assert_mem_eq(rsp + 12, zeros, size - 12);
	return id;
}

void disk_give_back(struct disk *d, struct disk_request *q)
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

void disk_complete(struct disk *d)
{
	struct disk_request *q;
	int16_t status;
	uint64_t id;
	uint8_t op;

	id = disk_next_response(d, &op, &status);
	ck_assert_uint_lt(id, d->nr_requests);
	q = &d->requests[id];
	ck_assert(q->busy);
	ck_assert_uint_eq(op, q->op);
	ck_assert_int_eq(status, BLKIF_RSP_OKAY);
	if (q->op == BLKIF_OP_READ) {
		for (unsigned int n = 0; n < q->nr_sectors; n++)
			check_sector(disk_data_of(d, q, n), q->sector + n,
				     d->versions[q->sector + n]);
	}
	disk_give_back(d, q);
}

void disk_complete_all(struct disk *d)
{
	while (d->inflight > 0)
		disk_complete(d);
}

int16_t disk_ask(struct disk *d, uint8_t op, uint8_t nr, uint64_t sector, uint32_t gref,
		 unsigned int first_last)
{
	const unsigned int id = 7777;
	uint8_t *slot = disk_put_header(d, id, op, nr, sector);
	int16_t status;
	uint8_t got;

	for (unsigned int s = 0; s < (nr < 11 ? nr : 11u); s++) {
		uint8_t *seg = slot + (d->is32 ? 20 : 24) + (size_t)s * 8;

		put32(seg, 0, gref);
		seg[4] = (uint8_t)(first_last >> 8);
		seg[5] = (uint8_t)first_last;
	}
	disk_publish(d);
	ck_assert_uint_eq(disk_next_response(d, &got, &status), id);
	ck_assert_uint_eq(got, op == BLKIF_OP_INDIRECT ? nr : op);
	return status;
}

void disk_flush(struct disk *d)
{
	ck_assert_int_eq(disk_ask(d, BLKIF_OP_FLUSH_DISKCACHE, 0, 0, 0, 0), BLKIF_RSP_OKAY);
}

/* ---- at random ---- */

static unsigned int free_request(const struct disk *d)
{
	unsigned int first = (unsigned int)random() % d->nr_requests;

	for (unsigned int i = 0; i < d->nr_requests; i++)
		if (!d->requests[(first + i) % d->nr_requests].busy)
			return (first + i) % d->nr_requests;
	return d->nr_requests;
}

static bool range_free(const struct disk *d, uint64_t sector, unsigned int nr)
{
	for (unsigned int n = 0; n < nr; n++)
		if (d->claimed[sector + n])
			return false;
	return true;
}

bool disk_submit_random(struct disk *d, unsigned int what)
{
	bool indirect = (what & DISK_INDIRECT) && random() % 2;
	unsigned int i = free_request(d);
	unsigned int nr = 1 + (unsigned int)random() % ((indirect ? DISK_SEGS_MAX : 11) * 8);
	uint64_t sector = (uint64_t)random() % (DISK_SECTORS - nr + 1);
	uint8_t op = random() % 2 ? BLKIF_OP_READ : BLKIF_OP_WRITE;

	if (i == d->nr_requests)
		return false;
	if ((what & DISK_FLUSH) && random() % 16 == 0) {
		disk_submit(d, i, BLKIF_OP_FLUSH_DISKCACHE, 0, 0, false);
		return true;
	}
	if (!range_free(d, sector, nr))
		return false;
	if ((what & DISK_DISCARD) && random() % 16 == 0)
		disk_submit(d, i, BLKIF_OP_DISCARD, sector, nr, false);
	else
		disk_submit(d, i, op, sector, nr, indirect);
	return true;
}

void disk_random_io(struct disk *d, unsigned int count, unsigned int what)
{
	unsigned int done = 0;

	while (done < count) {
		unsigned int want = 1 + (unsigned int)random() % d->nr_requests;

		while (d->inflight < want && disk_submit_random(d, what))
			;
		disk_publish(d);
		if (d->inflight > 0) {
			disk_complete(d);
			done++;
		}
	}
	disk_complete_all(d);
}

/* rsp_prod is the third word of a ring: public/io/ring.h */
unsigned int disk_unanswered(const struct disk *d)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < d->nr_queues; i++) {
		const struct xenhost_front_ring *r = &d->queues[i].ring;

		n += r->req_published - atomic_load((_Atomic uint32_t *)r->shared + 2);
	}
	return n;
}

/* ---- orders ---- */

static void on_reply(xenhost_t *host, const char *path, void *data)
{
	*(bool *)data = true;
}

static void wait_reply(struct disk *d, unsigned int number)
{
	xenhost_watch_t *watch = NULL;
	bool changed = true;
	char path[160];

	snprintf(path, sizeof(path), "%s/xenhost-reply", d->front.back);
	ck_assert_int_eq(xenhost_watch(d->front.host, path, on_reply, &changed, &watch), 0);
	while ((unsigned int)atoi(front_read(&d->front, XENHOST_BACK, "xenhost-reply")) != number) {
		struct pollfd p = { .fd = xenhost_get_fd(d->front.host), .events = POLLIN };

		changed = false;
		do {
			ck_assert_int_eq(poll(&p, 1, DISK_PATIENCE_MS), 1);
			ck_assert_int_ge(xenhost_process(d->front.host), 0);
		} while (!changed);
	}
	xenhost_unwatch(watch);
}

const char *disk_order(struct disk *d, const char *order)
{
	static unsigned int number = 1000;
	static char text[2048];
	const char *reply;

	number++;
	front_write(&d->front, XENHOST_BACK, "xenhost-control", "%u %s", number, order);
	wait_reply(d, number);
	reply = front_read(&d->front, XENHOST_BACK, "xenhost-reply");
	snprintf(text, sizeof(text), "%s", strchr(reply, ' ') + 1);
	return text;
}

unsigned long long disk_stat(struct disk *d, const char *name)
{
	const char *text = disk_order(d, "stat");
	char key[64];
	const char *at;

	snprintf(key, sizeof(key), " %s=", name);
	at = strstr(text, key);
	ck_assert_msg(at != NULL, "no %s in %s", name, text);
	return strtoull(at + strlen(key), NULL, 10);
}

const char *disk_error(struct disk *d)
{
	static char text[256];
	_cleanup_free_ char *value = NULL;
	char path[160];

	snprintf(path, sizeof(path), "/local/domain/%u/error/backend/vbd/%u/%u/error", SET_BLKBACK,
		 guest_domid(d->guest), DISK_XVDA);
	ck_assert_int_eq(xenhost_store_read(d->front.host, 0, path, &value, NULL), 0);
	snprintf(text, sizeof(text), "%s", value);
	return text;
}
