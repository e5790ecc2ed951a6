/* SPDX-License-Identifier: MIT */
/* The migration stream: bytes as the document draws them, there and back, and what is cut or wrong. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "tests/support/unit.h"
#include "xenstored/stream_wire.h"
#include "xenstored/wire.h"

static const struct perm perms[] = {
	{ .domid = 5 }, { .domid = 7, .rights = PERM_READ | PERM_WRITE, .is_void = 1 }
};
static const uint32_t limits[] = { 1000, 0 };

#define PART(s)                  \
	{                        \
		s, sizeof(s) - 1 \
	}

static const struct stream_record records[] = {
	{ .type = STREAM_END },
	{ .type = STREAM_GLOBAL, .fd = 3, .event_fd = -1 },
	{ .type = STREAM_CONN,
	  .conn = 1,
	  .kind = STREAM_RING,
	  .domid = 5,
	  .target = STREAM_NO_DOMAIN,
	  .port = 70000,
	  .in = PART("abc"),
	  .out = PART("de"),
	  .partial = 2 },
	{ .type = STREAM_CONN,
	  .conn = 2,
	  .kind = STREAM_SOCKET,
	  .fd = 9,
	  .in = PART("x"),
	  .has_unique_id = true,
	  .unique_id = 0x1122334455667788 },
	{ .type = STREAM_WATCH,
	  .conn = 1,
	  .path = PART("data/x"),
	  .token = PART(""),
	  .depth = STREAM_ANY_DEPTH },
	{ .type = STREAM_WATCH, .conn = 1, .path = PART("/a"), .token = PART("t"), .depth = 3 },
	{ .type = STREAM_TXN, .conn = 1, .tx = 9 },
	{ .type = STREAM_NODE,
	  .nr_perms = 2,
	  .perms = perms,
	  .path = PART("/a/b"),
	  .value = PART("v\0v") },
	{ .type = STREAM_NODE, .conn = 1, .tx = 9, .access = 2, .path = PART("/gone") },
	{ .type = STREAM_QUOTA, .nr_quotas = 2, .quotas = limits, .names = PART("nodes\0odd\0") },
	{ .type = STREAM_DOMAIN,
	  .domid = 5,
	  .features = 6,
	  .nr_quotas = 1,
	  .quotas = limits,
	  .names = PART("nodes\0") },
};

#define RECORDS (sizeof(records) / sizeof(records[0]))

static const struct stream_head native = { 2, false };

static void check_part(const struct stream_part *a, const struct stream_part *b)
{
	ck_assert_uint_eq(a->len, b->len);
	if (a->len)
		ck_assert_int_eq(memcmp(a->data, b->data, a->len), 0);
}

static void check_same(const struct stream_record *a, const struct stream_record *b)
{
	ck_assert_uint_eq(a->type, b->type);
	ck_assert_int_eq(a->fd, b->fd);
	ck_assert_int_eq(a->event_fd, b->event_fd);
	ck_assert_uint_eq(a->conn, b->conn);
	ck_assert_uint_eq(a->tx, b->tx);
	ck_assert_uint_eq(a->kind, b->kind);
	ck_assert_uint_eq(a->domid, b->domid);
	ck_assert_uint_eq(a->target, b->target);
	ck_assert_uint_eq(a->port, b->port);
	ck_assert(a->has_unique_id == b->has_unique_id && a->unique_id == b->unique_id);
	ck_assert_uint_eq(a->partial, b->partial);
	ck_assert_uint_eq(a->depth, b->depth);
	ck_assert_uint_eq(a->access, b->access);
	ck_assert_uint_eq(a->features, b->features);
	check_part(&a->in, &b->in);
	check_part(&a->out, &b->out);
	check_part(&a->path, &b->path);
	check_part(&a->token, &b->token);
	check_part(&a->value, &b->value);
	check_part(&a->names, &b->names);
	ck_assert_uint_eq(a->nr_perms, b->nr_perms);
	ck_assert_uint_eq(a->nr_quotas, b->nr_quotas);
}

static void check_lists(const struct stream_record *want, const struct stream_record *got)
{
	struct stream_part name;
	size_t at = 0;
	struct perm p;
	uint32_t v;

	for (size_t i = 0; i < want->nr_perms; i++) {
		ck_assert_int_eq(stream_perm(got, i, &p), 0);
		ck_assert_int_eq(memcmp(&p, &want->perms[i], sizeof(p)), 0);
	}
	for (size_t i = 0; i < want->nr_quotas; i++) {
		stream_quota(got, i, &at, &name, &v);
		ck_assert_uint_eq(v, want->quotas[i]);
	}
	ck_assert_uint_eq(at, want->names.len);
}

START_TEST(test_there_and_back)
{
	for (size_t i = 0; i < RECORDS; i++) {
		char buf[256] = "";
		struct stream_record r;
		const size_t n = stream_size(2, &records[i]);

		ck_assert_uint_le(n, sizeof(buf));
		stream_encode(2, &records[i], buf);
		ck_assert_int_eq(stream_decode(&native, buf, n, &r), (int64_t)n);
		check_same(&records[i], &r);
		check_lists(&records[i], &r);
		for (size_t len = 0; len < n; len++)
			ck_assert_int_eq(stream_decode(&native, buf, len, &r), -EPROTO);
	}
}
END_TEST

/* What version 1 does not have is not written, and not taken where it stands nevertheless. */
START_TEST(test_version_1)
{
	static const struct stream_head one = { 1, false };
	struct stream_record r;
	char buf[256];

	stream_encode(1, &records[5], buf);
	ck_assert_int_gt(stream_decode(&one, buf, sizeof(buf), &r), 0);
	ck_assert_uint_eq(r.depth, STREAM_ANY_DEPTH);
	stream_encode(2, &records[5], buf);
	ck_assert_int_eq(stream_decode(&one, buf, sizeof(buf), &r), -EPROTO);
	stream_encode(1, &records[10], buf);
	ck_assert_int_gt(stream_decode(&native, buf, sizeof(buf), &r), 0);
	ck_assert_uint_eq(r.features, 0);
}
END_TEST

/* by hand, from the document: big-endian */
static const uint8_t ring[] = "\0\0\0\2\0\0\0\50"
			      "\0\0\0\1\0\0\0\1" /* id, ring, has a unique id */
			      "\0\5\0\6\0\1\0\2" /* domain, target, port */
			      "\0\3\0\1\0\0\0\2" /* input, partial, output */
			      "abcde\0\0\0"
			      "\0\0\0\0\0\0\1\2";
static const uint8_t node[] = "\0\0\0\5\0\0\0\36"
			      "\0\0\0\0\0\0\0\0"
			      "\0\5\0\1\0\0\0\2" /* path, value, access, permissions */
			      "n\0\0\5r\1\0\7"
			      "/a/b\0v\0\0";
static const uint8_t deep[] = "\0\0\0\10\0\0\0\21"
			      "\0\0\0\1\0\3\0\2"
			      "\0\4\0\0" /* depth */
			      "/a\0t\0\0\0\0\0\0\0\0";

START_TEST(test_the_document)
{
	static const struct stream_head big = { 2, __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ };
	struct stream_record r;
	struct perm p;

	ck_assert_int_eq(stream_decode(&big, ring, sizeof(ring) - 1, &r), 48);
	ck_assert(r.conn == 1 && r.kind == STREAM_RING && r.domid == 5 && r.target == 6);
	ck_assert(r.port == 65538 && r.partial == 1 && r.has_unique_id && r.unique_id == 258);
	ck_assert(r.in.len == 3 && !memcmp(r.in.data, "abc", 3));
	ck_assert(r.out.len == 2 && !memcmp(r.out.data, "de", 2));
	ck_assert_int_eq(stream_decode(&big, node, sizeof(node) - 1, &r), 40);
	ck_assert(r.path.len == 4 && !memcmp(r.path.data, "/a/b", 4));
	ck_assert(r.value.len == 1 && *r.value.data == 'v' && r.nr_perms == 2);
	ck_assert_int_eq(stream_perm(&r, 0, &p), 0);
	ck_assert(p.domid == 5 && !p.rights && !p.is_void);
	ck_assert_int_eq(stream_perm(&r, 1, &p), 0);
	ck_assert(p.domid == 7 && p.rights == PERM_READ && p.is_void);
	ck_assert_int_eq(stream_decode(&big, deep, sizeof(deep) - 1, &r), 32);
	ck_assert(r.type == STREAM_WATCH && r.depth == 4 && r.path.len == 2 && r.token.len == 1);
}
END_TEST

static int64_t decode_changed(size_t which, size_t at, uint8_t value)
{
	char buf[256] = "";
	struct stream_record r;

	stream_encode(2, &records[which], buf);
	buf[at] = (char)value;
	return stream_decode(&native, buf, stream_size(2, &records[which]), &r);
}

START_TEST(test_wrong)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	static const struct {
		size_t record, at;
		uint8_t value;
	} wrong[] = {
		{ 0, 0, STREAM_TYPES }, /* no such type */
		{ 2, 8, 0 },		/* connection 0 */
		{ 2, 12, 2 },		/* neither ring nor socket */
		{ 2, 14, 2 },		/* a field that is not known */
		{ 2, 26, 3 },		/* more of a message than output */
		{ 2, 24, 200 },		/* more input than there is */
		{ 4, 12, 6 },		/* path without its NUL */
		{ 4, 14, 0 },		/* token without even that */
		{ 7, 22, 255 },		/* more permissions than there are */
		{ 7, 16, 0 },		/* a node without a path */
		{ 9, 8, 200 },		/* more limits than there are */
		{ 10, 10, 200 },
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ck_assert_msg(decode_changed(wrong[i].record, wrong[i].at, wrong[i].value) ==
				      -EPROTO,
			      "%zu was taken", i);
#endif
}
END_TEST

START_TEST(test_head)
{
	char buf[STREAM_HEAD_SIZE];
	struct stream_head h;

	stream_head_encode(2, buf);
	ck_assert_int_eq(memcmp(buf, "xenstore\0\0\0\2", 12), 0);
	ck_assert_int_eq(stream_head_decode(buf, sizeof(buf), &h), 0);
	ck_assert(h.version == 2 && !h.swap);
	buf[15] ^= 1;
	ck_assert_int_eq(stream_head_decode(buf, sizeof(buf), &h), 0);
	ck_assert(h.swap);
	ck_assert_int_eq(stream_head_decode(buf, sizeof(buf) - 1, &h), -EPROTO);
	buf[15] |= 2;
	ck_assert_int_eq(stream_head_decode(buf, sizeof(buf), &h), -EOPNOTSUPP);
	stream_head_encode(3, buf);
	ck_assert_int_eq(stream_head_decode(buf, sizeof(buf), &h), -EOPNOTSUPP);
	stream_head_encode(0, buf);
	ck_assert_int_eq(stream_head_decode(buf, sizeof(buf), &h), -EOPNOTSUPP);
	buf[0] = 'y';
	ck_assert_int_eq(stream_head_decode(buf, sizeof(buf), &h), -EPROTO);
}
END_TEST

START_TEST(test_partial)
{
	static const struct wire_header h = { WIRE_READ, 1, 0, 3 };
	char buf[64] = "xyz";

	ck_assert_uint_eq(stream_partial(buf, 0), 0);
	memcpy(buf + 3, &h, sizeof(h));
	memcpy(buf + 19, "abc", 3);
	ck_assert_uint_eq(stream_partial(buf, 22), 3);
	ck_assert_uint_eq(stream_partial(buf + 3, 19), 0);
	ck_assert_uint_eq(stream_partial(buf, 21), 21);
}
END_TEST

UNIT_MAIN("xs-stream", test_there_and_back, test_version_1, test_the_document, test_wrong,
	  test_head, test_partial)
