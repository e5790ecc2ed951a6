/* SPDX-License-Identifier: MIT */
/* A string as JSON: quotes, backslashes and everything that is not printable ASCII escaped. */
#ifndef TOOLS_JSON_H
#define TOOLS_JSON_H

#include <stdio.h>

/* one character of a string */
void json_char(FILE *out, unsigned char ch);
void json_string(FILE *out, const char *s);

#endif
