/* SPDX-License-Identifier: MIT */
/*
 * A queue owns: the mapped ring, the port, the I/O engine and one struct vbd_req per slot of the
 * ring. A request is in exactly one place: on the free list; in the engine, with its segments held
 * between xenhost_io_begin() and xenhost_io_end(); or on the held list (a flush that must not be
 * answered). There are as many as ring slots and the ring never hands out more, so the free list
 * cannot run dry.
 *
 * Segments are given back before the response is put. Responses are published once per batch, with
 * at most one event. After a protocol violation the queue is broken: it takes and answers nothing
 * more, and only waits to be closed. Everything runs in the event loop.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include <event2/event.h>

#include "common/cleanup.h"
#include "common/list.h"
#include "common/log.h"
#include "common/xen.h"

#include <xenhost/ring.h>

#include "blkbackd/image.h"
#include "blkbackd/vbd.h"
#include "blkbackd/vbd_queue.h"

struct vbd_req {
	struct list link; /* in free or held */
	struct vbd_queue *queue;
	struct blk_io_op io;
	struct blk_req blk;
	struct iovec iov[BLK_SEGS_MAX];
};

struct vbd_queue {
	struct vbd *vbd;
	xenhost_t *host;
	uint16_t domid; /* the front end's */
	xenhost_map_t *map;
	struct xenhost_ring ring;
	xenhost_port_t *port;
	struct event *event;
	struct event *again; /* the next pass of a busy ring, behind everybody else's events */
	struct blk_io *io;
	bool broken;
	bool closing;
	struct list free, held;
	uint8_t indirect[BLK_SEGS_MAX * BLK_SEG_BYTES]; /* our copy of an indirect page */
	struct vbd_req *reqs;
};

/* Writing guest memory is what a disk read does. */
static unsigned int request_prot(const struct vbd_req *req)
{
	return req->blk.kind == BLK_READ ? XENHOST_WRITE : XENHOST_READ;
}

static void queue_break(struct vbd_queue *q, const char *why)
{
	if (q->broken)
		return;
	q->broken = true;
	event_del(q->event);
	log_warning("%s: %s; the device is stopped", xenhost_device_name(q->vbd->dev), why);
	xenhost_device_fail(q->vbd->dev, EPROTO, "%s", why);
}

static void queue_publish(struct vbd_queue *q)
{
	if (q->broken || q->closing)
		return;
	if (xenhost_ring_push(&q->ring) > 0) {
		q->vbd->stats.notifies++;
		xenhost_port_notify(q->port);
	}
}

/* Puts the response, to be published with its batch; the request is over. */
static void request_answer(struct vbd_req *req, int16_t status)
{
	struct vbd_queue *q = req->queue;
	uint8_t rsp[BLK_RSP_MAX];

	list_append(&q->free, &req->link);
	if (status != BLKIF_RSP_OKAY)
		q->vbd->stats.errors++;
	if (q->broken || q->closing)
		return;
	blk_response(q->vbd->limits.abi, req->blk.id, req->blk.op, status, rsp);
	if (xenhost_ring_put(&q->ring, rsp) < 0)
		queue_break(q, "no room for a response in the ring");
}

static void disk_fail(struct vbd *vbd, int error)
{
	if (vbd->failed)
		return;
	vbd->failed = true;
	log_error("%s: cannot flush %s: %s; writes are refused from now on, detach the disk and "
		  "check "
		  "the storage",
		  xenhost_device_name(vbd->dev), vbd->image->path, strerror(-error));
}

/* The data part of a request, done or failed. */
static void on_data_done(struct blk_io_op *op, int result)
{
	struct vbd_req *req = list_entry(op, struct vbd_req, io);
	struct vbd_queue *q = req->queue;
	struct vbd_stats *stats = &q->vbd->stats;
	int r = xenhost_io_end(q->host, q->domid, req->blk.segs, req->blk.nr_segs,
			       request_prot(req), req->iov);

	if (result < 0)
		log_debug("%s: sector %llu: %s", xenhost_device_name(q->vbd->dev),
			  (unsigned long long)req->blk.sector, strerror(-result));
	if (result < 0 || r < 0) {
		request_answer(req, BLKIF_RSP_ERROR);
		return;
	}
	if (req->blk.kind == BLK_READ)
		stats->sectors_read += req->blk.nr_sectors;
	else
		stats->sectors_written += req->blk.nr_sectors;
	request_answer(req, BLKIF_RSP_OKAY);
}

static void request_start_data(struct vbd_req *req)
{
	struct vbd_queue *q = req->queue;
	bool writes = req->blk.kind != BLK_READ;

	if ((writes && q->vbd->failed) || q->closing ||
	    xenhost_io_begin(q->host, q->domid, req->blk.segs, req->blk.nr_segs, request_prot(req),
			     req->iov) < 0) {
		request_answer(req, BLKIF_RSP_ERROR);
		return;
	}
	req->io = (struct blk_io_op){
		.kind = writes ? BLK_IO_WRITE : BLK_IO_READ,
		.iov = req->iov,
		.nr_iov = req->blk.nr_segs,
		.offset = req->blk.sector * BLK_SECTOR,
		.len = req->blk.nr_sectors * BLK_SECTOR,
		.done = on_data_done,
	};
	blk_io_submit(q->io, &req->io);
}

/*
 * A front end that sees a flush fail stops flushing and goes on as if all were well, so this is the
 * one error that is not told: the response is held until the device goes.
 */
static void on_flush_done(struct blk_io_op *op, int result)
{
	struct vbd_req *req = list_entry(op, struct vbd_req, io);
	struct vbd_queue *q = req->queue;

	if (result < 0)
		disk_fail(q->vbd, result);
	if (q->vbd->failed) {
		list_append(&q->held, &req->link);
		return;
	}
	q->vbd->stats.flushes++;
	if (req->blk.kind == BLK_FLUSH_WRITE)
		request_start_data(req);
	else
		request_answer(req, BLKIF_RSP_OKAY);
}

static void request_start_flush(struct vbd_req *req)
{
	if (req->queue->vbd->failed) {
		list_append(&req->queue->held, &req->link);
		return;
	}
	req->io = (struct blk_io_op){ .kind = BLK_IO_FLUSH, .done = on_flush_done };
	blk_io_submit(req->queue->io, &req->io);
}

/* Copies the page once; the barrier keeps the parser from looking at the guest's. */
static enum blk_verdict request_fetch_indirect(struct vbd_req *req)
{
	struct vbd_queue *q = req->queue;
	struct iovec iov;
	struct xenhost_seg seg = {
		.gref = req->blk.indirect_gref,
		.len = (uint16_t)(req->blk.nr_segs * BLK_SEG_BYTES),
	};

	if (xenhost_io_begin(q->host, q->domid, &seg, 1, XENHOST_READ, &iov) < 0)
		return BLK_BAD;
	memcpy(q->indirect, iov.iov_base, seg.len);
	__asm__ volatile("" : : : "memory");
	xenhost_io_end(q->host, q->domid, &seg, 1, XENHOST_READ, &iov);
	return blk_parse_indirect(&q->vbd->limits, q->indirect, &req->blk);
}

static void request_start(struct vbd_queue *q, const uint8_t *slot)
{
	struct vbd_req *req = list_entry(q->free.next, struct vbd_req, link);
	enum blk_verdict verdict;

	assert(!list_empty(&q->free));
	list_remove(&req->link);
	q->vbd->stats.requests++;
	verdict = blk_parse(&q->vbd->limits, slot, &req->blk);
	if (verdict == BLK_OK && req->blk.indirect)
		verdict = request_fetch_indirect(req);
	if (verdict != BLK_OK)
		request_answer(req, verdict == BLK_BAD ? BLKIF_RSP_ERROR : BLKIF_RSP_EOPNOTSUPP);
	else if (req->blk.kind == BLK_FLUSH || req->blk.kind == BLK_FLUSH_WRITE)
		request_start_flush(req);
	else
		request_start_data(req);
}

/* Takes at most *budget requests; 0, or -EPROTO. */
static int queue_take(struct vbd_queue *q, unsigned int *budget)
{
	uint8_t slot[BLK_SLOT_MAX];
	int r = 0;

	while (*budget > 0 && !q->broken) {
		r = xenhost_ring_get(&q->ring, slot);
		if (r <= 0)
			break;
		request_start(q, slot);
		(*budget)--;
	}
	return r < 0 ? r : 0;
}

static void queue_run_later(struct vbd_queue *q)
{
	static const struct timeval now = { 0 };

	evtimer_add(q->again, &now);
}

/* One pass; a front end that never stops asking comes again when the others had their turn. */
static void queue_run(struct vbd_queue *q)
{
	unsigned int budget = 2 * q->ring.size;
	int r;

	do {
		r = queue_take(q, &budget);
		blk_io_kick(q->io);
		if (r == 0) {
			queue_publish(q);
			r = budget > 0 && !q->broken ? xenhost_ring_arm(&q->ring, 1) : 0;
		}
	} while (r > 0);
	if (r < 0)
		queue_break(q, "the front end broke the ring's indices");
	else if (budget == 0 && !q->broken)
		queue_run_later(q);
}

static void on_again(evutil_socket_t fd, short what, void *data)
{
	struct vbd_queue *q = data;

	if (!q->broken)
		queue_run(q);
}

static void on_event(evutil_socket_t fd, short what, void *data)
{
	struct vbd_queue *q = data;

	if (q->broken)
		return;
	if (xenhost_port_ack(q->port) > 0)
		q->vbd->stats.events++;
	queue_run(q);
}

static void on_batch(void *data)
{
	queue_publish(data);
}

/* An order node with order 0 is another way to say one page. */
static int map_ring(struct vbd_queue *q)
{
	xenhost_device_t *dev = q->vbd->dev;
	enum blk_abi abi = q->vbd->limits.abi;
	int r = xenhost_device_map_ring(dev, "ring-ref", 1, &q->map);

	if (r == -ENOENT)
		r = xenhost_device_map_ring(dev, "ring-ref0", 1, &q->map);
	if (r < 0)
		return r;
	return xenhost_ring_init(&q->ring, xenhost_map_addr(q->map), 1, blk_request_size(abi),
				 blk_response_size(abi));
}

static int alloc_requests(struct vbd_queue *q)
{
	q->reqs = calloc(q->ring.size, sizeof(q->reqs[0]));
	if (!q->reqs)
		return -ENOMEM;
	for (uint32_t i = 0; i < q->ring.size; i++) {
		q->reqs[i].queue = q;
		list_append(&q->free, &q->reqs[i].link);
	}
	return 0;
}

static int add_events(struct vbd_queue *q)
{
	struct event_base *base = q->vbd->driver->base;

	q->again = evtimer_new(base, on_again, q);
	q->event = event_new(base, xenhost_port_fd(q->port), EV_READ | EV_PERSIST, on_event, q);
	if (!q->again || !q->event || event_add(q->event, NULL) < 0)
		return -ENOMEM;
	return 0;
}

static int queue_connect(struct vbd_queue *q)
{
	const struct vbd_driver *driver = q->vbd->driver;
	int r;

	r = map_ring(q);
	if (r < 0)
		return r;
	r = alloc_requests(q);
	if (r < 0)
		return r;
	r = blk_io_new(driver->base, q->vbd->image->fd, q->ring.size, driver->engine, on_batch, q,
		       &q->io);
	if (r < 0)
		return r;
	r = xenhost_device_bind_port(q->vbd->dev, "event-channel", &q->port);
	if (r < 0)
		return r;
	/* the port is pending from the start, so what is in the ring already gets its turn */
	return add_events(q);
}

int vbd_queue_open(struct vbd *vbd, struct vbd_queue **ret_queue)
{
	_cleanup_(vbd_queue_closep) struct vbd_queue *q = calloc(1, sizeof(*q));
	int r;

	if (!q)
		return -ENOMEM;
	q->vbd = vbd;
	q->host = xenhost_device_host(vbd->dev);
	q->domid = xenhost_device_frontend_domid(vbd->dev);
	list_init(&q->free);
	list_init(&q->held);
	r = queue_connect(q);
	if (r < 0)
		return r;
	log_debug("%s: connected, %s, %s", xenhost_device_name(vbd->dev),
		  vbd->limits.abi == BLK_ABI_X86_64 ? "64-bit requests" : "32-bit requests",
		  blk_io_name(q->io));
	*ret_queue = steal_ptr(&q);
	return 0;
}

struct vbd_queue *vbd_queue_close(struct vbd_queue *q)
{
	if (!q)
		return NULL;
	q->closing = true;
	if (q->event)
		event_free(q->event);
	if (q->again)
		event_free(q->again);
	if (q->io)
		blk_io_drain(q->io);
	blk_io_free(q->io);
	xenhost_port_close(q->port);
	xenhost_unmap(q->map);
	free(q->reqs);
	free(q);
	return NULL;
}

void vbd_queue_closep(struct vbd_queue **queue)
{
	*queue = vbd_queue_close(*queue);
}
