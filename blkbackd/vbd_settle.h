/* SPDX-License-Identifier: MIT */
#ifndef BLKBACKD_VBD_SETTLE_H
#define BLKBACKD_VBD_SETTLE_H

#include "blkbackd/vbd.h"

/*
 * A process that was killed has left its marks in the guest's grant table, and the guest can take back
 * none of those pages. Gives up for it all that vbd->journal says it had in use: for a journal with which
 * nobody goes on.
 */
void vbd_settle(struct vbd *vbd);

#endif
