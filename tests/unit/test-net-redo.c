/* SPDX-License-Identifier: MIT */
/* netbackd/vif_redo.c: requests whose responses were put, and the process ended before it published them. */
#include <stdint.h>
#include <string.h>

#include <xenhost/ring.h>

#include "netbackd/vif_redo.h"

#include "tests/support/unit.h"

#define SIZE 12u /* of requests; responses are shorter */

static uint8_t page[4096] __attribute__((aligned(4096)));
static struct xenhost_front_ring front;
static struct xenhost_ring back;
static struct redo redo;

static void ask(uint8_t what)
{
	memset(xenhost_front_ring_next(&front), what, SIZE);
	xenhost_front_ring_push(&front);
}

static void expect_request(uint8_t what)
{
	uint8_t got[SIZE], want[SIZE];

	memset(want, what, SIZE);
	ck_assert_int_eq(xenhost_ring_get(&back, got), 1);
	ck_assert_mem_eq(got, want, SIZE);
}

static void answer(uint8_t what)
{
	const uint32_t rsp = 0xffffff00u | what;

	ck_assert_int_eq(redo_put(&redo, &back, &rsp), 0);
}

static void set_up(void)
{
	redo_clear(&redo);
	ck_assert_int_eq(xenhost_front_ring_init(&front, page, 1, SIZE, 4), 0);
	ck_assert_int_eq(xenhost_ring_init(&back, page, 1, SIZE, 4), 0);
}

static void successor(void)
{
	ck_assert_int_eq(xenhost_ring_init(&back, page, 1, SIZE, 4), 0);
	redo_restore(&redo, &back);
}

/* round the ring more than once */
START_TEST(test_unpublished)
{
	for (unsigned int i = 0; i < 700; i++) {
		uint32_t rsp;

		ask((uint8_t)i);
		ask((uint8_t)(i + 100));
		expect_request((uint8_t)i);
		expect_request((uint8_t)(i + 100));
		answer(1);
		if (i % 3)
			answer(2);
		successor();
		expect_request((uint8_t)i);
		expect_request((uint8_t)(i + 100));
		answer(3);
		answer(4);
		xenhost_ring_push(&back);
		ck_assert_int_eq(xenhost_front_ring_get(&front, &rsp), 1);
		ck_assert_uint_eq(rsp, 0xffffff03u);
		ck_assert_int_eq(xenhost_front_ring_get(&front, &rsp), 1);
		ck_assert_uint_eq(rsp, 0xffffff04u);
	}
}
END_TEST

/* what was published is not touched, nor what nobody answered */
START_TEST(test_published)
{
	uint32_t rsp;

	ask(10);
	ask(11);
	expect_request(10);
	answer(1);
	xenhost_ring_push(&back);
	ck_assert_int_eq(xenhost_front_ring_get(&front, &rsp), 1);
	ask(12);
	successor();
	expect_request(11);
	expect_request(12);
}
END_TEST

/* the copies of one ring say nothing of the next */
START_TEST(test_new_ring)
{
	ask(10);
	expect_request(10);
	answer(1);
	set_up();
	ask(20);
	successor();
	expect_request(20);
}
END_TEST

UNIT_MAIN_WITH("net-redo", set_up, NULL, test_unpublished, test_published, test_new_ring)
