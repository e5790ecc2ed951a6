/* SPDX-License-Identifier: MIT */
/* The small containers: hash table, map of ids, byte queue. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/unit.h"
#include "xenstored/buf.h"
#include "xenstored/idmap.h"
#include "xenstored/table.h"

struct entry {
	struct table_link link;
	int key;
	bool in;
};

static struct entry *find(const struct table *t, int key, uint32_t hash)
{
	struct table_link *l;

	table_for_each(l, t, hash)
	{
		if (list_entry(l, struct entry, link)->key == key)
			return list_entry(l, struct entry, link);
	}
	return NULL;
}

/* Many with few different hashes, in and out. */
START_TEST(test_table)
{
	enum { N = 3000 };
	static struct entry e[N];
	struct table t = { 0 };

	ck_assert_ptr_null(table_first(&t, 0));
	for (int i = 0; i < N; i++) {
		e[i].key = i;
		ck_assert_int_eq(table_add(&t, &e[i].link, (uint32_t)i / 7 * 64), 0);
	}
	ck_assert_uint_eq(t.nr, N);
	for (int i = 0; i < N; i++)
		ck_assert_ptr_eq(find(&t, i, (uint32_t)i / 7 * 64), &e[i]);
	for (int i = 0; i < N; i++)
		if (i % 10)
			table_remove(&t, &e[i].link);
	for (int i = 0; i < N; i++)
		ck_assert_ptr_eq(find(&t, i, (uint32_t)i / 7 * 64), i % 10 ? NULL : &e[i]);
	ck_assert_uint_eq(t.nr, N / 10);
	table_fini(&t);
}
END_TEST

START_TEST(test_hash)
{
	char name[32] = "";

	/* every byte and the length count */
	for (size_t len = 0; len < sizeof(name); len++) {
		ck_assert_uint_ne(table_hash64(1, name, len), table_hash64(1, name, len + 1));
		ck_assert_uint_ne(table_hash64(1, name, len), table_hash64(2, name, len));
		for (size_t i = 0; i < len; i++) {
			const uint64_t before = table_hash64(1, name, len);

			name[i] ^= 1;
			ck_assert_uint_ne(table_hash64(1, name, len), before);
			name[i] ^= 1;
		}
	}
}
END_TEST

START_TEST(test_idmap)
{
	static const uint16_t ids[] = { 0, 1, 255, 256, 32000, 65535 };
	struct idmap m = { { NULL } };
	uint32_t id = 0;
	int x[6];

	ck_assert_ptr_null(idmap_next(&m, &id));
	for (int i = 0; i < 6; i++) {
		ck_assert_ptr_null(idmap_get(&m, ids[i]));
		ck_assert_int_eq(idmap_set(&m, ids[i], &x[i]), 0);
	}
	idmap_set(&m, 0, &x[0]);
	id = 0;
	for (int i = 0; i < 6; i++, id++) {
		ck_assert_ptr_eq(idmap_get(&m, ids[i]), &x[i]);
		ck_assert_ptr_eq(idmap_next(&m, &id), &x[i]);
		ck_assert_uint_eq(id, ids[i]);
	}
	ck_assert_ptr_null(idmap_next(&m, &id));
	for (int i = 0; i < 6; i++) {
		idmap_clear(&m, ids[i]);
		idmap_clear(&m, ids[i]);
		ck_assert_ptr_null(idmap_get(&m, ids[i]));
	}
	for (size_t i = 0; i < IDMAP_PAGES; i++)
		ck_assert_ptr_null(m.pages[i]);
	idmap_fini(&m);
}
END_TEST

/* Bytes come out as they went in, for all ways of adding and consuming. */
START_TEST(test_buf)
{
	struct buf b = { 0 };
	unsigned char in = 0, out = 0;

	srand(1);
	for (int i = 0; i < 20000; i++) {
		const size_t n = (size_t)rand() % 700;

		if (rand() % 2) {
			char *p = buf_add(&b, n);

			ck_assert_ptr_nonnull(p);
			for (size_t k = 0; k < n; k++)
				p[k] = (char)in++;
		} else {
			const size_t m = n < b.len ? n : b.len;

			for (size_t k = 0; k < m; k++)
				ck_assert_uint_eq((unsigned char)buf_head(&b)[k], out++);
			buf_consume(&b, m);
		}
		ck_assert_uint_le(b.start + b.len, b.size);
	}
	buf_add(&b, 100000);
	buf_consume(&b, b.len);
	ck_assert_uint_eq(b.size, 0); /* large memory goes back */
	buf_fini(&b);
}
END_TEST

UNIT_MAIN("xs-table", test_table, test_hash, test_idmap, test_buf)
