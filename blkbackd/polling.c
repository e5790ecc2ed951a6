/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "blkbackd/polling.h"

void polling_init(struct polling *p, int us)
{
	*p = (struct polling){
		.adaptive = us < 0,
		.window = us < 0 ? POLLING_ADAPTIVE_NS : (uint32_t)us * 1000u,
		.after = 1,
	};
}

uint32_t polling_begin(struct polling *p)
{
	if (p->skip > 0) {
		p->skip--;
		return 0;
	}
	return p->window;
}

void polling_end(struct polling *p, bool found, uint64_t longest)
{
	if (!p->adaptive)
		return;
	if (longest >= POLLING_LOST_NS) {
		p->skip = p->after = POLLING_SKIP_MAX;
	} else if (found) {
		p->after = 1;
	} else {
		p->skip = p->after;
		p->after = p->after < POLLING_SKIP_MAX / 2 ? p->after * 2 : POLLING_SKIP_MAX;
	}
}
