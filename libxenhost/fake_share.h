/* SPDX-License-Identifier: MIT */
/* The fake transport as a guest: pages that it shares, and what the other side does with them. */
#ifndef LIBXENHOST_FAKE_SHARE_H
#define LIBXENHOST_FAKE_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/list.h"

struct fake_shares {
	struct list list;
	uint32_t last_gref;
};

void fake_shares_init(struct fake_shares *shares);
void fake_shares_free(struct fake_shares *shares);
int fake_shares_add(struct fake_shares *shares, uint16_t domid, size_t n, unsigned int prot,
		    uint32_t *grefs, void **ret_addr, void **ret_share);
int fake_shares_remove(struct fake_shares *shares, void *share);
/* the page of a gref granted to domid, marked in use or not any more; NULL: none */
void *fake_shares_use(struct fake_shares *shares, uint16_t domid, uint32_t gref, bool use);

#endif
