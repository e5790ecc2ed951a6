/* SPDX-License-Identifier: MIT */
/*
 * What takes long and cannot be asked of the kernel in the background: discards. One thread per disk,
 * started by the first of them, which does one piece after the other.
 */
#ifndef BLKBACKD_BLK_SLOW_H
#define BLKBACKD_BLK_SLOW_H

#include <stdint.h>

#include "backend/mailbox.h"

struct blk_slow;
struct image;

struct blk_slow_op {
	uint64_t offset; /* bytes */
	uint64_t len;
	int result; /* 0, -ECANCELED or another -errno, when the letter comes */
	struct mailbox *box;
	struct letter letter; /* letter_init() it; posted to box when it is done */
	struct list link;
};

/* the image must live longer */
int blk_slow_new(const struct image *image, struct blk_slow **ret_slow);
/* nothing may be under way. NULL */
struct blk_slow *blk_slow_free(struct blk_slow *slow);

/* Any thread. What cannot be started ends with an error as well. */
void blk_slow_submit(struct blk_slow *slow, struct blk_slow_op *op);
/* All that is under way ends soon, with -ECANCELED if it was not done yet. Any thread */
void blk_slow_cancel(struct blk_slow *slow);

#endif
