/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

#include "blkbackd/blk_slow.h"
#include "blkbackd/image.h"

/* some tenths of a second each, between which we look whether to go on */
#define PIECE_FILE (64ull << 20)
#define PIECE_DEVICE (1ull << 30)

struct blk_slow {
	const struct image *image;
	pthread_mutex_t lock; /* for all below */
	pthread_cond_t wake;
	struct list ops;
	bool running; /* thread is a thread */
	bool cancel;
	bool end;
	pthread_t thread;
};

static bool canceled(struct blk_slow *slow)
{
	bool cancel;

	pthread_mutex_lock(&slow->lock);
	cancel = slow->cancel;
	pthread_mutex_unlock(&slow->lock);
	return cancel;
}

static int do_op(struct blk_slow *slow, const struct blk_slow_op *op)
{
	const uint64_t piece = slow->image->is_device ? PIECE_DEVICE : PIECE_FILE;
	uint64_t at = op->offset, left = op->len;

	while (left > 0) {
		uint64_t now = left < piece ? left : piece;
		int r = canceled(slow) ? -ECANCELED : image_discard(slow->image, at, now);

		if (r < 0 && r != -EINTR)
			return r;
		if (r == 0) {
			at += now;
			left -= now;
		}
	}
	return 0;
}

static struct blk_slow_op *next_op(struct blk_slow *slow)
{
	struct blk_slow_op *op = NULL;

	pthread_mutex_lock(&slow->lock);
	while (list_empty(&slow->ops) && !slow->end)
		pthread_cond_wait(&slow->wake, &slow->lock);
	if (!list_empty(&slow->ops)) {
		op = list_entry(slow->ops.next, struct blk_slow_op, link);
		list_remove(&op->link);
	}
	pthread_mutex_unlock(&slow->lock);
	return op;
}

static void *slow_main(void *data)
{
	struct blk_slow *slow = data;
	struct blk_slow_op *op;

	while ((op = next_op(slow))) {
		op->result = do_op(slow, op);
		mailbox_post(op->box, &op->letter);
	}
	return NULL;
}

static int start_thread(struct blk_slow *slow)
{
	sigset_t all, old;
	int r;

	if (slow->running)
		return 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&slow->thread, NULL, slow_main, slow);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	slow->running = r == 0;
	return -r;
}

int blk_slow_new(const struct image *image, struct blk_slow **ret_slow)
{
	struct blk_slow *slow = calloc(1, sizeof(*slow));

	if (!slow)
		return -ENOMEM;
	slow->image = image;
	pthread_mutex_init(&slow->lock, NULL);
	pthread_cond_init(&slow->wake, NULL);
	list_init(&slow->ops);
	*ret_slow = slow;
	return 0;
}

void blk_slow_submit(struct blk_slow *slow, struct blk_slow_op *op)
{
	int r;

	list_init(&op->link);
	pthread_mutex_lock(&slow->lock);
	r = start_thread(slow);
	if (r == 0) {
		list_append(&slow->ops, &op->link);
		pthread_cond_signal(&slow->wake);
	}
	pthread_mutex_unlock(&slow->lock);
	if (r == 0)
		return;
	op->result = r;
	mailbox_post(op->box, &op->letter);
}

void blk_slow_cancel(struct blk_slow *slow)
{
	pthread_mutex_lock(&slow->lock);
	slow->cancel = true;
	pthread_mutex_unlock(&slow->lock);
}

struct blk_slow *blk_slow_free(struct blk_slow *slow)
{
	if (!slow)
		return NULL;
	pthread_mutex_lock(&slow->lock);
	slow->end = true;
	pthread_cond_signal(&slow->wake);
	pthread_mutex_unlock(&slow->lock);
	if (slow->running)
		pthread_join(slow->thread, NULL);
	pthread_cond_destroy(&slow->wake);
	pthread_mutex_destroy(&slow->lock);
	free(slow);
	return NULL;
}
