/* SPDX-License-Identifier: MIT */
/* Unpacked kernels that are kept: what is found again, what is not, and whose folders and entries are not trusted. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "hypercall-bridge/vmm/kcache.h"
#include "tests/support/unit.h"

#define SIZE (200u * 4096 + 100)

static char dir[64], path[96];
static int folder;
static uint8_t kernel[SIZE];
static struct stat packed; /* of the file that it was made of */

static void setup(void)
{
	strcpy(dir, "/tmp/xenhost-kcache-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/kernels", dir);
	folder = kcache_open(path);
	ck_assert_int_ge(folder, 0);
	memset(kernel, 0, sizeof(kernel));
	memset(kernel, 1, 4096);
	memset(kernel + 100 * 4096 + 50, 2, 4096);
	memset(kernel + SIZE - 10, 3, 10);
	packed = (struct stat){ .st_dev = 1,
				.st_ino = 2,
				.st_size = 3,
				.st_mtim = { 4, 5 },
				.st_ctim = { time(NULL) - 60, 7 } };
}

/* calls fn with the name of each entry; how many there are */
static int entries(void (*fn)(const char *name))
{
	DIR *d = opendir(path);
	struct dirent *e;
	int n = 0;

	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		n++;
		if (fn)
			fn(e->d_name);
	}
	closedir(d);
	return n;
}

static void remove_entry(const char *name)
{
	ck_assert_int_eq(unlinkat(folder, name, 0), 0);
}

static void teardown(void)
{
	entries(remove_entry);
	close(folder);
	ck_assert_int_eq(rmdir(path), 0);
	ck_assert_int_eq(rmdir(dir), 0);
}

static int get(void)
{
	uint8_t *bytes = NULL;
	size_t size = 0;
	int r = kcache_get(folder, &packed, &bytes, &size);

	if (r < 0) {
		ck_assert_ptr_null(bytes);
		return r;
	}
	ck_assert_uint_eq(size, SIZE);
	ck_assert_mem_eq(bytes, kernel, SIZE);
	munmap(bytes, size);
	return r;
}

static int put(void)
{
	return kcache_put(folder, &packed, kernel, sizeof(kernel));
}

START_TEST(found_again)
{
	ck_assert_int_eq(get(), -ENOENT);
	ck_assert_int_eq(put(), 0);
	ck_assert_int_eq(get(), 0);
	ck_assert_int_eq(put(), -EEXIST);
	ck_assert_int_eq(get(), 0);
	ck_assert_int_eq(entries(NULL), 1);
}
END_TEST

/* a file that differs in anything is another one */
START_TEST(another_file)
{
	struct stat same = packed, others[7];

	for (int i = 0; i < 7; i++)
		others[i] = packed;
	others[0].st_dev++;
	others[1].st_ino++;
	others[2].st_size++;
	others[3].st_mtim.tv_sec++;
	others[4].st_mtim.tv_nsec++;
	others[5].st_ctim.tv_sec--;
	others[6].st_ctim.tv_nsec++;
	ck_assert_int_eq(put(), 0);
	for (int i = 0; i < 7; i++) {
		packed = others[i];
		ck_assert_int_eq(get(), -ENOENT);
	}
	packed = same;
	ck_assert_int_eq(get(), 0);
}
END_TEST

/* it may change once more within the same tick of its file system's clock */
START_TEST(changed_just_now)
{
	packed.st_ctim.tv_sec = time(NULL);
	ck_assert_int_eq(put(), -EAGAIN);
	packed.st_ctim.tv_sec = time(NULL) + 3600;
	ck_assert_int_eq(put(), -EAGAIN);
	ck_assert_int_eq(entries(NULL), 0);
}
END_TEST

static void chmod_entry(const char *name)
{
	ck_assert_int_eq(fchmodat(folder, name, 0620, 0), 0);
}

static void make_fifo(const char *name)
{
	remove_entry(name);
	ck_assert_int_eq(mkfifoat(folder, name, 0600), 0);
}

static void make_link(const char *name)
{
	ck_assert_int_eq(renameat(folder, name, folder, "other"), 0);
	ck_assert_int_eq(symlinkat("other", folder, name), 0);
}

static void make_empty(const char *name)
{
	remove_entry(name);
	close(openat(folder, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0400));
}

START_TEST(entries_not_trusted)
{
	static void (*const changes[])(const char *) = { chmod_entry, make_fifo, make_link,
							 make_empty };

	for (size_t i = 0; i < 4; i++) {
		ck_assert_int_eq(put(), 0);
		ck_assert_int_eq(get(), 0);
		entries(changes[i]);
		ck_assert_int_lt(get(), 0);
		entries(remove_entry);
	}
}
END_TEST

START_TEST(folders_not_trusted)
{
	static const mode_t modes[] = { 0720, 0702, 01777 };
	char link[96];

	for (size_t i = 0; i < 3; i++) {
		ck_assert_int_eq(chmod(path, modes[i]), 0);
		ck_assert_int_eq(kcache_open(path), -EPERM);
	}
	ck_assert_int_eq(chmod(path, 0755), 0);
	snprintf(link, sizeof(link), "%s/link", dir);
	ck_assert_int_eq(symlink(path, link), 0);
	ck_assert_int_lt(kcache_open(link), 0);
	unlink(link);
	ck_assert_int_eq(kcache_open("/nowhere/kernels"), -ENOENT);
	ck_assert_int_eq(kcache_open("/dev/null"), -ENOTDIR);
}
END_TEST

/* other's: only root can make such a thing */
START_TEST(folder_of_another)
{
	if (geteuid() != 0)
		return;
	ck_assert_int_eq(chown(path, 12345, 12345), 0);
	ck_assert_int_eq(kcache_open(path), -EPERM);
}
END_TEST

static struct timespec age;

static void make_old(const char *name)
{
	const struct timespec times[2] = { age, age };
	struct stat st;

	ck_assert_int_eq(fstatat(folder, name, &st, 0), 0);
	if (st.st_mtim.tv_sec > 1000)
		ck_assert_int_eq(utimensat(folder, name, times, 0), 0);
}

/* the one that was not used for the longest time goes */
START_TEST(not_too_many)
{
	for (int i = 0; i < KCACHE_MAX; i++) {
		packed.st_ino = (ino_t)i;
		ck_assert_int_eq(put(), 0);
		age.tv_sec = 100 + i;
		entries(make_old);
	}
	packed.st_ino = 0;
	ck_assert_int_eq(get(), 0); /* not the oldest any more */
	for (int i = 0; i < KCACHE_MAX - 1; i++) {
		packed.st_ino = 100 + (ino_t)i;
		ck_assert_int_eq(put(), 0);
		ck_assert_int_eq(entries(NULL), KCACHE_MAX);
		packed.st_ino = 1 + (ino_t)i;
		ck_assert_int_eq(get(), -ENOENT);
	}
	packed.st_ino = 0;
	ck_assert_int_eq(get(), 0);
}
END_TEST

static void check_entry(const char *name)
{
	struct stat st;

	ck_assert_int_eq(fstatat(folder, name, &st, 0), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0400);
	ck_assert_int_eq(st.st_size, SIZE);
	ck_assert_int_lt(st.st_blocks * 512, SIZE / 4);
}

/* nearly half of a kernel is zero */
START_TEST(zeroes_take_no_room)
{
	ck_assert_int_eq(put(), 0);
	entries(check_entry);
}
END_TEST

UNIT_MAIN_WITH("kcache", setup, teardown, found_again, another_file, changed_just_now,
	       entries_not_trusted, folders_not_trusted, folder_of_another, not_too_many,
	       zeroes_take_no_room)
