/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/support/bridged.h"

char bridged_rundir[TEMPDIR_SIZE];
struct test_daemon bridged;

static void start(const char *const *args)
{
	test_daemon_start(&bridged, BRIDGED_PROGRAM, bridged_rundir, args);
}

void bridged_setup(void)
{
	tempdir_make(bridged_rundir);
	start(NULL);
}

void bridged_teardown(void)
{
	test_daemon_end(&bridged);
	tempdir_remove(bridged_rundir);
}

void bridged_restart(const char *const *args)
{
	test_daemon_end(&bridged);
	start(args);
}

struct bridge_client *bridged_peer(const char *name)
{
	return peer_open(bridged_rundir, name);
}

xenhost_t *bridged_host(const char *name)
{
	xenhost_t *host;
	char uri[128];

	snprintf(uri, sizeof(uri), "bridge:%s/bridge/%s.sock", bridged_rundir, name);
	ck_assert_int_eq(xenhost_open(uri, 0, &host), 0);
	return host;
}

int bridged_raw_socket(const char *name)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/bridge/%s.sock", bridged_rundir, name);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

void bridged_expect_closed(int fd)
{
	char buf[64];
	ssize_t n = recv(fd, buf, sizeof(buf), 0);

	ck_assert(n == 0 || (n < 0 && errno == ECONNRESET));
	close(fd);
}

unsigned int bridged_open_files(struct bridge_client *fence)
{
	struct bridge_message m;
	unsigned int n = 0;
	char path[64];
	DIR *dir;

	ck_assert_int_eq(peer_query(fence, 0, &m), 0);
	bridge_message_fini(&m);
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)bridged.process.pid);
	dir = opendir(path);
	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}
