/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include "hypercall-bridge/vmm/unpack.h"

/* A decoder may not take more than this for its own work: kernels are packed with at most 128 MiB. */
#define DECODER_MEMORY_MAX (256ull << 20)

static long unpack_gzip(const uint8_t *from, size_t from_size, uint8_t *to, size_t to_size)
{
	z_stream z = { 0 };
	int r;

	if (from_size > UINT_MAX || to_size > UINT_MAX)
		return -EBADMSG;
	if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK)
		return -ENOMEM;
	z.next_in = (Bytef *)(uintptr_t)from;
	z.avail_in = (uInt)from_size;
	z.next_out = to;
	z.avail_out = (uInt)to_size;
	r = inflate(&z, Z_FINISH);
	inflateEnd(&z);
	return r == Z_STREAM_END ? (long)z.total_out : -EBADMSG;
}

/* One stream; what follows it (the unpacked size) is not looked at. */
static long unpack_lzma(const uint8_t *from, size_t from_size, uint8_t *to, size_t to_size)
{
	lzma_stream s = LZMA_STREAM_INIT;
	lzma_ret r;
	long done;

	if (lzma_auto_decoder(&s, DECODER_MEMORY_MAX, 0) != LZMA_OK)
		return -ENOMEM;
	s.next_in = from;
	s.avail_in = from_size;
	s.next_out = to;
	s.avail_out = to_size;
	r = lzma_code(&s, LZMA_FINISH);
	done = (long)s.total_out;
	lzma_end(&s);
	return r == LZMA_STREAM_END ? done : -EBADMSG;
}

/* In one go, straight into the buffer: no window of its own. The unpacked size follows the frame. */
static long unpack_zstd(const uint8_t *from, size_t from_size, uint8_t *to, size_t to_size)
{
	size_t frame = ZSTD_findFrameCompressedSize(from, from_size);
	size_t r;

	if (ZSTD_isError(frame))
		return -EBADMSG;
	r = ZSTD_decompress(to, to_size, from, frame);
	return ZSTD_isError(r) ? -EBADMSG : (long)r;
}

/* a length that continues in bytes of 255; false at the end of the input */
static bool lz4_length(const uint8_t *from, size_t size, size_t *at, size_t *len)
{
	uint8_t b;

	if (*len != 15)
		return true;
	do {
		if (*at == size)
			return false;
		b = from[(*at)++];
		*len += b;
	} while (b == 255);
	return true;
}

/* One block: sequences of literals and a copy from what was written before. */
static long lz4_block(const uint8_t *from, size_t size, uint8_t *to, size_t done, size_t to_size)
{
	size_t at = 0, start = done;

	while (at < size) {
		uint8_t token = from[at++];
		size_t len = token >> 4, back;

		if (!lz4_length(from, size, &at, &len) || len > size - at || len > to_size - done)
			return -EBADMSG;
		memcpy(to + done, from + at, len);
		at += len;
		done += len;
		if (at == size)
			break; /* the last sequence has no copy */
		if (size - at < 2)
			return -EBADMSG;
		back = from[at] + from[at + 1] * 256u;
		at += 2;
		len = token & 15;
		if (!lz4_length(from, size, &at, &len) || back == 0 || back > done - start)
			return -EBADMSG;
		len += 4;
		if (len > to_size - done)
			return -EBADMSG;
		for (; len; len--, done++) /* may overlap: that is how runs are coded */
			to[done] = to[done - back];
	}
	return (long)done;
}

long unpack_lz4(const uint8_t *from, size_t from_size, uint8_t *to, size_t to_size)
{
	size_t at = 4, done = 0;

	/* the last four bytes are the size of the result: where a block's size would stand */
	while (from_size >= at + 8) {
		uint32_t size;
		long r;

		memcpy(&size, from + at, sizeof(size));
		at += sizeof(size);
		if (size > from_size - at)
			return -EBADMSG;
		r = lz4_block(from + at, size, to, done, to_size);
		if (r < 0)
			return r;
		done = (size_t)r;
		at += size;
	}
	return done ? (long)done : -EBADMSG;
}

long unpack(enum bzimage_format format, const uint8_t *from, size_t from_size, uint8_t *to,
	    size_t to_size)
{
	switch (format) {
	case BZIMAGE_GZIP:
		return unpack_gzip(from, from_size, to, to_size);
	case BZIMAGE_XZ:
	case BZIMAGE_LZMA:
		return unpack_lzma(from, from_size, to, to_size);
	case BZIMAGE_ZSTD:
		return unpack_zstd(from, from_size, to, to_size);
	case BZIMAGE_LZ4:
		return unpack_lz4(from, from_size, to, to_size);
	case BZIMAGE_UNKNOWN:
		break;
	}
	return -ENOTSUP;
}

const char *unpack_format_name(enum bzimage_format format)
{
	static const char *const names[] = {
		"an unknown format", "gzip", "xz", "zstd", "lz4", "lzma"
	};

	return names[format];
}
