/* SPDX-License-Identifier: MIT */
/*
 * Records of a predecessor's journal, which may be damaged: what is taken lies inside of the input or of
 * what the records before left, and comes back when it is written and read again.
 * Planted: bytes whose number is not held against what is left, and a number written that ends too early
 * (put_number()), were each found in 1 s. (A path longer than all paths was not, within 60 s: test-xs-journal has it.)
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

static void check_same(const struct journal_record *a, const struct journal_record *b)
{
	check(a->type == b->type && a->flags == b->flags && a->domid == b->domid);
	check(a->id == b->id && !memcmp(a->n, b->n, sizeof(a->n)));
	for (size_t i = 0; i < JOURNAL_PARTS; i++) {
		check(a->part[i].len == b->part[i].len);
		if (a->part[i].len)
			check(!memcmp(a->part[i].data, b->part[i].data, a->part[i].len));
	}
}

/* within the n bytes at `at`, or within what is left of the records before */
static void check_inside(const struct journal_part *p, const char *at, size_t n,
			 const struct journal_past *past)
{
	const char *s = p->data, *l = (const char *)past->perms;

	check(!p->len || (s >= at && s + p->len <= at + n) ||
	      (s == past->path && p->len <= sizeof(past->path)) ||
	      (s == l && p->len <= sizeof(past->perms)));
}

static struct journal_past read_past, to, from;

static void check_record(const struct journal_record *r, const char *at, size_t n,
			 const struct journal_past *past)
{
	char *again = malloc(journal_room(r));
	struct journal_record same;
	size_t size;

	check(again && n >= JOURNAL_RECORD_MIN);
	for (size_t i = 0; i < JOURNAL_PARTS; i++)
		check_inside(&r->part[i], at, n, past);
	if (r->type == JOURNAL_NODE)
		check(r->part[0].len && r->part[0].len <= WIRE_PATH_MAX && r->part[1].len >= 4);
	/* all of past that counts: these two know other records */
	from.path_len = to.path_len;
	from.nr_perms = to.nr_perms;
	memcpy(from.path, to.path, to.path_len);
	memcpy(from.perms, to.perms, to.nr_perms * sizeof(to.perms[0]));
	size = journal_encode(&to, r, again);
	check(size <= journal_room(r));
	check(journal_decode(&from, again, size, &same) == (int64_t)size);
	check_same(r, &same);
	free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *p = malloc(size ? size : 1); /* just as long as it says */
	struct journal_record r;
	size_t at = 0;
	int64_t n;

	check(p);
	read_past.path_len = read_past.nr_perms = to.path_len = to.nr_perms = 0;
	if (size)
		memcpy(p, data, size);
	while ((n = journal_decode(&read_past, p + at, size - at, &r)) > 0) {
		check((size_t)n <= size - at);
		check_record(&r, p + at, (size_t)n, &read_past);
		at += (size_t)n;
	}
	free(p);
	return 0;
}
