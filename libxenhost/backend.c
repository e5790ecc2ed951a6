/* SPDX-License-Identifier: MIT */
/*
 * A back end: one watch on backend/TYPE in our home, and the devices found there. It never creates
 * or removes folders there, that is the toolstack's. When the back end is freed the store stays as
 * it is, so that a successor finds connected devices connected and guests see a pause at most.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "libxenhost/device.h"

#define TYPE_MAX 32

/* --- finding devices --- */

static xenhost_device_t *find_device(xenhost_backend_t *b, uint16_t front, uint32_t devid)
{
	xenhost_device_t *dev;

	list_for_each(dev, &b->devices, link)
		if (dev->front_domid == front && dev->devid == devid)
			return dev;
	return NULL;
}

/* Of an error that will pass nobody else will tell us: look again. Others are those of one folder. */
static void check_result(xenhost_backend_t *b, int r)
{
	if ((r == -ENOMEM || r == -ETIMEDOUT || r == -EAGAIN) && !b->freed)
		xh_work_queue(b->host->store, &b->rescan);
}

void xh_backend_add(xenhost_backend_t *b, uint16_t front, uint32_t devid)
{
	check_result(b, xh_device_new(b, front, devid));
}

static void try_device(xenhost_backend_t *b, uint16_t front, uint32_t devid)
{
	if (!xh_allowed(b->host, front) || find_device(b, front, devid))
		return;
	if (b->nr_devices >= XH_DEVICES_MAX)
		b->ignored = true;
	else
		xh_backend_add(b, front, devid);
}

/* the numeric names in a folder; others are not ours */
static void each_number(xenhost_backend_t *b, const char *path, uint32_t max,
			void (*fn)(xenhost_backend_t *b, uint32_t outer, uint32_t number),
			uint32_t outer)
{
	_cleanup_free_ char **names = NULL;
	uint32_t number;
	int r = xenhost_store_list(b->host, 0, path, &names);

	if (r < 0) {
		check_result(b, r);
		return;
	}
	for (char **name = names; *name; name++)
		if (xh_xenbus_number(*name, strlen(*name), max, &number) == 0)
			fn(b, outer, number);
}

static void found_devid(xenhost_backend_t *b, uint32_t front, uint32_t devid)
{
	try_device(b, (uint16_t)front, devid);
}

static void scan_front(xenhost_backend_t *b, uint32_t unused, uint32_t front)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%" PRIu32, b->root, front);
	each_number(b, path, UINT32_MAX, found_devid, front);
}

static void scan(xenhost_backend_t *b)
{
	b->ignored = false;
	each_number(b, b->root, XH_XENBUS_DOMID_MAX, scan_front, 0);
}

static void on_event(xenhost_t *host, const char *path, void *data)
{
	xenhost_backend_t *b = data;
	const char *node = "";
	xenhost_device_t *dev;
	uint16_t front = 0;
	uint32_t devid = 0;
	int what;

	what = xh_xenbus_event(b->root, path, &front, &devid, &node);
	if (what < 0)
		return;
	/* one event may stand for many: below the folder that it names anything may have changed */
	list_for_each(dev, &b->devices, link)
		if (what == 0 || (dev->front_domid == front && (what == 1 || dev->devid == devid)))
			xh_device_event(dev, what == 0 ? "*" : node);
	if (what == 0)
		scan(b);
	else if (what == 1)
		scan_front(b, 0, front);
	else
		try_device(b, front, devid);
}

static void on_rescan(struct xh_work *work)
{
	scan(list_entry(work, xenhost_backend_t, rescan));
}

void xh_backend_device_gone(xenhost_backend_t *b)
{
	b->nr_devices--;
	if (b->freed && b->nr_devices == 0) {
		free(b->root);
		free(b);
	} else if (!b->freed && b->ignored) {
		xh_work_queue(b->host->store, &b->rescan);
	}
}

/* --- life --- */

static bool type_valid(const char *type)
{
	size_t len = type ? strlen(type) : 0;

	return len && len <= TYPE_MAX &&
	       strspn(type, "abcdefghijklmnopqrstuvwxyz0123456789-_") == len;
}

/* Programs built with an older or newer header: members beyond theirs or ours are not there. */
static int copy_ops(const struct xenhost_backend_ops *ops, struct xenhost_backend_ops *copy)
{
	const size_t least = offsetof(struct xenhost_backend_ops, event);

	if (!ops || ops->size < least)
		return -EINVAL;
	memset(copy, 0, sizeof(*copy));
	memcpy(copy, ops, ops->size < sizeof(*copy) ? ops->size : sizeof(*copy));
	if (!type_valid(copy->type) || !copy->probe || !copy->connect || !copy->disconnect)
		return -EINVAL;
	return 0;
}

static void backend_freep(xenhost_backend_t **b)
{
	xenhost_backend_free(*b);
}

int xenhost_backend_new(xenhost_t *host, const struct xenhost_backend_ops *ops, void *data,
			xenhost_backend_t **ret_backend)
{
	_cleanup_(backend_freep) xenhost_backend_t *b = NULL;
	struct xenhost_backend_ops copy;
	int r;

	if (!host || !ret_backend)
		return -EINVAL;
	r = copy_ops(ops, &copy);
	if (r < 0)
		return r;
	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->host = host;
	b->ops = copy;
	b->data = data;
	b->rescan.fn = on_rescan;
	list_init(&b->rescan.link);
	list_init(&b->devices);
	if (asprintf(&b->root, "/local/domain/%" PRIu16 "/backend/%s", xenhost_domid(host),
		     copy.type) < 0) {
		b->root = NULL;
		return -ENOMEM;
	}
	/* its first event finds what is there already */
	r = xenhost_watch(host, b->root, on_event, b, &b->watch);
	if (r < 0)
		return r;
	*ret_backend = steal_ptr(&b);
	return 0;
}

xenhost_backend_t *xenhost_backend_free(xenhost_backend_t *b)
{
	xenhost_device_t *dev, *next;

	if (!b || b->freed)
		return NULL;
	xenhost_unwatch(b->watch);
	xh_work_cancel(&b->rescan);
	b->freed = true;
	b->nr_devices++; /* keeps b until the end of this function */
	for (dev = list_entry(b->devices.next, xenhost_device_t, link); &dev->link != &b->devices;
	     dev = next) {
		next = list_entry(dev->link.next, xenhost_device_t, link);
		xh_device_end(dev);
	}
	xh_backend_device_gone(b);
	return NULL;
}

void *xenhost_backend_data(const xenhost_backend_t *backend)
{
	return backend->data;
}
