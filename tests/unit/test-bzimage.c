/* SPDX-License-Identifier: MIT */
/* The boot header, and each format unpacked from what its own library packed. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include "hypercall-bridge/vmm/bzimage.h"
#include "hypercall-bridge/vmm/unpack.h"
#include "tests/support/unit.h"

#define SETUP_SECTS 0x1f1
#define PAYLOAD (3 * 512 + 0x100)
#define SIZE 8192
#define PLAIN 100000

static uint8_t file[SIZE];
static uint8_t plain[PLAIN], packed[PLAIN * 2], out[PLAIN + 16];
static struct bzimage bz;

static void put32(size_t at, uint32_t v)
{
	memcpy(file + at, &v, sizeof(v));
}

static void setup(void)
{
	memset(file, 0, sizeof(file));
	memset(&bz, 0, sizeof(bz));
	file[SETUP_SECTS] = 2;
	memcpy(file + 0x202, "HdrS", 4);
	file[0x206] = 0x0f;
	file[0x207] = 0x02;
	put32(0x248, 0x100);
	put32(0x24c, 1000);
	memcpy(file + PAYLOAD, "\x28\xb5\x2f\xfd", 4);
	put32(PAYLOAD + 996, 4711);
	for (size_t i = 0; i < PLAIN; i++)
		plain[i] = (uint8_t)(i / 300 ^ i % 7);
}

static void teardown(void)
{
}

START_TEST(header)
{
	ck_assert_int_eq(bzimage_parse(file, SIZE, &bz), 0);
	ck_assert_int_eq(bz.format, BZIMAGE_ZSTD);
	ck_assert(bz.offset == PAYLOAD && bz.size == 1000 && bz.unpacked_size == 4711);
	file[SETUP_SECTS] = 0; /* means 4 */
	put32(0x248, 0x100 - 2 * 512 + 0);
	ck_assert_int_ne(bzimage_parse(file, SIZE, &bz), 0);
	put32(5 * 512 + 996, 99);
	put32(0x248, 0);
	ck_assert_int_eq(bzimage_parse(file, SIZE, &bz), 0);
	ck_assert_uint_eq(bz.offset, 5 * 512);
}
END_TEST

START_TEST(formats)
{
	static const struct {
		const char *magic;
		enum bzimage_format format;
	} known[] = {
		{ "\x1f\x8b\x08\x00\x00\x00", BZIMAGE_GZIP },
		{ "\xfd"
		  "7zXZ\x00",
		  BZIMAGE_XZ },
		{ "\x02\x21\x4c\x18\x00\x00", BZIMAGE_LZ4 },
		{ "\x5d\x00\x00\x80\x00\x00", BZIMAGE_LZMA },
		{ "BZh91A", BZIMAGE_UNKNOWN },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		memcpy(file + PAYLOAD, known[i].magic, 6);
		ck_assert_int_eq(bzimage_parse(file, SIZE, &bz), 0);
		ck_assert_int_eq(bz.format, known[i].format);
		ck_assert_ptr_nonnull(unpack_format_name(bz.format));
	}
}
END_TEST

START_TEST(hostile_header)
{
	static const uint32_t sizes[] = { SIZE - PAYLOAD + 1, UINT32_MAX, UINT32_MAX - PAYLOAD, 7,
					  0 };

	for (size_t size = 0; size < 0x250; size++)
		ck_assert_int_eq(bzimage_parse(file, size, &bz), -ENOEXEC);
	ck_assert_int_eq(bzimage_parse(file, PAYLOAD + 999, &bz), -EBADMSG);
	for (size_t i = 0; i < 5; i++) {
		put32(0x24c, sizes[i]);
		ck_assert_int_eq(bzimage_parse(file, SIZE, &bz), -EBADMSG);
	}
	setup();
	put32(0x248, UINT32_MAX);
	ck_assert_int_eq(bzimage_parse(file, SIZE, &bz), -EBADMSG);
	setup();
	file[0x206] = 7; /* before the payload fields */
	ck_assert_int_eq(bzimage_parse(file, SIZE, &bz), -EBADMSG);
	setup();
	put32(PAYLOAD + 996, BZIMAGE_UNPACKED_MAX + 1);
	ck_assert_int_eq(bzimage_parse(file, SIZE, &bz), -EFBIG);
	put32(PAYLOAD + 996, 0);
	ck_assert_int_eq(bzimage_parse(file, SIZE, &bz), -EBADMSG);
	ck_assert_uint_eq(bz.size, 0); /* never touched */
}
END_TEST

static size_t pack_gzip(void)
{
	z_stream z = { 0 };

	ck_assert_int_eq(deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY),
			 Z_OK);
	z.next_in = plain;
	z.avail_in = PLAIN;
	z.next_out = packed;
	z.avail_out = sizeof(packed);
	ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	return z.total_out;
}

static size_t pack_xz(void)
{
	size_t n = 0;

	ck_assert_int_eq(lzma_easy_buffer_encode(6, LZMA_CHECK_CRC32, NULL, plain, PLAIN, packed,
						 &n, sizeof(packed)),
			 LZMA_OK);
	return n;
}

static size_t pack_lzma(void)
{
	lzma_stream s = LZMA_STREAM_INIT;
	lzma_options_lzma options;
	size_t n;

	ck_assert(!lzma_lzma_preset(&options, 6));
	ck_assert_int_eq(lzma_alone_encoder(&s, &options), LZMA_OK);
	s.next_in = plain;
	s.avail_in = PLAIN;
	s.next_out = packed;
	s.avail_out = sizeof(packed);
	ck_assert_int_eq(lzma_code(&s, LZMA_FINISH), LZMA_STREAM_END);
	n = s.total_out;
	lzma_end(&s);
	return n;
}

static size_t pack_zstd(void)
{
	size_t n = ZSTD_compress(packed, sizeof(packed), plain, PLAIN, 19);

	ck_assert(!ZSTD_isError(n));
	return n;
}

/* The legacy frame: a block that holds literals, then a run, then literals as its last sequence. */
static size_t pack_lz4(void)
{
	static const uint8_t block[] = { 0x1f, 'a', 1, 0, 255, 5, 0x20, 'b', 'c' };
	uint32_t size = sizeof(block);

	memset(plain, 'a', 1 + 4 + 15 + 255 + 5);
	memcpy(plain + 280, "bc", 2);
	memcpy(packed, "\x02\x21\x4c\x18", 4);
	memcpy(packed + 4, &size, 4);
	memcpy(packed + 8, block, size);
	return 8 + size;
}

/* the unpacked size stands behind the stream, as the kernel's build puts it there */
static size_t add_size(size_t n)
{
	uint32_t size = PLAIN;

	memcpy(packed + n, &size, sizeof(size));
	return n + sizeof(size);
}

/* whole, into a buffer that is too small, cut anywhere, with a damaged byte */
static void check_format(enum bzimage_format format, size_t n, size_t plain_size)
{
	ck_assert_int_eq(unpack(format, packed, n, out, plain_size), (long)plain_size);
	ck_assert_mem_eq(out, plain, plain_size);
	out[plain_size - 1] = 0x77;
	ck_assert_int_eq(unpack(format, packed, n, out, plain_size - 1), -EBADMSG);
	ck_assert_uint_eq(out[plain_size - 1], 0x77);
	for (size_t cut = 0; cut < n - 5; cut += 1 + n / 64)
		ck_assert_int_lt(unpack(format, packed, cut, out, plain_size), (long)plain_size);
	for (size_t i = 0; i < n; i += 1 + n / 64) {
		packed[i] ^= 0x55;
		ck_assert_int_le(unpack(format, packed, n, out, plain_size), (long)plain_size);
		packed[i] ^= 0x55;
	}
}

START_TEST(unpack_all)
{
	check_format(BZIMAGE_GZIP, pack_gzip(), PLAIN);
	check_format(BZIMAGE_XZ, add_size(pack_xz()), PLAIN);
	check_format(BZIMAGE_LZMA, add_size(pack_lzma()), PLAIN);
	check_format(BZIMAGE_ZSTD, add_size(pack_zstd()), PLAIN);
	check_format(BZIMAGE_LZ4, add_size(pack_lz4()), 282);
	ck_assert_int_eq(unpack(BZIMAGE_UNKNOWN, packed, 100, out, 100), -ENOTSUP);
}
END_TEST

/* copies from before the beginning, lengths that run out */
START_TEST(lz4_hostile)
{
	static const struct {
		uint8_t len, bytes[8];
	} blocks[] = {
		{ 4, { 0x00, 1, 0, 0 } },
		{ 4, { 0x10, 'a', 2, 0 } },
		{ 4, { 0x10, 'a', 0, 0 } },
		{ 2, { 0xf0, 255 } },
		{ 3, { 0x20, 'a' } },
		{ 2, { 0x1f, 'a' } },
		{ 6, { 0x1f, 'a', 1, 0, 255, 255 } },
	};

	for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
		uint32_t size = blocks[i].len;

		memcpy(packed, "\x02\x21\x4c\x18", 4);
		memcpy(packed + 4, &size, 4);
		memcpy(packed + 8, blocks[i].bytes, size);
		ck_assert_int_lt(unpack_lz4(packed, add_size(8 + size), out, 64), 5);
	}
	memset(packed + 4, 0xff, 4);
	ck_assert_int_eq(unpack_lz4(packed, 100, out, 64), -EBADMSG);
}
END_TEST

UNIT_MAIN_WITH("bzimage", setup, teardown, header, formats, hostile_header, unpack_all, lz4_hostile)
