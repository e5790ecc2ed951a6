/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "hypercall-bridge/bridged/policy.h"

#include "common/cleanup.h"
#include "common/conf_text.h"

#define NAMES "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.+@*?"

enum section {
	SECTION_NONE, /* before the first one */
	SECTION_SERVICE,
	SECTION_GUEST,
	SECTION_LIMITS,
};

struct parser {
	struct policy *p;
	enum section section;
	const char *why;
};

void policy_init(struct policy *p)
{
	memset(p, 0, sizeof(*p));
	p->domains = UINT64_MAX;
}

static int fail(struct parser *ps, const char *why)
{
	ps->why = why;
	return -EINVAL;
}

/* --- values --- */

static int copy_name(struct parser *ps, const char *from, char *to, size_t size)
{
	size_t len = strlen(from);

	if (len == 0)
		return fail(ps, "a name is missing");
	if (len >= size)
		return fail(ps, "a name is too long");
	if (strspn(from, NAMES) != len)
		return fail(ps, "a name has a character that no name has");
	memcpy(to, from, len + 1);
	return 0;
}

static int set_list(struct parser *ps, struct policy_list *list, char *value)
{
	list->given = true; /* an empty one is nobody */
	while (*(value += strspn(value, " \t"))) {
		size_t len = strcspn(value, " \t");
		bool last = value[len] == '\0';
		int r;

		if (list->nr == POLICY_PATTERNS_MAX)
			return fail(ps, "there are too many names in a list");
		value[len] = '\0';
		r = copy_name(ps, value, list->patterns[list->nr++], BRIDGE_NAME_MAX);
		if (r < 0)
			return r;
		if (last)
			break;
		value += len + 1;
	}
	return 0;
}

static int set_number(struct parser *ps, uint64_t *number, const char *value)
{
	static const char units[] = "KMGT";
	uint64_t v = 0;
	const char *unit;

	if (*value < '0' || *value > '9')
		return fail(ps, "this should be a number");
	for (; *value >= '0' && *value <= '9'; value++) {
		if (v > (UINT64_MAX >> 1) / 10)
			return fail(ps, "the number is too large");
		v = v * 10 + (uint64_t)(*value - '0');
	}
	unit = *value ? strchr(units, *value) : NULL;
	if (*value && (!unit || value[1]))
		return fail(ps, "this should be a number, perhaps with K, M, G or T");
	for (const char *u = units; unit && u <= unit; u++) {
		if (v >= UINT64_MAX >> 11)
			return fail(ps, "the number is too large");
		v <<= 10;
	}
	*number = v;
	return 0;
}

static int set_untrusted(struct parser *ps, bool *untrusted, const char *value)
{
	if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
		return fail(ps, "this is yes or no");
	*untrusted = !strcmp(value, "no");
	return 0;
}

/* --- keys --- */

static int once(struct parser *ps, unsigned int *keys, unsigned int key)
{
	if (*keys & 1u << key)
		return fail(ps, "this is said twice");
	*keys |= 1u << key;
	return 0;
}

static int service_key(struct parser *ps, const char *key, char *value)
{
	struct policy_service *s = &ps->p->services[ps->p->nr_services - 1];

	if (!strcmp(key, "guests"))
		return once(ps, &s->keys, 0) < 0 ? -EINVAL : set_list(ps, &s->guests, value);
	if (!strcmp(key, "trusted"))
		return once(ps, &s->keys, 1) < 0 ? -EINVAL
						 : set_untrusted(ps, &s->untrusted, value);
	return fail(ps, "a service has guests and trusted, not this");
}

static int guest_key(struct parser *ps, const char *key, char *value)
{
	struct policy_guest *g = &ps->p->guests[ps->p->nr_guests - 1];

	if (!strcmp(key, "services"))
		return once(ps, &g->keys, 0) < 0 ? -EINVAL : set_list(ps, &g->services, value);
	if (!strcmp(key, "peers"))
		return once(ps, &g->keys, 1) < 0 ? -EINVAL : set_list(ps, &g->peers, value);
	if (!strcmp(key, "ports"))
		return once(ps, &g->keys, 2) < 0 ? -EINVAL : set_number(ps, &g->ports, value);
	if (!strcmp(key, "memory"))
		return once(ps, &g->keys, 3) < 0 ? -EINVAL : set_number(ps, &g->memory, value);
	return fail(ps, "a guest has services, peers, ports and memory, not this");
}

static int limits_key(struct parser *ps, const char *key, char *value)
{
	if (!strcmp(key, "domains"))
		return once(ps, &ps->p->keys, 0) < 0 ? -EINVAL
						     : set_number(ps, &ps->p->domains, value);
	return fail(ps, "there is a limit of domains, not of this");
}

/* --- sections --- */

static int begin_service(struct parser *ps, const char *name)
{
	struct policy_service *s = &ps->p->services[ps->p->nr_services];

	if (ps->p->nr_services == SERVICE_MAX)
		return fail(ps, "there are too many services");
	for (unsigned int i = 0; i < ps->p->nr_services; i++)
		if (!strcmp(ps->p->services[i].name, name))
			return fail(ps, "this service had its section already");
	if (strpbrk(name, "*?"))
		return fail(ps, "a service has a plain name");
	if (copy_name(ps, name, s->name, sizeof(s->name)) < 0)
		return -EINVAL;
	ps->p->nr_services++;
	ps->section = SECTION_SERVICE;
	return 0;
}

static int begin_guest(struct parser *ps, const char *pattern)
{
	struct policy_guest *g = &ps->p->guests[ps->p->nr_guests];

	if (ps->p->nr_guests == POLICY_GUESTS_MAX)
		return fail(ps, "there are too many sections of guests");
	if (copy_name(ps, pattern, g->pattern, sizeof(g->pattern)) < 0)
		return -EINVAL;
	g->ports = g->memory = UINT64_MAX;
	ps->p->nr_guests++;
	ps->section = SECTION_GUEST;
	return 0;
}

/* "[service NAME]", "[guest PATTERN]", "[limits]" */
static int parse_section(struct parser *ps, char *line, size_t len)
{
	char *name;

	if (line[len - 1] != ']')
		return fail(ps, "a section ends with ]");
	line[len - 1] = '\0';
	line++;
	if (!strcmp(line, "limits")) {
		ps->section = SECTION_LIMITS;
		return 0;
	}
	name = strchr(line, ' ');
	if (!name)
		return fail(ps, "a section is [service NAME], [guest NAME] or [limits]");
	*name++ = '\0';
	name += strspn(name, " ");
	if (!strcmp(line, "service"))
		return begin_service(ps, name);
	if (!strcmp(line, "guest"))
		return begin_guest(ps, name);
	return fail(ps, "a section is [service NAME], [guest NAME] or [limits]");
}

/* key = value */
static int parse_key(struct parser *ps, char *line)
{
	char *value = conf_text_value(line);

	if (!value)
		return fail(ps, "a line is key = value");
	switch (ps->section) {
	case SECTION_SERVICE:
		return service_key(ps, line, value);
	case SECTION_GUEST:
		return guest_key(ps, line, value);
	case SECTION_LIMITS:
		return limits_key(ps, line, value);
	default:
		return fail(ps, "a section comes first");
	}
}

static int parse_line(void *data, char *line, size_t len, const char **ret_why)
{
	struct parser *ps = data;
	int r = *line == '[' ? parse_section(ps, line, len) : parse_key(ps, line);

	if (r < 0)
		*ret_why = ps->why;
	return r;
}

int policy_parse(struct policy *p, const char *text, size_t len, struct conf_mistake *ret_mistake)
{
	struct parser ps = { .p = p };

	policy_init(p);
	return conf_text_lines(text, len, POLICY_FILE_MAX, parse_line, &ps, ret_mistake);
}

/* --- questions --- */

/* Goes back to the last star only, so it takes at most the product of both lengths. */
bool policy_match(const char *pattern, const char *name)
{
	const char *star = NULL, *from = NULL;

	while (*name) {
		if (*pattern == '*') {
			star = pattern++;
			from = name;
		} else if (*pattern == *name || *pattern == '?') {
			pattern++;
			name++;
		} else if (star) {
			pattern = star + 1;
			name = ++from;
		} else {
			return false;
		}
	}
	return pattern[strspn(pattern, "*")] == '\0';
}

static bool list_has(const struct policy_list *list, const char *name)
{
	for (unsigned int i = 0; i < list->nr; i++)
		if (policy_match(list->patterns[i], name))
			return true;
	return !list->given;
}

const struct policy_guest *policy_of(const struct policy *p, const char *guest)
{
	for (unsigned int i = 0; i < p->nr_guests; i++)
		if (policy_match(p->guests[i].pattern, guest))
			return &p->guests[i];
	return NULL;
}

static const struct policy_service *find_service(const struct policy *p, const char *service)
{
	for (unsigned int i = 0; i < p->nr_services; i++)
		if (!strcmp(p->services[i].name, service))
			return &p->services[i];
	return NULL;
}

bool policy_may_serve(const struct policy *p, const char *service, const char *guest)
{
	const struct policy_service *s = find_service(p, service);
	const struct policy_guest *g = policy_of(p, guest);

	return (!s || list_has(&s->guests, guest)) && (!g || list_has(&g->services, service));
}

bool policy_trusts(const struct policy *p, const char *service)
{
	const struct policy_service *s = find_service(p, service);

	return !s || !s->untrusted;
}

bool policy_may_join(const struct policy *p, const char *guest, const char *other)
{
	const struct policy_guest *a = policy_of(p, guest), *b = policy_of(p, other);

	return (!a || list_has(&a->peers, other)) && (!b || list_has(&b->peers, guest));
}
