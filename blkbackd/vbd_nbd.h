/* SPDX-License-Identifier: MIT */
/* Connections of a disk that an NBD server has. Main thread. */
#ifndef BLKBACKD_VBD_NBD_H
#define BLKBACKD_VBD_NBD_H

#include "blkbackd/vbd.h"

void vbd_nbd_init(struct vbd *vbd);
void vbd_nbd_fini(struct vbd *vbd);

/*
 * Connects for the first time, to vbd->nbd.spec, once the predecessor's connection is over. Ends with
 * vbd_opened(). 0 or -errno
 */
int vbd_nbd_open(struct vbd *vbd);
/* the queue has no connection: it gets one as soon as there is one */
void vbd_nbd_lost(struct vbd *vbd);
/* the disk goes, and nobody will have to wait for its connection */
void vbd_nbd_forget(struct vbd *vbd);

#endif
