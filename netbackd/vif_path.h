/* SPDX-License-Identifier: MIT */
/*
 * The inside of a queue, for vif_queue.c, vif_tx.c and vif_rx.c: vif_queue.c makes it, brings its events
 * and ends it; between start and stop everything runs in the thread of its worker.
 */
#ifndef NETBACKD_VIF_PATH_H
#define NETBACKD_VIF_PATH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include <event2/event.h>

#include <xenhost/ring.h>

#include "netbackd/net_offload.h"
#include "netbackd/net_ring.h"
#include "netbackd/vif.h"

#define VIF_BUDGET 64	      /* frames of one pass */
#define VIF_PUBLISH_SLOTS 64u /* the guest fills these again while we are at the others */
#define VIF_RX_HELD_MAX (NET_RX_PIECES_MAX + 1u)

enum vif_event {
	ON_TX,
	ON_RX,	    /* NULL with one port for both */
	TX_AGAIN,   /* the next pass, when others had their turn, or when there is credit */
	RX_AGAIN,   /* to look for buffers that nobody tells of */
	RX_STALL,   /* there were none for too long */
	CALM,	    /* events are looked at again */
	LINK_AGAIN, /* the stream is connected anew */
	TAP_READ,
	TAP_WRITE,
	VIF_NR_EVENTS,
};

/* guest to TAP */
struct vif_tx {
	struct xenhost_ring ring;
	bool blocked;	     /* the TAP is full, or there is no credit: not before an event */
	uint64_t credit;     /* bytes */
	uint64_t credit_end; /* us: when there is more */
};

/*
 * TAP to guest. held: the first requests of the ring, not taken, whose pages are in use by us: the next
 * frame is read straight into them. What they cannot take is in `beyond`. A frame for which there are not
 * enough waits there (`pending`).
 */
struct vif_rx {
	struct xenhost_ring ring;
	unsigned int nr_held;
	bool bad; /* the request behind the held ones is for a page that cannot be used */
	struct net_rx_req reqs[VIF_RX_HELD_MAX];
	struct xenhost_seg segs[VIF_RX_HELD_MAX];
	struct iovec iov[VIF_RX_HELD_MAX];

	bool pending;
	struct virtio_net_hdr vnet;
	struct net_rx_offload offload;
	size_t len;
	unsigned int nr_read; /* of the held ones when the frame was read */
	bool gap;	      /* the second was left out then, for an extra info */
	uint8_t *beyond;      /* NET_FRAME_MAX + 1 bytes; NULL without scatter-gather */
	unsigned int large;   /* frames for which the last large one counts as a sign of more */

	bool starved; /* the TAP waits for buffers */
	bool stalled;
};

struct vif_queue {
	struct vif *vif;
	struct worker *worker;
	unsigned int number;
	xenhost_t *host;
	uint16_t domid;	       /* the front end's */
	int fd;		       /* of the TAP, which owns it; -1 with a stream */
	struct stream *stream; /* NULL: a TAP */
	bool link_said;	       /* that the stream is lost; once */
	xenhost_map_t *tx_map, *rx_map;
	xenhost_port_t *tx_port, *rx_port; /* rx_port NULL: tx_port is for both */
	struct event *events[VIF_NR_EVENTS];
	struct vif_tx tx;
	struct vif_rx rx;
	unsigned int nr_spurious; /* events without work, one behind the other */
	bool resumed;		  /* the front end goes on as with a predecessor */
	bool started;
	bool broken;
	const char *why;
	struct letter start, stop, look;     /* to its thread */
	struct letter broke, stall, stopped; /* to the main thread */
	bool gone;			     /* the last of them has come */
	_Atomic bool stall_now;		     /* for the letter */
	bool stall_told;		     /* what the last one said; the main thread only */
	struct vif_stats stats;
};

static inline void vif_count(_Atomic uint64_t *counter, uint64_t n)
{
	uint64_t old = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(counter, old + n, memory_order_relaxed);
}

/*
 * What lies one behind the other in our address space is one piece to the kernel, which takes longer over more of them.
 * Each page was granted and looked at by itself (xenhost_io_begin()). Returns how many there are in `merged`.
 */
static inline size_t vif_merge(const struct iovec *iov, size_t n, struct iovec *merged)
{
	size_t last = 0;

	merged[0] = iov[0];
	for (size_t i = 1; i < n; i++) {
		if ((char *)merged[last].iov_base + merged[last].iov_len == iov[i].iov_base)
			merged[last].iov_len += iov[i].iov_len;
		else
			merged[++last] = iov[i];
	}
	return last + 1;
}

/* vif_queue.c: the front end broke the rules; nothing more is taken, answered or told */
void vif_break(struct vif_queue *q, const char *why);
void vif_publish(struct vif_queue *q, struct xenhost_ring *ring, xenhost_port_t *port);
void vif_run_later(struct event *event, uint64_t usec);
uint64_t vif_now_usec(void);
/* the stream is lost: it is connected again later, what is sent until then goes nowhere */
void vif_link_lost(struct vif_queue *q, int error);

/* vif_tx.c: a pass; true if there was anything to do */
bool vif_tx_run(struct vif_queue *q);

/* vif_rx.c */
int vif_rx_init(struct vif_queue *q);
/* before the first pass, if a predecessor was there */
void vif_rx_resume(struct vif_queue *q);
/* gives everything back */
void vif_rx_fini(struct vif_queue *q);
/* a pass */
void vif_rx_run(struct vif_queue *q);
/* The guest has put buffers, or it is time to look. true if the TAP waited for them */
bool vif_rx_refill(struct vif_queue *q);
void vif_rx_on_stall(struct vif_queue *q);

#endif
