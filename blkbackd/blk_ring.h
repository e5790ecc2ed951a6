/* SPDX-License-Identifier: MIT */
/*
 * Block requests as bytes of a ring slot (Xen's public/io/blkif.h), in the layout of 64-bit and of
 * 32-bit front ends. Pure: the caller copied the slot and the indirect page out of shared memory.
 * Everything in struct blk_req was checked against struct blk_limits; what was not is not in it.
 */
#ifndef BLKBACKD_BLK_RING_H
#define BLKBACKD_BLK_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <xenhost/gnttab.h>

#define BLK_SECTOR 512u
#define BLK_SLOT_MAX 112u /* the larger request of the two layouts */
#define BLK_RSP_MAX 16u
#define BLK_SEGS_MAX 256u /* of one indirect request */
#define BLK_SEG_BYTES 8u  /* a segment on the wire, in both layouts */

enum blk_abi {
	BLK_ABI_X86_64, /* also arm-abi */
	BLK_ABI_X86_32,
};

/* what to do; where a request is not one of these, it is answered and forgotten */
enum blk_kind {
	BLK_READ,
	BLK_WRITE,
	BLK_FLUSH,
	BLK_BARRIER,	 /* with or without data: after all before it, before all after it */
	BLK_FLUSH_WRITE, /* a flush that carries data: flush first, then write */
	BLK_DISCARD,
};

/* the disk and what was offered to the front end */
struct blk_limits {
	enum blk_abi abi;
	bool readonly;
	bool discard;
	bool barrier;
	unsigned int
		indirect; /* segments of an indirect request, at most BLK_SEGS_MAX; 0 not offered */
	unsigned int unit; /* BLK_SECTORs per logical sector: 1 or 8 */
	uint64_t sectors;
};

struct blk_req {
	uint64_t id;
	uint8_t op; /* as the response repeats it */
	bool secure;
	enum blk_kind kind;
	uint64_t sector;
	uint64_t nr_sectors; /* 0: a flush without data */
	unsigned int nr_segs;
	bool indirect; /* the segments are in the page of indirect_gref */
	uint32_t indirect_gref;
	struct xenhost_seg segs[BLK_SEGS_MAX];
};

/* what blk_parse() gives: the request's status when it cannot be done */
enum blk_verdict {
	BLK_OK,
	BLK_BAD,
	BLK_UNSUPPORTED,
};

/* "x86_64-abi" ...; NULL or "" is what old front ends mean by writing nothing. -EINVAL: unknown */
int blk_abi_by_name(const char *protocol, enum blk_abi *ret_abi);

size_t blk_request_size(enum blk_abi abi);
size_t blk_response_size(enum blk_abi abi);

/*
 * Fills *req from a slot of blk_request_size() bytes; id and op also when the verdict is not
 * BLK_OK. With `indirect` the caller copies the page and goes on with blk_parse_indirect().
 */
enum blk_verdict blk_parse(const struct blk_limits *limits, const void *slot, struct blk_req *req);

/* bytes: req->nr_segs * BLK_SEG_BYTES from the start of the indirect page */
enum blk_verdict blk_parse_indirect(const struct blk_limits *limits, const void *bytes,
				    struct blk_req *req);

/* Fills buf (blk_response_size() bytes) with no byte left undefined. status: BLKIF_RSP_* */
void blk_response(enum blk_abi abi, uint64_t id, uint8_t op, int16_t status, void *buf);

#endif
