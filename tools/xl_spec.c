/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <string.h>

#include "tools/xl_spec.h"

char *xl_spec_trim(char *text)
{
	size_t len;

	text += strspn(text, " \t");
	len = strlen(text);
	while (len && strchr(" \t", text[len - 1]))
		text[--len] = '\0';
	return text;
}

int xl_spec_find(const struct xl_spec_key *keys, const char *name, size_t len, bool flag)
{
	for (int i = 0; keys[i].name; i++)
		if (strlen(keys[i].name) == len && !memcmp(keys[i].name, name, len) &&
		    !keys[i].form == flag)
			return i;
	return -1;
}

const char *xl_spec_trusted(void *spec, const char *text)
{
	((struct xl_device *)spec)->untrusted = false;
	return NULL;
}

const char *xl_spec_untrusted(void *spec, const char *text)
{
	((struct xl_device *)spec)->untrusted = true;
	return NULL;
}
