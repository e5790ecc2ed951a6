/* SPDX-License-Identifier: MIT */
/*
 * A handle in a libevent loop. The only header that needs another library, and nothing to link but that
 * one: -levent_core. A port needs no help: its xenhost_port_fd() is an event as any other.
 */
#ifndef XENHOST_EVENT_H
#define XENHOST_EVENT_H

#include <errno.h>

#include <event2/event.h>

#include <xenhost/xenhost.h>

#ifdef __cplusplus
extern "C" {
#endif

struct xenhost_event {
	xenhost_t *host;
	struct event *event;
	/* the handle is lost (error < 0) and out of the loop; may do everything but close the handle */
	void (*lost)(xenhost_t *host, int error, void *data);
	void *data;
};

static inline void xenhost_event_process(evutil_socket_t fd, short what, void *data)
{
	struct xenhost_event *e = (struct xenhost_event *)data;
	int r = xenhost_process(e->host);

	(void)fd;
	(void)what;
	if (r >= 0)
		return;
	event_del(e->event);
	if (e->lost)
		e->lost(e->host, r, e->data);
}

/* the loop calls xenhost_process() from now on. -ENOMEM, errors of xenhost_get_fd() */
static inline int xenhost_event_init(struct xenhost_event *e, struct event_base *base,
				     xenhost_t *host,
				     void (*lost)(xenhost_t *host, int error, void *data),
				     void *data)
{
	int fd = xenhost_get_fd(host);
	struct event *event;

	if (fd < 0)
		return fd;
	event = event_new(base, fd, EV_READ | EV_PERSIST, xenhost_event_process, e);
	if (!event)
		return -ENOMEM;
	e->host = host;
	e->event = event;
	e->lost = lost;
	e->data = data;
	if (event_add(event, NULL) == 0)
		return 0;
	event_free(event);
	e->event = NULL;
	return -ENOMEM;
}

/* before the handle is closed; not from within callbacks that xenhost_process() runs */
static inline void xenhost_event_fini(struct xenhost_event *e)
{
	if (e->event)
		event_free(e->event);
	e->event = NULL;
}

#ifdef __cplusplus
}
#endif

#endif
