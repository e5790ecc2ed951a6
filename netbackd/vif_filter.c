/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <linux/if_tun.h>
#include <sys/ioctl.h>

#include "backend/confine.h"
#include "common/cleanup.h"

#include "netbackd/vif_filter.h"

static const int always[] = {
	SCMP_SYS(readv),
	SCMP_SYS(writev),
};

static const unsigned long requests[] = { TUNGETIFF, TUNSETQUEUE, TUNSETOFFLOAD, TUNSETCARRIER };

const struct filter vif_filter = {
	.base = &confine_base,
	.always = always,
	.nr_always = ARRAY_SIZE(always),
	.requests = requests,
	.nr_requests = ARRAY_SIZE(requests),
};
