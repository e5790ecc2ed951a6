/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "blkbackd/throttle.h"

#define SECOND 1000000000ull
#define RATE_MAX \
	(1ull << 50) /* keeps the products below 64 bits, with the times that we multiply */

void throttle_set(struct throttle *t, uint64_t rate, uint64_t now)
{
	if (rate > RATE_MAX)
		rate = RATE_MAX;
	if (t->rate == rate)
		return;
	*t = (struct throttle){ .rate = rate, .level = (int64_t)rate, .at = now };
}

/* a * b / SECOND for b below SECOND */
static uint64_t scale(uint64_t a, uint64_t b)
{
	return a / SECOND * b + a % SECOND * b / SECOND;
}

static void refill(struct throttle *t, uint64_t now)
{
	uint64_t passed = now > t->at ? now - t->at : 0;
	uint64_t units;

	if (passed >= SECOND) {
		/* whole seconds at a time, until a debt is paid */
		uint64_t seconds = passed / SECOND;

		while (seconds-- > 0 && t->level < (int64_t)t->rate)
			t->level += (int64_t)t->rate;
		t->at = now - passed % SECOND;
		passed %= SECOND;
	}
	units = scale(t->rate, passed);
	if (units > 0) {
		t->level += (int64_t)units;
		t->at = now;
	}
	if (t->level > (int64_t)t->rate)
		t->level = (int64_t)t->rate;
}

uint64_t throttle_wait(struct throttle *t, uint64_t now)
{
	uint64_t debt;

	if (t->rate == 0)
		return 0;
	refill(t, now);
	if (t->level > 0)
		return 0;
	debt = (uint64_t)-t->level + 1;
	if (debt >= t->rate)
		return SECOND;
	return debt * SECOND / t->rate + 1;
}

void throttle_charge(struct throttle *t, uint64_t units)
{
	if (t->rate && units <= INT64_MAX / 4)
		t->level -= (int64_t)units;
}
