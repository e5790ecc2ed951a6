/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/xen.h"
#include "tests/support/unit.h"
#include "xenstored/ring.h"

static union {
	struct xenstore_domain_interface i;
	char bytes[XEN_PAGE_SIZE];
} page;

static void start_at(uint32_t index)
{
	memset(&page, 0, sizeof(page));
	page.i.req_cons = page.i.req_prod = page.i.rsp_cons = page.i.rsp_prod = index;
}

static void guest_puts(const void *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		page.i.req[(page.i.req_prod + i) % RING_BYTES] = ((const char *)data)[i];
	page.i.req_prod += (uint32_t)len;
}

static size_t guest_takes(char *buf)
{
	size_t n = page.i.rsp_prod - page.i.rsp_cons;

	for (size_t i = 0; i < n; i++)
		buf[i] = page.i.rsp[(page.i.rsp_cons + i) % RING_BYTES];
	page.i.rsp_cons += (uint32_t)n;
	return n;
}

static const uint32_t starts[] = {
	0, 1, 1000, 1023, 1024, UINT32_MAX, UINT32_MAX - 500, 0x80000000
};

/* Any position in the ring, any length, also over the wrap of the index itself. */
START_TEST(test_read)
{
	char in[RING_BYTES], out[RING_BYTES];

	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (char)(i * 7 + 1);
	for (size_t s = 0; s < sizeof(starts) / sizeof(starts[0]); s++) {
		for (size_t len = 0; len <= RING_BYTES; len += 93) {
			start_at(starts[s]);
			guest_puts(in, len);
			ck_assert_int_eq(ring_read(&page, out, sizeof(out)), (int)len);
			ck_assert(!memcmp(in, out, len));
			ck_assert_uint_eq(page.i.req_cons, page.i.req_prod);
			ck_assert_int_eq(ring_read(&page, out, sizeof(out)), 0);
		}
	}
}
END_TEST

START_TEST(test_read_in_parts)
{
	char out[8];

	start_at(1020);
	guest_puts("abcdefgh", 8);
	ck_assert_int_eq(ring_read(&page, out, 3), 3);
	ck_assert(!memcmp(out, "abc", 3));
	ck_assert_int_eq(ring_read(&page, out, 8), 5);
	ck_assert(!memcmp(out, "defgh", 5));
}
END_TEST

START_TEST(test_write)
{
	char in[RING_BYTES + 10], out[RING_BYTES];

	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (char)(i * 5 + 3);
	for (size_t s = 0; s < sizeof(starts) / sizeof(starts[0]); s++) {
		start_at(starts[s]);
		ck_assert_int_eq(ring_write(&page, in, 10), 10);
		ck_assert_int_eq(ring_write(&page, in + 10, RING_BYTES), RING_BYTES - 10);
		ck_assert_int_eq(ring_write(&page, in, 1), 0); /* full */
		ck_assert_uint_eq(guest_takes(out), RING_BYTES);
		ck_assert(!memcmp(in, out, RING_BYTES));
		ck_assert_int_eq(ring_write(&page, in, 1), 1);
	}
}
END_TEST

/* Impossible indices move nothing. */
START_TEST(test_bad_indices)
{
	static const uint32_t off[] = { RING_BYTES + 1, 5000, 0x80000000, UINT32_MAX };
	char buf[RING_BYTES] = "";

	for (size_t i = 0; i < sizeof(off) / sizeof(off[0]); i++) {
		start_at(77);
		page.i.req_prod += off[i];
		ck_assert_int_eq(ring_check(&page), -EPROTO);
		ck_assert_int_eq(ring_read(&page, buf, sizeof(buf)), -EPROTO);
		ck_assert_uint_eq(page.i.req_cons, 77);
		start_at(77);
		page.i.rsp_cons -= off[i];
		ck_assert_int_eq(ring_check(&page), -EPROTO);
		ck_assert_int_eq(ring_write(&page, buf, 1), -EPROTO);
		ck_assert_uint_eq(page.i.rsp_prod, 77);
	}
	start_at(77);
	page.i.req_prod += RING_BYTES;
	page.i.rsp_cons -= RING_BYTES;
	ck_assert_int_eq(ring_check(&page), 0);
	ck_assert_int_eq(ring_write(&page, buf, 1), 0);
}
END_TEST

START_TEST(test_fields)
{
	start_at(5);
	page.i.connection = XENSTORE_RECONNECT;
	ck_assert(ring_wants_reconnect(&page));
	ring_set_connected(&page);
	ck_assert(!ring_wants_reconnect(&page));
	ring_set_features(&page, 15);
	ck_assert_uint_eq(page.i.server_features, 15);
	ring_set_error(&page, RING_ERROR_INDEX);
	ck_assert_uint_eq(page.i.error, 2);
	guest_puts("x", 1);
	ring_drain(&page);
	ck_assert_uint_eq(page.i.req_cons, 6);
	ck_assert_uint_eq(page.i.rsp_cons, 5);
	ck_assert_uint_eq(page.i.error, 0);
	ring_set_error(&page, RING_ERROR_INDEX);
	ring_reset(&page);
	ck_assert_uint_eq(page.i.req_prod | page.i.req_cons | page.i.rsp_prod | page.i.rsp_cons, 0);
	ck_assert_uint_eq(page.i.error, 0);
	ck_assert_uint_eq(page.i.server_features, 15);
}
END_TEST

UNIT_MAIN("xs-ring", test_read, test_read_in_parts, test_write, test_bad_indices, test_fields)
