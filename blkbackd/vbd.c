/* SPDX-License-Identifier: MIT */
/*
 * A struct vbd is made by probe, with its image open and locked, and freed by remove. Between
 * connect and disconnect it has a queue. The helper (xenhost/backend.h) does the states and calls
 * us from xenhost_process(), in the event loop.
 *
 * Who wrote which node: ours is the back-end folder, where only domain 0 and we write, so `params`
 * and `mode` are trusted. Everything in the front end's folder is the guest's word.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/xen.h"

#include "blkbackd/image.h"
#include "blkbackd/vbd.h"
#include "blkbackd/vbd_queue.h"

/* One line for the log and for the error node. Returns the error. */
static int __attribute__((format(printf, 3, 4)))
vbd_error(xenhost_device_t *dev, int error, const char *fmt, ...)
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

/* mode: "r" or "w"; anything else might be meant as either */
static int read_mode(xenhost_device_t *dev, bool *ret_readonly)
{
	_cleanup_free_ char *mode = NULL;
	int r = xenhost_device_read_str(dev, XENHOST_BACK, "mode", &mode);

	if (r < 0)
		return vbd_error(dev, r, "cannot read the node mode: %s", strerror(-r));
	if (strcmp(mode, "r") && strcmp(mode, "w"))
		return vbd_error(dev, -EINVAL, "the node mode is neither r nor w");
	*ret_readonly = mode[0] == 'r';
	return 0;
}

static int open_image(xenhost_device_t *dev, struct image **ret_image)
{
	_cleanup_free_ char *params = NULL;
	bool readonly = true;
	int r;

	r = read_mode(dev, &readonly);
	if (r < 0)
		return r;
	r = xenhost_device_read_str(dev, XENHOST_BACK, "params", &params);
	if (r < 0)
		return vbd_error(dev, r, "cannot read the node params, the path of the image: %s",
				 strerror(-r));
	r = image_open(params, readonly, ret_image);
	if (r < 0)
		return vbd_error(dev, r, "cannot open the image %s: %s", params, image_strerror(r));
	return 0;
}

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
static int publish(struct vbd *vbd)
{
	const struct {
		const char *node;
		uint64_t value;
	} nodes[] = {
		{ "feature-flush-cache", 1 },
		{ "feature-max-indirect-segments", vbd->limits.indirect },
		{ "sectors", vbd->limits.sectors },
		{ "sector-size", vbd->image->sector_size },
		{ "physical-sector-size", vbd->image->physical_size },
		{ "info", disk_info(vbd) },
	};

	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
		int r = xenhost_device_printf(vbd->dev, nodes[i].node, "%" PRIu64, nodes[i].value);

		if (r < 0)
			return r;
	}
	return xenhost_device_printf(vbd->dev, "hotplug-status", "connected");
}

static int vbd_probe(xenhost_device_t *dev)
{
	_cleanup_(image_closep) struct image *image = NULL;
	_cleanup_free_ struct vbd *vbd = calloc(1, sizeof(*vbd));
	int r;

	if (!vbd)
		return -ENOMEM;
	r = open_image(dev, &image);
	if (r < 0)
		return r;
	vbd->dev = dev;
	vbd->driver = xenhost_backend_data(xenhost_device_backend(dev));
	vbd->image = image;
	vbd->limits = (struct blk_limits){
		.readonly = image->readonly,
		.indirect = BLK_SEGS_MAX,
		.unit = image->sector_size / BLK_SECTOR,
		.sectors = image->sectors,
	};
	r = publish(vbd);
	if (r < 0)
		return vbd_error(dev, r, "cannot write the disk's nodes: %s", strerror(-r));
	log_info("%s: %s, %" PRIu64 " sectors, %s", xenhost_device_name(dev), image->path,
		 image->sectors, image->readonly ? "read-only" : "writable");
	image = NULL;
	xenhost_device_set_data(dev, steal_ptr(&vbd));
	return 0;
}

/* What was not offered must not be asked for; a missing node asks for nothing. */
static int check_absent(xenhost_device_t *dev, const char *node, uint64_t harmless)
{
	uint64_t value;
	int r = xenhost_device_read_u64(dev, XENHOST_FRONT, node, UINT32_MAX, &value);

	if (r == -ENOENT || (r == 0 && value == harmless))
		return 0;
	return vbd_error(dev, r < 0 ? r : -EINVAL, "the front end's %s was not offered", node);
}

static int read_protocol(struct vbd *vbd)
{
	_cleanup_free_ char *protocol = NULL;
	int r = xenhost_device_read_str(vbd->dev, XENHOST_FRONT, "protocol", &protocol);

	if (r < 0 && r != -ENOENT)
		return vbd_error(vbd->dev, r, "cannot read the front end's protocol: %s",
				 strerror(-r));
	r = blk_abi_by_name(protocol, &vbd->limits.abi);
	if (r < 0)
		return vbd_error(vbd->dev, r, "the front end's protocol is unknown");
	return 0;
}

static int check_front_end(struct vbd *vbd)
{
	int r;

	r = check_absent(vbd->dev, "multi-queue-num-queues", 1);
	if (r < 0)
		return r;
	r = check_absent(vbd->dev, "ring-page-order", 0);
	if (r < 0)
		return r;
	/* such a front end counts sectors of the logical size, which nobody else does */
	if (vbd->limits.unit != 1) {
		r = check_absent(vbd->dev, "feature-large-sector-size", 0);
		if (r < 0)
			return r;
	}
	return read_protocol(vbd);
}

static int vbd_connect(xenhost_device_t *dev)
{
	struct vbd *vbd = xenhost_device_data(dev);
	int r;

	r = check_front_end(vbd);
	if (r < 0)
		return r;
	r = vbd_queue_open(vbd, &vbd->queue);
	if (r < 0)
		return vbd_error(dev, r, "cannot connect the ring: %s", strerror(-r));
	r = publish(vbd);
	if (r < 0)
		vbd->queue = vbd_queue_close(vbd->queue);
	return r;
}

static void vbd_disconnect(xenhost_device_t *dev)
{
	struct vbd *vbd = xenhost_device_data(dev);
	const struct vbd_stats *s = &vbd->stats;

	vbd->queue = vbd_queue_close(vbd->queue);
	log_debug("%s: disconnected; requests %" PRIu64 ", sectors read %" PRIu64
		  ", written %" PRIu64 ", flushes %" PRIu64 ", errors %" PRIu64 ", events %" PRIu64
		  ", notifications %" PRIu64,
		  xenhost_device_name(dev), s->requests, s->sectors_read, s->sectors_written,
		  s->flushes, s->errors, s->events, s->notifies);
}

static void vbd_remove(xenhost_device_t *dev)
{
	struct vbd *vbd = xenhost_device_data(dev);

	if (!vbd)
		return;
	log_info("%s: removed", xenhost_device_name(dev));
	xenhost_device_set_data(dev, NULL);
	image_close(vbd->image);
	free(vbd);
}

const struct xenhost_backend_ops vbd_ops = {
	.size = sizeof(vbd_ops),
	.type = "vbd",
	.probe = vbd_probe,
	.connect = vbd_connect,
	.disconnect = vbd_disconnect,
	.remove = vbd_remove,
};
