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
	char *value = conf_text_value(line);

	if (!value)
		return fail(ps, "a line is key = value");
	if (!ps->service)
		return fail(ps, "a section [service NAME] comes first");
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (!strcmp(line, keys[i]))
			return add_pattern(ps, (enum conf_kind)i, value);
	return fail(ps, "a service has writable, readonly, nbd, tap and bridge, not this");
}

static int parse_line(void *data, char *line, size_t len, const char **ret_why)
{
	struct parser *ps = data;
	int r = *line == '[' ? parse_section(ps, line, len) : parse_key(ps, line);

	if (r < 0)
		*ret_why = ps->why;
	return r;
}

int conf_parse(struct conf *conf, const char *text, size_t len, struct conf_mistake *ret_mistake)
{
	struct parser ps = { .conf = conf };

	conf->nr_services = 0;
	return conf_text_lines(text, len, CONF_FILE_MAX, parse_line, &ps, ret_mistake);
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
