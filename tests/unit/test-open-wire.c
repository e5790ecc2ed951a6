/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "common/open_wire.h"
#include "tests/support/unit.h"

static char buf[OPEN_MESSAGE_MAX + 1];

START_TEST(requests)
{
	static char longest[OPEN_STRING_MAX + 1];
	struct open_request r = {
		.op = OPEN_TAP,
		.number = 7,
		.flags = OPEN_MTU(9000),
		.count = 4,
		.nr_strings = 2,
		.strings = { "xh0", "br0" },
	};
	struct open_request got;
	int n = open_request_build(&r, buf, sizeof(buf));

	ck_assert_int_eq(n, 16 + 4 + 4);
	ck_assert_int_eq(open_request_parse(buf, (size_t)n, &got), 0);
	ck_assert_uint_eq(got.op, OPEN_TAP);
	ck_assert_uint_eq(got.number, 7);
	ck_assert_uint_eq(got.flags, OPEN_MTU(9000));
	ck_assert_uint_eq(got.count, 4);
	ck_assert_uint_eq(got.nr_strings, 2);
	ck_assert_str_eq(got.strings[0], "xh0");
	ck_assert_str_eq(got.strings[1], "br0");
	/* the longest strings fit, longer ones do not */
	memset(longest, 'x', OPEN_STRING_MAX - 1);
	r.strings[0] = r.strings[1] = longest;
	n = open_request_build(&r, buf, OPEN_MESSAGE_MAX);
	ck_assert_int_gt(n, 0);
	ck_assert_int_eq(open_request_parse(buf, (size_t)n, &got), 0);
	longest[OPEN_STRING_MAX - 1] = 'x';
	ck_assert_int_eq(open_request_build(&r, buf, sizeof(buf)), -EMSGSIZE);
	/* Who sends what is no request is dropped, with all else that it asked for: it is not built. */
	r.strings[0] = "xh0";
	r.strings[1] = "b\nr";
	ck_assert_int_eq(open_request_build(&r, buf, sizeof(buf)), -EINVAL);
}
END_TEST

START_TEST(no_requests)
{
	const struct open_request r = { .op = OPEN_IMAGE, .nr_strings = 1, .strings = { "/a" } };
	struct open_request got;
	int n = open_request_build(&r, buf, sizeof(buf));

	for (int i = 0; i < n; i++)
		if (i != 16) /* without strings it is one */
			ck_assert_int_eq(open_request_parse(buf, (size_t)i, &got), -EINVAL);
	/* op, version, a control character, a third string */
	for (uint16_t op = 0; op < 8; op++) {
		memcpy(buf + 2, &op, 2);
		ck_assert_int_eq(open_request_parse(buf, (size_t)n, &got),
				 op >= 1 && op < OPEN_OP_MAX ? 0 : -EINVAL);
	}
	(void)open_request_build(&r, buf, sizeof(buf));
	buf[0] = 9;
	ck_assert_int_eq(open_request_parse(buf, (size_t)n, &got), -EINVAL);
	(void)open_request_build(&r, buf, sizeof(buf));
	buf[17] = '\n';
	ck_assert_int_eq(open_request_parse(buf, (size_t)n, &got), -EINVAL);
	(void)open_request_build(&r, buf, sizeof(buf));
	memset(buf + n, 0, 2);
	ck_assert_int_eq(open_request_parse(buf, (size_t)n + 1, &got), 0);
	ck_assert_int_eq(open_request_parse(buf, (size_t)n + 2, &got), -EINVAL);
	ck_assert_int_eq(open_request_parse(buf, sizeof(buf), &got), -EINVAL);
}
END_TEST

START_TEST(answers)
{
	struct open_answer a = { .number = 3, .error = -EBUSY, .value = 5, .text = "in use" }, got;
	int n = open_answer_build(&a, buf, sizeof(buf));

	ck_assert_int_gt(n, 0);
	ck_assert_int_eq(open_answer_parse(buf, (size_t)n, &got), 0);
	ck_assert_uint_eq(got.number, 3);
	ck_assert_int_eq(got.error, -EBUSY);
	ck_assert_uint_eq(got.value, 5);
	ck_assert_str_eq(got.text, "in use");
	for (int i = 0; i < n; i++)
		ck_assert_int_eq(open_answer_parse(buf, (size_t)i, &got), -EINVAL);
	ck_assert_int_eq(open_answer_parse(buf, (size_t)n + 1, &got), -EINVAL);
	/* no errno */
	a.error = -5000;
	n = open_answer_build(&a, buf, sizeof(buf));
	ck_assert_int_eq(open_answer_parse(buf, (size_t)n, &got), -EINVAL);
	/* a request is no answer */
	buf[2] = OPEN_IMAGE;
	ck_assert_int_eq(open_answer_parse(buf, (size_t)n, &got), -EINVAL);
}
END_TEST

UNIT_MAIN("open-wire", requests, no_requests, answers)
