/* SPDX-License-Identifier: MIT */
/*
 * The keys of a card. Ours is the back-end folder, where only domain 0 and we write, so `vifname`, `bridge`,
 * `mac`, `ip` and `rate` are trusted; so are `mtu` and `disconnect` in the front end's folder, which the toolstack
 * makes for the guest to read only. Everything else there is the guest's: numbers within limits, or the
 * device is refused.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/options.h"

#include "backend/device_error.h"

#include "netbackd/net_filter.h"
#include "netbackd/vif.h"

#define MTU_MIN 68
#define MTU_DEFAULT 1500
#define MTU_MAX 65521u	   /* and an Ethernet header: the largest frame */
#define MTU_ONE_PAGE 1500u /* what front ends without scatter-gather expect */

int vif_read_name(xenhost_device_t *dev, char *name)
{
	_cleanup_free_ char *text = NULL;
	int len, r = xenhost_device_read_str(dev, XENHOST_BACK, "vifname", &text);

	if (r < 0 && r != -ENOENT)
		return device_error(dev, r, "cannot read the node vifname: %s", strerror(-r));
	if (text)
		len = snprintf(name, IFNAME_LEN_MAX + 1, "%s", text);
	else
		len = snprintf(name, IFNAME_LEN_MAX + 1, "vif%u.%" PRIu32,
			       xenhost_device_frontend_domid(dev), xenhost_device_id(dev));
	/* cut short it could be another card's name */
	if (len > (int)IFNAME_LEN_MAX || !ifname_ok(name))
		return device_error(dev, -EINVAL, "%s cannot be the name of an interface",
				    text ? text : name);
	return 0;
}

/* A number of the front end's; missing, it is what the protocol says. */
static int read_number(xenhost_device_t *dev, const char *node, uint64_t missing,
		       uint64_t *ret_value)
{
	int r = xenhost_device_read_u64(dev, XENHOST_FRONT, node, UINT32_MAX, ret_value);

	if (r == -ENOENT) {
		*ret_value = missing;
		return 0;
	}
	if (r < 0)
		return device_error(dev, r, "the front end's %s is not a number", node);
	return 0;
}

static int read_switches(struct vif *vif)
{
	struct vif_features f = { 0 };
	bool rx_copy, no_csum4;
	const struct {
		const char *node;
		bool *value;
	} switches[] = {
		{ "request-rx-copy", &rx_copy },
		{ "feature-rx-notify", &f.rx_notify },
		{ "feature-sg", &f.sg },
		{ "feature-gso-tcpv4", &f.gso4 },
		{ "feature-gso-tcpv6", &f.gso6 },
		{ "feature-no-csum-offload", &no_csum4 },
		{ "feature-ipv6-csum-offload", &f.csum6 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(switches); i++) {
		uint64_t value;
		int r = read_number(vif->dev, switches[i].node, 0, &value);

		if (r < 0)
			return r;
		*switches[i].value = value != 0;
	}
	if (!rx_copy)
		return device_error(vif->dev, -EOPNOTSUPP, "the front end wants pages flipped");
	f.csum4 = !no_csum4;
	/* the kernel has one switch for both protocols; segments are made with sums only */
	f.csum6 = f.csum6 && f.csum4;
	f.gso4 = f.gso4 && f.sg && f.csum4;
	f.gso6 = f.gso6 && f.sg && f.csum6;
	vif->features = f;
	return 0;
}

int vif_read_front_end(struct vif *vif)
{
	uint32_t max = vif_link_queues(vif);
	int r = read_switches(vif);

	if (r < 0)
		return r;
	r = xenhost_device_queues(vif->dev, max, &vif->nr_queues);
	if (r < 0)
		return device_error(vif->dev, r,
				    "the front end's multi-queue-num-queues is not from 1 to %u",
				    max);
	return 0;
}

int vif_read_mtu(struct vif *vif, unsigned int *ret_mtu)
{
	uint64_t mtu = MTU_DEFAULT;
	unsigned int max = !vif->connected || vif->features.sg ? MTU_MAX : MTU_ONE_PAGE;
	int r = xenhost_device_read_u64(vif->dev, XENHOST_FRONT, "mtu", 65535, &mtu);

	if ((r < 0 && r != -ENOENT) || mtu < MTU_MIN)
		return device_error(vif->dev, -EINVAL,
				    "the node mtu is not a number from %d to 65535", MTU_MIN);
	if (mtu > max) {
		log_warning("%s: mtu %" PRIu64 " is more than %u, the most%s",
			    xenhost_device_name(vif->dev), mtu, max,
			    max == MTU_MAX ? "" : " without scatter-gather");
		mtu = max;
	}
	*ret_mtu = (unsigned int)mtu;
	return 0;
}

/* "bytes,microseconds", both 0: no limit */
static void read_rate(struct vif *vif)
{
	_cleanup_free_ char *text = NULL;
	unsigned long long bytes = 0, usec = 0;
	int r = xenhost_device_read_str(vif->dev, XENHOST_BACK, "rate", &text);
	char *comma = r == 0 ? strchr(text, ',') : NULL;

	if (r == 0 && comma) {
		*comma = 0;
		r = options_number(text, 0, UINT64_MAX / 2, &bytes);
		if (r == 0)
			r = options_number(comma + 1, 0, UINT32_MAX, &usec);
	} else if (r == 0) {
		r = -EINVAL;
	}
	if (r < 0 && r != -ENOENT) {
		log_warning("%s: the node rate is not BYTES,MICROSECONDS; it stays as it was",
			    xenhost_device_name(vif->dev));
		return;
	}
	atomic_store(&vif->rate_bytes, usec ? bytes : 0);
	atomic_store(&vif->rate_usec, usec);
}

static bool read_switch(struct vif *vif, int side, const char *node, bool missing)
{
	uint64_t value;
	int r = xenhost_device_read_u64(vif->dev, side, node, UINT32_MAX, &value);

	return r < 0 ? missing : value != 0;
}

static void read_mac(struct vif *vif)
{
	_cleanup_free_ char *text = NULL;

	vif->have_mac = xenhost_device_read_str(vif->dev, XENHOST_BACK, "mac", &text) == 0 &&
			net_mac_parse(text, vif->mac) == 0;
}

/* The node is there: those and no others, even if it cannot be read. */
static void read_addresses(struct vif *vif)
{
	_cleanup_free_ char *text = NULL;
	int r = xenhost_device_read_str(vif->dev, XENHOST_BACK, "ip", &text);

	vif->have_addresses = r != -ENOENT;
	if (net_addresses_parse(text ? text : "?", &vif->addresses) < 0 && vif->have_addresses)
		log_warning("%s: the node ip is no list of at most %u addresses of each kind; the "
			    "guest has none with anti-spoof",
			    xenhost_device_name(vif->dev), NET_ADDRESSES_MAX);
}

void vif_read_settings(struct vif *vif)
{
	bool anti_spoof = read_switch(vif, XENHOST_BACK, "anti-spoof", vif->driver->anti_spoof);

	read_rate(vif);
	/* the addresses are read by the queues' threads: they are settled before those begin */
	if (!vif->connected) {
		read_mac(vif);
		read_addresses(vif);
	}
	if (anti_spoof && !vif->have_mac)
		log_warning(
			"%s: no address in the node mac, so nothing the guest sends is let through",
			xenhost_device_name(vif->dev));
	atomic_store(&vif->anti_spoof, anti_spoof);
	atomic_store(&vif->unplugged, read_switch(vif, XENHOST_FRONT, "disconnect", false));
	atomic_store(&vif->mcast_filter,
		     read_switch(vif, XENHOST_FRONT, "request-multicast-control", false));
}

int vif_publish_features(struct vif *vif)
{
	static const struct {
		const char *node;
		int value;
	} nodes[] = {
		{ "feature-rx-copy", 1 },
		{ "feature-rx-flip", 0 },
		{ "feature-sg", 1 },
		{ "feature-gso-tcpv4", 1 },
		{ "feature-gso-tcpv6", 1 },
		{ "feature-ipv6-csum-offload", 1 },
		{ "feature-multicast-control", 1 },
		{ "feature-dynamic-multicast-control", 1 },
		{ "feature-split-event-channels", 1 },
	};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(nodes) && r == 0; i++)
		r = xenhost_device_printf(vif->dev, nodes[i].node, "%d", nodes[i].value);
	if (r == 0)
		r = xenhost_device_printf(vif->dev, "multi-queue-max-queues", "%u",
					  vif_link_queues(vif));
	if (r == 0)
		r = xenhost_device_printf(vif->dev, "hotplug-status", "connected");
	return r < 0 ? device_error(vif->dev, r, "cannot write the card's nodes: %s", strerror(-r))
		     : 0;
}
