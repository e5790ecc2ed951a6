/* SPDX-License-Identifier: MIT */
/*
 * TAP to guest. The kernel copies a frame straight into the guest's pages: those of the next requests are
 * held (in use by us) before the frame is there, one while frames are small, as many as the largest frame
 * can need when they are not. After a frame all are given back, those that it filled are answered.
 *
 * A frame to be segmented has its extra info in the place of the second request, so where those are
 * offered the second page is left out when reading, and a frame that is large without being one of them is
 * moved. What finds no page goes into `beyond` and from there to the guest as soon as there are enough:
 * one frame at most, everything else waits in the TAP.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "common/cleanup.h"
#include "common/xen.h"

#include "netbackd/stream.h"
#include "netbackd/vif_keep.h"
#include "netbackd/vif_path.h"
#include "netbackd/vif_queue.h"

#define POLL_USEC 30000	 /* for front ends that do not tell of new buffers */
#define LARGE_MEMORY 64u /* small frames after which the next one is taken for small, too */

int vif_rx_init(struct vif_queue *q)
{
	q->rx.beyond = q->vif->features.sg ? malloc(NET_FRAME_MAX + 1) : NULL;
	return q->vif->features.sg && !q->rx.beyond ? -ENOMEM : 0;
}

/* ---- the guest's pages ---- */

/* -errno: what was written did not reach the guest */
static int release(struct vif_queue *q)
{
	struct vif_rx *rx = &q->rx;
	unsigned int n = rx->nr_held;

	rx->nr_held = 0;
	return n ? xenhost_io_end(q->host, q->domid, rx->segs, n, XENHOST_WRITE, rx->iov) : 0;
}

/* The first n, whose requests are in place; stops at one that cannot be used. */
static void begin_pages(struct vif_queue *q, unsigned int n)
{
	struct vif_rx *rx = &q->rx;

	while (n > 0 &&
	       xenhost_io_begin(q->host, q->domid, rx->segs, n, XENHOST_WRITE, rx->iov) < 0) {
		unsigned int good = 0;

		while (good < n - 1 && rx->segs[good].status == 0)
			good++;
		rx->bad = true;
		n = good;
	}
	rx->nr_held = n;
}

/*
 * Holds `wanted` pages if the guest has posted so many and all are good: 0 or -EPROTO. Pages are given back
 * together as they were taken, so those that are held are taken anew; what was read into them stays.
 */
static int hold(struct vif_queue *q, unsigned int wanted)
{
	struct vif_rx *rx = &q->rx;
	unsigned int n = rx->nr_held;

	assert(wanted <= VIF_RX_HELD_MAX);
	for (; n < wanted; n++) {
		uint8_t slot[NET_RX_REQ_SIZE];
		int r = xenhost_ring_peek(&rx->ring, n, slot);

		if (r < 0)
			return r;
		if (r == 0)
			break;
		net_rx_parse(slot, &rx->reqs[n]);
	}
	if (n <= rx->nr_held)
		return 0;
	(void)release(q);
	rx->bad = false;
	for (unsigned int i = 0; i < n; i++)
		rx->segs[i] = (struct xenhost_seg){
			.gref = rx->reqs[i].gref,
			.len = XENHOST_PAGE_SIZE,
		};
	begin_pages(q, n);
	return 0;
}

static void put(struct vif_queue *q, const uint8_t *rsp)
{
	if (redo_put(&q->vif->state->rx[q->number], &q->rx.ring, rsp) < 0)
		vif_break(q, "no room for a response in the rx ring");
}

/* The first n requests, held or not, are answered with an error each. */
static void refuse(struct vif_queue *q, unsigned int n)
{
	struct vif_rx *rx = &q->rx;
	uint8_t rsp[NET_RX_RSP_SIZE];

	xenhost_ring_skip(&rx->ring, n);
	for (unsigned int i = 0; i < n; i++) {
		net_rx_response(&rx->reqs[i], 0, NETIF_RSP_ERROR, rsp);
		put(q, rsp);
	}
}

/* The held ones and the bad one behind them: a frame must not be answered half with an error. */
static void refuse_bad(struct vif_queue *q)
{
	unsigned int n = q->rx.nr_held;

	(void)release(q);
	q->rx.bad = false;
	vif_count(&q->stats.rx_errors, 1);
	refuse(q, n + 1);
}

void vif_rx_fini(struct vif_queue *q)
{
	(void)release(q);
	free(q->rx.beyond);
	q->rx.beyond = NULL;
}

/*
 * A predecessor may have died while it held some of what is posted: all of it is taken and given back once,
 * so that the guest can have it again whatever happens next.
 */
void vif_rx_resume(struct vif_queue *q)
{
	uint8_t slot[NET_RX_REQ_SIZE];
	struct net_rx_req req;

	for (uint32_t i = 0; xenhost_ring_peek(&q->rx.ring, i, slot) > 0; i++) {
		struct xenhost_seg seg = { .len = XENHOST_PAGE_SIZE };
		struct iovec iov;

		net_rx_parse(slot, &req);
		seg.gref = req.gref;
		if (xenhost_io_begin(q->host, q->domid, &seg, 1, XENHOST_WRITE, &iov) == 0)
			(void)xenhost_io_end(q->host, q->domid, &seg, 1, XENHOST_WRITE, &iov);
	}
}

/* ---- a frame ---- */

static unsigned int nr_pieces(const struct vif_rx *rx)
{
	return (unsigned int)((rx->len + XENHOST_PAGE_SIZE - 1) / XENHOST_PAGE_SIZE);
}

static unsigned int nr_slots(const struct vif_rx *rx)
{
	return nr_pieces(rx) + (rx->offload.gso_type != 0);
}

/* from the stream, which has no virtio_net_hdr: as read_frame() */
static int read_stream(struct vif_queue *q, const struct iovec *iov, size_t n)
{
	ssize_t r = stream_read(q->stream, iov, n);

	if (r < 0 && r != -ENOTCONN)
		vif_link_lost(q, (int)r);
	if (r <= 0)
		return 0;
	q->link_said = false;
	q->rx.len = (size_t)r;
	return 1;
}

/* 1 a frame, 0 none, -errno of the TAP */
static int read_frame(struct vif_queue *q)
{
	struct vif_rx *rx = &q->rx;
	struct iovec all[2 + VIF_RX_HELD_MAX] = { { &rx->vnet, sizeof(rx->vnet) } };
	struct iovec iov[2 + VIF_RX_HELD_MAX];
	size_t n = 1;
	uint8_t one_more;
	ssize_t r;

	rx->gap = q->vif->features.gso4 || q->vif->features.gso6;
	rx->nr_read = rx->nr_held;
	for (unsigned int i = 0; i < rx->nr_held; i++)
		if (i != 1 || !rx->gap)
			all[n++] = rx->iov[i];
	if (rx->beyond)
		all[n++] = (struct iovec){ rx->beyond, NET_FRAME_MAX + 1 };
	else
		all[n++] = (struct iovec){ &one_more, 1 };
	n = vif_merge(all, n, iov);
	memset(&rx->vnet, 0, sizeof(rx->vnet));
	if (q->stream)
		return read_stream(q, iov + 1, n - 1);
	r = readv(q->fd, iov, (int)n);
	if (r < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	rx->len = (size_t)r > sizeof(rx->vnet) ? (size_t)r - sizeof(rx->vnet) : 0;
	return 1;
}

static bool unwanted(struct vif_queue *q)
{
	return atomic_load_explicit(&q->vif->mcast_filter, memory_order_relaxed) &&
	       !mcast_wanted(&q->vif->state->mcast, q->rx.iov[0].iov_base);
}

/* What was read can be given to this guest. Counted if not; then the pages are used again. */
static bool accept_frame(struct vif_queue *q)
{
	struct vif_rx *rx = &q->rx;
	const struct vif_features *f = &q->vif->features;
	size_t max = f->sg ? NET_FRAME_MAX : XENHOST_PAGE_SIZE;
	bool fits = rx->len >= NET_FRAME_MIN && rx->len <= max &&
		    net_rx_offload(&rx->vnet, &rx->offload) == 0;

	if (rx->len > XENHOST_PAGE_SIZE)
		rx->large = LARGE_MEMORY;
	else if (rx->large > 0)
		rx->large--;
	/* one that was on its way before the guest said that it cannot */
	if (rx->offload.gso_type && (!rx->gap || !f->sg))
		fits = false;
	if (!fits) {
		vif_count(&q->stats.rx_drops, 1);
		return false;
	}
	if (unwanted(q)) {
		vif_count(&q->stats.rx_filtered, 1);
		return false;
	}
	return true;
}

/* where the i-th page of the frame was read to */
static const uint8_t *piece_read(const struct vif_rx *rx, unsigned int i)
{
	unsigned int skipped = rx->gap && i > 0;
	unsigned int direct = rx->nr_read - (rx->gap && rx->nr_read > 1);

	if (i < direct)
		return rx->iov[i + skipped].iov_base;
	return rx->beyond + (size_t)(i - direct) * XENHOST_PAGE_SIZE;
}

/* Every page of the frame to where its response will be; ascending, so that none is overwritten before */
static void place(struct vif_rx *rx)
{
	unsigned int extra = rx->offload.gso_type != 0;

	for (unsigned int i = 1; i < nr_pieces(rx); i++) {
		const uint8_t *from = piece_read(rx, i);
		uint8_t *to = rx->iov[i + extra].iov_base;
		size_t len = rx->len - (size_t)i * XENHOST_PAGE_SIZE;

		if (from != to)
			memcpy(to, from, len < XENHOST_PAGE_SIZE ? len : XENHOST_PAGE_SIZE);
	}
}

/* IPv6 as sums are IPv4 only for some front ends: by the place of the sum, the address is not looked at */
static bool is_ipv6(const struct vif_rx *rx)
{
	uint8_t headers[NET_HEADERS_MAX];
	struct net_headers h;
	size_t len = rx->len < sizeof(headers) ? rx->len : sizeof(headers);

	memcpy(headers, rx->iov[0].iov_base, len);
	return net_headers_parse(headers, len, &h) == 0 && h.version == 6;
}

/* The kernel knows one switch for the sums of both protocols. */
static void finish_checksum(struct vif_queue *q)
{
	struct vif_rx *rx = &q->rx;
	struct iovec iov[NET_RX_PIECES_MAX];
	unsigned int n = nr_pieces(rx);

	if (!(rx->vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) || rx->offload.gso_type ||
	    q->vif->features.csum6 || !is_ipv6(rx))
		return;
	memcpy(iov, rx->iov, n * sizeof(iov[0]));
	iov[n - 1].iov_len = rx->len - (size_t)(n - 1) * XENHOST_PAGE_SIZE;
	if (net_csum_complete(iov, n, rx->vnet.csum_start, rx->vnet.csum_offset) == 0)
		rx->offload.flags = NETRXF_data_validated;
}

static void put_responses(struct vif_queue *q, unsigned int slots)
{
	struct vif_rx *rx = &q->rx;
	uint8_t rsp[NET_RX_RSP_SIZE];
	size_t left = rx->len;

	for (unsigned int i = 0; i < slots; i++) {
		size_t len = left < XENHOST_PAGE_SIZE ? left : XENHOST_PAGE_SIZE;
		uint16_t flags = i == 0 ? rx->offload.flags : 0;

		if (i == 1 && rx->offload.gso_type) {
			net_rx_gso(rx->offload.gso_type, rx->offload.gso_size, rsp);
		} else {
			left -= len;
			if (left > 0)
				flags |= NETRXF_more_data;
			net_rx_response(&rx->reqs[i], flags, (int16_t)len, rsp);
		}
		put(q, rsp);
	}
}

/* The frame is in its pages. */
static void deliver(struct vif_queue *q)
{
	struct vif_rx *rx = &q->rx;
	unsigned int slots = nr_slots(rx);

	rx->pending = false;
	if (release(q) < 0) {
		vif_count(&q->stats.rx_errors, 1);
		refuse(q, slots);
		return;
	}
	xenhost_ring_skip(&rx->ring, slots);
	put_responses(q, slots);
	vif_count(&q->stats.rx_frames, 1);
	vif_count(&q->stats.rx_bytes, rx->len);
}

/* ---- passes ---- */

/* 1 there are `wanted` after all, 0 the TAP waits for them, -EPROTO */
static int starve(struct vif_queue *q, unsigned int wanted)
{
	int r = xenhost_ring_arm(&q->rx.ring, wanted);

	if (r > 0)
		r = xenhost_ring_pending(&q->rx.ring);
	if (r < 0 || r >= (int)wanted)
		return r < 0 ? r : 1;
	q->rx.starved = true;
	event_del(q->events[TAP_READ]);
	if (!q->vif->features.rx_notify)
		vif_run_later(q->events[RX_AGAIN], POLL_USEC);
	else if (q->vif->driver->stall_ms && !q->rx.stalled)
		vif_run_later(q->events[RX_STALL], (uint64_t)q->vif->driver->stall_ms * 1000);
	return 0;
}

/* The next frame to the next buffers of the guest's: 1, 0 not now, -errno with *why */
static int rx_step(struct vif_queue *q, const char **why)
{
	struct vif_rx *rx = &q->rx;
	unsigned int wanted = rx->pending ? nr_slots(rx) : 1;
	int r;

	*why = "the front end broke the rx ring";
	r = hold(q, rx->pending || !rx->large || !rx->beyond ? wanted : VIF_RX_HELD_MAX);
	if (r < 0)
		return r;
	if (rx->nr_held < wanted) {
		if (!rx->bad)
			return starve(q, wanted);
		/* the beginning of the frame is in those pages */
		if (rx->pending)
			vif_count(&q->stats.rx_drops, 1);
		rx->pending = false;
		refuse_bad(q);
		return 1;
	}
	if (!rx->pending) {
		*why = "cannot read the TAP";
		r = read_frame(q);
		if (r <= 0 || !accept_frame(q))
			return r;
		rx->pending = true;
		if (rx->nr_held < nr_slots(rx))
			return 1;
	}
	place(rx);
	finish_checksum(q);
	deliver(q);
	return 1;
}

static void tell_stall(struct vif_queue *q, bool stalled)
{
	q->rx.stalled = stalled;
	if (stalled)
		vif_count(&q->stats.stalls, 1);
	atomic_store(&q->stall_now, stalled);
	mailbox_post(&q->vif->driver->box, &q->stall);
}

void vif_rx_run(struct vif_queue *q)
{
	xenhost_port_t *port = q->rx_port ? q->rx_port : q->tx_port;
	struct xenhost_ring *ring = &q->rx.ring;
	const char *why = NULL;
	int r = 1;

	for (int budget = VIF_BUDGET; budget > 0 && r > 0 && !q->broken; budget--) {
		r = rx_step(q, &why);
		if (ring->rsp_prod_pvt - ring->rsp_prod >= VIF_PUBLISH_SLOTS)
			vif_publish(q, ring, port);
	}
	if (r < 0)
		vif_break(q, why);
	/* what was read already is no event of the socket's */
	if (r > 0 && !q->broken && q->stream)
		vif_run_later(q->events[RX_AGAIN], 0);
	vif_publish(q, ring, port);
}

bool vif_rx_refill(struct vif_queue *q)
{
	if (q->broken || !q->rx.starved)
		return false;
	q->rx.starved = false;
	event_del(q->events[RX_AGAIN]);
	event_del(q->events[RX_STALL]);
	/* a frame that waits here is no event of the TAP's */
	vif_rx_run(q);
	if (q->broken || q->rx.starved)
		return true;
	event_add(q->events[TAP_READ], NULL);
	if (q->rx.stalled)
		tell_stall(q, false);
	return true;
}

/* A frame that waited so long is of no use to anybody. */
void vif_rx_on_stall(struct vif_queue *q)
{
	if (q->broken || !q->rx.starved)
		return;
	if (q->rx.pending)
		vif_count(&q->stats.rx_drops, 1);
	q->rx.pending = false;
	tell_stall(q, true);
	/* what is posted may be enough for another frame: then it is no stall any more */
	(void)vif_rx_refill(q);
}
