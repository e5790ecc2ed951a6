/* SPDX-License-Identifier: MIT */
/*
 * A struct vif is made by probe, with its TAP, and freed by remove. Between connect and disconnect it has
 * queues, and the TAP has carrier. The helper (xenhost/backend.h) does the states and calls us from
 * xenhost_process(), in the event loop of the main thread.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/log.h"

#include "backend/device_error.h"

#include "netbackd/vif.h"
#include "netbackd/vif_keep.h"
#include "netbackd/vif_queue.h"

#define DRAIN_MAX 4096 /* stale frames thrown away when a front end connects */

static int join_bridge(xenhost_device_t *dev, const struct tap *tap)
{
	_cleanup_free_ char *bridge = NULL;
	int r = xenhost_device_read_str(dev, XENHOST_BACK, "bridge", &bridge);

	if (r == -ENOENT)
		return 0;
	if (r == 0)
		r = tap_join_bridge(tap, bridge);
	if (r < 0)
		return device_error(dev, r, "cannot put %s into the bridge %s: %s", tap->name,
				    bridge ? bridge : "(node not readable)", strerror(-r));
	return 0;
}

static int set_mtu(struct vif *vif)
{
	unsigned int mtu;
	int r = vif_read_mtu(vif, &mtu);

	if (r < 0)
		return r;
	r = tap_set_mtu(vif->tap, mtu);
	if (r < 0)
		return device_error(vif->dev, r, "cannot set the MTU of %s: %s", vif->tap->name,
				    strerror(-r));
	return 0;
}

static int new_tap(struct vif *vif, const char *name)
{
	int r = tap_open(name, &vif->tap);

	if (r < 0)
		return device_error(vif->dev, r, "cannot make the TAP interface %s: %s%s", name,
				    strerror(-r), r == -EPERM ? " (CAP_NET_ADMIN is needed)" : "");
	r = tap_set_mac(vif->tap);
	if (r < 0)
		return device_error(vif->dev, r, "cannot set the address of %s: %s", name,
				    strerror(-r));
	r = set_mtu(vif);
	if (r < 0)
		return r;
	r = join_bridge(vif->dev, vif->tap);
	if (r < 0)
		return r;
	(void)tap_set_carrier(vif->tap, false);
	r = tap_up(vif->tap);
	if (r < 0)
		return device_error(vif->dev, r, "cannot bring %s up: %s", name, strerror(-r));
	return 0;
}

static int set_up_tap(struct vif *vif)
{
	char name[TAP_NAME_MAX + 1];
	int r;

	r = vif_read_name(vif->dev, name);
	if (r < 0)
		return r;
	r = vif_keep_adopt(vif, name);
	if (r < 0)
		return device_error(vif->dev, r, "cannot keep its state: %s", strerror(-r));
	if (r > 0) {
		log_info("%s: goes on with %s", xenhost_device_name(vif->dev), name);
		return 0;
	}
	r = new_tap(vif, name);
	if (r == 0)
		vif_keep_tap(vif);
	else
		vif_keep_forget(vif);
	return r;
}

/* What the other end of the cable sees, and what people see in the node. */
static void update_carrier(struct vif *vif)
{
	bool on = vif->connected && vif->nr_stalled == 0 && !atomic_load(&vif->unplugged);

	if (on == vif->carrier)
		return;
	vif->carrier = on;
	(void)tap_set_carrier(vif->tap, on);
	(void)xenhost_device_printf(vif->dev, "carrier", "%d", on);
}

void vif_stalled(struct vif *vif, bool stalled)
{
	if (!vif->connected)
		return;
	vif->nr_stalled += stalled ? 1 : -1u;
	log_warning("%s: %s", xenhost_device_name(vif->dev),
		    stalled ? "the guest takes no frames; no carrier until it does"
			    : "the guest takes frames again");
	update_carrier(vif);
}

static void vif_free(struct vif *vif)
{
	if (!vif)
		return;
	tap_close(vif->tap);
	vif_keep_free(vif);
	free(vif);
}

static void vif_freep(struct vif **vif)
{
	vif_free(*vif);
}

/* The guest is in the middle of something with a predecessor. */
static bool was_connected(xenhost_device_t *dev)
{
	uint64_t state = 0;

	return xenhost_device_read_u64(dev, XENHOST_BACK, "state", UINT32_MAX, &state) == 0 &&
	       state == XENHOST_STATE_CONNECTED;
}

static void sweep(struct vif *vif)
{
	if (!vif->driver->swept)
		vif_keep_sweep(vif);
	vif->driver->swept = true;
}

static int vif_probe(xenhost_device_t *dev)
{
	_cleanup_(vif_freep) struct vif *vif = calloc(1, sizeof(*vif));
	int r;

	if (!vif)
		return -ENOMEM;
	vif->dev = dev;
	vif->driver = xenhost_backend_data(xenhost_device_backend(dev));
	sweep(vif);
	r = set_up_tap(vif);
	if (r < 0)
		return r;
	vif->resumed = was_connected(dev);
	if (!vif->resumed)
		r = xenhost_device_printf(dev, "carrier", "0");
	if (r == 0)
		r = vif_publish_features(vif);
	if (r < 0)
		return r;
	log_info("%s: interface %s", xenhost_device_name(dev), vif->tap->name);
	xenhost_device_set_data(dev, steal_ptr(&vif));
	return 0;
}

static void close_queues(struct vif *vif)
{
	for (uint32_t i = 0; i < vif->nr_queues; i++)
		vif->queues[i] = vif_queue_close(vif->queues[i]);
}

/* The TAP as this front end wants it. */
static int prepare_tap(struct vif *vif)
{
	const struct tap_offload offload = {
		.csum = vif->features.csum4,
		.tso4 = vif->features.gso4,
		.tso6 = vif->features.gso6,
	};
	int r = tap_set_queues(vif->tap, vif->nr_queues);

	if (r == 0)
		r = tap_set_offload(vif->tap, &offload);
	if (r < 0)
		return device_error(vif->dev, r, "cannot set up %s for %u queues: %s",
				    vif->tap->name, vif->nr_queues, strerror(-r));
	r = set_mtu(vif);
	/* frames for whoever had the card before */
	if (r == 0 && !vif->resumed)
		tap_drain(vif->tap, DRAIN_MAX);
	vif_keep_tap(vif);
	return r;
}

static int open_queues(struct vif *vif)
{
	int r = 0;

	for (uint32_t i = 0; i < vif->nr_queues && r == 0; i++)
		r = vif_queue_open(vif, i, &vif->queues[i]);
	if (r < 0) {
		close_queues(vif);
		return device_error(vif->dev, r, "cannot connect the rings: %s", strerror(-r));
	}
	return 0;
}

static int try_connect(struct vif *vif)
{
	int r = vif_read_front_end(vif);

	if (r == 0)
		r = prepare_tap(vif);
	return r == 0 ? open_queues(vif) : r;
}

static int vif_connect(xenhost_device_t *dev)
{
	struct vif *vif = xenhost_device_data(dev);
	int r;

	vif_read_settings(vif);
	if (!vif->resumed)
		mcast_clear(&vif->state->mcast);
	vif->nr_stalled = 0;
	vif->connected = true;
	r = try_connect(vif);
	if (r < 0) {
		vif->connected = false;
		return r;
	}
	for (uint32_t i = 0; i < vif->nr_queues; i++)
		vif_queue_start(vif->queues[i]);
	vif->resumed = false;
	update_carrier(vif);
	log_debug("%s: connected, %u queues", xenhost_device_name(dev), vif->nr_queues);
	return 0;
}

void vif_sum_stats(const struct vif *vif, uint64_t sums[VIF_STATS_COUNT])
{
	const _Atomic uint64_t *gone = (const _Atomic uint64_t *)&vif->stats;

	for (size_t i = 0; i < VIF_STATS_COUNT; i++)
		sums[i] = atomic_load_explicit(&gone[i], memory_order_relaxed);
	for (uint32_t i = 0; i < vif->nr_queues; i++)
		if (vif->queues[i])
			vif_queue_stats(vif->queues[i], sums);
}

static void log_stats(struct vif *vif, const uint64_t *sums)
{
	for (size_t i = 0; i < VIF_STATS_COUNT; i++)
		if (sums[i])
			log_debug("%s: %s %" PRIu64, xenhost_device_name(vif->dev),
				  vif_stat_name(i), sums[i]);
}

static void vif_disconnect(xenhost_device_t *dev)
{
	struct vif *vif = xenhost_device_data(dev);
	_Atomic uint64_t *gone = (_Atomic uint64_t *)&vif->stats;
	uint64_t sums[VIF_STATS_COUNT];
	/* it is us who go, not the guest: a successor goes on with all that is there */
	bool ending = xenhost_device_defer(dev) < 0;

	vif->connected = false;
	vif->handed_over = ending;
	if (!ending)
		update_carrier(vif);
	vif_sum_stats(vif, sums);
	close_queues(vif);
	for (size_t i = 0; i < VIF_STATS_COUNT; i++)
		atomic_store(&gone[i], sums[i]);
	log_stats(vif, sums);
	if (ending)
		return;
	(void)tap_set_queues(vif->tap, 1);
	vif_keep_tap(vif);
	xenhost_device_continue(dev);
}

static void vif_remove(xenhost_device_t *dev)
{
	struct vif *vif = xenhost_device_data(dev);

	if (!vif)
		return;
	if (!vif->handed_over)
		vif_keep_forget(vif);
	log_info("%s: removed", xenhost_device_name(dev));
	xenhost_device_set_data(dev, NULL);
	vif_free(vif);
}

/* something was written in one of the two folders */
static void vif_event(xenhost_device_t *dev)
{
	struct vif *vif = xenhost_device_data(dev);

	vif_read_settings(vif);
	update_carrier(vif);
	for (uint32_t i = 0; i < vif->nr_queues; i++)
		vif_queue_look(vif->queues[i]);
	vif_obey(vif);
}

const struct xenhost_backend_ops vif_ops = {
	.size = sizeof(vif_ops),
	.type = "vif",
	.probe = vif_probe,
	.connect = vif_connect,
	.disconnect = vif_disconnect,
	.remove = vif_remove,
	.event = vif_event,
};
