/* SPDX-License-Identifier: MIT */
/*
 * The multicast addresses that a guest wants to hear. Plain memory without pointers, shared by the
 * threads of a card's queues: any of them may change it, and looks take no lock.
 */
#ifndef NETBACKD_MCAST_H
#define NETBACKD_MCAST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define MCAST_MAX 256u

struct mcast {
	_Atomic uint64_t list[MCAST_MAX]; /* 0: free */
};

void mcast_clear(struct mcast *m);
/* 0, also when it was there; -EINVAL no multicast address, -ENOSPC */
int mcast_add(struct mcast *m, const uint8_t *address);
/* -ENOENT */
int mcast_remove(struct mcast *m, const uint8_t *address);
/* a frame to this address is for the guest: everything but multicast that it did not ask for */
bool mcast_wanted(const struct mcast *m, const uint8_t *address);

#endif
