/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "libxenhost/store_wire.h"
#include "libxenhost/xenbus.h"

#define INITIALISING XENHOST_STATE_INITIALISING
#define INIT_WAIT XENHOST_STATE_INIT_WAIT
#define INITIALISED XENHOST_STATE_INITIALISED
#define CONNECTED XENHOST_STATE_CONNECTED
#define CLOSING XENHOST_STATE_CLOSING
#define CLOSED XENHOST_STATE_CLOSED
#define RECONFIGURING XENHOST_STATE_RECONFIGURING
#define RECONFIGURED XENHOST_STATE_RECONFIGURED

typedef struct xh_xenbus_step step;

static const step nothing = { XH_XENBUS_NOTHING, 0 };

static step do_switch(uint32_t state)
{
	return (step){ XH_XENBUS_SWITCH, state };
}

/* states in which a front end may be using us */
static bool in_use(uint32_t own)
{
	return own == INITIALISED || own == CONNECTED || own == RECONFIGURING ||
	       own == RECONFIGURED;
}

/*
 * The way to Closed: stop, and never jump there from Connected, because a front end may wait for
 * exactly Closing (OVMF does). Before it the driver has a look at what a predecessor left.
 */
static step close_down(const struct xh_xenbus_view *v)
{
	if (v->connected)
		return (step){ XH_XENBUS_DISCONNECT, 0 };
	if (v->inherited && !v->probed && !v->failed)
		return (step){ XH_XENBUS_PROBE, v->own };
	if (in_use(v->own))
		return do_switch(CLOSING);
	if (v->own != CLOSED)
		return do_switch(CLOSED);
	if (v->probed && (!v->online || v->front_gone))
		return (step){ XH_XENBUS_REMOVE, 0 };
	return nothing;
}

/* The front end is in its beginning: so are we, by the shortest way. */
static step begin(const struct xh_xenbus_view *v)
{
	bool start = v->own == INITIALISING || v->own == 0 || (v->own == CLOSED && v->online);

	if (v->connected || in_use(v->own) || v->own == CLOSING)
		return close_down(v);
	if (!v->probed && (start || v->own == INIT_WAIT))
		return (step){ XH_XENBUS_PROBE, INIT_WAIT };
	return start ? do_switch(INIT_WAIT) : nothing;
}

/*
 * The front end is ready. When our state is Connected or Closing and we do not know the device, a
 * predecessor of ours served it: we go on where it ended, without showing another state in between.
 */
static step serve(const struct xh_xenbus_view *v)
{
	bool resume = in_use(v->own) || v->own == CLOSING;

	if (v->connected && !resume)
		return (step){ XH_XENBUS_DISCONNECT, 0 }; /* the toolstack wrote our state */
	if (!v->probed)
		return (step){ XH_XENBUS_PROBE, resume ? v->own : INIT_WAIT };
	if (v->own == INITIALISING || v->own == CLOSED || v->own == 0)
		return do_switch(INIT_WAIT);
	if (!v->connected)
		return (step){ XH_XENBUS_CONNECT, v->own == CLOSING ? CLOSING : CONNECTED };
	return v->own == RECONFIGURED ? do_switch(CONNECTED) : nothing;
}

/*
 * Closing is answered from any state: a kernel started by kexec finds us Closed and waits for it.
 * We serve on until the front end is Closed: a mounted disk may have writes left.
 */
static step closing(const struct xh_xenbus_view *v)
{
	return v->own == CLOSING ? nothing : do_switch(CLOSING);
}

/* waits without an end for our answer, so it always gets one */
static step reconfigure(const struct xh_xenbus_view *v)
{
	if (!v->connected)
		return in_use(v->own) ? serve(v) : nothing;
	if (v->own == RECONFIGURED || v->own == CLOSING)
		return nothing;
	return (step){ XH_XENBUS_RECONFIGURE, RECONFIGURED };
}

/* Broken: out of use, then wait until the front end has closed, or is away and not wanted. */
static step failed(const struct xh_xenbus_view *v)
{
	bool active = v->front >= INIT_WAIT && v->front <= CLOSING;

	if (v->front == 0 || v->front == CLOSED || (!v->online && !active))
		return close_down(v);
	if (v->connected)
		return (step){ XH_XENBUS_DISCONNECT, 0 };
	return v->own == CLOSING || v->own == CLOSED ? nothing : do_switch(CLOSING);
}

step xh_xenbus_next(const struct xh_xenbus_view *v)
{
	if (v->own > RECONFIGURED)
		return nothing; /* nobody but the toolstack can have written that */
	if (v->own == CLOSED && !v->online)
		return close_down(v); /* over, whatever the front end says */
	if (v->failed)
		return failed(v);
	switch (v->front) {
	case 0:
		/* not there yet, or gone */
		return v->own <= INITIALISING ? nothing : close_down(v);
	case INITIALISING:
		return begin(v);
	case INIT_WAIT:
		return v->own == CLOSING || v->own == CLOSED || in_use(v->own) ? nothing : begin(v);
	case INITIALISED:
	case CONNECTED:
		return serve(v);
	case CLOSING:
		return closing(v);
	case CLOSED:
		return close_down(v);
	case RECONFIGURING:
		return v->own == CLOSING && !v->connected ? close_down(v) : reconfigure(v);
	default:
		return v->own == CLOSING && !v->connected ? close_down(v) : nothing;
	}
}

int xh_xenbus_number(const char *s, size_t len, uint32_t max, uint32_t *ret_value)
{
	uint64_t v;

	if ((len > 1 && *s == '0') || xh_wire_number(s, len, max, &v) < 0)
		return -EINVAL;
	*ret_value = (uint32_t)v;
	return 0;
}

/* takes "/NUMBER" off: -EINVAL */
static int take_number(const char **p, uint32_t max, uint32_t *ret_value)
{
	size_t len = strcspn(*p + 1, "/");
	int r = xh_xenbus_number(*p + 1, len, max, ret_value);

	*p += 1 + len;
	return r;
}

int xh_xenbus_event(const char *root, const char *path, uint16_t *ret_front, uint32_t *ret_devid,
		    const char **ret_node)
{
	size_t len = strlen(root);
	uint32_t front, devid;
	const char *p;

	if (strncmp(path, root, len) || path[len] != '/')
		return 0; /* the root, or something above it */
	p = path + len;
	if (take_number(&p, XH_XENBUS_DOMID_MAX, &front) < 0)
		return -EINVAL;
	if (*p == '\0') {
		*ret_front = (uint16_t)front;
		return 1;
	}
	if (take_number(&p, UINT32_MAX, &devid) < 0)
		return -EINVAL;
	*ret_front = (uint16_t)front;
	*ret_devid = devid;
	if (*p == '\0')
		return 2;
	*ret_node = p + 1;
	return 3;
}

bool xh_xenbus_front_path(const char *path, uint16_t domid)
{
	static const char chars[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-/_@";
	char prefix[32];
	size_t len = strlen(path);
	int n;

	n = snprintf(prefix, sizeof(prefix), "/local/domain/%" PRIu16 "/", domid);
	if (strncmp(path, prefix, (size_t)n) || len == (size_t)n)
		return false;
	return path[len - 1] != '/' && !strstr(path, "//") && strspn(path, chars) == len;
}
