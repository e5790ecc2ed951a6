/* SPDX-License-Identifier: MIT */
/* Linux boot header: where the compressed vmlinux of a bzImage is, and how it is packed. Pure. */
#ifndef HYPERCALL_BRIDGE_VMM_BZIMAGE_H
#define HYPERCALL_BRIDGE_VMM_BZIMAGE_H

#include <stddef.h>
#include <stdint.h>

#define BZIMAGE_UNPACKED_MAX (512u << 20)

enum bzimage_format {
	BZIMAGE_UNKNOWN,
	BZIMAGE_GZIP,
	BZIMAGE_XZ,
	BZIMAGE_ZSTD,
	BZIMAGE_LZ4,
	BZIMAGE_LZMA,
};

struct bzimage {
	enum bzimage_format format;
	uint64_t offset, size;	/* of the packed stream in the file */
	uint32_t unpacked_size; /* as the file says: what to allocate; never above the maximum */
};

/*
 * 0 and *ret; -ENOEXEC: this is no bzImage; -EBADMSG: it is one with impossible numbers; -EFBIG: it would
 * unpack to more than BZIMAGE_UNPACKED_MAX.
 */
int bzimage_parse(const uint8_t *file, size_t size, struct bzimage *ret);

#endif
