/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "blkbackd/polling.h"
#include "tests/support/unit.h"

/* ns spent looking in `sleeps` sleeps, none of which finds anything */
static uint64_t in_vain(struct polling *p, unsigned int sleeps)
{
	uint64_t spent = 0;

	while (sleeps-- > 0) {
		uint32_t window = polling_begin(p);

		spent += window;
		if (window)
			polling_end(p, false, 1000);
	}
	return spent;
}

START_TEST(never)
{
	struct polling p;

	polling_init(&p, 0);
	ck_assert_uint_eq(in_vain(&p, 1000), 0);
}
END_TEST

/* as the administrator said, whatever comes of it */
START_TEST(always)
{
	struct polling p;

	polling_init(&p, 50);
	ck_assert_uint_eq(in_vain(&p, 1000), 1000 * 50000);
	polling_end(&p, false, 10 * POLLING_LOST_NS);
	ck_assert_uint_eq(polling_begin(&p), 50000);
}
END_TEST

START_TEST(goes_on_while_it_pays)
{
	struct polling p;

	polling_init(&p, -1);
	for (int i = 0; i < 1000; i++) {
		ck_assert_uint_eq(polling_begin(&p), POLLING_ADAPTIVE_NS);
		polling_end(&p, true, 1000);
	}
}
END_TEST

/* in vain: seldom, and then hardly ever */
START_TEST(gives_up_in_vain)
{
	struct polling p;

	polling_init(&p, -1);
	ck_assert_uint_le(in_vain(&p, 2 * POLLING_SKIP_MAX), 12 * POLLING_ADAPTIVE_NS);
	ck_assert_uint_eq(in_vain(&p, 10 * (POLLING_SKIP_MAX + 1)), 10 * POLLING_ADAPTIVE_NS);
}
END_TEST

START_TEST(begins_again)
{
	struct polling p;
	unsigned int sleeps = 0;

	polling_init(&p, -1);
	(void)in_vain(&p, 10000);
	while (!polling_begin(&p))
		ck_assert_uint_le(++sleeps, POLLING_SKIP_MAX);
	polling_end(&p, true, 1000);
	ck_assert_uint_eq(polling_begin(&p), POLLING_ADAPTIVE_NS);
	/* and one time in vain is soon forgotten */
	polling_end(&p, false, 1000);
	ck_assert_uint_eq(polling_begin(&p), 0);
	ck_assert_uint_eq(polling_begin(&p), POLLING_ADAPTIVE_NS);
}
END_TEST

/* the processor was taken from us: others need it more, even though something was found */
START_TEST(leaves_the_processor_to_others)
{
	struct polling p;

	polling_init(&p, -1);
	ck_assert_uint_gt(polling_begin(&p), 0);
	polling_end(&p, true, POLLING_LOST_NS);
	ck_assert_uint_eq(in_vain(&p, POLLING_SKIP_MAX), 0);
	ck_assert_uint_gt(polling_begin(&p), 0);
}
END_TEST

UNIT_MAIN("polling", never, always, goes_on_while_it_pays, gives_up_in_vain, begins_again,
	  leaves_the_processor_to_others)
