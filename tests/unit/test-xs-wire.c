/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/unit.h"
#include "xenstored/wire.h"

START_TEST(test_peek)
{
	struct wire_header in = { WIRE_READ, 7, 8, 100 }, h = { 0 };
	char buf[WIRE_HEADER_SIZE + 4];

	memcpy(buf, &in, sizeof(in));
	for (size_t n = 0; n < WIRE_HEADER_SIZE; n++)
		ck_assert_int_eq(wire_peek(buf, n, &h), 0);
	ck_assert_uint_eq(h.type, 0);
	ck_assert_int_eq(wire_peek(buf, WIRE_HEADER_SIZE, &h), WIRE_HEADER_SIZE + 100);
	ck_assert_uint_eq(h.req_id, 7);
	ck_assert_uint_eq(h.tx_id, 8);
}
END_TEST

START_TEST(test_peek_limits)
{
	static const uint32_t bad[] = { 4097, 65536, 0x7fffffff, 0x80000000, 0xffffffff };
	struct wire_header h, in = { 0, 0, 0, 4096 };

	ck_assert_int_eq(wire_peek(&in, sizeof(in), &h), WIRE_HEADER_SIZE + 4096);
	in.len = 0;
	ck_assert_int_eq(wire_peek(&in, sizeof(in), &h), WIRE_HEADER_SIZE);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		in.len = bad[i];
		ck_assert_int_eq(wire_peek(&in, sizeof(in), &h), -EPROTO);
	}
}
END_TEST

START_TEST(test_strings)
{
	struct wire_string s[2];

	ck_assert_int_eq(wire_strings("", 0, s, 2), 0);
	ck_assert_int_eq(wire_strings("a\0bc", 5, s, 2), 2);
	ck_assert_uint_eq(s[0].len, 1);
	ck_assert_str_eq(s[1].s, "bc");
	ck_assert_uint_eq(s[1].len, 2);
	ck_assert_int_eq(wire_strings("\0", 2, s, 2), 2); /* two empty ones */
	ck_assert_int_eq(wire_strings("a\0bc", 4, s, 2), -EINVAL);
	ck_assert_int_eq(wire_strings("a\0b\0c", 6, s, 2), -EINVAL);
	ck_assert_int_eq(wire_strings("a", 2, s, 0), -EINVAL);
}
END_TEST

static int number(const char *s, uint64_t max, uint64_t *v)
{
	return wire_number(s, strlen(s), max, v);
}

START_TEST(test_number)
{
	static const char *const bad[] = { "", "-1", "+1", " 1", "1 ", "1x", "0x1", "abc" };
	uint64_t v = 1;
	uint16_t d = 1;

	ck_assert_int_eq(number("0", 0, &v), 0);
	ck_assert(v == 0);
	ck_assert_int_eq(number("1", 0, &v), -EINVAL);
	ck_assert_int_eq(number("007", 7, &v), 0);
	ck_assert(v == 7);
	ck_assert_int_eq(number("8", 7, &v), -EINVAL);
	ck_assert_int_eq(number("18446744073709551615", UINT64_MAX, &v), 0);
	ck_assert(v == UINT64_MAX);
	ck_assert_int_eq(number("18446744073709551616", UINT64_MAX, &v), -EINVAL);
	ck_assert_int_eq(number("99999999999999999999999999", UINT64_MAX, &v), -EINVAL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_int_eq(number(bad[i], UINT64_MAX, &v), -EINVAL);
	ck_assert_int_eq(wire_domid("65535", 5, &d), 0);
	ck_assert_uint_eq(d, 65535);
	ck_assert_int_eq(wire_domid("65536", 5, &d), -EINVAL);
	ck_assert_int_eq(wire_domid("123", 2, &d), 0); /* as long as it says */
	ck_assert_uint_eq(d, 12);
}
END_TEST

START_TEST(test_errors)
{
	ck_assert_str_eq(wire_error_name(ENOENT), "ENOENT");
	ck_assert_str_eq(wire_error_name(EPERM), "EPERM");
	ck_assert_str_eq(wire_error_name(E2BIG), "E2BIG");
	ck_assert_str_eq(wire_error_name(EPROTO), "EINVAL"); /* no client knows it */
	ck_assert_str_eq(wire_error_name(0), "EINVAL");
}
END_TEST

static char path_buf[WIRE_PATH_MAX];
static struct wire_path path;

static int parse(const char *s)
{
	return wire_path_parse(s, strlen(s), "/local/domain/5/", 0, false, path_buf, &path);
}

START_TEST(test_path_characters)
{
	char s[] = "/a?b";

	for (int c = 1; c < 256; c++) {
		const bool good = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
				  (c >= 'A' && c <= 'Z') || strchr("-/_@", c);

		s[2] = (char)c;
		ck_assert_msg(parse(s) == (good ? 0 : -EINVAL), "character %d", c);
	}
}
END_TEST

START_TEST(test_path_shape)
{
	static const char *const bad[] = { "",	  "//", "/a/",	"/a//b",
					   "//a", "a/", "a//b", "/local/domain/" };

	ck_assert_int_eq(parse("/"), 0);
	ck_assert_uint_eq(path.len, 1);
	ck_assert_int_eq(parse("/a/@b"), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(parse(bad[i]) == -EINVAL, "%s", bad[i]);
	ck_assert_int_eq(wire_path_parse("/a\0b", 4, "/x/", 0, false, path_buf, &path), -EINVAL);
}
END_TEST

START_TEST(test_path_relative)
{
	ck_assert_int_eq(parse("data/x"), 0);
	ck_assert_uint_eq(path.len, strlen("/local/domain/5/data/x"));
	ck_assert(!memcmp(path.s, "/local/domain/5/data/x", path.len));
	ck_assert_uint_eq(path.strip, strlen("/local/domain/5/"));
	ck_assert_int_eq(parse("/abs"), 0);
	ck_assert_uint_eq(path.strip, 0);
}
END_TEST

START_TEST(test_path_special)
{
	ck_assert_int_eq(parse("@releaseDomain"), -EINVAL);
	ck_assert_int_eq(wire_path_parse("@releaseDomain/5", 16, "/x/", 0, true, path_buf, &path),
			 0);
	ck_assert(path.special);
	ck_assert_int_eq(wire_path_parse("@", 1, "/x/", 0, true, path_buf, &path), -EINVAL);
	ck_assert_int_eq(wire_path_parse("@a/", 3, "/x/", 0, true, path_buf, &path), -EINVAL);
	ck_assert_int_eq(parse("/@x"), 0);
	ck_assert(!path.special);
}
END_TEST

static int parse_long(char first, size_t len, const char *base, uint64_t rel_max)
{
	char s[WIRE_PATH_MAX + 2];

	memset(s, 'a', sizeof(s));
	s[0] = first;
	return wire_path_parse(s, len, base, rel_max, false, path_buf, &path);
}

START_TEST(test_path_length)
{
	ck_assert_int_eq(parse_long('/', WIRE_PATH_MAX, "/b/", 0), 0);
	ck_assert_int_eq(parse_long('/', WIRE_PATH_MAX + 1, "/b/", 0), -EINVAL);
	ck_assert_int_eq(parse_long('a', WIRE_PATH_MAX - 3, "/b/", 0), 0);
	ck_assert_int_eq(parse_long('a', WIRE_PATH_MAX - 2, "/b/", 0), -EINVAL);
	/* a limit on what follows the domain's home, however it was said */
	ck_assert_int_eq(parse_long('a', 2048, "/local/domain/5/", 2048), 0);
	ck_assert_int_eq(parse_long('a', 2049, "/local/domain/5/", 2048), -EINVAL);
	ck_assert_int_eq(parse_long('/', 2048, "/local/domain/5/", 2048), 0);
	ck_assert_int_eq(parse_long('/', 2049, "/local/domain/5/", 2048), -EINVAL);
}
END_TEST

START_TEST(test_domain_prefix)
{
	ck_assert_uint_eq(wire_domain_prefix("/local/domain/7/x", 17), 16);
	ck_assert_uint_eq(wire_domain_prefix("/local/domain/7", 15), 0);
	ck_assert_uint_eq(wire_domain_prefix("/local/domain//x", 16), 0);
	ck_assert_uint_eq(wire_domain_prefix("/local/domain/7a/x", 18), 0);
	ck_assert_uint_eq(wire_domain_prefix("/local/domain/", 14), 0);
	ck_assert_uint_eq(wire_domain_prefix("/local", 6), 0);
}
END_TEST

START_TEST(test_component)
{
	static const char p[] = "/ab/c";
	const char *name;
	size_t at = 1;

	ck_assert_uint_eq(wire_component(p, 5, &at, &name), 2);
	ck_assert(!memcmp(name, "ab", 2));
	ck_assert_uint_eq(at, 4);
	ck_assert_uint_eq(wire_component(p, 5, &at, &name), 1);
	ck_assert_uint_eq(at, 6);
}
END_TEST

UNIT_MAIN("xs-wire", test_peek, test_peek_limits, test_strings, test_number, test_errors,
	  test_path_characters, test_path_shape, test_path_relative, test_path_special,
	  test_path_length, test_domain_prefix, test_component)
