/* SPDX-License-Identifier: MIT */
/*
 * The other end of a card's cable: a TAP interface of the host, or the socket of a passt(1), which the node `passt`
 * names. The stream to a passt is connected by the queue (stream.h) and belongs to no successor; of the TAP all
 * descriptors lie with the host (vif_keep.h).
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/log.h"

#include "backend/device_error.h"

#include "netbackd/vif.h"
#include "netbackd/vif_keep.h"

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

/* NULL in *ret_path: it is a TAP */
static int read_passt(struct vif *vif, char **ret_path)
{
	int r = xenhost_device_read_str(vif->dev, XENHOST_BACK, "passt", ret_path);

	if (r == 0 && **ret_path != '/')
		r = -EINVAL;
	if (r < 0 && r != -ENOENT)
		return device_error(vif->dev, r, "the node passt is not the path of a socket");
	return 0;
}

int vif_link_set_up(struct vif *vif)
{
	char name[TAP_NAME_MAX + 1];
	int r = read_passt(vif, &vif->passt);

	if (r == 0 && !vif->passt)
		r = vif_read_name(vif->dev, name);
	if (r < 0)
		return r;
	r = vif_keep_adopt(vif, vif->passt ? NULL : name);
	if (r < 0)
		return device_error(vif->dev, r, "cannot keep its state: %s", strerror(-r));
	if (r > 0)
		log_info("%s: goes on with %s", xenhost_device_name(vif->dev), vif_link_name(vif));
	if (r > 0 || vif->passt)
		return 0;
	r = new_tap(vif, name);
	if (r == 0)
		vif_keep_tap(vif);
	else
		vif_keep_forget(vif);
	return r;
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

int vif_link_prepare(struct vif *vif)
{
	return vif->tap ? prepare_tap(vif) : 0;
}

void vif_link_carrier(struct vif *vif, bool on)
{
	if (vif->tap)
		(void)tap_set_carrier(vif->tap, on);
}

void vif_link_release(struct vif *vif)
{
	if (!vif->tap)
		return;
	(void)tap_set_queues(vif->tap, 1);
	vif_keep_tap(vif);
}

void vif_link_fini(struct vif *vif)
{
	vif->tap = tap_close(vif->tap);
	free(vif->passt);
	vif->passt = NULL;
}

uint32_t vif_link_queues(const struct vif *vif)
{
	return vif->tap && vif->tap->multi_queue ? vif->driver->nr_queues : 1;
}

const char *vif_link_name(const struct vif *vif)
{
	return vif->tap ? vif->tap->name : vif->passt;
}
