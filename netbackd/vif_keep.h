/* SPDX-License-Identifier: MIT */
/*
 * What of a card outlives this process: with the host (xenhost/keep.h) lie the TAP's descriptors and a small
 * memfd with everything else that is neither in the rings nor in the store. Main thread only.
 */
#ifndef NETBACKD_VIF_KEEP_H
#define NETBACKD_VIF_KEEP_H

#include <stdint.h>

#include "netbackd/mcast.h"
#include "netbackd/tap.h"
#include "netbackd/vif_redo.h"

struct vif;

/* in the memfd */
struct vif_state {
	uint64_t magic;	    /* last written */
	uint64_t unique_id; /* of the guest's domain */
	uint32_t nr_queues; /* descriptors of the TAP that were left */
	uint32_t reserved;
	struct mcast mcast;
	struct redo tx[TAP_QUEUES_MAX], rx[TAP_QUEUES_MAX]; /* by queue */
};

/*
 * Takes what a predecessor left for this card of this domain, TAP and state: 1, or 0 there is nothing (any
 * more) and there is a new state. tap_name NULL: it has no TAP. -ENOMEM
 */
int vif_keep_adopt(struct vif *vif, const char *tap_name);
/* leaves all descriptors of the TAP as they are now; it is logged if nobody keeps them */
void vif_keep_tap(struct vif *vif);
/* nothing is left */
void vif_keep_forget(struct vif *vif);
void vif_keep_free(struct vif *vif);
/* drops what predecessors left for domains that are gone; once is enough */
void vif_keep_sweep(struct vif *vif);

#endif
