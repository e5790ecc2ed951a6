/* SPDX-License-Identifier: MIT */
/* A front end: frontend.c follows the states and calls the driver, frontend_node.c has its nodes. */
#ifndef LIBXENHOST_FRONTEND_H
#define LIBXENHOST_FRONTEND_H

#include <xenhost/frontend.h>

#include "libxenhost/store.h"

struct xenhost_frontend {
	xenhost_t *host;
	struct xenhost_frontend_ops ops;
	void *data;
	char *path; /* absolute or relative to our home, as given */
	char *back_path;
	uint16_t back_domid;
	xenhost_watch_t *watch;
	struct xh_work work;

	uint32_t own; /* our state */
	bool set_up;  /* closed() is due some day */
	bool stopped; /* since set_up */
	bool closing; /* asked to end, or failed */
	bool changed; /* event() is due */
	bool busy;    /* its work runs, perhaps a callback */
	bool freed;   /* free it when that returns */
};

/* frontend_node.c: FOLDER/state, 0 when there is none or it makes no sense */
int xh_frontend_read_state(xenhost_frontend_t *front, const char *folder, uint32_t *ret_state);
/* -ENOENT when the folder is gone: it is not made anew */
int xh_frontend_write_state(xenhost_frontend_t *front, uint32_t state);
/* for people, that it cannot be written changes nothing */
void xh_frontend_write_error(xenhost_frontend_t *front, int error, const char *what);

#endif
