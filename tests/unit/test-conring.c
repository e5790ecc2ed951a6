/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "common/xen.h"
#include "hypercall-bridge/vmm/conring.h"
#include "tests/support/unit.h"

static union {
	struct xencons_interface ring;
	uint8_t bytes[4096];
} page;

static char buf[4096];

static void setup(void)
{
	memset(&page, 0, sizeof(page));
}

static void teardown(void)
{
}

static void guest_writes(const char *text)
{
	for (; *text; text++)
		page.ring.out[page.ring.out_prod++ % sizeof(page.ring.out)] = *text;
}

START_TEST(output)
{
	guest_writes("hello");
	ck_assert_int_eq(conring_peek(&page, buf, sizeof(buf)), 5);
	ck_assert_mem_eq(buf, "hello", 5);
	ck_assert_int_eq(conring_peek(&page, buf, 2), 2); /* nothing was taken */
	conring_consume(&page, 2);
	ck_assert_int_eq(conring_peek(&page, buf, sizeof(buf)), 3);
	ck_assert_mem_eq(buf, "llo", 3);
	conring_consume(&page, 3);
	ck_assert_int_eq(conring_peek(&page, buf, sizeof(buf)), 0);
}
END_TEST

/* around the end of the ring, and of the 32-bit indices */
START_TEST(wrap)
{
	static const uint32_t starts[] = { 2046, UINT32_MAX - 1 };

	for (int i = 0; i < 2; i++) {
		page.ring.out_cons = page.ring.out_prod = starts[i];
		page.ring.in_cons = page.ring.in_prod = starts[i];
		guest_writes("abcdef");
		ck_assert_int_eq(conring_peek(&page, buf, sizeof(buf)), 6);
		ck_assert_mem_eq(buf, "abcdef", 6);
		conring_consume(&page, 6);
		ck_assert_uint_eq(page.ring.out_cons, page.ring.out_prod);
		ck_assert_int_eq(conring_put(&page, "uvwxyz", 6), 6);
		ck_assert_int_eq(page.ring.in[(starts[i] + 5) % sizeof(page.ring.in)], 'z');
	}
}
END_TEST

START_TEST(input_fills)
{
	memset(buf, 'x', sizeof(buf));
	ck_assert_int_eq(conring_put(&page, buf, 1000), 1000);
	ck_assert_int_eq(conring_put(&page, buf, 1000), 24);
	ck_assert_int_eq(conring_put(&page, buf, 1000), 0);
	page.ring.in_cons += 3;
	ck_assert_int_eq(conring_put(&page, buf, 1000), 3);
}
END_TEST

START_TEST(full_output)
{
	page.ring.out_prod = sizeof(page.ring.out);
	ck_assert_int_eq(conring_peek(&page, buf, sizeof(buf)), sizeof(page.ring.out));
}
END_TEST

START_TEST(impossible_indices)
{
	static const uint32_t far[] = { 2049, 1u << 31, UINT32_MAX };

	for (int i = 0; i < 3; i++) {
		page.ring.out_prod = far[i];
		ck_assert_int_eq(conring_peek(&page, buf, sizeof(buf)), -EPROTO);
		page.ring.in_prod = far[i];
		ck_assert_int_eq(conring_put(&page, "x", 1), -EPROTO);
		ck_assert_uint_eq(page.ring.in_prod, far[i]);
	}
}
END_TEST

UNIT_MAIN_WITH("conring", setup, teardown, output, wrap, input_fills, full_output,
	       impossible_indices)
