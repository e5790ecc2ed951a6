/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/unit.h"
#include "xenstored/slab.h"

#define PIECES 20000

static struct slabs slabs;

struct piece {
	unsigned char *p;
	size_t size;
	unsigned char fill;
};

static struct piece pieces[PIECES];

static void take(struct piece *x, size_t size, unsigned char fill)
{
	x->p = slab_alloc(&slabs, size);
	ck_assert_ptr_nonnull(x->p);
	ck_assert_uint_eq((uintptr_t)x->p % SLAB_STEP, 0);
	memset(x->p, fill, size);
	x->size = size;
	x->fill = fill;
}

static void is_whole(const struct piece *x, size_t len)
{
	size_t i = 0;

	while (i < len && x->p[i] == x->fill)
		i++;
	ck_assert_uint_eq(i, len);
}

static void give(struct piece *x)
{
	is_whole(x, x->size);
	slab_free(&slabs, x->p, x->size);
	x->p = NULL;
}

static void resize(struct piece *x, size_t size)
{
	const size_t kept = size < x->size ? size : x->size;

	x->p = slab_resize(&slabs, x->p, x->size, size);
	ck_assert_ptr_nonnull(x->p);
	is_whole(x, kept);
	memset(x->p, x->fill, size);
	x->size = size;
}

/* Pieces of all sizes come, change and go; none touches another. */
START_TEST(test_random)
{
	srandom(1);
	for (int i = 0; i < 300000; i++) {
		struct piece *x = &pieces[random() % PIECES];
		const size_t size = 8 + (size_t)random() % (random() % 8 ? 200 : 1000);

		if (!x->p)
			take(x, size, (unsigned char)i);
		else if (random() % 3)
			give(x);
		else
			resize(x, size);
	}
	for (int i = 0; i < PIECES; i++)
		if (pieces[i].p)
			give(&pieces[i]);
	slab_fini(&slabs);
}
END_TEST

/* What was given back is what the next one of that size gets: nothing grows under coming and going. */
START_TEST(test_used_again)
{
	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < PIECES; i++)
			take(&pieces[i], 56, (unsigned char)round);
		for (int i = 0; i < PIECES; i++)
			give(&pieces[i]);
		if (round == 0)
			continue;
		ck_assert_uint_le(slabs.nr_empty, PIECES * 56 / (64 << 10) + 32);
	}
	slab_fini(&slabs);
}
END_TEST

/* An empty slab serves another size. */
START_TEST(test_other_size)
{
	size_t before;

	for (int i = 0; i < PIECES; i++)
		take(&pieces[i], 40, 1);
	for (int i = 0; i < PIECES; i++)
		give(&pieces[i]);
	before = slabs.nr_empty;
	for (int i = 0; i < PIECES / 2; i++)
		take(&pieces[i], 80, 2);
	ck_assert_uint_le(slabs.nr_empty, before);
	for (int i = 0; i < PIECES / 2; i++)
		give(&pieces[i]);
	ck_assert_uint_eq(slabs.nr_empty, before);
	slab_fini(&slabs);
}
END_TEST

UNIT_MAIN("xs-slab", test_random, test_used_again, test_other_size)
