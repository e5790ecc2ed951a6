/* SPDX-License-Identifier: MIT */
/* Unpacks the vmlinux of a bzImage into a buffer of known size; the libraries' work, bounded by it. */
#ifndef HYPERCALL_BRIDGE_VMM_UNPACK_H
#define HYPERCALL_BRIDGE_VMM_UNPACK_H

#include <stddef.h>
#include <stdint.h>

#include "hypercall-bridge/vmm/bzimage.h"

/*
 * Bytes written to `to`, -EBADMSG when the stream is damaged or longer than `to_size`, -ENOTSUP when the
 * format is none of ours, -ENOMEM.
 */
long unpack(enum bzimage_format format, const uint8_t *from, size_t from_size, uint8_t *to,
	    size_t to_size);

const char *unpack_format_name(enum bzimage_format format);

/* LZ4's legacy frame, as kernels use it. Pure; same results. */
long unpack_lz4(const uint8_t *from, size_t from_size, uint8_t *to, size_t to_size);

#endif
