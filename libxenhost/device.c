/* SPDX-License-Identifier: MIT */
/*
 * A device: its two folders, its state, and the driver's callbacks.
 *
 * Events only mark the device and queue its work. The work reads both states and `online` as they
 * are now, asks xenbus.c what to do, does that one thing, and looks again. States are written in a
 * transaction that first reads our state: a folder that the toolstack removed is not made again by
 * us, and a state that the toolstack wrote in the meantime (an unplug) is not written over. What a
 * callback writes with xenhost_device_printf() is kept and goes into that same transaction, so a
 * front end sees features and state change as one.
 *
 * Life: the work, and nothing else, calls the driver and ends the device; only
 * xenhost_backend_free() may come from outside or from within a callback, and then `ending` makes
 * the running work end it.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "libxenhost/device.h"

#define STEPS_MAX \
	16 /* of one work; more only when both ends keep changing, then others come first */
#define ONLINE_DEFAULT 1

struct xh_device_write {
	struct list link;
	char *path;
	char *value;
	bool is_state;
};

/* --- paths and nodes --- */

/* In a folder that we may not look into, a node that is missing is not told from one that is
 * hidden. */
static bool not_there(int r)
{
	return r == -ENOENT || r == -EACCES;
}

static char *node_path(const xenhost_device_t *dev, int side, const char *node)
{
	char *path;

	if (!node || !*node || *node == '/')
		return NULL;
	if (asprintf(&path, "%s/%s", side == XENHOST_FRONT ? dev->front_path : dev->back_path,
		     node) < 0)
		return NULL;
	return path;
}

int xenhost_device_read_str(xenhost_device_t *dev, int side, const char *node, char **ret_value)
{
	_cleanup_free_ char *path = NULL, *value = NULL;
	size_t len;
	int r;

	if (!dev || !ret_value || (side != XENHOST_FRONT && side != XENHOST_BACK))
		return -EINVAL;
	path = node_path(dev, side, node);
	if (!path)
		return -EINVAL;
	r = xenhost_store_read(dev->backend->host, 0, path, &value, &len);
	if (r < 0)
		return r;
	if (len == 0)
		return -ENOENT; /* as grub leaves its nodes behind */
	if (strlen(value) != len)
		return -EINVAL;
	*ret_value = steal_ptr(&value);
	return 0;
}

int xenhost_device_read_u64(xenhost_device_t *dev, int side, const char *node, uint64_t max,
			    uint64_t *ret_value)
{
	_cleanup_free_ char *value = NULL;
	int r;

	if (!ret_value)
		return -EINVAL;
	r = xenhost_device_read_str(dev, side, node, &value);
	return r < 0 ? r : xh_wire_number(value, strlen(value), max, ret_value);
}

/* --- writing our folder --- */

static void write_free(struct xh_device_write *w)
{
	list_remove(&w->link);
	free(w->path);
	free(w->value);
	free(w);
}

static void drop_writes(xenhost_device_t *dev)
{
	while (!list_empty(&dev->writes))
		write_free(list_entry(dev->writes.next, struct xh_device_write, link));
}

/* takes value over */
static int add_write(xenhost_device_t *dev, const char *node, char *value)
{
	struct xh_device_write *w = calloc(1, sizeof(*w));

	if (!w) {
		free(value);
		return -ENOMEM;
	}
	list_init(&w->link);
	w->value = value;
	w->is_state = !strcmp(node, "state");
	w->path = node_path(dev, XENHOST_BACK, node);
	if (!w->path) {
		write_free(w);
		return -EINVAL;
	}
	if (strlen(w->path) + 1 + strlen(value) > XH_WIRE_PAYLOAD_MAX) {
		write_free(w);
		return -E2BIG;
	}
	list_append(&dev->writes, &w->link);
	return 0;
}

struct commit {
	xenhost_device_t *dev;
	uint32_t own;	/* what our state must still be; XH_XENBUS_GARBAGE: anything, but there */
	uint32_t state; /* to write, 0: none */
	bool only_changes;
};

#define LOOK_AGAIN 1 /* our state is another one by now, nothing was written */

static int read_state(xenhost_device_t *dev, xenhost_txn_t txn, const char *folder,
		      uint32_t *ret_state)
{
	_cleanup_free_ char *path = NULL, *value = NULL;
	uint64_t state;
	size_t len;
	int r;

	if (asprintf(&path, "%s/state", folder) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	r = xenhost_store_read(dev->backend->host, txn, path, &value, &len);
	if (r < 0)
		return r;
	if (xh_wire_number(value, len, XENHOST_STATE_RECONFIGURED, &state) < 0)
		state = XH_XENBUS_GARBAGE;
	*ret_state = (uint32_t)state;
	return 0;
}

/* 1 the store says so already, 0 it does not */
static int same_value(xenhost_t *host, xenhost_txn_t txn, const struct xh_device_write *w)
{
	_cleanup_free_ char *value = NULL;
	size_t len;
	int r = xenhost_store_read(host, txn, w->path, &value, &len);

	if (r == -ENOENT)
		return 0;
	return r < 0 ? r : len == strlen(w->value) && !memcmp(value, w->value, len);
}

/* The state is a way to say "look again", so it is written when anything else is. */
static int any_change(xenhost_device_t *dev, xenhost_txn_t txn)
{
	struct xh_device_write *w;

	list_for_each (w, &dev->writes, link) {
		int r = w->is_state ? 1 : same_value(dev->backend->host, txn, w);

		if (r <= 0)
			return r < 0 ? r : 1;
	}
	return 0;
}

static int write_state(xenhost_device_t *dev, xenhost_txn_t txn, uint32_t state)
{
	_cleanup_free_ char *path = node_path(dev, XENHOST_BACK, "state");

	if (!path)
		return -ENOMEM;
	return xenhost_store_printf(dev->backend->host, txn, path, "%" PRIu32, state);
}

static int write_all(struct commit *c, xenhost_txn_t txn)
{
	xenhost_t *host = c->dev->backend->host;
	struct xh_device_write *w;
	int r;

	list_for_each (w, &c->dev->writes, link) {
		r = xenhost_store_write(host, txn, w->path, w->value, strlen(w->value));
		if (r < 0)
			return r;
	}
	return c->state ? write_state(c->dev, txn, c->state) : 0;
}

static int commit_fn(xenhost_t *host, xenhost_txn_t txn, void *data)
{
	struct commit *c = data;
	uint32_t own;
	int r;

	r = read_state(c->dev, txn, c->dev->back_path, &own);
	if (r < 0)
		return not_there(r) ? -ENOENT : r;
	if (c->own != XH_XENBUS_GARBAGE && own != c->own)
		return -ESTALE;
	if (c->only_changes) {
		r = any_change(c->dev, txn);
		if (r <= 0)
			return r;
	}
	return write_all(c, txn);
}

/* 0, LOOK_AGAIN, -ENOENT the folder is gone, or -errno. What was to be written is forgotten. */
static int commit(struct commit *c)
{
	int r = 0;

	if (c->state || !list_empty(&c->dev->writes))
		r = xenhost_txn_run(c->dev->backend->host, commit_fn, c);
	drop_writes(c->dev);
	if (r == 0 && c->state)
		c->dev->written = true;
	return r == -ESTALE ? LOOK_AGAIN : r;
}

/* "state" may be written as it is: to a front end this says that something else has changed */
static bool state_allowed(const xenhost_device_t *dev, const char *node, const char *value)
{
	char own[16];

	snprintf(own, sizeof(own), "%" PRIu32, dev->own);
	return strcmp(node, "state") || !strcmp(value, own);
}

int xenhost_device_printf(xenhost_device_t *dev, const char *node, const char *fmt, ...)
{
	char *value;
	va_list ap;
	int r;

	if (!dev || !node || !fmt)
		return -EINVAL;
	va_start(ap, fmt);
	r = vasprintf(&value, fmt, ap);
	va_end(ap);
	if (r < 0)
		return -ENOMEM;
	if (!state_allowed(dev, node, value)) {
		free(value);
		return -EINVAL;
	}
	r = add_write(dev, node, value);
	if (r < 0 || dev->keep_writes)
		return r;
	r = commit(&(struct commit){ .dev = dev, .own = XH_XENBUS_GARBAGE });
	return r < 0 ? r : 0;
}

/* --- failing --- */

static char *error_path(const xenhost_device_t *dev, const char *node)
{
	char *path;

	if (asprintf(&path, "/local/domain/%" PRIu16 "/error/backend/%s/%" PRIu16 "/%" PRIu32 "%s",
		     xenhost_domid(dev->backend->host), dev->backend->ops.type, dev->front_domid,
		     dev->devid, node) < 0)
		return NULL;
	return path;
}

/* For people; that it cannot be written changes nothing for the device. */
static void write_error(xenhost_device_t *dev, int error, const char *text)
{
	_cleanup_free_ char *path = error_path(dev, "/error");

	if (path &&
	    xenhost_store_printf(dev->backend->host, 0, path, "%d %.512s", abs(error), text) == 0)
		dev->error_node = true;
}

static void clear_error(xenhost_device_t *dev)
{
	_cleanup_free_ char *path = NULL;

	if (!dev->error_node)
		return;
	dev->error_node = false;
	path = error_path(dev, "");
	if (path)
		(void)xenhost_store_rm(dev->backend->host, 0, path);
}

void xenhost_device_fail(xenhost_device_t *dev, int error, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	if (!dev || !fmt || dev->failed)
		return;
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	dev->failed = true;
	write_error(dev, error, text ? text : "out of memory");
	if (!dev->ending)
		xh_work_queue(dev->backend->host->store, &dev->work);
}

/* --- the driver --- */

static int driver_result(xenhost_device_t *dev, const char *what, int r)
{
	if (r < 0 && !dev->failed)
		xenhost_device_fail(dev, r, "%s: %s", what, strerror(-r));
	return dev->failed ? -EIO : 0;
}

static int commit_writes(xenhost_device_t *dev, uint32_t own, uint32_t state)
{
	return commit(&(struct commit){ .dev = dev, .own = own, .state = state });
}

static int do_probe(xenhost_device_t *dev, uint32_t own, uint32_t state)
{
	int r;

	dev->keep_writes = true;
	r = dev->backend->ops.probe(dev);
	dev->keep_writes = false;
	dev->probed = r >= 0;
	if (!dev->probed)
		dev->data = NULL;
	if (driver_result(dev, "probe", r) < 0 || dev->ending) {
		drop_writes(dev);
		return 0;
	}
	return commit_writes(dev, own, state == own ? 0 : state);
}

static int do_connect(xenhost_device_t *dev, uint32_t own, uint32_t state)
{
	int r;

	dev->keep_writes = true;
	r = dev->backend->ops.connect(dev);
	dev->keep_writes = false;
	dev->connected = r >= 0;
	if (driver_result(dev, "connect", r) < 0 || dev->ending) {
		drop_writes(dev);
		return 0;
	}
	dev->changed = false;
	clear_error(dev);
	return commit_writes(dev, own, state);
}

static void do_disconnect(xenhost_device_t *dev)
{
	dev->connected = false;
	dev->backend->ops.disconnect(dev);
}

static void do_remove(xenhost_device_t *dev)
{
	dev->probed = false;
	dev->backend->ops.remove(dev);
	dev->data = NULL;
}

/* Only what is different is written, or the event of our own write would go on for ever. */
static int do_event(xenhost_device_t *dev, uint32_t own)
{
	dev->changed = false;
	if (!dev->backend->ops.event)
		return 0;
	dev->keep_writes = true;
	dev->backend->ops.event(dev);
	dev->keep_writes = false;
	return commit(&(struct commit){ .dev = dev, .own = own, .only_changes = true });
}

static int do_reconfigure(xenhost_device_t *dev, uint32_t own, uint32_t state)
{
	int r = do_event(dev, own);

	return r == 0 && !dev->ending && !dev->failed ? commit_writes(dev, own, state) : r;
}

static int act(xenhost_device_t *dev, uint32_t own, struct xh_xenbus_step step)
{
	switch (step.action) {
	case XH_XENBUS_PROBE:
		return do_probe(dev, own, step.state);
	case XH_XENBUS_CONNECT:
		return do_connect(dev, own, step.state);
	case XH_XENBUS_DISCONNECT:
		do_disconnect(dev);
		return 0;
	case XH_XENBUS_REMOVE:
		do_remove(dev);
		return 0;
	case XH_XENBUS_SWITCH:
		return commit_writes(dev, own, step.state);
	case XH_XENBUS_RECONFIGURE:
		return do_reconfigure(dev, own, step.state);
	case XH_XENBUS_NOTHING:
		break;
	}
	return 0;
}

/* --- looking --- */

/* a refused device is one whose front end we never look at */
static int read_front(xenhost_device_t *dev, uint32_t *ret_state)
{
	int r = dev->refused ? -ENOENT : read_state(dev, 0, dev->front_path, ret_state);

	if (not_there(r)) {
		*ret_state = 0;
		r = 0;
	}
	return r;
}

static int read_online(xenhost_device_t *dev, bool *ret_online)
{
	uint64_t online = ONLINE_DEFAULT;
	int r = xenhost_device_read_u64(dev, XENHOST_BACK, "online", UINT32_MAX, &online);

	if (r < 0 && !not_there(r) && r != -EINVAL && r != -ERANGE)
		return r;
	*ret_online = online != 0;
	return 0;
}

/*
 * Our state first, `online` next: an unplug writes both at once, so who sees its Closing sees its
 * online=0 as well.
 */
static int look(xenhost_device_t *dev, struct xh_xenbus_view *view)
{
	int r;

	r = read_state(dev, 0, dev->back_path, &view->own);
	if (r == 0)
		r = read_online(dev, &view->online);
	if (r == 0)
		r = read_front(dev, &view->front);
	if (r < 0)
		return r;
	if (view->own == XENHOST_STATE_CLOSED &&
	    (view->front == XENHOST_STATE_CLOSED || view->front == 0))
		dev->failed = false;
	view->probed = dev->probed;
	view->connected = dev->connected;
	view->failed = dev->failed || dev->refused;
	return 0;
}

/* Initialising is what a toolstack writes into a new folder: ours was replaced while we did not
 * look. */
static bool replaced(const xenhost_device_t *dev, const struct xh_xenbus_view *view)
{
	return view->own <= XENHOST_STATE_INITIALISING && dev->written;
}

/* --- the work --- */

#define GONE 1	/* the folder is not there any more, or another one is in its place */
#define AGAIN 2 /* not settled yet, but others shall have their turn */

/* Takes steps until there is nothing to do: 0, GONE, AGAIN, or -errno. */
static int advance(xenhost_device_t *dev)
{
	for (int i = 0; i < STEPS_MAX; i++) {
		struct xh_xenbus_view view;
		struct xh_xenbus_step step;
		int r = look(dev, &view);

		if (not_there(r) || (r == 0 && replaced(dev, &view)))
			return GONE;
		if (r < 0 || dev->stuck)
			return r;
		dev->own = view.own;
		step = xh_xenbus_next(&view);
		if (step.action != XH_XENBUS_NOTHING)
			r = act(dev, view.own, step);
		else if (dev->changed && dev->connected)
			r = do_event(dev, view.own);
		else
			return 0;
		if (dev->ending)
			return 0;
		if (r == -ENOENT)
			return GONE;
		if (r < 0)
			return r;
	}
	return AGAIN;
}

static void stop(xenhost_device_t *dev)
{
	if (dev->connected)
		do_disconnect(dev);
	if (dev->probed)
		do_remove(dev);
}

static void device_free(xenhost_device_t *dev)
{
	xenhost_backend_t *backend = dev->backend;

	xenhost_unwatch(dev->front_watch);
	xh_work_cancel(&dev->work);
	drop_writes(dev);
	list_remove(&dev->link);
	free(dev->front_path);
	free(dev->back_path);
	free(dev);
	xh_backend_device_gone(backend);
}

/* A forced unplug, or the end of a closed device; and perhaps a new one is in its place. */
static void folder_gone(xenhost_device_t *dev)
{
	xenhost_backend_t *backend = dev->backend;
	uint16_t front = dev->front_domid;
	uint32_t devid = dev->devid;
	bool ending;

	stop(dev);
	clear_error(dev);
	ending = dev->ending; /* a callback freed the back end */
	device_free(dev);
	if (!ending)
		(void)xh_device_new(backend, front, devid);
}

/* We may not write our own state: nothing can be told to the front end, so at least do no harm. */
static void give_up(xenhost_device_t *dev, int error)
{
	dev->stuck = true;
	if (dev->connected)
		do_disconnect(dev);
	write_error(dev, error, "cannot write the state of the device");
}

static void work_done(xenhost_device_t *dev, int r)
{
	switch (r) {
	case 0:
	case -ENOTCONN: /* the connection is lost, which xenhost_process() tells */
	case -ECONNRESET:
	case -EPROTO:
		break;
	case AGAIN:
	case -EAGAIN:
	case -ETIMEDOUT:
	case -ENOMEM:
		xh_work_queue(dev->backend->host->store, &dev->work);
		break;
	default:
		give_up(dev, r);
		break;
	}
}

static void device_work(struct xh_work *work)
{
	xenhost_device_t *dev = list_entry(work, xenhost_device_t, work);
	int r;

	dev->busy = true;
	r = advance(dev);
	if (r == GONE) {
		folder_gone(dev);
		return;
	}
	if (!dev->ending)
		work_done(dev, r);
	dev->busy = false;
	if (dev->ending)
		xh_device_end(dev);
}

void xh_device_end(xenhost_device_t *dev)
{
	dev->ending = true;
	if (dev->busy)
		return;
	dev->busy = true;
	stop(dev);
	device_free(dev);
}

void xh_device_event(xenhost_device_t *dev, const char *node)
{
	if (*node && strcmp(node, "state") && strcmp(node, "online"))
		dev->changed = true;
	if (!dev->ending)
		xh_work_queue(dev->backend->host->store, &dev->work);
}

/* the watched path itself: anything in the folder, or nothing yet */
static void on_front_event(xenhost_t *host, const char *path, void *data)
{
	xenhost_device_t *dev = data;
	size_t len = strlen(dev->front_path);

	if (!strncmp(path, dev->front_path, len) && path[len] == '/')
		xh_device_event(dev, path + len + 1);
	else
		xh_device_event(dev, "*");
}

/* --- making one --- */

/*
 * Is the folder's front end what its place says? Otherwise a mistake of the toolstack could give
 * one guest's device to another. 1, 0 (not all nodes there yet), or -errno
 */
static int read_identity(xenhost_device_t *dev)
{
	uint64_t id = 0;
	uint32_t state;
	int r, r_id;

	r = read_state(dev, 0, dev->back_path, &state);
	if (r == 0)
		r = xenhost_device_read_str(dev, XENHOST_BACK, "frontend", &dev->front_path);
	if (r < 0 && r != -EINVAL)
		return not_there(r) ? 0 : r;
	r_id = xenhost_device_read_u64(dev, XENHOST_BACK, "frontend-id", UINT16_MAX, &id);
	if (not_there(r_id))
		return 0;
	dev->refused = r < 0 || r_id < 0 || id != dev->front_domid ||
		       !xh_xenbus_front_path(dev->front_path, dev->front_domid);
	return 1;
}

static void device_freep(xenhost_device_t **dev)
{
	if (!*dev)
		return;
	free((*dev)->front_path);
	free((*dev)->back_path);
	free(*dev);
}

static xenhost_device_t *device_alloc(xenhost_backend_t *backend, uint16_t front_domid,
				      uint32_t devid)
{
	_cleanup_(device_freep) xenhost_device_t *dev = calloc(1, sizeof(*dev));

	if (!dev)
		return NULL;
	list_init(&dev->link);
	list_init(&dev->writes);
	list_init(&dev->work.link);
	dev->work.fn = device_work;
	dev->backend = backend;
	dev->front_domid = front_domid;
	dev->devid = devid;
	snprintf(dev->name, sizeof(dev->name), "%s-%" PRIu16 "-%" PRIu32, backend->ops.type,
		 front_domid, devid);
	if (asprintf(&dev->back_path, "%s/%" PRIu16 "/%" PRIu32, backend->root, front_domid,
		     devid) < 0) {
		dev->back_path = NULL;
		return NULL;
	}
	return steal_ptr(&dev);
}

int xh_device_new(xenhost_backend_t *backend, uint16_t front_domid, uint32_t devid)
{
	_cleanup_(device_freep) xenhost_device_t *dev = device_alloc(backend, front_domid, devid);
	int r;

	if (!dev)
		return -ENOMEM;
	r = read_identity(dev);
	if (r <= 0)
		return r;
	if (!dev->refused) {
		r = xenhost_watch(backend->host, dev->front_path, on_front_event, dev,
				  &dev->front_watch);
		if (r < 0)
			return r;
	} else {
		write_error(dev, EINVAL,
			    "frontend and frontend-id do not name the front end of this folder");
	}
	list_append(&backend->devices, &dev->link);
	backend->nr_devices++;
	xh_work_queue(backend->host->store, &dev->work);
	dev = NULL; /* the back end's now */
	return 1;
}

/* --- for drivers --- */

xenhost_t *xenhost_device_host(const xenhost_device_t *dev)
{
	return dev->backend->host;
}

xenhost_backend_t *xenhost_device_backend(const xenhost_device_t *dev)
{
	return dev->backend;
}

uint16_t xenhost_device_frontend_domid(const xenhost_device_t *dev)
{
	return dev->front_domid;
}

uint32_t xenhost_device_id(const xenhost_device_t *dev)
{
	return dev->devid;
}

const char *xenhost_device_name(const xenhost_device_t *dev)
{
	return dev->name;
}

void xenhost_device_set_data(xenhost_device_t *dev, void *data)
{
	dev->data = data;
}

void *xenhost_device_data(const xenhost_device_t *dev)
{
	return dev->data;
}

static int read_gref(xenhost_device_t *dev, const char *node, uint32_t *ret_gref)
{
	uint64_t gref;
	int r = xenhost_device_read_u64(dev, XENHOST_FRONT, node, UINT32_MAX, &gref);

	if (r == 0)
		*ret_gref = (uint32_t)gref;
	return r;
}

int xenhost_device_map_ring(xenhost_device_t *dev, const char *node, size_t nr_pages,
			    xenhost_map_t **ret_map)
{
	uint32_t grefs[XENHOST_GRANTS_MAX];
	int r = 0;

	if (!dev || !node || !ret_map || nr_pages == 0 || nr_pages > XENHOST_GRANTS_MAX)
		return -EINVAL;
	if (nr_pages == 1)
		r = read_gref(dev, node, &grefs[0]);
	for (size_t i = 0; nr_pages > 1 && i < nr_pages && r == 0; i++) {
		char numbered[256];
		int n = snprintf(numbered, sizeof(numbered), "%s%zu", node, i);

		if (n < 0 || (size_t)n >= sizeof(numbered))
			return -EINVAL;
		r = read_gref(dev, numbered, &grefs[i]);
	}
	if (r < 0)
		return r;
	return xenhost_map_grants(dev->backend->host, dev->front_domid, grefs, nr_pages,
				  XENHOST_READ | XENHOST_WRITE, ret_map);
}

int xenhost_device_bind_port(xenhost_device_t *dev, const char *node, xenhost_port_t **ret_port)
{
	uint64_t port;
	int r;

	if (!dev || !ret_port)
		return -EINVAL;
	r = xenhost_device_read_u64(dev, XENHOST_FRONT, node, UINT32_MAX, &port);
	if (r < 0)
		return r;
	return xenhost_port_bind(dev->backend->host, dev->front_domid, (uint32_t)port, ret_port);
}
