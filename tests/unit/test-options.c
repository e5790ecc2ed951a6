/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/options.h"
#include "common/service.h"
#include "tests/support/unit.h"

START_TEST(test_size)
{
	unsigned long long v = 1;

	ck_assert_int_eq(options_size("256M", &v), 0);
	ck_assert(v == 256ULL << 20);
	ck_assert_int_eq(options_size("3g", &v), 0);
	ck_assert(v == 3ULL << 30);
	ck_assert_int_eq(options_size("4096", &v), 0);
	ck_assert(v == 4096);
	ck_assert_int_eq(options_size("", &v), -EINVAL);
	ck_assert_int_eq(options_size("M", &v), -EINVAL);
	ck_assert_int_eq(options_size("-1", &v), -EINVAL);
	ck_assert_int_eq(options_size("1MB", &v), -EINVAL);
	ck_assert_int_eq(options_size("1X", &v), -EINVAL);
	ck_assert_int_eq(options_size("99999999T", &v), -EINVAL);
	ck_assert(v == 4096); /* untouched by failures */
}
END_TEST

START_TEST(test_number)
{
	unsigned long long v = 5;

	ck_assert_int_eq(options_number("0", 0, 9, &v), 0);
	ck_assert(v == 0);
	ck_assert_int_eq(options_number("10", 0, 9, &v), -EINVAL);
	ck_assert_int_eq(options_number(" 1", 0, 9, &v), -EINVAL);
	ck_assert_int_eq(options_number("1x", 0, 9, &v), -EINVAL);
	ck_assert_int_eq(options_number("99999999999999999999999", 0, ~0ULL, &v), -EINVAL);
}
END_TEST

static int set_seen(void *data, const char *value)
{
	*(const char **)data = value;
	return 0;
}

START_TEST(test_order)
{
	static const struct option_spec specs[] = { { "count", "N", "how many", set_seen },
						    { NULL, NULL, NULL, NULL } };
	struct options o = { .program = "p", .operands = "WHAT", .purpose = "", .page = "p(1)" };
	char prog[] = "p", what[] = "web", count[] = "--count", n[] = "3", dash[] = "-1";
	const char *seen = NULL;
	const struct option_table table = { specs, &seen };
	char *behind[] = { prog, what, count, n, NULL }, *value[] = { prog, what, dash, NULL };

	/* an option behind an operand is one */
	ck_assert_int_eq(options_parse(&o, 4, behind, &table, 1), 3);
	ck_assert_str_eq(seen, "3");
	ck_assert_str_eq(behind[3], "web");
	ck_assert_int_eq(options_parse(&o, 3, value, &table, 1), -EINVAL);
	/* but where operands may begin with a dash */
	o.first = true;
	ck_assert_int_eq(options_parse(&o, 3, value, &table, 1), 1);
	ck_assert_str_eq(value[2], "-1");
}
END_TEST

START_TEST(test_services)
{
	struct service_table t;

	service_table_init(&t);
	ck_assert_uint_eq(service_by_name(&t, "blkback")->domid, 32000);
	ck_assert_str_eq(service_by_domid(&t, 32001)->name, "netback");
	ck_assert_int_eq(service_table_set(&t, "netback=32005"), 0);
	ck_assert_uint_eq(service_by_name(&t, "netback")->domid, 32005);
	ck_assert_int_eq(service_table_set(&t, "own=32000"), -EEXIST);
	ck_assert_int_eq(service_table_set(&t, "own=31999"), -EINVAL);
	ck_assert_int_eq(service_table_set(&t, "../x=32100"), -EINVAL);
	ck_assert_int_eq(service_table_set(&t, "=32100"), -EINVAL);
	ck_assert_int_eq(service_table_set(&t, "own"), -EINVAL);
	ck_assert_int_eq(service_table_set(&t, "own=32100x"), -EINVAL);
	ck_assert_uint_eq(t.nr, 2);
	for (unsigned int i = 0; i < SERVICE_MAX - 2; i++) {
		char spec[32];

		snprintf(spec, sizeof(spec), "s%u=%u", i, 32100 + i);
		ck_assert_int_eq(service_table_set(&t, spec), 0);
	}
	ck_assert_int_eq(service_table_set(&t, "more=32500"), -ENOSPC);
}
END_TEST

UNIT_MAIN("options", test_size, test_number, test_order, test_services)
