/* SPDX-License-Identifier: MIT */
/*
 * A queue owns both mapped rings, one port or two, and its events. Everything is synchronous: a
 * frame is written to or read from the TAP while its pages are held between xenhost_io_begin() and
 * xenhost_io_end(), and answered at once, so nothing is under way between two events and the rings'
 * response indices are the whole state. The TAP's own queue is the only buffer.
 *
 * Guest to TAP: stops while the TAP takes nothing (tx_blocked), with the frame left in the ring; it
 * is parsed anew then. TAP to guest: the TAP is not read while the guest has no buffers
 * (rx_starved). After a protocol violation the queue is broken: nothing more is taken, answered or
 * told.
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include <event2/event.h>
#include <linux/virtio_net.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/xen.h"

#include <xenhost/ring.h>

#include "netbackd/net_ring.h"
#include "netbackd/tap.h"
#include "netbackd/vif.h"
#include "netbackd/vif_queue.h"

#define BUDGET 64	   /* frames of one pass */
#define RX_POLL_USEC 30000 /* for front ends that do not tell of new buffers */
#define DRAIN_MAX 4096	   /* stale frames thrown away when a front end connects */

enum event_index {
	ON_TX,
	ON_RX,	  /* NULL with one port for both */
	TX_AGAIN, /* the next pass, when others had their turn */
	RX_AGAIN,
	TAP_READ,
	TAP_WRITE,
	NR_EVENTS,
};

struct vif_queue {
	struct vif *vif;
	xenhost_t *host;
	uint16_t domid; /* the front end's */
	xenhost_map_t *tx_map, *rx_map;
	struct xenhost_ring tx, rx;
	xenhost_port_t *tx_port, *rx_port; /* rx_port NULL: tx_port is for both */
	struct event *events[NR_EVENTS];
	bool broken;
	bool tx_blocked;
	bool rx_starved;
};

static void queue_break(struct vif_queue *q, int error, const char *why)
{
	if (q->broken)
		return;
	q->broken = true;
	for (int i = 0; i < NR_EVENTS; i++) {
		if (q->events[i])
			event_del(q->events[i]);
	}
	log_warning("%s: %s; the device is stopped", xenhost_device_name(q->vif->dev), why);
	xenhost_device_fail(q->vif->dev, error, "%s", why);
}

static void publish(struct vif_queue *q, struct xenhost_ring *ring, xenhost_port_t *port)
{
	if (q->broken)
		return;
	if (xenhost_ring_push(ring) > 0) {
		q->vif->stats.notifies++;
		xenhost_port_notify(port);
	}
}

static void run_later(struct event *again, long usec)
{
	const struct timeval when = { .tv_usec = usec };

	evtimer_add(again, &when);
}

/* ---- guest to TAP ---- */

/* A private copy of the next chain: 1, 0 the ring is empty, -EPROTO. Takes nothing out of the ring.
 */
static int tx_peek_frame(struct vif_queue *q, struct net_tx_frame *frame)
{
	uint8_t slot[NET_TX_REQ_SIZE];
	enum net_tx_step step = NET_TX_MORE;

	net_tx_begin(frame);
	for (uint32_t i = 0; step == NET_TX_MORE; i++) {
		int r = xenhost_ring_peek(&q->tx, i, slot);

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
static void tx_answer(struct vif_queue *q, const struct net_tx_frame *frame, int16_t status)
{
	uint8_t rsp[NET_TX_RSP_SIZE];

	xenhost_ring_skip(&q->tx, net_tx_slots(frame));
	for (unsigned int i = 0; i < net_tx_slots(frame); i++) {
		net_tx_response(frame, i, status, rsp);
		if (xenhost_ring_put(&q->tx, rsp) < 0) {
			queue_break(q, EPROTO, "no room for a response in the tx ring");
			return;
		}
	}
}

/*
 * Moves the first bytes, up to NET_HEADERS_MAX, to a private copy and shortens the iov by them:
 * what is looked at is what is sent, whatever the guest does to its pages meanwhile. Returns their
 * number.
 */
static size_t take_headers(uint8_t *headers, struct iovec *iov, size_t nr_iov)
{
	size_t len = 0;

	for (size_t i = 0; i < nr_iov && len < NET_HEADERS_MAX; i++) {
		size_t n = iov[i].iov_len;

		if (n > NET_HEADERS_MAX - len)
			n = NET_HEADERS_MAX - len;
		memcpy(headers + len, iov[i].iov_base, n);
		iov[i].iov_base = (char *)iov[i].iov_base + n;
		iov[i].iov_len -= n;
		len += n;
	}
	__asm__ volatile("" : : : "memory");
	return len;
}

/* What the guest left blank becomes the kernel's work. */
static int fill_vnet(const struct net_tx_frame *frame, const uint8_t *headers, size_t len,
		     struct virtio_net_hdr *vnet)
{
	if (!(frame->flags & NETTXF_csum_blank))
		return 0;
	vnet->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	return net_csum_locate(headers, len, frame->size, &vnet->csum_start, &vnet->csum_offset);
}

/* NETIF_RSP_*, or -EAGAIN: the TAP is full */
static int tx_write(struct vif_queue *q, const struct net_tx_frame *frame, const struct iovec *data,
		    size_t nr)
{
	uint8_t headers[NET_HEADERS_MAX];
	struct virtio_net_hdr vnet = { 0 };
	struct iovec iov[2 + NET_TX_PIECES_MAX] = { { &vnet, sizeof(vnet) } };
	size_t len;

	memcpy(iov + 2, data, nr * sizeof(*data));
	len = take_headers(headers, iov + 2, nr);
	iov[1] = (struct iovec){ headers, len };
	if (fill_vnet(frame, headers, len, &vnet) < 0)
		return NETIF_RSP_ERROR;
	if (writev(q->vif->tap->fd, iov, (int)nr + 2) >= 0)
		return NETIF_RSP_OKAY;
	return errno == EAGAIN ? -EAGAIN : NETIF_RSP_DROPPED;
}

static int tx_send(struct vif_queue *q, const struct net_tx_frame *frame)
{
	struct xenhost_seg segs[NET_TX_PIECES_MAX];
	struct iovec iov[NET_TX_PIECES_MAX];
	size_t n = net_tx_segs(frame, segs);
	int r;

	if (xenhost_io_begin(q->host, q->domid, segs, n, XENHOST_READ, iov) < 0)
		return NETIF_RSP_ERROR;
	r = tx_write(q, frame, iov, n);
	xenhost_io_end(q->host, q->domid, segs, n, XENHOST_READ, iov);
	return r;
}

static void tx_count(struct vif_stats *stats, const struct net_tx_frame *frame, int status)
{
	if (status == NETIF_RSP_ERROR) {
		stats->tx_errors++;
	} else if (status == NETIF_RSP_DROPPED) {
		stats->tx_drops++;
	} else {
		stats->tx_frames++;
		stats->tx_bytes += frame->size;
	}
}

/* One frame: 1, 0 there is none or the TAP is full, -EPROTO */
static int tx_one(struct vif_queue *q)
{
	struct net_tx_frame frame;
	enum net_tx_verdict verdict;
	int status = NETIF_RSP_ERROR;
	int r = tx_peek_frame(q, &frame);

	if (r <= 0)
		return r;
	verdict = net_tx_check(&frame);
	if (verdict == NET_TX_STOP)
		return -EPROTO;
	if (verdict == NET_TX_SEND)
		status = tx_send(q, &frame);
	if (status == -EAGAIN) {
		q->tx_blocked = true;
		event_add(q->events[TAP_WRITE], NULL);
		return 0;
	}
	tx_count(&q->vif->stats, &frame, status);
	tx_answer(q, &frame, (int16_t)status);
	return q->broken ? 0 : 1;
}

static void tx_run(struct vif_queue *q)
{
	unsigned int budget = BUDGET;
	int r;

	if (q->broken || q->tx_blocked)
		return;
	do {
		while (budget > 0 && (r = tx_one(q)) > 0)
			budget--;
		if (budget == 0 || r < 0 || q->tx_blocked || q->broken)
			break;
		publish(q, &q->tx, q->tx_port);
		r = xenhost_ring_arm(&q->tx, 1);
	} while (r > 0);
	if (r < 0) {
		queue_break(q, EPROTO, "the front end broke the tx ring");
		return;
	}
	publish(q, &q->tx, q->tx_port);
	if (budget == 0 && !q->broken)
		run_later(q->events[TX_AGAIN], 0);
}

/* ---- TAP to guest ---- */

/*
 * The next frame into the guest's page; 0 or -errno. Frames larger than a page, which the MTU
 * should keep away, are seen by the last, private byte.
 */
static int rx_read(struct vif_queue *q, const struct iovec *page, struct virtio_net_hdr *vnet,
		   size_t *ret_len)
{
	char beyond;
	struct iovec iov[] = { { vnet, sizeof(*vnet) }, *page, { &beyond, 1 } };
	ssize_t n = readv(q->vif->tap->fd, iov, ARRAY_SIZE(iov));

	if (n < 0)
		return -errno;
	*ret_len = (size_t)n > sizeof(*vnet) ? (size_t)n - sizeof(*vnet) : 0;
	return 0;
}

static void rx_answer(struct vif_queue *q, const struct net_rx_req *req, uint16_t flags,
		      int16_t status)
{
	uint8_t rsp[NET_RX_RSP_SIZE];

	xenhost_ring_skip(&q->rx, 1);
	net_rx_response(req, flags, status, rsp);
	if (xenhost_ring_put(&q->rx, rsp) < 0)
		queue_break(q, EPROTO, "no room for a response in the rx ring");
}

/* What was read is the guest's, unless it cannot be a frame; then the buffer is used again. */
static void rx_deliver(struct vif_queue *q, const struct net_rx_req *req, uint8_t vnet_flags,
		       size_t len)
{
	struct vif_stats *stats = &q->vif->stats;

	if (len < NET_FRAME_MIN || len > XENHOST_PAGE_SIZE) {
		stats->rx_drops++;
		return;
	}
	stats->rx_frames++;
	stats->rx_bytes += len;
	rx_answer(q, req, net_rx_flags(vnet_flags), (int16_t)len);
}

static void rx_error(struct vif_queue *q, const struct net_rx_req *req)
{
	q->vif->stats.rx_errors++;
	rx_answer(q, req, 0, NETIF_RSP_ERROR);
}

/* One frame into one buffer: 1, 0 the TAP is empty, -errno of the TAP */
static int rx_one(struct vif_queue *q, const struct net_rx_req *req)
{
	struct xenhost_seg seg = { .gref = req->gref, .len = XENHOST_PAGE_SIZE };
	struct virtio_net_hdr vnet = { 0 };
	struct iovec page;
	size_t len = 0;
	int r;

	if (xenhost_io_begin(q->host, q->domid, &seg, 1, XENHOST_WRITE, &page) < 0) {
		rx_error(q, req);
		return 1;
	}
	r = rx_read(q, &page, &vnet, &len);
	if (xenhost_io_end(q->host, q->domid, &seg, 1, XENHOST_WRITE, &page) < 0 && r == 0)
		rx_error(q, req);
	else if (r == 0)
		rx_deliver(q, req, vnet.flags, len);
	else
		return r == -EAGAIN || r == -EINTR ? 0 : r;
	return 1;
}

/* 1 there are buffers after all, 0 the TAP waits for them, -EPROTO */
static int rx_starve(struct vif_queue *q)
{
	int r = xenhost_ring_arm(&q->rx, 1);

	if (r != 0)
		return r;
	q->rx_starved = true;
	event_del(q->events[TAP_READ]);
	if (!q->vif->rx_notify)
		run_later(q->events[RX_AGAIN], RX_POLL_USEC);
	return 0;
}

/* The next buffer of the guest's gets the next frame: 1, 0 not now, -errno with *why */
static int rx_step(struct vif_queue *q, const char **why)
{
	uint8_t slot[NET_RX_REQ_SIZE];
	struct net_rx_req req;
	int r = xenhost_ring_peek(&q->rx, 0, slot);

	*why = "the front end broke the rx ring";
	if (r < 0)
		return r;
	if (r == 0)
		return rx_starve(q);
	*why = "cannot read the TAP";
	net_rx_parse(slot, &req);
	return rx_one(q, &req);
}

static void rx_run(struct vif_queue *q)
{
	const char *why = NULL;
	int r = 1;

	for (int budget = BUDGET; budget > 0 && r > 0 && !q->broken; budget--)
		r = rx_step(q, &why);
	if (r < 0)
		queue_break(q, -r, why);
	publish(q, &q->rx, q->rx_port ? q->rx_port : q->tx_port);
}

/* The guest has put buffers, or it is time to look. */
static void rx_refill(struct vif_queue *q)
{
	if (q->broken || !q->rx_starved)
		return;
	q->rx_starved = false;
	event_del(q->events[RX_AGAIN]);
	event_add(q->events[TAP_READ], NULL);
}

/* ---- events ---- */

static void acknowledge(struct vif_queue *q, xenhost_port_t *port)
{
	if (xenhost_port_ack(port) > 0)
		q->vif->stats.events++;
}

static void on_tx_event(evutil_socket_t fd, short what, void *data)
{
	struct vif_queue *q = data;

	acknowledge(q, q->tx_port);
	if (!q->rx_port)
		rx_refill(q);
	tx_run(q);
}

static void on_rx_event(evutil_socket_t fd, short what, void *data)
{
	struct vif_queue *q = data;

	acknowledge(q, q->rx_port);
	rx_refill(q);
}

static void on_tx_again(evutil_socket_t fd, short what, void *data)
{
	tx_run(data);
}

static void on_rx_again(evutil_socket_t fd, short what, void *data)
{
	rx_refill(data);
}

static void on_tap_read(evutil_socket_t fd, short what, void *data)
{
	rx_run(data);
}

static void on_tap_write(evutil_socket_t fd, short what, void *data)
{
	struct vif_queue *q = data;

	q->tx_blocked = false;
	tx_run(q);
}

/* ---- connecting ---- */

static int map_ring(struct vif_queue *q, const char *node, size_t req_size, size_t rsp_size,
		    xenhost_map_t **ret_map, struct xenhost_ring *ring)
{
	int r = xenhost_device_map_ring(q->vif->dev, node, 1, ret_map);

	if (r < 0)
		return r;
	return xenhost_ring_init(ring, xenhost_map_addr(*ret_map), 1, req_size, rsp_size);
}

/* One port for both rings, or one for each; which, the front end says by what it wrote. */
static int bind_ports(struct vif_queue *q)
{
	xenhost_device_t *dev = q->vif->dev;
	int r = xenhost_device_bind_port(dev, "event-channel-tx", &q->tx_port);

	if (r == -ENOENT)
		return xenhost_device_bind_port(dev, "event-channel", &q->tx_port);
	if (r < 0)
		return r;
	return xenhost_device_bind_port(dev, "event-channel-rx", &q->rx_port);
}

static int add_events(struct vif_queue *q)
{
	const struct {
		int fd;
		short what;
		event_callback_fn fn;
	} wanted[] = {
		[ON_TX] = { xenhost_port_fd(q->tx_port), EV_READ | EV_PERSIST, on_tx_event },
		[ON_RX] = { q->rx_port ? xenhost_port_fd(q->rx_port) : -1, EV_READ | EV_PERSIST,
			    on_rx_event },
		[TX_AGAIN] = { -1, 0, on_tx_again },
		[RX_AGAIN] = { -1, 0, on_rx_again },
		[TAP_READ] = { q->vif->tap->fd, EV_READ | EV_PERSIST, on_tap_read },
		[TAP_WRITE] = { q->vif->tap->fd, EV_WRITE, on_tap_write },
	};

	for (int i = 0; i < NR_EVENTS; i++) {
		if (i == ON_RX && !q->rx_port)
			continue;
		q->events[i] = event_new(q->vif->driver->base, wanted[i].fd, wanted[i].what,
					 wanted[i].fn, q);
		if (!q->events[i])
			return -ENOMEM;
		if (wanted[i].what & EV_PERSIST && event_add(q->events[i], NULL) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int queue_connect(struct vif_queue *q)
{
	int r;

	r = map_ring(q, "tx-ring-ref", NET_TX_REQ_SIZE, NET_TX_RSP_SIZE, &q->tx_map, &q->tx);
	if (r < 0)
		return r;
	r = map_ring(q, "rx-ring-ref", NET_RX_REQ_SIZE, NET_RX_RSP_SIZE, &q->rx_map, &q->rx);
	if (r < 0)
		return r;
	r = bind_ports(q);
	if (r < 0)
		return r;
	/* frames for whoever had the card before */
	tap_drain(q->vif->tap, DRAIN_MAX);
	/* the ports are pending from the start, so what is in the rings already gets its turn */
	return add_events(q);
}

int vif_queue_open(struct vif *vif, struct vif_queue **ret_queue)
{
	_cleanup_(vif_queue_closep) struct vif_queue *q = calloc(1, sizeof(*q));
	int r;

	if (!q)
		return -ENOMEM;
	q->vif = vif;
	q->host = xenhost_device_host(vif->dev);
	q->domid = xenhost_device_frontend_domid(vif->dev);
	r = queue_connect(q);
	if (r < 0)
		return r;
	log_debug("%s: connected, %s", xenhost_device_name(vif->dev),
		  q->rx_port ? "two ports" : "one port");
	*ret_queue = steal_ptr(&q);
	return 0;
}

struct vif_queue *vif_queue_close(struct vif_queue *q)
{
	if (!q)
		return NULL;
	for (int i = 0; i < NR_EVENTS; i++) {
		if (q->events[i])
			event_free(q->events[i]);
	}
	xenhost_port_close(q->tx_port);
	xenhost_port_close(q->rx_port);
	xenhost_unmap(q->tx_map);
	xenhost_unmap(q->rx_map);
	free(q);
	return NULL;
}

void vif_queue_closep(struct vif_queue **queue)
{
	*queue = vif_queue_close(*queue);
}
