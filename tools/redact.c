/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "tools/redact.h"

#define NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"

struct output {
	char *text;
	size_t len, size;
};

static void put(struct output *o, const char *text, size_t len)
{
	if (len >= o->size - o->len)
		len = o->size - o->len - 1;
	memcpy(o->text + o->len, text, len);
	o->len += len;
	o->text[o->len] = '\0';
}

static bool contains(const char *name, size_t len, const char *word)
{
	const size_t n = strlen(word);

	for (size_t i = 0; i + n <= len; i++)
		if (!strncasecmp(name + i, word, n))
			return true;
	return false;
}

static bool is_secret(const char *name, size_t len)
{
	static const char *const words[] = { "passw",	   "passphrase", "secret", "token",
					     "credential", "apikey",	 "psk",	   "private" };

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (contains(name, len, words[i]))
			return true;
	/* a key of something, but no xenstore-key or monkey */
	return (len >= 4 && strchr("_-.", name[len - 4]) &&
		!strncasecmp(name + len - 3, "key", 3)) ||
	       (len == 3 && !strncasecmp(name, "key", 3));
}

/* Where the value of a secret ends that begins here: behind its closing quote, else with the line. */
static const char *skip_value(const char *value)
{
	const char quote = *value;

	if (quote != '"' && quote != '\'')
		return value + strlen(value);
	for (value++; *value && *value != quote; value++)
		if (*value == '\\' && value[1])
			value++;
	return *value ? value + 1 : value;
}

/* ://name:password@ */
static size_t userinfo(const char *text)
{
	size_t len;

	if (strncmp(text, "://", 3) != 0)
		return 0;
	len = strcspn(text + 3, "@/ \t\"'");
	return text[3 + len] == '@' ? 3 + len : 0;
}

/* The text up to the end of a name and what stands between it and its value; 0: no value is there */
static size_t to_value(const char *name, size_t len)
{
	size_t at = len + (name[len] == '"' || name[len] == '\'');

	at += strspn(name + at, " \t");
	if (name[at] == '+')
		at++;
	if (name[at] != '=' && name[at] != ':')
		return 0;
	at++;
	return at + strspn(name + at, " \t");
}

static void redact_words(struct output *o, const char *line)
{
	while (*line) {
		size_t name = strspn(line, NAME_CHARS), begin = userinfo(line), value;

		if (begin) {
			put(o, "://" REDACTED, strlen("://" REDACTED));
			line += begin;
			continue;
		}
		value = name && is_secret(line, name) ? to_value(line, name) : 0;
		if (!value) {
			put(o, line, name ? name : 1);
			line += name ? name : 1;
			continue;
		}
		put(o, line, value);
		if (line[value])
			put(o, REDACTED, strlen(REDACTED));
		line = skip_value(line + value);
	}
}

/* True: the line is done. Its depth and name say whether its value may be seen. */
static bool redact_node(struct redact *r, struct output *o, const char *line)
{
	const size_t blanks = strspn(line, " ");
	const char *name = line + blanks, *equals = strstr(name, " = ");
	const size_t len = equals ? (size_t)(equals - name) : strlen(name);

	if (r->hidden && blanks >= r->hidden) {
		put(o, line, blanks + len);
		if (equals)
			put(o, " = " REDACTED, strlen(" = " REDACTED));
		return true;
	}
	r->hidden = 0;
	if ((len == 4 && !strncmp(name, "data", 4)) || (len == 7 && !strncmp(name, "vm-data", 7)))
		r->hidden = blanks + 2;
	return false;
}

void redact_line(struct redact *r, const char *line, char *out, size_t size)
{
	struct output o = { out, 0, size };

	out[0] = '\0';
	if (strstr(line, "-----END") && r->private_key) {
		r->private_key = false;
		return;
	}
	if (r->private_key)
		return;
	if (strstr(line, "-----BEGIN") && strstr(line, "PRIVATE KEY")) {
		r->private_key = !strstr(line, "-----END");
		put(&o, REDACTED, strlen(REDACTED));
		return;
	}
	if (r->tree && redact_node(r, &o, line))
		return;
	redact_words(&o, line);
}
