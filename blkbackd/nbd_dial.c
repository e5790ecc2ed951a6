/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <libnbd.h>

#include "common/cleanup.h"

#include "blkbackd/blk_ring.h"
#include "blkbackd/nbd_dial.h"

#define DIAL_S 30

struct nbd_dial {
	struct event_base *base;
	struct nbd_handle *handle;
	struct event *event, *limit;
	nbd_dial_fn *fn;
	void *data;
};

static bool yes(int answer)
{
	return answer > 0;
}

/* 0, or -EINVAL with *ret_why */
static int read_export(struct nbd_handle *h, struct nbd_export *e, const char **ret_why)
{
	int64_t size = nbd_get_size(h), least = nbd_get_block_size(h, LIBNBD_SIZE_MINIMUM),
		best = nbd_get_block_size(h, LIBNBD_SIZE_PREFERRED);

	*e = (struct nbd_export){
		.sector_size = least > 512 ? (uint32_t)least : 512,
		.readonly = yes(nbd_is_read_only(h)),
		.flush = yes(nbd_can_flush(h)),
		.fua = yes(nbd_can_fua(h)),
		.trim = yes(nbd_can_trim(h)),
		.zero = yes(nbd_can_zero(h)),
	};
	e->physical_size = best == 4096 ? 4096 : e->sector_size;
	*ret_why = "its blocks are of another size than 512 or 4096 bytes";
	if (e->sector_size != 512 && e->sector_size != 4096)
		return -EINVAL;
	*ret_why = "it is smaller than one sector";
	if (size < (int64_t)e->sector_size)
		return -EINVAL;
	e->size = (uint64_t)size;
	return 0;
}

static void end(struct nbd_dial *d, const char *why)
{
	struct nbd_handle *h = d->handle;
	struct nbd_export e;
	char reason[256];

	event_free(d->event);
	event_free(d->limit);
	d->event = d->limit = NULL;
	if (!why && read_export(h, &e, &why) == 0) {
		d->handle = NULL;
		d->fn(d->data, h, &e, NULL);
		return;
	}
	/* libnbd's text does not outlive the handle */
	snprintf(reason, sizeof(reason), "%s", why);
	nbd_close(h);
	d->handle = NULL;
	d->fn(d->data, NULL, NULL, reason);
}

static short wanted(struct nbd_handle *h)
{
	unsigned int direction = nbd_aio_get_direction(h);

	return (short)((direction & LIBNBD_AIO_DIRECTION_READ ? EV_READ : 0) |
		       (direction & LIBNBD_AIO_DIRECTION_WRITE ? EV_WRITE : 0));
}

static void on_io(evutil_socket_t fd, short what, void *data);

static int listen_for(struct nbd_dial *d)
{
	event_assign(d->event, d->base, nbd_aio_get_fd(d->handle), wanted(d->handle), on_io, d);
	return event_add(d->event, NULL) < 0 ? -ENOMEM : 0;
}

static bool is_over(struct nbd_handle *h)
{
	return nbd_aio_is_ready(h) || nbd_aio_is_dead(h) || nbd_aio_is_closed(h);
}

static void on_io(evutil_socket_t fd, short what, void *data)
{
	struct nbd_dial *d = data;
	int r = 0;

	if (is_over(d->handle))
		; /* before we listened */
	else if (what & EV_READ && nbd_aio_get_direction(d->handle) & LIBNBD_AIO_DIRECTION_READ)
		r = nbd_aio_notify_read(d->handle);
	else if (what & EV_WRITE && nbd_aio_get_direction(d->handle) & LIBNBD_AIO_DIRECTION_WRITE)
		r = nbd_aio_notify_write(d->handle);
	if (r < 0 || nbd_aio_is_dead(d->handle) || nbd_aio_is_closed(d->handle)) {
		const char *why = nbd_get_error();

		end(d, why ? why : "the server ended the connection");
	} else if (nbd_aio_is_ready(d->handle)) {
		end(d, NULL);
	} else if (listen_for(d) < 0) {
		end(d, "no memory");
	}
}

/* For all of it: a server that says a byte now and then does not keep us either. */
static void on_limit(evutil_socket_t fd, short what, void *data)
{
	end(data, "the server does not answer");
}

int nbd_dial_new(struct event_base *base, int socket, const char *export_name, nbd_dial_fn *fn,
		 void *data, struct nbd_dial **ret_dial)
{
	static const struct timeval limit = { .tv_sec = DIAL_S };
	struct nbd_dial *d = calloc(1, sizeof(*d));
	int r = -ENOMEM;

	if (d) {
		d->base = base;
		d->fn = fn;
		d->data = data;
		d->handle = nbd_create();
		d->event = event_new(base, -1, 0, on_io, d);
		d->limit = evtimer_new(base, on_limit, d);
	}
	if (!d || !d->handle || !d->event || !d->limit || event_add(d->limit, &limit) < 0) {
		closep(&socket);
		nbd_dial_free(d);
		return r;
	}
	/* what we hand out is the guest's: nothing in it is to be cleared first */
	if (nbd_set_export_name(d->handle, export_name) < 0 ||
	    nbd_set_pread_initialize(d->handle, false) < 0) {
		closep(&socket);
		nbd_dial_free(d);
		return -EINVAL;
	}
	r = 0;
	if (nbd_aio_connect_socket(d->handle, socket) < 0 || is_over(d->handle))
		event_active(d->event, EV_READ, 0); /* it failed, or the server is fast */
	else
		r = listen_for(d);
	if (r < 0) {
		nbd_dial_free(d);
		return r;
	}
	*ret_dial = d;
	return 0;
}

struct nbd_dial *nbd_dial_free(struct nbd_dial *d)
{
	if (!d)
		return NULL;
	if (d->event)
		event_free(d->event);
	if (d->limit)
		event_free(d->limit);
	nbd_close(d->handle); /* NULL is allowed */
	free(d);
	return NULL;
}
