/* SPDX-License-Identifier: MIT */
/* One pair of rings of a network card with their ports: the data path. */
#ifndef NETBACKD_VIF_QUEUE_H
#define NETBACKD_VIF_QUEUE_H

struct vif;
struct vif_queue;

/* as vbd_queue_open(): -errno of the store and of the grants, -EPROTO the rings' indices cannot be
 */
int vif_queue_open(struct vif *vif, struct vif_queue **ret_queue);
struct vif_queue *vif_queue_close(struct vif_queue *queue); /* NULL */
void vif_queue_closep(struct vif_queue **queue);

#endif
