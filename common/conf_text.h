/* SPDX-License-Identifier: MIT */
/* What configuration files have in common: lines, some of which say nothing. */
#ifndef COMMON_CONF_TEXT_H
#define COMMON_CONF_TEXT_H

#include <stddef.h>

#define CONF_LINE_MAX 1024 /* with its NUL */

/* what is wrong in which line (from 1), for a person */
struct conf_mistake {
	unsigned int line;
	const char *why;
};

/* A line without the spaces around it, len > 0, which it may take apart. 0 or -EINVAL, with *ret_why */
typedef int conf_line_fn(void *data, char *line, size_t len, const char **ret_why);

/*
 * Each line that is neither empty nor a comment, until one is wrong: -EINVAL, with what is. len: more than max
 * is too long. Pure.
 */
int conf_text_lines(const char *text, size_t len, size_t max, conf_line_fn *fn, void *data,
		    struct conf_mistake *ret_mistake);

/* Of "key = value": ends the line behind the key. The value, or NULL: there is no "=". Pure. */
char *conf_text_value(char *line);

/* Reads a file: at most size bytes, of which the last one says that it is too long. 0 or -errno */
int conf_text_read(const char *path, char *buf, size_t size, size_t *ret_len);

#endif
