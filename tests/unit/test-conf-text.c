/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/conf_text.h"
#include "tests/support/unit.h"

static char seen[4096];

/* "bad" is wrong, all else is kept */
static int keep(void *data, char *line, size_t len, const char **ret_why)
{
	ck_assert_ptr_eq(data, seen);
	ck_assert_uint_eq(len, strlen(line));
	if (!strcmp(line, "bad")) {
		*ret_why = "it is bad";
		return -EINVAL;
	}
	strcat(seen, line);
	strcat(seen, "|");
	return 0;
}

static int take(const char *text, size_t len, struct conf_mistake *ret_mistake)
{
	seen[0] = '\0';
	return conf_text_lines(text, len, 2000, keep, seen, ret_mistake);
}

START_TEST(lines)
{
	static const char text[] = "\n a b\t \r\n# c\n  # d\n\te=#f\r\n\n\ng";
	struct conf_mistake m;

	ck_assert_int_eq(take(text, strlen(text), &m), 0);
	ck_assert_str_eq(seen, "a b|e=#f|g|");
	ck_assert_int_eq(take("", 0, &m), 0);
	ck_assert_int_eq(take("a\nb", 2, &m), 0); /* no more than it is told */
	ck_assert_str_eq(seen, "a|");
}
END_TEST

START_TEST(mistakes)
{
	static char longest[CONF_LINE_MAX + 1];
	static char big[2001];
	struct conf_mistake m;

	ck_assert_int_eq(take("a\n\n# bad\n bad \nb", 16, &m), -EINVAL);
	ck_assert_uint_eq(m.line, 4);
	ck_assert_str_eq(m.why, "it is bad");
	ck_assert_str_eq(seen, "a|");
	ck_assert_int_eq(take("a\nb\0c\n", 6, &m), -EINVAL);
	ck_assert_uint_eq(m.line, 2);
	ck_assert_ptr_nonnull(strstr(m.why, "NUL"));
	memset(longest, 'x', CONF_LINE_MAX);
	ck_assert_int_eq(take(longest, CONF_LINE_MAX - 1, &m), 0);
	ck_assert_int_eq(take(longest, CONF_LINE_MAX, &m), -EINVAL);
	ck_assert_ptr_nonnull(strstr(m.why, "line is too long"));
	memset(big, '\n', sizeof(big));
	ck_assert_int_eq(take(big, 2000, &m), 0);
	ck_assert_int_eq(take(big, 2001, &m), -EINVAL);
	ck_assert_uint_eq(m.line, 1);
	ck_assert_ptr_nonnull(strstr(m.why, "file is too long"));
}
END_TEST

START_TEST(values)
{
	static const struct {
		const char *line, *key, *value;
	} cases[] = {
		{ "a=b", "a", "b" },
		{ "a key \t= \tb c", "a key", "b c" },
		{ "a = b = c", "a", "b = c" },
		{ "a =", "a", "" },
		{ "= b", "", "b" },
	};
	char line[32];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *value;

		snprintf(line, sizeof(line), "%s", cases[i].line);
		value = conf_text_value(line);
		ck_assert_str_eq(value, cases[i].value);
		ck_assert_str_eq(line, cases[i].key);
	}
	strcpy(line, "a b");
	ck_assert_ptr_null(conf_text_value(line));
}
END_TEST

UNIT_MAIN("conf-text", lines, mistakes, values)
