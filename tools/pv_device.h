/* SPDX-License-Identifier: MIT */
/*
 * A PV device of a running guest as a toolstack handles it, for xenhost block and xenhost net: its two folders
 * in the store, the states, and orders by the nodes xenhost-control and xenhost-reply. Functions log what
 * failed and give 0 or -errno.
 */
#ifndef TOOLS_PV_DEVICE_H
#define TOOLS_PV_DEVICE_H

#include <stdbool.h>
#include <stddef.h>

#include <xenhost/backend.h>
#include <xenhost/store.h>

#include "common/options.h"

#define PV_SETTINGS_MAX 16

struct pv_device {
	const char *class;   /* "vbd", "vif" */
	const char *what;    /* "disk", "card": for people */
	const char *program; /* the back end's */
	/* options */
	const char *rundir;
	bool json, force;
	unsigned int timeout_s;
	unsigned int backend;
	const char *settings[PV_SETTINGS_MAX]; /* KEY=VALUE for the back-end folder */
	unsigned int nr_settings;

	xenhost_t *host;
	unsigned int domid;
	unsigned int devid;
	char back[96], front[96];
	unsigned int printed; /* rows of a JSON list */
	void *data;	      /* the caller's */
};

typedef int pv_txn_fn(xenhost_t *host, xenhost_txn_t txn, void *data);

struct pv_node {
	const char *node, *value;
};

/* setters for tables of options; data is a struct pv_device */
int pv_set_rundir(void *data, const char *value);
int pv_set_json(void *data, const char *value);
int pv_set_force(void *data, const char *value);
int pv_set_timeout(void *data, const char *value);
int pv_set_backend(void *data, const char *value);
int pv_set_setting(void *data, const char *value);

/* by name or domid */
int pv_find_domain(struct pv_device *d, const char *which);
/* of domid and devid */
void pv_set_paths(struct pv_device *d);
/* the caller frees it; NULL when there is none */
char *pv_read_node(struct pv_device *d, const char *folder, const char *node);
int pv_write_nodes(struct pv_device *d, xenhost_txn_t txn, const char *folder,
		   const struct pv_node *nodes, size_t n);
/* KEY=VALUE, all of them */
int pv_write_settings(struct pv_device *d, xenhost_txn_t txn);
unsigned int pv_back_state(struct pv_device *d);
const char *pv_state_name(unsigned int state);

/* Both folders with the nodes of all classes; the class's own, and state 1 at the end */
int pv_write_device(struct pv_device *d, xenhost_txn_t txn, const struct pv_node *front,
		    size_t nr_front, const struct pv_node *back, size_t nr_back);
/* Writes by fn (in a transaction) and waits until the back end takes it. What it refuses goes again */
int pv_attach(struct pv_device *d, pv_txn_fn *fn, void *data);
int pv_detach(struct pv_device *d);
/* print is called for each device of d->domid, or of all guests */
int pv_list(struct pv_device *d, bool all, const char *head,
	    void (*print)(struct pv_device *d, unsigned int state));
/* the same for all guests, without a heading */
void pv_each(struct pv_device *d, void (*fn)(struct pv_device *d, unsigned int state));
/* the answer to stat, for the caller to free; quiet. -errno */
int pv_stat(struct pv_device *d, char **ret_text);
/* gives an order and prints the answer's pairs */
int pv_order(struct pv_device *d, const char *order);

#endif
