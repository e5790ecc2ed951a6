/* SPDX-License-Identifier: MIT */
/* xenhost net, with a loopback guest that has a front end or has none. */
#include "config.h"

#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <check.h>

#include "common/cleanup.h"
#include "common/xen.h"

#include "tests/support/netns.h"
#include "tests/support/nic.h"

static struct set set;
static struct nic nic;
static struct nic_frame frame;

/* Runs xenhost net ARGS; its exit status, with what it said in a static buffer */
static int __attribute__((format(printf, 2, 3))) net(const char **ret_text, const char *fmt, ...)
{
	static char text[8192];
	char args[512], command[768];
	size_t len;
	va_list ap;
	FILE *f;

	va_start(ap, fmt);
	vsnprintf(args, sizeof(args), fmt, ap);
	va_end(ap);
	snprintf(command, sizeof(command), "xenhost net --rundir %s %s 2>&1", set.rundir, args);
	f = popen(command, "re");
	ck_assert_ptr_nonnull(f);
	len = fread(text, 1, sizeof(text) - 1, f);
	text[len] = '\0';
	*ret_text = text;
	return WEXITSTATUS(pclose(f));
}

#define EXPECT(status, want, ...)                                                             \
	do {                                                                                  \
		const char *said_;                                                            \
		int got_ = net(&said_, __VA_ARGS__);                                          \
		ck_assert_msg(got_ == (status) && strstr(said_, want), "status %d, said: %s", \
			      got_, said_);                                                   \
	} while (0)

START_TEST(usage)
{
	EXPECT(2, "net takes attach", "%s", "");
	EXPECT(2, "net takes attach", "attach");
	EXPECT(2, "net set takes", "set 1 0 colour=red");
	EXPECT(2, "", "--mtu 20 attach 1");
	EXPECT(1, "there is no guest nobody", "attach nobody");
}
END_TEST

/* a guest without a front end: what was attached is listed, and goes again only by force */
START_TEST(attach_and_detach)
{
	struct front f;

	set_guest(&set, "bare", 64, &f);
	EXPECT(0, "0\n", "--interface t-bare --mac 00:16:3e:11:22:33 --mtu 9000 attach bare");
	ck_assert_uint_ne(if_nametoindex("t-bare"), 0);
	EXPECT(0, "waiting", "list bare");
	EXPECT(0, "\"mac\": \"00:16:3e:11:22:33\", \"interface\": \"t-bare\"", "--json list");
	EXPECT(0, "\"card\": 1", "--json --set anti-spoof=1 attach bare");
	EXPECT(1, "no bridge nobridge", "--bridge nobridge attach bare");
	EXPECT(1, "no such card", "detach bare 7");
	EXPECT(1, "not connected", "stat bare 0");
	EXPECT(0, "", "--timeout 2 --force detach bare 0");
	EXPECT(0, "", "--timeout 2 --force detach bare 1");
	EXPECT(0, "[]", "--json list");
	front_free(&f);
}
END_TEST

START_TEST(figures_and_settings)
{
	static const struct nic_config config = { .queues = 2 };

	nic_create(&nic, &set, "busy", NULL);
	nic_connect(&nic, &config);
	nic_fill(&frame, 100, 1);
	ck_assert_int_eq(nic_send(&nic.q[1], &frame, 100), NETIF_RSP_OKAY);
	EXPECT(0, "tx-frames        1", "stat busy 0");
	EXPECT(0, "\"tx-bytes\": 100", "--json stat busy 0 1");
	EXPECT(0, "\"tx-bytes\": 0", "--json stat busy 0 0");
	EXPECT(1, "no such queue", "stat busy 0 9");
	EXPECT(0, "", "set busy 0 link=down anti-spoof=1 rate=1000,1000");
	EXPECT(0, "carrier          0", "stat busy 0");
	ck_assert_str_eq(front_read(&nic.front, XENHOST_BACK, "rate"), "1000,1000");
	EXPECT(1, "up or down", "set busy 0 link=loose");
	EXPECT(0, "", "set busy 0 link=up");
	EXPECT(0, "carrier          1", "stat busy 0");
	nic_disconnect(&nic);
	nic_close(&nic);
}
END_TEST

static int run_tests(void)
{
	Suite *s = suite_create("loopback-net-tool");
	TCase *tc = tcase_create("all");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, usage);
	tcase_add_test(tc, attach_and_detach);
	tcase_add_test(tc, figures_and_settings);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}

int main(void)
{
	const char *const args[] = { "--queues", "4", getenv("VERBOSE") ? "--verbose" : NULL,
				     NULL };
	int failed;

	if (!netns_enter()) {
		printf("no network namespace or no /dev/net/tun: skipped\n");
		return 77;
	}
	if (set_start_with(&set, "netbackd", args) < 0)
		return EXIT_FAILURE;
	failed = run_tests();
	failed += set_stop(&set) < 0;
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
