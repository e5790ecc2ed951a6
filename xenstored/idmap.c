/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "xenstored/idmap.h"

#define SLOTS 256

struct idmap_page {
	unsigned int nr;
	void *slots[SLOTS];
};

void *idmap_get(const struct idmap *m, uint16_t id)
{
	const struct idmap_page *p = m->pages[id / SLOTS];

	return p ? p->slots[id % SLOTS] : NULL;
}

int idmap_set(struct idmap *m, uint16_t id, void *ptr)
{
	struct idmap_page **p = &m->pages[id / SLOTS];

	if (!*p)
		*p = calloc(1, sizeof(**p));
	if (!*p)
		return -ENOMEM;
	if (!(*p)->slots[id % SLOTS])
		(*p)->nr++;
	(*p)->slots[id % SLOTS] = ptr;
	return 0;
}

void idmap_clear(struct idmap *m, uint16_t id)
{
	struct idmap_page **p = &m->pages[id / SLOTS];

	if (!*p || !(*p)->slots[id % SLOTS])
		return;
	(*p)->slots[id % SLOTS] = NULL;
	if (--(*p)->nr)
		return;
	free(*p);
	*p = NULL;
}

void *idmap_next(const struct idmap *m, uint32_t *id)
{
	while (*id <= UINT16_MAX) {
		void *ptr;

		if (!m->pages[*id / SLOTS]) {
			*id = (*id / SLOTS + 1) * SLOTS;
			continue;
		}
		ptr = idmap_get(m, (uint16_t)*id);
		if (ptr)
			return ptr;
		(*id)++;
	}
	return NULL;
}

void idmap_fini(struct idmap *m)
{
	for (size_t i = 0; i < IDMAP_PAGES; i++)
		free(m->pages[i]);
	*m = (struct idmap){ 0 };
}
