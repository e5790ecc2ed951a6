/* SPDX-License-Identifier: MIT */
/* Where the vmms that we start keep unpacked kernels. */
#ifndef TOOLS_KERNEL_CACHE_H
#define TOOLS_KERNEL_CACHE_H

#include <stddef.h>

#define KERNEL_CACHE_PATH_MAX 1024

/*
 * XENHOST_KERNEL_CACHE ("none": nowhere), else the service manager's folder for us, else the user's; makes what is
 * above it. 0 or -errno, -ENOENT: nowhere
 */
int kernel_cache(char *path, size_t size);

#endif
