/* SPDX-License-Identifier: MIT */
/*
 * One device of a back end. backend.c finds them and passes events on; device.c follows the states
 * (by the rules of xenbus.h) and calls the driver, always from its work, that is from
 * xenhost_process().
 */
#ifndef LIBXENHOST_DEVICE_H
#define LIBXENHOST_DEVICE_H

#include <xenhost/backend.h>

#include "libxenhost/store.h"
#include "libxenhost/xenbus.h"

#define XH_DEVICES_MAX 1024 /* of one back end; more are ignored */

struct xenhost_backend {
	xenhost_t *host;
	struct xenhost_backend_ops ops;
	void *data;
	char *root; /* /local/domain/US/backend/TYPE */
	xenhost_watch_t *watch;
	struct list devices;
	size_t nr_devices;
	bool ignored; /* there were more than XH_DEVICES_MAX */
	bool freed;   /* while callbacks run; goes with the last device */
	struct xh_work rescan;
};

struct xenhost_device {
	struct list link; /* backend->devices */
	xenhost_backend_t *backend;
	uint16_t front_domid;
	uint32_t devid;
	char name[64];
	char *front_path;
	char *back_path;
	xenhost_watch_t *front_watch;
	void *data;

	uint32_t own;	/* our state when last looked at */
	bool looked;	/* at our state, once */
	bool inherited; /* it was one in which a predecessor served the front end */
	bool written;	/* by us, so Initialising there is another folder's */
	bool refused;	/* its folder makes no sense: closed, never probed */
	bool probing;	/* probe said XENHOST_LATER */
	bool probed;
	bool connected;
	bool failed;	 /* see xh_xenbus_view */
	bool stuck;	 /* we cannot even write our state: out of use until the folder goes */
	bool changed;	 /* a node other than the states: event() is due */
	bool error_node; /* we wrote one */

	bool waits;	/* probe or connect does, for xenhost_device_continue() */
	bool continued; /* that came already */
	bool deferred;	/* disconnect is not over */
	bool gone;	/* its folder; ends when disconnect is over */

	bool busy;	  /* its work runs, perhaps a callback */
	bool ending;	  /* end it when that returns */
	bool keep_writes; /* inside of a callback: collect them in `writes` */
	struct list writes;
	struct xh_work work;
};

/*
 * Makes the device of a folder that has all of frontend, frontend-id and state. 1: made, 0: not
 * (yet) a device's folder, or -errno.
 */
int xh_device_new(xenhost_backend_t *backend, uint16_t front_domid, uint32_t devid);
/* something changed; node "" or a state: only the states are to be looked at */
void xh_device_event(xenhost_device_t *dev, const char *node);
/* calls what is due of disconnect and remove, writes nothing; later when its work is running */
void xh_device_end(xenhost_device_t *dev);

/* --- device_node.c --- */

struct xh_device_commit {
	xenhost_device_t *dev;
	uint32_t own;	/* what our state must still be; XH_XENBUS_GARBAGE: anything, but there */
	uint32_t state; /* to write, 0: none */
	bool only_changes; /* nothing if the store says all that already */
};

#define XH_DEVICE_LOOK_AGAIN 1 /* our state is another one by now, nothing was written */

/*
 * Writes what was collected, and the state, in one transaction. 0, XH_DEVICE_LOOK_AGAIN, -ENOENT the
 * folder is gone, or -errno. What was to be written is forgotten, but for an error that will pass (the
 * store was lost ...): then the next commit writes it.
 */
int xh_device_commit(struct xh_device_commit *commit);
void xh_device_drop_writes(xenhost_device_t *dev);

/* FOLDER/state: 0 to 8 or XH_XENBUS_GARBAGE */
int xh_device_read_state(xenhost_device_t *dev, xenhost_txn_t txn, const char *folder,
			 uint32_t *ret_state);
/* In a folder that we may not look into, a node that is missing is not told from one that is hidden. */
bool xh_device_not_there(int r);

/* for people; that it cannot be written changes nothing for the device */
void xh_device_write_error(xenhost_device_t *dev, int error, const char *text);
/* if we wrote one */
void xh_device_clear_error(xenhost_device_t *dev);

/* backend.c: makes the device of a folder, if there is one; again later after errors that will pass */
void xh_backend_add(xenhost_backend_t *backend, uint16_t front_domid, uint32_t devid);
/* the device has left the list */
void xh_backend_device_gone(xenhost_backend_t *backend);

#endif
