/* SPDX-License-Identifier: MIT */
/* Sockets of a run directory, its folders and its lock. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/listener.h"
#include "common/rundir.h"
#include "tests/support/unit.h"

static char rundir[] = "/tmp/test-listener.XXXXXX";
static char path[64], other[64];
static struct event_base *base;
static int conn = -1;

static void setup(void)
{
	strcpy(rundir + sizeof(rundir) - 7, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(rundir));
	snprintf(path, sizeof(path), "%s/a.sock", rundir);
	snprintf(other, sizeof(other), "%s/b.sock", rundir);
	base = event_base_new();
	ck_assert_ptr_nonnull(base);
}

static void teardown(void)
{
	event_base_free(base);
	ck_assert_int_eq(rmdir(rundir), 0); /* nothing stays */
}

static void on_connection(void *data, int fd)
{
	ck_assert_ptr_eq(data, &conn);
	conn = fd;
	event_base_loopbreak(base);
}

static int make_socket(const char *at, int type, bool listens)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	strcpy(addr.sun_path, at);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	if (listens)
		ck_assert_int_eq(listen(fd, 5), 0);
	return fd;
}

static int dial(const char *at)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	strcpy(addr.sun_path, at);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static void takes_a_connection(void)
{
	int fd = dial(path);

	ck_assert_int_eq(event_base_dispatch(base), 0);
	ck_assert_int_ge(conn, 0);
	ck_assert_int_ne(fcntl(conn, F_GETFL) & O_NONBLOCK, 0);
	ck_assert_int_ne(fcntl(conn, F_GETFD) & FD_CLOEXEC, 0);
	close(conn);
	conn = -1;
	close(fd);
}

/* in place of what a killed one left, open to the group, and gone at the end */
START_TEST(own_socket)
{
	struct listener *l;
	struct stat st;

	close(make_socket(path, SOCK_SEQPACKET, true));
	ck_assert_int_eq(listener_new(base, path, -1, on_connection, &conn, &l), 0);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0660);
	takes_a_connection();
	ck_assert_ptr_null(listener_free(l));
	ck_assert_int_lt(access(path, F_OK), 0);
}
END_TEST

/* systemd made the file, so it stays */
START_TEST(passed_socket)
{
	struct listener *l;

	ck_assert_int_eq(listener_new(base, path, make_socket(path, SOCK_SEQPACKET, true),
				      on_connection, &conn, &l),
			 0);
	takes_a_connection();
	listener_free(l);
	ck_assert_int_eq(unlink(path), 0);
}
END_TEST

/* A unit that is wrong would let others in than those that the name says. */
START_TEST(wrong_sockets)
{
	struct listener *l = NULL;
	int fd = make_socket(other, SOCK_SEQPACKET, true);

	ck_assert_int_eq(listener_new(base, path, fd, on_connection, &conn, &l), -EINVAL);
	ck_assert_int_lt(fcntl(fd, F_GETFD), 0); /* closed */
	ck_assert_int_eq(unlink(other), 0);
	fd = make_socket(path, SOCK_STREAM, true);
	ck_assert_int_eq(listener_new(base, path, fd, on_connection, &conn, &l), -EINVAL);
	ck_assert_int_eq(unlink(path), 0);
	fd = make_socket(path, SOCK_SEQPACKET, false);
	ck_assert_int_eq(listener_new(base, path, fd, on_connection, &conn, &l), -EINVAL);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_ptr_null(l);
}
END_TEST

START_TEST(impossible_paths)
{
	struct listener *l = NULL;
	char longest[300];

	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	ck_assert_int_eq(listener_new(base, longest, -1, on_connection, NULL, &l), -ENAMETOOLONG);
	ck_assert_int_eq(listener_new(base, "/nowhere/a", -1, on_connection, NULL, &l), -ENOENT);
	ck_assert_int_eq(mkdir(path, 0700), 0); /* is not removed for it */
	ck_assert_int_lt(listener_new(base, path, -1, on_connection, NULL, &l), 0);
	ck_assert_int_eq(rmdir(path), 0);
	ck_assert_ptr_null(l);
}
END_TEST

START_TEST(folders_and_lock)
{
	char sub[64], deeper[80], lock[80];
	struct stat st;
	int fd = -1, second = -1;

	snprintf(sub, sizeof(sub), "%s/run", rundir);
	snprintf(deeper, sizeof(deeper), "%s/x", sub);
	snprintf(lock, sizeof(lock), "%s/x/lock", sub);
	umask(0);
	ck_assert_int_eq(rundir_make(sub, "x", 0750), 0);
	ck_assert_int_eq(rundir_make(sub, "x", 0755), 0); /* as it is */
	ck_assert_int_eq(stat(deeper, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0750);
	ck_assert_int_eq(rundir_make("/nowhere/run", "x", 0750), -ENOENT);
	ck_assert_int_eq(rundir_lock(sub, "x/lock", "one", &fd), 0);
	ck_assert_int_eq(rundir_lock(sub, "x/lock", "one", &second), -EBUSY);
	ck_assert_int_eq(second, -1);
	close(fd);
	ck_assert_int_eq(rundir_lock(sub, "x/lock", "one", &second), 0);
	close(second);
	ck_assert_int_eq(rundir_lock(sub, "y/lock", "one", &second), -ENOENT);
	ck_assert_int_eq(unlink(lock) + rmdir(deeper) + rmdir(sub), 0);
}
END_TEST

UNIT_MAIN_WITH("listener", setup, teardown, own_socket, passed_socket, wrong_sockets,
	       impossible_paths, folders_and_lock)
