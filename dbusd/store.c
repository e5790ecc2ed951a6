/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <systemd/sd-bus.h>

#include <xenhost/store.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "dbusd/bus.h"
#include "dbusd/store.h"

#define STORE_PATH BUS_ROOT "/store"
#define STORE_INTERFACE "org.xenhost.Store1"
#define WATCHES_MAX 256u /* of all callers together */

struct watch {
	struct list link;
	struct store *store;
	xenhost_watch_t *watch;
	sd_bus_track *caller;
	char *owner, *path;
};

static int refuse(sd_bus_error *error, int r)
{
	return sd_bus_error_setf(error,
				 r == -ENOENT	? SD_BUS_ERROR_FILE_NOT_FOUND
				 : r == -EINVAL ? SD_BUS_ERROR_INVALID_ARGS
						: SD_BUS_ERROR_FAILED,
				 "the Xenstore does not do it: %s", strerror(-r));
}

/* a value is bytes, and need be no text */
static int reply_bytes(sd_bus_message *m, const void *bytes, size_t len)
{
	sd_bus_message *reply = NULL;
	int r = sd_bus_message_new_method_return(m, &reply);

	if (r >= 0)
		r = sd_bus_message_append_array(reply, 'y', bytes, len);
	if (r >= 0)
		r = sd_bus_send(NULL, reply, NULL);
	sd_bus_message_unref(reply);
	return r < 0 ? r : 1;
}

static int on_read(sd_bus_message *m, void *data, sd_bus_error *error)
{
	struct store *s = data;
	_cleanup_free_ char *value = NULL;
	const char *path;
	size_t len = 0;
	int r = sd_bus_message_read(m, "s", &path);

	if (r < 0)
		return r;
	r = xenhost_store_read(s->host, 0, path, &value, &len);
	return r < 0 ? refuse(error, r) : reply_bytes(m, value, len);
}

static int on_list(sd_bus_message *m, void *data, sd_bus_error *error)
{
	struct store *s = data;
	_cleanup_free_ char **names = NULL; /* one piece of memory */
	sd_bus_message *reply = NULL;
	const char *path;
	int r = sd_bus_message_read(m, "s", &path);

	if (r < 0)
		return r;
	r = xenhost_store_list(s->host, 0, path, &names);
	if (r < 0)
		return refuse(error, r);
	r = sd_bus_message_new_method_return(m, &reply);
	if (r >= 0)
		r = sd_bus_message_append_strv(reply, names);
	if (r >= 0)
		r = sd_bus_send(NULL, reply, NULL);
	sd_bus_message_unref(reply);
	return r < 0 ? r : 1;
}

static int on_write(sd_bus_message *m, void *data, sd_bus_error *error)
{
	struct store *s = data;
	const char *path;
	const void *value;
	size_t len;
	int r = sd_bus_message_read(m, "s", &path);

	if (r >= 0)
		r = sd_bus_message_read_array(m, 'y', &value, &len);
	if (r < 0)
		return r;
	r = xenhost_store_write(s->host, 0, path, len ? value : "", len);
	return r < 0 ? refuse(error, r) : sd_bus_reply_method_return(m, "");
}

static int on_remove(sd_bus_message *m, void *data, sd_bus_error *error)
{
	struct store *s = data;
	const char *path;
	int r = sd_bus_message_read(m, "s", &path);

	if (r < 0)
		return r;
	r = xenhost_store_rm(s->host, 0, path);
	return r < 0 ? refuse(error, r) : sd_bus_reply_method_return(m, "");
}

/* --- watches --- */

static void watch_free(struct watch *w)
{
	list_remove(&w->link);
	w->store->nr_watches--;
	xenhost_unwatch(w->watch);
	sd_bus_track_unref(w->caller);
	free(w->owner);
	free(w->path);
	free(w);
}

static void on_change(xenhost_t *host, const char *path, void *data)
{
	struct watch *w = data;
	sd_bus_message *m = NULL;
	int r = sd_bus_message_new_signal(w->store->bus->bus, &m, STORE_PATH, STORE_INTERFACE,
					  "Changed");

	if (r >= 0)
		r = sd_bus_message_append(m, "s", path);
	if (r >= 0)
		r = sd_bus_message_set_destination(m, w->owner);
	if (r >= 0)
		r = sd_bus_send(w->store->bus->bus, m, NULL);
	if (r < 0)
		log_warning("%s was not told of a change in the Xenstore: %s", w->owner,
			    strerror(-r));
	sd_bus_message_unref(m);
	bus_kick(w->store->bus);
}

static int on_caller_gone(sd_bus_track *track, void *data)
{
	watch_free(data);
	return 0;
}

static struct watch *find_watch(struct store *s, const char *owner, const char *path)
{
	struct watch *w;

	list_for_each(w, &s->watches, link)
		if (!strcmp(w->owner, owner) && !strcmp(w->path, path))
			return w;
	return NULL;
}

static int watch_new(struct store *s, sd_bus_message *m, const char *path)
{
	struct watch *w = calloc(1, sizeof(*w));
	int r = -ENOMEM;

	if (!w)
		return -ENOMEM;
	w->store = s;
	list_append(&s->watches, &w->link);
	s->nr_watches++;
	w->owner = strdup(sd_bus_message_get_sender(m));
	w->path = strdup(path);
	if (w->owner && w->path)
		r = sd_bus_track_new(s->bus->bus, &w->caller, on_caller_gone, w);
	if (r >= 0)
		r = sd_bus_track_add_sender(w->caller, m);
	if (r >= 0)
		r = xenhost_watch(s->host, path, on_change, w, &w->watch);
	if (r < 0)
		watch_free(w);
	return r;
}

static int on_watch(sd_bus_message *m, void *data, sd_bus_error *error)
{
	struct store *s = data;
	const char *path;
	int r = sd_bus_message_read(m, "s", &path);

	if (r < 0)
		return r;
	if (find_watch(s, sd_bus_message_get_sender(m), path))
		return sd_bus_reply_method_return(m, "");
	if (s->nr_watches >= WATCHES_MAX)
		return sd_bus_error_setf(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
					 "there are %u watches already", WATCHES_MAX);
	r = watch_new(s, m, path);
	return r < 0 ? refuse(error, r) : sd_bus_reply_method_return(m, "");
}

static int on_unwatch(sd_bus_message *m, void *data, sd_bus_error *error)
{
	struct watch *w;
	const char *path;
	int r = sd_bus_message_read(m, "s", &path);

	if (r < 0)
		return r;
	w = find_watch(data, sd_bus_message_get_sender(m), path);
	if (!w)
		return sd_bus_error_setf(error, SD_BUS_ERROR_FILE_NOT_FOUND, "you do not watch %s",
					 path);
	watch_free(w);
	return sd_bus_reply_method_return(m, "");
}

static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	BUS_METHOD("Read", "s", "ay", on_read),
	BUS_METHOD("List", "s", "as", on_list),
	BUS_METHOD("Write", "say", "", on_write),
	BUS_METHOD("Remove", "s", "", on_remove),
	BUS_METHOD("Watch", "s", "", on_watch),
	BUS_METHOD("Unwatch", "s", "", on_unwatch),
	SD_BUS_SIGNAL("Changed", "s", 0),
	SD_BUS_VTABLE_END,
};

int store_start(struct store *s, struct bus *bus, xenhost_t *host)
{
	s->bus = bus;
	s->host = host;
	return sd_bus_add_object_vtable(bus->bus, NULL, STORE_PATH, STORE_INTERFACE, vtable, s);
}

void store_stop(struct store *s)
{
	struct watch *w, *tmp;

	list_for_each_safe(w, tmp, &s->watches, link)
		watch_free(w);
}
