/* SPDX-License-Identifier: MIT */
/*
 * A token bucket: so many units a second, and a second's worth at once. A taker may go into debt, as what
 * a request costs is known only when it has been taken. Pure; the caller brings clock and lock.
 */
#ifndef BLKBACKD_THROTTLE_H
#define BLKBACKD_THROTTLE_H

#include <stdint.h>

struct throttle {
	uint64_t rate; /* units per second, 0: no limit */
	int64_t level; /* in units; negative: debt */
	uint64_t at;   /* ns, when level was right */
};

/* From now on. A limit that stays as it was loses nothing. */
void throttle_set(struct throttle *t, uint64_t rate, uint64_t now);
/* 0: go on; else ns until it is worth trying again */
uint64_t throttle_wait(struct throttle *t, uint64_t now);
void throttle_charge(struct throttle *t, uint64_t units);

#endif
