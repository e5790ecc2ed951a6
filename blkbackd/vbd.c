/* SPDX-License-Identifier: MIT */
/*
 * A struct vbd is made by probe, with its image open and locked, and freed by remove. Between connect and
 * the end of disconnect it has a journal and queues, each with a thread. The helper (xenhost/backend.h)
 * does the states and calls us from xenhost_process(), in the main loop.
 *
 * Succession: what a predecessor left (its journal, deposited with the host) is opened by probe, and both
 * journal and image only when all of its I/O is over: until then probe waits. If the journal is of the
 * connection that the front end has, its requests are done again by the queues (vbd_queue.c). While the
 * back end is freed, which is how an orderly end looks, the queues end what is under way and the journal
 * stays where it is.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <event2/event.h>

#include <xenhost/keep.h>

#include "common/cleanup.h"
#include "common/log.h"

#include "backend/device_error.h"

#include "blkbackd/blk_slow.h"
#include "blkbackd/image.h"
#include "blkbackd/vbd.h"
#include "blkbackd/vbd_image.h"
#include "blkbackd/vbd_nbd.h"
#include "blkbackd/vbd_nodes.h"
#include "blkbackd/vbd_queue.h"
#include "blkbackd/vbd_settle.h"

#define WAIT_MS 20	/* between looks whether a predecessor is gone, */
#define WAIT_NBD_MS 500 /* or a server there */
#define SIZE_LOOK_S 10	/* between looks at the image's size */

/* --- for queues and nodes --- */

static void pause_locked(struct vbd *vbd, uint32_t bits)
{
	atomic_fetch_or(&vbd->journal->header->paused, bits);
	atomic_fetch_or(&vbd->paused, bits);
}

void vbd_pause(struct vbd *vbd, uint32_t bits)
{
	pthread_mutex_lock(&vbd->pause_lock);
	pause_locked(vbd, bits);
	pthread_mutex_unlock(&vbd->pause_lock);
}

bool vbd_stop(struct vbd *vbd, uint32_t resumes)
{
	bool stops;

	pthread_mutex_lock(&vbd->pause_lock);
	stops = resumes == atomic_load(&vbd->resumes);
	if (stops)
		pause_locked(vbd, VBD_PAUSED_BY_ERROR);
	pthread_mutex_unlock(&vbd->pause_lock);
	if (stops)
		mailbox_post(&vbd->driver->box, &vbd->state_changed);
	return stops;
}

static void kick_queues(struct vbd *vbd)
{
	for (uint32_t i = 0; vbd->nr_running > 0 && !vbd->stopping && i < vbd->nr_queues; i++)
		vbd_queue_kick(vbd->queues[i]);
}

void vbd_resume(struct vbd *vbd)
{
	pthread_mutex_lock(&vbd->pause_lock);
	atomic_fetch_add(&vbd->resumes, 1);
	atomic_store(&vbd->journal->header->paused, 0);
	atomic_store(&vbd->paused, 0);
	pthread_mutex_unlock(&vbd->pause_lock);
	kick_queues(vbd);
}

void vbd_fail(struct vbd *vbd, int error)
{
	if (atomic_exchange(&vbd->failed, true))
		return;
	atomic_store(&vbd->journal->header->failed, 1);
	mailbox_post(&vbd->driver->box, &vbd->state_changed);
	log_error("%s: cannot flush %s: %s; writes are refused from now on, detach the disk and "
		  "check the storage",
		  xenhost_device_name(vbd->dev), vbd->image->path, strerror(-error));
}

static void add_stats(uint64_t *sums, const struct vbd_stats *stats)
{
	const _Atomic uint64_t *counters = (const _Atomic uint64_t *)stats;

	for (size_t i = 0; i < VBD_STATS_COUNT; i++)
		sums[i] += atomic_load_explicit(&counters[i], memory_order_relaxed);
}

void vbd_sum_stats(const struct vbd *vbd, uint64_t *sums)
{
	add_stats(sums, &vbd->stats);
	for (uint32_t i = 0; i < vbd->nr_queues; i++)
		if (vbd->queues[i])
			add_stats(sums, vbd_queue_stats(vbd->queues[i]));
}

int vbd_resize(struct vbd *vbd, bool shrink)
{
	uint64_t now = 0, before = atomic_load(&vbd->sectors);
	int r = image_size(vbd->image, &now);

	if (r < 0)
		return r;
	if (now == before)
		return 1;
	if (now < before && (!shrink || now == 0))
		return -EPERM;
	atomic_store(&vbd->sectors, now);
	vbd->limits.sectors = now;
	log_info("%s: %s has %" PRIu64 " sectors now", xenhost_device_name(vbd->dev),
		 vbd->image->path, now);
	r = xenhost_device_printf(vbd->dev, "sectors", "%" PRIu64, now);
	/* the state again, in the same transaction: look at the size */
	if (r == 0)
		r = xenhost_device_printf(vbd->dev, "state", "%u", XENHOST_STATE_CONNECTED);
	return r;
}

/* --- journal --- */

/* 0, also when there is none; -EBUSY: its I/O is not over */
static int fetch_journal(struct vbd *vbd)
{
	int fd = -1, r;

	if (vbd->journal)
		return 0;
	r = xenhost_keep_get(xenhost_device_host(vbd->dev), xenhost_device_name(vbd->dev), &fd);
	if (r < 0)
		return 0;
	r = journal_open(fd, &vbd->journal);
	if (r < 0 && r != -EBUSY)
		log_warning("%s: the predecessor's journal is of no use: %s",
			    xenhost_device_name(vbd->dev), strerror(-r));
	return r == -EBUSY ? r : 0;
}

static void drop_journal(struct vbd *vbd)
{
	if (!vbd->journal)
		return;
	if (!vbd->journal_ours)
		vbd_settle(vbd);
	vbd->journal_ours = false;
	vbd->journal = journal_free(vbd->journal);
	(void)xenhost_keep_drop(xenhost_device_host(vbd->dev), xenhost_device_name(vbd->dev));
}

/* Without a keeper there is a journal as well, it only dies with us. */
static int new_journal(struct vbd *vbd, const struct journal_key *key)
{
	int r;

	drop_journal(vbd);
	r = journal_new(key, &vbd->journal);
	if (r < 0)
		return device_error(vbd->dev, r, "cannot make a journal: %s", strerror(-r));
	vbd->journal_ours = true;
	r = xenhost_keep_put(xenhost_device_host(vbd->dev), xenhost_device_name(vbd->dev),
			     vbd->journal->fd);
	if (r < 0)
		log_warning(
			"%s: nobody keeps its journal (%s): if this process ends, what is under "
			"way is lost",
			xenhost_device_name(vbd->dev), strerror(-r));
	return 0;
}

/* --- probe and remove --- */

static uint64_t state_of(const struct vbd *vbd, int side)
{
	uint64_t state = 0;

	(void)xenhost_device_read_u64(vbd->dev, side, "state", XENHOST_STATE_RECONFIGURED, &state);
	return state;
}

static bool may_be_connected(uint64_t state)
{
	return state == XENHOST_STATE_INITIALISED || state == XENHOST_STATE_CONNECTED ||
	       state == XENHOST_STATE_CLOSING;
}

static void set_timer(struct vbd *vbd, int ms)
{
	const struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	evtimer_add(vbd->timer, &tv);
}

/* While connected: has somebody made the image larger? */
static void on_timer(evutil_socket_t fd, short what, void *data)
{
	struct vbd *vbd = data;
	uint64_t sectors;

	if (vbd->nr_running == 0) {
		xenhost_device_continue(vbd->dev);
		return;
	}
	if (image_size(vbd->image, &sectors) == 0 && sectors > atomic_load(&vbd->sectors))
		xenhost_device_look(vbd->dev);
	set_timer(vbd, SIZE_LOOK_S * 1000);
}

static int wait_for_predecessor(struct vbd *vbd)
{
	if (!vbd->waiting_told)
		log_info("%s: waiting until the I/O of the predecessor is over",
			 xenhost_device_name(vbd->dev));
	vbd->waiting_told = true;
	set_timer(vbd, vbd->opening.nbd ? WAIT_NBD_MS : WAIT_MS);
	return XENHOST_LATER;
}

/* In the main thread. A queue posts it before the letter that it has stopped, so it does not outlive the disk. */
static void on_state_changed(struct letter *letter)
{
	xenhost_device_look(list_entry(letter, struct vbd, state_changed)->dev);
}

static void vbd_free(struct vbd *vbd)
{
	if (vbd->timer)
		event_free(vbd->timer);
	vbd_opening_fini(vbd);
	journal_free(vbd->journal);
	image_close(vbd->image);
	pthread_mutex_destroy(&vbd->pause_lock);
	pthread_mutex_destroy(&vbd->throttle_lock);
	free(vbd);
}

static int vbd_new(xenhost_device_t *dev, struct vbd **ret_vbd)
{
	struct vbd *vbd = calloc(1, sizeof(*vbd));

	if (!vbd)
		return -ENOMEM;
	vbd->dev = dev;
	vbd->driver = xenhost_backend_data(xenhost_device_backend(dev));
	vbd_opening_init(vbd);
	letter_init(&vbd->state_changed, on_state_changed);
	pthread_mutex_init(&vbd->pause_lock, NULL);
	pthread_mutex_init(&vbd->throttle_lock, NULL);
	vbd->timer = evtimer_new(vbd->driver->base, on_timer, vbd);
	if (!vbd->timer) {
		vbd_free(vbd);
		return -ENOMEM;
	}
	*ret_vbd = vbd;
	return 0;
}

static int publish(struct vbd *vbd)
{
	int r = vbd_publish(vbd);

	if (r < 0)
		return device_error(vbd->dev, r, "cannot write the disk's nodes: %s", strerror(-r));
	return 0;
}

static int offer(struct vbd *vbd)
{
	const struct image *image = vbd->image;

	vbd->limits = (struct blk_limits){
		.readonly = image->readonly,
		.discard = image->discard,
		.barrier = vbd->driver->barrier,
		.indirect = BLK_SEGS_MAX,
		.unit = image->sector_size / BLK_SECTOR,
		.sectors = image->sectors,
	};
	atomic_store(&vbd->sectors, image->sectors);
	return publish(vbd);
}

/* 0, XENHOST_LATER, or -errno */
static int probe_vbd(struct vbd *vbd)
{
	uint64_t front = state_of(vbd, XENHOST_FRONT);
	int r = fetch_journal(vbd);

	if (r == -EBUSY)
		return wait_for_predecessor(vbd);
	r = vbd_open_image(vbd);
	if (r == -EBUSY && (vbd->journal || may_be_connected(state_of(vbd, XENHOST_BACK))))
		return wait_for_predecessor(vbd);
	if (r == -EBUSY)
		return device_error(vbd->dev, r, "cannot open the image %s: %s",
				    vbd->opening.params, vbd->opening.text);
	if (r != 0)
		return r;
	if (front != XENHOST_STATE_INITIALISED && front != XENHOST_STATE_CONNECTED)
		drop_journal(vbd);
	r = offer(vbd);
	if (r < 0)
		return r;
	log_info("%s: %s, %" PRIu64 " sectors, %s%s", xenhost_device_name(vbd->dev),
		 vbd->image->path, vbd->image->sectors,
		 vbd->image->readonly ? "read-only" : "writable",
		 vbd->image->direct ? "" : ", through the page cache");
	return 0;
}

static int vbd_probe(xenhost_device_t *dev)
{
	struct vbd *vbd = xenhost_device_data(dev);
	int r;

	if (!vbd) {
		r = vbd_new(dev, &vbd);
		if (r < 0)
			return r;
		xenhost_device_set_data(dev, vbd);
	}
	r = probe_vbd(vbd);
	if (r < 0) {
		if (vbd->nbd.handle) /* ours, so no predecessor's */
			vbd_nbd_forget(vbd);
		xenhost_device_set_data(dev, NULL);
		vbd_free(vbd);
	}
	return r;
}

/* --- connect and disconnect --- */

static void free_queues(struct vbd *vbd)
{
	for (uint32_t i = 0; i < vbd->nr_queues; i++) {
		if (!vbd->queues[i])
			continue;
		add_stats((uint64_t *)(void *)&vbd->stats, vbd_queue_stats(vbd->queues[i]));
		vbd->queues[i] = vbd_queue_free(vbd->queues[i]);
	}
	vbd->nr_queues = 0;
	vbd->slow = blk_slow_free(vbd->slow);
}

static int make_queues(struct vbd *vbd, bool resume)
{
	int r = blk_slow_new(vbd->image, &vbd->slow);

	if (r < 0)
		return r;
	vbd->nr_queues = vbd->journal->header->key.nr_queues;
	for (uint32_t i = 0; i < vbd->nr_queues; i++) {
		r = vbd_queue_new(vbd, i, resume, &vbd->queues[i]);
		if (r < 0)
			return device_error(vbd->dev, r, "cannot connect ring %" PRIu32 ": %s", i,
					    r == -EPROTO ? "its indices cannot be" : strerror(-r));
	}
	return 0;
}

static int open_queues(struct vbd *vbd)
{
	struct journal_key key;
	bool resume;
	int r = vbd_read_front(vbd, &key);

	if (r < 0)
		return r;
	resume = vbd->journal && journal_is_of(vbd->journal, &key);
	if (!resume) {
		r = new_journal(vbd, &key);
		if (r < 0)
			return r;
	}
	atomic_store(&vbd->failed, atomic_load(&vbd->journal->header->failed) != 0);
	atomic_store(&vbd->paused, atomic_load(&vbd->journal->header->paused));
	r = make_queues(vbd, resume);
	return r < 0 ? r : publish(vbd);
}

static int vbd_connect(xenhost_device_t *dev)
{
	struct vbd *vbd = xenhost_device_data(dev);
	int r;

	vbd_read_settings(vbd);
	r = open_queues(vbd);
	if (r < 0) {
		free_queues(vbd);
		drop_journal(vbd);
		return r;
	}
	vbd->journal_ours = true;
	vbd->stopping = false;
	vbd->nr_running = vbd->nr_queues;
	for (uint32_t i = 0; i < vbd->nr_queues; i++)
		vbd_queue_start(vbd->queues[i]);
	vbd->told_state = NULL; /* the folder may be another */
	vbd_tell_state(vbd);
	set_timer(vbd, SIZE_LOOK_S * 1000);
	log_debug("%s: connected, %" PRIu32 " queues of %" PRIu32 " requests, %s, %s",
		  xenhost_device_name(dev), vbd->nr_queues, vbd->journal->header->key.slots,
		  vbd->limits.abi == BLK_ABI_X86_64 ? "64-bit" : "32-bit",
		  vbd_queue_engine(vbd->queues[0]));
	return 0;
}

static void log_stats(const struct vbd *vbd)
{
	const struct vbd_stats *s = &vbd->stats;

	log_debug("%s: disconnected; requests %" PRIu64 ", sectors read %" PRIu64
		  ", written %" PRIu64 ", flushes %" PRIu64 ", errors %" PRIu64 ", events %" PRIu64
		  ", notifications %" PRIu64,
		  xenhost_device_name(vbd->dev), atomic_load(&s->requests),
		  atomic_load(&s->sectors_read), atomic_load(&s->sectors_written),
		  atomic_load(&s->flushes), atomic_load(&s->errors), atomic_load(&s->events),
		  atomic_load(&s->notifies));
}

void vbd_queue_stopped(struct vbd *vbd)
{
	if (--vbd->nr_running > 0)
		return;
	free_queues(vbd);
	log_stats(vbd);
	if (vbd->handed_over)
		return;
	drop_journal(vbd);
	xenhost_device_continue(vbd->dev);
}

static void wait_for_queues(struct vbd *vbd)
{
	vbd->handed_over = true;
	while (vbd->nr_running > 0)
		mailbox_wait(&vbd->driver->box);
}

static void vbd_disconnect(xenhost_device_t *dev)
{
	struct vbd *vbd = xenhost_device_data(dev);
	bool ending = xenhost_device_defer(dev) < 0;

	vbd->stopping = true;
	evtimer_del(vbd->timer);
	for (uint32_t i = 0; i < vbd->nr_queues; i++)
		vbd_queue_stop(vbd->queues[i]);
	/* A successor will do the rest of them. Behind the above: only a queue that stops can lay one aside. */
	blk_slow_cancel(vbd->slow);
	if (ending)
		wait_for_queues(vbd);
}

/* The front end closed before we could go on with what a predecessor had in use. */
static void vbd_closing(xenhost_device_t *dev)
{
	drop_journal(xenhost_device_data(dev));
}

static void vbd_remove(xenhost_device_t *dev)
{
	struct vbd *vbd = xenhost_device_data(dev);

	if (!vbd)
		return;
	if (vbd->nr_running > 0)
		wait_for_queues(vbd);
	log_info("%s: removed", xenhost_device_name(dev));
	if (!vbd->handed_over)
		vbd_nbd_forget(vbd);
	xenhost_device_set_data(dev, NULL);
	vbd_free(vbd);
}

static void vbd_event(xenhost_device_t *dev)
{
	struct vbd *vbd = xenhost_device_data(dev);

	vbd_follow_nodes(vbd);
	kick_queues(vbd);
}

const struct xenhost_backend_ops vbd_ops = {
	.size = sizeof(vbd_ops),
	.type = "vbd",
	.probe = vbd_probe,
	.connect = vbd_connect,
	.disconnect = vbd_disconnect,
	.remove = vbd_remove,
	.event = vbd_event,
	.closing = vbd_closing,
};
