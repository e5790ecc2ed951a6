/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <string.h>

#include "tests/support/unit.h"
#include "tools/redact.h"

static struct redact r;

static void check(const char *line, const char *expected)
{
	char out[256];

	redact_line(&r, line, out, sizeof(out));
	ck_assert_str_eq(out, expected);
}

static void setup(void)
{
	memset(&r, 0, sizeof(r));
}

START_TEST(test_plain)
{
	check("", "");
	check("name = \"web\"", "name = \"web\"");
	check("  state = 4", "  state = 4");
	check("monkey = 1; xenstore-keys", "monkey = 1; xenstore-keys");
	check("passwords are bad", "passwords are bad");
	check("http://host/path?a=b", "http://host/path?a=b");
	check("mail me@host: yes", "mail me@host: yes");
}
END_TEST

START_TEST(test_values)
{
	check("vncpasswd = 'hunter2'; name = 'a'", "vncpasswd = (removed); name = 'a'");
	check("spicepasswd=\"hun\\\"ter2\" # x", "spicepasswd=(removed) # x");
	check("root=/dev/xvda PASSWORD=hunter2 quiet", "root=/dev/xvda PASSWORD=(removed)");
	check("  vnc-passwd = hunter 2", "  vnc-passwd = (removed)");
	check("{\"api-token\": \"hunter2\", \"a\": 1}", "{\"api-token\": (removed), \"a\": 1}");
	check("key: hunter2", "key: (removed)");
	check("ssh_key += 'hunter2'", "ssh_key += (removed)");
	check("secret=", "secret=");
	check("secret='hunter2", "secret=(removed)");
}
END_TEST

START_TEST(test_addresses)
{
	check("nbd://me:hunter2@host/x", "nbd://(removed)@host/x");
	check("a https://hunter2@host b ssh://x@y", "a https://(removed)@host b ssh://(removed)@y");
	check("http://host/a@b", "http://host/a@b");
}
END_TEST

START_TEST(test_private_keys)
{
	check("-----BEGIN RSA PRIVATE KEY-----", "(removed)");
	check("hunter2", "");
	check("-----END RSA PRIVATE KEY-----", "");
	check("name = 'a'", "name = 'a'");
	check("-----BEGIN CERTIFICATE-----", "-----BEGIN CERTIFICATE-----");
	check("x -----BEGIN PRIVATE KEY----- hunter2 -----END PRIVATE KEY-----", "(removed)");
	check("name = 'a'", "name = 'a'");
}
END_TEST

/* what a guest or its owner keeps below data and vm-data is nobody's business */
START_TEST(test_tree)
{
	r.tree = true;
	check("/", "/");
	check("  local", "  local");
	check("    1", "    1");
	check("      data = x", "      data = x");
	check("        user = hunter2", "        user = (removed)");
	check("          deep = hunter2", "          deep = (removed)");
	check("      name = web", "      name = web");
	check("      vm-data", "      vm-data");
	check("        hunter = hunter2", "        hunter = (removed)");
	check("    2", "    2");
	check("      database = yes", "      database = yes");
	check("        table = yes", "        table = yes");
}
END_TEST

START_TEST(test_cut_off)
{
	char out[8];

	redact_line(&r, "a long line without secrets", out, sizeof(out));
	ck_assert_str_eq(out, "a long ");
	redact_line(&r, "key=x", out, sizeof(out));
	ck_assert_str_eq(out, "key=(re");
}
END_TEST

UNIT_MAIN_WITH("redact", setup, NULL, test_plain, test_values, test_addresses, test_private_keys,
	       test_tree, test_cut_off)
