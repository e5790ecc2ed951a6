/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "tests/support/unit.h"
#include "xenstored/perm.h"

#define RW (PERM_READ | PERM_WRITE)
#define ALL (RW | PERM_OWNER)

static struct perms *list(const char *const *texts)
{
	struct perm p[8];
	size_t n = 0;

	for (; texts[n]; n++)
		ck_assert_int_eq(perm_parse(texts[n], strlen(texts[n]), &p[n]), 0);
	return perms_new(p, n);
}

#define LIST(...) list((const char *const[]){ __VA_ARGS__, NULL })

static unsigned int rights(const struct perms *p, uint16_t domid)
{
	const struct perm_who who = { domid, DOMID_NONE, false };

	return perms_rights(p, &who);
}

START_TEST(test_parse)
{
	static const char *const bad[] = { "",	  "r",	    "x0", "R0",	 "r0x",
					   "r-1", "r65536", "0",  "r 1", "rr1" };
	struct perm p;
	char text[PERM_TEXT_MAX];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(perm_parse(bad[i], strlen(bad[i]), &p) == -EINVAL, "%s", bad[i]);
	ck_assert_int_eq(perm_parse("b65535", 6, &p), 0);
	ck_assert_uint_eq(p.rights, RW);
	ck_assert_uint_eq(perm_format(&p, text), 6);
	ck_assert_str_eq(text, "b65535");
	ck_assert_int_eq(perm_parse("n0", 2, &p), 0);
	ck_assert_uint_eq(p.rights, 0);
	perm_format(&p, text);
	ck_assert_str_eq(text, "n0");
}
END_TEST

START_TEST(test_rights)
{
	struct perms *p = LIST("r1", "w2", "n3", "b2");

	ck_assert_uint_eq(rights(p, 1), ALL);	     /* the owner, whatever the letter */
	ck_assert_uint_eq(rights(p, 2), PERM_WRITE); /* the first entry counts */
	ck_assert_uint_eq(rights(p, 3), 0);
	ck_assert_uint_eq(rights(p, 4), PERM_READ); /* not listed */
	perms_put(p);
}
END_TEST

START_TEST(test_control_and_target)
{
	const struct perm_who control = { 0, DOMID_NONE, true }, stub = { 9, 1, false },
			      nobody = { 9, DOMID_NONE, false };
	struct perms *p = LIST("n1", "r2"), *q = LIST("n5", "w1");

	ck_assert_uint_eq(perms_rights(p, &control), ALL);
	ck_assert_uint_eq(perms_rights(p, &stub), ALL);
	ck_assert_uint_eq(perms_rights(q, &stub), PERM_WRITE);
	ck_assert_uint_eq(perms_rights(p, &nobody), 0);
	perms_put(p);
	perms_put(q);
}
END_TEST

/* No target must not be somebody's entry. */
START_TEST(test_no_target)
{
	struct perms *p = LIST("n0", "b65535");

	ck_assert_uint_eq(rights(p, 7), 0);
	perms_put(p);
}
END_TEST

START_TEST(test_void_and_all)
{
	struct perms *p = LIST("n0", "r2", "w32757");

	p->list[1].is_void = 1;
	ck_assert_uint_eq(rights(p, 2), PERM_WRITE); /* by the entry for all */
	ck_assert_uint_eq(rights(p, 3), PERM_WRITE);
	ck_assert(perms_lists(p, 2));
	ck_assert(!perms_lists(p, 3));
	perms_put(p);
}
END_TEST

START_TEST(test_derived)
{
	struct perms *p = LIST("w1", "r2", "b3", "b2"), *q;

	q = perms_with_owner(p, 9);
	ck_assert_uint_eq(perms_owner(q), 9);
	ck_assert_uint_eq(rights(q, 1), PERM_WRITE);
	ck_assert(perms_lists(q, 9) && !perms_lists(q, 1));
	perms_put(q);
	q = perms_without(p, 2);
	ck_assert_uint_eq(q->nr, 2);
	ck_assert(!perms_lists(q, 2) && perms_lists(q, 3));
	perms_put(q);
	q = perms_without(p, 1); /* the owner: everything is domain 0's */
	ck_assert_uint_eq(perms_owner(q), 0);
	ck_assert_uint_eq(rights(q, 7), 0);
	ck_assert(!(q->domains & perm_bit(1)) && perms_lists(q, 3));
	perms_put(q);
	ck_assert_uint_eq(p->refs, 1);
	perms_put(p);
}
END_TEST

/* Each domain is among the bits of a list that has it. */
START_TEST(test_bits)
{
	uint64_t seen = 0;

	ck_assert(perm_bit(0) == 0);
	for (uint32_t d = 1; d < 65536; d++) {
		ck_assert(__builtin_popcountll(perm_bit((uint16_t)d)) == 1);
		seen |= perm_bit((uint16_t)d);
	}
	ck_assert(seen == UINT64_MAX); /* all are used */
}
END_TEST

UNIT_MAIN("xs-perm", test_parse, test_rights, test_control_and_target, test_no_target,
	  test_void_and_all, test_derived, test_bits)
