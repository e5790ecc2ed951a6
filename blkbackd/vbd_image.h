/* SPDX-License-Identifier: MIT */
/* How a disk comes to its image. */
#ifndef BLKBACKD_VBD_IMAGE_H
#define BLKBACKD_VBD_IMAGE_H

#include "blkbackd/vbd.h"

void vbd_opening_init(struct vbd *vbd);
void vbd_opening_fini(struct vbd *vbd);

/*
 * vbd->image, with all that the toolstack said about it. 0; XENHOST_LATER: to be called again after
 * xenhost_device_continue(); -EBUSY: somebody has it, which is not yet an error of the device; or -errno, told
 */
int vbd_open_image(struct vbd *vbd);
/* of vbd_nbd.c: what it was asked for is there, or not */
void vbd_opened(struct vbd *vbd, int error, const char *text);

#endif
