/* SPDX-License-Identifier: MIT */
/* What xenhost-opend can do when it serves, and what it cannot. Each in a process of its own. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/openat2.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/filter.h"
#include "opend/opend_filter.h"
#include "tests/support/confined.h"
#include "tests/support/unit.h"

static int enter(void)
{
	return filter_enter(&opend_filter);
}

static int confined(int (*fn)(void))
{
	return confined_by(enter, fn);
}

static int makes_a_folder(void)
{
	return refused(mkdir("/tmp/xenhost-opend-filter", 0700));
}

static int changes_a_mode(void)
{
	return refused(chmod("/dev/null", 0666));
}

static int mounts(void)
{
	return refused(mount("none", "/mnt", "tmpfs", 0, NULL));
}

static int keeps_an_interface(void)
{
	return refused(ioctl(0, TUNSETPERSIST, 1));
}

static int listens_to_the_wire(void)
{
	return refused(socket(AF_PACKET, SOCK_RAW, 0));
}

static int sends_raw_packets(void)
{
	return refused(socket(AF_INET, SOCK_RAW, 1));
}

static int speaks_other_netlink(void)
{
	return refused(socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC));
}

static int makes_a_listener(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return fd < 0 ? 2 : refused(listen(fd, 1));
}

static int kills(void)
{
	return refused(kill(getppid(), 0));
}

static int forks(void)
{
	return refused(fork());
}

static int runs_a_program(void)
{
	char *argv[] = { NULL };

	return execve("/bin/true", argv, argv) ? 1 : 2;
}

/* what it lives on */
static int works(void)
{
	const struct open_how how = { .flags = O_PATH | O_CLOEXEC };
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
	long found = syscall(SYS_openat2, AT_FDCWD, "/dev/null", &how, sizeof(how));
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (found < 0 || fd < 0 || fcntl(fd, F_SETFL, 0) < 0 || fcntl(fd, F_OFD_SETLK, &lock) < 0)
		return 1;
	if (socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) < 0 ||
	    socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) < 0 ||
	    socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE) < 0)
		return 2;
	if (if_nametoindex("lo") == 0)
		return 4;
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
	{ "makes_a_folder", makes_a_folder, 0 },
	{ "changes_a_mode", changes_a_mode, 0 },
	{ "mounts", mounts, 0 },
	{ "keeps_an_interface", keeps_an_interface, 0 },
	{ "listens_to_the_wire", listens_to_the_wire, 0 },
	{ "sends_raw_packets", sends_raw_packets, 0 },
	{ "speaks_other_netlink", speaks_other_netlink, 0 },
	{ "makes_a_listener", makes_a_listener, 0 },
	{ "kills", kills, 0 },
	{ "forks", forks, 0 },
	{ "runs_a_program", runs_a_program, 128 + SIGSYS },
	{ "works", works, 0 },
};

/* a sanitizer could not work under it */
START_TEST(what_it_can_do)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases) && filter_works(); i++) {
		int status = confined(cases[i].fn);

		ck_assert_msg(status == cases[i].status, "%s: %d", cases[i].name, status);
	}
}
END_TEST

UNIT_MAIN("opend-filter", what_it_can_do)
