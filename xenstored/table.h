/* SPDX-License-Identifier: MIT */
/*
 * Intrusive hash table: entries embed a struct table_link and keep their own key; the caller compares.
 * Also the keyed hash that all tables and directories use. Pure of I/O and clock.
 */
#ifndef XENSTORED_TABLE_H
#define XENSTORED_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "common/list.h"

struct table_link {
	struct table_link *next;
	uint32_t hash;
};

struct table {
	struct table_link **buckets; /* nr_buckets is a power of two, or 0 before the first entry */
	size_t nr_buckets;
	size_t nr;
};

/* -ENOMEM only when there are no buckets at all; a table that cannot grow just gets slower */
int table_add(struct table *t, struct table_link *link, uint32_t hash);
void table_remove(struct table *t, struct table_link *link);
void table_fini(struct table *t); /* the entries are the caller's */

/* entries with that hash, one after another */
struct table_link *table_first(const struct table *t, uint32_t hash);
struct table_link *table_next(const struct table_link *link);

#define table_for_each(link, table, h) \
	for (link = table_first(table, h); link; link = table_next(link))

/*
 * Names are chosen by guests, so the seed must be secret. Two multiplications per 8 bytes; what a
 * collision can cost is bounded by the quotas.
 */
uint64_t table_hash64(uint64_t seed, const void *data, size_t len);

static inline uint32_t table_hash(uint64_t seed, const void *data, size_t len)
{
	uint64_t h = table_hash64(seed, data, len);

	return (uint32_t)(h ^ h >> 32);
}

#endif
