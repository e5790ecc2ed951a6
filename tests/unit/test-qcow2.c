/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "tests/support/unit.h"
#include "tools/qcow2.h"

static unsigned char head[4096];
static struct qcow2 image;
static const char *why;

static void put32(size_t at, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		head[at + (size_t)i] = (unsigned char)(v >> (24 - 8 * i));
}

static void setup(void)
{
	memset(head, 0, sizeof(head));
	memcpy(head, "QFI\xfb", 4);
	put32(4, 3);
	put32(100, 104);
}

static int parse(size_t len)
{
	why = NULL;
	return qcow2_parse(head, len, &image, &why);
}

static void bad(size_t len, const char *text)
{
	memset(&image, 0x55, sizeof(image));
	ck_assert_int_eq(parse(len), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, text));
	ck_assert_int_eq(image.backing[0], 0x55);
}

START_TEST(test_plain)
{
	ck_assert(qcow2_is("QFI\xfb", 4));
	ck_assert(!qcow2_is("QFI\xfb", 3));
	ck_assert(!qcow2_is("QFI.", 4));
	ck_assert_int_eq(parse(sizeof(head)), 0);
	ck_assert_str_eq(image.backing, "");
	ck_assert_str_eq(image.format, "");
	ck_assert(!image.external_data);
	put32(4, 2);
	put32(100, 0);
	ck_assert_int_eq(parse(sizeof(head)), 0);
	put32(72, 0); /* of version 2 this is an extension already */
	put32(76, 4);
	ck_assert_int_eq(parse(sizeof(head)), 0);
	ck_assert(!image.external_data);
}
END_TEST

START_TEST(test_others)
{
	put32(76, 4);
	put32(104, 0x6803f857); /* one that is passed over, to the next 8 */
	put32(108, 5);
	put32(120, 0xe2792aca);
	put32(124, 3);
	memcpy(head + 128, "raw", 3);
	put32(12, 1000);
	put32(16, 8);
	memcpy(head + 1000, "a/b c.xy", 8);
	ck_assert_int_eq(parse(sizeof(head)), 0);
	ck_assert(image.external_data);
	ck_assert_str_eq(image.backing, "a/b c.xy");
	ck_assert_str_eq(image.format, "raw");
}
END_TEST

START_TEST(test_broken)
{
	bad(103, "ends within its head");
	put32(100, 5000);
	bad(sizeof(head), "length that cannot be");
	put32(100, 103);
	bad(sizeof(head), "length that cannot be");
	put32(100, 104);
	put32(4, 4);
	bad(sizeof(head), "version");
	put32(4, 3);
	put32(12, 4000);
	put32(16, 97);
	bad(sizeof(head), "not in its head");
	put32(16, 0);
	bad(sizeof(head), "not in its head");
	put32(12, 4097);
	put32(16, 1);
	bad(sizeof(head), "not in its head");
	put32(8, 0x80000000);
	bad(sizeof(head), "not in its head");
	put32(8, 0);
	put32(12, 1000);
	put32(16, QCOW2_BACKING_MAX);
	bad(sizeof(head), "too long");
	put32(16, 3);
	bad(sizeof(head), "is none"); /* NULs */
	put32(12, 0);
	put32(104, 0xe2792aca);
	put32(108, sizeof(image.format));
	bad(sizeof(head), "too long");
	put32(108, 0xfffffff0);
	bad(sizeof(head), "middle of an extension");
	put32(104, 7);
	bad(sizeof(head), "middle of an extension");
	head[3] = 0;
	bad(sizeof(head), "does not begin");
}
END_TEST

UNIT_MAIN_WITH("qcow2", setup, NULL, test_plain, test_others, test_broken)
