/* SPDX-License-Identifier: MIT */
/* Pointers by a 16-bit id (a domid), in two levels: ids that are close together share a page. */
#ifndef XENSTORED_IDMAP_H
#define XENSTORED_IDMAP_H

#include <stdint.h>

#define IDMAP_PAGES 256

struct idmap_page;

struct idmap {
	struct idmap_page *pages[IDMAP_PAGES];
};

void *idmap_get(const struct idmap *m, uint16_t id);  /* or NULL */
int idmap_set(struct idmap *m, uint16_t id, void *p); /* p is not NULL. 0 or -ENOMEM */
void idmap_clear(struct idmap *m, uint16_t id);
/* the entry with the lowest id >= *id, which becomes its id; NULL: there is none */
void *idmap_next(const struct idmap *m, uint32_t *id);
void idmap_fini(struct idmap *m); /* what it points to is the caller's */

#endif
