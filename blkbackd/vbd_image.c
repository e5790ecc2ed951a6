/* SPDX-License-Identifier: MIT */
/*
 * Opening takes a question to xenhost-opend, so probe comes here again and again: not asked, asked, answered.
 * Everything in the main thread.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"

#include "backend/device_error.h"

#include "blkbackd/image.h"
#include "blkbackd/vbd_image.h"
#include "blkbackd/vbd_nbd.h"
#include "blkbackd/vbd_nodes.h"

/* mode: "r" or "w"; anything else might be meant as either */
static int read_mode(xenhost_device_t *dev, bool *ret_readonly)
{
	_cleanup_free_ char *mode = NULL;
	int r = xenhost_device_read_str(dev, XENHOST_BACK, "mode", &mode);

	if (r < 0)
		return device_error(dev, r, "cannot read the node mode: %s", strerror(-r));
	if (strcmp(mode, "r") && strcmp(mode, "w"))
		return device_error(dev, -EINVAL, "the node mode is neither r nor w");
	*ret_readonly = mode[0] == 'r';
	return 0;
}

/* A file may pose as a disk of other sectors. */
static int set_geometry(struct vbd *vbd)
{
	unsigned int logical = (unsigned int)vbd_setting(vbd, "logical-sector-size", 65536, 0);
	unsigned int physical =
		(unsigned int)vbd_setting(vbd, "physical-sector-size-hint", 65536, 0);
	int r;

	if (!logical && !physical)
		return 0;
	if (!logical)
		logical = vbd->image->sector_size;
	if (!physical)
		physical = logical;
	r = image_set_sector_size(vbd->image, logical, physical);
	if (r < 0)
		return device_error(vbd->dev, r, "%s cannot have sectors of %u bytes, %u physical",
				    vbd->image->path, logical, physical);
	return 0;
}

static bool wants_page_cache(struct vbd *vbd)
{
	_cleanup_free_ char *cache = NULL;

	if (xenhost_device_read_str(vbd->dev, XENHOST_BACK, "cache", &cache) < 0)
		return vbd->driver->page_cache;
	return !strcmp(cache, "page");
}

/* what the toolstack writes in front of a path */
static const char *strip_prefix(const char *params)
{
	static const char *const prefixes[] = { "raw:", "aio:" };

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		if (!strncmp(params, prefixes[i], strlen(prefixes[i])))
			return params + strlen(prefixes[i]);
	}
	return params;
}

void vbd_opened(struct vbd *vbd, int error, const char *text)
{
	struct vbd_opening *o = &vbd->opening;

	o->state = OPENING_ANSWERED;
	o->error = error;
	snprintf(o->text, sizeof(o->text), "%s", text ? text : "");
	xenhost_device_continue(vbd->dev);
}

static void on_answer(struct opener_call *call, const struct open_answer *answer, int *fds,
		      size_t nr_fds)
{
	struct vbd_opening *o = list_entry(call, struct vbd_opening, call);

	o->value = answer->value;
	if (answer->error == 0 && nr_fds != 1) {
		vbd_opened(o->vbd, -EBADMSG, "xenhost-opend sends no descriptor");
		return;
	}
	if (answer->error == 0) {
		o->fd = fds[0];
		fds[0] = -1;
	}
	vbd_opened(o->vbd, answer->error, answer->text);
}

static int ask(struct vbd *vbd)
{
	struct vbd_opening *o = &vbd->opening;
	int r;

	o->call.request = (struct open_request){
		.op = OPEN_IMAGE,
		.flags = o->readonly ? 0 : OPEN_WRITABLE,
		.nr_strings = 1,
		.strings = { strip_prefix(o->params) },
	};
	o->call.done = on_answer;
	r = opener_ask(vbd->driver->opener, &o->call);
	if (r < 0)
		return device_error(vbd->dev, r, "cannot ask for the image: %s", strerror(-r));
	o->state = OPENING_ASKED;
	return XENHOST_LATER;
}

static int begin_nbd(struct vbd *vbd)
{
	int r;

	vbd->opening.state = OPENING_ASKED;
	r = vbd_nbd_open(vbd);
	if (r == 0)
		return XENHOST_LATER;
	return device_error(vbd->dev, r, "cannot ask for the image: %s", strerror(-r));
}

/* params and mode as they are now; 0, XENHOST_LATER, or -errno */
static int begin(struct vbd *vbd)
{
	static const char null_prefix[] = "null:";
	struct vbd_opening *o = &vbd->opening;
	int r = read_mode(vbd->dev, &o->readonly);

	if (r < 0)
		return r;
	free(o->params);
	o->params = NULL;
	r = xenhost_device_read_str(vbd->dev, XENHOST_BACK, "params", &o->params);
	if (r < 0)
		return device_error(vbd->dev, r,
				    "cannot read the node params, the path of the image: %s",
				    strerror(-r));
	r = nbd_spec_parse(o->params, &vbd->nbd.spec);
	o->nbd = r != -ENOENT;
	if (o->nbd)
		return r < 0 ? device_error(vbd->dev, r,
					    "%s is no NBD disk: nbd://HOST:PORT/EXPORT or "
					    "nbd+unix:///EXPORT?socket=PATH",
					    o->params)
			     : begin_nbd(vbd);
	if (strncmp(o->params, null_prefix, strlen(null_prefix)) != 0)
		return ask(vbd);
	r = image_null(o->params + strlen(null_prefix), o->readonly, &vbd->image);
	if (r < 0)
		return device_error(vbd->dev, r, "%s is no size of a disk", o->params);
	return 0;
}

static int finish(struct vbd *vbd)
{
	struct vbd_opening *o = &vbd->opening;
	int fd = o->fd, r = o->error;

	o->fd = -1;
	o->state = OPENING_IDLE;
	/* a guest that uses the disk waits for its server */
	if (r == -EBUSY || (r < 0 && o->nbd && vbd->journal))
		return -EBUSY;
	if (r < 0)
		return device_error(vbd->dev, r, "cannot open the image %s: %s", o->params,
				    o->text);
	if (o->nbd)
		r = image_nbd(o->params, &vbd->nbd.exp, o->readonly, &vbd->image);
	else
		r = image_adopt(strip_prefix(o->params), fd, o->readonly, o->value, &vbd->image);
	if (r < 0)
		return device_error(vbd->dev, r, "cannot use the image %s: %s", o->params,
				    image_strerror(r));
	return 0;
}

static int apply_settings(struct vbd *vbd)
{
	int r;

	vbd->max_queues = vbd->image->nbd ? 1 : vbd->driver->nr_queues; /* one connection */
	if (!wants_page_cache(vbd))
		image_set_direct(vbd->image);
	r = set_geometry(vbd);
	if (r < 0)
		return r;
	if (!vbd_setting(vbd, "discard-enable", 1, 1))
		vbd->image->discard = false;
	return 0;
}

int vbd_open_image(struct vbd *vbd)
{
	struct vbd_opening *o = &vbd->opening;
	int r;

	if (vbd->image)
		return 0;
	if (o->state == OPENING_ASKED)
		return XENHOST_LATER;
	r = o->state == OPENING_IDLE ? begin(vbd) : finish(vbd);
	return r == 0 ? apply_settings(vbd) : r;
}

void vbd_opening_init(struct vbd *vbd)
{
	vbd->opening.vbd = vbd;
	vbd->opening.fd = -1;
	opener_call_init(&vbd->opening.call);
	vbd_nbd_init(vbd);
}

void vbd_opening_fini(struct vbd *vbd)
{
	vbd_nbd_fini(vbd);
	opener_cancel(&vbd->opening.call);
	closep(&vbd->opening.fd);
	free(vbd->opening.params);
}
