/* SPDX-License-Identifier: MIT */
/* What daemons say to a service manager: at a path, at a name without one, and to nobody. */
#include "config.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/manager.h"
#include "tests/support/unit.h"

static char dir[64];
static struct sockaddr_un addr;
static int manager;

static void setup(void)
{
	strcpy(dir, "/tmp/xenhost-manager-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(manager, 0);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

static void teardown(void)
{
	close(manager);
	if (addr.sun_path[0])
		unlink(addr.sun_path);
	ck_assert_int_eq(rmdir(dir), 0);
}

static void hears(const char *text)
{
	char buf[64] = "";
	ssize_t n = recv(manager, buf, sizeof(buf) - 1, MSG_DONTWAIT);

	ck_assert_int_eq(n, (ssize_t)strlen(text));
	ck_assert_str_eq(buf, text);
}

static void listen_at(size_t len)
{
	ck_assert_int_eq(bind(manager, (struct sockaddr *)&addr,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
			 0);
}

START_TEST(at_a_path)
{
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/notify", dir);
	listen_at(strlen(addr.sun_path) + 1);
	setenv("NOTIFY_SOCKET", addr.sun_path, 1);
	ck_assert_int_eq(manager_notify("READY=1"), 1);
	hears("READY=1");
	ck_assert_int_eq(manager_notify("STATUS=a\nSTOPPING=1"), 1);
	hears("STATUS=a\nSTOPPING=1");
}
END_TEST

START_TEST(without_a_path)
{
	char name[100];

	snprintf(name, sizeof(name), "@%s", dir);
	memcpy(addr.sun_path + 1, dir, strlen(dir));
	listen_at(1 + strlen(dir));
	setenv("NOTIFY_SOCKET", name, 1);
	ck_assert_int_eq(manager_notify("READY=1"), 1);
	hears("READY=1");
}
END_TEST

START_TEST(to_nobody)
{
	char name[200];

	ck_assert_int_eq(manager_notify("READY=1"), 0);
	setenv("NOTIFY_SOCKET", "", 1);
	ck_assert_int_eq(manager_notify("READY=1"), 0);
	setenv("NOTIFY_SOCKET", "/nowhere/notify", 1);
	ck_assert_int_eq(manager_notify("READY=1"), -ENOENT);
	setenv("NOTIFY_SOCKET", "vsock:2:1", 1);
	ck_assert_int_eq(manager_notify("READY=1"), -EAFNOSUPPORT);
	setenv("NOTIFY_SOCKET", "@", 1);
	ck_assert_int_eq(manager_notify("READY=1"), -EAFNOSUPPORT);
	memset(name, 'x', sizeof(name));
	name[0] = '/';
	name[sizeof(name) - 1] = '\0';
	setenv("NOTIFY_SOCKET", name, 1);
	ck_assert_int_eq(manager_notify("READY=1"), -ENAMETOOLONG);
}
END_TEST

static int watchdog(const char *usec, const char *pid, uint64_t *ret)
{
	setenv("WATCHDOG_USEC", usec, 1);
	if (pid)
		setenv("WATCHDOG_PID", pid, 1);
	else
		unsetenv("WATCHDOG_PID");
	return manager_watchdog(ret);
}

START_TEST(watchdogs)
{
	static const char *const bad[] = { "", "0", "-5", "5s", " ", "99999999999999999999" };
	uint64_t us = 7;
	char self[16];

	ck_assert_int_eq(manager_watchdog(&us), 0);
	ck_assert_int_eq(watchdog("3000", NULL, &us), 1);
	ck_assert_uint_eq(us, 3000);
	snprintf(self, sizeof(self), "%d", (int)getpid());
	ck_assert_int_eq(watchdog("4000", self, &us), 1);
	ck_assert_uint_eq(us, 4000);
	ck_assert_int_eq(watchdog("5000", "1", &us), 0); /* another process's */
	for (int i = 0; i < 6; i++) {
		ck_assert_int_eq(watchdog(bad[i], NULL, &us), -EINVAL);
		ck_assert_int_eq(watchdog("5000", bad[i], &us), -EINVAL);
	}
	ck_assert_uint_eq(us, 4000);
}
END_TEST

UNIT_MAIN_WITH("manager", setup, teardown, at_a_path, without_a_path, to_nobody, watchdogs)
