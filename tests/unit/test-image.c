/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <check.h>

#include "blkbackd/image.h"

static char dir[64], path[96];

static void setup(void)
{
	const char *tmp = getenv("TMPDIR");
	int fd;

	snprintf(dir, sizeof(dir), "%.40s/xhimageXXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/disk", dir);
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, 512 * 100), 0);
	close(fd);
}

static void teardown(void)
{
	unlink(path);
	rmdir(dir);
}

static int open_image(const char *name, bool readonly, struct image **ret_image)
{
	int fd = open(name, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	return image_adopt(name, fd, readonly, 0, ret_image);
}

static void resize(off_t bytes)
{
	ck_assert_int_eq(truncate(path, bytes), 0);
}

START_TEST(opens_a_file)
{
	struct image *img = NULL;

	ck_assert_int_eq(open_image(path, false, &img), 0);
	ck_assert_uint_eq(img->sectors, 100);
	ck_assert_uint_eq(img->sector_size, 512);
	ck_assert_uint_eq(img->physical_size, 512);
	ck_assert(!img->readonly && !img->is_device);
	ck_assert_str_eq(img->path, path);
	ck_assert_int_eq(fcntl(img->fd, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(fcntl(img->fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_RDWR);
	ck_assert_ptr_null(image_close(img));
	ck_assert_ptr_null(image_close(NULL));
}
END_TEST

/* a medium that is memory is read at once, any other by io_uring */
START_TEST(in_memory)
{
	int fd = memfd_create("image", MFD_CLOEXEC);
	struct image *img = NULL;

	ck_assert_int_eq(ftruncate(fd, 512 * 100), 0);
	ck_assert_int_eq(image_adopt("memory", fd, false, 0, &img), 0);
	ck_assert(img->immediate);
	ck_assert_uint_eq(img->sectors, 100);
	image_close(img);
}
END_TEST

START_TEST(null_disk)
{
	struct image *img = NULL;
	uint64_t sectors;

	ck_assert_int_eq(image_null("8M", false, &img), 0);
	ck_assert_uint_eq(img->sectors, 16384);
	ck_assert_int_eq(img->fd, -1);
	ck_assert_int_eq(image_size(img, &sectors), 0);
	ck_assert_uint_eq(sectors, 16384);
	image_set_direct(img);
	image_close(img);
	ck_assert_int_eq(image_null("", false, &img), -EINVAL);
	ck_assert_int_eq(image_null("100", false, &img), -EINVAL);
	ck_assert_int_eq(image_null("x", false, &img), -EINVAL);
}
END_TEST

START_TEST(other_sectors)
{
	struct image *img = NULL;
	uint64_t sectors;

	ck_assert_int_eq(open_image(path, false, &img), 0);
	ck_assert_int_eq(image_set_sector_size(img, 1024, 1024), -EINVAL);
	ck_assert_int_eq(image_set_sector_size(img, 4096, 512), -EINVAL);
	ck_assert_int_eq(image_set_sector_size(img, 512, 3000), -EINVAL);
	ck_assert_int_eq(image_set_sector_size(img, 4096, 8192), 0);
	/* 100 sectors are 12 of these */
	ck_assert_uint_eq(img->sectors, 96);
	ck_assert_int_eq(image_size(img, &sectors), 0);
	ck_assert_uint_eq(sectors, 96);
	resize(512 * 200);
	ck_assert_int_eq(image_size(img, &sectors), 0);
	ck_assert_uint_eq(sectors, 200);
	image_close(img);
}
END_TEST

START_TEST(gives_space_back)
{
	struct image *img = NULL;
	uint8_t buf[8192];

	memset(buf, 0x55, sizeof(buf));
	ck_assert_int_eq(open_image(path, false, &img), 0);
	ck_assert(img->discard && img->discard_granularity >= 512);
	ck_assert_int_eq(pwrite(img->fd, buf, sizeof(buf), 0), sizeof(buf));
	ck_assert_int_eq(image_discard(img, 4096, 4096), 0);
	ck_assert_int_eq(pread(img->fd, buf, sizeof(buf), 0), sizeof(buf));
	ck_assert_uint_eq(buf[4095], 0x55);
	ck_assert_uint_eq(buf[4096], 0);
	image_close(img);
	/* and one that may not be written does not offer it */
	ck_assert_int_eq(open_image(path, true, &img), 0);
	ck_assert(!img->discard);
	image_close(img);
}
END_TEST

START_TEST(readonly_cannot_write)
{
	struct image *img = NULL;

	ck_assert_int_eq(open_image(path, true, &img), 0);
	ck_assert(img->readonly);
	ck_assert_int_eq(write(img->fd, "x", 1), -1);
	ck_assert_int_eq(errno, EBADF);
	image_close(img);
}
END_TEST

START_TEST(a_rest_of_a_sector_is_not_there)
{
	struct image *img = NULL;

	resize(512 * 3 + 511);
	ck_assert_int_eq(open_image(path, false, &img), 0);
	ck_assert_uint_eq(img->sectors, 3);
	image_close(img);
	resize(511);
	ck_assert_int_eq(open_image(path, false, &img), -EINVAL);
	resize(0);
	ck_assert_int_eq(open_image(path, false, &img), -EINVAL);
}
END_TEST

START_TEST(refuses_what_is_no_disk)
{
	struct image *img = NULL;
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	ck_assert_int_eq(image_adopt("/dev/null", fd, false, 0, &img), -ENOTBLK);
	/* it was taken over all the same */
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
	ck_assert_ptr_null(img);
}
END_TEST

START_TEST(errors_have_words)
{
	ck_assert_ptr_nonnull(strstr(image_strerror(-ENOTBLK), "block device"));
	ck_assert_ptr_nonnull(strstr(image_strerror(-EINVAL), "sector"));
	ck_assert_str_eq(image_strerror(-ENOENT), strerror(ENOENT));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("image");
	TCase *tc = tcase_create("all");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, opens_a_file);
	tcase_add_test(tc, readonly_cannot_write);
	tcase_add_test(tc, a_rest_of_a_sector_is_not_there);
	tcase_add_test(tc, refuses_what_is_no_disk);
	tcase_add_test(tc, errors_have_words);
	tcase_add_test(tc, in_memory);
	tcase_add_test(tc, null_disk);
	tcase_add_test(tc, other_sectors);
	tcase_add_test(tc, gives_space_back);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
