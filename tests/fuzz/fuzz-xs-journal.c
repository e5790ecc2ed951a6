/* SPDX-License-Identifier: MIT */
/*
 * Records of a predecessor's journal, which may be damaged: what is taken lies inside of the input and is
 * what encoding it again gives.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "xenstored/journal_wire.h"
#include "xenstored/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void check_record(const struct journal_record *r, const char *at, size_t n)
{
	char *again = malloc(n);
	struct journal_record same;

	check(again && n % 8 == 0 && n >= JOURNAL_RECORD_MIN && journal_size(r) == n);
	for (size_t i = 0; i < JOURNAL_PARTS; i++) {
		const char *part = r->part[i].data;

		check(part >= at && part + r->part[i].len <= at + n);
	}
	if (r->type == JOURNAL_NODE)
		check(r->part[0].len && r->part[0].len <= WIRE_PATH_MAX && r->part[1].len >= 4);
	journal_encode(r, again);
	check(memcmp(again, at, JOURNAL_RECORD_MIN) == 0);
	check(journal_decode(again, n, &same) == (int64_t)n);
	free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *p = malloc(size ? size : 1); /* just as long as it says */
	struct journal_record r;
	size_t at = 0;
	int64_t n;

	check(p);
	if (size)
		memcpy(p, data, size);
	while ((n = journal_decode(p + at, size - at, &r)) > 0) {
		check((size_t)n <= size - at);
		check_record(&r, p + at, (size_t)n);
		at += (size_t)n;
	}
	free(p);
	return 0;
}
