/* SPDX-License-Identifier: MIT */
/*
 * Heads of qcow2 images: what is taken has names that end and that show.
 * Planted and found within a minute: read_backing() may read behind the head.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tools/qcow2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *text, size_t size)
{
	size_t len = strnlen(text, size);

	if (len == size)
		abort();
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < ' ')
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct qcow2 image;
	const char *why = NULL;

	if (qcow2_parse(data, size, &image, &why) == 0) {
		if (!qcow2_is(data, size))
			abort();
		check(image.backing, sizeof(image.backing));
		check(image.format, sizeof(image.format));
	} else if (!why) {
		abort();
	}
	return 0;
}
