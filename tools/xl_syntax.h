/* SPDX-License-Identifier: MIT */
/*
 * The syntax of guest configurations as xl.cfg(5) describes it: settings KEY = VALUE, separated by line ends
 * or semicolons; values are numbers, strings and lists, which may be nested; # begins a comment. Pure: looks at
 * the text it is given and keeps nothing. What a key means is known elsewhere (guest_cfg_keys.h).
 */
#ifndef TOOLS_XL_SYNTAX_H
#define TOOLS_XL_SYNTAX_H

#include <stdbool.h>
#include <stddef.h>

#define XL_DEPTH_MAX 8 /* of lists within lists */

enum xl_kind { XL_NUMBER, XL_STRING, XL_LIST };

struct xl_reader {
	const char *text;
	size_t len, at;
	unsigned int line;
	const char *why; /* after -EINVAL: what is wrong in that line */
};

/* One value. Of a string, text is what stands between the quotes; of a number, the number as written. */
struct xl_value {
	enum xl_kind kind;
	const char *text;
	size_t len;
	long long number;
	unsigned int line;
	struct xl_reader list; /* behind the opening bracket: for xl_element() */
};

struct xl_setting {
	const char *key;
	size_t key_len;
	bool add; /* KEY += VALUE */
	struct xl_value value;
};

void xl_reader_init(struct xl_reader *r, const char *text, size_t len);

/* 1 and the next setting, 0 at the end, -EINVAL: see line and why */
int xl_setting(struct xl_reader *r, struct xl_setting *ret_setting);

/* 1 and the next element of a list, 0 behind the last. The list was checked when its setting was read */
int xl_element(struct xl_reader *list, struct xl_value *ret_value);

/* The characters of a string or number, ended by '\0': their number, or -E2BIG, or -EINVAL for a list. */
int xl_string(const struct xl_value *v, char *buf, size_t size);

/* A number, or a string that is one, within the limits: 0, -EINVAL, -ERANGE. */
int xl_number(const struct xl_value *v, long long min, long long max, long long *ret_number);

#endif
