/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "tools/xl_syntax.h"

#define DIGITS_MAX 40 /* of a number, with its prefix */

static int value(struct xl_reader *r, unsigned int depth, struct xl_value *ret_value);

void xl_reader_init(struct xl_reader *r, const char *text, size_t len)
{
	*r = (struct xl_reader){ .text = text, .len = len, .line = 1 };
}

static int wrong(struct xl_reader *r, const char *why)
{
	r->why = why;
	return -EINVAL;
}

/* the character under the cursor, -1 at the end */
static int peek(const struct xl_reader *r)
{
	return r->at < r->len ? (unsigned char)r->text[r->at] : -1;
}

static bool is_digit(int c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int hex_digit(int c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* blanks and comments; line ends too, where they mean nothing */
static void skip(struct xl_reader *r, bool lines)
{
	int c;

	while ((c = peek(r)) >= 0) {
		if (c == '#') {
			while (peek(r) >= 0 && peek(r) != '\n')
				r->at++;
			continue;
		}
		if (c != ' ' && c != '\t' && c != '\r' && (c != '\n' || !lines))
			return;
		r->line += c == '\n';
		r->at++;
	}
}

/* --- strings --- */

/* One character behind a backslash; *at is moved behind it. -1: there is no such */
static int escape(const char *s, size_t len, size_t *at)
{
	static const char from[] = "abfnrtv\\'\"", to[] = "\a\b\f\n\r\t\v\\'\"";
	const char *known;
	int c, n = 0;

	if (*at >= len)
		return -1;
	c = (unsigned char)s[(*at)++];
	known = c ? strchr(from, c) : NULL;
	if (known)
		return to[known - from];
	if (c == 'x') {
		if (len - *at < 2 || hex_digit(s[*at]) < 0 || hex_digit(s[*at + 1]) < 0)
			return -1;
		n = hex_digit(s[*at]) * 16 + hex_digit(s[*at + 1]);
		*at += 2;
		return n ? n : -1;
	}
	if (c < '0' || c > '7')
		return -1;
	n = c - '0';
	for (int i = 0; i < 2 && *at < len && s[*at] >= '0' && s[*at] <= '7'; i++)
		n = n * 8 + (s[(*at)++] - '0');
	return n > 0 && n <= 255 ? n : -1;
}

static int string(struct xl_reader *r, struct xl_value *v)
{
	int quote = peek(r), c;

	v->kind = XL_STRING;
	v->text = r->text + ++r->at;
	while ((c = peek(r)) != quote) {
		if (c < 0 || c == '\n')
			return wrong(r, "a string without its closing quote");
		if (c == '\0')
			return wrong(r, "a zero byte in a string");
		r->at++;
		if (c == '\\' && escape(r->text, r->len, &r->at) < 0)
			return wrong(r,
				     "a backslash before something that it does not stand before");
	}
	v->len = (size_t)(r->text + r->at - v->text);
	r->at++;
	return 0;
}

int xl_string(const struct xl_value *v, char *buf, size_t size)
{
	size_t at = 0, n = 0;

	if (v->kind == XL_LIST)
		return -EINVAL;
	while (at < v->len) {
		int c = (unsigned char)v->text[at++];

		if (c == '\\' && v->kind == XL_STRING)
			c = escape(v->text, v->len, &at);
		if (c <= 0)
			return -EINVAL;
		if (n + 1 >= size)
			return -E2BIG;
		buf[n++] = (char)c;
	}
	if (!size || n > INT_MAX)
		return -E2BIG;
	buf[n] = '\0';
	return (int)n;
}

/* --- numbers --- */

/* decimal, octal (0...) or hexadecimal (0x...), with a minus if need be */
static int digits(const char *s, size_t len, long long *ret_number)
{
	bool minus = len && *s == '-';
	unsigned long long n = 0, base = 10;
	size_t i = minus;

	if (len - i > 2 && s[i] == '0' && (s[i + 1] == 'x' || s[i + 1] == 'X')) {
		base = 16;
		i += 2;
	} else if (len - i > 1 && s[i] == '0') {
		base = 8;
		i++;
	}
	if (i >= len)
		return -EINVAL;
	for (; i < len; i++) {
		int d = hex_digit((unsigned char)s[i]);

		if (d < 0 || (unsigned long long)d >= base)
			return -EINVAL;
		if (n > (LLONG_MAX - (unsigned long long)d) / base)
			return -ERANGE;
		n = n * base + (unsigned long long)d;
	}
	*ret_number = minus ? -(long long)n : (long long)n;
	return 0;
}

static int number(struct xl_reader *r, struct xl_value *v)
{
	const size_t begin = r->at;
	int n;

	if (peek(r) == '-')
		r->at++;
	while (is_digit(peek(r)) || is_letter(peek(r)))
		r->at++;
	v->kind = XL_NUMBER;
	v->text = r->text + begin;
	v->len = r->at - begin;
	n = v->len > DIGITS_MAX ? -ERANGE : digits(v->text, v->len, &v->number);
	if (n == -ERANGE)
		return wrong(r, "a number that is too large");
	return n < 0 ? wrong(r, "what begins like a number and is none") : 0;
}

int xl_number(const struct xl_value *v, long long min, long long max, long long *ret_number)
{
	long long n = v->number;
	int r = 0;

	if (v->kind == XL_LIST)
		return -EINVAL;
	if (v->kind == XL_STRING)
		r = digits(v->text, v->len, &n);
	if (r < 0)
		return r;
	if (n < min || n > max)
		return -ERANGE;
	*ret_number = n;
	return 0;
}

/* --- values --- */

/* behind the opening bracket, to behind the closing one */
static int list(struct xl_reader *r, unsigned int depth)
{
	struct xl_value element;
	int n;

	if (depth > XL_DEPTH_MAX)
		return wrong(r, "too many lists within lists");
	for (;;) {
		skip(r, true);
		if (peek(r) == ']')
			break;
		n = value(r, depth, &element);
		if (n < 0)
			return n;
		skip(r, true);
		if (peek(r) == ',')
			r->at++;
		else if (peek(r) != ']')
			return wrong(r, "a comma or ] is missing in a list");
	}
	r->at++;
	return 0;
}

static int value(struct xl_reader *r, unsigned int depth, struct xl_value *ret_value)
{
	int c = peek(r);

	*ret_value = (struct xl_value){ .line = r->line };
	if (c == '"' || c == '\'')
		return string(r, ret_value);
	if (c == '-' || is_digit(c))
		return number(r, ret_value);
	if (c != '[')
		return wrong(r, "a value is missing: a number, a 'string' or a [ list ]");
	r->at++;
	ret_value->kind = XL_LIST;
	ret_value->list = *r;
	return list(r, depth + 1);
}

int xl_element(struct xl_reader *r, struct xl_value *ret_value)
{
	int n;

	skip(r, true);
	if (peek(r) == ',') {
		r->at++;
		skip(r, true);
	}
	if (peek(r) < 0 || peek(r) == ']')
		return 0;
	n = value(r, 0, ret_value);
	return n < 0 ? n : 1;
}

/* --- settings --- */

static int key(struct xl_reader *r, struct xl_setting *s)
{
	const size_t begin = r->at;

	if (!is_letter(peek(r)))
		return wrong(r, "a key is expected here: write KEY = VALUE");
	while (is_letter(peek(r)) || is_digit(peek(r)) || peek(r) == '_')
		r->at++;
	s->key = r->text + begin;
	s->key_len = r->at - begin;
	skip(r, false);
	s->add = peek(r) == '+';
	r->at += s->add;
	if (peek(r) != '=')
		return wrong(r, "= is missing behind a key");
	r->at++;
	return 0;
}

int xl_setting(struct xl_reader *r, struct xl_setting *ret_setting)
{
	struct xl_setting s = { 0 };
	int n;

	skip(r, true);
	while (peek(r) == ';') {
		r->at++;
		skip(r, true);
	}
	if (peek(r) < 0)
		return 0;
	n = key(r, &s);
	skip(r, false);
	if (n == 0)
		n = value(r, 0, &s.value);
	if (n < 0)
		return n;
	skip(r, false);
	if (peek(r) >= 0 && peek(r) != '\n' && peek(r) != ';')
		return wrong(r, "something stands behind a value");
	*ret_setting = s;
	return 1;
}
