/* SPDX-License-Identifier: MIT */
/* A file's content as memory, to be read. */
#ifndef COMMON_FILEMAP_H
#define COMMON_FILEMAP_H

#include <stddef.h>

/* 0, or -errno: -ENODATA when it is empty. munmap() ends it */
int filemap_read(const char *path, char **ret_data, size_t *ret_len);

#endif
