/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xenstored/perm.h"
#include "xenstored/wire.h"

static const char letters[] = "nrwb"; /* index: rights */

int perm_parse(const char *s, size_t len, struct perm *ret_perm)
{
	const char *l;
	uint16_t domid;
	int r;

	if (len < 2)
		return -EINVAL;
	l = memchr(letters, s[0], sizeof(letters) - 1);
	if (!l)
		return -EINVAL;
	r = wire_domid(s + 1, len - 1, &domid);
	if (r < 0)
		return r;
	*ret_perm = (struct perm){ .domid = domid, .rights = (uint8_t)(l - letters) };
	return 0;
}

size_t perm_format(const struct perm *p, char *buf)
{
	return (size_t)snprintf(buf, PERM_TEXT_MAX, "%c%u", letters[p->rights & 3], p->domid);
}

static struct perms *perms_alloc(size_t nr)
{
	struct perms *p = malloc(sizeof(*p) + nr * sizeof(p->list[0]));

	if (!p)
		return NULL;
	p->refs = 1;
	p->nr = 0;
	p->domains = 0;
	return p;
}

static void append(struct perms *p, const struct perm *e)
{
	p->list[p->nr++] = *e;
	p->domains |= perm_bit(e->domid);
}

struct perms *perms_new(const struct perm *list, size_t nr)
{
	struct perms *p = perms_alloc(nr);

	for (size_t i = 0; p && i < nr; i++)
		append(p, &list[i]);
	return p;
}

struct perms *perms_with_owner(const struct perms *old, uint16_t domid)
{
	struct perms *p = perms_alloc(old->nr);
	struct perm first = old->list[0];

	if (!p)
		return NULL;
	first.domid = domid;
	append(p, &first);
	for (size_t i = 1; i < old->nr; i++)
		append(p, &old->list[i]);
	return p;
}

struct perms *perms_without(const struct perms *old, uint16_t domid)
{
	static const struct perm nobody = { .domid = 0 };
	struct perms *p = perms_alloc(old->nr);

	if (!p)
		return NULL;
	append(p, perms_owner(old) == domid ? &nobody : &old->list[0]);
	for (size_t i = 1; i < old->nr; i++)
		if (old->list[i].domid != domid)
			append(p, &old->list[i]);
	return p;
}

struct perms *perms_get(struct perms *p)
{
	p->refs++;
	return p;
}

struct perms *perms_put(struct perms *p)
{
	if (p && --p->refs == 0)
		free(p);
	return NULL;
}

void perms_putp(struct perms **p)
{
	*p = perms_put(*p);
}

static bool is_who(const struct perm_who *who, uint16_t domid)
{
	return domid == who->domid || (domid == who->target && domid != DOMID_NONE);
}

unsigned int perms_rights(const struct perms *p, const struct perm_who *who)
{
	if (who->control || is_who(who, perms_owner(p)))
		return PERM_READ | PERM_WRITE | PERM_OWNER;
	for (size_t i = 1; i < p->nr; i++) {
		const struct perm *e = &p->list[i];

		if (!e->is_void && (is_who(who, e->domid) || e->domid == DOMID_ALL))
			return e->rights;
	}
	return p->list[0].rights;
}

bool perms_lists(const struct perms *p, uint16_t domid)
{
	if (!(p->domains & perm_bit(domid)) && domid)
		return false;
	for (size_t i = 0; i < p->nr; i++)
		if (p->list[i].domid == domid)
			return true;
	return false;
}
