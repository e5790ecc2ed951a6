/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "opend/conf.h"
#include "tests/support/unit.h"

static struct conf conf;

static void good(const char *text)
{
	struct conf_mistake m;

	ck_assert_msg(conf_parse(&conf, text, strlen(text), &m) == 0, "line %u: %s", m.line, m.why);
}

/* wrong in that line */
static void bad(const char *text, unsigned int expected)
{
	struct conf_mistake m = { 0 };

	ck_assert_msg(conf_parse(&conf, text, strlen(text), &m) == -EINVAL, "%s", text);
	ck_assert_msg(m.line == expected && m.why, "%s: line %u", text, m.line);
}

START_TEST(matches)
{
	static const struct {
		const char *pattern, *name;
		bool match;
	} cases[] = {
		{ "/srv/a.img", "/srv/a.img", true },
		{ "/srv/a.img", "/srv/a.imgx", false },
		{ "/srv/a.img", "/srv/a.im", false },
		{ "/srv/*.img", "/srv/a.img", true },
		{ "/srv/*.img", "/srv/.img", true },
		{ "/srv/*.img", "/srv/b/a.img", false },
		{ "/srv/*/a*c*e", "/srv/x/abcde", true },
		{ "/srv/*/a*c*e", "/srv/x/abcd", false },
		{ "/srv/*/a*c*e", "/srv/x/y/abcde", false },
		{ "/srv/?", "/srv/a", true },
		{ "/srv?a", "/srv/a", false },
		{ "/srv/", "/srv/a/b/c", true },
		{ "/srv/", "/srv/", false },
		{ "/srv/", "/srv", false },
		{ "/srv/", "/srva/b", false },
		{ "/*/x/", "/srv/x/b", true },
		{ "/*/x/", "/srv/y/x/b", false },
		{ "/srv/*", "/srv/", true },
		{ "*", "", true },
		{ "", "", true },
		{ "", "a", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_msg(conf_match(cases[i].pattern, cases[i].name) == cases[i].match,
			      "%s, %s", cases[i].pattern, cases[i].name);
}
END_TEST

START_TEST(plain_paths)
{
	static const char *const plain[] = { "/a", "/a/b.c/..d", "/...", "/a b" };
	static const char *const others[] = { "",     "a",    "/",	 "//a",	  "/a//b", "/a/",
					      "/./a", "/a/.", "/a/../b", "/a/..", ".",	   "../a" };

	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		ck_assert_msg(conf_path_plain(plain[i]), "%s", plain[i]);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		ck_assert_msg(!conf_path_plain(others[i]), "%s", others[i]);
}
END_TEST

START_TEST(nothing_said)
{
	good("");
	ck_assert(!conf_allows(&conf, "blkback", CONF_WRITABLE, "/srv/a"));
	good("# nothing\n\n[service blkback]\n");
	ck_assert(!conf_allows(&conf, "blkback", CONF_READONLY, "/srv/a"));
	conf.any = true;
	ck_assert(conf_allows(&conf, "blkback", CONF_READONLY, "/srv/a"));
	conf.any = false;
}
END_TEST

START_TEST(says_for_whom)
{
	good("[service blkback]\nwritable = /srv/my images/*.img\n writable=/dev/vg0/\r\n"
	     "readonly = /srv/iso/\nnbd = unix:/run/nbd/*\n[service netback]\ntap = xh*\n"
	     "bridge = br0\n");
	ck_assert_uint_eq(conf.nr_services, 2);
	ck_assert(conf_allows(&conf, "blkback", CONF_WRITABLE, "/srv/my images/a.img"));
	ck_assert(conf_allows(&conf, "blkback", CONF_WRITABLE, "/dev/vg0/root"));
	ck_assert(!conf_allows(&conf, "blkback", CONF_WRITABLE, "/srv/iso/a"));
	ck_assert(conf_allows(&conf, "blkback", CONF_READONLY, "/srv/iso/a"));
	ck_assert(conf_allows(&conf, "blkback", CONF_NBD, "unix:/run/nbd/x"));
	ck_assert(!conf_allows(&conf, "netback", CONF_WRITABLE, "/dev/vg0/root"));
	ck_assert(conf_allows(&conf, "netback", CONF_TAP, "xh12"));
	ck_assert(conf_allows(&conf, "netback", CONF_BRIDGE, "br0"));
	ck_assert(!conf_allows(&conf, "netback", CONF_BRIDGE, "br1"));
	ck_assert(!conf_allows(&conf, "other", CONF_TAP, "xh12"));
}
END_TEST

START_TEST(mistakes)
{
	char many[CONF_PATTERNS_MAX * 16 + 64] = "[service a]\n", line[400];

	bad("writable = /a\n", 1);
	bad("[service a]\n[service a]\n", 2);
	bad("[service]\n", 1);
	bad("[service A]\n", 1);
	bad("[service a\n", 1);
	bad("[guest a]\n", 1);
	bad("[service a]\nwritable\n", 2);
	bad("[service a]\nwritable =\n", 2);
	bad("[service a]\nwriteable = /a\n", 2);
	bad("[service a]\nwritable = a\n", 2);
	bad("[service a]\nwritable = /a/../b\n", 2);
	bad("[service a]\n\nreadonly = //\n", 3);
	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	strcpy(many, "[service a]\ntap = ");
	strcat(many, line);
	bad(many, 2);
	strcpy(many, "[service a]\n");
	for (unsigned int i = 0; i < CONF_PATTERNS_MAX; i++)
		strcat(many, "tap = a\n");
	good(many);
	strcat(many, "tap = a\n");
	bad(many, CONF_PATTERNS_MAX + 2);
}
END_TEST

UNIT_MAIN("opend-conf", matches, plain_paths, nothing_said, says_for_whom, mistakes)
