/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <systemd/sd-bus.h>

#include <xenhost/domain.h>
#include <xenhost/store.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "dbusd/bus.h"
#include "dbusd/objects.h"

#define DOMAIN_INTERFACE "org.xenhost.Domain1"
#define HOST_INTERFACE "org.xenhost.Host1"

struct object {
	struct list link;
	struct objects *objects;
	struct xenhost_domain_info info;
	char path[64];
	sd_bus_slot *slot;
};

static const char *name_of(const char *const *names, size_t nr, unsigned int value)
{
	return value < nr ? names[value] : "unknown";
}

static const char *state_of(const struct xenhost_domain_info *info)
{
	static const char *const names[] = { "gone", "paused", "running", "shutdown" };

	return name_of(names, ARRAY_SIZE(names), info->state);
}

static const char *kind_of(const struct xenhost_domain_info *info)
{
	static const char *const names[] = { "control", "service", "guest" };

	return name_of(names, ARRAY_SIZE(names), info->kind);
}

static const char *reason_of(const struct xenhost_domain_info *info)
{
	/* as Xen's public/sched.h */
	static const char *const names[] = { "poweroff", "reboot",   "suspend",
					     "crash",	 "watchdog", "soft-reset" };

	if (info->state != XENHOST_DOMAIN_SHUTDOWN)
		return "";
	return name_of(names, ARRAY_SIZE(names), info->shutdown_reason);
}

/* --- a domain --- */

static int get_text(sd_bus *bus, const char *path, const char *interface, const char *property,
		    sd_bus_message *reply, void *data, sd_bus_error *error)
{
	const struct xenhost_domain_info *info = &((struct object *)data)->info;
	const char *text = info->name;

	if (!strcmp(property, "Kind"))
		text = kind_of(info);
	else if (!strcmp(property, "State"))
		text = state_of(info);
	else if (!strcmp(property, "ShutdownReason"))
		text = reason_of(info);
	return sd_bus_message_append(reply, "s", text);
}

/* what guests that know Xen's control/shutdown do by themselves */
static int ask(sd_bus_message *m, struct object *obj, const char *what, sd_bus_error *error)
{
	char node[64];
	int r;

	if (obj->info.kind != XENHOST_DOMAIN_GUEST)
		return sd_bus_error_set(error, SD_BUS_ERROR_NOT_SUPPORTED,
					"only guests can be told");
	snprintf(node, sizeof(node), "/local/domain/%u/control/shutdown", obj->info.domid);
	r = xenhost_store_write(obj->objects->host, 0, node, what, strlen(what));
	if (r < 0)
		return sd_bus_error_setf(error, SD_BUS_ERROR_FAILED,
					 "the Xenstore does not take it: %s", strerror(-r));
	return sd_bus_reply_method_return(m, "");
}

static int on_shutdown(sd_bus_message *m, void *data, sd_bus_error *error)
{
	return ask(m, data, "poweroff", error);
}

static int on_reboot(sd_bus_message *m, void *data, sd_bus_error *error)
{
	return ask(m, data, "reboot", error);
}

static int control(sd_bus_message *m, struct object *obj,
		   int (*fn)(xenhost_t *host, uint16_t domid), sd_bus_error *error)
{
	int r = fn(obj->objects->host, obj->info.domid);

	if (r < 0)
		return sd_bus_error_setf(error, SD_BUS_ERROR_FAILED,
					 "xenhost-bridged does not do it: %s%s", strerror(-r),
					 r == -ESRCH ? "; only guests can be told" : "");
	return sd_bus_reply_method_return(m, "");
}

static int on_destroy(sd_bus_message *m, void *data, sd_bus_error *error)
{
	return control(m, data, xenhost_domain_destroy, error);
}

static int on_pause(sd_bus_message *m, void *data, sd_bus_error *error)
{
	return control(m, data, xenhost_domain_pause, error);
}

static int on_unpause(sd_bus_message *m, void *data, sd_bus_error *error)
{
	return control(m, data, xenhost_domain_unpause, error);
}

/* Whoever may look may use a console: bytes both ways, as the guest's terminal has them. */
static int on_console(sd_bus_message *m, void *data, sd_bus_error *error)
{
	struct object *obj = data;
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = -1;
	int n;

	if (strchr(obj->info.name, '/') || *obj->info.name == '.')
		return sd_bus_error_set(error, SD_BUS_ERROR_FAILED, "this guest has no console");
	n = snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/console/%s.sock",
		     obj->objects->rundir, obj->info.name);
	if (n < 0 || (size_t)n >= sizeof(addr.sun_path))
		return sd_bus_error_set(error, SD_BUS_ERROR_FAILED, "its name is too long");
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return sd_bus_error_setf(error, SD_BUS_ERROR_FAILED,
					 "cannot reach its console at %s: %s", addr.sun_path,
					 strerror(errno));
	return sd_bus_reply_method_return(m, "h", fd);
}

static int on_attach_disk(sd_bus_message *m, void *data, sd_bus_error *error)
{
	struct object *obj = data;
	const char *image, *device;
	char path[80];
	int read_only, r = sd_bus_message_read(m, "ssb", &image, &device, &read_only);

	if (r < 0)
		return r;
	if (obj->info.kind != XENHOST_DOMAIN_GUEST)
		return sd_bus_error_set(error, SD_BUS_ERROR_NOT_SUPPORTED,
					"only guests have disks");
	r = devices_attach_disk(&obj->objects->devices, obj->info.domid, image, device, read_only,
				path, sizeof(path), error);
	return r < 0 ? r : sd_bus_reply_method_return(m, "o", path);
}

static int on_attach_network(sd_bus_message *m, void *data, sd_bus_error *error)
{
	struct object *obj = data;
	const char *bridge, *mac;
	char path[80];
	int r = sd_bus_message_read(m, "ss", &bridge, &mac);

	if (r < 0)
		return r;
	if (obj->info.kind != XENHOST_DOMAIN_GUEST)
		return sd_bus_error_set(error, SD_BUS_ERROR_NOT_SUPPORTED,
					"only guests have network cards");
	r = devices_attach_network(&obj->objects->devices, obj->info.domid, bridge, mac, path,
				   sizeof(path), error);
	return r < 0 ? r : sd_bus_reply_method_return(m, "o", path);
}

static const sd_bus_vtable domain_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_PROPERTY("Domid", "q", NULL, offsetof(struct object, info.domid),
			SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("UniqueId", "t", NULL, offsetof(struct object, info.unique_id),
			SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("MemoryBytes", "t", NULL, offsetof(struct object, info.memory_bytes),
			SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("Name", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Kind", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("State", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("ShutdownReason", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	BUS_METHOD("Shutdown", "", "", on_shutdown),
	BUS_METHOD("Reboot", "", "", on_reboot),
	BUS_METHOD("Destroy", "", "", on_destroy),
	BUS_METHOD("Pause", "", "", on_pause),
	BUS_METHOD("Unpause", "", "", on_unpause),
	BUS_METHOD("OpenConsole", "", "h", on_console),
	BUS_METHOD("AttachDisk", "ssb", "o", on_attach_disk),
	BUS_METHOD("AttachNetwork", "ss", "o", on_attach_network),
	SD_BUS_VTABLE_END,
};

static void object_free(struct object *obj)
{
	list_remove(&obj->link);
	sd_bus_slot_unref(obj->slot);
	free(obj);
}

static void object_add(struct objects *o, const struct xenhost_domain_info *info)
{
	struct object *obj = calloc(1, sizeof(*obj));
	int r = obj ? 0 : -ENOMEM;

	if (obj) {
		list_append(&o->all, &obj->link);
		obj->objects = o;
		obj->info = *info;
		snprintf(obj->path, sizeof(obj->path), BUS_ROOT "/domain/u%016llx",
			 (unsigned long long)info->unique_id);
		r = sd_bus_add_object_vtable(o->bus->bus, &obj->slot, obj->path, DOMAIN_INTERFACE,
					     domain_vtable, obj);
	}
	if (r >= 0)
		r = sd_bus_emit_object_added(o->bus->bus, obj->path);
	if (r >= 0) {
		devices_domain_added(&o->devices, info->domid,
				     info->kind == XENHOST_DOMAIN_SERVICE);
		return;
	}
	log_warning("domain %u (%s) is not on D-Bus: %s", info->domid, info->name, strerror(-r));
	if (obj)
		object_free(obj);
}

static void object_remove(struct object *obj)
{
	int r;

	devices_domain_removed(&obj->objects->devices, obj->info.domid);
	r = sd_bus_emit_object_removed(obj->objects->bus->bus, obj->path);

	if (r < 0)
		log_warning("D-Bus was not told that domain %u is gone: %s", obj->info.domid,
			    strerror(-r));
	object_free(obj);
}

static void object_change(struct object *obj, const struct xenhost_domain_info *info)
{
	bool state = info->state != obj->info.state ||
		     info->shutdown_reason != obj->info.shutdown_reason;
	bool memory = info->memory_bytes != obj->info.memory_bytes;
	sd_bus *bus = obj->objects->bus->bus;
	int r = 0;

	obj->info = *info;
	if (state)
		r = sd_bus_emit_properties_changed(bus, obj->path, DOMAIN_INTERFACE, "State",
						   "ShutdownReason", NULL);
	if (r >= 0 && memory)
		r = sd_bus_emit_properties_changed(bus, obj->path, DOMAIN_INTERFACE, "MemoryBytes",
						   NULL);
	if (r < 0)
		log_warning("D-Bus was not told of a change of domain %u: %s", info->domid,
			    strerror(-r));
}

static struct object *find_id(struct objects *o, uint64_t unique_id)
{
	struct object *obj;

	list_for_each(obj, &o->all, link)
		if (obj->info.unique_id == unique_id)
			return obj;
	return NULL;
}

int objects_unique_id(const struct objects *o, uint16_t domid, uint64_t *ret_id)
{
	struct object *obj;

	list_for_each(obj, &o->all, link)
		if (obj->info.domid == domid) {
			*ret_id = obj->info.unique_id;
			return 0;
		}
	return -ESRCH;
}

static void on_domain(xenhost_t *host, const struct xenhost_domain_info *info, void *data)
{
	struct objects *o = data;
	struct object *obj = find_id(o, info->unique_id);

	if (info->state == XENHOST_DOMAIN_GONE) {
		if (obj)
			object_remove(obj);
	} else if (obj) {
		object_change(obj, info);
	} else {
		object_add(o, info);
	}
	bus_kick(o->bus);
}

/* --- the host --- */

static int append_domain(sd_bus_message *reply, const struct object *obj)
{
	return sd_bus_message_append(reply, "(qssso)", obj->info.domid, obj->info.name,
				     kind_of(&obj->info), state_of(&obj->info), obj->path);
}

static int on_list(sd_bus_message *m, void *data, sd_bus_error *error)
{
	struct objects *o = data;
	sd_bus_message *reply = NULL;
	struct object *obj;
	int r = sd_bus_message_new_method_return(m, &reply);

	if (r >= 0)
		r = sd_bus_message_open_container(reply, 'a', "(qssso)");
	list_for_each(obj, &o->all, link)
		if (r >= 0)
			r = append_domain(reply, obj);
	if (r >= 0)
		r = sd_bus_message_close_container(reply);
	if (r >= 0)
		r = sd_bus_send(o->bus->bus, reply, NULL);
	sd_bus_message_unref(reply);
	return r;
}

static int on_find(sd_bus_message *m, void *data, sd_bus_error *error)
{
	struct objects *o = data;
	struct object *obj;
	const char *name;
	int r = sd_bus_message_read(m, "s", &name);

	if (r < 0)
		return r;
	list_for_each(obj, &o->all, link)
		if (!strcmp(obj->info.name, name))
			return sd_bus_reply_method_return(m, "o", obj->path);
	return sd_bus_error_setf(error, SD_BUS_ERROR_FILE_NOT_FOUND, "there is no domain %s", name);
}

/* It becomes part of the name of a unit. */
static bool name_ok(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len >= XENHOST_DOMAIN_NAME_MAX || !isalnum((unsigned char)*name))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr("._+-", name[i]))
			return false;
	return true;
}

static int on_started(sd_bus_message *answer, void *data, sd_bus_error *error)
{
	sd_bus_message *call = data;
	const sd_bus_error *e = sd_bus_message_get_error(answer);
	const char *job;
	int r;

	if (e)
		return sd_bus_reply_method_error(call, e);
	r = sd_bus_message_read(answer, "o", &job);
	return r < 0 ? r : sd_bus_reply_method_return(call, "o", job);
}

static void unref_message(void *data)
{
	sd_bus_message_unref(data);
}

/* A guest's life is systemd's and its supervisor's business. */
static int on_start(sd_bus_message *m, void *data, sd_bus_error *error)
{
	struct objects *o = data;
	char unit[XENHOST_DOMAIN_NAME_MAX + 32];
	sd_bus_slot *slot = NULL;
	const char *name;
	int r = sd_bus_message_read(m, "s", &name);

	if (r < 0)
		return r;
	if (!name_ok(name))
		return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
					 "%s is no name for a guest", name);
	snprintf(unit, sizeof(unit), "xenhost-vm@%s.service", name);
	r = sd_bus_call_method_async(
		o->bus->bus, &slot, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
		"org.freedesktop.systemd1.Manager", "StartUnit", on_started, m, "ss", unit, "fail");
	if (r < 0)
		return r;
	sd_bus_message_ref(m);
	sd_bus_slot_set_destroy_callback(slot, unref_message);
	sd_bus_slot_set_floating(slot, 1);
	sd_bus_slot_unref(slot);
	return 1;
}

static const sd_bus_vtable host_vtable[] = {
	SD_BUS_VTABLE_START(0),
	BUS_METHOD("ListDomains", "", "a(qssso)", on_list),
	BUS_METHOD("FindDomain", "s", "o", on_find),
	BUS_METHOD("StartGuest", "s", "o", on_start),
	SD_BUS_VTABLE_END,
};

void objects_init(struct objects *o)
{
	list_init(&o->all);
	list_init(&o->devices.all);
	list_init(&o->devices.services);
	list_init(&o->store.watches);
}

int objects_start(struct objects *o)
{
	int r;

	r = sd_bus_add_object_manager(o->bus->bus, NULL, BUS_ROOT);
	if (r >= 0)
		r = sd_bus_add_object_vtable(o->bus->bus, NULL, BUS_ROOT, HOST_INTERFACE,
					     host_vtable, o);
	if (r >= 0)
		r = devices_start(&o->devices, o);
	if (r >= 0)
		r = store_start(&o->store, o->bus, o->host);
	if (r < 0) {
		log_error("cannot make objects on D-Bus: %s", strerror(-r));
		return r;
	}
	r = xenhost_domain_watch(o->host, on_domain, o);
	if (r < 0)
		log_error("cannot watch the domains: %s", strerror(-r));
	return r;
}

void objects_stop(struct objects *o)
{
	struct object *obj, *tmp;

	store_stop(&o->store);
	devices_stop(&o->devices);
	list_for_each_safe(obj, tmp, &o->all, link)
		object_free(obj);
}
