/* SPDX-License-Identifier: MIT */
/*
 * A disk of a guest: its nodes in the Xenstore, its image, its journal, its queues. Driver of
 * xenhost/backend.h, in the main thread; each queue has a thread of the pool.
 */
#ifndef BLKBACKD_VBD_H
#define BLKBACKD_VBD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <xenhost/backend.h>

#include "backend/opener.h"
#include "backend/worker.h"

#include "blkbackd/blk_io.h"
#include "blkbackd/blk_journal.h"
#include "blkbackd/blk_ring.h"
#include "blkbackd/nbd_dial.h"
#include "blkbackd/nbd_spec.h"
#include "blkbackd/throttle.h"

#define VBD_RING_ORDER_MAX 4u
#define VBD_LATENCY_BUCKETS 24u /* the last one: 4 s and more */

struct blk_slow;
struct event_base;
struct image;
struct vbd_queue;

/* of a worker, for its thread: has one queue been the only one for a while? */
struct vbd_turn {
	struct vbd_queue *queue; /* the last one that had something to do */
	uint64_t since;		 /* ns: so long no other had */
};

/* data of xenhost_backend_new() */
struct vbd_driver {
	struct event_base *base; /* of the main thread */
	struct mailbox box;
	struct workers workers;
	struct vbd_turn turns[WORKERS_MAX];
	struct opener *opener;
	/* options */
	enum blk_io_engine engine;
	bool page_cache;
	bool barrier;
	unsigned int nr_threads;
	int poll_us;		/* before a queue sleeps; negative: as it pays */
	unsigned int nr_queues; /* offered */
};

/* One writer each, the thread of the queue; the main thread looks. */
struct vbd_stats {
	_Atomic uint64_t requests;
	_Atomic uint64_t sectors_read;
	_Atomic uint64_t sectors_written;
	_Atomic uint64_t flushes;
	_Atomic uint64_t discards;
	_Atomic uint64_t merged;   /* requests done as a part of another */
	_Atomic uint64_t errors;   /* requests not answered OKAY */
	_Atomic uint64_t events;   /* times the front end woke us */
	_Atomic uint64_t notifies; /* times we woke it */
	_Atomic uint64_t replayed; /* requests of a predecessor */
	_Atomic uint64_t
		latency[VBD_LATENCY_BUCKETS]; /* [n]: below 2^n us, from taking to answering */
};

#define VBD_STATS_COUNT (sizeof(struct vbd_stats) / sizeof(_Atomic uint64_t))

/* what to do when the medium has an error */
enum vbd_policy {
	VBD_REPORT,    /* tell the front end */
	VBD_STOP,      /* take no more requests, try this one again when told to go on */
	VBD_STOP_FULL, /* stop when there is no space left, else report */
};

/* bits of vbd->paused: why no requests are taken */
#define VBD_PAUSED_BY_OPERATOR 1u
#define VBD_PAUSED_BY_ERROR 2u

/* see vbd_image.c */
struct vbd_opening {
	enum { OPENING_IDLE, OPENING_ASKED, OPENING_ANSWERED } state;
	struct vbd *vbd;
	struct opener_call call;
	char *params; /* the node */
	bool readonly;
	bool nbd; /* see struct vbd_nbd */
	/* the answer */
	int fd;
	int error;
	uint32_t value;
	char text[OPEN_TEXT_MAX];
};

/* see vbd_nbd.c */
struct vbd_nbd {
	bool wanted; /* by a queue that has none */
	bool told;   /* that there is none */
	struct nbd_spec spec;
	struct opener_call call;
	struct nbd_dial *dial;
	struct event *retry;
	struct event *fence; /* the predecessor's connection */
	int fence_fd;
	struct nbd_handle *handle; /* the first one, until a queue wants it */
	struct nbd_export exp;
};

struct vbd {
	xenhost_device_t *dev;
	struct vbd_driver *driver;
	struct event *timer; /* waits for a predecessor, or looks at the image's size */
	bool waiting_told;
	struct vbd_opening opening;
	struct vbd_nbd nbd;
	struct image *image;
	struct blk_slow *slow;	 /* while connected */
	struct journal *journal; /* of a predecessor, or ours while connected */
	bool journal_ours;
	struct blk_limits limits;
	uint32_t max_queues; /* offered */
	uint32_t nr_queues;
	uint32_t nr_running;			      /* not stopped yet */
	bool stopping;				      /* they were told to */
	bool handed_over;			      /* to a successor: the journal stays */
	const char *told_state;			      /* what the node xenhost-state says */
	struct letter state_changed;		      /* from a queue */
	struct vbd_queue *queues[JOURNAL_QUEUES_MAX]; /* while connected */
	struct vbd_stats stats;			      /* of those that are gone */

	/* for the queues' threads as well */
	_Atomic uint64_t sectors;
	_Atomic uint32_t paused;	 /* VBD_PAUSED_ bits */
	_Atomic uint32_t resumes;	 /* how often it was told to go on */
	_Atomic uint32_t werror, rerror; /* enum vbd_policy */
	/*
	 * A flush failed: writes that were answered may be lost. Every write from now on fails and
	 * no flush is answered, so that the guest cannot take the disk for a good one.
	 */
	_Atomic bool failed;
	_Atomic bool throttled;
	pthread_mutex_t pause_lock;    /* for changes of `paused` and `resumes` */
	pthread_mutex_t throttle_lock; /* for the two */
	struct throttle iops, bps;
};

extern const struct xenhost_backend_ops vbd_ops;

/* Sets VBD_PAUSED_ bits, here and in the journal; any thread */
void vbd_pause(struct vbd *vbd, uint32_t bits);
/*
 * An error stops the disk, and true. false: it was told to go on after the request had started,
 * when vbd->resumes was `resumes`; what the request failed of may be mended. Any thread
 */
bool vbd_stop(struct vbd *vbd, uint32_t resumes);
/* ... and all queues go on. Main thread */
void vbd_resume(struct vbd *vbd);
/* a flush failed: see `failed`. Any thread */
void vbd_fail(struct vbd *vbd, int error);
/* in a letter of a queue that has stopped: it may be freed */
void vbd_queue_stopped(struct vbd *vbd);
/* The image has another size: smaller only if `shrink`. Inside of the event callback. 1 it had, 0, -errno */
int vbd_resize(struct vbd *vbd, bool shrink);
/* sum over all queues, those that are and those that were; VBD_STATS_COUNT numbers */
void vbd_sum_stats(const struct vbd *vbd, uint64_t *sums);

#endif
