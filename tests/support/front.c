/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "common/cleanup.h"
#include "common/xen.h"

#include "tests/support/front.h"

#define PATIENCE_MS 30000 /* longer than anything takes that works */

static void make_folder(xenhost_t *host, const char *path, uint16_t owner, uint16_t reader)
{
	struct xenhost_perm perms[] = { { 'n', owner }, { 'r', reader } };

	ck_assert_int_eq(xenhost_store_mkdir(host, 0, path), 0);
	ck_assert_int_eq(xenhost_store_set_perms(host, 0, path, perms, owner == reader ? 1 : 2), 0);
}

void front_make_home(xenhost_t *host, uint16_t domid)
{
	char path[64];

	snprintf(path, sizeof(path), "/local/domain/%u", domid);
	make_folder(host, path, domid, domid);
}

void front_init(struct front *f, xenhost_t *host, struct guest *g, uint16_t service,
		const char *class, unsigned int devid)
{
	uint16_t domid = guest_domid(g);

	/* host and g may be those of *f */
	*f = (struct front){ .host = host, .guest = g, .service = service };
	snprintf(f->front, sizeof(f->front), "/local/domain/%u/device/%s/%u", domid, class, devid);
	snprintf(f->back, sizeof(f->back), "/local/domain/%u/backend/%s/%u/%u", service, class,
		 domid, devid);
	make_folder(host, f->front, domid, service);
	make_folder(host, f->back, service, domid);
	front_write(f, XENHOST_FRONT, "backend", "%s", f->back);
	front_write(f, XENHOST_FRONT, "backend-id", "%u", service);
	front_write(f, XENHOST_FRONT, "state", "1");
	front_write(f, XENHOST_BACK, "frontend-id", "%u", domid);
	front_write(f, XENHOST_BACK, "online", "1");
}

/* A back end takes a device for complete when its state and front end are there. */
void front_start(struct front *f)
{
	front_write(f, XENHOST_BACK, "frontend", "%s", f->front);
	front_write(f, XENHOST_BACK, "state", "1");
}

static void node_path(const struct front *f, int side, const char *node, char *path, size_t size)
{
	snprintf(path, size, "%s/%s", side == XENHOST_FRONT ? f->front : f->back, node);
}

void front_write(struct front *f, int side, const char *node, const char *fmt, ...)
{
	char path[160], value[512];
	va_list ap;

	node_path(f, side, node, path, sizeof(path));
	va_start(ap, fmt);
	vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	ck_assert_int_eq(xenhost_store_write(f->host, 0, path, value, strlen(value)), 0);
}

const char *front_read(struct front *f, int side, const char *node)
{
	static char text[512];
	_cleanup_free_ char *value = NULL;
	char path[160];
	int r;

	node_path(f, side, node, path, sizeof(path));
	r = xenhost_store_read(f->host, 0, path, &value, NULL);
	ck_assert(r == 0 || r == -ENOENT);
	snprintf(text, sizeof(text), "%s", r == 0 ? value : "");
	return text;
}

void front_set_state(struct front *f, unsigned int state)
{
	front_write(f, XENHOST_FRONT, "state", "%u", state);
}

static void on_state(xenhost_t *host, const char *path, void *data)
{
	*(bool *)data = true;
}

void front_wait(struct front *f, unsigned int state)
{
	xenhost_watch_t *watch = NULL;
	bool changed = false;
	char path[160];

	node_path(f, XENHOST_BACK, "state", path, sizeof(path));
	ck_assert_int_eq(xenhost_watch(f->host, path, on_state, &changed, &watch), 0);
	for (;;) {
		struct pollfd p = { .fd = xenhost_get_fd(f->host), .events = POLLIN };
		unsigned int now = (unsigned int)atoi(front_read(f, XENHOST_BACK, "state"));

		if (now == state)
			break;
		changed = false;
		while (!changed) {
			if (poll(&p, 1, PATIENCE_MS) != 1)
				ck_abort_msg("%s is %u and does not become %u", path, now, state);
			ck_assert_int_ge(xenhost_process(f->host), 0);
		}
	}
	xenhost_unwatch(watch);
}

void front_disconnect(struct front *f)
{
	front_set_state(f, XENHOST_STATE_CLOSING);
	front_wait(f, XENHOST_STATE_CLOSING);
	front_set_state(f, XENHOST_STATE_CLOSED);
	front_wait(f, XENHOST_STATE_CLOSED);
}

void front_free(struct front *f)
{
	f->guest = guest_free(f->guest);
	f->host = xenhost_close(f->host);
}

void front_unplug(struct front *f)
{
	front_write(f, XENHOST_BACK, "online", "0");
	front_write(f, XENHOST_BACK, "state", "5");
	front_wait(f, 6);
	ck_assert_int_eq(xenhost_store_rm(f->host, 0, f->back), 0);
	ck_assert_int_eq(xenhost_store_rm(f->host, 0, f->front), 0);
}

/* ---- rings ---- */

void front_ring_init(struct xenhost_front_ring *r, void *page, size_t slot_size)
{
	ck_assert_int_eq(xenhost_front_ring_init(r, page, 1, slot_size, slot_size), 0);
}

void *front_ring_next(struct xenhost_front_ring *r)
{
	void *slot = xenhost_front_ring_next(r);

	ck_assert_ptr_nonnull(slot);
	return slot;
}

/* req_event is the second word: public/io/ring.h */
bool front_ring_awaited(const struct xenhost_front_ring *r)
{
	return atomic_load((_Atomic uint32_t *)r->shared + 1) == r->req_prod + 1;
}

void front_ring_force(struct xenhost_front_ring *r, uint32_t req_prod)
{
	atomic_store((_Atomic uint32_t *)r->shared, req_prod);
}

bool front_ring_take(struct xenhost_front_ring *r, void *rsp, size_t size)
{
	uint8_t whole[XENHOST_PAGE_SIZE];
	int got = xenhost_front_ring_get(r, whole);

	/* a back end must not answer what was not asked */
	ck_assert_int_ge(got, 0);
	if (got)
		memcpy(rsp, whole, size);
	return got;
}
