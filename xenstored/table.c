/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "xenstored/table.h"

#define BUCKETS_MIN 8

static void move_all(struct table *t, struct table_link **buckets, size_t nr_buckets)
{
	for (size_t i = 0; i < t->nr_buckets; i++) {
		struct table_link *l = t->buckets[i], *next;

		for (; l; l = next) {
			next = l->next;
			l->next = buckets[l->hash & (nr_buckets - 1)];
			buckets[l->hash & (nr_buckets - 1)] = l;
		}
	}
}

static void resize(struct table *t, size_t nr_buckets)
{
	struct table_link **buckets = calloc(nr_buckets, sizeof(*buckets));

	if (!buckets)
		return;
	move_all(t, buckets, nr_buckets);
	free(t->buckets);
	t->buckets = buckets;
	t->nr_buckets = nr_buckets;
}

int table_add(struct table *t, struct table_link *link, uint32_t hash)
{
	struct table_link **bucket;

	if (t->nr >= t->nr_buckets)
		resize(t, t->nr_buckets ? t->nr_buckets * 2 : BUCKETS_MIN);
	if (!t->nr_buckets)
		return -ENOMEM;
	bucket = &t->buckets[hash & (t->nr_buckets - 1)];
	link->hash = hash;
	link->next = *bucket;
	*bucket = link;
	t->nr++;
	return 0;
}

void table_remove(struct table *t, struct table_link *link)
{
	struct table_link **p = &t->buckets[link->hash & (t->nr_buckets - 1)];

	while (*p != link)
		p = &(*p)->next;
	*p = link->next;
	link->next = NULL;
	t->nr--;
	if (t->nr_buckets > BUCKETS_MIN && t->nr * 8 < t->nr_buckets)
		resize(t, t->nr_buckets / 4);
}

void table_fini(struct table *t)
{
	free(t->buckets);
	*t = (struct table){ 0 };
}

static struct table_link *with_hash(struct table_link *l, uint32_t hash)
{
	while (l && l->hash != hash)
		l = l->next;
	return l;
}

struct table_link *table_first(const struct table *t, uint32_t hash)
{
	return t->nr_buckets ? with_hash(t->buckets[hash & (t->nr_buckets - 1)], hash) : NULL;
}

struct table_link *table_next(const struct table_link *link)
{
	return with_hash(link->next, link->hash);
}

static uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 p = (unsigned __int128)a * b;

	return (uint64_t)p ^ (uint64_t)(p >> 64);
}

uint64_t table_hash64(uint64_t seed, const void *data, size_t len)
{
	const uint64_t odd = 0x9e3779b97f4a7c15;
	const char *p = data;
	uint64_t h = seed ^ (len * odd), v;

	for (; len >= sizeof(v); p += sizeof(v), len -= sizeof(v)) {
		memcpy(&v, p, sizeof(v));
		h = fold(h ^ v, odd ^ seed << 1);
	}
	v = 0;
	while (len)
		v = v << 8 | (unsigned char)p[--len];
	return fold(h ^ v, odd) ^ fold(h, seed | 1);
}
