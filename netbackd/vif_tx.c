/* SPDX-License-Identifier: MIT */
/*
 * Guest to TAP. Frames are sent and answered one by one, in order; responses are published many at once,
 * with at most one notification each time. A frame that the TAP does not take now stays in the ring and is parsed
 * anew later: the guest waits, nothing is dropped and nothing is queued here.
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/xen.h"

#include "netbackd/net_filter.h"
#include "netbackd/stream.h"
#include "netbackd/vif_keep.h"
#include "netbackd/vif_path.h"

#define CREDIT_MIN (128u << 10) /* the largest burst, if a window's credit is not more */
#define WHOLE_MAX \
	2048u /* shorter frames go out of the private copy: that costs less than a second piece */

/* A private copy of the next chain: 1, 0 the ring is empty, -EPROTO. Takes nothing out of the ring.
 */
static int peek_frame(struct vif_queue *q, struct net_tx_frame *frame)
{
	uint8_t slot[NET_TX_REQ_SIZE];
	enum net_tx_step step = NET_TX_MORE;

	net_tx_begin(frame);
	for (uint32_t i = 0; step == NET_TX_MORE; i++) {
		int r = xenhost_ring_peek(&q->tx.ring, i, slot);

		if (r < 0 || (r == 0 && i == 0))
			return r;
		/* front ends publish whole chains only */
		if (r == 0)
			return -EPROTO;
		step = net_tx_add(frame, slot);
	}
	return step == NET_TX_END ? 1 : -EPROTO;
}

/* Takes the chain out of the ring and puts its responses. */
static void answer(struct vif_queue *q, const struct net_tx_frame *frame, int16_t status)
{
	uint8_t rsp[NET_TX_RSP_SIZE];

	xenhost_ring_skip(&q->tx.ring, net_tx_slots(frame));
	for (unsigned int i = 0; i < net_tx_slots(frame); i++) {
		net_tx_response(frame, i, status, rsp);
		if (redo_put(&q->vif->state->tx[q->number], &q->tx.ring, rsp) < 0) {
			vif_break(q, "no room for a response in the tx ring");
			return;
		}
	}
}

/*
 * Moves the first bytes, up to `max`, to a private copy and shortens the iov by them: what is looked at is
 * what is sent, whatever the guest does to its pages meanwhile. Returns their number.
 */
static size_t take_first(uint8_t *first, size_t max, struct iovec *iov, size_t nr_iov)
{
	size_t len = 0;

	for (size_t i = 0; i < nr_iov && len < max; i++) {
		size_t n = iov[i].iov_len;

		if (n > max - len)
			n = max - len;
		memcpy(first + len, iov[i].iov_base, n);
		iov[i].iov_base = (char *)iov[i].iov_base + n;
		iov[i].iov_len -= n;
		len += n;
	}
	__asm__ volatile("" : : : "memory");
	return len;
}

/*
 * Nobody behind a stream knows of work that was left to be done, and a segment may be as long as a frame there: its
 * sum is completed, over all of it. The sum's place is in the private copy (iov[1]). As write_frame()
 */
static int write_stream(struct vif_queue *q, const struct virtio_net_hdr *vnet, struct iovec *iov,
			size_t n)
{
	int r;

	if (vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM &&
	    (vnet->csum_start + vnet->csum_offset + 2u > iov[1].iov_len ||
	     net_csum_complete(iov + 1, n - 1, vnet->csum_start, vnet->csum_offset) < 0))
		return NETIF_RSP_ERROR;
	r = stream_write(q->stream, iov, n);
	if (r == 0 && stream_unsent(q->stream))
		event_add(q->events[TAP_WRITE], NULL);
	if (r == 0 || r == -EAGAIN)
		return r == 0 ? NETIF_RSP_OKAY : r;
	if (r != -ENOTCONN)
		vif_link_lost(q, r);
	return NETIF_RSP_DROPPED;
}

/* whole: the first piece is all of it */
static ssize_t write_tap(int fd, const struct iovec *iov, size_t n, bool whole)
{
	return whole ? write(fd, iov->iov_base, iov->iov_len) : writev(fd, iov, (int)n);
}

/* The frame says that it is the card's. */
static bool is_own(const struct vif *vif, const uint8_t *headers, size_t len)
{
	return net_source_is(headers, len, vif->mac) &&
	       (!vif->have_addresses || net_address_is(headers, len, &vif->addresses));
}

/* NETIF_RSP_*, or -EAGAIN: the TAP is full */
static int write_frame(struct vif_queue *q, const struct net_tx_frame *frame,
		       const struct iovec *data, size_t nr)
{
	/* header and first bytes in one piece: what is short is one write */
	struct {
		struct virtio_net_hdr vnet;
		uint8_t bytes[WHOLE_MAX];
	} __attribute__((packed)) first;
	struct iovec iov[2 + NET_TX_PIECES_MAX];
	struct virtio_net_hdr vnet;
	size_t len, headers;

	memcpy(iov + 2, data, nr * sizeof(*data));
	len = take_first(first.bytes, frame->size <= WHOLE_MAX ? WHOLE_MAX : NET_HEADERS_MAX,
			 iov + 2, nr);
	headers = len < NET_HEADERS_MAX ? len : NET_HEADERS_MAX;
	if (atomic_load_explicit(&q->vif->anti_spoof, memory_order_relaxed) &&
	    !is_own(q->vif, first.bytes, headers)) {
		vif_count(&q->stats.tx_spoofs, 1);
		return NETIF_RSP_DROPPED;
	}
	if (net_tx_offload(frame, first.bytes, headers, &vnet) < 0)
		return NETIF_RSP_ERROR;
	if (q->stream) {
		iov[1] = (struct iovec){ first.bytes, len };
		return write_stream(q, &vnet, iov, nr + 2);
	}
	first.vnet = vnet;
	iov[1] = (struct iovec){ &first, sizeof(vnet) + len };
	if (write_tap(q->fd, iov + 1, nr + 1, len == frame->size) >= 0)
		return NETIF_RSP_OKAY;
	return errno == EAGAIN ? -EAGAIN : NETIF_RSP_DROPPED;
}

static int send_frame(struct vif_queue *q, const struct net_tx_frame *frame)
{
	struct xenhost_seg segs[NET_TX_PIECES_MAX];
	struct iovec iov[NET_TX_PIECES_MAX], merged[NET_TX_PIECES_MAX];
	size_t n = net_tx_segs(frame, segs);
	int r;

	if (xenhost_io_begin(q->host, q->domid, segs, n, XENHOST_READ, iov) < 0)
		return NETIF_RSP_ERROR;
	r = write_frame(q, frame, merged, vif_merge(iov, n, merged));
	xenhost_io_end(q->host, q->domid, segs, n, XENHOST_READ, iov);
	return r;
}

/* A request to change the list instead of a frame. */
static int change_mcast(struct vif_queue *q, const struct net_tx_frame *frame)
{
	int r = frame->mcast == NET_MCAST_ADD
			? mcast_add(&q->vif->state->mcast, frame->mcast_address)
			: mcast_remove(&q->vif->state->mcast, frame->mcast_address);

	return r < 0 && r != -ENOENT ? NETIF_RSP_ERROR : NETIF_RSP_OKAY;
}

static void count_frame(struct vif_stats *stats, const struct net_tx_frame *frame, int status)
{
	if (status == NETIF_RSP_ERROR) {
		vif_count(&stats->tx_errors, 1);
	} else if (status == NETIF_RSP_DROPPED) {
		vif_count(&stats->tx_drops, 1);
	} else if (!frame->mcast) {
		vif_count(&stats->tx_frames, 1);
		vif_count(&stats->tx_bytes, frame->size);
	}
}

static uint64_t load(const _Atomic uint64_t *value)
{
	return atomic_load_explicit(value, memory_order_relaxed);
}

/* false: it has to wait, and TX_AGAIN comes */
static bool have_credit(struct vif_queue *q, size_t size)
{
	uint64_t bytes = load(&q->vif->rate_bytes), usec = load(&q->vif->rate_usec);
	uint64_t max = bytes > CREDIT_MIN ? bytes : CREDIT_MIN, now;
	struct vif_tx *tx = &q->tx;

	if (bytes == 0 || usec == 0 || tx->credit >= size)
		return true;
	now = vif_now_usec();
	/* the limit may have been changed to a shorter window since */
	if (tx->credit_end > now + usec)
		tx->credit_end = now;
	if (now >= tx->credit_end) {
		tx->credit = tx->credit + bytes > max ? max : tx->credit + bytes;
		tx->credit_end = now + usec;
	}
	if (tx->credit >= size)
		return true;
	tx->blocked = true;
	vif_run_later(q->events[TX_AGAIN], tx->credit_end - now);
	return false;
}

static void use_credit(struct vif_queue *q, size_t size)
{
	q->tx.credit -= size < q->tx.credit ? size : q->tx.credit;
}

/* NETIF_RSP_*, or -EAGAIN: not now */
static int do_frame(struct vif_queue *q, const struct net_tx_frame *frame)
{
	int status;

	if (frame->mcast)
		return change_mcast(q, frame);
	if (atomic_load_explicit(&q->vif->unplugged, memory_order_relaxed))
		return NETIF_RSP_DROPPED;
	if (!have_credit(q, frame->size))
		return -EAGAIN;
	status = send_frame(q, frame);
	if (status == -EAGAIN) {
		q->tx.blocked = true;
		event_add(q->events[TAP_WRITE], NULL);
	} else {
		use_credit(q, frame->size);
	}
	return status;
}

/* One frame: 1, 0 there is none or not now, -EPROTO */
static int tx_one(struct vif_queue *q)
{
	struct net_tx_frame frame;
	enum net_tx_verdict verdict;
	int status = NETIF_RSP_ERROR;
	int r = peek_frame(q, &frame);

	if (r <= 0)
		return r;
	verdict = net_tx_check(&frame);
	if (verdict == NET_TX_STOP)
		return -EPROTO;
	if (verdict == NET_TX_SEND)
		status = do_frame(q, &frame);
	if (status == -EAGAIN)
		return 0;
	count_frame(&q->stats, &frame, status);
	answer(q, &frame, (int16_t)status);
	return q->broken ? 0 : 1;
}

bool vif_tx_run(struct vif_queue *q)
{
	unsigned int budget = VIF_BUDGET;
	int r;

	if (q->broken || q->tx.blocked)
		return true;
	do {
		while (budget > 0 && (r = tx_one(q)) > 0) {
			budget--;
			if (q->tx.ring.rsp_prod_pvt - q->tx.ring.rsp_prod >= VIF_PUBLISH_SLOTS)
				vif_publish(q, &q->tx.ring, q->tx_port);
		}
		if (budget == 0 || r < 0 || q->tx.blocked || q->broken)
			break;
		vif_publish(q, &q->tx.ring, q->tx_port);
		r = xenhost_ring_arm(&q->tx.ring, 1);
	} while (r > 0);
	if (r < 0) {
		vif_break(q, "the front end broke the tx ring");
		return true;
	}
	vif_publish(q, &q->tx.ring, q->tx_port);
	if (budget == 0 && !q->broken)
		vif_run_later(q->events[TX_AGAIN], 0);
	return budget < VIF_BUDGET;
}
