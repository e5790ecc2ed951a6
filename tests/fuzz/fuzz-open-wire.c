/* SPDX-License-Identifier: MIT */
/*
 * Messages between back ends and xenhost-opend: any bytes are refused or taken, and what was taken is built
 * into the same bytes again.
 * Planted and found within a minute: a string's end may be behind the message (take_string() in open_wire.c).
 */
#include "config.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/open_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void same(const void *built, int n, const uint8_t *data, size_t size)
{
	check(n == (int)size && !memcmp(built, data, size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t built[OPEN_MESSAGE_MAX];
	uint8_t *copy = malloc(size ? size : 1); /* just as long as it says */
	struct open_request request;
	struct open_answer answer;

	check(copy != NULL);
	if (size)
		memcpy(copy, data, size);
	if (open_request_parse(copy, size, &request) == 0) {
		check(request.op > 0 && request.op < OPEN_OP_MAX);
		same(built, open_request_build(&request, built, sizeof(built)), copy, size);
	}
	if (open_answer_parse(copy, size, &answer) == 0) {
		check(answer.error <= 0 && answer.error >= -4095);
		same(built, open_answer_build(&answer, built, sizeof(built)), copy, size);
	}
	free(copy);
	return 0;
}
