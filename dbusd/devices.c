/* SPDX-License-Identifier: MIT */
/*
 * What a device is stands in its back-end folder; a copy of what D-Bus shows of it is here, and is read anew at each
 * event of the watch. An order (xenhost-control) is answered in the node xenhost-reply: the call waits in the device until then,
 * one at a time. A device that was told to go is removed when its back end is Closed.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include <xenhost/backend.h>
#include <xenhost/domain.h>
#include <xenhost/store.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "dbusd/bus.h"
#include "dbusd/device_nodes.h"
#include "dbusd/devices.h"
#include "dbusd/objects.h"

#define DISK_INTERFACE "org.xenhost.Disk1"
#define NETWORK_INTERFACE "org.xenhost.Network1"
#define DEVICES_MAX 65536u

struct service {
	struct list link;
	struct devices *devices;
	uint16_t domid;
	char root[40]; /* /local/domain/N/backend */
	xenhost_watch_t *watch;
};

struct device {
	struct list link;
	struct devices *devices;
	struct device_nodes nodes; /* where it is */
	unsigned int state;
	bool leaving, read_only;
	char name[64], image[4096], activity[16], mac[32], bridge[32];
	char path[80];
	sd_bus_slot *slot;
	sd_bus_message *call; /* that waits for the answer to order `number` */
	uint64_t number;
};

static const char *interface_of(const struct device *dev)
{
	return dev->nodes.disk ? DISK_INTERFACE : NETWORK_INTERFACE;
}

static const char *state_name(unsigned int state)
{
	static const char *const names[] = { "gone",	 "new",	      "waiting",
					     "starting", "connected", "closing",
					     "closed",	 "changing",  "changed" };

	return state < ARRAY_SIZE(names) ? names[state] : "unknown";
}

/* --- properties --- */

static int get_text(sd_bus *bus, const char *path, const char *interface, const char *property,
		    sd_bus_message *reply, void *data, sd_bus_error *error)
{
	const struct device *dev = data;
	const char *text = dev->name;

	if (!strcmp(property, "State"))
		text = state_name(dev->state);
	else if (!strcmp(property, "Image"))
		text = dev->image;
	else if (!strcmp(property, "Activity"))
		text = dev->activity;
	else if (!strcmp(property, "MacAddress"))
		text = dev->mac;
	else if (!strcmp(property, "Bridge"))
		text = dev->bridge;
	return sd_bus_message_append(reply, "s", text);
}

static int get_read_only(sd_bus *bus, const char *path, const char *interface, const char *property,
			 sd_bus_message *reply, void *data, sd_bus_error *error)
{
	return sd_bus_message_append(reply, "b", ((struct device *)data)->read_only);
}

/* --- orders --- */

static void end_call(struct device *dev, const char *why)
{
	if (!dev->call)
		return;
	(void)sd_bus_reply_method_errorf(dev->call, SD_BUS_ERROR_FAILED, "%s", why);
	dev->call = sd_bus_message_unref(dev->call);
}

static void take_reply(struct device *dev)
{
	_cleanup_free_ char *reply = NULL;
	const char *text;
	char *end;

	if (!dev->call || device_nodes_read(&dev->nodes, "xenhost-reply", &reply) < 0)
		return;
	if (strtoull(reply, &end, 10) != dev->number || *end != ' ')
		return;
	text = end + 1;
	if (strncmp(text, "ok", 2) != 0) {
		end_call(dev, text);
		return;
	}
	text += text[2] == ' ' ? 3 : 2;
	(void)sd_bus_reply_method_return(dev->call, "s", text);
	dev->call = sd_bus_message_unref(dev->call);
}

static int order(struct device *dev, sd_bus_message *m, const char *what, sd_bus_error *error)
{
	char text[160];
	int r;

	if (dev->state != XENHOST_STATE_CONNECTED)
		return sd_bus_error_setf(error, SD_BUS_ERROR_FAILED, "it is not connected (%s)",
					 state_name(dev->state));
	if (strlen(what) > 100 || strpbrk(what, "\n\r"))
		return sd_bus_error_set(error, SD_BUS_ERROR_INVALID_ARGS, "this is no order");
	end_call(dev, "another order came before the answer");
	dev->number = ++dev->devices->orders;
	snprintf(text, sizeof(text), "%llu %s", (unsigned long long)dev->number, what);
	r = device_nodes_write(&dev->nodes, "xenhost-control", text);
	if (r < 0)
		return sd_bus_error_setf(error, SD_BUS_ERROR_FAILED,
					 "the Xenstore does not take it: %s", strerror(-r));
	dev->call = sd_bus_message_ref(m);
	return 1;
}

static int on_stat(sd_bus_message *m, void *data, sd_bus_error *error)
{
	return order(data, m, "stat", error);
}

static int on_order(sd_bus_message *m, void *data, sd_bus_error *error)
{
	const char *what;
	int r = sd_bus_message_read(m, "s", &what);

	return r < 0 ? r : order(data, m, what, error);
}

static int on_detach(sd_bus_message *m, void *data, sd_bus_error *error)
{
	struct device *dev = data;
	int r = device_nodes_close(&dev->nodes);

	if (r < 0)
		return sd_bus_error_setf(error, SD_BUS_ERROR_FAILED,
					 "the Xenstore does not take it: %s", strerror(-r));
	dev->leaving = true;
	return sd_bus_reply_method_return(m, "");
}

#define CONST SD_BUS_VTABLE_PROPERTY_CONST
#define CHANGES SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE
#define COMMON_PARTS                                                                           \
	SD_BUS_PROPERTY("Domid", "q", NULL, offsetof(struct device, nodes.guest), CONST),      \
		SD_BUS_PROPERTY("Backend", "q", NULL, offsetof(struct device, nodes.service),  \
				CONST),                                                        \
		SD_BUS_PROPERTY("DeviceId", "u", NULL, offsetof(struct device, nodes.devid),   \
				CONST),                                                        \
		SD_BUS_PROPERTY("State", "s", get_text, 0, CHANGES),                           \
		BUS_METHOD("Stat", "", "s", on_stat), BUS_METHOD("Order", "s", "s", on_order), \
		BUS_METHOD("Detach", "", "", on_detach)

static const sd_bus_vtable disk_vtable[] = {
	SD_BUS_VTABLE_START(0),
	COMMON_PARTS,
	SD_BUS_PROPERTY("Device", "s", get_text, 0, CHANGES),
	SD_BUS_PROPERTY("Image", "s", get_text, 0, CHANGES),
	SD_BUS_PROPERTY("Activity", "s", get_text, 0, CHANGES),
	SD_BUS_PROPERTY("ReadOnly", "b", get_read_only, 0, CHANGES),
	SD_BUS_VTABLE_END,
};

static const sd_bus_vtable network_vtable[] = {
	SD_BUS_VTABLE_START(0),
	COMMON_PARTS,
	SD_BUS_PROPERTY("Device", "s", get_text, 0, CHANGES),
	SD_BUS_PROPERTY("MacAddress", "s", get_text, 0, CHANGES),
	SD_BUS_PROPERTY("Bridge", "s", get_text, 0, CHANGES),
	SD_BUS_VTABLE_END,
};

/* --- objects --- */

static void device_free(struct device *dev)
{
	end_call(dev, "the device is gone");
	list_remove(&dev->link);
	dev->devices->nr--;
	sd_bus_slot_unref(dev->slot);
	free(dev);
}

static void device_remove(struct device *dev)
{
	int r = sd_bus_emit_object_removed(dev->devices->objects->bus->bus, dev->path);

	if (r < 0)
		log_warning("D-Bus was not told that %s is gone: %s", dev->path, strerror(-r));
	device_free(dev);
}

static struct device *find(struct devices *d, const struct device_nodes *n)
{
	struct device *dev;

	list_for_each(dev, &d->all, link)
		if (dev->nodes.service == n->service && dev->nodes.guest == n->guest &&
		    dev->nodes.devid == n->devid && dev->nodes.disk == n->disk)
			return dev;
	return NULL;
}

static void read_text(const struct device *dev, const char *node, char *text, size_t size)
{
	_cleanup_free_ char *value = NULL;

	/* D-Bus has no text that is no UTF-8; what is not printable would not help anybody */
	*text = '\0';
	if (device_nodes_read(&dev->nodes, node, &value) < 0)
		return;
	snprintf(text, size, "%s", value);
	for (char *c = text; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

/* what may change, as one: are two copies the same? */
static bool same(const struct device *a, const struct device *b)
{
	return a->read_only == b->read_only && !strcmp(a->name, b->name) &&
	       !strcmp(a->image, b->image) && !strcmp(a->activity, b->activity) &&
	       !strcmp(a->mac, b->mac) && !strcmp(a->bridge, b->bridge);
}

static void read_nodes(struct device *dev)
{
	char mode[8];

	if (dev->nodes.disk) {
		read_text(dev, "dev", dev->name, sizeof(dev->name));
		read_text(dev, "params", dev->image, sizeof(dev->image));
		read_text(dev, "mode", mode, sizeof(mode));
		read_text(dev, "xenhost-state", dev->activity, sizeof(dev->activity));
		dev->read_only = *mode == 'r';
	} else {
		read_text(dev, "vifname", dev->name, sizeof(dev->name));
		read_text(dev, "mac", dev->mac, sizeof(dev->mac));
		read_text(dev, "bridge", dev->bridge, sizeof(dev->bridge));
	}
}

static int show(struct device *dev)
{
	sd_bus *bus = dev->devices->objects->bus->bus;
	int r = sd_bus_add_object_vtable(bus, &dev->slot, dev->path, interface_of(dev),
					 dev->nodes.disk ? disk_vtable : network_vtable, dev);

	return r < 0 ? r : sd_bus_emit_object_added(bus, dev->path);
}

static void device_add(struct devices *d, const struct device_nodes *n, unsigned int state)
{
	struct device *dev;
	uint64_t id;
	int r;

	if (objects_unique_id(d->objects, n->guest, &id) < 0 || d->nr >= DEVICES_MAX)
		return;
	dev = calloc(1, sizeof(*dev));
	if (!dev) {
		log_warning("no memory for a device on D-Bus");
		return;
	}
	list_append(&d->all, &dev->link);
	d->nr++;
	dev->devices = d;
	dev->nodes = *n;
	dev->state = state;
	device_nodes_object(n, id, dev->path, sizeof(dev->path));
	read_nodes(dev);
	r = show(dev);
	if (r >= 0)
		return;
	log_warning("%s is not on D-Bus: %s", dev->path, strerror(-r));
	device_free(dev);
}

static void tell_changes(struct device *dev, bool state, bool others)
{
	sd_bus *bus = dev->devices->objects->bus->bus;
	int r = 0;

	if (state)
		r = sd_bus_emit_properties_changed(bus, dev->path, interface_of(dev), "State",
						   NULL);
	if (r >= 0 && others && dev->nodes.disk)
		r = sd_bus_emit_properties_changed(bus, dev->path, DISK_INTERFACE, "Device",
						   "Image", "ReadOnly", "Activity", NULL);
	else if (r >= 0 && others)
		r = sd_bus_emit_properties_changed(bus, dev->path, NETWORK_INTERFACE, "Device",
						   "MacAddress", "Bridge", NULL);
	if (r < 0)
		log_warning("D-Bus was not told of a change of %s: %s", dev->path, strerror(-r));
}

static void device_change(struct device *dev, unsigned int state)
{
	_cleanup_free_ struct device *before = malloc(sizeof(*before));
	bool other_state = state != dev->state;

	if (!before)
		return;
	memcpy(before, dev, sizeof(*before));
	dev->state = state;
	read_nodes(dev);
	take_reply(dev);
	tell_changes(dev, other_state, !same(dev, before));
	if (dev->leaving && state == XENHOST_STATE_CLOSED)
		device_nodes_remove(&dev->nodes); /* and the watch tells us */
}

/* one back-end folder, as it is now */
static void look_at(struct devices *d, const struct device_nodes *n)
{
	struct device *dev = find(d, n);
	unsigned int state;
	int r = device_nodes_state(n, &state);

	if (r == -ENOENT && dev)
		device_remove(dev);
	else if (r == 0 && dev)
		device_change(dev, state);
	else if (r == 0)
		device_add(d, n, state);
}

/* --- the store --- */

static void look_at_one(void *data, const struct device_nodes *n)
{
	look_at(data, n);
}

/* all there is of one service, and of one guest if it is not 0 */
static void look_at_all(struct service *s, uint16_t guest)
{
	struct device_nodes n = { .host = s->devices->objects->host, .service = s->domid };
	struct device *dev, *tmp;

	list_for_each_safe(dev, tmp, &s->devices->all, link)
		if (dev->nodes.service == s->domid && (!guest || dev->nodes.guest == guest)) {
			n = dev->nodes;
			look_at(s->devices, &n);
		}
	device_nodes_each(n.host, s->domid, guest, look_at_one, s->devices);
}

static void on_change(xenhost_t *host, const char *path, void *data)
{
	struct service *s = data;
	struct device_nodes n = { .host = host, .service = s->domid };
	size_t len = strlen(s->root);

	if (strncmp(path, s->root, len) != 0)
		return;
	if (device_nodes_parse(path + len, &n) == 0)
		look_at(s->devices, &n);
	else
		look_at_all(s, 0);
	bus_kick(s->devices->objects->bus);
}

static void try_again(struct devices *d)
{
	static const struct timeval soon = { .tv_usec = 500000 };

	event_add(d->retry, &soon);
}

static void watch(struct service *s)
{
	int r = xenhost_watch(s->devices->objects->host, s->root, on_change, s, &s->watch);

	if (r < 0)
		try_again(s->devices); /* there is no store yet */
}

static void on_retry(evutil_socket_t fd, short what, void *data)
{
	struct service *s;

	list_for_each(s, &((struct devices *)data)->services, link)
		if (!s->watch)
			watch(s);
}

static void service_free(struct service *s)
{
	list_remove(&s->link);
	xenhost_unwatch(s->watch);
	free(s);
}

static void service_add(struct devices *d, uint16_t domid)
{
	struct service *s = calloc(1, sizeof(*s));

	if (!s) {
		log_warning("no memory for the devices of domain %u", domid);
		return;
	}
	s->devices = d;
	s->domid = domid;
	snprintf(s->root, sizeof(s->root), "/local/domain/%u/backend", domid);
	list_append(&d->services, &s->link);
	watch(s);
}

/* --- */

void devices_domain_added(struct devices *d, uint16_t domid, bool is_service)
{
	struct service *s;

	if (is_service) {
		service_add(d, domid);
		return;
	}
	list_for_each(s, &d->services, link)
		if (s->watch)
			look_at_all(s, domid);
}

void devices_domain_removed(struct devices *d, uint16_t domid)
{
	struct device *dev, *next_device;
	struct service *s, *next_service;

	list_for_each_safe(dev, next_device, &d->all, link)
		if (dev->nodes.guest == domid || dev->nodes.service == domid)
			device_remove(dev);
	list_for_each_safe(s, next_service, &d->services, link)
		if (s->domid == domid)
			service_free(s);
}

static int attached(struct devices *d, const struct device_nodes *n, int r, char *ret_path,
		    size_t size, sd_bus_error *error)
{
	uint64_t id;

	if (r == 0)
		r = objects_unique_id(d->objects, n->guest, &id);
	if (r < 0)
		return sd_bus_error_setf(
			error, r == -EINVAL ? SD_BUS_ERROR_INVALID_ARGS : SD_BUS_ERROR_FAILED,
			"cannot attach it: %s", strerror(-r));
	device_nodes_object(n, id, ret_path, size);
	look_at(d, n); /* the object is there when the caller looks for it */
	return 0;
}

int devices_attach_disk(struct devices *d, uint16_t domid, const char *image, const char *device,
			bool read_only, char *ret_path, size_t size, sd_bus_error *error)
{
	struct device_nodes n = { .host = d->objects->host, .guest = domid, .disk = true };

	return attached(d, &n, device_nodes_attach_disk(&n, image, device, read_only), ret_path,
			size, error);
}

int devices_attach_network(struct devices *d, uint16_t domid, const char *bridge, const char *mac,
			   char *ret_path, size_t size, sd_bus_error *error)
{
	struct device_nodes n = { .host = d->objects->host, .guest = domid };

	return attached(d, &n, device_nodes_attach_network(&n, bridge, mac), ret_path, size, error);
}

int devices_start(struct devices *d, struct objects *objects)
{
	d->objects = objects;
	d->retry = evtimer_new(objects->bus->base, on_retry, d);
	return d->retry ? 0 : -ENOMEM;
}

void devices_stop(struct devices *d)
{
	struct device *dev, *next_device;
	struct service *s, *next_service;

	list_for_each_safe(dev, next_device, &d->all, link)
		device_free(dev);
	list_for_each_safe(s, next_service, &d->services, link)
		service_free(s);
	if (d->retry)
		event_free(d->retry);
	d->retry = NULL;
}
