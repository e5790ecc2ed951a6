/* SPDX-License-Identifier: MIT */
/*
 * Xenbus as rules: what a back end does next, given both states as they are now, and which names
 * and paths in the store mean a device. Pure: no I/O, allocation, clock or globals.
 */
#ifndef LIBXENHOST_XENBUS_H
#define LIBXENHOST_XENBUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <xenhost/backend.h>

#define XH_XENBUS_DOMID_MAX 32751 /* the ids above are reserved (DOMID_FIRST_RESERVED) */
#define XH_XENBUS_GARBAGE 99u	  /* a state node that is no number from 0 to 8 */

struct xh_xenbus_view {
	uint32_t front; /* state of the front end; 0 when there is none */
	/* its domain is gone; a missing state alone proves nothing: the guest can remove and write it in a loop */
	bool front_gone;
	uint32_t own; /* our state node */
	bool online;  /* the toolstack wants the device */
	bool probed;
	bool connected;
	bool failed; /* broken, until the front end has closed */
	/* our state was left by a predecessor, who may have had something in use */
	bool inherited;
};

enum xh_xenbus_action {
	XH_XENBUS_NOTHING,
	XH_XENBUS_PROBE,
	XH_XENBUS_CONNECT,
	XH_XENBUS_DISCONNECT,
	XH_XENBUS_REMOVE,
	XH_XENBUS_SWITCH,      /* write our state */
	XH_XENBUS_RECONFIGURE, /* the driver looks again, then write our state */
};

struct xh_xenbus_step {
	enum xh_xenbus_action action;
	uint32_t state; /* our state afterwards; of PROBE and CONNECT as well, may be the present
			   one */
};

/* To be done and followed by another look, until there is nothing to do. */
struct xh_xenbus_step xh_xenbus_next(const struct xh_xenbus_view *view);

/* decimal without sign, blanks or leading zeros, as a folder's name must be. -EINVAL */
int xh_xenbus_number(const char *s, size_t len, uint32_t max, uint32_t *ret_value);

/*
 * What of a back end an event's path means: 0 all of it, 1 a front end's folder, 2 a device, 3 a
 * node of a device (*ret_node is its name, within path). -EINVAL: a name that is no number.
 */
int xh_xenbus_event(const char *root, const char *path, uint16_t *ret_front, uint32_t *ret_devid,
		    const char **ret_node);

/* is it /local/domain/DOMID/..., spelled as the store spells it? */
bool xh_xenbus_front_path(const char *path, uint16_t domid);

#endif
