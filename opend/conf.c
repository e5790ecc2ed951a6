/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/conf_text.h"

#include "opend/conf.h"

struct parser {
	struct conf *conf;
	struct conf_service *service; /* of the section, NULL: before the first */
	const char *why;
};

static int fail(struct parser *ps, const char *why)
{
	ps->why = why;
	return -EINVAL;
}

bool conf_path_plain(const char *path)
{
	if (*path != '/')
		return false;
	while (*path) {
		size_t len = strcspn(path + 1, "/");

		if (len == 0 || (len == 1 && path[1] == '.') ||
		    (len == 2 && path[1] == '.' && path[2] == '.'))
			return false;
		path += len + 1;
	}
	return true;
}

/* Goes back to the last star only: what it stands for ends at a "/". */
bool conf_match(const char *pattern, const char *name)
{
	const char *star = NULL, *from = NULL;

	while (*name) {
		if (*pattern == '/' && pattern[1] == '\0' && *name == '/')
			return name[1] != '\0';
		if (*pattern == '*') {
			star = pattern++;
			from = name;
		} else if (*pattern == *name || (*pattern == '?' && *name != '/')) {
			pattern++;
			name++;
		} else if (star && *from != '/') {
			pattern = star + 1;
			name = ++from;
		} else {
			return false;
		}
	}
	return pattern[strspn(pattern, "*")] == '\0';
}

/* --- the file --- */

static int begin_service(struct parser *ps, const char *name)
{
	struct conf *conf = ps->conf;
	size_t len = strlen(name);

	if (len == 0 || len >= SERVICE_NAME_MAX ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != len)
		return fail(ps, "a service has a name of a-z, 0-9 and -, of at most 31 characters");
	for (unsigned int i = 0; i < conf->nr_services; i++)
		if (!strcmp(conf->services[i].name, name))
			return fail(ps, "this service had its section already");
	if (conf->nr_services == SERVICE_MAX)
		return fail(ps, "there are too many services");
	ps->service = &conf->services[conf->nr_services++];
	memset(ps->service, 0, sizeof(*ps->service));
	memcpy(ps->service->name, name, len + 1);
	return 0;
}

static int parse_section(struct parser *ps, char *line, size_t len)
{
	static const char word[] = "[service ";

	if (line[len - 1] != ']' || strncmp(line, word, strlen(word)) != 0)
		return fail(ps, "a section is [service NAME]");
	line[len - 1] = '\0';
	line += strlen(word);
	return begin_service(ps, line + strspn(line, " "));
}

/* A path in its one spelling, with "/" at the end for all that is below. */
static bool path_pattern_ok(char *pattern)
{
	size_t len = strlen(pattern);
	bool ok;

	if (len < 2 || pattern[len - 1] != '/')
		return conf_path_plain(pattern);
	pattern[len - 1] = '\0';
	ok = conf_path_plain(pattern);
	pattern[len - 1] = '/';
	return ok;
}

static int add_pattern(struct parser *ps, enum conf_kind kind, char *value)
{
	struct conf_list *list = &ps->service->lists[kind];
	size_t len = strlen(value);

	if (len == 0)
		return fail(ps, "there is nothing behind the =");
	if (len >= CONF_PATTERN_MAX)
		return fail(ps, "this is too long: at most 255 characters");
	if ((kind == CONF_WRITABLE || kind == CONF_READONLY) && !path_pattern_ok(value))
		return fail(ps, "this should be an absolute path without //, . and ..");
	if (list->nr == CONF_PATTERNS_MAX)
		return fail(ps, "there are too many lines of this kind");
	memcpy(list->patterns[list->nr++], value, len + 1);
	return 0;
}

static int parse_key(struct parser *ps, char *line)
{
	static const char *const keys[CONF_KIND_MAX] = {
		[CONF_WRITABLE] = "writable", [CONF_READONLY] = "readonly", [CONF_NBD] = "nbd",
		[CONF_TAP] = "tap",	      [CONF_BRIDGE] = "bridge",
	};
	char *eq = strchr(line, '=');
	size_t len;

	if (!eq)
		return fail(ps, "a line is key = value");
	if (!ps->service)
		return fail(ps, "a section [service NAME] comes first");
	len = (size_t)(eq - line);
	while (len > 0 && strchr(" \t", line[len - 1]))
		len--;
	line[len] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (!strcmp(line, keys[i]))
			return add_pattern(ps, (enum conf_kind)i, eq + 1 + strspn(eq + 1, " \t"));
	return fail(ps, "a service has writable, readonly, nbd, tap and bridge, not this");
}

static int parse_line(struct parser *ps, const char *text, size_t len)
{
	char line[CONF_LINE_MAX];
	const char *why;
	int n = conf_text_line(text, len, line, &why);

	if (n < 0)
		return fail(ps, why);
	if (n == 0)
		return 0;
	return *line == '[' ? parse_section(ps, line, (size_t)n) : parse_key(ps, line);
}

int conf_parse(struct conf *conf, const char *text, size_t len, unsigned int *ret_line,
	       const char **ret_why)
{
	struct parser ps = { .conf = conf, .why = "the file is too long" };
	int r = len > CONF_FILE_MAX ? -EINVAL : 0;
	unsigned int line = 1;

	conf->nr_services = 0;
	while (r == 0 && len > 0) {
		const char *end = memchr(text, '\n', len);
		size_t n = end ? (size_t)(end - text) : len;

		r = parse_line(&ps, text, n);
		if (r < 0 || !end)
			break;
		text += n + 1;
		len -= n + 1;
		line++;
	}
	if (r < 0) {
		*ret_line = line;
		*ret_why = ps.why;
	}
	return r;
}

bool conf_allows(const struct conf *conf, const char *service, enum conf_kind kind,
		 const char *name)
{
	if (conf->any)
		return true;
	for (unsigned int i = 0; i < conf->nr_services; i++) {
		const struct conf_list *list = &conf->services[i].lists[kind];

		if (strcmp(conf->services[i].name, service) != 0)
			continue;
		for (unsigned int k = 0; k < list->nr; k++)
			if (conf_match(list->patterns[k], name))
				return true;
	}
	return false;
}
