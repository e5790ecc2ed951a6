/* SPDX-License-Identifier: MIT */
/* One ring of a disk with its port and its requests: the data path. */
#ifndef BLKBACKD_VBD_QUEUE_H
#define BLKBACKD_VBD_QUEUE_H

#include <stdbool.h>

#include "blkbackd/vbd.h"

/*
 * Maps the ring, binds the port and prepares all that may fail, in the main thread. resume: the journal
 * tells what a predecessor left. -errno of the grants and the port, -EPROTO the ring's indices cannot be,
 * or not with the journal.
 */
int vbd_queue_new(struct vbd *vbd, unsigned int number, bool resume, struct vbd_queue **ret_queue);
/* Serves in its thread from now on; ends only by vbd_queue_stop() */
void vbd_queue_start(struct vbd_queue *queue);
/* Takes no more requests, ends what is under way, then vbd_queue_stopped(). Main thread, once */
void vbd_queue_stop(struct vbd_queue *queue);
/* NULL; not started, or stopped. Adds its numbers to the vbd's */
struct vbd_queue *vbd_queue_free(struct vbd_queue *queue);

/* paused, or not any more; other limits: look again */
void vbd_queue_kick(struct vbd_queue *queue);

/* a connection to its server, taken over; between start and stop */
void vbd_queue_connect(struct vbd_queue *queue, struct nbd_handle *handle);

const struct vbd_stats *vbd_queue_stats(const struct vbd_queue *queue);
const char *vbd_queue_engine(const struct vbd_queue *queue);

#endif
