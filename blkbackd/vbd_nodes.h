/* SPDX-License-Identifier: MIT */
/* The nodes of a disk: what we offer, what the toolstack wants, what the front end says, the operator's orders. */
#ifndef BLKBACKD_VBD_NODES_H
#define BLKBACKD_VBD_NODES_H

#include "blkbackd/vbd.h"

/* a number of the toolstack's, with what it is when there is none */
uint64_t vbd_setting(struct vbd *vbd, const char *node, uint64_t max, uint64_t absent);
/* features, geometry */
int vbd_publish(struct vbd *vbd);
/* throttle and what to do about errors, as the toolstack says now */
void vbd_read_settings(struct vbd *vbd);
/* Everything that the front end says of its rings, checked; and limits.abi. -errno, told to the front end */
int vbd_read_front(struct vbd *vbd, struct journal_key *key);
/* running, paused, stopped or failed, for those who watch; in a callback of the device */
void vbd_tell_state(struct vbd *vbd);
/* A node was written: settings, size, and what xenhost-control says, if it was not done yet. Of a connected disk */
void vbd_follow_nodes(struct vbd *vbd);

#endif
