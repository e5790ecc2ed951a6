/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "xenstored/slab.h"

#define SLAB_BYTES (64u << 10) /* and aligned to that: a piece leads to its slab */
#define REGION_SLABS 16u
#define EMPTY_KEPT 16u /* with their memory */
#define PAGE 4096u

#if defined(__SANITIZE_ADDRESS__)
#define ALL_FROM_MALLOC 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ALL_FROM_MALLOC 1
#endif
#endif
#ifndef ALL_FROM_MALLOC
#define ALL_FROM_MALLOC 0
#endif

/* at the beginning of its own memory */
struct slab {
	struct list of_class; /* of those with room, or of empty ones */
	void *free;	      /* pieces that were given back: each begins with the next */
	char *fresh;	      /* behind that nothing was ever in use */
	uint32_t used, size;
};

struct slab_region {
	struct slab_region *next;
	void *addr;
	size_t len;
};

static struct slab *slab_of(void *p)
{
	return (struct slab *)((uintptr_t)p & ~(uintptr_t)(SLAB_BYTES - 1));
}

static bool has_room(const struct slab *b)
{
	return b->free || b->fresh + b->size <= (const char *)b + SLAB_BYTES;
}

static int region_new(struct slabs *s)
{
	const size_t len = (size_t)(REGION_SLABS + 1) * SLAB_BYTES;
	struct slab_region *r = malloc(sizeof(*r));
	uintptr_t at;

	if (!r)
		return -1;
	r->len = len;
	r->addr = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (r->addr == MAP_FAILED) {
		free(r);
		return -1;
	}
	r->next = s->regions;
	s->regions = r;
	at = ((uintptr_t)r->addr + SLAB_BYTES - 1) & ~(uintptr_t)(SLAB_BYTES - 1);
	for (unsigned int i = 0; i < REGION_SLABS; i++, at += SLAB_BYTES) {
		struct slab *b = (struct slab *)at;

		list_init(&b->of_class);
		list_append(&s->empty, &b->of_class);
	}
	s->nr_empty += REGION_SLABS;
	return 0;
}

static struct slab *slab_new(struct slabs *s, uint32_t size)
{
	struct slab *b;

	if (list_empty(&s->empty) && region_new(s) < 0)
		return NULL;
	b = list_entry(s->empty.next, struct slab, of_class);
	list_remove(&b->of_class);
	s->nr_empty--;
	b->size = size;
	b->used = 0;
	b->free = NULL;
	b->fresh = (char *)b + ((sizeof(*b) + 15) & ~(size_t)15);
	return b;
}

/* Its memory goes, but for the page with the head; the address stays ours. */
static void slab_retire(struct slabs *s, struct slab *b)
{
	if (s->nr_empty >= EMPTY_KEPT)
		(void)madvise((char *)b + PAGE, SLAB_BYTES - PAGE, MADV_DONTNEED);
	list_append(&s->empty, &b->of_class);
	s->nr_empty++;
}

static void start(struct slabs *s)
{
	list_init(&s->empty);
	for (size_t i = 0; i < SLAB_LARGEST / SLAB_STEP; i++)
		list_init(&s->partial[i]);
}

void *slab_alloc(struct slabs *s, size_t size)
{
	struct list *partial;
	struct slab *b;
	void *p;

	size = slab_size(size);
	if (size > SLAB_LARGEST || ALL_FROM_MALLOC)
		return malloc(size);
	if (!s->empty.next)
		start(s);
	partial = &s->partial[size / SLAB_STEP - 1];
	if (list_empty(partial)) {
		b = slab_new(s, (uint32_t)size);
		if (!b)
			return NULL;
		list_append(partial, &b->of_class);
	}
	b = list_entry(partial->next, struct slab, of_class);
	p = b->free;
	if (p) {
		memcpy(&b->free, p, sizeof(b->free));
	} else {
		p = b->fresh;
		b->fresh += size;
	}
	b->used++;
	if (!has_room(b))
		list_remove(&b->of_class);
	return p;
}

void slab_free(struct slabs *s, void *p, size_t size)
{
	struct slab *b;

	size = slab_size(size);
	if (size > SLAB_LARGEST || ALL_FROM_MALLOC) {
		free(p);
		return;
	}
	b = slab_of(p);
	if (!has_room(b))
		list_append(&s->partial[size / SLAB_STEP - 1], &b->of_class);
	memcpy(p, &b->free, sizeof(b->free));
	b->free = p;
	if (--b->used)
		return;
	list_remove(&b->of_class);
	slab_retire(s, b);
}

void *slab_resize(struct slabs *s, void *p, size_t old_size, size_t size)
{
	void *q;

	if (slab_size(old_size) == slab_size(size))
		return p;
	q = slab_alloc(s, size);
	if (!q)
		return NULL;
	memcpy(q, p, old_size < size ? old_size : size);
	slab_free(s, p, old_size);
	return q;
}

void slab_fini(struct slabs *s)
{
	struct slab_region *r = s->regions, *next;

	for (; r; r = next) {
		next = r->next;
		munmap(r->addr, r->len);
		free(r);
	}
	*s = (struct slabs){ 0 };
}
