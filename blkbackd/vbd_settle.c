/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <string.h>

#include "common/cleanup.h"

#include "blkbackd/vbd_settle.h"

/* what was accepted once is accepted here */
static struct blk_limits lenient_limits(const struct journal_key *key)
{
	return (struct blk_limits){
		.abi = key->abi == BLK_ABI_X86_32 ? BLK_ABI_X86_32 : BLK_ABI_X86_64,
		.barrier = true,
		.indirect = BLK_SEGS_MAX,
		.unit = 1,
		.sectors = UINT64_MAX,
	};
}

/* To mark and to unmark leaves no mark, whose ever it was; but those that we have in use ourselves. */
static void settle_segs(struct vbd *vbd, struct xenhost_seg *segs, unsigned int n)
{
	xenhost_t *host = xenhost_device_host(vbd->dev);
	uint16_t domid = xenhost_device_frontend_domid(vbd->dev);
	struct iovec iov;

	for (unsigned int i = 0; i < n; i++)
		if (xenhost_io_begin(host, domid, &segs[i], 1, XENHOST_READ, &iov) == 0)
			xenhost_io_end(host, domid, &segs[i], 1, XENHOST_READ, &iov);
}

/* segments of an indirect request are found in its page, which nobody but the guest can have changed */
static void settle_indirect(struct vbd *vbd, const struct blk_limits *limits, struct blk_req *req)
{
	xenhost_t *host = xenhost_device_host(vbd->dev);
	uint16_t domid = xenhost_device_frontend_domid(vbd->dev);
	uint8_t bytes[BLK_SEGS_MAX * BLK_SEG_BYTES];
	struct xenhost_seg seg = {
		.gref = req->indirect_gref,
		.len = (uint16_t)(req->nr_segs * BLK_SEG_BYTES),
	};
	struct iovec iov;

	if (xenhost_io_begin(host, domid, &seg, 1, XENHOST_READ, &iov) < 0)
		return;
	memcpy(bytes, iov.iov_base, seg.len);
	__asm__ volatile("" : : : "memory");
	xenhost_io_end(host, domid, &seg, 1, XENHOST_READ, &iov);
	if (blk_parse_indirect(limits, bytes, req) == BLK_OK)
		settle_segs(vbd, req->segs, req->nr_segs);
}

static void settle_entry(struct vbd *vbd, const struct blk_limits *limits,
			 const struct journal_entry *e)
{
	struct blk_req req;

	if (atomic_load(&e->state) == JOURNAL_FREE || blk_parse(limits, e->slot, &req) != BLK_OK)
		return;
	if (req.indirect)
		settle_indirect(vbd, limits, &req);
	else
		settle_segs(vbd, req.segs, req.nr_segs);
}

void vbd_settle(struct vbd *vbd)
{
	const struct journal_key *key = &vbd->journal->header->key;
	struct blk_limits limits = lenient_limits(key);

	for (uint32_t i = 0; i < key->nr_queues; i++) {
		const struct journal_queue *q = journal_queue(vbd->journal, i);

		for (uint32_t p = 0; p < key->pages && p < JOURNAL_PAGES_MAX; p++) {
			struct xenhost_seg seg = { .gref = key->queues[i].grefs[p], .len = 1 };

			settle_segs(vbd, &seg, 1);
		}
		for (uint32_t e = 0; e < key->slots; e++)
			settle_entry(vbd, &limits, &q->entries[e]);
	}
}
