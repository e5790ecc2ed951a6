/* SPDX-License-Identifier: MIT */
/*
 * A file's content in memory of our own. The file itself is not mapped: whoever cut it short would end us (SIGBUS).
 */
#ifndef COMMON_FILEMAP_H
#define COMMON_FILEMAP_H

#include <stddef.h>

/* 0, or -errno: -ENODATA when it is empty. munmap() ends it */
int filemap_read(const char *path, char **ret_data, size_t *ret_len);

#endif
