/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/log.h"

#include "blkbackd/blk_nbd.h"
#include "blkbackd/blk_slow.h"
#include "blkbackd/vbd_nbd.h"
#include "blkbackd/vbd_queue.h"

#include "tests/fuzz/blk_queue_host.h"

#define GREFS 8u
#define FIRST_READONLY 4u

static struct {
	uint8_t *ring;
	uint8_t *pages[GREFS];
	uint8_t copies[GREFS][4096];
	unsigned int uses[GREFS];
	int event_fd;
	unsigned int failures;
	bool stopped;
	bool hold;
	struct list slow;
} h;

uint8_t *host_init(void)
{
	h.ring = aligned_alloc(4096, 4096);
	for (unsigned int i = 0; i < GREFS; i++)
		h.pages[i] = malloc(4096);
	h.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return h.ring;
}

void host_reset(void)
{
	for (unsigned int i = 0; i < GREFS; i++)
		memset(h.pages[i], 0x80 + (int)i, 4096);
	memset(h.uses, 0, sizeof(h.uses));
	h.failures = 0;
	h.stopped = h.hold = false;
	list_init(&h.slow);
	host_remember();
}

uint8_t *host_page(uint32_t gref)
{
	return gref < GREFS ? h.pages[gref] : NULL;
}

void host_remember(void)
{
	for (unsigned int i = FIRST_READONLY; i < GREFS; i++)
		memcpy(h.copies[i], h.pages[i], 4096);
}

bool host_readonly_unchanged(void)
{
	for (unsigned int i = FIRST_READONLY; i < GREFS; i++)
		if (memcmp(h.copies[i], h.pages[i], 4096))
			return false;
	return true;
}

unsigned int host_uses(void)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < GREFS; i++)
		n += h.uses[i];
	return n;
}

void host_forget_uses(void)
{
	memset(h.uses, 0, sizeof(h.uses));
}

unsigned int host_failures(void)
{
	return h.failures;
}

bool host_stopped(void)
{
	return h.stopped;
}

void host_signal(void)
{
	(void)eventfd_write(h.event_fd, 1);
}

/* --- libxenhost --- */

static int begin_one(struct xenhost_seg *seg, unsigned int prot, struct iovec *iov)
{
	if (seg->len == 0 || seg->offset + seg->len > 4096)
		abort(); /* the parser lets none through */
	if (seg->gref >= GREFS)
		return -EINVAL;
	if ((prot & XENHOST_WRITE) && seg->gref >= FIRST_READONLY)
		return -EACCES;
	h.uses[seg->gref]++;
	*iov = (struct iovec){ h.pages[seg->gref] + seg->offset, seg->len };
	return 0;
}

int xenhost_io_begin(xenhost_t *host, uint16_t domid, struct xenhost_seg *segs, size_t n,
		     unsigned int prot, struct iovec *iov)
{
	int error = 0;

	if (n == 0)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		segs[i].status = begin_one(&segs[i], prot, &iov[i]);
		if (segs[i].status < 0)
			error = segs[i].status;
	}
	for (size_t i = 0; i < n && error < 0; i++)
		h.uses[segs[i].gref % GREFS] -= segs[i].status == 0;
	return error;
}

int xenhost_io_end(xenhost_t *host, uint16_t domid, struct xenhost_seg *segs, size_t n,
		   unsigned int prot, struct iovec *iov)
{
	for (size_t i = 0; i < n; i++) {
		const uint8_t *page = h.pages[segs[i].gref % GREFS];

		/* what was given is what comes back */
		if (segs[i].gref >= GREFS || h.uses[segs[i].gref]-- == 0 ||
		    iov[i].iov_base != page + segs[i].offset || iov[i].iov_len != segs[i].len)
			abort();
	}
	return 0;
}

int xenhost_map_grants(xenhost_t *host, uint16_t domid, const uint32_t *grefs, size_t n,
		       unsigned int prot, xenhost_map_t **ret_map)
{
	*ret_map = (xenhost_map_t *)(void *)h.ring;
	return 0;
}

void *xenhost_map_addr(const xenhost_map_t *map)
{
	return h.ring;
}

xenhost_map_t *xenhost_unmap(xenhost_map_t *map)
{
	return NULL;
}

int xenhost_port_bind(xenhost_t *host, uint16_t domid, uint32_t port, xenhost_port_t **ret_port)
{
	*ret_port = (xenhost_port_t *)(void *)&h;
	return 0;
}

xenhost_port_t *xenhost_port_close(xenhost_port_t *port)
{
	return NULL;
}

int xenhost_port_fd(const xenhost_port_t *port)
{
	return h.event_fd;
}

int xenhost_port_ack(xenhost_port_t *port)
{
	eventfd_t count;

	return eventfd_read(h.event_fd, &count) == 0;
}

int xenhost_port_notify(xenhost_port_t *port)
{
	return 0;
}

xenhost_t *xenhost_device_host(const xenhost_device_t *dev)
{
	return NULL;
}

uint16_t xenhost_device_frontend_domid(const xenhost_device_t *dev)
{
	return 1;
}

const char *xenhost_device_name(const xenhost_device_t *dev)
{
	return "vbd-1-51712";
}

void xenhost_device_fail(xenhost_device_t *dev, int error, const char *fmt, ...)
{
	h.failures++;
}

/* --- the rest of the disk --- */

struct worker *workers_next(struct workers *workers)
{
	return &workers->list[0];
}

void vbd_pause(struct vbd *vbd, uint32_t bits)
{
	atomic_fetch_or(&vbd->paused, bits);
}

bool vbd_stop(struct vbd *vbd, uint32_t resumes)
{
	if (atomic_load(&vbd->resumes) != resumes)
		return false;
	vbd_pause(vbd, VBD_PAUSED_BY_ERROR);
	return true;
}

void vbd_fail(struct vbd *vbd, int error)
{
	atomic_store(&vbd->failed, true);
}

void vbd_queue_stopped(struct vbd *vbd)
{
	h.stopped = true;
}

void vbd_nbd_lost(struct vbd *vbd)
{
	abort();
}

/* as the thread of discards does: later, perhaps much later */
void blk_slow_submit(struct blk_slow *slow, struct blk_slow_op *op)
{
	list_init(&op->link);
	list_append(&h.slow, &op->link);
	if (!h.hold)
		host_end_discards(0);
}

void host_end_discards(int result)
{
	while (!list_empty(&h.slow)) {
		struct blk_slow_op *op = list_entry(h.slow.next, struct blk_slow_op, link);

		list_remove(&op->link);
		op->result = result;
		mailbox_post(op->box, &op->letter);
	}
}

void host_hold_discards(bool hold)
{
	h.hold = hold;
	if (!hold)
		host_end_discards(0);
}

bool host_holds_discards(void)
{
	return h.hold;
}

/* --- servers: none here --- */

int blk_nbd_new(const struct blk_nbd_config *config, struct blk_nbd **ret_nbd)
{
	return -EOPNOTSUPP;
}

int blk_nbd_start(struct blk_nbd *nbd, struct event_base *base)
{
	abort();
}

struct blk_nbd *blk_nbd_free(struct blk_nbd *nbd)
{
	return NULL;
}

void blk_nbd_connect(struct blk_nbd *nbd, struct nbd_handle *handle)
{
	abort();
}

void blk_nbd_give_up(struct blk_nbd *nbd)
{
	abort();
}

void blk_nbd_submit(struct blk_nbd *nbd, struct blk_io_op *op)
{
	abort();
}

void blk_nbd_flush(struct blk_nbd *nbd)
{
	abort();
}

void blk_nbd_kick(struct blk_nbd *nbd)
{
	abort();
}

void blk_nbd_wait(struct blk_nbd *nbd)
{
	abort();
}

void blk_nbd_hang_up(struct nbd_handle *handle)
{
	if (handle)
		abort();
}

/* a broken ring is nothing to talk about here */
void log_line(enum log_level level, const char *fmt, ...)
{
}
