/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/unit.h"
#include "tools/xl_syntax.h"

static void show_value(const struct xl_value *v, char *out, size_t size)
{
	struct xl_reader list = v->list;
	struct xl_value element;
	char text[64];
	bool first = true;

	if (v->kind == XL_NUMBER) {
		snprintf(out, size, "%lld", v->number);
	} else if (v->kind == XL_STRING) {
		ck_assert_int_ge(xl_string(v, text, sizeof(text)), 0);
		snprintf(out, size, "'%s'", text);
	} else {
		snprintf(out, size, "[");
		while (xl_element(&list, &element) > 0) {
			if (!first)
				strncat(out, ",", size - strlen(out) - 1);
			first = false;
			show_value(&element, out + strlen(out), size - strlen(out));
		}
		strncat(out, "]", size - strlen(out) - 1);
	}
}

/* the settings as "key=value key+=value" */
static const char *all(const char *text)
{
	static char out[4096];
	struct xl_reader r;
	struct xl_setting s;
	int n;

	out[0] = '\0';
	xl_reader_init(&r, text, strlen(text));
	while ((n = xl_setting(&r, &s)) > 0) {
		size_t len = strlen(out);

		snprintf(out + len, sizeof(out) - len, "%s%.*s%s=", len ? " " : "", (int)s.key_len,
			 s.key, s.add ? "+" : "");
		len = strlen(out);
		show_value(&s.value, out + len, sizeof(out) - len);
	}
	ck_assert_msg(n == 0, "%s: line %u: %s", text, r.line, r.why);
	return out;
}

static void bad(const char *text, unsigned int line, const char *why)
{
	struct xl_reader r;
	struct xl_setting s;
	int n;

	xl_reader_init(&r, text, strlen(text));
	do
		n = xl_setting(&r, &s);
	while (n > 0);
	ck_assert_msg(n == -EINVAL, "%s is taken", text);
	ck_assert_msg(r.line == line, "%s: line %u", text, r.line);
	ck_assert_msg(strstr(r.why, why) != NULL, "%s: %s", text, r.why);
}

START_TEST(test_settings)
{
	ck_assert_str_eq(all(""), "");
	ck_assert_str_eq(all("\n # nothing\n;;\n"), "");
	ck_assert_str_eq(all("a=1"), "a=1");
	ck_assert_str_eq(all("name='h0'; type=\"hvm\""), "name='h0' type='hvm'");
	ck_assert_str_eq(all("a = 1 # one\r\nb=2;c=3;\n"), "a=1 b=2 c=3");
	ck_assert_str_eq(all("extra += ' quiet'"), "extra+=' quiet'");
	ck_assert_str_eq(all("A_b9 = ''"), "A_b9=''");
}
END_TEST

START_TEST(test_numbers)
{
	ck_assert_str_eq(all("a=0 \n b=010;c=0x1F;d=-3600;e=9223372036854775807"),
			 "a=0 b=8 c=31 d=-3600 e=9223372036854775807");
	bad("a=1\nb=9223372036854775808", 2, "too large");
	bad("a=12ab", 1, "is none");
	bad("a=09", 1, "is none");
	bad("a=0x", 1, "is none");
	bad("a=-", 1, "is none");
	bad("a=00000000000000000000000000000000000000000000000000001", 1, "too large");
}
END_TEST

START_TEST(test_strings)
{
	ck_assert_str_eq(all("a='it is \"so\" # yes; [1]'"), "a='it is \"so\" # yes; [1]'");
	ck_assert_str_eq(all("a='\\'\\\\\\x41\\101\\t'"), "a=''\\AA\t'");
	bad("a='open\n'", 1, "closing quote");
	bad("\n\na=\"open", 3, "closing quote");
	bad("a='\\q'", 1, "backslash");
	bad("a='\\x4'", 1, "backslash");
	bad("a='\\x00'", 1, "backslash");
	bad("a='\\0'", 1, "backslash");
	bad("a='\\777'", 1, "backslash");
	bad("a='\\", 1, "backslash");
}
END_TEST

START_TEST(test_zero_byte)
{
	static const char text[] = "a='x\0y'";
	struct xl_reader r;
	struct xl_setting s;

	xl_reader_init(&r, text, sizeof(text) - 1);
	ck_assert_int_eq(xl_setting(&r, &s), -EINVAL);
	ck_assert_str_eq(r.why, "a zero byte in a string");
}
END_TEST

START_TEST(test_lists)
{
	ck_assert_str_eq(all("a=[]"), "a=[]");
	ck_assert_str_eq(all("a=[ 'x', 2, [ 3, \"y\" ], ]"), "a=['x',2,[3,'y']]");
	ck_assert_str_eq(all("a=[ # first\n 'x', # second\n\n 'y'\n]\nb=1"), "a=['x','y'] b=1");
	ck_assert_str_eq(all("a=[[[[[[[[8]]]]]]]]"), "a=[[[[[[[[8]]]]]]]]");
	bad("a=[[[[[[[[[9]]]]]]]]]", 1, "within lists");
	bad("a=[1 2]", 1, "comma");
	bad("a=[1,\n2", 2, "comma");
	bad("a=[,]", 1, "value is missing");
	bad("a=[", 1, "value is missing");
	bad("a=[1,,2]", 1, "value is missing");
}
END_TEST

START_TEST(test_mistakes)
{
	bad("=1", 1, "key is expected");
	bad("'a'=1", 1, "key is expected");
	bad("a 1", 1, "= is missing");
	bad("a +1", 1, "= is missing");
	bad("a=", 1, "value is missing");
	bad("a=\n1", 1, "value is missing");
	bad("a=b", 1, "value is missing");
	bad("a=1 b=2", 1, "behind a value");
	bad("a='x' 'y'", 1, "behind a value");
}
END_TEST

START_TEST(test_conversions)
{
	struct xl_reader r;
	struct xl_setting s;
	char text[4];
	long long n = 77;

	xl_reader_init(&r, "a='123'; b='x'; c=[1]; d=4000; e='0x10'", 39);
	ck_assert_int_eq(xl_setting(&r, &s), 1);
	ck_assert_int_eq(xl_string(&s.value, text, sizeof(text)), 3);
	ck_assert_int_eq(xl_string(&s.value, text, 3), -E2BIG);
	ck_assert_int_eq(xl_string(&s.value, text, 0), -E2BIG);
	ck_assert_int_eq(xl_number(&s.value, 1, 123, &n), 0);
	ck_assert_int_eq(n, 123);
	ck_assert_int_eq(xl_number(&s.value, 1, 122, &n), -ERANGE);
	ck_assert_int_eq(xl_setting(&r, &s), 1);
	ck_assert_int_eq(xl_number(&s.value, 0, 9, &n), -EINVAL);
	ck_assert_int_eq(xl_setting(&r, &s), 1);
	ck_assert_int_eq(xl_number(&s.value, 0, 9, &n), -EINVAL);
	ck_assert_int_eq(xl_string(&s.value, text, sizeof(text)), -EINVAL);
	ck_assert_int_eq(xl_setting(&r, &s), 1);
	ck_assert_int_eq(xl_string(&s.value, text, sizeof(text)), -E2BIG);
	ck_assert_int_eq(xl_number(&s.value, LLONG_MIN, LLONG_MAX, &n), 0);
	ck_assert_int_eq(n, 4000);
	ck_assert_int_eq(xl_setting(&r, &s), 1);
	ck_assert_int_eq(xl_number(&s.value, 0, 99, &n), 0);
	ck_assert_int_eq(n, 16);
	ck_assert_int_eq(xl_setting(&r, &s), 0);
}
END_TEST

UNIT_MAIN("xl_syntax", test_settings, test_numbers, test_strings, test_zero_byte, test_lists,
	  test_mistakes, test_conversions)
