/* SPDX-License-Identifier: MIT */
/*
 * A front end: one watch on the back end's folder, and what follows from both states.
 *
 * Events only queue the work. It reads the back end's state as it is now, takes the one step that
 * next_step() names, and looks again. Our own state is nobody else's to write, so front->own is what we
 * wrote last. The way out is Closing, the back end's Closing, Closed, the back end's Closed: only then it
 * has unmapped our pages. Life as in device.c: the work calls the driver; xenhost_frontend_free() from
 * within a callback makes the running work end it.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "libxenhost/frontend.h"
#include "libxenhost/xenbus.h"

#define STEPS_MAX 16

enum step { NOTHING, SETUP, SETUP_DONE, CONNECTED, STOP, CLOSED_STATE, LET_GO, EVENT };

/* --- rules --- */

static bool back_closes(uint32_t back)
{
	return back == 0 || back == XENHOST_STATE_CLOSING || back == XENHOST_STATE_CLOSED;
}

/* set up, and on the way out */
static enum step way_out(const xenhost_frontend_t *f, uint32_t back)
{
	if (!f->stopped)
		return STOP;
	if (f->own != XENHOST_STATE_CLOSED)
		/* it serves until we are Closed, but wants to say Closing first */
		return back_closes(back) ? CLOSED_STATE : NOTHING;
	return back == 0 || back == XENHOST_STATE_CLOSED ? LET_GO : NOTHING;
}

static enum step next_step(const xenhost_frontend_t *f, uint32_t back)
{
	if (f->set_up && (f->stopped || f->closing || back_closes(back)))
		return way_out(f, back);
	if (f->closing)
		return f->own == XENHOST_STATE_CLOSED ? NOTHING : CLOSED_STATE;
	switch (f->own) {
	case XENHOST_STATE_INITIALISING:
		/* from Connected and Closed it comes to InitWait by itself */
		if (f->set_up)
			return SETUP_DONE;
		return back == XENHOST_STATE_INIT_WAIT ? SETUP : NOTHING;
	case XENHOST_STATE_INITIALISED:
		return back == XENHOST_STATE_CONNECTED ? CONNECTED : NOTHING;
	case XENHOST_STATE_CONNECTED:
		return f->changed ? EVENT : NOTHING;
	default:
		return NOTHING;
	}
}

/* --- steps --- */

/* A driver that failed because the store was lost meanwhile is asked again when it is back. */
static int driver_result(xenhost_frontend_t *f, const char *what, int r)
{
	if (r < 0 && f->host->store->fd < 0)
		return -ENOTCONN;
	if (r < 0) {
		f->closing = true;
		xh_frontend_write_error(f, r, what);
	}
	return 0;
}

static int do_setup(xenhost_frontend_t *f)
{
	int r = f->ops.setup(f);

	f->set_up = r >= 0;
	f->stopped = false;
	return driver_result(f, "setup", r);
}

static int do_connected(xenhost_frontend_t *f)
{
	int r = driver_result(f, "connected", f->ops.connected(f));

	f->changed = false;
	if (r < 0 || f->closing || f->freed)
		return r;
	return xh_frontend_write_state(f, XENHOST_STATE_CONNECTED);
}

static int do_stop(xenhost_frontend_t *f)
{
	f->stopped = true;
	if (f->ops.stop)
		f->ops.stop(f);
	return f->freed ? 0 : xh_frontend_write_state(f, XENHOST_STATE_CLOSING);
}

static void do_let_go(xenhost_frontend_t *f)
{
	f->set_up = false;
	f->ops.closed(f);
}

static void do_event(xenhost_frontend_t *f)
{
	f->changed = false;
	if (f->ops.event)
		f->ops.event(f);
}

static int act(xenhost_frontend_t *f, enum step step)
{
	switch (step) {
	case SETUP:
		return do_setup(f);
	case SETUP_DONE:
		return xh_frontend_write_state(f, XENHOST_STATE_INITIALISED);
	case CONNECTED:
		return do_connected(f);
	case STOP:
		return do_stop(f);
	case CLOSED_STATE:
		return xh_frontend_write_state(f, XENHOST_STATE_CLOSED);
	case LET_GO:
		do_let_go(f);
		return 0;
	case EVENT:
		do_event(f);
		return 0;
	case NOTHING:
		break;
	}
	return 0;
}

/* 0 settled, 1 not yet, or -errno */
static int advance(xenhost_frontend_t *f)
{
	for (int i = 0; i < STEPS_MAX; i++) {
		enum step step;
		uint32_t back;
		int r = xh_frontend_read_state(f, f->back_path, &back);

		if (r < 0)
			return r;
		step = next_step(f, back);
		if (step == NOTHING)
			return 0;
		r = act(f, step);
		if (f->freed)
			return 0;
		if (r == -ENOENT || r == -EACCES) {
			/* our folder is gone: nobody is there to follow our states */
			f->own = XENHOST_STATE_CLOSED;
			f->closing = f->stopped = true;
			r = 0;
		}
		if (r < 0)
			return r;
	}
	return 1;
}

static void front_free(xenhost_frontend_t *f)
{
	xenhost_unwatch(f->watch);
	xh_work_cancel(&f->work);
	free(f->path);
	free(f->back_path);
	free(f);
}

static void front_freep(xenhost_frontend_t **f)
{
	if (*f)
		front_free(*f);
}

static void on_work(struct xh_work *work)
{
	xenhost_frontend_t *f = list_entry(work, xenhost_frontend_t, work);
	int r;

	f->busy = true;
	r = advance(f);
	f->busy = false;
	if (f->freed) {
		f->freed = false;
		xenhost_frontend_free(f);
	} else if (r == 1 || r == -EAGAIN || r == -ETIMEDOUT || r == -ENOMEM) {
		xh_work_queue(f->host->store, &f->work);
	}
}

static void on_event(xenhost_t *host, const char *path, void *data)
{
	xenhost_frontend_t *f = data;

	f->changed = true;
	xh_work_queue(host->store, &f->work);
}

/* --- life --- */

static int copy_ops(const struct xenhost_frontend_ops *ops, struct xenhost_frontend_ops *copy)
{
	if (!ops || ops->size < sizeof(*ops))
		return -EINVAL; /* the first version has all of these */
	*copy = *ops;
	copy->size = sizeof(*copy);
	return copy->setup && copy->connected && copy->closed ? 0 : -EINVAL;
}

static int read_backend(xenhost_frontend_t *f)
{
	uint64_t domid;
	int r;

	r = xenhost_frontend_read_str(f, XENHOST_FRONT, "backend", &f->back_path);
	if (r == 0)
		r = xenhost_frontend_read_u64(f, XENHOST_FRONT, "backend-id", XH_XENBUS_DOMID_MAX,
					      &domid);
	if (r < 0)
		return r == -ERANGE ? -EINVAL : r;
	f->back_domid = (uint16_t)domid;
	return xh_xenbus_front_path(f->back_path, f->back_domid) ? 0 : -EINVAL;
}

int xenhost_frontend_new(xenhost_t *host, const char *path, const struct xenhost_frontend_ops *ops,
			 void *data, xenhost_frontend_t **ret_front)
{
	_cleanup_(front_freep) xenhost_frontend_t *f = NULL;
	int r;

	if (!host || !path || !*path || !ret_front)
		return -EINVAL;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	list_init(&f->work.link);
	f->work.fn = on_work;
	f->host = host;
	f->data = data;
	r = copy_ops(ops, &f->ops);
	if (r < 0)
		return r;
	f->path = strdup(path);
	if (!f->path)
		return -ENOMEM;
	r = read_backend(f);
	if (r == 0)
		r = xh_frontend_write_state(f, XENHOST_STATE_INITIALISING);
	if (r == 0)
		r = xenhost_watch(host, f->back_path, on_event, f, &f->watch);
	if (r < 0)
		return r;
	*ret_front = steal_ptr(&f);
	return 0;
}

void xenhost_frontend_close(xenhost_frontend_t *f)
{
	if (!f)
		return;
	f->closing = true;
	xh_work_queue(f->host->store, &f->work);
}

xenhost_frontend_t *xenhost_frontend_free(xenhost_frontend_t *f)
{
	if (!f || f->freed)
		return NULL;
	if (f->busy) {
		f->freed = true;
		return NULL;
	}
	f->busy = true;
	if (f->set_up && !f->stopped && f->ops.stop)
		f->ops.stop(f);
	if (f->set_up)
		do_let_go(f);
	front_free(f);
	return NULL;
}

void *xenhost_frontend_data(const xenhost_frontend_t *f)
{
	return f->data;
}

xenhost_t *xenhost_frontend_host(const xenhost_frontend_t *f)
{
	return f->host;
}

uint16_t xenhost_frontend_backend_domid(const xenhost_frontend_t *f)
{
	return f->back_domid;
}

uint32_t xenhost_frontend_state(const xenhost_frontend_t *f)
{
	return f->own;
}
