/* SPDX-License-Identifier: MIT */
/*
 * Watches and their events. The table of watches and the queue of events belong to the store client
 * (store.h), which calls xh_watch_event() whenever one comes in, also in the middle of a blocking
 * call; callbacks run from xh_watch_dispatch() only.
 *
 * The token on the wire is slot and serial number, and serials are never used again: an event of a
 * watch that has ended finds nothing. Events are kept once per watch and path (what counts is what
 * the callback reads later), at most EVENTS_PER_WATCH; more collapse into one for the watched path
 * itself, which needs no memory because it is a part of the watch. A watch that ends inside of its
 * own callback is freed when that returns.
 *
 * Watches outlive connections: each knows the connection that it was last set on, and
 * xh_watch_resume() sets those of another one again, with the same token and some at a time.
 * xenstored answers each with an event. One that a new daemon refuses (its quota) is tried again on
 * the next connection; it fires all the same, so that its owner looks at least once.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/xen.h"
#include "libxenhost/store.h"

#define WATCHES_MAX 65536
#define EVENTS_PER_WATCH 64
#define RESUME_CALLS 256 /* unanswered ones while watches are set again */

struct event {
	struct list link;     /* store->events; empty: not waiting */
	struct list of_watch; /* watch->events */
	xenhost_watch_t *watch;
	char *path; /* owned, but for watch->whole */
};

struct xenhost_watch {
	struct xh_store *store;
	uint32_t slot;
	uint64_t serial;
	uint64_t connection; /* that it was set on */
	uint32_t resume_id;  /* of the request that set it again */
	void (*fn)(xenhost_t *host, const char *path, void *data);
	void *data;
	struct list events;
	size_t nr_events;
	struct event whole; /* "anything below may have changed" */
	bool ended;	    /* unwatched while its callback runs */
	bool dead;	    /* unwatched, which xenstored has yet to be told */
	char path[];
};

/* --- events --- */

static void event_drop(struct event *event)
{
	if (list_empty(&event->link))
		return;
	list_remove(&event->link);
	list_remove(&event->of_watch);
	event->watch->nr_events--;
	event->watch->store->nr_events--;
	if (event != &event->watch->whole) {
		free(event->path);
		free(event);
	}
}

static void drop_all(xenhost_watch_t *watch)
{
	while (!list_empty(&watch->events))
		event_drop(list_entry(watch->events.next, struct event, of_watch));
}

static void event_queue(struct event *event)
{
	list_append(&event->watch->store->events, &event->link);
	list_append(&event->watch->events, &event->of_watch);
	event->watch->nr_events++;
	event->watch->store->nr_events++;
}

/* too many, or no memory: one event stands for all */
static void collapse(xenhost_watch_t *watch)
{
	drop_all(watch);
	event_queue(&watch->whole);
}

static bool waiting(const xenhost_watch_t *watch, const char *path)
{
	struct event *event;

	list_for_each(event, &watch->events, of_watch)
		if (event == &watch->whole || !strcmp(event->path, path))
			return true;
	return false;
}

static void watch_add_event(xenhost_watch_t *watch, const char *path)
{
	struct event *event;

	if (waiting(watch, path))
		return;
	event = watch->nr_events < EVENTS_PER_WATCH ? calloc(1, sizeof(*event)) : NULL;
	if (event)
		event->path = strdup(path);
	if (!event || !event->path) {
		free(event);
		collapse(watch);
		return;
	}
	event->watch = watch;
	event_queue(event);
}

static xenhost_watch_t *watch_find(struct xh_store *store, const char *token)
{
	xenhost_watch_t *watch;
	uint64_t serial;
	uint32_t slot;

	if (xh_wire_token_parse(token, &slot, &serial) < 0 || slot >= store->nr_slots)
		return NULL;
	watch = store->watches[slot];
	return watch && watch->serial == serial ? watch : NULL;
}

int xh_watch_event(struct xh_store *store, const char *payload, size_t len)
{
	const char *path, *token;
	xenhost_watch_t *watch;
	int r;

	r = xh_wire_event(payload, len, &path, &token);
	if (r < 0)
		return r;
	watch = watch_find(store, token);
	xh_trace(store->host, XENHOST_LOG_STORE, "<- event %s token %s", path, token);
	if (watch && !watch->dead)
		watch_add_event(watch, path);
	return 0;
}

static void run(struct event *event)
{
	xenhost_watch_t *watch = event->watch;
	struct xh_store *store = watch->store;
	_cleanup_free_ char *path = NULL;

	if (event != &watch->whole)
		path = steal_ptr(&event->path);
	event_drop(event);
	store->running = watch;
	watch->fn(store->host, path ? path : watch->path, watch->data);
	store->running = NULL;
	if (watch->ended)
		free(watch);
}

int xh_watch_dispatch(struct xh_store *store)
{
	size_t n = store->nr_events, done = 0;

	for (; done < n && !list_empty(&store->events) && store->fd >= 0; done++)
		run(list_entry(store->events.next, struct event, link));
	return (int)done;
}

/* --- watches --- */

static int slot_take(struct xh_store *store, xenhost_watch_t *watch)
{
	xenhost_watch_t **more;
	uint32_t slot = 0, room;

	while (slot < store->nr_slots && store->watches[slot])
		slot++;
	if (slot == store->nr_slots) {
		room = store->nr_slots ? store->nr_slots * 2 : 16;
		if (room > WATCHES_MAX)
			return -ENOSPC;
		more = reallocarray(store->watches, room, sizeof(xenhost_watch_t *));
		if (!more)
			return -ENOMEM;
		memset(more + slot, 0, (room - slot) * sizeof(xenhost_watch_t *));
		store->watches = more;
		store->nr_slots = room;
	}
	watch->slot = slot;
	watch->serial = ++store->last_serial;
	store->watches[slot] = watch;
	return 0;
}

static void watch_forget(xenhost_watch_t *watch)
{
	struct xh_store *store = watch->store;

	drop_all(watch);
	store->watches[watch->slot] = NULL;
	if (store->running == watch)
		watch->ended = true;
	else
		free(watch);
}

static int watch_request(xenhost_watch_t *watch, uint32_t type, bool wait)
{
	char token[XH_WIRE_TOKEN_SIZE];
	struct iovec parts[2];

	xh_wire_token_format(watch->slot, watch->serial, token);
	parts[0] = xh_store_string(watch->path);
	parts[1] = xh_store_string(token);
	if (wait)
		return xh_store_call_ack(watch->store->host, type, 0, parts, 2);
	return xh_store_post(watch->store, type, 0, parts, 2, &watch->resume_id);
}

static int watch_new(struct xh_store *store, const char *path, xenhost_watch_t **ret_watch)
{
	size_t len = strlen(path);
	xenhost_watch_t *watch = calloc(1, sizeof(*watch) + len + 1);
	int r;

	if (!watch)
		return -ENOMEM;
	watch->store = store;
	memcpy(watch->path, path, len);
	list_init(&watch->events);
	list_init(&watch->whole.link);
	list_init(&watch->whole.of_watch);
	watch->whole.watch = watch;
	r = slot_take(store, watch);
	if (r < 0) {
		free(watch);
		return r;
	}
	*ret_watch = watch;
	return 0;
}

int xenhost_watch(xenhost_t *host, const char *path,
		  void (*fn)(xenhost_t *host, const char *path, void *data), void *data,
		  xenhost_watch_t **ret_watch)
{
	struct xh_store *store;
	xenhost_watch_t *watch;
	int r;

	if (!host || !path || !fn || !ret_watch)
		return -EINVAL;
	r = xh_store_get(host, &store);
	if (r < 0)
		return r;
	r = watch_new(store, path, &watch);
	if (r < 0)
		return r;
	watch->fn = fn;
	watch->data = data;
	watch->connection = store->connection;
	r = watch_request(watch, XS_WATCH, true);
	if (r == -ETIMEDOUT)
		(void)watch_request(watch, XS_UNWATCH, false); /* it may still be made */
	if (r < 0) {
		watch_forget(watch);
		return r;
	}
	*ret_watch = watch;
	return 0;
}

/*
 * Does not wait for the answer: whatever still comes for this token finds nothing. Without memory for the
 * request the watch stays, dead, until there is some or the connection ends, or xenstored would count it
 * and send its events for ever.
 */
xenhost_watch_t *xenhost_unwatch(xenhost_watch_t *watch)
{
	if (!watch)
		return NULL;
	if (watch_request(watch, XS_UNWATCH, false) == -ENOMEM) {
		drop_all(watch);
		watch->dead = true;
		watch->store->nr_dead++;
	} else {
		watch_forget(watch);
	}
	return NULL;
}

static void bury(xenhost_watch_t *watch)
{
	watch->store->nr_dead--;
	watch_forget(watch);
}

static void bury_dead(struct xh_store *store)
{
	for (uint32_t i = 0; i < store->nr_slots && store->nr_dead; i++) {
		if (!store->watches[i] || !store->watches[i]->dead)
			continue;
		if (watch_request(store->watches[i], XS_UNWATCH, false) == -ENOMEM)
			return;
		if (store->watches[i]) /* or the connection was lost, and it with it */
			bury(store->watches[i]);
	}
}

/* --- a new connection --- */

void xh_watch_lost(struct xh_store *store)
{
	for (uint32_t i = 0; i < store->nr_slots; i++) {
		xenhost_watch_t *watch = store->watches[i];

		if (watch && watch->dead)
			bury(watch);
		else if (watch)
			drop_all(watch);
	}
}

static bool resume_one(xenhost_watch_t *watch)
{
	uint64_t connection = watch->store->connection;

	if (watch->connection == connection)
		return true;
	if (watch_request(watch, XS_WATCH, false) < 0)
		return false;
	watch->connection = connection;
	return true;
}

void xh_watch_resume(struct xh_store *store)
{
	if (store->nr_dead)
		bury_dead(store);
	if (store->resumed == store->connection)
		return;
	while (store->fd >= 0 && store->nr_calls < RESUME_CALLS) {
		if (store->resume_slot == store->nr_slots) {
			store->resumed = store->connection;
			return;
		}
		if (store->watches[store->resume_slot] &&
		    !resume_one(store->watches[store->resume_slot]))
			return; /* lost again, or no memory: the rest at the next process */
		store->resume_slot++;
	}
}

void xh_watch_refused(struct xh_store *store, uint32_t id)
{
	for (uint32_t i = 0; i < store->nr_slots; i++)
		if (store->watches[i] && store->watches[i]->resume_id == id)
			collapse(store->watches[i]);
}

void xh_watch_free_all(struct xh_store *store)
{
	for (uint32_t i = 0; i < store->nr_slots; i++)
		if (store->watches[i])
			watch_forget(store->watches[i]);
	free(store->watches);
}
