/* SPDX-License-Identifier: MIT */
/* A folder for one test; removed with what is in it. */
#ifndef TESTS_SUPPORT_TEMPDIR_H
#define TESTS_SUPPORT_TEMPDIR_H

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* as long as a socket's path may be, with room for the name */
#define TEMPDIR_SIZE 64

static inline void tempdir_make(char path[TEMPDIR_SIZE])
{
	strcpy(path, "/tmp/xenhost-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(path));
}

static inline int tempdir_remove_one(const char *path, const struct stat *st, int type,
				     struct FTW *ftw)
{
	return remove(path);
}

static inline void tempdir_remove(const char *path)
{
	ck_assert_int_eq(nftw(path, tempdir_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

#endif
