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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "libxenhost/device.h"

#define STEPS_MAX 16 /* of one work; more only when both ends keep changing */
#define ONLINE_DEFAULT 1

/* --- the driver --- */

/* A driver that failed because the store was lost meanwhile is asked again when it is back. */
static int driver_result(xenhost_device_t *dev, const char *what, int r)
{
	if (r < 0 && !dev->failed && dev->backend->host->store->fd < 0)
		return -ENOTCONN;
	if (r < 0 && !dev->failed)
		xenhost_device_fail(dev, r, "%s: %s", what, strerror(-r));
	return dev->failed ? -EIO : 0;
}

static int commit_writes(xenhost_device_t *dev, uint32_t own, uint32_t state)
{
	return xh_device_commit(
		&(struct xh_device_commit){ .dev = dev, .own = own, .state = state });
}

static int commit_changes(xenhost_device_t *dev, uint32_t own)
{
	return xh_device_commit(
		&(struct xh_device_commit){ .dev = dev, .own = own, .only_changes = true });
}

static int do_probe(xenhost_device_t *dev, uint32_t own, uint32_t state)
{
	int r;

	dev->keep_writes = true;
	dev->waits = dev->continued = false;
	r = dev->backend->ops.probe(dev);
	dev->keep_writes = false;
	dev->probing = r == XENHOST_LATER;
	dev->probed = r >= 0 && !dev->probing;
	if (r < 0)
		dev->data = NULL;
	if (dev->probing && !dev->failed) {
		xh_device_drop_writes(dev);
		dev->waits = !dev->continued;
		return 0;
	}
	r = driver_result(dev, "probe", r);
	if (r < 0 || dev->ending) {
		xh_device_drop_writes(dev);
		return r == -ENOTCONN ? r : 0;
	}
	return commit_writes(dev, own, state == own ? 0 : state);
}

static int do_connect(xenhost_device_t *dev, uint32_t own, uint32_t state)
{
	int r;

	dev->keep_writes = true;
	dev->waits = dev->continued = false;
	r = dev->backend->ops.connect(dev);
	dev->keep_writes = false;
	if (r == XENHOST_LATER && !dev->failed) {
		xh_device_drop_writes(dev);
		dev->waits = !dev->continued;
		return 0;
	}
	dev->connected = r >= 0 && r != XENHOST_LATER;
	r = driver_result(dev, "connect", r);
	if (r < 0 || dev->ending) {
		xh_device_drop_writes(dev);
		return r == -ENOTCONN ? r : 0;
	}
	dev->changed = false;
	xh_device_clear_error(dev);
	return commit_writes(dev, own, state);
}

static void do_disconnect(xenhost_device_t *dev)
{
	dev->connected = false;
	xh_device_drop_writes(dev);
	dev->backend->ops.disconnect(dev);
}

static void do_remove(xenhost_device_t *dev)
{
	dev->probed = dev->probing = dev->waits = dev->deferred = dev->inherited = false;
	if (dev->backend->ops.remove)
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
	return commit_changes(dev, own);
}

static int do_reconfigure(xenhost_device_t *dev, uint32_t own, uint32_t state)
{
	int r = do_event(dev, own);

	return r == 0 && !dev->ending && !dev->failed ? commit_writes(dev, own, state) : r;
}

/*
 * Closed ends a failure at once: the front end may see it and begin anew before we look again, and a
 * device that still counts as failed would then wait for a Closed that is over.
 */
static int do_switch(xenhost_device_t *dev, uint32_t own, uint32_t state)
{
	int r;

	if (state == XENHOST_STATE_CLOSED && dev->probed && dev->backend->ops.closing)
		dev->backend->ops.closing(dev);
	r = commit_writes(dev, own, state);
	if (r == 0 && state == XENHOST_STATE_CLOSED)
		dev->failed = false;
	return r;
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
		return do_switch(dev, own, step.state);
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
	int r = dev->refused ? -ENOENT : xh_device_read_state(dev, 0, dev->front_path, ret_state);

	if (xh_device_not_there(r)) {
		*ret_state = 0;
		r = 0;
	}
	return r;
}

static int read_online(xenhost_device_t *dev, bool *ret_online)
{
	uint64_t online = ONLINE_DEFAULT;
	int r = xenhost_device_read_u64(dev, XENHOST_BACK, "online", UINT32_MAX, &online);

	if (r < 0 && !xh_device_not_there(r) && r != -EINVAL && r != -ERANGE)
		return r;
	*ret_online = online != 0;
	return 0;
}

static bool front_domain_gone(const xenhost_device_t *dev)
{
	struct xenhost_domain_info info;
	int r = xenhost_domain_info(dev->backend->host, dev->front_domid, &info);

	return r == -ESRCH || r == -EOPNOTSUPP; /* where nobody knows, the state must do */
}

/*
 * Our state first, `online` next: an unplug writes both at once, so who sees its Closing sees its
 * online=0 as well.
 */
static int look(xenhost_device_t *dev, struct xh_xenbus_view *view)
{
	int r;

	r = xh_device_read_state(dev, 0, dev->back_path, &view->own);
	if (r == 0)
		r = read_online(dev, &view->online);
	if (r == 0)
		r = read_front(dev, &view->front);
	if (r < 0)
		return r;
	if (!dev->looked)
		dev->inherited = view->own >= XENHOST_STATE_INITIALISED &&
				 view->own <= XENHOST_STATE_RECONFIGURED &&
				 view->own != XENHOST_STATE_CLOSED;
	dev->looked = true;
	view->inherited = dev->inherited;
	if (view->own == XENHOST_STATE_CLOSED &&
	    (view->front == XENHOST_STATE_CLOSED || view->front == 0))
		dev->failed = false;
	view->front_gone = view->front == 0 && front_domain_gone(dev);
	view->probed = dev->probed || dev->probing;
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

/*
 * A probe that waits holds up everything but the answer to Closing and the end of the device: Closed
 * would say that nothing of the front end's is in use, which nobody knows yet. A connect that waits holds up
 * nothing but itself: nothing of the front end's is in use.
 */
static struct xh_xenbus_step next_step(const xenhost_device_t *dev,
				       const struct xh_xenbus_view *view)
{
	struct xh_xenbus_step step = xh_xenbus_next(view);
	bool begins = step.action == XH_XENBUS_SWITCH && step.state == XENHOST_STATE_INIT_WAIT;

	if (step.action == XH_XENBUS_CONNECT && !dev->probing && dev->waits)
		return (struct xh_xenbus_step){ XH_XENBUS_NOTHING, 0 };
	if (!dev->probing || step.action == XH_XENBUS_REMOVE ||
	    (step.action == XH_XENBUS_SWITCH && step.state == XENHOST_STATE_CLOSING))
		return step;
	if (dev->waits || (view->front == 0 && step.action == XH_XENBUS_NOTHING))
		return (struct xh_xenbus_step){ XH_XENBUS_NOTHING, 0 };
	return (struct xh_xenbus_step){ XH_XENBUS_PROBE, begins ? step.state : view->own };
}

/* Takes steps until there is nothing to do: 0, GONE, AGAIN, or -errno. */
static int advance(xenhost_device_t *dev)
{
	for (int i = 0; i < STEPS_MAX; i++) {
		struct xh_xenbus_view view;
		struct xh_xenbus_step step;
		int r;

		if (dev->deferred)
			return 0;
		r = look(dev, &view);
		if (xh_device_not_there(r) || (r == 0 && replaced(dev, &view)))
			return GONE;
		if (r < 0 || dev->stuck)
			return r;
		dev->own = view.own;
		step = next_step(dev, &view);
		if (step.action != XH_XENBUS_NOTHING)
			r = act(dev, view.own, step);
		else if (dev->changed && dev->connected)
			r = do_event(dev, view.own);
		else if (!list_empty(&dev->writes))
			r = commit_changes(dev, view.own);
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

/* false: disconnect is not over */
static bool stop(xenhost_device_t *dev)
{
	if (dev->connected)
		do_disconnect(dev);
	if (dev->deferred && !dev->ending)
		return false;
	if (dev->probed || dev->probing)
		do_remove(dev);
	return true;
}

static void device_free(xenhost_device_t *dev)
{
	xenhost_backend_t *backend = dev->backend;

	xenhost_unwatch(dev->front_watch);
	xh_work_cancel(&dev->work);
	xh_device_drop_writes(dev);
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

	dev->gone = true;
	if (!stop(dev)) {
		dev->busy = false;
		return;
	}
	xh_device_clear_error(dev);
	ending = dev->ending; /* a callback freed the back end */
	device_free(dev);
	if (!ending)
		xh_backend_add(backend, front, devid);
}

/* We may not write our own state: nothing can be told to the front end, so at least do no harm. */
static void give_up(xenhost_device_t *dev, int error)
{
	dev->stuck = true;
	if (dev->connected)
		do_disconnect(dev);
	xh_device_write_error(dev, error, "cannot write the state of the device");
}

static void work_done(xenhost_device_t *dev, int r)
{
	switch (r) {
	case 0:
	case -ENOTCONN: /* the connection is lost; when it is back the watches fire */
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
	r = dev->gone ? GONE : advance(dev);
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

int xenhost_device_defer(xenhost_device_t *dev)
{
	if (!dev)
		return -EINVAL;
	if (dev->ending)
		return -EBUSY;
	dev->deferred = true;
	return 0;
}

void xenhost_device_continue(xenhost_device_t *dev)
{
	if (!dev)
		return;
	dev->deferred = dev->waits = false;
	dev->continued = true;
	if (!dev->ending)
		xh_work_queue(dev->backend->host->store, &dev->work);
}

void xenhost_device_look(xenhost_device_t *dev)
{
	if (dev)
		xh_device_event(dev, "*");
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

	r = xh_device_read_state(dev, 0, dev->back_path, &state);
	if (r == 0)
		r = xenhost_device_read_str(dev, XENHOST_BACK, "frontend", &dev->front_path);
	if (r < 0 && r != -EINVAL)
		return xh_device_not_there(r) ? 0 : r;
	r_id = xenhost_device_read_u64(dev, XENHOST_BACK, "frontend-id", UINT16_MAX, &id);
	if (r_id < 0 && r_id != -EINVAL && r_id != -ERANGE)
		return xh_device_not_there(r_id) ? 0 : r_id;
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
		xh_device_write_error(
			dev, EINVAL,
			"frontend and frontend-id do not name the front end of this folder");
	}
	list_append(&backend->devices, &dev->link);
	backend->nr_devices++;
	xh_work_queue(backend->host->store, &dev->work);
	dev = NULL; /* the back end's now */
	return 1;
}
