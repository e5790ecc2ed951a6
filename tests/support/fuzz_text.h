/* SPDX-License-Identifier: MIT */
/* A fuzzer's input as a text with lines. */
#ifndef TESTS_FUZZ_TEXT_H
#define TESTS_FUZZ_TEXT_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* In memory that is just as long as it says, so that what reads behind it is seen. To be freed */
static inline char *fuzz_text(const uint8_t *data, size_t size, unsigned int *ret_lines)
{
	char *text = malloc(size ? size : 1);

	if (!text)
		abort();
	if (size)
		memcpy(text, data, size);
	*ret_lines = 1;
	for (size_t i = 0; i < size; i++)
		*ret_lines += text[i] == '\n';
	return text;
}

#endif
