/* SPDX-License-Identifier: MIT */
/*
 * The life of the connection to xenstored: made at the first call, lost, and made again.
 *
 * A lost connection ends every call that waits (its error), and every transaction (txn.c). From then
 * on calls give -ENOTCONN at once: whoever serves guests must not stand still because the store does.
 * xh_store_retry(), from xenhost_process() only, connects again when retry_fd, a timer in the handle's
 * epoll set, says so: after 10 ms, then twice as long each time up to a second. A connection that did
 * not last a second does not count as a success, so a daemon that accepts and dies is not hammered.
 * When connected again, watch.c sets all watches anew and each of them fires: what has changed
 * meanwhile, or is gone with the old daemon, nobody can tell otherwise. Until then no callbacks run,
 * because they could do nothing but fail.
 *
 * Readiness: whoever waits in a loop on xenhost_get_fd() must not miss what a blocking call has
 * taken from the socket. So at the end of every call and of every process, wake_fd is readable
 * exactly when events or works wait and can be run.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "libxenhost/store.h"

#define RETRY_FIRST_MS 10
#define RETRY_MAX_MS 1000
#define CONNECT_PAUSE_MS 2 /* the first time, while too many others wait to be accepted */

int64_t xh_store_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void xh_store_update_wake(struct xh_store *store)
{
	bool wanted = store->fd >= 0 && (!list_empty(&store->events) || !list_empty(&store->works));
	uint64_t count = 1;

	if (store->processing || wanted == store->awake)
		return;
	/* neither can fail: the counter is ours alone and is 0 or 1 */
	if (wanted)
		(void)!write(store->wake_fd, &count, sizeof(count));
	else
		(void)!read(store->wake_fd, &count, sizeof(count));
	store->awake = wanted;
}

static void retry_later(struct xh_store *store)
{
	struct itimerspec when = { 0 };

	if (store->retry_ms == 0)
		store->retry_ms = RETRY_FIRST_MS;
	else if (store->retry_ms < RETRY_MAX_MS)
		store->retry_ms =
			store->retry_ms * 2 < RETRY_MAX_MS ? store->retry_ms * 2 : RETRY_MAX_MS;
	when.it_value.tv_sec = store->retry_ms / 1000;
	when.it_value.tv_nsec = store->retry_ms % 1000 * 1000000l;
	/* fails for no valid time */
	(void)timerfd_settime(store->retry_fd, 0, &when, NULL);
}

static void disconnect(struct xh_store *store)
{
	xh_poll_remove(store->host, store->fd);
	close(store->fd);
	store->fd = -1;
	store->in_len = store->out_len = 0;
}

int xh_store_lost(struct xh_store *store, int error)
{
	if (error == -EPIPE)
		error = -ECONNRESET;
	if (store->fd < 0)
		return error;
	disconnect(store);
	xh_trace(store->host, XENHOST_LOG_STORE, "lost: %d", error);
	xh_store_end_calls(store, error);
	xh_watch_lost(store);
	if (xh_store_now_ms() - store->connected_at >= RETRY_MAX_MS)
		store->retry_ms = 0;
	retry_later(store);
	return error;
}

static int store_connect(struct xh_store *store)
{
	xenhost_t *host = store->host;
	int r;

	if (!host->ops->store_connect)
		return -EOPNOTSUPP;
	r = host->ops->store_connect(host->state);
	if (r < 0)
		return r;
	store->fd = r;
	r = xh_poll_add(host, store->fd);
	if (r < 0) {
		close(store->fd);
		store->fd = -1;
		return r;
	}
	xh_trace(host, XENHOST_LOG_STORE, "connected");
	store->connected_at = xh_store_now_ms();
	store->connection++;
	store->resume_slot = 0;
	return 0;
}

void xh_store_retry(struct xh_store *store)
{
	uint64_t count;

	if (store->fd >= 0 || read(store->retry_fd, &count, sizeof(count)) != sizeof(count))
		return;
	if (store_connect(store) < 0)
		retry_later(store);
	else
		xh_watch_resume(store);
}

void xh_store_free(struct xh_store *store)
{
	if (!store)
		return;
	if (store->fd >= 0)
		disconnect(store);
	xh_store_end_calls(store, -ENOTCONN);
	xh_watch_free_all(store);
	xh_txn_free_all(store);
	if (store->wake_fd >= 0)
		xh_poll_remove(store->host, store->wake_fd);
	if (store->retry_fd >= 0)
		xh_poll_remove(store->host, store->retry_fd);
	closep(&store->wake_fd);
	closep(&store->retry_fd);
	free(store->out);
	free(store);
}

static void store_freep(struct xh_store **store)
{
	xh_store_free(*store);
}

static int make_fds(struct xh_store *store)
{
	int r;

	store->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (store->wake_fd < 0)
		return -errno;
	r = xh_poll_add(store->host, store->wake_fd);
	if (r < 0)
		return r;
	store->retry_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	return store->retry_fd < 0 ? -errno : xh_poll_add(store->host, store->retry_fd);
}

/* blocks, as the call does that needs it */
static int first_connect(struct xh_store *store)
{
	int64_t deadline = xh_store_now_ms() + store->host->store_timeout;
	int r;

	while ((r = store_connect(store)) == -EAGAIN) {
		if (store->host->store_timeout >= 0 && xh_store_now_ms() >= deadline)
			return -ETIMEDOUT;
		(void)poll(NULL, 0, CONNECT_PAUSE_MS);
	}
	return r;
}

static int store_open(xenhost_t *host, struct xh_store **ret_store)
{
	_cleanup_(store_freep) struct xh_store *store = calloc(1, sizeof(*store));
	int r;

	if (!store)
		return -ENOMEM;
	store->host = host;
	store->fd = store->wake_fd = store->retry_fd = -1;
	list_init(&store->calls);
	list_init(&store->txns);
	list_init(&store->events);
	list_init(&store->works);
	r = make_fds(store);
	if (r == 0)
		r = first_connect(store);
	if (r < 0)
		return r;
	*ret_store = steal_ptr(&store);
	return 0;
}

int xh_store_get(xenhost_t *host, struct xh_store **ret_store)
{
	int r = 0;

	if (!host)
		return -EINVAL;
	if (!host->store)
		r = store_open(host, &host->store);
	if (r < 0)
		return r;
	*ret_store = host->store;
	return 0;
}
