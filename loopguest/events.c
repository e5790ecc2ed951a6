/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include <event2/event.h>

#include "loopguest/events.h"

#include "common/cleanup.h"
#include "loopguest/guest.h"

struct end {
	struct events *all;
	struct guest *guest;
	struct guest_port port;
	struct event *readable;
};

struct events {
	uint64_t notified;
	unsigned int n;
	struct end ends[];
};

static void on_event(evutil_socket_t fd, short what, void *data)
{
	struct end *end = data;

	if (guest_port_wait(&end->port, 0) != 1)
		return;
	end->all->notified++;
	guest_port_notify(&end->port);
}

static int watch(struct event_base *base, struct end *end)
{
	end->readable = event_new(base, end->port.wait_fd, EV_READ | EV_PERSIST, on_event, end);
	return end->readable && event_add(end->readable, NULL) == 0 ? 0 : -ENOMEM;
}

/* Both ends are pending after binding; one of them keeps quiet, so that there is one event under way. */
static int join(struct event_base *base, struct end *a, struct end *b)
{
	int r = guest_port_offer(a->guest, guest_domid(b->guest), &a->port);

	if (r == 0)
		r = guest_port_bind(b->guest, guest_domid(a->guest), a->port.number, &b->port);
	if (r < 0)
		return r;
	(void)guest_port_wait(&a->port, 0);
	r = watch(base, a);
	return r < 0 ? r : watch(base, b);
}

static void events_stopp(struct events **e)
{
	events_stop(*e);
}

int events_start(struct event_base *base, struct guest *const *guests, unsigned int n,
		 struct events **ret_events)
{
	_cleanup_(events_stopp) struct events *e = calloc(1, sizeof(*e) + n * sizeof(struct end));

	if (!e)
		return -ENOMEM;
	e->n = n & ~1u;
	for (unsigned int i = 0; i < e->n; i++)
		e->ends[i] = (struct end){ e, guests[i], { 0, -1, -1 }, NULL };
	for (unsigned int i = 0; i < e->n; i += 2) {
		int r = join(base, &e->ends[i], &e->ends[i + 1]);

		if (r < 0)
			return r;
	}
	*ret_events = steal_ptr(&e);
	return 0;
}

struct events *events_stop(struct events *e)
{
	for (unsigned int i = 0; e && i < e->n; i++) {
		if (e->ends[i].readable)
			event_free(e->ends[i].readable);
		if (e->ends[i].port.wait_fd >= 0)
			guest_port_close(e->ends[i].guest, &e->ends[i].port);
	}
	free(e);
	return NULL;
}

uint64_t events_rounds(const struct events *e)
{
	return e->notified / 2;
}
