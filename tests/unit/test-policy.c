/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "hypercall-bridge/bridged/policy.h"
#include "tests/support/unit.h"

static struct policy p;

static void good(const char *text)
{
	struct conf_mistake m;

	ck_assert_msg(policy_parse(&p, text, strlen(text), &m) == 0, "line %u: %s", m.line, m.why);
}

/* wrong in that line */
static void bad(const char *text, unsigned int expected)
{
	struct conf_mistake m = { 0 };

	ck_assert_msg(policy_parse(&p, text, strlen(text), &m) == -EINVAL, "%s", text);
	ck_assert_msg(m.line == expected && m.why, "%s: line %u", text, m.line);
}

START_TEST(test_nothing_said)
{
	good("");
	ck_assert(policy_may_serve(&p, "blkback", "a"));
	ck_assert(policy_trusts(&p, "blkback"));
	ck_assert(policy_may_join(&p, "a", "b"));
	ck_assert_ptr_null(policy_of(&p, "a"));
	ck_assert_uint_eq(p.domains, UINT64_MAX);
	good("# only a comment\n\n   \t\n");
	good("[limits]\n[service blkback]\n[guest *]");
	ck_assert(policy_may_serve(&p, "blkback", "a"));
	ck_assert(policy_may_join(&p, "a", "b"));
}
END_TEST

START_TEST(test_services)
{
	good("[service blkback]\n"
	     "guests = web-* db1\r\n"
	     "trusted = no\n"
	     "[service netback]\n"
	     "guests =\n"
	     "trusted = yes\n");
	ck_assert(policy_may_serve(&p, "blkback", "web-7"));
	ck_assert(policy_may_serve(&p, "blkback", "db1"));
	ck_assert(!policy_may_serve(&p, "blkback", "db10"));
	ck_assert(!policy_may_serve(&p, "blkback", "xweb-7"));
	ck_assert(!policy_may_serve(&p, "netback", "web-7")); /* nobody */
	ck_assert(policy_may_serve(&p, "other", "web-7"));
	ck_assert(!policy_trusts(&p, "blkback"));
	ck_assert(policy_trusts(&p, "netback"));
	ck_assert(policy_trusts(&p, "other"));
}
END_TEST

START_TEST(test_guests)
{
	good("[guest web-*]\n\tservices=blkback\n\tpeers = web-* cache\n  ports = 64\nmemory = 4G\n"
	     "[guest cache]\npeers = web-1\n[guest *]\nservices =\nports = 0\n"
	     "[limits]\ndomains = 10\n");
	ck_assert(policy_may_serve(&p, "blkback", "web-7"));
	ck_assert(!policy_may_serve(&p, "netback", "web-7"));
	ck_assert(policy_may_serve(&p, "netback", "cache")); /* the first section counts */
	ck_assert(!policy_may_serve(&p, "netback", "x"));
	ck_assert(policy_may_join(&p, "web-1", "web-2"));
	ck_assert(policy_may_join(&p, "web-1", "cache"));
	ck_assert(policy_may_join(&p, "cache", "web-1"));
	ck_assert(!policy_may_join(&p, "web-2", "cache")); /* the other one does not want it */
	ck_assert(!policy_may_join(&p, "cache", "web-2"));
	ck_assert(!policy_may_join(&p, "web-1", "x"));
	ck_assert_uint_eq(policy_of(&p, "web-1")->ports, 64);
	ck_assert_uint_eq(policy_of(&p, "web-1")->memory, 4ull << 30);
	ck_assert_uint_eq(policy_of(&p, "cache")->memory, UINT64_MAX);
	ck_assert_uint_eq(policy_of(&p, "x")->ports, 0);
	ck_assert_uint_eq(p.domains, 10);
}
END_TEST

START_TEST(test_mistakes)
{
	char text[4096];

	bad("guests = a\n", 1);
	bad("[service blkback\n", 1);
	bad("\n[service]\n", 2);
	bad("[service ]\n", 1);
	bad("[service blk*]\n", 1);
	bad("[service a/b]\n", 1);
	bad("[other a]\n", 1);
	bad("[limits]\nguests = 1\n", 2);
	bad("[limits]\ndomains\n", 2);
	bad("[limits]\ndomains = \n", 2);
	bad("[limits]\ndomains = -1\n", 2);
	bad("[limits]\ndomains = 1x\n", 2);
	bad("[limits]\ndomains = 1KK\n", 2);
	bad("[limits]\ndomains = 99999999999999999999\n", 2);
	bad("[limits]\ndomains = 9999999999T\n", 2);
	bad("[limits]\ndomains = 1\ndomains = 2\n", 3);
	bad("[service a]\ntrusted = maybe\n", 2);
	bad("[service a]\nguests = b\nguests = c\n", 3);
	bad("[service a]\nports = 3\n", 2);
	bad("[service a]\n[guest b]\n[service a]\n", 3);
	bad("[guest a]\nguests = x\n", 2);
	bad("[guest a]\nports = many\n", 2);
	bad("[guest a]\nservices = a b$ c\n", 2);
	bad("]\n", 1);
	bad("[", 1);
	snprintf(text, sizeof(text), "[guest %0*d]\n", BRIDGE_NAME_MAX, 1);
	bad(text, 1);
	memset(text, 'a', 2000);
	text[2000] = '\0';
	bad(text, 1);
	strcpy(text, "[guest a]\nservices =");
	for (int i = 0; i <= POLICY_PATTERNS_MAX; i++)
		strcat(text, " x");
	bad(text, 2);
	text[0] = '\0';
	for (int i = 0; i <= POLICY_GUESTS_MAX; i++)
		strcat(text, "[guest a]\n");
	bad(text, POLICY_GUESTS_MAX + 1);
	text[0] = '\0';
	for (int i = 0; i <= SERVICE_MAX; i++)
		snprintf(text + strlen(text), 32, "[service s%d]\n", i);
	bad(text, SERVICE_MAX + 1);
}
END_TEST

START_TEST(test_nul_and_length)
{
	static char big[POLICY_FILE_MAX + 1];
	struct conf_mistake m;

	ck_assert_int_eq(policy_parse(&p, "a\0b", 3, &m), -EINVAL);
	memset(big, '\n', sizeof(big));
	ck_assert_int_eq(policy_parse(&p, big, sizeof(big), &m), -EINVAL);
	ck_assert_int_eq(policy_parse(&p, big, sizeof(big) - 1, &m), 0);
}
END_TEST

START_TEST(test_patterns)
{
	ck_assert(policy_match("*", ""));
	ck_assert(policy_match("a*", "a"));
	ck_assert(policy_match("*a*b*", "xxaxxbxx"));
	ck_assert(!policy_match("*a*b", "xxaxxbxx"));
	ck_assert(policy_match("a?c", "abc"));
	ck_assert(!policy_match("a?c", "ac"));
	ck_assert(!policy_match("", "a"));
	ck_assert(policy_match("", ""));
	ck_assert(policy_match("a**b", "ab"));
	ck_assert(!policy_match("*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
}
END_TEST

UNIT_MAIN("policy", test_nothing_said, test_services, test_guests, test_mistakes,
	  test_nul_and_length, test_patterns)
