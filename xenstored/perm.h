/* SPDX-License-Identifier: MIT */
/*
 * Permission lists: "n0,r5": the first entry names the owner and what everybody may who is not listed;
 * for a listed domain its first entry decides. Lists are immutable and counted: a new node shares its
 * parent's.
 * A void entry is shown but gives nothing: its domain did not exist when the list was set, and a later
 * one with the same domid must not profit.
 */
#ifndef XENSTORED_PERM_H
#define XENSTORED_PERM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DOMID_ALL 32757u  /* an entry for this domid stands for every domain */
#define DOMID_NONE 65535u /* never a domain */

#define PERM_READ 1u
#define PERM_WRITE 2u
#define PERM_OWNER 4u

#define PERM_TEXT_MAX 8 /* "b65535" and its NUL */

struct perm {
	uint16_t domid;
	uint8_t rights; /* PERM_READ, PERM_WRITE */
	uint8_t is_void;
};

struct perms {
	uint32_t refs;
	uint32_t nr;	  /* >= 1 */
	uint64_t domains; /* perm_bit() of each domid */
	struct perm list[];
};

/* who asks */
struct perm_who {
	uint16_t domid;
	uint16_t target; /* SET_TARGET: whose rights it has as well, or DOMID_NONE */
	bool control;	 /* may do everything */
};

/* "r5". 0 or -EINVAL. Pure */
int perm_parse(const char *s, size_t len, struct perm *ret_perm);
/* text without NUL's count; buf holds PERM_TEXT_MAX. Pure */
size_t perm_format(const struct perm *p, char *buf);

/* NULL: out of memory */
struct perms *perms_new(const struct perm *list, size_t nr);
/* the same list with another first domid */
struct perms *perms_with_owner(const struct perms *p, uint16_t domid);
/* the same list without the entries of that domid; if it was the owner, domain 0 is */
struct perms *perms_without(const struct perms *p, uint16_t domid);
struct perms *perms_get(struct perms *p);
struct perms *perms_put(struct perms *p); /* NULL */
void perms_putp(struct perms **p);

/* PERM_* that this caller has */
unsigned int perms_rights(const struct perms *p, const struct perm_who *who);
bool perms_lists(const struct perms *p, uint16_t domid); /* in any entry, void or not */

static inline uint16_t perms_owner(const struct perms *p)
{
	return p->list[0].domid;
}

/*
 * Each node knows a superset of the domains in its subtree's lists, one bit for several of them, so
 * that cleaning up after a domain looks only where it can have been. Domain 0 never goes.
 */
static inline uint64_t perm_bit(uint16_t domid)
{
	return domid ? 1ull << (domid * 40503u >> 10 & 63) : 0;
}

#endif
