/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "libxenhost/store_wire.h"
#include "tests/support/unit.h"

START_TEST(header)
{
	const struct xh_wire_header in = { 2, 0x01020304, 7, 4096 };
	struct xh_wire_header out = { 0 };
	uint8_t buf[XH_WIRE_HEADER];

	xh_wire_build(&in, buf);
	ck_assert_int_eq(xh_wire_parse(buf, &out), 0);
	ck_assert_mem_eq(&in, &out, sizeof(in));
	ck_assert_uint_eq(buf[4], 4); /* little-endian, as the machine is */
	for (uint64_t len = 4097; len <= UINT32_MAX; len = len * 3) {
		struct xh_wire_header bad = in;

		bad.len = (uint32_t)len;
		xh_wire_build(&bad, buf);
		ck_assert_int_eq(xh_wire_parse(buf, &out), -EPROTO);
	}
	ck_assert_uint_eq(out.len, 4096);
}
END_TEST

START_TEST(error_names)
{
	static const int errors[] = { EINVAL, EACCES,  EEXIST, EISDIR,	  ENOENT, ENOMEM,
				      ENOSPC, EIO,     ENOSYS, ENOTEMPTY, EROFS,  EBUSY,
				      EAGAIN, EISCONN, E2BIG,  EPERM };

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		const char *name = xh_wire_error_name(errors[i]);

		ck_assert_ptr_nonnull(name);
		ck_assert_int_eq(xh_wire_errno(name, strlen(name) + 1), errors[i]);
		ck_assert_int_eq(xh_wire_errno(name, strlen(name)), errors[i]);
	}
	ck_assert_ptr_null(xh_wire_error_name(EPROTO));
	ck_assert_int_eq(xh_wire_errno("EQUOTA", 7), EINVAL);
	ck_assert_int_eq(xh_wire_errno("", 0), EINVAL);
	ck_assert_int_eq(xh_wire_errno("", 1), EINVAL);
	ck_assert_int_eq(xh_wire_errno("ENOEN", 6), EINVAL);
	ck_assert_int_eq(xh_wire_errno("ENOENTX", 8), EINVAL);
}
END_TEST

START_TEST(strings)
{
	ck_assert_int_eq(xh_wire_count("", 0), 0);
	ck_assert_int_eq(xh_wire_count("", 1), 1);
	ck_assert_int_eq(xh_wire_count("a\0bc", 5), 2);
	ck_assert_int_eq(xh_wire_count("a\0bc", 4), -EPROTO);
	ck_assert_int_eq(xh_wire_ack("OK", 3), 0);
	ck_assert_int_eq(xh_wire_ack("OK", 2), -EPROTO);
	ck_assert_int_eq(xh_wire_ack("KO", 3), -EPROTO);
	ck_assert_int_eq(xh_wire_ack("", 0), -EPROTO);
}
END_TEST

START_TEST(events)
{
	const char *path = NULL, *token = NULL;

	ck_assert_int_eq(xh_wire_event("/a\0tok", 7, &path, &token), 0);
	ck_assert_str_eq(path, "/a");
	ck_assert_str_eq(token, "tok");
	ck_assert_int_eq(xh_wire_event("/a\0tok\0more", 12, &path, &token), 0);
	ck_assert_int_eq(xh_wire_event("/a", 3, &path, &token), -EPROTO);
	ck_assert_int_eq(xh_wire_event("/a\0tok", 6, &path, &token), -EPROTO);
	ck_assert_int_eq(xh_wire_event("", 0, &path, &token), -EPROTO);
}
END_TEST

START_TEST(numbers)
{
	static const struct {
		const char *text;
		uint64_t max, value;
		int error;
	} table[] = {
		{ "0", 0, 0, 0 },
		{ "10", 10, 10, 0 },
		{ "007", 10, 7, 0 },
		{ "18446744073709551615", UINT64_MAX, UINT64_MAX, 0 },
		{ "18446744073709551616", UINT64_MAX, 0, -ERANGE },
		{ "99999999999999999999", UINT64_MAX, 0, -ERANGE },
		{ "11", 10, 0, -ERANGE },
		{ "", 10, 0, -EINVAL },
		{ "000000000000000000001", 10, 0, -EINVAL },
		{ " 1", 10, 0, -EINVAL },
		{ "1 ", 10, 0, -EINVAL },
		{ "+1", 10, 0, -EINVAL },
		{ "-1", 10, 0, -EINVAL },
		{ "0x1", 10, 0, -EINVAL },
		{ "1a", 10, 0, -EINVAL },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		uint64_t v = 77;
		int r = xh_wire_number(table[i].text, strlen(table[i].text), table[i].max, &v);

		ck_assert_msg(r == table[i].error, "'%s' gave %d", table[i].text, r);
		ck_assert_uint_eq(v, r == 0 ? table[i].value : 77);
	}
	ck_assert_int_eq(xh_wire_number("1\0", 2, 10, &(uint64_t){ 0 }), -EINVAL);
}
END_TEST

START_TEST(parts)
{
	struct xh_wire_part part;

	ck_assert_int_eq(xh_wire_part("12\0a\0bc", 8, &part), 0);
	ck_assert_uint_eq(part.generation, 12);
	ck_assert_uint_eq(part.len, 5);
	ck_assert_mem_eq(part.names, "a\0bc", 5);
	ck_assert(!part.last);
	ck_assert_int_eq(xh_wire_part("12\0a\0bc\0", 9, &part), 0);
	ck_assert_uint_eq(part.len, 5);
	ck_assert(part.last);
	ck_assert_int_eq(xh_wire_part("12\0", 4, &part), 0); /* beyond the end */
	ck_assert_uint_eq(part.len, 0);
	ck_assert(part.last);
	ck_assert_int_eq(xh_wire_part("12", 3, &part), 0);
	ck_assert_uint_eq(part.len, 0);
	ck_assert(part.last);
	ck_assert_int_eq(xh_wire_part("", 0, &part), -EPROTO);
	ck_assert_int_eq(xh_wire_part("", 1, &part), -EPROTO);
	ck_assert_int_eq(xh_wire_part("x\0a", 4, &part), -EPROTO);
	ck_assert_int_eq(xh_wire_part("1\0a", 3, &part), -EPROTO);
}
END_TEST

START_TEST(perms)
{
	struct xenhost_perm perm;
	char buf[XH_WIRE_PERM_SIZE];

	ck_assert_int_eq(xh_wire_perm_parse("b65535", &perm), 0);
	ck_assert_int_eq(perm.letter, 'b');
	ck_assert_uint_eq(perm.domid, 65535);
	ck_assert_int_eq(xh_wire_perm_format(&perm, buf), 6);
	ck_assert_str_eq(buf, "b65535");
	ck_assert_int_eq(xh_wire_perm_parse("b65536", &perm), -EPROTO);
	ck_assert_int_eq(xh_wire_perm_parse("x1", &perm), -EPROTO);
	ck_assert_int_eq(xh_wire_perm_parse("n", &perm), -EPROTO);
	ck_assert_int_eq(xh_wire_perm_parse("", &perm), -EPROTO);
	perm.letter = 'x';
	ck_assert_int_eq(xh_wire_perm_format(&perm, buf), -EINVAL);
}
END_TEST

START_TEST(tokens)
{
	char buf[XH_WIRE_TOKEN_SIZE];
	uint64_t serial;
	uint32_t slot;

	xh_wire_token_format(UINT32_MAX, UINT64_MAX, buf);
	ck_assert_int_eq(xh_wire_token_parse(buf, &slot, &serial), 0);
	ck_assert_uint_eq(slot, UINT32_MAX);
	ck_assert_uint_eq(serial, UINT64_MAX);
	ck_assert_int_eq(xh_wire_token_parse("", &slot, &serial), -EINVAL);
	ck_assert_int_eq(xh_wire_token_parse("1", &slot, &serial), -EINVAL);
	ck_assert_int_eq(xh_wire_token_parse("-1", &slot, &serial), -EINVAL);
	ck_assert_int_eq(xh_wire_token_parse("1-", &slot, &serial), -EINVAL);
	ck_assert_int_eq(xh_wire_token_parse("1-2-3", &slot, &serial), -EINVAL);
	ck_assert_int_eq(xh_wire_token_parse("4294967296-1", &slot, &serial), -EINVAL);
}
END_TEST

UNIT_MAIN("store-wire", header, error_names, strings, events, numbers, parts, perms, tokens)
