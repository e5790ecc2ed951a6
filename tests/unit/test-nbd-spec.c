/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "blkbackd/nbd_spec.h"
#include "tests/support/unit.h"

static struct nbd_spec spec;

START_TEST(what_toolstacks_write)
{
	static const struct {
		const char *params, *address, *name;
	} cases[] = {
		{ "nbd://10.0.0.1", "tcp:10.0.0.1:10809", "" },
		{ "nbd://10.0.0.1/", "tcp:10.0.0.1:10809", "" },
		{ "nbd://10.0.0.1:99/disk", "tcp:10.0.0.1:99", "disk" },
		{ "nbd://[::1]:99/a%20b/c", "tcp:[::1]:99", "a b/c" },
		{ "nbd://[::1]/x", "tcp:[::1]:10809", "x" },
		{ "nbd://server:10809", "tcp:server:10809", "" },
		{ "nbd+unix:///?socket=/run/a.sock", "unix:/run/a.sock", "" },
		{ "nbd+unix:///disk?socket=/run/a%20b", "unix:/run/a b", "disk" },
		{ "nbd:unix:/run/a.sock", "unix:/run/a.sock", "" },
		{ "nbd:unix:/run/a.sock:exportname=disk", "unix:/run/a.sock", "disk" },
		{ "nbd:localhost:10809", "tcp:localhost:10809", "" },
		{ "nbd:10.0.0.1:10809:exportname=a:b", "tcp:10.0.0.1:10809", "a:b" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ck_assert_msg(nbd_spec_parse(cases[i].params, &spec) == 0, "%s", cases[i].params);
		ck_assert_str_eq(spec.address, cases[i].address);
		ck_assert_str_eq(spec.export_name, cases[i].name);
	}
}
END_TEST

START_TEST(wrong_ones)
{
	static const char *const others[] = {
		"", "/nbd", "raw:/x", "nbds://a", "NBD://a", "null:1M"
	};
	static const char *const wrong[] = {
		"nbd:",
		"nbd:unix:",
		"nbd:unix:relative",
		"nbd:host",
		"nbd:host:",
		"nbd:host:x",
		"nbd:host:0",
		"nbd:host:65536",
		"nbd:host:100000",
		"nbd::1",
		"nbd://",
		"nbd:///x",
		"nbd://user@host",
		"nbd://host:1:2",
		"nbd://[::1",
		"nbd://[::1]x",
		"nbd://host?tls",
		"nbd://host/x?y",
		"nbd://host/%0a",
		"nbd://host/%g0",
		"nbd://host/%0",
		"nbd+unix://host/?socket=/a",
		"nbd+unix:///x",
		"nbd+unix:///?socket=a",
		"nbd+unix:///?socket=/a&x=1",
		"nbd+unix:///?sock=/a",
	};
	static char longest[NBD_EXPORT_MAX + 64];

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		ck_assert_msg(nbd_spec_parse(others[i], &spec) == -ENOENT, "%s", others[i]);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ck_assert_msg(nbd_spec_parse(wrong[i], &spec) == -EINVAL, "%s", wrong[i]);
	strcpy(longest, "nbd://a/");
	memset(longest + 8, 'x', NBD_EXPORT_MAX - 1);
	ck_assert_int_eq(nbd_spec_parse(longest, &spec), 0);
	strcat(longest, "x");
	ck_assert_int_eq(nbd_spec_parse(longest, &spec), -EINVAL);
	strcpy(longest, "nbd:unix:/");
	memset(longest + 10, 'x', NBD_ADDRESS_MAX);
	longest[10 + NBD_ADDRESS_MAX] = '\0';
	ck_assert_int_eq(nbd_spec_parse(longest, &spec), -EINVAL);
}
END_TEST

UNIT_MAIN("nbd-spec", what_toolstacks_write, wrong_ones)
