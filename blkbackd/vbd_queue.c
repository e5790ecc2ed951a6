/* SPDX-License-Identifier: MIT */
/*
 * A queue owns: the mapped ring, the port, the I/O engine, its part of the journal and one struct vbd_req
 * per slot of the ring. The main thread makes it and frees it; between start and stop everything runs in
 * the event loop of the queue's worker, and the two talk by letters.
 *
 * A request is in exactly one place:
 *   free      its journal entry is FREE
 *   active    counted in nr_active: in the engine or with the slow thread, or the barrier that waits
 *   parked    failed by the medium, to be done again when the operator says so
 *   held      a flush that must not be answered
 *   answered  its response is put and not published; free when it is
 * There are as many as ring slots and the ring never hands out more than it has room to answer, so the
 * free list cannot run dry.
 *
 * Segments are given back before the response is put. Responses are published once per batch, with
 * at most one event. After a protocol violation the queue is broken: it takes and answers nothing
 * more, and only waits to be stopped.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include <event2/event.h>

#include "common/cleanup.h"
#include "common/list.h"
#include "common/log.h"
#include "common/xen.h"

#include <xenhost/ring.h>

#include "blkbackd/blk_nbd.h"
#include "blkbackd/blk_slow.h"
#include "blkbackd/image.h"
#include "blkbackd/polling.h"
#include "blkbackd/vbd_nbd.h"
#include "blkbackd/vbd_queue.h"

#define MERGE_ROOM BLK_SEGS_MAX
#define SPURIOUS_MAX 32u /* events without work, one behind the other */
#define SPURIOUS_PAUSE_US 2000
#define ALONE_NS 5000000u /* without work for other queues, one may keep the worker waiting */
#define PASS_NS 500000u	  /* so long it may go on before the loop has its turn */
#define START_EARLY 8u	  /* requests, when the disk has nothing to do */

struct vbd_req {
	struct list link; /* in free, parked, held or answered */
	struct vbd_queue *queue;
	struct journal_entry *entry;
	uint64_t taken_at; /* ns */
	uint32_t resumes;  /* vbd->resumes when it was started */
	struct blk_io_op io;
	struct blk_slow_op slow;
	struct blk_req blk;
	struct iovec iov[BLK_SEGS_MAX];
};

struct vbd_queue {
	struct vbd *vbd;
	struct worker *worker;
	unsigned int number;
	xenhost_t *host;
	uint16_t domid; /* the front end's */
	xenhost_map_t *map;
	struct xenhost_ring ring;
	xenhost_port_t *port;
	struct journal_queue *journal;
	struct event *event;
	struct event *again; /* another pass, behind everybody else's events or when it is time */
	struct blk_io *io;
	struct vbd_turn *turn; /* of the worker */
	struct polling polling;
	struct blk_limits limits;
	uint64_t now;	/* ns, about */
	bool now_fresh; /* read since something was published */
	uint32_t nr_active;
	uint32_t nr_spurious;
	int nr_replay; /* entries of order[], left by a predecessor */
	bool resumed;
	bool broken;
	bool closing;
	bool event_off;		 /* the front end has woken us for nothing too often */
	struct vbd_req *barrier; /* waits for those before it, then runs */
	bool barrier_runs;	 /* all before it are answered */
	struct list free, parked, held, answered;
	struct letter start, stop, stopped, kick, broke, lost, connect;
	_Atomic(struct nbd_handle *) handle; /* on its way to the engine */
	const char *why;		     /* it is broken */
	struct vbd_stats stats;
	uint16_t order[JOURNAL_SLOTS_MAX];
	uint8_t indirect[BLK_SEGS_MAX * BLK_SEG_BYTES]; /* our copy of an indirect page */
	struct vbd_req *reqs;
};

static void queue_pass(struct vbd_queue *q);
static void request_start_data(struct vbd_req *req);
static void request_start_flush(struct vbd_req *req);

static void count(_Atomic uint64_t *counter, uint64_t n)
{
	uint64_t old = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(counter, old + n, memory_order_relaxed);
}

static void update_now(struct vbd_queue *q)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	q->now = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
	q->now_fresh = true;
}

/* Writing guest memory is what a disk read does. */
static unsigned int request_prot(const struct vbd_req *req)
{
	return req->blk.kind == BLK_READ ? XENHOST_WRITE : XENHOST_READ;
}

static void run_after(struct vbd_queue *q, uint64_t us)
{
	const struct timeval tv = { (time_t)(us / 1000000), (suseconds_t)(us % 1000000) };

	evtimer_add(q->again, &tv);
}

/* --- the end of requests --- */

/* in the main thread */
static void on_broke(struct letter *letter)
{
	struct vbd_queue *q = list_entry(letter, struct vbd_queue, broke);

	xenhost_device_fail(q->vbd->dev, EPROTO, "%s", q->why);
}

static void queue_break(struct vbd_queue *q, const char *why)
{
	if (q->broken)
		return;
	q->broken = true;
	q->why = why;
	event_del(q->event);
	log_warning("%s: %s; the device is stopped", xenhost_device_name(q->vbd->dev), why);
	mailbox_post(&q->vbd->driver->box, &q->broke);
}

/* What was put reaches the front end, and only then its requests are forgotten. */
static void queue_publish(struct vbd_queue *q)
{
	q->now_fresh = false;
	if (q->broken || list_empty(&q->answered))
		return;
	if (xenhost_ring_push(&q->ring) > 0) {
		count(&q->stats.notifies, 1);
		xenhost_port_notify(q->port);
	}
	while (!list_empty(&q->answered)) {
		struct vbd_req *req = list_entry(q->answered.next, struct vbd_req, link);

		list_remove(&req->link);
		journal_free_entry(req->entry);
		list_append(&q->free, &req->link);
	}
}

static void barrier_go(struct vbd_queue *q)
{
	q->barrier_runs = q->barrier && q->nr_active == 1;
	if (q->barrier_runs)
		request_start_flush(q->barrier);
}

/* active no more, and not answered */
static void request_put_aside(struct vbd_req *req, struct list *where)
{
	list_append(where, &req->link);
	req->queue->nr_active--;
}

static void count_latency(struct vbd_queue *q, const struct vbd_req *req)
{
	unsigned int bucket;
	uint64_t us;

	if (!q->now_fresh)
		update_now(q);
	us = (q->now - req->taken_at) / 1000;
	bucket = us ? 64 - (unsigned int)__builtin_clzll(us) : 0;
	if (bucket >= VBD_LATENCY_BUCKETS)
		bucket = VBD_LATENCY_BUCKETS - 1;
	count(&q->stats.latency[bucket], 1);
}

/* Puts the response, to be published with its batch; the request is over. */
static void request_answer(struct vbd_req *req, int16_t status)
{
	struct vbd_queue *q = req->queue;
	uint8_t rsp[BLK_RSP_MAX];

	request_put_aside(req, &q->answered);
	if (status != BLKIF_RSP_OKAY)
		count(&q->stats.errors, 1);
	count_latency(q, req);
	if (!q->broken) {
		blk_response(q->limits.abi, req->blk.id, req->blk.op, status, rsp);
		journal_answer(req->entry, q->ring.rsp_prod_pvt);
		if (xenhost_ring_put(&q->ring, rsp) < 0)
			queue_break(q, "no room for a response in the ring");
	}
	if (req == q->barrier) {
		q->barrier = NULL;
		run_after(q, 0);
	} else {
		barrier_go(q);
	}
}

/* Shall the front end not hear of this error, but wait? */
static bool stops_at(const struct vbd_req *req, int error)
{
	struct vbd *vbd = req->queue->vbd;
	uint32_t policy = atomic_load(req->blk.kind == BLK_READ ? &vbd->rerror : &vbd->werror);

	return policy == VBD_STOP ||
	       (policy == VBD_STOP_FULL && (error == -ENOSPC || error == -EDQUOT));
}

static void request_failed(struct vbd_req *req, int error)
{
	struct vbd_queue *q = req->queue;
	const char *what = req->blk.kind == BLK_READ ? "read" : "write";
	bool stopped;

	if (!stops_at(req, error)) {
		log_debug("%s: cannot %s sector %" PRIu64 ": %s", xenhost_device_name(q->vbd->dev),
			  what, req->blk.sector, strerror(-error));
		request_answer(req, BLKIF_RSP_ERROR);
		return;
	}
	stopped = atomic_load(&q->vbd->paused) & VBD_PAUSED_BY_ERROR;
	request_put_aside(req, &q->parked);
	if (!vbd_stop(q->vbd, req->resumes))
		run_after(q, 0);
	else if (!stopped)
		log_error("%s: cannot %s sector %" PRIu64
			  ": %s; the disk is paused, mend the storage and let it resume",
			  xenhost_device_name(q->vbd->dev), what, req->blk.sector,
			  strerror(-error));
}

/* --- data --- */

/* The data part of a request, done or failed. */
static void on_data_done(struct blk_io_op *op, int result)
{
	struct vbd_req *req = list_entry(op, struct vbd_req, io);
	struct vbd_queue *q = req->queue;
	int r = xenhost_io_end(q->host, q->domid, req->blk.segs, req->blk.nr_segs,
			       request_prot(req), req->iov);

	if (result == -ECANCELED) {
		request_put_aside(req, &q->parked); /* as if it had not been taken */
		return;
	}
	if (result < 0) {
		request_failed(req, result);
		return;
	}
	if (r < 0) {
		request_answer(req, BLKIF_RSP_ERROR);
		return;
	}
	count(req->blk.kind == BLK_READ ? &q->stats.sectors_read : &q->stats.sectors_written,
	      req->blk.nr_sectors);
	request_answer(req, BLKIF_RSP_OKAY);
}

static void request_start_data(struct vbd_req *req)
{
	struct vbd_queue *q = req->queue;
	bool writes = req->blk.kind != BLK_READ;

	req->resumes = atomic_load(&q->vbd->resumes);
	if ((writes && atomic_load(&q->vbd->failed)) ||
	    xenhost_io_begin(q->host, q->domid, req->blk.segs, req->blk.nr_segs, request_prot(req),
			     req->iov) < 0) {
		request_answer(req, BLKIF_RSP_ERROR);
		return;
	}
	req->io = (struct blk_io_op){
		.kind = writes ? BLK_IO_WRITE : BLK_IO_READ,
		.fua = req->blk.kind == BLK_BARRIER,
		.iov = req->iov,
		.nr_iov = req->blk.nr_segs,
		.room = MERGE_ROOM,
		.offset = req->blk.sector * BLK_SECTOR,
		.len = req->blk.nr_sectors * BLK_SECTOR,
		.done = on_data_done,
	};
	blk_io_submit(q->io, &req->io);
}

/* --- flushes --- */

/* Front ends that see a flush fail go on without: this one error is not told, the response is held. */
static void on_flush_done(struct blk_io_op *op, int result)
{
	struct vbd_req *req = list_entry(op, struct vbd_req, io);
	struct vbd_queue *q = req->queue;

	if (result == -ECANCELED) {
		request_put_aside(req, &q->parked);
		return;
	}
	if (result < 0)
		vbd_fail(q->vbd, result);
	if (atomic_load(&q->vbd->failed)) {
		if (req->blk.kind == BLK_BARRIER && req->blk.nr_segs > 0)
			request_answer(req, BLKIF_RSP_ERROR);
		else
			request_put_aside(req, &q->held);
		if (req != q->barrier)
			barrier_go(q);
		return;
	}
	count(&q->stats.flushes, 1);
	if (req->blk.nr_segs > 0)
		request_start_data(req);
	else
		request_answer(req, BLKIF_RSP_OKAY);
}

static void request_start_flush(struct vbd_req *req)
{
	req->io = (struct blk_io_op){ .kind = BLK_IO_FLUSH, .done = on_flush_done };
	if (atomic_load(&req->queue->vbd->failed))
		on_flush_done(&req->io, 0);
	else
		blk_io_submit(req->queue->io, &req->io);
}

/* --- discards --- */

static void discard_done(struct vbd_req *req, int r)
{
	struct vbd_queue *q = req->queue;

	if (r == -ECANCELED)
		request_put_aside(req, &q->parked); /* as if it had not been taken */
	else if (r < 0)
		request_answer(req, r == -EOPNOTSUPP || r == -ENOTSUP ? BLKIF_RSP_EOPNOTSUPP
								      : BLKIF_RSP_ERROR);
	else
		request_answer(req, BLKIF_RSP_OKAY);
	count(&q->stats.discards, r == 0);
}

static void on_trim_done(struct blk_io_op *op, int result)
{
	discard_done(list_entry(op, struct vbd_req, io), result);
}

static void on_discard_done(struct letter *letter)
{
	struct vbd_req *req = list_entry(letter, struct vbd_req, slow.letter);
	struct vbd_queue *q = req->queue;

	update_now(q);
	discard_done(req, req->slow.result);
	queue_pass(q);
}

static void start_discard(struct vbd_req *req, uint64_t from, uint64_t len)
{
	struct vbd_queue *q = req->queue;

	if (q->vbd->image->nbd) {
		req->io = (struct blk_io_op){
			.kind = BLK_IO_DISCARD,
			.offset = from,
			.len = len,
			.done = on_trim_done,
		};
		blk_io_submit(q->io, &req->io);
		return;
	}
	req->slow = (struct blk_slow_op){ .offset = from, .len = len, .box = &q->worker->box };
	letter_init(&req->slow.letter, on_discard_done);
	blk_slow_submit(q->vbd->slow, &req->slow);
}

/* Front ends do not always heed the granularity: what is not whole is left as it is. */
static void request_start_discard(struct vbd_req *req)
{
	struct vbd_queue *q = req->queue;
	uint64_t unit = q->vbd->image->discard_granularity;
	uint64_t from = req->blk.sector * BLK_SECTOR;
	uint64_t to = from + req->blk.nr_sectors * BLK_SECTOR;

	if (req->blk.secure) {
		request_answer(req, BLKIF_RSP_EOPNOTSUPP);
		return;
	}
	if (atomic_load(&q->vbd->failed)) {
		request_answer(req, BLKIF_RSP_ERROR);
		return;
	}
	from = (from + unit - 1) / unit * unit;
	to = to / unit * unit;
	if (from >= to) {
		request_answer(req, BLKIF_RSP_OKAY);
		return;
	}
	start_discard(req, from, to - from);
}

/* --- taking requests --- */

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
	return blk_parse_indirect(&q->limits, q->indirect, &req->blk);
}

static void request_dispatch(struct vbd_req *req)
{
	struct vbd_queue *q = req->queue;

	switch (req->blk.kind) {
	case BLK_READ:
	case BLK_WRITE:
		request_start_data(req);
		break;
	case BLK_FLUSH:
	case BLK_FLUSH_WRITE:
		request_start_flush(req);
		break;
	case BLK_BARRIER:
		q->barrier = req;
		barrier_go(q);
		break;
	case BLK_DISCARD:
		request_start_discard(req);
		break;
	}
}

/* The request in the journal entry of req, which is BUSY. */
static void request_start(struct vbd_req *req)
{
	struct vbd_queue *q = req->queue;
	enum blk_verdict verdict;

	list_remove(&req->link);
	q->nr_active++;
	req->taken_at = q->now;
	count(&q->stats.requests, 1);
	/* behind the request's arrival: who was told of another size may use it at once */
	q->limits.sectors = atomic_load(&q->vbd->sectors);
	verdict = blk_parse(&q->limits, req->entry->slot, &req->blk);
	if (verdict == BLK_OK && req->blk.indirect)
		verdict = request_fetch_indirect(req);
	if (verdict != BLK_OK)
		request_answer(req, verdict == BLK_BAD ? BLKIF_RSP_ERROR : BLKIF_RSP_EOPNOTSUPP);
	else
		request_dispatch(req);
}

/* ns to wait before the next request may be taken */
static uint64_t throttled(struct vbd_queue *q)
{
	struct vbd *vbd = q->vbd;
	uint64_t a, b;

	if (!atomic_load_explicit(&vbd->throttled, memory_order_relaxed))
		return 0;
	pthread_mutex_lock(&vbd->throttle_lock);
	a = throttle_wait(&vbd->iops, q->now);
	b = throttle_wait(&vbd->bps, q->now);
	pthread_mutex_unlock(&vbd->throttle_lock);
	return a > b ? a : b;
}

static void charge(struct vbd_queue *q, const struct vbd_req *req)
{
	struct vbd *vbd = q->vbd;

	if (!atomic_load_explicit(&vbd->throttled, memory_order_relaxed))
		return;
	pthread_mutex_lock(&vbd->throttle_lock);
	throttle_charge(&vbd->iops, 1);
	if (req->blk.nr_segs > 0)
		throttle_charge(&vbd->bps, req->blk.nr_sectors * BLK_SECTOR);
	pthread_mutex_unlock(&vbd->throttle_lock);
}

static bool may_take(struct vbd_queue *q)
{
	uint64_t ns;

	if (q->broken || q->closing || q->barrier || atomic_load(&q->vbd->paused))
		return false;
	ns = throttled(q);
	if (ns > 0)
		run_after(q, ns / 1000 + 1);
	return ns == 0;
}

/* Takes at most *budget requests. 1: there may be more, but not now; 0: none is left; -EPROTO */
static int queue_take(struct vbd_queue *q, unsigned int *budget)
{
	unsigned int n = 0;

	while (*budget > 0) {
		struct vbd_req *req = list_entry(q->free.next, struct vbd_req, link);
		int r;

		if (!may_take(q))
			return 1;
		r = xenhost_ring_pending(&q->ring);
		if (r <= 0)
			return r;
		assert(!list_empty(&q->free)); /* the ring has no more than we have room for */
		r = xenhost_ring_get(&q->ring, req->entry->slot);
		if (r <= 0)
			return r;
		journal_take(q->journal, req->entry, q->ring.req_cons - 1);
		request_start(req);
		charge(q, req);
		(*budget)--;
		if (++n == START_EARLY && q->nr_active == n)
			blk_io_kick(q->io); /* the disk begins while we take the others */
	}
	return 1;
}

/* What a predecessor has left, in the order in which it was taken; a barrier holds up what is behind it. */
static void queue_replay(struct vbd_queue *q)
{
	int n = 0;

	while (n < q->nr_replay && !q->barrier) {
		request_start(&q->reqs[q->order[n++]]);
		count(&q->stats.replayed, 1);
	}
	q->nr_replay -= n;
	memmove(q->order, q->order + n, (size_t)q->nr_replay * sizeof(q->order[0]));
}

static void unpark(struct vbd_queue *q)
{
	struct list again;

	if (list_empty(&q->parked) || q->closing || atomic_load(&q->vbd->paused))
		return;
	list_init(&again);
	while (!list_empty(&q->parked)) {
		struct vbd_req *req = list_entry(q->parked.next, struct vbd_req, link);

		list_remove(&req->link);
		list_append(&again, &req->link);
	}
	while (!list_empty(&again)) {
		struct vbd_req *req = list_entry(again.next, struct vbd_req, link);

		list_remove(&req->link);
		q->nr_active++;
		request_start_data(req);
	}
}

/* --- stopping --- */

static void queue_close_engine(struct vbd_queue *q)
{
	if (q->event)
		event_free(q->event);
	if (q->again)
		event_free(q->again);
	q->event = q->again = NULL;
	q->io = blk_io_free(q->io);
}

static void on_stopped(struct letter *letter)
{
	vbd_queue_stopped(list_entry(letter, struct vbd_queue, stopped)->vbd);
}

/* To be called last: the main thread may free the queue before this returns. */
static void queue_stop_if_idle(struct vbd_queue *q)
{
	/* what it waits for was put aside: so is it, and a successor does it behind them */
	if (q->closing && q->barrier && !q->barrier_runs && q->nr_active == 1)
		request_put_aside(steal_ptr(&q->barrier), &q->parked);
	if (!q->closing || q->nr_active > 0)
		return;
	queue_publish(q);
	queue_close_engine(q);
	if (q->turn->queue == q)
		q->turn->queue = NULL;
	mailbox_post(&q->vbd->driver->box, &q->stopped);
}

/* --- passes --- */

/* After update_now(): this queue has something to do. */
static void take_turn(struct vbd_queue *q)
{
	if (q->turn->queue == q)
		return;
	q->turn->queue = q;
	q->turn->since = q->now;
}

/* Is it worth keeping the thread? Not while the disk works: its completions wake us. */
static bool may_poll(const struct vbd_queue *q)
{
	if (q->polling.window == 0 || q->closing)
		return false;
	return !q->polling.adaptive ||
	       (q->nr_active == 0 && q->turn->queue == q && q->now - q->turn->since >= ALONE_NS);
}

static bool has_work(struct vbd_queue *q)
{
	uint32_t active = q->nr_active;

	if (active > 0) {
		blk_io_poll(q->io);
		queue_publish(q);
	}
	return q->nr_active != active || xenhost_ring_pending(&q->ring) != 0;
}

/* Looks at the ring, and at the engine, for a while instead of sleeping. true: something came */
static bool queue_poll(struct vbd_queue *q)
{
	uint64_t end, longest = 0;
	bool found = false;

	if (!may_poll(q))
		return false;
	end = q->now + polling_begin(&q->polling);
	if (end == q->now)
		return false;
	while (!found && q->now < end) {
		uint64_t before = q->now;

		for (int i = 0; i < 16 && !found; i++) {
			found = has_work(q);
			__builtin_ia32_pause();
		}
		update_now(q);
		if (q->now - before > longest)
			longest = q->now - before;
	}
	polling_end(&q->polling, found, longest);
	return found;
}

/* After a pass: 1 there is more, 0 none and the front end will say so, -EPROTO */
static int queue_arm(struct vbd_queue *q)
{
	return queue_poll(q) ? 1 : xenhost_ring_arm(&q->ring, 1);
}

/* One pass; a front end that never stops asking comes again when the others had their turn. */
static void queue_run(struct vbd_queue *q)
{
	unsigned int budget = 2 * q->ring.size;
	uint64_t start;
	int r;

	update_now(q);
	start = q->now;
	take_turn(q);
	if (!q->closing && !q->broken && !atomic_load(&q->vbd->paused))
		queue_replay(q);
	unpark(q);
	do {
		r = q->nr_replay == 0 ? queue_take(q, &budget) : 1;
		blk_io_kick(q->io);
		atomic_store_explicit(&q->stats.merged, blk_io_merged(q->io), memory_order_relaxed);
		queue_publish(q);
		if (r == 1)
			break;
		if (r == 0)
			r = queue_arm(q);
		if (r == 1 && may_poll(q) && q->now - start < PASS_NS)
			budget = 2 * q->ring.size;
	} while (r > 0);
	if (r < 0)
		queue_break(q, "the front end broke the ring's indices");
	else if (budget == 0)
		run_after(q, 0);
}

/* ... and perhaps the last one */
static void queue_pass(struct vbd_queue *q)
{
	queue_run(q);
	queue_stop_if_idle(q);
}

static void on_again(evutil_socket_t fd, short what, void *data)
{
	struct vbd_queue *q = data;

	if (q->event_off && !q->broken) {
		q->event_off = false;
		event_add(q->event, NULL);
	}
	queue_pass(q);
}

/* A front end that wakes us all the time for nothing waits until others were served. */
static void check_spurious(struct vbd_queue *q, uint32_t taken_before)
{
	if (q->ring.req_cons != taken_before || q->nr_active > 0) {
		q->nr_spurious = 0;
	} else if (++q->nr_spurious >= SPURIOUS_MAX && !q->broken) {
		q->event_off = true;
		event_del(q->event);
		run_after(q, SPURIOUS_PAUSE_US);
	}
}

static void on_event(evutil_socket_t fd, short what, void *data)
{
	struct vbd_queue *q = data;
	uint32_t taken = q->ring.req_cons;

	if (xenhost_port_ack(q->port) > 0)
		count(&q->stats.events, 1);
	queue_run(q);
	check_spurious(q, taken);
	queue_stop_if_idle(q);
}

/* Completions came in; slots that they make free may be in use again already, without an event. */
static void on_batch(void *data)
{
	struct vbd_queue *q = data;

	queue_publish(q);
	if (q->nr_active == 0 && q->polling.window > 0)
		queue_run(q); /* the front end is about to go on */
	queue_stop_if_idle(q);
}

/* --- letters of the main thread --- */

static void on_start(struct letter *letter)
{
	struct vbd_queue *q = list_entry(letter, struct vbd_queue, start);

	if (event_add(q->event, NULL) < 0 || blk_io_start(q->io, q->worker->base) < 0) {
		queue_break(q, "cannot start the disk's input and output");
		return;
	}
	/* the predecessor may have published answers and died before it said so */
	if (q->resumed)
		xenhost_port_notify(q->port);
	queue_pass(q);
}

static void on_stop(struct letter *letter)
{
	struct vbd_queue *q = list_entry(letter, struct vbd_queue, stop);

	q->closing = true;
	event_del(q->event);
	blk_io_give_up(q->io);
	queue_stop_if_idle(q);
}

/* in the queue's thread */
static void on_connect(struct letter *letter)
{
	struct vbd_queue *q = list_entry(letter, struct vbd_queue, connect);
	struct nbd_handle *handle = atomic_exchange(&q->handle, NULL);

	if (handle && q->io)
		blk_io_connect(q->io, handle);
	else
		blk_nbd_hang_up(handle);
}

static void lost_connection(void *data)
{
	struct vbd_queue *q = data;

	mailbox_post(&q->vbd->driver->box, &q->lost);
}

/* in the main thread */
static void on_lost(struct letter *letter)
{
	vbd_nbd_lost(list_entry(letter, struct vbd_queue, lost)->vbd);
}

static void on_kick(struct letter *letter)
{
	struct vbd_queue *q = list_entry(letter, struct vbd_queue, kick);

	queue_pass(q);
}

/* --- making one --- */

static int map_ring(struct vbd_queue *q, bool resume)
{
	const struct journal_key *key = &q->vbd->journal->header->key;
	const uint32_t *grefs = key->queues[q->number].grefs;
	enum blk_abi abi = q->limits.abi;
	int r;

	r = xenhost_map_grants(q->host, q->domid, grefs, key->pages, XENHOST_READ | XENHOST_WRITE,
			       &q->map);
	if (r < 0)
		return r;
	r = xenhost_ring_init(&q->ring, xenhost_map_addr(q->map), key->pages, blk_request_size(abi),
			      blk_response_size(abi));
	if (r < 0)
		return r;
	if (!resume) {
		atomic_store(&q->journal->req_cons, q->ring.req_cons);
		return 0;
	}
	q->nr_replay = journal_recover(q->journal, q->ring.size, q->ring.rsp_prod, q->order);
	if (q->nr_replay < 0)
		return q->nr_replay;
	return xenhost_ring_resume(&q->ring, atomic_load(&q->journal->req_cons));
}

static int alloc_requests(struct vbd_queue *q)
{
	q->reqs = calloc(q->ring.size, sizeof(q->reqs[0]));
	if (!q->reqs)
		return -ENOMEM;
	for (uint32_t i = 0; i < q->ring.size; i++) {
		struct vbd_req *req = &q->reqs[i];

		req->queue = q;
		req->entry = &q->journal->entries[i];
		list_init(&req->link);
		if (atomic_load(&req->entry->state) == JOURNAL_FREE)
			list_append(&q->free, &req->link);
	}
	return 0;
}

static int open_engine(struct vbd_queue *q)
{
	const struct image *image = q->vbd->image;
	struct blk_io_config config = {
		.fd = image->fd,
		.fence_fd = q->vbd->journal->fence_fd,
		.depth = q->ring.size,
		.engine = q->vbd->driver->engine,
		.batch = on_batch,
		.lost = lost_connection,
		.data = q,
	};

	if (image->nbd)
		config.engine = BLK_IO_NBD;
	else if (image->fd < 0)
		config.engine = BLK_IO_NULL;
	else if (config.engine == BLK_IO_AUTO && image->immediate)
		config.engine = BLK_IO_SYNC;
	return blk_io_new(&config, &q->io);
}

static int queue_init(struct vbd_queue *q, bool resume)
{
	const struct journal_key *key = &q->vbd->journal->header->key;
	struct event_base *base = q->worker->base;
	int r;

	r = map_ring(q, resume);
	if (r < 0)
		return r;
	r = alloc_requests(q);
	if (r < 0)
		return r;
	r = open_engine(q);
	if (r < 0)
		return r;
	r = xenhost_port_bind(q->host, q->domid, key->queues[q->number].port, &q->port);
	if (r < 0)
		return r;
	q->again = evtimer_new(base, on_again, q);
	q->event = event_new(base, xenhost_port_fd(q->port), EV_READ | EV_PERSIST, on_event, q);
	return q->again && q->event ? 0 : -ENOMEM;
}

static void queue_freep(struct vbd_queue **q)
{
	*q = vbd_queue_free(*q);
}

int vbd_queue_new(struct vbd *vbd, unsigned int number, bool resume, struct vbd_queue **ret_queue)
{
	_cleanup_(queue_freep) struct vbd_queue *q = calloc(1, sizeof(*q));
	int r;

	if (!q)
		return -ENOMEM;
	q->vbd = vbd;
	q->number = number;
	q->worker = workers_next(&vbd->driver->workers);
	q->host = xenhost_device_host(vbd->dev);
	q->domid = xenhost_device_frontend_domid(vbd->dev);
	q->limits = vbd->limits;
	q->journal = journal_queue(vbd->journal, number);
	q->turn = &vbd->driver->turns[q->worker - vbd->driver->workers.list];
	polling_init(&q->polling, vbd->driver->poll_us);
	q->resumed = resume;
	list_init(&q->free);
	list_init(&q->parked);
	list_init(&q->held);
	list_init(&q->answered);
	letter_init(&q->start, on_start);
	letter_init(&q->stop, on_stop);
	letter_init(&q->stopped, on_stopped);
	letter_init(&q->kick, on_kick);
	letter_init(&q->broke, on_broke);
	letter_init(&q->lost, on_lost);
	letter_init(&q->connect, on_connect);
	r = queue_init(q, resume);
	if (r < 0)
		return r;
	if (q->nr_replay > 0)
		log_info("%s: queue %u: %d requests of the predecessor are done again",
			 xenhost_device_name(vbd->dev), number, q->nr_replay);
	*ret_queue = steal_ptr(&q);
	return 0;
}

void vbd_queue_start(struct vbd_queue *q)
{
	mailbox_post(&q->worker->box, &q->start);
}

void vbd_queue_stop(struct vbd_queue *q)
{
	mailbox_post(&q->worker->box, &q->stop);
}

void vbd_queue_kick(struct vbd_queue *q)
{
	mailbox_post(&q->worker->box, &q->kick);
}

void vbd_queue_connect(struct vbd_queue *q, struct nbd_handle *handle)
{
	blk_nbd_hang_up(atomic_exchange(&q->handle, handle)); /* one that was not fetched */
	mailbox_post(&q->worker->box, &q->connect);
}

struct vbd_queue *vbd_queue_free(struct vbd_queue *q)
{
	if (!q)
		return NULL;
	blk_nbd_hang_up(q->handle);
	queue_close_engine(q);
	xenhost_port_close(q->port);
	xenhost_unmap(q->map);
	free(q->reqs);
	free(q);
	return NULL;
}

const struct vbd_stats *vbd_queue_stats(const struct vbd_queue *q)
{
	return &q->stats;
}

const char *vbd_queue_engine(const struct vbd_queue *q)
{
	return blk_io_name(q->io);
}
