/* SPDX-License-Identifier: MIT */
/* One ring of a disk with its port and its requests: the data path. */
#ifndef BLKBACKD_VBD_QUEUE_H
#define BLKBACKD_VBD_QUEUE_H

struct vbd;
struct vbd_queue;

/*
 * Maps the ring, binds the port, starts serving from the event loop. -errno of the store and of the
 * grant, -EPROTO the ring's indices cannot be.
 */
int vbd_queue_open(struct vbd *vbd, struct vbd_queue **ret_queue);

/* Stops taking requests, waits for those under way, gives everything back. NULL */
struct vbd_queue *vbd_queue_close(struct vbd_queue *queue);
void vbd_queue_closep(struct vbd_queue **queue);

#endif
