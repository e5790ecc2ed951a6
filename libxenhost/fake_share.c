/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include <xenhost/gnttab.h>

#include "libxenhost/fake_share.h"

struct share {
	struct list link;
	uint16_t domid;
	uint32_t first; /* gref; consecutive ones */
	size_t n;
	int users;
	uint8_t *pages;
};

void fake_shares_init(struct fake_shares *shares)
{
	list_init(&shares->list);
	shares->last_gref = 7; /* those below are reserved */
}

static void share_free(struct share *share)
{
	list_remove(&share->link);
	free(share->pages);
	free(share);
}

void fake_shares_free(struct fake_shares *shares)
{
	struct share *share, *tmp;

	list_for_each_safe(share, tmp, &shares->list, link)
		share_free(share);
}

int fake_shares_add(struct fake_shares *shares, uint16_t domid, size_t n, unsigned int prot,
		    uint32_t *grefs, void **ret_addr, void **ret_share)
{
	struct share *share = calloc(1, sizeof(*share));

	if (!share)
		return -ENOMEM;
	list_init(&share->link);
	share->pages = calloc(n, XENHOST_PAGE_SIZE);
	if (!share->pages) {
		free(share);
		return -ENOMEM;
	}
	share->domid = domid;
	share->n = n;
	share->first = shares->last_gref + 1;
	shares->last_gref += (uint32_t)n;
	for (size_t i = 0; i < n; i++)
		grefs[i] = share->first + (uint32_t)i;
	list_append(&shares->list, &share->link);
	*ret_addr = share->pages;
	*ret_share = share;
	return 0;
}

int fake_shares_remove(struct fake_shares *shares, void *data)
{
	struct share *share = data;

	if (share->users)
		return -EBUSY;
	share_free(share);
	return 0;
}

void *fake_shares_use(struct fake_shares *shares, uint16_t domid, uint32_t gref, bool use)
{
	struct share *share;

	list_for_each(share, &shares->list, link) {
		if (share->domid != domid || gref - share->first >= share->n)
			continue;
		share->users += use ? 1 : -1;
		return share->pages + (size_t)(gref - share->first) * XENHOST_PAGE_SIZE;
	}
	return NULL;
}
