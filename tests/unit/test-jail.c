/* SPDX-License-Identifier: MIT */
/* What a program that we start for an image can still do: read and write what was named, and little else. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/unit.h"
#include "tools/jail.h"

static char folder[64], image[96], below[96], other[96];

static void make(char *path, size_t size, const char *name)
{
	int fd;

	snprintf(path, size, "%s/%s", folder, name);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, 100), 0);
	close(fd);
}

static void setup(void)
{
	strcpy(folder, "/tmp/xenhost-jail-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	make(image, sizeof(image), "image");
	make(below, sizeof(below), "below");
	make(other, sizeof(other), "other");
}

static void teardown(void)
{
	unlink(image);
	unlink(below);
	unlink(other);
	rmdir(folder);
}

static int opens(const char *path, int flags)
{
	int fd = open(path, flags);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static int error_of(long r)
{
	return r < 0 ? errno : 0;
}

/* in a process of its own: the line that did not hold, or 0 */
static int try_all(const struct jail *j)
{
	struct stat st;

	if (jail_enter(j) < 0)
		return __LINE__;
	if (j->files >= 0) { /* else the kernel has no Landlock */
		if (opens(image, O_RDWR) != 0 || opens(below, O_RDONLY) != 0)
			return __LINE__;
		if (opens(below, O_RDWR) != EACCES || opens(other, O_RDONLY) != EACCES)
			return __LINE__;
		if (opens("/etc/passwd", O_RDONLY) != EACCES)
			return __LINE__;
		if (error_of(unlink(image)) != EACCES)
			return __LINE__;
	}
	if (error_of(truncate(other, 0)) != EPERM || error_of(chmod(other, 0777)) != EPERM)
		return __LINE__;
	if (stat(other, &st) < 0 || st.st_size != 100)
		return __LINE__;
	if (error_of(socket(AF_INET, SOCK_STREAM, 0)) != EPERM)
		return __LINE__;
	if (error_of(socket(AF_UNIX, SOCK_STREAM, 0)) != EPERM)
		return __LINE__;
	if (error_of(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL)) != EPERM)
		return __LINE__;
	if (error_of(syscall(SYS_unshare, 0)) != EPERM)
		return __LINE__;
	if (opens("/usr/bin/env", O_RDONLY) != 0)
		return __LINE__;
	return 0;
}

START_TEST(test_jail)
{
	struct jail j;
	int status;
	pid_t pid;

	ck_assert_int_eq(jail_new(&j), 0);
	ck_assert_int_eq(jail_allow(&j, image, true), 0);
	ck_assert_int_eq(jail_allow(&j, below, false), 0);
	if (j.files >= 0)
		ck_assert_int_eq(jail_allow(&j, "/nowhere", false), -ENOENT);
	pid = fork();
	if (pid == 0)
		_exit(try_all(&j));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(status == 0, "line %d", WEXITSTATUS(status));
	jail_free(&j);
}
END_TEST

UNIT_MAIN_WITH("jail", setup, teardown, test_jail)
