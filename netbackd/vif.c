/* SPDX-License-Identifier: MIT */
/*
 * A struct vif is made by probe, with its TAP, and freed by remove. Between connect and disconnect
 * it has a queue, and the TAP has carrier. The helper (xenhost/backend.h) does the states and calls
 * us from xenhost_process(), in the event loop.
 *
 * Ours is the back-end folder, where only domain 0 and we write, so `vifname` and `bridge` are
 * trusted; so is `mtu` in the front end's folder, which the guest may read only.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/log.h"

#include "netbackd/tap.h"
#include "netbackd/vif.h"
#include "netbackd/vif_queue.h"

#define MTU_MIN 68
#define MTU_DEFAULT 1500
#define MTU_MAX 1500 /* a frame must fit into one page while feature-sg is 0 */

/* One line for the log and for the error node. Returns the error. */
static int __attribute__((format(printf, 3, 4)))
vif_error(xenhost_device_t *dev, int error, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_error("%s: %s", xenhost_device_name(dev), text);
	xenhost_device_fail(dev, -error, "%s", text);
	return error;
}

static int read_name(xenhost_device_t *dev, char *name, size_t size)
{
	_cleanup_free_ char *text = NULL;
	int r = xenhost_device_read_str(dev, XENHOST_BACK, "vifname", &text);

	if (r < 0 && r != -ENOENT)
		return vif_error(dev, r, "cannot read the node vifname: %s", strerror(-r));
	if (text)
		snprintf(name, size, "%s", text);
	else
		snprintf(name, size, "vif%u.%" PRIu32, xenhost_device_frontend_domid(dev),
			 xenhost_device_id(dev));
	if ((text && strlen(text) >= size) || !tap_name_ok(name))
		return vif_error(dev, -EINVAL, "%s cannot be the name of an interface",
				 text ? text : name);
	return 0;
}

static int set_mtu(xenhost_device_t *dev, const struct tap *tap)
{
	uint64_t mtu = MTU_DEFAULT;
	int r = xenhost_device_read_u64(dev, XENHOST_FRONT, "mtu", 65535, &mtu);

	if ((r < 0 && r != -ENOENT) || mtu < MTU_MIN)
		return vif_error(dev, -EINVAL, "the node mtu is not a number from %d to 65535",
				 MTU_MIN);
	if (mtu > MTU_MAX) {
		log_warning("%s: mtu %" PRIu64 " is more than %d, the most without scatter-gather",
			    xenhost_device_name(dev), mtu, MTU_MAX);
		mtu = MTU_MAX;
	}
	r = tap_set_mtu(tap, (unsigned int)mtu);
	if (r < 0)
		return vif_error(dev, r, "cannot set the MTU of %s: %s", tap->name, strerror(-r));
	return 0;
}

static int join_bridge(xenhost_device_t *dev, const struct tap *tap)
{
	_cleanup_free_ char *bridge = NULL;
	int r = xenhost_device_read_str(dev, XENHOST_BACK, "bridge", &bridge);

	if (r == -ENOENT)
		return 0;
	if (r == 0)
		r = tap_join_bridge(tap, bridge);
	if (r < 0)
		return vif_error(dev, r, "cannot put %s into the bridge %s: %s", tap->name,
				 bridge ? bridge : "(node not readable)", strerror(-r));
	return 0;
}

static int set_up_tap(xenhost_device_t *dev, struct tap **ret_tap)
{
	_cleanup_(tap_closep) struct tap *tap = NULL;
	char name[TAP_NAME_MAX + 1];
	int r;

	r = read_name(dev, name, sizeof(name));
	if (r < 0)
		return r;
	r = tap_open(name, &tap);
	if (r < 0)
		return vif_error(dev, r, "cannot make the TAP interface %s: %s%s", name,
				 strerror(-r), r == -EPERM ? " (CAP_NET_ADMIN is needed)" : "");
	r = tap_set_mac(tap);
	if (r < 0)
		return vif_error(dev, r, "cannot set the address of %s: %s", name, strerror(-r));
	r = set_mtu(dev, tap);
	if (r < 0)
		return r;
	r = join_bridge(dev, tap);
	if (r < 0)
		return r;
	(void)tap_set_carrier(tap, false);
	r = tap_up(tap);
	if (r < 0)
		return vif_error(dev, r, "cannot bring %s up: %s", name, strerror(-r));
	*ret_tap = steal_ptr(&tap);
	return 0;
}

static int publish(xenhost_device_t *dev)
{
	static const struct {
		const char *node;
		int value;
	} nodes[] = {
		{ "feature-rx-copy", 1 },
		{ "feature-rx-flip", 0 },
		{ "feature-sg", 0 },
		{ "feature-split-event-channels", 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
		int r = xenhost_device_printf(dev, nodes[i].node, "%d", nodes[i].value);

		if (r < 0)
			return r;
	}
	return xenhost_device_printf(dev, "hotplug-status", "connected");
}

static int vif_probe(xenhost_device_t *dev)
{
	_cleanup_(tap_closep) struct tap *tap = NULL;
	_cleanup_free_ struct vif *vif = calloc(1, sizeof(*vif));
	int r;

	if (!vif)
		return -ENOMEM;
	r = set_up_tap(dev, &tap);
	if (r < 0)
		return r;
	r = publish(dev);
	if (r < 0)
		return vif_error(dev, r, "cannot write the card's nodes: %s", strerror(-r));
	log_info("%s: interface %s", xenhost_device_name(dev), tap->name);
	vif->dev = dev;
	vif->driver = xenhost_backend_data(xenhost_device_backend(dev));
	vif->tap = steal_ptr(&tap);
	xenhost_device_set_data(dev, steal_ptr(&vif));
	return 0;
}

/* A number of the front end's; missing, it is what the protocol says. */
static int read_feature(xenhost_device_t *dev, const char *node, uint64_t missing,
			uint64_t *ret_value)
{
	int r = xenhost_device_read_u64(dev, XENHOST_FRONT, node, UINT32_MAX, ret_value);

	if (r == -ENOENT) {
		*ret_value = missing;
		return 0;
	}
	if (r < 0)
		return vif_error(dev, r, "the front end's %s is not a number", node);
	return 0;
}

static int check_front_end(struct vif *vif)
{
	uint64_t rx_copy, rx_notify, queues;
	int r;

	r = read_feature(vif->dev, "request-rx-copy", 0, &rx_copy);
	if (r < 0)
		return r;
	if (rx_copy == 0)
		return vif_error(vif->dev, -EOPNOTSUPP, "the front end wants pages flipped");
	r = read_feature(vif->dev, "multi-queue-num-queues", 1, &queues);
	if (r < 0)
		return r;
	if (queues != 1)
		return vif_error(vif->dev, -EINVAL,
				 "the front end's multi-queue-num-queues was not offered");
	r = read_feature(vif->dev, "feature-rx-notify", 0, &rx_notify);
	if (r < 0)
		return r;
	vif->rx_notify = rx_notify != 0;
	return 0;
}

static int vif_connect(xenhost_device_t *dev)
{
	struct vif *vif = xenhost_device_data(dev);
	int r;

	r = check_front_end(vif);
	if (r < 0)
		return r;
	r = vif_queue_open(vif, &vif->queue);
	if (r < 0)
		return vif_error(dev, r, "cannot connect the rings: %s", strerror(-r));
	(void)tap_set_carrier(vif->tap, true);
	return 0;
}

static void vif_disconnect(xenhost_device_t *dev)
{
	struct vif *vif = xenhost_device_data(dev);
	const struct vif_stats *s = &vif->stats;

	(void)tap_set_carrier(vif->tap, false);
	vif->queue = vif_queue_close(vif->queue);
	log_debug("%s: disconnected; from the guest %" PRIu64 " frames, %" PRIu64 " bytes, %" PRIu64
		  " errors, %" PRIu64 " drops; to the guest %" PRIu64 " frames, %" PRIu64
		  " bytes, %" PRIu64 " errors, %" PRIu64 " drops; events %" PRIu64
		  ", notifications %" PRIu64,
		  xenhost_device_name(dev), s->tx_frames, s->tx_bytes, s->tx_errors, s->tx_drops,
		  s->rx_frames, s->rx_bytes, s->rx_errors, s->rx_drops, s->events, s->notifies);
}

static void vif_remove(xenhost_device_t *dev)
{
	struct vif *vif = xenhost_device_data(dev);

	if (!vif)
		return;
	log_info("%s: removed", xenhost_device_name(dev));
	xenhost_device_set_data(dev, NULL);
	tap_close(vif->tap);
	free(vif);
}

const struct xenhost_backend_ops vif_ops = {
	.size = sizeof(vif_ops),
	.type = "vif",
	.probe = vif_probe,
	.connect = vif_connect,
	.disconnect = vif_disconnect,
	.remove = vif_remove,
};
