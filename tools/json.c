/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "tools/json.h"

void json_char(FILE *out, unsigned char ch)
{
	if (ch == '"' || ch == '\\')
		fprintf(out, "\\%c", ch);
	else if (ch < 0x20 || ch >= 0x7f)
		fprintf(out, "\\u%04x", ch);
	else
		fputc(ch, out);
}

void json_string(FILE *out, const char *s)
{
	fputc('"', out);
	for (; *s; s++)
		json_char(out, (unsigned char)*s);
	fputc('"', out);
}
