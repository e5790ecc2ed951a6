/* SPDX-License-Identifier: MIT */
/*
 * A queue owns: both mapped rings, one or two ports, the buffers it holds, and the events. The main thread
 * makes it and frees it; between start and stop everything runs in the event loop of its worker, and the
 * two talk by letters. Stopping waits for the worker: nothing that it does here blocks.
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "common/cleanup.h"
#include "common/log.h"

#include "netbackd/stream.h"
#include "netbackd/vif_keep.h"
#include "netbackd/vif_path.h"
#include "netbackd/vif_queue.h"

#define SPURIOUS_MAX 32u /* events without work, one behind the other */
#define SPURIOUS_PAUSE_USEC 2000
#define LINK_RETRY_USEC 100000

/* in the main thread */
static void on_broke(struct letter *letter)
{
	struct vif_queue *q = list_entry(letter, struct vif_queue, broke);

	if (q->vif->connected)
		xenhost_device_fail(q->vif->dev, EPROTO, "%s", q->why);
}

static void on_stall_letter(struct letter *letter)
{
	struct vif_queue *q = list_entry(letter, struct vif_queue, stall);

	bool now = atomic_load(&q->stall_now);

	/* one letter may stand for two changes */
	if (now == q->stall_told)
		return;
	q->stall_told = now;
	vif_stalled(q->vif, now);
}

static void delete_events(struct vif_queue *q)
{
	for (int i = 0; i < VIF_NR_EVENTS; i++)
		if (q->events[i])
			event_del(q->events[i]);
}

void vif_break(struct vif_queue *q, const char *why)
{
	if (q->broken)
		return;
	q->broken = true;
	q->why = why;
	delete_events(q);
	log_warning("%s: %s; the device is stopped", xenhost_device_name(q->vif->dev), why);
	mailbox_post(&q->vif->driver->box, &q->broke);
}

void vif_publish(struct vif_queue *q, struct xenhost_ring *ring, xenhost_port_t *port)
{
	if (q->broken || ring->rsp_prod == ring->rsp_prod_pvt)
		return;
	if (xenhost_ring_push(ring) > 0) {
		vif_count(&q->stats.notifies, 1);
		xenhost_port_notify(port);
	}
}

void vif_run_later(struct event *event, uint64_t usec)
{
	const struct timeval when = { (time_t)(usec / 1000000), (suseconds_t)(usec % 1000000) };

	evtimer_add(event, &when);
}

uint64_t vif_now_usec(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000;
}

/* ---- events ---- */

/* A guest that wakes us again and again for nothing is not listened to for a while. */
static void judge(struct vif_queue *q, bool worked)
{
	if (worked || q->broken) {
		q->nr_spurious = 0;
		return;
	}
	if (++q->nr_spurious < SPURIOUS_MAX)
		return;
	q->nr_spurious = 0;
	event_del(q->events[ON_TX]);
	if (q->events[ON_RX])
		event_del(q->events[ON_RX]);
	vif_run_later(q->events[CALM], SPURIOUS_PAUSE_USEC);
}

static void acknowledge(struct vif_queue *q, xenhost_port_t *port)
{
	if (xenhost_port_ack(port) > 0)
		vif_count(&q->stats.events, 1);
}

static void on_tx_event(evutil_socket_t fd, short what, void *data)
{
	struct vif_queue *q = data;
	bool worked = false;

	acknowledge(q, q->tx_port);
	if (!q->rx_port)
		worked = vif_rx_refill(q);
	worked |= vif_tx_run(q);
	judge(q, worked);
}

static void on_rx_event(evutil_socket_t fd, short what, void *data)
{
	struct vif_queue *q = data;

	acknowledge(q, q->rx_port);
	judge(q, vif_rx_refill(q));
}

static void on_tx_again(evutil_socket_t fd, short what, void *data)
{
	struct vif_queue *q = data;

	/* not if the TAP is what it waits for */
	if (q->tx.blocked && event_pending(q->events[TAP_WRITE], EV_WRITE, NULL))
		return;
	q->tx.blocked = false;
	(void)vif_tx_run(q);
}

static void on_rx_again(evutil_socket_t fd, short what, void *data)
{
	struct vif_queue *q = data;

	if (q->rx.starved)
		(void)vif_rx_refill(q);
	else
		vif_rx_run(q);
}

static void on_rx_stall(evutil_socket_t fd, short what, void *data)
{
	vif_rx_on_stall(data);
}

static void on_calm(evutil_socket_t fd, short what, void *data)
{
	struct vif_queue *q = data;

	event_add(q->events[ON_TX], NULL);
	if (q->events[ON_RX])
		event_add(q->events[ON_RX], NULL);
}

static void on_tap_read(evutil_socket_t fd, short what, void *data)
{
	vif_rx_run(data);
}

static void on_tap_write(evutil_socket_t fd, short what, void *data)
{
	struct vif_queue *q = data;
	int r = q->stream ? stream_flush(q->stream) : 0;

	if (r == -EAGAIN) {
		event_add(q->events[TAP_WRITE], NULL);
		return;
	}
	if (r < 0)
		vif_link_lost(q, r);
	q->tx.blocked = false;
	(void)vif_tx_run(q);
}

/* ---- the stream ---- */

/* not connected (-1), they wait for nothing */
static void watch_stream(struct vif_queue *q)
{
	int fd = stream_fd(q->stream);

	event_del(q->events[TAP_READ]);
	event_del(q->events[TAP_WRITE]);
	(void)event_assign(q->events[TAP_READ], q->worker->base, fd, EV_READ | EV_PERSIST,
			   on_tap_read, q);
	(void)event_assign(q->events[TAP_WRITE], q->worker->base, fd, EV_WRITE, on_tap_write, q);
	if (!q->rx.starved)
		event_add(q->events[TAP_READ], NULL);
}

void vif_link_lost(struct vif_queue *q, int error)
{
	if (!q->link_said)
		log_warning("%s: its network is not there: %s; trying again",
			    xenhost_device_name(q->vif->dev), strerror(-error));
	q->link_said = true;
	stream_disconnect(q->stream);
	watch_stream(q);
	vif_run_later(q->events[LINK_AGAIN], LINK_RETRY_USEC);
}

static void on_link_again(evutil_socket_t fd, short what, void *data)
{
	struct vif_queue *q = data;
	int r = stream_connect(q->stream);

	if (r < 0) {
		vif_link_lost(q, r);
		return;
	}
	watch_stream(q);
	/* what waited for the one before */
	on_tap_write(-1, 0, q);
}

/* ---- letters of the main thread ---- */

static void on_start(struct letter *letter)
{
	struct vif_queue *q = list_entry(letter, struct vif_queue, start);
	int r = 0;

	for (int i = ON_TX; i <= TAP_READ && r == 0; i++)
		if (q->events[i] && event_get_events(q->events[i]) & EV_PERSIST &&
		    (i != TAP_READ || !q->stream))
			r = event_add(q->events[i], NULL);
	if (q->stream && !q->broken)
		on_link_again(-1, 0, q);
	if (r < 0)
		vif_break(q, "cannot watch its ports and its TAP");
	/* a predecessor may have published answers and died before it said so */
	if (q->resumed)
		xenhost_port_notify(q->tx_port);
	if (q->resumed && q->rx_port)
		xenhost_port_notify(q->rx_port);
	/* the ports are pending from the start, so what is in the rings already gets its turn */
}

static void on_look(struct letter *letter)
{
	struct vif_queue *q = list_entry(letter, struct vif_queue, look);

	if (!q->broken && q->tx.blocked)
		on_tx_again(-1, 0, q);
}

static void on_stop(struct letter *letter)
{
	struct vif_queue *q = list_entry(letter, struct vif_queue, stop);

	delete_events(q);
	q->broken = true;
	/* the last that is heard of it: letters arrive in order */
	mailbox_post(&q->vif->driver->box, &q->stopped);
}

/* in the main thread, as the next */
static void on_stopped(struct letter *letter)
{
	list_entry(letter, struct vif_queue, stopped)->gone = true;
}

/* ---- connecting ---- */

static int map_ring(struct vif_queue *q, const char *node, size_t req_size, size_t rsp_size,
		    xenhost_map_t **ret_map, struct xenhost_ring *ring)
{
	char path[64];
	int r;

	r = xenhost_device_queue_node(q->number, q->vif->nr_queues, node, path, sizeof(path));
	if (r == 0)
		r = xenhost_device_map_ring(q->vif->dev, path, 1, ret_map);
	if (r < 0)
		return r;
	return xenhost_ring_init(ring, xenhost_map_addr(*ret_map), 1, req_size, rsp_size);
}

static int bind_port(struct vif_queue *q, const char *node, xenhost_port_t **ret_port)
{
	char path[64];
	int r;

	r = xenhost_device_queue_node(q->number, q->vif->nr_queues, node, path, sizeof(path));
	return r < 0 ? r : xenhost_device_bind_port(q->vif->dev, path, ret_port);
}

/* One port for both rings, or one for each; which, the front end says by what it wrote. */
static int bind_ports(struct vif_queue *q)
{
	int r = bind_port(q, "event-channel-tx", &q->tx_port);

	if (r == -ENOENT)
		return bind_port(q, "event-channel", &q->tx_port);
	if (r < 0)
		return r;
	return bind_port(q, "event-channel-rx", &q->rx_port);
}

static int make_events(struct vif_queue *q)
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
		[RX_STALL] = { -1, 0, on_rx_stall },
		[CALM] = { -1, 0, on_calm },
		[LINK_AGAIN] = { -1, 0, on_link_again },
		[TAP_READ] = { q->fd, EV_READ | EV_PERSIST, on_tap_read },
		[TAP_WRITE] = { q->fd, EV_WRITE, on_tap_write },
	};

	for (int i = 0; i < VIF_NR_EVENTS; i++) {
		if (i == ON_RX && !q->rx_port)
			continue;
		q->events[i] =
			event_new(q->worker->base, wanted[i].fd, wanted[i].what, wanted[i].fn, q);
		if (!q->events[i])
			return -ENOMEM;
	}
	return 0;
}

static void resume_rings(struct vif_queue *q)
{
	struct redo *tx = &q->vif->state->tx[q->number], *rx = &q->vif->state->rx[q->number];

	if (!q->resumed) {
		redo_clear(tx);
		redo_clear(rx);
		return;
	}
	redo_restore(tx, &q->tx.ring);
	redo_restore(rx, &q->rx.ring);
}

static int queue_connect(struct vif_queue *q)
{
	int r;

	r = map_ring(q, "tx-ring-ref", NET_TX_REQ_SIZE, NET_TX_RSP_SIZE, &q->tx_map, &q->tx.ring);
	if (r < 0)
		return r;
	r = map_ring(q, "rx-ring-ref", NET_RX_REQ_SIZE, NET_RX_RSP_SIZE, &q->rx_map, &q->rx.ring);
	if (r < 0)
		return r;
	resume_rings(q);
	r = bind_ports(q);
	if (r < 0)
		return r;
	r = vif_rx_init(q);
	if (r < 0)
		return r;
	if (q->resumed)
		vif_rx_resume(q);
	return make_events(q);
}

int vif_queue_open(struct vif *vif, unsigned int number, struct vif_queue **ret_queue)
{
	_cleanup_(vif_queue_closep) struct vif_queue *q = calloc(1, sizeof(*q));
	int r;

	if (!q)
		return -ENOMEM;
	q->vif = vif;
	q->number = number;
	q->resumed = vif->resumed;
	q->host = xenhost_device_host(vif->dev);
	q->domid = xenhost_device_frontend_domid(vif->dev);
	q->fd = vif->tap ? vif->tap->fds[number] : -1;
	q->worker = workers_next(&vif->driver->workers);
	letter_init(&q->start, on_start);
	letter_init(&q->stop, on_stop);
	letter_init(&q->stopped, on_stopped);
	letter_init(&q->look, on_look);
	letter_init(&q->broke, on_broke);
	letter_init(&q->stall, on_stall_letter);
	r = vif->tap ? 0 : stream_new(vif->passt, &q->stream);
	if (r == 0)
		r = queue_connect(q);
	if (r < 0)
		return r;
	*ret_queue = steal_ptr(&q);
	return 0;
}

void vif_queue_start(struct vif_queue *q)
{
	q->started = true;
	mailbox_post(&q->worker->box, &q->start);
}

void vif_queue_look(struct vif_queue *q)
{
	mailbox_post(&q->worker->box, &q->look);
}

void vif_queue_stats(const struct vif_queue *q, uint64_t *sums)
{
	const _Atomic uint64_t *counters = (const _Atomic uint64_t *)&q->stats;

	for (size_t i = 0; i < VIF_STATS_COUNT; i++)
		sums[i] += atomic_load_explicit(&counters[i], memory_order_relaxed);
}

struct vif_queue *vif_queue_close(struct vif_queue *q)
{
	if (!q)
		return NULL;
	if (q->started) {
		mailbox_post(&q->worker->box, &q->stop);
		while (!q->gone)
			mailbox_wait(&q->vif->driver->box);
	}
	for (int i = 0; i < VIF_NR_EVENTS; i++) {
		if (q->events[i])
			event_free(q->events[i]);
	}
	vif_rx_fini(q);
	q->stream = stream_free(q->stream);
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
