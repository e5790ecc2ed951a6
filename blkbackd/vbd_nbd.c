/* SPDX-License-Identifier: MIT */
/*
 * A disk has one connection at a time, made here and used by its only queue. Its socket lies with the host's
 * keeper, too: a successor tells the server by it that nothing more comes, and when the server has closed it
 * nothing of the predecessor is under way any more. Only then it connects itself.
 *
 * The first connection fails like any image that cannot be opened; later ones are tried until one works.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <event2/event.h>
#include <libnbd.h>

#include <xenhost/keep.h>

#include "common/cleanup.h"
#include "common/log.h"

#include "blkbackd/blk_nbd.h"
#include "blkbackd/image.h"
#include "blkbackd/vbd_image.h"
#include "blkbackd/vbd_nbd.h"
#include "blkbackd/vbd_queue.h"

#define RETRY_S 1
#define AGAIN_US 50000 /* a server that takes us and ends at once keeps nobody busy */

static void keep_name(const struct vbd *vbd, char *buf, size_t size)
{
	snprintf(buf, size, "%s-nbd", xenhost_device_name(vbd->dev));
}

static void keep_socket(struct vbd *vbd, int fd)
{
	char name[64];
	int r;

	keep_name(vbd, name, sizeof(name));
	r = xenhost_keep_put(xenhost_device_host(vbd->dev), name, fd);
	if (r < 0)
		log_debug("%s: nobody keeps its connection: %s", xenhost_device_name(vbd->dev),
			  strerror(-r));
}

void vbd_nbd_forget(struct vbd *vbd)
{
	char name[64];

	keep_name(vbd, name, sizeof(name));
	(void)xenhost_keep_drop(xenhost_device_host(vbd->dev), name);
}

/* --- connections --- */

/* Tells whoever waits: probe, or the queue. handle NULL: there is none, for the reason `why`. */
static void deliver(struct vbd *vbd, struct nbd_handle *handle, const char *why)
{
	static const struct timeval later = { .tv_sec = RETRY_S };
	struct vbd_nbd *n = &vbd->nbd;

	log_debug("%s: connection to %s: %s", xenhost_device_name(vbd->dev), n->spec.address,
		  handle ? "there" : why);
	if (vbd->opening.state == OPENING_ASKED) {
		n->handle = handle;
		vbd_opened(vbd, handle ? 0 : -ENOTCONN, why);
	} else if (handle && n->wanted && vbd->nr_running > 0 && !vbd->stopping) {
		n->wanted = false;
		if (n->told)
			log_info("%s: connected to %s again", xenhost_device_name(vbd->dev),
				 vbd->image->path);
		n->told = false;
		vbd_queue_connect(vbd->queues[0], handle);
	} else if (handle) {
		blk_nbd_hang_up(handle);
	} else {
		if (!n->told)
			log_warning("%s: no connection to %s: %s; the disk waits for it",
				    xenhost_device_name(vbd->dev), vbd->image->path, why);
		n->told = true;
		evtimer_add(n->retry, &later);
	}
}

/* The guest knows the disk as it was. */
static bool is_other(const struct nbd_export *before, const struct nbd_export *now)
{
	return now->size < before->size || now->sector_size != before->sector_size ||
	       (now->readonly && !before->readonly);
}

static void on_dialed(void *data, struct nbd_handle *handle, const struct nbd_export *exp,
		      const char *why)
{
	struct vbd *vbd = data;
	struct vbd_nbd *n = &vbd->nbd;

	n->dial = nbd_dial_free(n->dial);
	if (handle && vbd->image && is_other(&n->exp, exp)) {
		blk_nbd_hang_up(handle);
		handle = NULL;
		why = "the server has another disk now";
	}
	if (handle) {
		n->exp = *exp;
		keep_socket(vbd, nbd_aio_get_fd(handle));
	}
	deliver(vbd, handle, why);
}

static void on_socket(struct opener_call *call, const struct open_answer *answer, int *fds,
		      size_t nr_fds)
{
	struct vbd_nbd *n = list_entry(call, struct vbd_nbd, call);
	struct vbd *vbd = list_entry(n, struct vbd, nbd);
	int fd, r;

	if (answer->error || nr_fds != 1) {
		deliver(vbd, NULL, answer->error ? answer->text : "there is no descriptor");
		return;
	}
	log_debug("%s: connected, beginning to speak", xenhost_device_name(vbd->dev));
	n->dial = nbd_dial_free(n->dial); /* an older one that a front end's coming again left */
	fd = fds[0];
	fds[0] = -1;
	r = nbd_dial_new(vbd->driver->base, fd, n->spec.export_name, on_dialed, vbd, &n->dial);
	if (r < 0)
		deliver(vbd, NULL, strerror(-r));
}

static int ask(struct vbd *vbd)
{
	struct vbd_nbd *n = &vbd->nbd;

	log_debug("%s: connecting to %s", xenhost_device_name(vbd->dev), n->spec.address);
	n->call.request = (struct open_request){
		.op = OPEN_NBD,
		.nr_strings = 1,
		.strings = { n->spec.address },
	};
	n->call.done = on_socket;
	return opener_ask(vbd->driver->opener, &n->call);
}

static void on_retry(evutil_socket_t fd, short what, void *data)
{
	struct vbd *vbd = data;
	int r;

	if (!vbd->nbd.wanted || vbd->nbd.dial || vbd->stopping)
		return;
	r = ask(vbd);
	if (r < 0)
		deliver(vbd, NULL, strerror(-r));
}

void vbd_nbd_lost(struct vbd *vbd)
{
	static const struct timeval again = { .tv_usec = AGAIN_US };
	struct vbd_nbd *n = &vbd->nbd;
	struct nbd_handle *handle = n->handle;

	if (vbd->stopping)
		return;
	n->wanted = true;
	n->handle = NULL;
	if (handle)
		deliver(vbd, handle, NULL);
	else if (!n->dial)
		evtimer_add(n->retry, &again);
}

/* --- the predecessor's --- */

static void end_fence(struct vbd *vbd)
{
	struct vbd_nbd *n = &vbd->nbd;

	if (n->fence)
		event_free(n->fence);
	n->fence = NULL;
	closep(&n->fence_fd);
	n->fence_fd = -1;
}

/* Answers to the predecessor are nobody's; behind them comes the end. */
static void on_fence(evutil_socket_t fd, short what, void *data)
{
	static char junk[65536];
	struct vbd *vbd = data;
	ssize_t n = recv(fd, junk, sizeof(junk), MSG_DONTWAIT);
	int r;

	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	log_debug("%s: the predecessor's connection is over", xenhost_device_name(vbd->dev));
	end_fence(vbd);
	vbd_nbd_forget(vbd);
	r = ask(vbd);
	if (r < 0)
		vbd_opened(vbd, r, strerror(-r));
}

/* 0: there is none; 1: it has to end first; -errno */
static int begin_fence(struct vbd *vbd)
{
	struct vbd_nbd *n = &vbd->nbd;
	char name[64];

	keep_name(vbd, name, sizeof(name));
	if (xenhost_keep_get(xenhost_device_host(vbd->dev), name, &n->fence_fd) < 0) {
		n->fence_fd = -1;
		return 0;
	}
	if (shutdown(n->fence_fd, SHUT_WR) < 0) { /* it is over already */
		end_fence(vbd);
		vbd_nbd_forget(vbd);
		return 0;
	}
	log_info("%s: waiting until the server is through with the predecessor",
		 xenhost_device_name(vbd->dev));
	n->fence = event_new(vbd->driver->base, n->fence_fd, EV_READ | EV_PERSIST, on_fence, vbd);
	if (n->fence && event_add(n->fence, NULL) == 0)
		return 1;
	end_fence(vbd);
	return -ENOMEM;
}

int vbd_nbd_open(struct vbd *vbd)
{
	int r = vbd->nbd.retry ? begin_fence(vbd) : -ENOMEM;

	if (r != 0)
		return r < 0 ? r : 0;
	return ask(vbd);
}

void vbd_nbd_init(struct vbd *vbd)
{
	vbd->nbd.fence_fd = -1;
	opener_call_init(&vbd->nbd.call);
	vbd->nbd.retry = evtimer_new(vbd->driver->base, on_retry, vbd);
}

void vbd_nbd_fini(struct vbd *vbd)
{
	opener_cancel(&vbd->nbd.call);
	nbd_dial_free(vbd->nbd.dial);
	if (vbd->nbd.retry)
		event_free(vbd->nbd.retry);
	end_fence(vbd);
	blk_nbd_hang_up(vbd->nbd.handle);
}
