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
#include "backend/order.h"

#include "netbackd/vif.h"
#include "netbackd/vif_keep.h"
#include "netbackd/vif_queue.h"

/* What the other end of the cable sees, and what people see in the node. */
static void update_carrier(struct vif *vif)
{
	bool on = vif->connected && vif->nr_stalled == 0 && !atomic_load(&vif->unplugged);

	if (on == vif->carrier)
		return;
	vif->carrier = on;
	vif_link_carrier(vif, on);
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
	vif_link_fini(vif);
	vif_keep_free(vif);
	free(vif);
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

static struct vif *vif_new(xenhost_device_t *dev)
{
	struct vif *vif = calloc(1, sizeof(*vif));

	if (!vif)
		return NULL;
	vif->dev = dev;
	vif->driver = xenhost_backend_data(xenhost_device_backend(dev));
	vif_link_init(vif);
	sweep(vif);
	return vif;
}

/* The link is there. */
static int finish_probe(struct vif *vif)
{
	int r = 0;

	vif->resumed = was_connected(vif->dev);
	if (!vif->resumed)
		r = xenhost_device_printf(vif->dev, "carrier", "0");
	if (r == 0)
		r = vif_publish_features(vif);
	if (r == 0)
		log_info("%s: interface %s", xenhost_device_name(vif->dev), vif_link_name(vif));
	return r;
}

/* again and again, until the link is there */
static int vif_probe(xenhost_device_t *dev)
{
	struct vif *vif = xenhost_device_data(dev);
	int r;

	if (!vif)
		vif = vif_new(dev);
	if (!vif)
		return -ENOMEM;
	xenhost_device_set_data(dev, vif);
	r = vif_link_set_up(vif);
	if (r == 0)
		r = finish_probe(vif);
	if (r < 0) {
		xenhost_device_set_data(dev, NULL);
		vif_free(vif);
	}
	return r;
}

static void close_queues(struct vif *vif)
{
	for (uint32_t i = 0; i < vif->nr_queues; i++)
		vif->queues[i] = vif_queue_close(vif->queues[i]);
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
		r = vif_link_prepare(vif);
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
	if (r != 0) {
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
	vif_link_release(vif);
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

	_cleanup_free_ char *order = NULL;
	uint64_t number;
	/* before the settings: those that were written before it are in force when it is answered */
	int r = order_take(dev, &number, &order);

	vif_read_settings(vif);
	update_carrier(vif);
	for (uint32_t i = 0; i < vif->nr_queues; i++)
		vif_queue_look(vif->queues[i]);
	if (r > 0)
		vif_obey(vif, number, order);
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
