/* SPDX-License-Identifier: MIT */
/* A network card of a guest: its nodes in the Xenstore, its TAP, its queue. Driver of
 * xenhost/backend.h. */
#ifndef NETBACKD_VIF_H
#define NETBACKD_VIF_H

#include <stdbool.h>
#include <stdint.h>

#include <xenhost/backend.h>

struct event_base;
struct tap;
struct vif_queue;

/* data of xenhost_backend_new() */
struct vif_driver {
	struct event_base *base;
};

struct vif_stats {
	uint64_t tx_frames; /* from the guest to the TAP */
	uint64_t tx_bytes;
	uint64_t tx_errors; /* the front end's fault */
	uint64_t tx_drops;  /* the kernel did not take it */
	uint64_t rx_frames;
	uint64_t rx_bytes;
	uint64_t rx_errors;
	uint64_t rx_drops; /* too short or too long for the guest */
	uint64_t events;   /* times the front end woke us */
	uint64_t notifies; /* times we woke it */
};

struct vif {
	xenhost_device_t *dev;
	struct vif_driver *driver;
	struct tap *tap;
	struct vif_queue *queue; /* NULL while not connected */
	bool rx_notify;		 /* the front end tells us of new buffers */
	struct vif_stats stats;
};

extern const struct xenhost_backend_ops vif_ops;

#endif
