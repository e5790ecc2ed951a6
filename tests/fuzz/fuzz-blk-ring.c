/* SPDX-License-Identifier: MIT */
/*
 * Input: one byte of flags, 112 bytes of a slot, then the indirect page. Whatever is accepted must
 * be what blkbackd relies on.
 * Planted: last_sect not held against the page: found at once.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "common/xen.h"

#include "blkbackd/blk_ring.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void check_request(const struct blk_limits *limits, const struct blk_req *req)
{
	uint64_t sum = 0;

	require(req->sector <= limits->sectors && req->nr_sectors <= limits->sectors - req->sector);
	require(req->sector % limits->unit == 0 && req->nr_sectors % limits->unit == 0);
	/* an empty barrier is a flush */
	require(req->kind == BLK_READ || req->kind == BLK_FLUSH || !limits->readonly ||
		(req->kind == BLK_BARRIER && req->nr_segs == 0));
	require(req->nr_segs <= BLK_SEGS_MAX);
	for (unsigned int i = 0; i < req->nr_segs; i++) {
		const struct xenhost_seg *seg = &req->segs[i];

		require(seg->len >= BLK_SECTOR && seg->len % BLK_SECTOR == 0);
		require(seg->offset + seg->len <= (int)XENHOST_PAGE_SIZE);
		sum += seg->len;
	}
	require(req->kind == BLK_DISCARD || sum == req->nr_sectors * BLK_SECTOR);
	if (req->kind != BLK_BARRIER) /* with or without data */
		require((req->kind == BLK_FLUSH || req->kind == BLK_DISCARD) ==
			(req->nr_segs == 0));
}

/* the protocol is a string of the front end's */
static void check_protocol(const uint8_t *data, size_t size)
{
	char name[16] = { 0 };
	enum blk_abi abi;

	memcpy(name, data, size < sizeof(name) - 1 ? size : sizeof(name) - 1);
	if (blk_abi_by_name(name, &abi) == 0)
		require(blk_request_size(abi) <= BLK_SLOT_MAX &&
			blk_response_size(abi) <= BLK_RSP_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t slot[BLK_SLOT_MAX] = { 0 }, page[BLK_SEGS_MAX * BLK_SEG_BYTES] = { 0 };
	struct blk_limits limits = { 0 };
	static struct blk_req req;
	uint8_t rsp[BLK_RSP_MAX];

	if (size < 1)
		return 0;
	limits.abi = data[0] & 1 ? BLK_ABI_X86_32 : BLK_ABI_X86_64;
	limits.readonly = data[0] & 2;
	limits.discard = data[0] & 4;
	limits.indirect = data[0] & 8 ? BLK_SEGS_MAX : 0;
	limits.unit = data[0] & 16 ? 8 : 1;
	limits.barrier = data[0] & 64;
	limits.sectors = data[0] & 32 ? UINT64_MAX - 7 : 4096;
	data++;
	size--;
	check_protocol(data, size);
	memcpy(slot, data, size < sizeof(slot) ? size : sizeof(slot));
	if (size > sizeof(slot)) {
		size -= sizeof(slot);
		memcpy(page, data + sizeof(slot), size < sizeof(page) ? size : sizeof(page));
	}
	if (blk_parse(&limits, slot, &req) == BLK_OK) {
		if (!req.indirect || blk_parse_indirect(&limits, page, &req) == BLK_OK)
			check_request(&limits, &req);
	}
	blk_response(limits.abi, req.id, req.op, BLKIF_RSP_OKAY, rsp);
	return 0;
}
