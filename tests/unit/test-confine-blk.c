/* SPDX-License-Identifier: MIT */
/* What xenhost-blkbackd can open when it is confined: its journal once more, and nothing that has a name. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <check.h>

#include "backend/confine.h"
#include "blkbackd/vbd_filter.h"
#include "common/filter.h"
#include "tests/support/confined.h"

#define NOT_HERE 77

static int enter(void)
{
	return confine_self(&vbd_filter);
}

static int confined(int (*fn)(void))
{
	return confined_by(enter, fn);
}

static int opens_a_file(void)
{
	return open("/etc/passwd", O_RDONLY) == -1 && errno == EACCES ? 0 : 1;
}

static int opens_a_device(void)
{
	return open("/dev/zero", O_RDWR) == -1 && errno == EACCES ? 0 : 1;
}

static int makes_a_file(void)
{
	return open("/tmp/xenhost-test-confine", O_RDWR | O_CREAT, 0600) == -1 && errno == EACCES
		       ? 0
		       : 1;
}

/* the filter of system calls cannot see this one */
static int opens_by_uring(void)
{
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;

	if (io_uring_queue_init(4, &ring, 0) < 0)
		return NOT_HERE;
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_openat(sqe, AT_FDCWD, "/etc/passwd", O_RDONLY, 0);
	if (io_uring_submit_and_wait(&ring, 1) != 1 || io_uring_peek_cqe(&ring, &cqe) < 0)
		return 2;
	return cqe->res == -EACCES ? 0 : 1;
}

static int opens_the_journal(void)
{
	int fd = memfd_create("journal", MFD_CLOEXEC);
	char path[64];

	if (fd < 0)
		return 2;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDWR | O_CLOEXEC) >= 0 ? 0 : 1;
}

START_TEST(nothing_by_name)
{
	int r;

	ck_assert_int_eq(confined(opens_a_file), 0);
	ck_assert_int_eq(confined(opens_a_device), 0);
	ck_assert_int_eq(confined(makes_a_file), 0);
	r = confined(opens_by_uring);
	ck_assert(r == 0 || r == NOT_HERE);
}
END_TEST

START_TEST(the_journal)
{
	ck_assert_int_eq(confined(opens_the_journal), 0);
}
END_TEST

int main(void)
{
	Suite *s;
	TCase *tc;
	SRunner *sr;
	int failed;

	if (!filter_works()) {
		printf("a sanitizer's runtime would not work\n");
		return NOT_HERE;
	}
	s = suite_create("confine-blk");
	tc = tcase_create("all");
	sr = srunner_create(s);
	suite_add_tcase(s, tc);
	if (syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) > 0)
		tcase_add_test(tc, nothing_by_name);
	else
		printf("no landlock in this kernel: nothing_by_name was left out\n");
	tcase_add_test(tc, the_journal);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
