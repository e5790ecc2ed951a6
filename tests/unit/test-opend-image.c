/* SPDX-License-Identifier: MIT */
/* What OPEN_IMAGE gives and what it refuses. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "opend/opend.h"
#include "tests/support/unit.h"

static char dir[64], path[96], other[96];
static struct conf conf;
static struct result result;

int result_error(struct result *res, int error, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(res->text, sizeof(res->text), fmt, ap);
	va_end(ap);
	return error;
}

static void setup(void)
{
	const char *tmp = getenv("TMPDIR");
	char text[256], base[48];
	struct conf_mistake m;
	int fd;

	/* without a symbolic link in it */
	ck_assert_ptr_nonnull(realpath(tmp ? tmp : "/tmp", text));
	snprintf(base, sizeof(base), "%.40s", text);
	snprintf(dir, sizeof(dir), "%s/xhopendXXXXXX", base);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/disk", dir);
	snprintf(other, sizeof(other), "%s/other", dir);
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, 4096), 0);
	close(fd);
	snprintf(text, sizeof(text),
		 "[service a]\nwritable = %s/\nwritable = /dev/\n[service r]\nreadonly = %s/*\n",
		 dir, dir);
	conf.any = false;
	ck_assert_int_eq(conf_parse(&conf, text, strlen(text), &m), 0);
}

static void teardown(void)
{
	unlink(path);
	unlink(other);
	rmdir(dir);
}

/* the error, or the descriptor */
static int ask(const char *service, const char *name, bool writable)
{
	const struct open_request request = {
		.op = OPEN_IMAGE,
		.flags = writable ? OPEN_WRITABLE : 0,
		.nr_strings = 1,
		.strings = { name },
	};
	int r;

	memset(&result, 0, sizeof(result));
	r = image_op(&conf, service, &request, &result);
	if (r < 0) {
		ck_assert_uint_eq(result.nr_fds, 0);
		ck_assert_str_ne(result.text, "");
		return r;
	}
	ck_assert_uint_eq(result.nr_fds, 1);
	return result.fds[0];
}

START_TEST(opens_a_file)
{
	int fd = ask("a", path, true);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_RDWR);
	close(fd);
	fd = ask("a", path, false);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_RDONLY);
	close(fd);
}
END_TEST

START_TEST(for_whom)
{
	int fd;

	ck_assert_int_eq(ask("r", path, true), -EPERM);
	fd = ask("r", path, false);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "x", 1), -1);
	close(fd);
	ck_assert_int_eq(ask("b", path, false), -EPERM);
	ck_assert_int_eq(ask("a", "/etc/passwd", false), -EPERM);
	conf.any = true;
	fd = ask("b", "/etc/passwd", false);
	ck_assert_int_ge(fd, 0);
	close(fd);
}
END_TEST

START_TEST(locks)
{
	int a = ask("a", path, true), b;

	ck_assert_int_ge(a, 0);
	ck_assert_int_eq(ask("a", path, true), -EBUSY);
	ck_assert_int_eq(ask("a", path, false), -EBUSY);
	close(a);
	a = ask("a", path, false);
	b = ask("a", path, false);
	ck_assert_int_ge(a, 0);
	ck_assert_int_ge(b, 0);
	close(b);
	ck_assert_int_eq(ask("a", path, true), -EBUSY);
	close(a);
	/* it goes with the last descriptor of it, whoever has that */
	a = ask("a", path, true);
	b = fcntl(a, F_DUPFD_CLOEXEC, 0);
	close(a);
	ck_assert_int_eq(ask("a", path, true), -EBUSY);
	close(b);
	a = ask("a", path, true);
	ck_assert_int_ge(a, 0);
	close(a);
}
END_TEST

START_TEST(no_disks)
{
	ck_assert_int_eq(mkfifo(other, 0600), 0);
	ck_assert_int_eq(ask("a", other, false), -ENOTBLK);
	ck_assert_int_eq(ask("a", other, true), -ENOTBLK);
	unlink(other);
	ck_assert_int_eq(mkdir(other, 0700), 0);
	ck_assert_int_eq(ask("a", other, false), -ENOTBLK);
	rmdir(other);
	ck_assert_int_eq(ask("a", "/dev/null", true), -ENOTBLK);
	ck_assert_int_eq(ask("a", other, true), -ENOENT);
	ck_assert_int_eq(ask("a", "disk", true), -EINVAL);
	ck_assert_int_eq(ask("a", "", true), -EINVAL);
}
END_TEST

START_TEST(links)
{
	char name[128];

	/* out of the folder, to something in it, as a folder on the way */
	ck_assert_int_eq(symlink("/etc/passwd", other), 0);
	ck_assert_int_eq(ask("a", other, false), -ELOOP);
	unlink(other);
	ck_assert_int_eq(symlink("disk", other), 0);
	ck_assert_int_eq(ask("a", other, false), -ELOOP);
	unlink(other);
	ck_assert_int_eq(symlink("/etc", other), 0);
	snprintf(name, sizeof(name), "%s/passwd", other);
	ck_assert_int_eq(ask("a", name, false), -ELOOP);
	snprintf(name, sizeof(name), "%s/../disk", other);
	ck_assert_int_eq(ask("a", name, false), -EINVAL);
	/* /dev/fd leads to /proc */
	ck_assert_int_eq(ask("a", "/dev/fd/0", false), -EXDEV);
	/* who may do everything may follow */
	conf.any = true;
	snprintf(name, sizeof(name), "%s/passwd", other);
	ck_assert_int_ge(ask("a", name, false), 0);
	close(result.fds[0]);
}
END_TEST

UNIT_MAIN_WITH("opend-image", setup, teardown, opens_a_file, for_whom, locks, no_disks, links)
