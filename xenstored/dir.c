/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "xenstored/dir.h"

#define BITS 5
#define LIST_SHIFT 35 /* from here on a page is a plain list */

static size_t page_size(uint32_t nr_slots)
{
	return sizeof(struct dir) + nr_slots * sizeof(struct node *);
}

static struct node *page_slot(struct dir *d)
{
	return (struct node *)((uintptr_t)d | 1);
}

static uint32_t hash_bit(uint32_t hash, unsigned int shift)
{
	return 1u << (hash >> shift & 31);
}

static uint32_t bit_index(const struct dir *d, uint32_t bit)
{
	return dir_count_bits(d->map & (bit - 1));
}

static bool node_is(const struct node *n, uint32_t hash, const char *name, size_t len)
{
	return n->hash == hash && n->name_len == len && !memcmp(n->data, name, len);
}

static uint32_t list_index(const struct dir *d, uint32_t hash, const char *name, size_t len)
{
	uint32_t i = 0;

	while (i < d->nr && !node_is(d->slot[i], hash, name, len))
		i++;
	return i;
}

struct node **dir_find(const struct dir *d, uint32_t hash, const char *name, size_t len,
		       bool *shared)
{
	uint32_t i;

	for (unsigned int shift = 0; d && shift < LIST_SHIFT; shift += BITS) {
		uint32_t bit = hash_bit(hash, shift);
		struct node *const *s = &d->slot[bit_index(d, bit)];

		*shared |= d->refs > 1;
		if (!(d->map & bit))
			return NULL;
		if (!slot_is_page(*s))
			return node_is(*s, hash, name, len) ? (struct node **)s : NULL;
		d = slot_page(*s);
	}
	if (!d)
		return NULL;
	*shared |= d->refs > 1;
	i = list_index(d, hash, name, len);
	return i < d->nr ? (struct node **)&d->slot[i] : NULL;
}

struct dir *dir_get(struct dir *d)
{
	if (d)
		d->refs++;
	return d;
}

static void page_free(struct heap *h, struct dir *d)
{
	const size_t size = page_size(dir_nr_slots(d));

	h->bytes -= size;
	slab_free(&h->slabs, d, size);
}

/* Recurses at most DIR_LEVELS deep: nodes are buried, not freed. */
void dir_put(struct heap *h, struct dir *d)
{
	if (!d || --d->refs)
		return;
	dir_prefetch(d);
	for (uint32_t i = 0; i < dir_nr_slots(d); i++) {
		if (slot_is_page(d->slot[i]))
			dir_put(h, slot_page(d->slot[i]));
		else
			node_bury(h, d->slot[i]);
	}
	page_free(h, d);
}

/* Makes *pd a page that nobody else refers to. */
static int page_own(struct heap *h, struct dir **pd)
{
	struct dir *old = *pd, *d;
	uint32_t nr = dir_nr_slots(old);

	if (old->refs == 1)
		return 0;
	d = slab_alloc(&h->slabs, page_size(nr));
	if (!d)
		return -ENOMEM;
	memcpy(d, old, page_size(nr));
	d->refs = 1;
	for (uint32_t i = 0; i < nr; i++) {
		if (slot_is_page(d->slot[i]))
			slot_page(d->slot[i])->refs++;
		else
			d->slot[i]->refs++;
	}
	h->bytes += page_size(nr);
	old->refs--;
	*pd = d;
	return 0;
}

/* Opens a gap for one more slot. The sums are the caller's to correct. */
static int page_widen(struct heap *h, struct dir **pd, uint32_t index)
{
	uint32_t nr = dir_nr_slots(*pd);
	struct dir *d = slab_resize(&h->slabs, *pd, page_size(nr), page_size(nr + 1));

	if (!d)
		return -ENOMEM;
	memmove(&d->slot[index + 1], &d->slot[index], (nr - index) * sizeof(d->slot[0]));
	h->bytes += sizeof(d->slot[0]);
	*pd = d;
	return 0;
}

/* Takes a slot out. The sums are the caller's to correct. */
static int page_narrow(struct heap *h, struct dir **pd, uint32_t index)
{
	const uint32_t nr = dir_nr_slots(*pd);
	const size_t before = page_size(index), behind = (nr - index - 1) * sizeof((*pd)->slot[0]);
	struct dir *d = *pd, *old = d;

	if (slab_size(page_size(nr)) != slab_size(page_size(nr - 1))) {
		d = slab_alloc(&h->slabs, page_size(nr - 1));
		if (!d)
			return -ENOMEM;
		memcpy(d, old, before);
	}
	memmove((char *)d + before, (char *)old + before + sizeof(d->slot[0]), behind);
	if (d != old)
		slab_free(&h->slabs, old, page_size(nr));
	h->bytes -= sizeof(d->slot[0]);
	*pd = d;
	return 0;
}

static void add_sums(struct dir *d, const struct node *n)
{
	d->nr++;
	d->bytes += n->name_len + 1u;
	d->domains |= node_domains(n);
}

static int page_new(struct heap *h, struct dir **pd)
{
	struct dir *d = slab_alloc(&h->slabs, page_size(0));

	if (!d)
		return -ENOMEM;
	*d = (struct dir){ .refs = 1 };
	h->bytes += page_size(0);
	*pd = d;
	return 0;
}

static int page_add(struct heap *h, struct dir **pd, struct node *n, uint32_t bit)
{
	uint32_t i = bit ? bit_index(*pd, bit) : (*pd)->nr;
	int r = page_widen(h, pd, i);

	if (r < 0)
		return r;
	(*pd)->slot[i] = node_get(n);
	(*pd)->map |= bit;
	add_sums(*pd, n);
	return 0;
}

static int page_insert(struct heap *h, struct dir **pd, struct node *n, unsigned int shift);

/* Two nodes want the same slot: a page for both. */
static int page_split(struct heap *h, struct node **slot, struct node *n, unsigned int shift)
{
	struct dir *sub = NULL;
	int r;

	r = page_insert(h, &sub, *slot, shift);
	if (r == 0)
		r = page_insert(h, &sub, n, shift);
	if (r < 0) {
		dir_put(h, sub);
		return r;
	}
	(*slot)->refs--; /* sub has one of its own */
	*slot = page_slot(sub);
	return 0;
}

static int page_insert_below(struct heap *h, struct node **slot, struct node *n, unsigned int shift)
{
	struct dir *sub = slot_page(*slot);
	int r = page_insert(h, &sub, n, shift);

	*slot = page_slot(sub); /* moved even when it failed further down */
	return r;
}

static int page_insert(struct heap *h, struct dir **pd, struct node *n, unsigned int shift)
{
	uint32_t bit = shift < LIST_SHIFT ? hash_bit(n->hash, shift) : 0;
	struct node **slot;
	int r = *pd ? page_own(h, pd) : page_new(h, pd);

	if (r < 0)
		return r;
	if (!((*pd)->map & bit))
		return page_add(h, pd, n, bit);
	slot = &(*pd)->slot[bit_index(*pd, bit)];
	if (slot_is_page(*slot))
		r = page_insert_below(h, slot, n, shift + BITS);
	else
		r = page_split(h, slot, n, shift + BITS);
	if (r == 0)
		add_sums(*pd, n);
	return r;
}

int dir_insert(struct heap *h, struct dir **d, struct node *n)
{
	bool fresh = !*d;
	int r = page_insert(h, d, n, 0);

	if (r < 0 && fresh && *d) {
		dir_put(h, *d);
		*d = NULL;
	}
	return r;
}

/* A page that is left with one node gives it to the slot above. */
static void page_collapse(struct heap *h, struct node **slot)
{
	struct dir *sub = slot_page(*slot);

	if (sub->nr > 1)
		return;
	*slot = sub->slot[0];
	page_free(h, sub);
}

static int page_remove(struct heap *h, struct dir **pd, const struct node *n, unsigned int shift)
{
	uint32_t bit = shift < LIST_SHIFT ? hash_bit(n->hash, shift) : 0;
	uint32_t i;
	int r = page_own(h, pd);

	if (r < 0)
		return r;
	i = bit ? bit_index(*pd, bit) : list_index(*pd, n->hash, n->data, n->name_len);
	if (slot_is_page((*pd)->slot[i])) {
		struct dir *sub = slot_page((*pd)->slot[i]);

		r = page_remove(h, &sub, n, shift + BITS);
		(*pd)->slot[i] = page_slot(sub);
		if (r < 0)
			return r;
		page_collapse(h, &(*pd)->slot[i]);
	} else {
		struct node *gone = (*pd)->slot[i];

		r = page_narrow(h, pd, i);
		if (r < 0)
			return r;
		(*pd)->map &= ~bit;
		node_bury(h, gone);
	}
	(*pd)->nr--;
	(*pd)->bytes -= n->name_len + 1u;
	return 0;
}

int dir_remove(struct heap *h, struct dir **d, const struct node *n)
{
	return page_remove(h, d, n, 0);
}

int dir_own_slot(struct heap *h, struct dir **d, const struct node *n, uint64_t domains,
		 struct node ***ret_slot)
{
	struct node **above = NULL, **slot;
	struct dir *page = *d;

	for (unsigned int shift = 0;; shift += BITS) {
		int r = page_own(h, &page);

		if (r < 0)
			return r;
		page->domains |= domains;
		if (above)
			*above = page_slot(page);
		else
			*d = page;
		if (shift >= LIST_SHIFT)
			slot = &page->slot[list_index(page, n->hash, n->data, n->name_len)];
		else
			slot = &page->slot[bit_index(page, hash_bit(n->hash, shift))];
		if (!slot_is_page(*slot))
			break;
		above = slot;
		page = slot_page(*slot);
	}
	*ret_slot = slot;
	return 0;
}
