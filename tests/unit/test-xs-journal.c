/* SPDX-License-Identifier: MIT */
/* The journal: records and back, what is cut or damaged, and that only what was committed counts. */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/unit.h"
#include "xenstored/journal.h"
#include "xenstored/perm.h"

static const struct perm perms[] = { { .domid = 5 }, { .domid = 7, .rights = PERM_READ } };

static const struct journal_record node = {
	.type = JOURNAL_NODE,
	.part = { { "/a/b", 4 }, { perms, sizeof(perms) }, { "value", 5 } },
};

static void check_same(const struct journal_record *a, const struct journal_record *b)
{
	ck_assert_uint_eq(a->type, b->type);
	ck_assert_uint_eq(a->flags, b->flags);
	ck_assert_uint_eq(a->domid, b->domid);
	ck_assert(a->id == b->id);
	ck_assert_int_eq(memcmp(a->n, b->n, sizeof(a->n)), 0);
	for (size_t i = 0; i < JOURNAL_PARTS; i++) {
		ck_assert_uint_eq(a->part[i].len, b->part[i].len);
		if (a->part[i].len)
			ck_assert_int_eq(memcmp(a->part[i].data, b->part[i].data, a->part[i].len),
					 0);
	}
}

/* 1: it came back, and from no part of it anything else did. Or what the reader said */
static int64_t there_and_back(const struct journal_record *r)
{
	static struct journal_past to, from, cut;
	char buf[512];
	struct journal_record back;
	size_t size;
	int64_t n;

	ck_assert_uint_le(journal_room(r), sizeof(buf));
	to.path_len = to.nr_perms = from.path_len = from.nr_perms = 0;
	size = journal_encode(&to, r, buf);
	ck_assert_uint_le(size, journal_room(r));
	n = journal_decode(&from, buf, sizeof(buf), &back);
	if (n < 0)
		return n;
	ck_assert_uint_eq((size_t)n, size);
	check_same(r, &back);
	for (size_t len = 0; len < size; len++) {
		cut.path_len = cut.nr_perms = 0;
		ck_assert_int_eq(journal_decode(&cut, buf, len, &back), -EPROTO);
	}
	return 1;
}

START_TEST(test_records)
{
	const struct journal_record good[] = {
		node,
		{ .type = JOURNAL_NODE, .part = { { "/", 1 }, { perms, 4 } } },
		{ .type = JOURNAL_GONE, .part = { { "/a", 2 } } },
		{ .type = JOURNAL_SPECIAL, .n = { 1 }, .part = { [1] = { perms, 8 } } },
		{ .type = JOURNAL_DOMAIN,
		  .domid = 5,
		  .flags = JOURNAL_FLAGS,
		  .n = { 3, 15, 65535 },
		  .id = 1ull << 40 },
		{ .type = JOURNAL_RING, .domid = 5, .n = { 7, 9, 2 }, .part = { { "in", 2 } } },
		{ .type = JOURNAL_RING_IO, .domid = 5, .part = { [1] = { "out", 3 } } },
		{ .type = JOURNAL_WATCH,
		  .domid = 5,
		  .n = { UINT32_MAX, 1 },
		  .part = { { "@releaseDomain", 14 }, { "t", 1 } } },
		{ .type = JOURNAL_TXN_END, .domid = 5, .n = { 1 } },
		{ .type = JOURNAL_DOMAIN,
		  .domid = 65535,
		  .n = { UINT32_MAX, UINT32_MAX, 65535 },
		  .id = UINT64_MAX },
		{ .type = JOURNAL_TXN_SPECIAL,
		  .flags = JOURNAL_HAS,
		  .n = { 1 },
		  .part = { [1] = { perms, 8 } } },
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		ck_assert_int_eq(there_and_back(&good[i]), 1);
}
END_TEST

START_TEST(test_bad_records)
{
	static const struct perm odd[] = { { .domid = 5, .rights = 4 } };
	const struct journal_record bad[] = {
		{ .type = JOURNAL_NODE, .part = { { "/", 1 } } },
		{ .type = JOURNAL_NODE, .part = { { "/", 1 }, { odd, 4 } } },
		{ .type = JOURNAL_NODE, .part = { { "/", 1 }, { perms, 3 } } },
		{ .type = JOURNAL_GONE },
		{ .type = JOURNAL_GONE, .part = { { "a", 1 } } },
		{ .type = JOURNAL_GONE, .part = { { "/a/", 3 } } },
		{ .type = JOURNAL_GONE, .part = { { "@x", 2 } } },
		{ .type = JOURNAL_GONE, .part = { { "/a", 2 }, { "x", 1 } } },
		{ .type = JOURNAL_SPECIAL, .n = { 2 }, .part = { [1] = { perms, 8 } } },
		{ .type = JOURNAL_DOMAIN, .flags = 8 },
		{ .type = JOURNAL_DOMAIN, .n = { 0, 0, 65536 } },
		{ .type = JOURNAL_QUOTA, .n = { 10 } },
		{ .type = JOURNAL_RING, .n = { 0, 0, JOURNAL_RESETS } },
		{ .type = JOURNAL_WATCH, .n = { 0, 3 }, .part = { { "/a", 2 }, { "t", 1 } } },
		{ .type = JOURNAL_TXN_START },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(there_and_back(&bad[i]) == -EPROTO, "record %zu was taken", i);
}
END_TEST

static void check_bytes(const char *bytes, size_t len)
{
	static struct journal_past past;
	struct journal_record r;

	past.path_len = past.nr_perms = 0;
	ck_assert_msg(journal_decode(&past, bytes, len, &r) == -EPROTO, "%02x %02x ... was taken",
		      bytes[0] & 255, bytes[1] & 255);
}

#define BYTES(text) check_bytes(text, sizeof(text) - 1)

/* What no record gives: the type, the bits of what follows, and so on, see journal_wire.c. */
START_TEST(test_bad_bytes)
{
	BYTES("\0\0");
	BYTES("\x3f\0");
	BYTES("\x02\x20\x00\x80"); /* a length without an end */
	BYTES("\x02\x20\x00\x02/");
	BYTES("\x02\x20\x01\x01/");		   /* more in common than there was */
	BYTES("\x41\x20\x00\x02/a");		   /* the list before the first one */
	BYTES("\x41\x60\x00\x02/a\x04\x05\0\0\0"); /* a list and the one before */
	BYTES("\x42\x20\x00\x02/a");		   /* in a record that has none */
	BYTES("\x0d\x02\x80\x80\x80\x80\x10");	   /* 33 bits */
	BYTES("\x0d\x03\x80\x80\x04\x01");	   /* a domain of 17 bits */
	BYTES("\x04\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"); /* 65 bits */
	BYTES("\x84\x00\x80\x02");				   /* flags of 9 bits */
}
END_TEST

/* Paths and permissions that are those of the record before, in part or not at all. */
START_TEST(test_past)
{
	static const struct perm other[] = { { .domid = 3 } };
	static const char *const paths[] = { "/a/b", "/a/b", "/a/b/c", "/a/bc",
					     "/a",   "/",    "/x",     "/a/b" };
	static struct journal_past to, from;
	char buf[2048];
	size_t end = 0, at = 0;
	struct journal_record r = { .type = JOURNAL_NODE };

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		r.part[0] = (struct journal_part){ paths[i], strlen(paths[i]) };
		r.part[1] = i & 2 ? (struct journal_part){ other, sizeof(other) }
				  : (struct journal_part){ perms, sizeof(perms) };
		end += journal_encode(&to, &r, buf + end);
	}
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		const int64_t n = journal_decode(&from, buf + at, end - at, &r);

		ck_assert_int_gt(n, 0);
		ck_assert_uint_eq(r.part[0].len, strlen(paths[i]));
		ck_assert_int_eq(memcmp(r.part[0].data, paths[i], r.part[0].len), 0);
		ck_assert_uint_eq(r.part[1].len, i & 2 ? sizeof(other) : sizeof(perms));
		ck_assert_int_eq(memcmp(r.part[1].data, i & 2 ? other : perms, r.part[1].len), 0);
		at += (size_t)n;
	}
	ck_assert_uint_eq(at, end);
}
END_TEST

/* A path that is as long as one can be, put together of two records; and one byte more. */
START_TEST(test_long_path)
{
	static struct journal_past to, from;
	static char path[WIRE_PATH_MAX + 1], buf[2 * WIRE_PATH_MAX];
	struct journal_record r = { .type = JOURNAL_GONE, .part = { { path, 3000 } } };
	size_t first, second;

	memset(path, 'a', sizeof(path));
	path[0] = '/';
	first = journal_encode(&to, &r, buf);
	r.part[0].len = WIRE_PATH_MAX;
	second = journal_encode(&to, &r, buf + first);
	ck_assert_int_eq(journal_decode(&from, buf, first, &r), (int64_t)first);
	ck_assert_int_eq(journal_decode(&from, buf + first, second, &r), (int64_t)second);
	ck_assert_uint_eq(r.part[0].len, WIRE_PATH_MAX);
	ck_assert_int_eq(memcmp(r.part[0].data, path, WIRE_PATH_MAX), 0);
	/* the same record again, but one more of the bytes before are the same: 3001 and 72 */
	ck_assert_int_eq((uint8_t)buf[first + 2], 0x80 | (3000 & 0x7f));
	buf[first + 2]++;
	ck_assert_int_eq(journal_decode(&from, buf + first, second, &r), -EPROTO);
}
END_TEST

/* As short as that is what makes a node with its journal no larger than others' nodes. */
START_TEST(test_is_short)
{
	static struct journal_past past;
	char buf[512];
	struct journal_record r = node;

	journal_encode(&past, &r, buf);
	r.part[0] = (struct journal_part){ "/a/c", 4 };
	ck_assert_uint_eq(journal_encode(&past, &r, buf), 2 + 2 + 1 + 1 + 5);
}
END_TEST

START_TEST(test_committed)
{
	struct journal_record r;
	struct journal_view v;
	struct journal j;
	size_t at = 0;

	ck_assert_int_eq(journal_new(3, &j), 0);
	journal_append(&j, &node);
	journal_commit(&j);
	journal_append(&j, &node);
	ck_assert_int_eq(journal_view_open(j.fd, &v), 0);
	ck_assert(v.generation == 3);
	ck_assert_int_eq(journal_view_next(&v, &at, &r), 1);
	check_same(&r, &node);
	ck_assert_int_eq(journal_view_next(&v, &at, &r), 0);
	journal_view_close(&v);
	journal_close(&j);
}
END_TEST

START_TEST(test_grows)
{
	struct journal_record r;
	struct journal_view v;
	struct journal j;
	size_t at = 0, nr = 0;

	ck_assert_int_eq(journal_new(0, &j), 0);
	for (int i = 0; i < 50000; i++)
		journal_append(&j, &node);
	journal_commit(&j);
	ck_assert(!j.failed);
	ck_assert_int_eq(journal_view_open(j.fd, &v), 0);
	while (journal_view_next(&v, &at, &r) == 1)
		nr++;
	ck_assert_uint_eq(nr, 50000);
	journal_view_close(&v);
	journal_close(&j);
}
END_TEST

START_TEST(test_version)
{
	struct journal_view v;
	struct journal j;

	ck_assert_int_eq(journal_new(0, &j), 0);
	j.map[7]--;
	ck_assert_int_eq(journal_view_open(j.fd, &v), -EPROTONOSUPPORT);
	j.map[7] += 2;
	ck_assert_int_eq(journal_view_open(j.fd, &v), -EPROTONOSUPPORT);
	j.map[0]++;
	ck_assert_int_eq(journal_view_open(j.fd, &v), -EPROTO);
	journal_close(&j);
}
END_TEST

/* A byte anywhere in the file's head or its records may be wrong: never more than an error. */
START_TEST(test_damaged)
{
	struct journal_record r;
	struct journal j;

	ck_assert_int_eq(journal_new(0, &j), 0);
	journal_append(&j, &node);
	journal_append(&j, &node);
	journal_commit(&j);
	for (size_t i = 0; i < j.end; i++) {
		struct journal_view v;
		size_t at = 0;
		int n = 0;

		j.map[i] = (char)~j.map[i];
		if (journal_view_open(j.fd, &v) == 0) {
			while (journal_view_next(&v, &at, &r) == 1)
				n++;
			ck_assert_int_le(n, 2);
			journal_view_close(&v);
		}
		j.map[i] = (char)~j.map[i];
	}
	journal_spoil(&j);
	ck_assert_int_eq(journal_view_open(j.fd, &(struct journal_view){ 0 }), -EPROTO);
	journal_close(&j);
}
END_TEST

UNIT_MAIN("xs-journal", test_records, test_bad_records, test_bad_bytes, test_past, test_long_path,
	  test_is_short, test_committed, test_grows, test_version, test_damaged)
