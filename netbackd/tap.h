/* SPDX-License-Identifier: MIT */
/*
 * A TAP interface of the kernel: whole Ethernet frames, each behind a struct virtio_net_hdr (10 bytes). It is made and set up
 * by xenhost-opend; here are its descriptors, one for each queue, with which it lives, unless somebody made it
 * persistent. Nothing here needs a capability.
 */
#ifndef NETBACKD_TAP_H
#define NETBACKD_TAP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/ifname.h"

#define TAP_QUEUES_MAX 16u

struct tap {
	char name[IFNAME_LEN_MAX + 1];
	unsigned int nr;
	unsigned int nr_active;	 /* the first so many are given frames, the others are detached */
	int fds[TAP_QUEUES_MAX]; /* non-blocking, one per queue */
};

/* Takes all queues of an interface of this name; the descriptors are the caller's on failure. -EINVAL another's */
int tap_adopt(const char *name, const int *fds, unsigned int nr, struct tap **ret_tap);
struct tap *tap_close(struct tap *tap); /* NULL */
void tap_closep(struct tap **tap);

/* frames are given to the first nr queues (at least 1). -EOPNOTSUPP there are not so many */
int tap_set_queues(struct tap *tap, unsigned int nr);

/* what the kernel may leave to who reads: checksums, and if so segments of TCP */
struct tap_offload {
	bool csum, tso4, tso6;
};
int tap_set_offload(const struct tap *tap, const struct tap_offload *offload);

/* without carrier the kernel queues no frames for us */
int tap_set_carrier(const struct tap *tap, bool on);
/* throws away what is queued, at most `max` frames of each queue */
void tap_drain(const struct tap *tap, unsigned int max);

#endif
