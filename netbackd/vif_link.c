/* SPDX-License-Identifier: MIT */
/*
 * The other end of a card's cable: a TAP interface of the host, or the socket of a passt(1), which the node `passt`
 * names. The stream to a passt is connected by the queue (stream.h) and belongs to no successor; of the TAP all
 * descriptors lie with the host (vif_keep.h).
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"

#include "backend/device_error.h"

#include "netbackd/vif.h"
#include "netbackd/vif_keep.h"

#define DRAIN_MAX 4096 /* stale frames thrown away when a front end connects */

void vif_link_init(struct vif *vif)
{
	opener_call_init(&vif->opening.call);
	opener_call_init(&vif->mtu_call);
}

/* ---- making a TAP ---- */

static void on_tap(struct opener_call *call, const struct open_answer *answer, int *fds,
		   size_t nr_fds)
{
	struct vif *vif = list_entry(call, struct vif, opening.call);
	struct vif_opening *o = &vif->opening;

	o->state = VIF_ANSWERED;
	o->error = answer->error;
	strcpy(o->text, answer->text);
	for (; o->nr_fds < nr_fds && o->nr_fds < TAP_QUEUES_MAX; o->nr_fds++) {
		o->fds[o->nr_fds] = fds[o->nr_fds];
		fds[o->nr_fds] = -1;
	}
	xenhost_device_continue(vif->dev);
}

static int ask(struct vif *vif)
{
	struct vif_opening *o = &vif->opening;
	int r = vif_read_mtu(vif, &vif->mtu);

	if (r < 0)
		return r;
	free(o->bridge);
	o->bridge = NULL;
	r = xenhost_device_read_str(vif->dev, XENHOST_BACK, "bridge", &o->bridge);
	if (r < 0 && r != -ENOENT)
		return device_error(vif->dev, r, "cannot read the node bridge: %s", strerror(-r));
	o->call.request = (struct open_request){
		.op = OPEN_TAP,
		.flags = OPEN_MTU(vif->mtu),
		.count = vif->driver->nr_queues,
		.nr_strings = 2,
		.strings = { o->name, o->bridge ? o->bridge : "" },
	};
	o->call.done = on_tap;
	r = opener_ask(vif->driver->opener, &o->call);
	if (r < 0)
		return device_error(vif->dev, r, "cannot ask for the interface: %s", strerror(-r));
	o->state = VIF_ASKED;
	return XENHOST_LATER;
}

static void close_answer(struct vif_opening *o)
{
	while (o->nr_fds > 0)
		close(o->fds[--o->nr_fds]);
}

static int take_tap(struct vif *vif)
{
	struct vif_opening *o = &vif->opening;
	int r = o->error;

	o->state = VIF_NOT_ASKED;
	if (r < 0)
		return device_error(vif->dev, r, "%s", o->text);
	r = tap_adopt(o->name, o->fds, o->nr_fds, &vif->tap);
	if (r < 0) {
		close_answer(o);
		return device_error(vif->dev, r, "xenhost-opend gave something else than %s: %s",
				    o->name, strerror(-r));
	}
	o->nr_fds = 0;
	return 0;
}

/* ---- */

/* NULL in *ret_path: it is a TAP */
static int read_passt(struct vif *vif, char **ret_path)
{
	int r = xenhost_device_read_str(vif->dev, XENHOST_BACK, "passt", ret_path);

	if (r == 0 && **ret_path != '/')
		r = -EINVAL;
	if (r < 0 && r != -ENOENT)
		return device_error(vif->dev, r, "the node passt is not the path of a socket");
	return 0;
}

/* what stands in the nodes, or lies with the host; as vif_link_set_up() */
static int begin(struct vif *vif)
{
	struct vif_opening *o = &vif->opening;
	int r = read_passt(vif, &vif->passt);

	if (r == 0 && !vif->passt)
		r = vif_read_name(vif->dev, o->name);
	if (r < 0)
		return r;
	r = vif_keep_adopt(vif, vif->passt ? NULL : o->name);
	if (r < 0)
		return device_error(vif->dev, r, "cannot keep its state: %s", strerror(-r));
	if (r > 0)
		log_info("%s: goes on with %s", xenhost_device_name(vif->dev), vif_link_name(vif));
	return r > 0 || vif->passt ? 0 : ask(vif);
}

int vif_link_set_up(struct vif *vif)
{
	int r;

	switch (vif->opening.state) {
	case VIF_NOT_ASKED:
		r = begin(vif);
		break;
	case VIF_ANSWERED:
		r = take_tap(vif);
		if (r == 0)
			vif_keep_tap(vif);
		break;
	default:
		r = XENHOST_LATER;
		break;
	}
	if (r < 0 && vif->state)
		vif_keep_forget(vif);
	return r;
}

static void on_mtu(struct opener_call *call, const struct open_answer *answer, int *fds,
		   size_t nr_fds)
{
	struct vif *vif = list_entry(call, struct vif, mtu_call);

	if (answer->error)
		log_warning("%s: %s", xenhost_device_name(vif->dev), answer->text);
	xenhost_device_continue(vif->dev);
}

/*
 * XENHOST_LATER: it is being set. A front end that was connected to a predecessor does not wait: the interface has its
 * MTU already, and who is to be asked may be restarted, too.
 */
static int set_mtu(struct vif *vif)
{
	unsigned int mtu;
	int r = vif_read_mtu(vif, &mtu);

	if (r < 0 || mtu == vif->mtu)
		return r;
	vif->mtu = mtu;
	opener_cancel(&vif->mtu_call);
	vif->mtu_call.request = (struct open_request){
		.op = OPEN_TAP,
		.flags = OPEN_MTU(mtu),
		.nr_strings = 2,
		.strings = { vif->tap->name, "" },
	};
	vif->mtu_call.done = on_mtu;
	r = opener_ask(vif->driver->opener, &vif->mtu_call);
	if (r < 0)
		return device_error(vif->dev, r, "cannot ask for an MTU: %s", strerror(-r));
	return vif->resumed ? 0 : XENHOST_LATER;
}

/* The TAP as this front end wants it. */
static int prepare_tap(struct vif *vif)
{
	const struct tap_offload offload = {
		.csum = vif->features.csum4,
		.tso4 = vif->features.gso4,
		.tso6 = vif->features.gso6,
	};
	int r = tap_set_queues(vif->tap, vif->nr_queues);

	if (r == 0)
		r = tap_set_offload(vif->tap, &offload);
	if (r < 0)
		return device_error(vif->dev, r, "cannot set up %s for %u queues: %s",
				    vif->tap->name, vif->nr_queues, strerror(-r));
	r = set_mtu(vif);
	/* frames for whoever had the card before */
	if (r == 0 && !vif->resumed)
		tap_drain(vif->tap, DRAIN_MAX);
	return r;
}

int vif_link_prepare(struct vif *vif)
{
	return vif->tap ? prepare_tap(vif) : 0;
}

void vif_link_carrier(struct vif *vif, bool on)
{
	if (vif->tap)
		(void)tap_set_carrier(vif->tap, on);
}

void vif_link_release(struct vif *vif)
{
	if (!vif->tap)
		return;
	(void)tap_set_queues(vif->tap, 1);
}

void vif_link_fini(struct vif *vif)
{
	opener_cancel(&vif->opening.call);
	opener_cancel(&vif->mtu_call);
	close_answer(&vif->opening);
	free(vif->opening.bridge);
	vif->tap = tap_close(vif->tap);
	free(vif->passt);
}

uint32_t vif_link_queues(const struct vif *vif)
{
	if (!vif->tap)
		return 1;
	return vif->tap->nr < vif->driver->nr_queues ? vif->tap->nr : vif->driver->nr_queues;
}

const char *vif_link_name(const struct vif *vif)
{
	return vif->tap ? vif->tap->name : vif->passt;
}
