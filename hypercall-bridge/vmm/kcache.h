/* SPDX-License-Identifier: MIT */
/*
 * Kernels that were unpacked before, kept in a folder: a later start of a guest maps them instead.
 *
 * An entry's name is which file it was made of: device, inode, size, times of its last write and change. An entry is
 * whole or not there: it is written without a name, synced, then linked; nobody changes it. Who may write to the
 * folder decides what guests run, so neither a folder nor an entry to which others than us and root may write is
 * used. A file that changed a moment ago is not kept: it could change again and look the same. At most
 * KCACHE_MAX entries; the one that was used the longest ago goes first.
 */
#ifndef HYPERCALL_BRIDGE_VMM_KCACHE_H
#define HYPERCALL_BRIDGE_VMM_KCACHE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#define KCACHE_MAX 8

/* Opens the folder, makes it if it is not there (but not those above it). A descriptor or -errno; -EPERM: not safe */
int kcache_open(const char *dir);

/* The kernel that was unpacked of this file, mapped for reading; the caller's to unmap. 0, -ENOENT, -errno */
int kcache_get(int folder, const struct stat *packed, uint8_t **ret, size_t *ret_size);

/* 0, -EAGAIN (the file has just been changed), -errno */
int kcache_put(int folder, const struct stat *packed, const uint8_t *bytes, size_t size);

#endif
