/* SPDX-License-Identifier: MIT */
/*
 * Operations of blk_io.h by an NBD server: what blk_io.c collected is sent, and done() is called when the
 * answer is there. When the connection goes, what is under way waits for the next one and is asked again, as
 * nobody was told of it. One thread.
 */
#ifndef BLKBACKD_BLK_NBD_H
#define BLKBACKD_BLK_NBD_H

#include <stdbool.h>

struct blk_io_op;
struct blk_nbd;
struct event_base;
struct nbd_handle;

struct blk_nbd_config {
	unsigned int depth; /* operations at a time */
	/* op NULL: the flush. From blk_nbd_kick() and from the loop, never from blk_nbd_submit() */
	void (*done)(void *data, struct blk_io_op *op, int result);
	void (*batch)(void *data); /* behind a group of done() from the loop */
	void (*lost)(void *data);  /* there is no connection; blk_nbd_connect() is wanted */
	void *data, *lost_data;
};

int blk_nbd_new(const struct blk_nbd_config *config, struct blk_nbd **ret_nbd);
/* From now on it belongs to the thread of base. */
int blk_nbd_start(struct blk_nbd *nbd, struct event_base *base);
/* NULL; nothing may be under way */
struct blk_nbd *blk_nbd_free(struct blk_nbd *nbd);

/* takes the handle over, which is ready; whatever waits is sent */
void blk_nbd_connect(struct blk_nbd *nbd, struct nbd_handle *handle);
/* No more connections: while there is none, all is done() with -ECANCELED. */
void blk_nbd_give_up(struct blk_nbd *nbd);

void blk_nbd_submit(struct blk_nbd *nbd, struct blk_io_op *op);
void blk_nbd_flush(struct blk_nbd *nbd);
/* sends, and calls done() for what ended at once */
void blk_nbd_kick(struct blk_nbd *nbd);
/* blocks until something moves */
void blk_nbd_wait(struct blk_nbd *nbd);

/* ends the connection, whoever else has the socket; any thread that has the handle. NULL: nothing */
void blk_nbd_hang_up(struct nbd_handle *handle);

#endif
