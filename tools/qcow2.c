/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "tools/qcow2.h"

/* places in the head; all numbers have their highest byte first */
#define AT_VERSION 4
#define AT_BACKING 8
#define AT_BACKING_LEN 16
#define AT_INCOMPATIBLE 72
#define AT_HEAD_LEN 100
#define HEAD_LEN_2 72
#define HEAD_LEN_3 104
#define EXTENSION_HEAD 8 /* type, length */
#define EXTENSIONS_MAX 64
#define EXT_END 0
#define EXT_BACKING_FORMAT 0xe2792acaU
#define INCOMPATIBLE_EXTERNAL_DATA (1u << 2)

static const unsigned char magic[4] = { 'Q', 'F', 'I', 0xfb };

static uint32_t get32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint64_t get64(const unsigned char *p)
{
	return (uint64_t)get32(p) << 32 | get32(p + 4);
}

bool qcow2_is(const void *head, size_t len)
{
	return len >= sizeof(magic) && memcmp(head, magic, sizeof(magic)) == 0;
}

/* text of the image: no NUL and nothing that would not show */
static const char *copy_text(char *to, size_t size, const unsigned char *from, size_t len)
{
	if (len >= size)
		return "a name in its head is too long";
	for (size_t i = 0; i < len; i++)
		if (from[i] < ' ' || from[i] == 0x7f)
			return "a name in its head is none";
	memcpy(to, from, len);
	to[len] = '\0';
	return NULL;
}

static const char *read_backing(const unsigned char *head, size_t len, struct qcow2 *image)
{
	uint64_t at = get64(head + AT_BACKING);
	uint32_t name_len = get32(head + AT_BACKING_LEN);

	if (at == 0)
		return NULL;
	if (at > len || name_len > len - at || name_len == 0)
		return "the name of its backing file is not in its head";
	return copy_text(image->backing, sizeof(image->backing), head + at, name_len);
}

static const char *read_extensions(const unsigned char *head, size_t len, size_t at,
				   struct qcow2 *image)
{
	for (int i = 0; i < EXTENSIONS_MAX && at + EXTENSION_HEAD <= len; i++) {
		uint32_t type = get32(head + at), size = get32(head + at + 4);

		at += EXTENSION_HEAD;
		if (type == EXT_END)
			return NULL;
		if (size > len - at)
			return "its head ends in the middle of an extension";
		if (type == EXT_BACKING_FORMAT)
			return copy_text(image->format, sizeof(image->format), head + at, size);
		at += ((size_t)size + 7) & ~(size_t)7;
	}
	return NULL;
}

static const char *parse(const unsigned char *head, size_t len, struct qcow2 *image)
{
	size_t head_len = HEAD_LEN_2;
	const char *why;
	uint32_t version;

	if (!qcow2_is(head, len))
		return "it does not begin as a qcow2 image";
	if (len < HEAD_LEN_3)
		return "it ends within its head";
	version = get32(head + AT_VERSION);
	if (version != 2 && version != 3)
		return "it is of a version other than 2 and 3";
	if (version == 3) {
		head_len = get32(head + AT_HEAD_LEN);
		if (head_len < HEAD_LEN_3 || head_len > len)
			return "its head has a length that cannot be";
		image->external_data =
			(get64(head + AT_INCOMPATIBLE) & INCOMPATIBLE_EXTERNAL_DATA) != 0;
	}
	why = read_backing(head, len, image);
	return why ? why : read_extensions(head, len, head_len, image);
}

int qcow2_parse(const void *head, size_t len, struct qcow2 *ret_image, const char **ret_why)
{
	struct qcow2 image = { 0 };
	const char *why = parse(head, len, &image);

	if (why) {
		*ret_why = why;
		return -EINVAL;
	}
	*ret_image = image;
	return 0;
}
