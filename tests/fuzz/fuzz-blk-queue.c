/* SPDX-License-Identifier: MIT */
/*
 * A whole queue of a disk (vbd_queue.c with ring, parser, journal and the sync engine) over fake memory: the
 * host's functions are here, each granted page is an allocation of its own. Input: two bytes of set-up, then
 * steps of the front end, the operator and the medium; see steps[]. Required: every answer is of a request
 * that was made and not yet answered, and repeats its id and operation; after a pass everything that may be
 * answered is; no page and no sector changes that must not; every grant is given back; a ring that was broken
 * stays silent; a queue that is told to stop does, and one that is left by a killed process goes on.
 * Planted and found: see tests/RESULTS.md.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/xen.h"

#include "blkbackd/blk_nbd.h"
#include "blkbackd/blk_slow.h"
#include "blkbackd/image.h"
#include "blkbackd/vbd_nbd.h"
#include "blkbackd/vbd_queue.h"

#include "tests/fuzz/blk_queue_host.h"

#define SLOTS 32u
#define SECTORS 128u
#define IDS 256u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *at;
	size_t left;
};

struct asked {
	uint64_t id;
	uint8_t op;
};

static struct {
	struct vbd_driver driver;
	struct vbd vbd;
	struct image *image;
	struct vbd_queue *queue;
	struct journal *journal;
	enum blk_abi abi;
	bool readonly;
	bool cut; /* the image */
	/* the front end */
	uint8_t *ring;
	uint32_t prod, published, cons; /* requests written, seen, answered */
	struct asked asked[SLOTS];	/* not answered yet */
	unsigned int nr_asked;
	bool honest; /* never forced the index */
} t;

static uint8_t original[SECTORS * 512];

static void require(bool ok)
{
	if (!ok)
		abort();
}

static uint8_t next(struct input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->at++;
}

static void take_bytes(struct input *in, void *where, size_t n)
{
	size_t have = n < in->left ? n : in->left;

	memcpy(where, in->at, have);
	in->at += have;
	in->left -= have;
}

/* --- the ring as public/io/ring.h has it --- */

static _Atomic uint32_t *word(unsigned int i)
{
	return (_Atomic uint32_t *)(void *)t.ring + i;
}

static uint8_t *slot_of(uint32_t index)
{
	return t.ring + 64 + index % SLOTS * blk_request_size(t.abi);
}

static void expect(const uint8_t *slot)
{
	struct asked *a = &t.asked[t.nr_asked++];

	memcpy(&a->id, slot + (t.abi == BLK_ABI_X86_32 ? 4 : 8), sizeof(a->id));
	a->op = slot[0] == BLKIF_OP_INDIRECT ? slot[1] : slot[0];
}

static void check_answer(uint64_t id, uint8_t op)
{
	for (unsigned int i = 0; i < t.nr_asked; i++) {
		if (t.asked[i].id == id && t.asked[i].op == op) {
			t.asked[i] = t.asked[--t.nr_asked];
			return;
		}
	}
	abort();
}

static void take_answers(void)
{
	uint32_t prod = atomic_load(word(2));

	if (!t.honest)
		return;
	require(prod - t.cons <= t.nr_asked);
	for (; t.cons != prod; t.cons++) {
		const uint8_t *rsp = slot_of(t.cons);
		uint64_t id;

		memcpy(&id, rsp, sizeof(id));
		check_answer(id, rsp[8]);
	}
}

/* --- steps --- */

static void run_loop(void)
{
	for (int i = 0; i < 6; i++)
		event_base_loop(t.driver.base, EVLOOP_NONBLOCK);
}

static bool all_may_be_answered(void)
{
	return t.honest && !atomic_load(&t.vbd.paused) && !atomic_load(&t.vbd.failed) &&
	       !host_holds_discards();
}

/* nothing is written to a disk that may not be; what was cut off from it comes back as zeros */
static void check_image(void)
{
	static uint8_t now[SECTORS * 512];
	ssize_t n = pread(t.image->fd, now, sizeof(now), 0);

	require(n >= 0);
	for (ssize_t i = 0; t.cut && i < n; i++)
		require(now[i] == original[i] || now[i] == 0);
	require(t.cut || !memcmp(now, original, sizeof(now)));
}

static void check_memory(void)
{
	require(host_readonly_unchanged());
	if (t.readonly)
		check_image();
}

static void step_pass(struct input *in)
{
	uint32_t before = atomic_load(word(2));
	bool was_broken = host_failures() > 0;

	for (; t.honest && t.published != t.prod; t.published++)
		expect(slot_of(t.published));
	if (t.honest)
		atomic_store(word(0), t.prod);
	vbd_queue_kick(t.queue);
	run_loop();
	if (was_broken)
		require(atomic_load(word(2)) == before);
	require(!t.honest || !host_failures());
	take_answers();
	if (all_may_be_answered())
		require(t.nr_asked == 0);
	if (t.nr_asked == 0 && t.honest)
		require(host_uses() == 0);
	check_memory();
}

/* only an event, of which the queue may have had enough */
static void step_event(struct input *in)
{
	host_signal();
	run_loop();
	take_answers();
}

static uint8_t *new_slot(void)
{
	if (t.honest && t.prod - t.cons >= SLOTS)
		return NULL;
	return slot_of(t.prod++);
}

static void step_raw(struct input *in)
{
	uint8_t *slot = new_slot();

	if (slot)
		take_bytes(in, slot, blk_request_size(t.abi));
}

static void put_segs(struct input *in, uint8_t *where, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++, where += 8) {
		uint8_t b = next(in);

		memset(where, 0, 8);
		where[0] = b & 15;
		where[4] = b >> 4 & 7;
		where[5] = (uint8_t)(where[4] + next(in) % 9);
	}
}

/* a request that is nearly right */
static void step_request(struct input *in)
{
	static const uint8_t ops[] = {
		BLKIF_OP_READ,	  BLKIF_OP_WRITE, BLKIF_OP_FLUSH_DISKCACHE, BLKIF_OP_WRITE_BARRIER,
		BLKIF_OP_DISCARD, BLKIF_OP_READ,  BLKIF_OP_WRITE,	    BLKIF_OP_READ
	};
	uint8_t *slot = new_slot(), what = next(in), id = next(in);
	unsigned int shift = t.abi == BLK_ABI_X86_32 ? 4 : 0;

	if (!slot)
		return;
	memset(slot, 0, blk_request_size(t.abi));
	slot[0] = ops[what & 7];
	slot[1] = what >> 3 & 15;
	slot[8 - shift] = id;
	slot[16 - shift] = next(in);
	if (slot[0] == BLKIF_OP_DISCARD)
		slot[24 - shift] = next(in);
	else
		put_segs(in, slot + 24 - shift, slot[1] < 11 ? slot[1] : 11);
}

static void step_indirect(struct input *in)
{
	uint8_t *slot = new_slot(), what = next(in), gref = next(in) & 15;
	bool is32 = t.abi == BLK_ABI_X86_32;
	uint8_t *page = host_page(gref);
	uint16_t nr = next(in);

	if (!slot)
		return;
	if (what & 64)
		nr = (uint16_t)(nr + 250);
	memset(slot, 0, blk_request_size(t.abi));
	slot[0] = BLKIF_OP_INDIRECT;
	slot[1] = what & 1 ? BLKIF_OP_WRITE : BLKIF_OP_READ;
	memcpy(slot + 2, &nr, 2);
	slot[is32 ? 4 : 8] = what >> 1 & 15;
	slot[is32 ? 12 : 16] = next(in) & 31;
	slot[is32 ? 24 : 28] = gref;
	if (page)
		put_segs(in, page, nr < 12 ? nr : 12);
	host_remember();
}

static void step_force(struct input *in)
{
	uint32_t prod = 0;

	take_bytes(in, &prod, sizeof(prod));
	t.honest = false;
	atomic_store(word(0), prod);
}

/* the operator and the toolstack */
static void step_order(struct input *in)
{
	uint8_t what = next(in);

	switch (what & 7) {
	case 0:
		atomic_store(&t.vbd.paused, VBD_PAUSED_BY_OPERATOR);
		break;
	case 1:
	case 2:
		atomic_store(&t.vbd.paused, 0);
		atomic_fetch_add(&t.vbd.resumes, 1);
		break;
	case 3:
		atomic_store(&t.vbd.rerror, what >> 3 & 1);
		atomic_store(&t.vbd.werror, what >> 4 & 1);
		break;
	case 4:
		atomic_store(&t.vbd.sectors, next(in) & 127);
		break;
	case 5:
		t.cut = true;
		require(ftruncate(t.image->fd, (off_t)next(in) * 256) == 0);
		break;
	case 6:
		require(ftruncate(t.image->fd, (off_t)SECTORS * 512) == 0);
		break;
	default:
		host_hold_discards(what & 8);
	}
}

/* The process is killed, at a moment when nothing of it is in the kernel, and started again. */
static void step_restart(struct input *in)
{
	int r;

	if (host_failures())
		return;
	host_hold_discards(false);
	run_loop();
	host_forget_uses();
	t.queue = vbd_queue_free(t.queue);
	r = vbd_queue_new(&t.vbd, 0, true, &t.queue);
	/* an index that cannot be is found here already */
	if (r < 0) {
		require(!t.honest && r == -EPROTO);
		t.queue = NULL;
		return;
	}
	vbd_queue_start(t.queue);
	step_pass(in);
}

static void (*const steps[])(struct input *in) = {
	step_pass,    step_request, step_request, step_indirect,
	step_restart, step_order,   step_raw,	  step_event,
};

/* --- set-up --- */

static void make_image(void)
{
	require(ftruncate(t.image->fd, sizeof(original)) == 0);
	require(pwrite(t.image->fd, original, sizeof(original), 0) == sizeof(original));
}

static void set_up_once(void)
{
	static const struct journal_key key = { .nr_queues = 1, .slots = SLOTS, .pages = 1 };

	t.driver.base = event_base_new();
	t.driver.engine = BLK_IO_SYNC;
	t.driver.workers.nr = 1;
	t.driver.workers.list[0].base = t.driver.base;
	t.image = calloc(1, sizeof(*t.image) + 1);
	require(t.driver.base && t.image && journal_new(&key, &t.journal) == 0);
	require(mailbox_init(&t.driver.box, t.driver.base) == 0);
	require(mailbox_init(&t.driver.workers.list[0].box, t.driver.base) == 0);
	t.image->fd = memfd_create("disk", MFD_CLOEXEC);
	require(t.image->fd >= 0);
	for (unsigned int i = 0; i < sizeof(original); i++)
		original[i] = (uint8_t)(i / 512 + 1);
	t.image->sectors = SECTORS;
	t.image->discard_granularity = 4096;
	t.ring = host_init();
}

static void set_up(struct input *in)
{
	uint8_t flags = next(in);

	if (!t.driver.base)
		set_up_once();
	make_image();
	host_reset();
	t.abi = flags & 1 ? BLK_ABI_X86_32 : BLK_ABI_X86_64;
	t.readonly = t.image->readonly = flags & 2;
	memset(journal_queue(t.journal, 0), 0, sizeof(struct journal_queue));
	memset(t.ring, 0, 4096);
	t.prod = t.published = t.cons = flags & 4 ? 0xfffffff0u : 0;
	atomic_store(word(0), t.prod);
	atomic_store(word(1), t.prod + 1);
	atomic_store(word(2), t.prod);
	atomic_store(word(3), t.prod + 1);
	t.nr_asked = 0;
	t.honest = true;
	t.cut = false;
	memset(&t.vbd, 0, sizeof(t.vbd));
	t.vbd.driver = &t.driver;
	t.vbd.image = t.image;
	t.vbd.journal = t.journal;
	t.vbd.sectors = SECTORS;
	t.vbd.limits = (struct blk_limits){
		.abi = t.abi,
		.readonly = t.readonly,
		.discard = flags & 8,
		.barrier = flags & 16,
		.indirect = flags & 32 ? BLK_SEGS_MAX : 0,
		.unit = flags & 64 ? 8 : 1,
		.sectors = SECTORS,
	};
	require(vbd_queue_new(&t.vbd, 0, false, &t.queue) == 0);
	vbd_queue_start(t.queue);
	run_loop();
}

static void tear_down(void)
{
	if (t.queue) {
		vbd_queue_stop(t.queue);
		host_end_discards(-ECANCELED);
		run_loop();
		require(host_stopped());
		t.queue = vbd_queue_free(t.queue);
	}
	require(host_uses() == 0);
	check_memory();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };

	set_up(&in);
	while (in.left > 0 && t.queue) {
		uint8_t what = next(&in);

		if ((what & 0xf8) == 0xf8)
			step_force(&in);
		else
			steps[what & 7](&in);
	}
	if (t.queue)
		step_pass(&in);
	tear_down();
	return 0;
}
