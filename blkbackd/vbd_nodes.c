/* SPDX-License-Identifier: MIT */
/*
 * Who wrote which node: ours is the back-end folder, where only domain 0 and we write, so what the
 * toolstack says there is trusted. Everything in the front end's folder is the guest's word.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <xenhost/domain.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/options.h"
#include "common/xen.h"

#include "backend/device_error.h"
#include "backend/order.h"

#include "blkbackd/image.h"
#include "blkbackd/vbd_nodes.h"
#include "blkbackd/vbd_queue.h"

/* --- the toolstack's --- */

uint64_t vbd_setting(struct vbd *vbd, const char *node, uint64_t max, uint64_t absent)
{
	uint64_t value = absent;
	int r = xenhost_device_read_u64(vbd->dev, XENHOST_BACK, node, max, &value);

	if (r < 0 && r != -ENOENT)
		log_warning("%s: the node %s is not understood and left aside: %s",
			    xenhost_device_name(vbd->dev), node, strerror(-r));
	return value;
}

static uint32_t read_policy(struct vbd *vbd, const char *node, enum vbd_policy absent)
{
	static const char *const names[] = {
		[VBD_REPORT] = "report",
		[VBD_STOP] = "stop",
		[VBD_STOP_FULL] = "enospc",
	};
	_cleanup_free_ char *value = NULL;

	if (xenhost_device_read_str(vbd->dev, XENHOST_BACK, node, &value) < 0)
		return absent;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(value, names[i]))
			return (uint32_t)i;
	log_warning("%s: the node %s is none of report, stop, enospc and left aside",
		    xenhost_device_name(vbd->dev), node);
	return absent;
}

void vbd_read_settings(struct vbd *vbd)
{
	uint64_t iops = vbd_setting(vbd, "throttle-iops", INT64_MAX, 0);
	uint64_t bps = vbd_setting(vbd, "throttle-bps", INT64_MAX, 0);
	struct timespec ts;
	uint64_t now;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	now = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
	pthread_mutex_lock(&vbd->throttle_lock);
	throttle_set(&vbd->iops, iops, now);
	throttle_set(&vbd->bps, bps, now);
	pthread_mutex_unlock(&vbd->throttle_lock);
	atomic_store(&vbd->throttled, iops || bps);
	atomic_store(&vbd->werror, read_policy(vbd, "werror", VBD_STOP_FULL));
	atomic_store(&vbd->rerror, read_policy(vbd, "rerror", VBD_REPORT));
}

/* --- ours --- */

/* VDISK_* bits of the node info */
static unsigned int disk_info(const struct vbd *vbd)
{
	unsigned int info = vbd->image->readonly ? VDISK_READONLY : 0;
	_cleanup_free_ char *type = NULL;
	uint64_t removable = 0;

	if (xenhost_device_read_str(vbd->dev, XENHOST_BACK, "device-type", &type) == 0 &&
	    !strcmp(type, "cdrom"))
		info |= VDISK_CDROM;
	(void)xenhost_device_read_u64(vbd->dev, XENHOST_BACK, "removable", 1, &removable);
	if (removable)
		info |= VDISK_REMOVABLE;
	return info;
}

/* All that is known before the front end appears; the size again when it connects. */
int vbd_publish(struct vbd *vbd)
{
	const struct image *image = vbd->image;
	const struct {
		const char *node;
		uint64_t value;
	} nodes[] = {
		{ "feature-barrier", vbd->limits.barrier },
		{ "feature-flush-cache", 1 },
		{ "feature-persistent", 0 },
		{ "feature-max-indirect-segments", vbd->limits.indirect },
		{ "multi-queue-max-queues", vbd->max_queues },
		{ "max-ring-page-order", VBD_RING_ORDER_MAX },
		{ "max-ring-pages", 1u << VBD_RING_ORDER_MAX },
		{ "feature-discard", vbd->limits.discard },
		{ "discard-granularity", image->discard_granularity },
		{ "discard-alignment", image->discard_alignment },
		{ "discard-secure", 0 },
		{ "sectors", atomic_load(&vbd->sectors) },
		{ "sector-size", image->sector_size },
		{ "physical-sector-size", image->physical_size },
		{ "info", disk_info(vbd) },
	};

	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
		int r;

		if (!vbd->limits.discard && !strncmp(nodes[i].node, "discard-", 8))
			continue;
		r = xenhost_device_printf(vbd->dev, nodes[i].node, "%" PRIu64, nodes[i].value);
		if (r < 0)
			return r;
	}
	return xenhost_device_printf(vbd->dev, "hotplug-status", "connected");
}

/* --- the front end's --- */

static int front_error(struct vbd *vbd, int error, const char *what)
{
	return device_error(vbd->dev, error, "the front end's %s cannot be: %s", what,
			    error == -ENOENT ? "it is missing" : strerror(-error));
}

static int read_number(struct vbd *vbd, const char *node, uint32_t *ret_value)
{
	uint64_t value;
	int r = xenhost_device_read_u64(vbd->dev, XENHOST_FRONT, node, UINT32_MAX, &value);

	if (r == 0)
		*ret_value = (uint32_t)value;
	return r;
}

/* One page may be named ring-ref or, by those that speak of an order, ring-ref0. */
static int read_refs(struct vbd *vbd, struct journal_key *key, uint32_t queue)
{
	char name[24], node[48];

	for (uint32_t i = 0; i < key->pages; i++) {
		uint32_t *gref = &key->queues[queue].grefs[i];
		int r = -ENOENT;

		if (key->pages == 1) {
			xenhost_device_queue_node(queue, key->nr_queues, "ring-ref", node,
						  sizeof(node));
			r = read_number(vbd, node, gref);
		}
		if (r == -ENOENT) {
			snprintf(name, sizeof(name), "ring-ref%" PRIu32, i);
			xenhost_device_queue_node(queue, key->nr_queues, name, node, sizeof(node));
			r = read_number(vbd, node, gref);
		}
		if (r < 0)
			return front_error(vbd, r, node);
	}
	return 0;
}

static int read_queue(struct vbd *vbd, struct journal_key *key, uint32_t queue)
{
	char node[48];
	int r = read_refs(vbd, key, queue);

	if (r < 0)
		return r;
	xenhost_device_queue_node(queue, key->nr_queues, "event-channel", node, sizeof(node));
	r = read_number(vbd, node, &key->queues[queue].port);
	return r < 0 ? front_error(vbd, r, node) : 0;
}

static int read_protocol(struct vbd *vbd)
{
	_cleanup_free_ char *protocol = NULL;
	int r = xenhost_device_read_str(vbd->dev, XENHOST_FRONT, "protocol", &protocol);

	if (r < 0 && r != -ENOENT)
		return front_error(vbd, r, "protocol");
	r = blk_abi_by_name(protocol, &vbd->limits.abi);
	return r < 0 ? front_error(vbd, r, "protocol") : 0;
}

/* such a front end counts sectors of the logical size, which nobody else does */
static int check_sector_units(struct vbd *vbd)
{
	uint64_t value = 0;
	int r;

	if (vbd->limits.unit == 1)
		return 0;
	r = xenhost_device_read_u64(vbd->dev, XENHOST_FRONT, "feature-large-sector-size", 1,
				    &value);
	if (r == -ENOENT || (r == 0 && value == 0))
		return 0;
	return front_error(vbd, r < 0 ? r : -EINVAL, "feature-large-sector-size");
}

/* as ring.c counts: a power of two of what is behind the indices */
static uint32_t ring_slots(uint32_t pages, enum blk_abi abi)
{
	uint32_t room = (pages * XENHOST_PAGE_SIZE - 64) / (uint32_t)blk_request_size(abi);

	return 1u << (31 - __builtin_clz(room));
}

static int read_sizes(struct vbd *vbd, struct journal_key *key)
{
	uint32_t order = 0;
	int r;

	r = xenhost_device_queues(vbd->dev, vbd->max_queues, &key->nr_queues);
	if (r < 0)
		return front_error(vbd, r, "multi-queue-num-queues");
	r = xenhost_device_ring_order(vbd->dev, VBD_RING_ORDER_MAX, &order);
	if (r < 0)
		return front_error(vbd, r, "ring-page-order");
	key->pages = 1u << order;
	key->abi = (uint32_t)vbd->limits.abi;
	key->slots = ring_slots(key->pages, vbd->limits.abi);
	return 0;
}

int vbd_read_front(struct vbd *vbd, struct journal_key *key)
{
	struct xenhost_domain_info info;
	int r;

	memset(key, 0, sizeof(*key));
	if (xenhost_domain_info(xenhost_device_host(vbd->dev),
				xenhost_device_frontend_domid(vbd->dev), &info) == 0)
		key->unique_id = info.unique_id;
	r = check_sector_units(vbd);
	if (r == 0)
		r = read_protocol(vbd);
	if (r == 0)
		r = read_sizes(vbd, key);
	for (uint32_t i = 0; r == 0 && i < key->nr_queues; i++)
		r = read_queue(vbd, key, i);
	return r;
}

/* --- orders --- */

/* "1:17,4:2": below so many us, so many requests */
static void print_latencies(const uint64_t *latency, char *buf, size_t size)
{
	size_t at = 0;

	buf[0] = '\0';
	for (unsigned int i = 0; i < VBD_LATENCY_BUCKETS && at < size; i++)
		if (latency[i])
			at += (size_t)snprintf(buf + at, size - at, "%s%llu:%" PRIu64,
					       at ? "," : "", 1ull << i, latency[i]);
}

static const char *state_name(const struct vbd *vbd)
{
	uint32_t paused = atomic_load(&vbd->paused);

	return atomic_load(&vbd->failed)	 ? "failed"
	       : paused & VBD_PAUSED_BY_ERROR	 ? "stopped"
	       : paused & VBD_PAUSED_BY_OPERATOR ? "paused"
						 : "running";
}

static void do_stat(struct vbd *vbd, uint64_t number)
{
	static const char *const names[] = { "requests", "sectors-read", "sectors-written",
					     "flushes",	 "discards",	 "merged",
					     "errors",	 "events",	 "notifies",
					     "replayed" };
	_Static_assert(ARRAY_SIZE(names) + VBD_LATENCY_BUCKETS == VBD_STATS_COUNT, "all of them");
	uint64_t sums[VBD_STATS_COUNT] = { 0 };
	char text[1024], latencies[512];
	size_t at = 0;

	vbd_sum_stats(vbd, sums);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, " %s=%" PRIu64, names[i],
				       sums[i]);
	print_latencies(sums + ARRAY_SIZE(names), latencies, sizeof(latencies));
	order_reply(vbd->dev, number,
		    "ok state=%s queues=%" PRIu32 " ring-pages=%" PRIu32
		    " engine=%s cache=%s%s latency-us=%s",
		    state_name(vbd), vbd->nr_queues, vbd->journal->header->key.pages,
		    vbd_queue_engine(vbd->queues[0]), vbd->image->direct ? "none" : "page", text,
		    latencies);
}

static void do_resize(struct vbd *vbd, uint64_t number, bool shrink)
{
	int r = vbd_resize(vbd, shrink);

	if (r == -EPERM)
		order_reply(vbd->dev, number,
			    "error the image is smaller now; say so to make the disk smaller");
	else if (r < 0)
		order_reply(vbd->dev, number, "error %s", strerror(-r));
	else
		order_reply(vbd->dev, number, "ok sectors=%" PRIu64, atomic_load(&vbd->sectors));
}

static void obey(struct vbd *vbd, uint64_t number, const char *order)
{
	if (!strcmp(order, "stat")) {
		do_stat(vbd, number);
	} else if (!strcmp(order, "pause")) {
		vbd_pause(vbd, VBD_PAUSED_BY_OPERATOR);
		order_reply(vbd->dev, number, "ok");
	} else if (!strcmp(order, "resume")) {
		vbd_resume(vbd);
		order_reply(vbd->dev, number, "ok");
	} else if (!strcmp(order, "resize") || !strcmp(order, "resize shrink")) {
		do_resize(vbd, number, !!strchr(order, ' '));
	} else {
		order_reply(vbd->dev, number, "error this order is unknown");
	}
}

void vbd_tell_state(struct vbd *vbd)
{
	const char *state = state_name(vbd);

	if (vbd->told_state != state &&
	    xenhost_device_printf(vbd->dev, "xenhost-state", "%s", state) == 0)
		vbd->told_state = state;
}

/* The order is read before the settings: those that were written before it are in force when it is answered. */
void vbd_follow_nodes(struct vbd *vbd)
{
	_cleanup_free_ char *order = NULL;
	uint64_t number;
	int r = order_take(vbd->dev, &number, &order);

	vbd_read_settings(vbd);
	(void)vbd_resize(vbd, false);
	if (r > 0)
		obey(vbd, number, order);
	vbd_tell_state(vbd);
}
