/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "common/cleanup.h"
#include "common/xen.h"

#include "blkbackd/blk_ring.h"

#define SECTORS 1000u

static struct blk_limits limits;
static struct blk_req req;
static uint8_t slot[BLK_SLOT_MAX];

static void setup(void)
{
	limits = (struct blk_limits){
		.abi = BLK_ABI_X86_64,
		.discard = true,
		.indirect = BLK_SEGS_MAX,
		.unit = 1,
		.sectors = SECTORS,
	};
	memset(slot, 0xa5, sizeof(slot));
	memset(&req, 0x5a, sizeof(req));
}

/* where the fields are, written down here a second time, from Xen's header by hand */
static size_t at(size_t in64, size_t in32)
{
	return limits.abi == BLK_ABI_X86_64 ? in64 : in32;
}

static void put16(size_t where, uint16_t v)
{
	memcpy(slot + where, &v, sizeof(v));
}

static void put32(size_t where, uint32_t v)
{
	memcpy(slot + where, &v, sizeof(v));
}

static void put64(size_t where, uint64_t v)
{
	memcpy(slot + where, &v, sizeof(v));
}

static void put_rw(uint8_t op, uint8_t nr, uint64_t sector)
{
	slot[0] = op;
	slot[1] = nr;
	put64(at(8, 4), 0x1122334455667788);
	put64(at(16, 12), sector);
}

static void put_seg(unsigned int i, uint32_t gref, uint8_t first, uint8_t last)
{
	size_t where = at(24, 20) + (size_t)i * 8;

	put32(where, gref);
	slot[where + 4] = first;
	slot[where + 5] = last;
}

static void put_discard(uint8_t flag, uint64_t sector, uint64_t nr)
{
	slot[0] = BLKIF_OP_DISCARD;
	slot[1] = flag;
	put64(at(8, 4), 7);
	put64(at(16, 12), sector);
	put64(at(24, 20), nr);
}

static void put_indirect(uint8_t op, uint16_t nr, uint64_t sector, uint32_t gref)
{
	slot[0] = BLKIF_OP_INDIRECT;
	slot[1] = op;
	put16(2, nr);
	put64(at(8, 4), 99);
	put64(at(16, 12), sector);
	put32(at(28, 24), gref);
}

static enum blk_verdict parse(void)
{
	return blk_parse(&limits, slot, &req);
}

/* one segment with whole page from sector `sector` */
static enum blk_verdict parse_one(uint8_t op, uint64_t sector, uint8_t first, uint8_t last)
{
	put_rw(op, 1, sector);
	put_seg(0, 5, first, last);
	return parse();
}

START_TEST(sizes)
{
	ck_assert_uint_eq(blk_request_size(BLK_ABI_X86_64), 112);
	ck_assert_uint_eq(blk_request_size(BLK_ABI_X86_32), 108);
	ck_assert_uint_eq(blk_response_size(BLK_ABI_X86_64), 16);
	ck_assert_uint_eq(blk_response_size(BLK_ABI_X86_32), 12);
}
END_TEST

START_TEST(protocols)
{
	enum blk_abi abi = BLK_ABI_X86_64;

	ck_assert_int_eq(blk_abi_by_name(NULL, &abi), 0);
	ck_assert_int_eq(abi, BLK_ABI_X86_32);
	ck_assert_int_eq(blk_abi_by_name("x86_64-abi", &abi), 0);
	ck_assert_int_eq(abi, BLK_ABI_X86_64);
	ck_assert_int_eq(blk_abi_by_name("x86_32-abi", &abi), 0);
	ck_assert_int_eq(abi, BLK_ABI_X86_32);
	ck_assert_int_eq(blk_abi_by_name("arm-abi", &abi), 0);
	ck_assert_int_eq(abi, BLK_ABI_X86_64);
	ck_assert_int_eq(blk_abi_by_name("", &abi), 0);
	ck_assert_int_eq(abi, BLK_ABI_X86_32);
	ck_assert_int_eq(blk_abi_by_name("ia64-abi", &abi), -EINVAL);
	ck_assert_int_eq(blk_abi_by_name("x86_64-abi2", &abi), -EINVAL);
	ck_assert_int_eq(abi, BLK_ABI_X86_32);
}
END_TEST

/* every field, in both layouts */
START_TEST(read_write_fields)
{
	limits.abi = (enum blk_abi)_i;
	put_rw(BLKIF_OP_WRITE, 11, 100);
	for (unsigned int i = 0; i < 11; i++)
		put_seg(i, 0xdead0000 + i, (uint8_t)(i % 3), 7);
	ck_assert_int_eq(parse(), BLK_OK);
	ck_assert_int_eq(req.kind, BLK_WRITE);
	ck_assert_uint_eq(req.op, BLKIF_OP_WRITE);
	ck_assert_uint_eq(req.id, 0x1122334455667788);
	ck_assert_uint_eq(req.sector, 100);
	ck_assert_uint_eq(req.nr_segs, 11);
	ck_assert(!req.indirect);
	for (unsigned int i = 0; i < 11; i++) {
		ck_assert_uint_eq(req.segs[i].gref, 0xdead0000 + i);
		ck_assert_uint_eq(req.segs[i].offset, i % 3 * 512);
		ck_assert_uint_eq(req.segs[i].len, (8 - i % 3) * 512);
	}
	ck_assert_uint_eq(req.nr_sectors, 8 * 11 - (0 + 1 + 2) * 3 - (0 + 1));
	put_rw(BLKIF_OP_READ, 1, 0);
	ck_assert_int_eq(parse(), BLK_OK);
	ck_assert_int_eq(req.kind, BLK_READ);
	ck_assert_uint_eq(req.op, BLKIF_OP_READ);
}
END_TEST

START_TEST(segment_counts)
{
	limits.abi = (enum blk_abi)_i;
	for (unsigned int i = 0; i < 11; i++)
		put_seg(i, i, 0, 7);
	for (unsigned int nr = 0; nr < 256; nr++) {
		enum blk_verdict want = nr >= 1 && nr <= 11 ? BLK_OK : BLK_BAD;

		put_rw(BLKIF_OP_READ, (uint8_t)nr, 0);
		ck_assert_int_eq(parse(), want);
		put_rw(BLKIF_OP_WRITE, (uint8_t)nr, 0);
		ck_assert_int_eq(parse(), want);
		ck_assert_uint_eq(req.id, 0x1122334455667788);
		ck_assert_uint_eq(req.op, BLKIF_OP_WRITE);
	}
}
END_TEST

START_TEST(sectors_of_a_page)
{
	for (unsigned int first = 0; first < 256; first++) {
		for (unsigned int last = 0; last < 256; last++) {
			enum blk_verdict want = first <= last && last <= 7 ? BLK_OK : BLK_BAD;

			ck_assert_int_eq(parse_one(BLKIF_OP_READ, 0, (uint8_t)first, (uint8_t)last),
					 want);
		}
	}
	/* the last segment counts as the first does */
	put_rw(BLKIF_OP_READ, 2, 0);
	put_seg(0, 1, 0, 7);
	put_seg(1, 1, 0, 8);
	ck_assert_int_eq(parse(), BLK_BAD);
}
END_TEST

START_TEST(end_of_the_disk)
{
	ck_assert_int_eq(parse_one(BLKIF_OP_READ, SECTORS - 8, 0, 7), BLK_OK);
	ck_assert_int_eq(parse_one(BLKIF_OP_READ, SECTORS - 7, 0, 7), BLK_BAD);
	ck_assert_int_eq(parse_one(BLKIF_OP_READ, SECTORS - 1, 3, 3), BLK_OK);
	ck_assert_int_eq(parse_one(BLKIF_OP_READ, SECTORS, 0, 0), BLK_BAD);
	ck_assert_int_eq(parse_one(BLKIF_OP_WRITE, UINT64_MAX, 0, 7), BLK_BAD);
	ck_assert_int_eq(parse_one(BLKIF_OP_WRITE, UINT64_MAX - 7, 0, 7), BLK_BAD);
	ck_assert_int_eq(parse_one(BLKIF_OP_WRITE, 1ULL << 55, 0, 7), BLK_BAD);
	limits.sectors = UINT64_MAX;
	ck_assert_int_eq(parse_one(BLKIF_OP_WRITE, UINT64_MAX - 7, 0, 7), BLK_BAD);
}
END_TEST

START_TEST(large_sectors)
{
	limits.unit = 8;
	limits.sectors = 800;
	ck_assert_int_eq(parse_one(BLKIF_OP_READ, 8, 0, 7), BLK_OK);
	ck_assert_int_eq(parse_one(BLKIF_OP_READ, 4, 0, 7), BLK_BAD);
	ck_assert_int_eq(parse_one(BLKIF_OP_READ, 8, 0, 3), BLK_BAD);
	ck_assert_int_eq(parse_one(BLKIF_OP_READ, 8, 4, 7), BLK_BAD);
	/* two halves of a sector are none */
	put_rw(BLKIF_OP_READ, 2, 8);
	put_seg(0, 5, 0, 3);
	put_seg(1, 6, 4, 7);
	ck_assert_int_eq(parse(), BLK_BAD);
	put_discard(0, 8, 8);
	ck_assert_int_eq(parse(), BLK_OK);
	put_discard(0, 8, 9);
	ck_assert_int_eq(parse(), BLK_BAD);
	put_discard(0, 9, 8);
	ck_assert_int_eq(parse(), BLK_BAD);
}
END_TEST

START_TEST(readonly)
{
	limits.readonly = true;
	ck_assert_int_eq(parse_one(BLKIF_OP_READ, 0, 0, 7), BLK_OK);
	ck_assert_int_eq(parse_one(BLKIF_OP_WRITE, 0, 0, 7), BLK_BAD);
	ck_assert_int_eq(parse_one(BLKIF_OP_FLUSH_DISKCACHE, 0, 0, 7), BLK_BAD);
	put_rw(BLKIF_OP_FLUSH_DISKCACHE, 0, 0);
	ck_assert_int_eq(parse(), BLK_OK);
	put_discard(0, 0, 8);
	ck_assert_int_eq(parse(), BLK_BAD);
	put_indirect(BLKIF_OP_WRITE, 1, 0, 1);
	ck_assert_int_eq(parse(), BLK_BAD);
	put_indirect(BLKIF_OP_READ, 1, 0, 1);
	ck_assert_int_eq(parse(), BLK_OK);
}
END_TEST

START_TEST(flushes)
{
	limits.abi = (enum blk_abi)_i;
	put_rw(BLKIF_OP_FLUSH_DISKCACHE, 0, UINT64_MAX);
	ck_assert_int_eq(parse(), BLK_OK);
	ck_assert_int_eq(req.kind, BLK_FLUSH);
	ck_assert_uint_eq(req.nr_segs, 0);
	ck_assert_uint_eq(req.nr_sectors, 0);
	ck_assert_uint_eq(req.op, BLKIF_OP_FLUSH_DISKCACHE);
	ck_assert_int_eq(parse_one(BLKIF_OP_FLUSH_DISKCACHE, 2, 0, 7), BLK_OK);
	ck_assert_int_eq(req.kind, BLK_FLUSH_WRITE);
	ck_assert_uint_eq(req.nr_sectors, 8);
	ck_assert_int_eq(parse_one(BLKIF_OP_FLUSH_DISKCACHE, SECTORS, 0, 7), BLK_BAD);
	put_rw(BLKIF_OP_FLUSH_DISKCACHE, 12, 0);
	ck_assert_int_eq(parse(), BLK_BAD);
}
END_TEST

START_TEST(not_offered)
{
	for (unsigned int op = 0; op < 256; op++) {
		bool known = op == BLKIF_OP_READ || op == BLKIF_OP_WRITE ||
			     op == BLKIF_OP_FLUSH_DISKCACHE || op == BLKIF_OP_DISCARD ||
			     op == BLKIF_OP_INDIRECT;

		put_rw((uint8_t)op, 1, 0);
		put_seg(0, 1, 0, 7);
		if (!known) {
			ck_assert_int_eq(parse(), BLK_UNSUPPORTED);
			ck_assert_uint_eq(req.op, op);
			ck_assert_uint_eq(req.id, 0x1122334455667788);
		}
	}
	limits.discard = false;
	put_discard(0, 0, 8);
	ck_assert_int_eq(parse(), BLK_UNSUPPORTED);
	limits.indirect = 0;
	put_indirect(BLKIF_OP_READ, 1, 0, 1);
	ck_assert_int_eq(parse(), BLK_UNSUPPORTED);
	ck_assert_uint_eq(req.id, 99);
	ck_assert_uint_eq(req.op, BLKIF_OP_READ);
}
END_TEST

START_TEST(discards)
{
	limits.abi = (enum blk_abi)_i;
	put_discard(BLKIF_DISCARD_SECURE, 10, 20);
	ck_assert_int_eq(parse(), BLK_OK);
	ck_assert_int_eq(req.kind, BLK_DISCARD);
	ck_assert(req.secure);
	ck_assert_uint_eq(req.id, 7);
	ck_assert_uint_eq(req.sector, 10);
	ck_assert_uint_eq(req.nr_sectors, 20);
	put_discard(0, 0, SECTORS);
	ck_assert_int_eq(parse(), BLK_OK);
	ck_assert(!req.secure);
	put_discard(0, 0, SECTORS + 1);
	ck_assert_int_eq(parse(), BLK_BAD);
	put_discard(0, 1, UINT64_MAX);
	ck_assert_int_eq(parse(), BLK_BAD);
	put_discard(0, 0, 0);
	ck_assert_int_eq(parse(), BLK_BAD);
}
END_TEST

START_TEST(indirect_fields)
{
	uint8_t page[BLK_SEGS_MAX * BLK_SEG_BYTES] = { 0 };

	limits.abi = (enum blk_abi)_i;
	limits.sectors = 8 * BLK_SEGS_MAX;
	put_indirect(BLKIF_OP_WRITE, BLK_SEGS_MAX, 0, 0xabcd);
	ck_assert_int_eq(parse(), BLK_OK);
	ck_assert(req.indirect);
	ck_assert_uint_eq(req.indirect_gref, 0xabcd);
	ck_assert_int_eq(req.kind, BLK_WRITE);
	ck_assert_uint_eq(req.op, BLKIF_OP_WRITE);
	ck_assert_uint_eq(req.id, 99);
	for (unsigned int i = 0; i < BLK_SEGS_MAX; i++) {
		memcpy(page + (size_t)i * 8, &i, sizeof(i));
		page[i * 8 + 5] = 7;
	}
	ck_assert_int_eq(blk_parse_indirect(&limits, page, &req), BLK_OK);
	ck_assert_uint_eq(req.nr_sectors, 8 * BLK_SEGS_MAX);
	ck_assert_uint_eq(req.segs[255].gref, 255);
	ck_assert_uint_eq(req.segs[255].len, 4096);
	page[255 * 8 + 5] = 8;
	ck_assert_int_eq(blk_parse_indirect(&limits, page, &req), BLK_BAD);
	page[255 * 8 + 5] = 7;
	limits.sectors--;
	ck_assert_int_eq(blk_parse_indirect(&limits, page, &req), BLK_BAD);
}
END_TEST

START_TEST(indirect_counts)
{
	static const struct {
		uint16_t nr;
		enum blk_verdict want;
	} cases[] = { { 0, BLK_BAD },	{ 1, BLK_OK },	   { 256, BLK_OK },   { 257, BLK_BAD },
		      { 512, BLK_BAD }, { 4096, BLK_BAD }, { 65535, BLK_BAD } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		put_indirect(BLKIF_OP_READ, cases[i].nr, 0, 1);
		ck_assert_int_eq(parse(), cases[i].want);
	}
	limits.indirect = 32;
	put_indirect(BLKIF_OP_READ, 33, 0, 1);
	ck_assert_int_eq(parse(), BLK_BAD);
	for (unsigned int op = 2; op < 256; op++) {
		put_indirect((uint8_t)op, 1, 0, 1);
		ck_assert_int_eq(parse(), BLK_UNSUPPORTED);
		ck_assert_uint_eq(req.op, op);
	}
}
END_TEST

/* bytes that nobody set must not be whatever was on our stack */
START_TEST(response_bytes)
{
	static const uint8_t want[16] = { 8, 7, 6, 5, 4, 3, 2, 1, BLKIF_OP_DISCARD, 0, 0xfe, 0xff };
	enum blk_abi abi = (enum blk_abi)_i;
	uint8_t buf[BLK_RSP_MAX + 1];

	memset(buf, 0xa5, sizeof(buf));
	blk_response(abi, 0x0102030405060708, BLKIF_OP_DISCARD, BLKIF_RSP_EOPNOTSUPP, buf);
	ck_assert_mem_eq(buf, want, blk_response_size(abi));
	ck_assert_uint_eq(buf[blk_response_size(abi)], 0xa5);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("blk_ring");
	TCase *tc = tcase_create("all");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, sizes);
	tcase_add_test(tc, protocols);
	tcase_add_loop_test(tc, read_write_fields, 0, 2);
	tcase_add_loop_test(tc, segment_counts, 0, 2);
	tcase_add_test(tc, sectors_of_a_page);
	tcase_add_test(tc, end_of_the_disk);
	tcase_add_test(tc, large_sectors);
	tcase_add_test(tc, readonly);
	tcase_add_loop_test(tc, flushes, 0, 2);
	tcase_add_test(tc, not_offered);
	tcase_add_loop_test(tc, discards, 0, 2);
	tcase_add_loop_test(tc, indirect_fields, 0, 2);
	tcase_add_test(tc, indirect_counts);
	tcase_add_loop_test(tc, response_bytes, 0, 2);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
