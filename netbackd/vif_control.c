/* SPDX-License-Identifier: MIT */
/* Orders of people (backend/order.h). The only one is stat: the sums over all queues, or what one has done. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/options.h"

#include "backend/order.h"

#include "netbackd/vif.h"
#include "netbackd/vif_queue.h"

static const char *const names[] = {
#define X(name) #name,
	VIF_STATS(X)
#undef X
};

const char *vif_stat_name(size_t i)
{
	return names[i];
}

/* " tx-frames=1 tx-bytes=2 ..." */
static void print_counters(const uint64_t *counters, char *buf, size_t size)
{
	size_t at = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(names) && at < size; i++) {
		at += (size_t)snprintf(buf + at, size - at, " %s=%" PRIu64, names[i], counters[i]);
	}
	for (char *c = buf; *c; c++)
		if (*c == '_')
			*c = '-';
}

static void do_stat(struct vif *vif, uint64_t number)
{
	uint64_t sums[VIF_STATS_COUNT];
	char text[1536];

	vif_sum_stats(vif, sums);
	print_counters(sums, text, sizeof(text));
	order_reply(vif->dev, number, "ok interface=%s queues=%" PRIu32 " carrier=%d%s",
		    vif_link_name(vif), vif->connected ? vif->nr_queues : 0, vif->carrier, text);
}

static void do_stat_queue(struct vif *vif, uint64_t number, const char *which)
{
	uint64_t counters[VIF_STATS_COUNT] = { 0 };
	unsigned long long queue;
	char text[1536];

	if (options_number(which, 0, TAP_QUEUES_MAX, &queue) < 0 || queue >= vif->nr_queues ||
	    !vif->queues[queue]) {
		order_reply(vif->dev, number, "error there is no such queue");
		return;
	}
	vif_queue_stats(vif->queues[queue], counters);
	print_counters(counters, text, sizeof(text));
	order_reply(vif->dev, number, "ok queue=%llu%s", queue, text);
}

void vif_obey(struct vif *vif, uint64_t number, const char *order)
{
	if (!strcmp(order, "stat"))
		do_stat(vif, number);
	else if (!strncmp(order, "stat ", 5))
		do_stat_queue(vif, number, order + 5);
	else
		order_reply(vif->dev, number, "error this order is unknown");
}
