/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "hypercall-bridge/vmm/kcache.h"

#define PREFIX "kernel-"
#define NAME_SIZE 160
#define BLOCK 4096u
/* file systems' clocks are coarse; those of other machines, whose files we may see, coarser */
#define SETTLED_S 5
#define OTHERS_WRITE (S_IWGRP | S_IWOTH)

static void closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

static bool is_ours(const struct stat *st)
{
	return (st->st_uid == geteuid() || st->st_uid == 0) && !(st->st_mode & OTHERS_WRITE);
}

int kcache_open(const char *dir)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	return is_ours(&st) ? steal_fd(&fd) : -EPERM;
}

static void entry_name(const struct stat *st, char name[NAME_SIZE])
{
	snprintf(name, NAME_SIZE, PREFIX "%llx-%llx-%llx-%llx.%lx-%llx.%lx",
		 (unsigned long long)st->st_dev, (unsigned long long)st->st_ino,
		 (unsigned long long)st->st_size, (unsigned long long)st->st_mtim.tv_sec,
		 (unsigned long)st->st_mtim.tv_nsec, (unsigned long long)st->st_ctim.tv_sec,
		 (unsigned long)st->st_ctim.tv_nsec);
}

int kcache_get(int folder, const struct stat *packed, uint8_t **ret, size_t *ret_size)
{
	_cleanup_close_ int fd = -1;
	char name[NAME_SIZE];
	struct stat st;
	void *p;

	entry_name(packed, name);
	fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!is_ours(&st) || !S_ISREG(st.st_mode) || st.st_size <= 0)
		return -EPERM;
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	(void)futimens(fd, NULL); /* used now; root's entries stay as old as they are */
	*ret = p;
	*ret_size = (size_t)st.st_size;
	return 0;
}

static bool has_settled(const struct stat *st)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return st->st_ctim.tv_sec + SETTLED_S <= now.tv_sec;
}

static bool is_zero(const uint8_t *bytes, size_t len)
{
	return bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0;
}

static int write_all(int fd, const uint8_t *bytes, size_t size, size_t at)
{
	while (size) {
		ssize_t n = pwrite(fd, bytes + at, size, (off_t)at);

		if (n < 0)
			return -errno;
		at += (size_t)n;
		size -= (size_t)n;
	}
	return 0;
}

/* nearly half of a kernel is zero */
static int write_sparse(int fd, const uint8_t *bytes, size_t size)
{
	int r = ftruncate(fd, (off_t)size) < 0 ? -errno : 0;

	for (size_t at = 0; r == 0 && at < size; at += BLOCK) {
		size_t len = size - at < BLOCK ? size - at : BLOCK;

		if (!is_zero(bytes + at, len))
			r = write_all(fd, bytes, len, at);
	}
	return r;
}

static bool is_older(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_nsec < b->tv_nsec;
}

/* how many there are, and the one that was used the longest ago */
static unsigned int find_oldest(int folder, DIR *d, char oldest[NAME_SIZE])
{
	struct timespec least = { 0 };
	unsigned int nr = 0;
	struct dirent *e;
	struct stat st;

	while ((e = readdir(d))) {
		if (strncmp(e->d_name, PREFIX, strlen(PREFIX)) != 0 ||
		    fstatat(folder, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (nr++ && !is_older(&st.st_mtim, &least))
			continue;
		least = st.st_mtim;
		snprintf(oldest, NAME_SIZE, "%.*s", NAME_SIZE - 1, e->d_name);
	}
	return nr;
}

static void make_place(int folder)
{
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(closedirp) DIR *d = fdopendir(fd);
	char oldest[NAME_SIZE];

	if (!d)
		closep(&fd);
	else if (find_oldest(folder, d, oldest) >= KCACHE_MAX)
		(void)unlinkat(folder, oldest, 0);
}

int kcache_put(int folder, const struct stat *packed, const uint8_t *bytes, size_t size)
{
	_cleanup_close_ int fd = -1;
	char name[NAME_SIZE], self[32];
	int r;

	if (!has_settled(packed))
		return -EAGAIN;
	fd = openat(folder, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0400);
	if (fd < 0)
		return -errno;
	r = write_sparse(fd, bytes, size);
	if (r < 0)
		return r;
	if (fdatasync(fd) < 0)
		return -errno;
	make_place(folder);
	entry_name(packed, name);
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, self, folder, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}
