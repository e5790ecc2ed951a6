/* SPDX-License-Identifier: MIT */
/* What configuration files have in common: lines, some of which say nothing. */
#ifndef COMMON_CONF_TEXT_H
#define COMMON_CONF_TEXT_H

#include <stddef.h>

#define CONF_LINE_MAX 1024 /* with its NUL */

/*
 * Copies a line without the spaces around it. Its length; 0: it is empty or a comment; -EINVAL, with why,
 * for a person. Pure.
 */
int conf_text_line(const char *text, size_t len, char line[CONF_LINE_MAX], const char **ret_why);

/* Reads a file: at most size bytes, of which the last one says that it is too long. 0 or -errno */
int conf_text_read(const char *path, char *buf, size_t size, size_t *ret_len);

#endif
