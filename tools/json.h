/* SPDX-License-Identifier: MIT */
/* A string as JSON: quotes, backslashes and everything that is not printable ASCII escaped. */
#ifndef TOOLS_JSON_H
#define TOOLS_JSON_H

#include <stdio.h>

void json_string(FILE *out, const char *s);

#endif
