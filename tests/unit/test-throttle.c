/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "blkbackd/throttle.h"
#include "tests/support/unit.h"

#define SECOND 1000000000ull

/* units that get through in `seconds`, asked for one at a time */
static uint64_t taken(struct throttle *t, uint64_t *now, unsigned int seconds, uint64_t each)
{
	uint64_t end = *now + seconds * SECOND, n = 0;

	while (*now < end) {
		uint64_t wait = throttle_wait(t, *now);

		if (wait) {
			*now += wait;
			continue;
		}
		throttle_charge(t, each);
		n += each;
	}
	return n;
}

START_TEST(no_limit)
{
	struct throttle t = { 0 };

	for (int i = 0; i < 1000; i++) {
		ck_assert_uint_eq(throttle_wait(&t, 5), 0);
		throttle_charge(&t, 1u << 30);
	}
}
END_TEST

START_TEST(keeps_the_rate)
{
	static const struct {
		uint64_t rate, each;
	} cases[] = { { 1, 1 },
		      { 100, 1 },
		      { 5000, 1 },
		      { 1000000, 4096 },
		      { 1u << 20, 4 << 20 },
		      { 3ull << 30, 131072 } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct throttle t = { 0 };
		uint64_t now = 77, got, rate = cases[i].rate;

		throttle_set(&t, rate, now);
		got = taken(&t, &now, 20, cases[i].each);
		/* a second's worth at the beginning, and the debt of the last one */
		ck_assert_uint_ge(got, rate * 20);
		ck_assert_uint_le(got, rate * 21 + cases[i].each + rate / 100 + 1);
	}
}
END_TEST

START_TEST(changes)
{
	struct throttle t = { 0 };
	uint64_t now = 0;

	throttle_set(&t, 10, now);
	taken(&t, &now, 3, 1);
	/* the same again is no new second's worth */
	throttle_set(&t, 10, now);
	ck_assert_uint_le(taken(&t, &now, 1, 1), 11);
	throttle_set(&t, 0, now);
	ck_assert_uint_eq(throttle_wait(&t, now), 0);
	throttle_set(&t, UINT64_MAX, now);
	ck_assert_uint_eq(throttle_wait(&t, now), 0);
	ck_assert_uint_eq(throttle_wait(&t, now + (SECOND << 20)), 0);
}
END_TEST

/* a clock that goes backwards gives nothing away and locks nothing up */
START_TEST(odd_clocks)
{
	struct throttle t = { 0 };

	throttle_set(&t, 100, 50 * SECOND);
	throttle_charge(&t, 200);
	ck_assert_uint_gt(throttle_wait(&t, 10 * SECOND), 0);
	ck_assert_uint_eq(throttle_wait(&t, 52 * SECOND), 0);
}
END_TEST

UNIT_MAIN("throttle", no_limit, keeps_the_rate, changes, odd_clocks)
