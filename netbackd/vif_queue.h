/* SPDX-License-Identifier: MIT */
/* One pair of rings of a network card with their ports and a queue of the TAP: the data path. */
#ifndef NETBACKD_VIF_QUEUE_H
#define NETBACKD_VIF_QUEUE_H

#include <stdint.h>

struct vif;
struct vif_queue;

/*
 * The main thread: maps, binds, and does not begin. -errno of the store and of the grants, -EPROTO the
 * rings' indices cannot be
 */
int vif_queue_open(struct vif *vif, unsigned int number, struct vif_queue **ret_queue);
/* its thread begins; once */
void vif_queue_start(struct vif_queue *queue);
/* The queue's settings have changed. */
void vif_queue_look(struct vif_queue *queue);
/* NULL; stops it, which waits for its thread, and takes its statistics over */
struct vif_queue *vif_queue_close(struct vif_queue *queue);
void vif_queue_closep(struct vif_queue **queue);
/* adds its statistics to sums */
void vif_queue_stats(const struct vif_queue *queue, uint64_t *sums);

#endif
