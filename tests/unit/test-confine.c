/* SPDX-License-Identifier: MIT */
/* What xenhost-netbackd can do when it is confined, and what it cannot. Each in a process of its own. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <check.h>

#include "backend/confine.h"
#include "common/cleanup.h"
#include "netbackd/vif_filter.h"
#include "tests/support/confined.h"

static int enter(void)
{
	return confine_self(&vif_filter);
}

static int confined(int (*fn)(void))
{
	return confined_by(enter, fn);
}

static int opens_a_file(void)
{
	return refused(open("/dev/null", O_RDONLY));
}

static int opens_tun(void)
{
	return refused(open("/dev/net/tun", O_RDWR));
}

static int makes_an_interface(void)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP };

	return refused(ioctl(0, TUNSETIFF, &ifr));
}

static int keeps_an_interface(void)
{
	return refused(ioctl(0, TUNSETPERSIST, 1));
}

static int names_an_interface(void)
{
	struct ifreq ifr = { 0 };

	return refused(ioctl(0, SIOCSIFNAME, &ifr));
}

static int speaks_ip(void)
{
	return refused(socket(AF_INET, SOCK_STREAM, 0));
}

static int listens_to_the_wire(void)
{
	return refused(socket(AF_PACKET, SOCK_RAW, 0));
}

static int speaks_netlink(void)
{
	return refused(socket(AF_NETLINK, SOCK_RAW, 0));
}

static int makes_code(void)
{
	return refused(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED
			       ? -1
			       : 0);
}

static int runs_a_program(void)
{
	char *argv[] = { NULL };

	return execve("/bin/true", argv, argv) ? 1 : 2;
}

static int traces(void)
{
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL) ? 1 : 2;
}

static int forks(void)
{
	return refused(fork());
}

/* what it lives on */
static int works(void)
{
	int fd = eventfd(0, EFD_CLOEXEC), s = socket(AF_UNIX, SOCK_STREAM, 0);
	int memory = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/nonexistent" };

	if (fd < 0 || s < 0 || memory < 0 || ftruncate(memory, 4096) < 0)
		return 1;
	if (connect(s, (struct sockaddr *)&address, sizeof(address)) == 0 || errno != ENOENT)
		return 2;
	/* allowed, but it is no TAP */
	if (ioctl(fd, TUNSETOFFLOAD, 0ul) == 0 || errno == EPERM)
		return 3;
	return 0;
}

static const struct {
	const char *name;
	int (*fn)(void);
	int status;
} cases[] = {
	{ "opens_a_file", opens_a_file, 0 },
	{ "opens_tun", opens_tun, 0 },
	{ "makes_an_interface", makes_an_interface, 0 },
	{ "keeps_an_interface", keeps_an_interface, 0 },
	{ "names_an_interface", names_an_interface, 0 },
	{ "speaks_ip", speaks_ip, 0 },
	{ "listens_to_the_wire", listens_to_the_wire, 0 },
	{ "speaks_netlink", speaks_netlink, 0 },
	{ "makes_code", makes_code, 0 },
	{ "runs_a_program", runs_a_program, 128 + SIGSYS },
	{ "traces", traces, 128 + SIGSYS },
	{ "forks", forks, 0 },
	{ "works", works, 0 },
};

START_TEST(what_a_confined_one_can_do)
{
	int status = confined(cases[_i].fn);

	ck_assert_msg(status == cases[_i].status, "%s: %d", cases[_i].name, status);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("confine");
	TCase *tc = tcase_create("all");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_set_timeout(tc, 60);
	/* a sanitizer could not work under it */
	if (filter_works())
		tcase_add_loop_test(tc, what_a_confined_one_can_do, 0, (int)ARRAY_SIZE(cases));
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
