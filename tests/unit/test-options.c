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

static int set_value(void *data, const char *value)
{
	*(const char **)data = value;
	return 0;
}

/* argv of the words of text, which it cuts */
static int words(char *text, char **argv)
{
	int argc = 0;

	for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;
	argv[argc] = NULL;
	return argc;
}

/* Options among operands are found, but for commands whose operands may look like them */
START_TEST(test_among_operands)
{
	static const struct option_spec specs[] = { { "depth", "N", "how deep", set_value },
						    { 0 } };
	char among[] = "p a --depth 3 b", ended[] = "p -- a --depth", first[] = "p a --depth 3";
	struct options o = { .program = "p", .operands = "A B", .purpose = "t", .page = "p(1)" };
	const char *depth = NULL;
	const struct option_table table = { specs, &depth };
	char *argv[8];
	int argc = words(among, argv);

	ck_assert_int_eq(options_parse(&o, argc, argv, &table, 1), 3);
	ck_assert_str_eq(depth, "3");
	ck_assert_str_eq(argv[3], "a");
	ck_assert_str_eq(argv[4], "b");
	argc = words(ended, argv);
	ck_assert_int_eq(options_parse(&o, argc, argv, &table, 1), 2);
	o.options_first = true;
	depth = NULL;
	argc = words(first, argv);
	ck_assert_int_eq(options_parse(&o, argc, argv, &table, 1), 1);
	ck_assert_ptr_null(depth);
	ck_assert_str_eq(argv[2], "--depth");
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

UNIT_MAIN("options", test_size, test_number, test_among_operands, test_services)
