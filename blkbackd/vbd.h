/* SPDX-License-Identifier: MIT */
/* A disk of a guest: its nodes in the Xenstore, its image, its queue. Driver of xenhost/backend.h.
 */
#ifndef BLKBACKD_VBD_H
#define BLKBACKD_VBD_H

#include <stdbool.h>
#include <stdint.h>

#include <xenhost/backend.h>

#include "blkbackd/blk_io.h"
#include "blkbackd/blk_ring.h"

struct event_base;
struct image;
struct vbd_queue;

/* data of xenhost_backend_new() */
struct vbd_driver {
	struct event_base *base;
	enum blk_io_engine engine;
};

struct vbd_stats {
	uint64_t requests;
	uint64_t sectors_read;
	uint64_t sectors_written;
	uint64_t flushes;
	uint64_t errors;   /* requests not answered OKAY */
	uint64_t events;   /* times the front end woke us */
	uint64_t notifies; /* times we woke it */
};

struct vbd {
	xenhost_device_t *dev;
	struct vbd_driver *driver;
	struct image *image;
	struct vbd_queue *queue; /* NULL while not connected */
	struct blk_limits limits;
	/*
	 * A flush failed: writes that were answered may be lost. Every write from now on fails and
	 * no flush is answered, so that the guest cannot take the disk for a good one.
	 */
	bool failed;
	struct vbd_stats stats;
};

extern const struct xenhost_backend_ops vbd_ops;

#endif
