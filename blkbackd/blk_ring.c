/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/xen.h"

#include "blkbackd/blk_ring.h"

/*
 * The 32-bit layout has no padding in front of 64-bit fields. Xen's header describes the layout of
 * the machine it is compiled on only, so both are tables here; the 64-bit one is checked against
 * the header.
 */
struct layout {
	uint8_t req_size, rsp_size;
	uint8_t rw_id, rw_sector, rw_segs;
	uint8_t discard_nr;
	uint8_t indirect_id, indirect_sector, indirect_grefs;
	uint8_t rsp_op, rsp_status;
};

static const struct layout layouts[] = {
	[BLK_ABI_X86_64] = { .req_size = 112,
			     .rsp_size = 16,
			     .rw_id = 8,
			     .rw_sector = 16,
			     .rw_segs = 24,
			     .discard_nr = 24,
			     .indirect_id = 8,
			     .indirect_sector = 16,
			     .indirect_grefs = 28,
			     .rsp_op = 8,
			     .rsp_status = 10 },
	[BLK_ABI_X86_32] = { .req_size = 108,
			     .rsp_size = 12,
			     .rw_id = 4,
			     .rw_sector = 12,
			     .rw_segs = 20,
			     .discard_nr = 20,
			     .indirect_id = 4,
			     .indirect_sector = 12,
			     .indirect_grefs = 24,
			     .rsp_op = 8,
			     .rsp_status = 10 },
};

_Static_assert(sizeof(struct blkif_request) == 112, "64-bit request");
_Static_assert(sizeof(struct blkif_response) == 16, "64-bit response");
_Static_assert(sizeof(struct blkif_request_segment) == BLK_SEG_BYTES, "segment");
_Static_assert(offsetof(struct blkif_request, id) == 8, "id");
_Static_assert(offsetof(struct blkif_request, sector_number) == 16, "sector");
_Static_assert(offsetof(struct blkif_request, seg) == 24, "segments");
_Static_assert(offsetof(struct blkif_request_discard, nr_sectors) == 24, "discard");
_Static_assert(offsetof(struct blkif_request_indirect, sector_number) == 16, "indirect");
_Static_assert(offsetof(struct blkif_request_indirect, indirect_grefs) == 28, "indirect");
_Static_assert(BLK_SEGS_MAX *BLK_SEG_BYTES <= XENHOST_PAGE_SIZE, "one indirect page");
_Static_assert(offsetof(struct blkif_response, status) == 10, "status");

static uint16_t get16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint64_t get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

int blk_abi_by_name(const char *protocol, enum blk_abi *ret_abi)
{
	static const struct {
		const char *name;
		enum blk_abi abi;
	} known[] = {
		{ "", BLK_ABI_X86_32 },
		{ XEN_IO_PROTO_ABI_X86_32, BLK_ABI_X86_32 },
		{ XEN_IO_PROTO_ABI_X86_64, BLK_ABI_X86_64 },
		{ XEN_IO_PROTO_ABI_ARM, BLK_ABI_X86_64 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (!strcmp(protocol ? protocol : "", known[i].name)) {
			*ret_abi = known[i].abi;
			return 0;
		}
	}
	return -EINVAL;
}

size_t blk_request_size(enum blk_abi abi)
{
	return layouts[abi].req_size;
}

size_t blk_response_size(enum blk_abi abi)
{
	return layouts[abi].rsp_size;
}

/* The range of sectors lies on the disk and on its logical sectors. */
static bool range_ok(const struct blk_limits *limits, uint64_t sector, uint64_t nr)
{
	if (sector > limits->sectors || nr > limits->sectors - sector)
		return false;
	return sector % limits->unit == 0 && nr % limits->unit == 0;
}

static enum blk_verdict check_range(const struct blk_limits *limits, const struct blk_req *req)
{
	return range_ok(limits, req->sector, req->nr_sectors) ? BLK_OK : BLK_BAD;
}

/* Segments of both kinds of requests; also counts the sectors. */
static enum blk_verdict parse_segs(const struct blk_limits *limits, const uint8_t *bytes,
				   struct blk_req *req)
{
	req->nr_sectors = 0;
	for (unsigned int i = 0; i < req->nr_segs; i++, bytes += BLK_SEG_BYTES) {
		unsigned int first = bytes[4], last = bytes[5];
		unsigned int nr = last - first + 1;

		if (first > last || last >= XENHOST_PAGE_SIZE / BLK_SECTOR)
			return BLK_BAD;
		if (first % limits->unit || nr % limits->unit)
			return BLK_BAD;
		req->segs[i] = (struct xenhost_seg){
			.gref = get32(bytes),
			.offset = (uint16_t)(first * BLK_SECTOR),
			.len = (uint16_t)(nr * BLK_SECTOR),
		};
		req->nr_sectors += nr;
	}
	return check_range(limits, req);
}

/* Reads, writes, flushes: kind is set, what it carries is looked at here. */
static enum blk_verdict parse_rw(const struct blk_limits *limits, const uint8_t *slot,
				 struct blk_req *req)
{
	const struct layout *l = &layouts[limits->abi];

	req->nr_segs = slot[1];
	if ((req->kind == BLK_FLUSH || req->kind == BLK_BARRIER) && req->nr_segs == 0)
		return BLK_OK;
	if (req->nr_segs == 0 || req->nr_segs > BLKIF_MAX_SEGMENTS_PER_REQUEST)
		return BLK_BAD;
	if (req->kind == BLK_FLUSH)
		req->kind = BLK_FLUSH_WRITE;
	if (limits->readonly && req->kind != BLK_READ)
		return BLK_BAD;
	req->sector = get64(slot + l->rw_sector);
	return parse_segs(limits, slot + l->rw_segs, req);
}

/* Only where the segments are; they are still in guest memory. */
static enum blk_verdict parse_indirect(const struct blk_limits *limits, const uint8_t *slot,
				       struct blk_req *req)
{
	const struct layout *l = &layouts[limits->abi];

	if (limits->indirect == 0)
		return BLK_UNSUPPORTED;
	if (req->op == BLKIF_OP_READ)
		req->kind = BLK_READ;
	else if (req->op == BLKIF_OP_WRITE)
		req->kind = BLK_WRITE;
	else
		return BLK_UNSUPPORTED;
	if (limits->readonly && req->kind != BLK_READ)
		return BLK_BAD;
	req->nr_segs = get16(slot + 2);
	if (req->nr_segs == 0 || req->nr_segs > limits->indirect || req->nr_segs > BLK_SEGS_MAX)
		return BLK_BAD;
	req->sector = get64(slot + l->indirect_sector);
	req->indirect = true;
	req->indirect_gref = get32(slot + l->indirect_grefs);
	return BLK_OK;
}

static enum blk_verdict parse_discard(const struct blk_limits *limits, const uint8_t *slot,
				      struct blk_req *req)
{
	const struct layout *l = &layouts[limits->abi];

	if (!limits->discard)
		return BLK_UNSUPPORTED;
	if (limits->readonly)
		return BLK_BAD;
	req->kind = BLK_DISCARD;
	req->secure = slot[1] & BLKIF_DISCARD_SECURE;
	req->sector = get64(slot + l->rw_sector);
	req->nr_sectors = get64(slot + l->discard_nr);
	if (req->nr_sectors == 0)
		return BLK_BAD;
	return check_range(limits, req);
}

enum blk_verdict blk_parse(const struct blk_limits *limits, const void *slot, struct blk_req *req)
{
	const struct layout *l = &layouts[limits->abi];
	const uint8_t *s = slot;

	req->op = s[0];
	req->id = get64(s + l->rw_id);
	req->secure = false;
	req->sector = req->nr_sectors = 0;
	req->nr_segs = 0;
	req->indirect = false;
	req->indirect_gref = 0;
	switch (s[0]) {
	case BLKIF_OP_READ:
		req->kind = BLK_READ;
		return parse_rw(limits, s, req);
	case BLKIF_OP_WRITE:
		req->kind = BLK_WRITE;
		return parse_rw(limits, s, req);
	case BLKIF_OP_FLUSH_DISKCACHE:
		req->kind = BLK_FLUSH;
		return parse_rw(limits, s, req);
	case BLKIF_OP_WRITE_BARRIER:
		req->kind = BLK_BARRIER;
		return limits->barrier ? parse_rw(limits, s, req) : BLK_UNSUPPORTED;
	case BLKIF_OP_DISCARD:
		return parse_discard(limits, s, req);
	case BLKIF_OP_INDIRECT:
		req->op = s[1];
		req->id = get64(s + l->indirect_id);
		return parse_indirect(limits, s, req);
	default:
		return BLK_UNSUPPORTED;
	}
}

enum blk_verdict blk_parse_indirect(const struct blk_limits *limits, const void *bytes,
				    struct blk_req *req)
{
	return parse_segs(limits, bytes, req);
}

void blk_response(enum blk_abi abi, uint64_t id, uint8_t op, int16_t status, void *buf)
{
	const struct layout *l = &layouts[abi];
	uint8_t *b = buf;

	memset(b, 0, l->rsp_size);
	memcpy(b, &id, sizeof(id));
	b[l->rsp_op] = op;
	memcpy(b + l->rsp_status, &status, sizeof(status));
}
