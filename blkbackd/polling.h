/* SPDX-License-Identifier: MIT */
/*
 * Is it worth looking at a ring for a while before sleeping? What was looked for and found saves both sides a
 * wake-up; what is looked for in vain costs a processor that others may want. So each time in vain makes
 * us sleep at once more often, up to SKIP_MAX times, and so does having lost the processor meanwhile: then
 * somebody else needs it, perhaps the front end itself. Pure; the caller brings the clock.
 */
#ifndef BLKBACKD_POLLING_H
#define BLKBACKD_POLLING_H

#include <stdbool.h>
#include <stdint.h>

#define POLLING_ADAPTIVE_NS \
	100000u /* as long as front ends take for the next requests after an answer */
#define POLLING_SKIP_MAX 1024u
#define POLLING_LOST_NS 300000u /* between two looks at the clock: we did not run */

struct polling {
	bool adaptive;
	uint32_t window; /* ns; 0: never */
	uint32_t skip;	 /* sleeps to come without looking */
	uint32_t after;	 /* skip after the next time in vain */
};

/* us: always so long; negative: adaptive */
void polling_init(struct polling *p, int us);
/* before sleeping: ns to look, or 0 */
uint32_t polling_begin(struct polling *p);
/* how it went; longest: ns between two looks at the clock */
void polling_end(struct polling *p, bool found, uint64_t longest);

#endif
