/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "common/cleanup.h"
#include "hypercall-bridge/vmm/bzimage.h"

/* fields of the boot header; the packed size field came with protocol 2.08 */
#define SETUP_SECTS 0x1f1
#define MAGIC 0x202
#define PROTOCOL 0x206
#define PAYLOAD_OFFSET 0x248
#define PAYLOAD_LENGTH 0x24c
#define HEADER_END 0x250
#define PROTOCOL_MIN 0x208

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static enum bzimage_format format_of(const uint8_t *p, size_t size)
{
	static const struct {
		enum bzimage_format format;
		uint8_t len;
		uint8_t magic[6];
	} known[] = {
		{ BZIMAGE_GZIP, 2, { 0x1f, 0x8b } },
		{ BZIMAGE_XZ, 6, { 0xfd, '7', 'z', 'X', 'Z', 0 } },
		{ BZIMAGE_ZSTD, 4, { 0x28, 0xb5, 0x2f, 0xfd } },
		{ BZIMAGE_LZ4, 4, { 0x02, 0x21, 0x4c, 0x18 } },
		{ BZIMAGE_LZMA, 3, { 0x5d, 0, 0 } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (size >= known[i].len && memcmp(p, known[i].magic, known[i].len) == 0)
			return known[i].format;
	return BZIMAGE_UNKNOWN;
}

int bzimage_parse(const uint8_t *file, size_t size, struct bzimage *ret)
{
	uint64_t offset, length, sects;
	uint32_t unpacked;

	if (size < HEADER_END || memcmp(file + MAGIC, "HdrS", 4) != 0)
		return -ENOEXEC;
	if (file[PROTOCOL] + file[PROTOCOL + 1] * 256 < PROTOCOL_MIN)
		return -EBADMSG;
	sects = file[SETUP_SECTS] ? file[SETUP_SECTS] : 4;
	offset = (sects + 1) * 512 + get32(file + PAYLOAD_OFFSET);
	length = get32(file + PAYLOAD_LENGTH);
	if (offset > size || length > size - offset || length < 8)
		return -EBADMSG;
	/* the build appends the unpacked size to every stream that does not end with it anyway */
	unpacked = get32(file + offset + length - 4);
	if (unpacked > BZIMAGE_UNPACKED_MAX)
		return -EFBIG;
	if (unpacked == 0)
		return -EBADMSG;
	*ret = (struct bzimage){ format_of(file + offset, length), offset, length, unpacked };
	return 0;
}
