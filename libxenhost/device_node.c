/* SPDX-License-Identifier: MIT */
/*
 * A device's nodes: reading both folders, writing ours, the error node, and what drivers get from nodes.
 *
 * What a callback writes is collected in dev->writes; xh_device_commit() writes that and the state in one
 * transaction, which first reads our state: see device.h.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "libxenhost/device.h"

struct xh_device_write {
	struct list link;
	char *path;
	char *value;
	bool is_state;
};

/* --- paths and nodes --- */

bool xh_device_not_there(int r)
{
	return r == -ENOENT || r == -EACCES;
}

static int node_path(const xenhost_device_t *dev, int side, const char *node, char **ret_path)
{
	char *path;

	if (!node || !*node || *node == '/')
		return -EINVAL;
	if (asprintf(&path, "%s/%s", side == XENHOST_FRONT ? dev->front_path : dev->back_path,
		     node) < 0)
		return -ENOMEM;
	*ret_path = path;
	return 0;
}

int xenhost_device_read_str(xenhost_device_t *dev, int side, const char *node, char **ret_value)
{
	_cleanup_free_ char *path = NULL, *value = NULL;
	size_t len;
	int r;

	if (!dev || !ret_value || (side != XENHOST_FRONT && side != XENHOST_BACK))
		return -EINVAL;
	r = node_path(dev, side, node, &path);
	if (r < 0)
		return r;
	r = xenhost_store_read(dev->backend->host, 0, path, &value, &len);
	if (r < 0)
		return r;
	if (len == 0)
		return -ENOENT; /* as grub leaves its nodes behind */
	if (strlen(value) != len)
		return -EINVAL;
	*ret_value = steal_ptr(&value);
	return 0;
}

int xenhost_device_read_u64(xenhost_device_t *dev, int side, const char *node, uint64_t max,
			    uint64_t *ret_value)
{
	_cleanup_free_ char *value = NULL;
	int r;

	if (!ret_value)
		return -EINVAL;
	r = xenhost_device_read_str(dev, side, node, &value);
	return r < 0 ? r : xh_wire_number(value, strlen(value), max, ret_value);
}

/* --- writing our folder --- */

static void write_free(struct xh_device_write *w)
{
	list_remove(&w->link);
	free(w->path);
	free(w->value);
	free(w);
}

void xh_device_drop_writes(xenhost_device_t *dev)
{
	while (!list_empty(&dev->writes))
		write_free(list_entry(dev->writes.next, struct xh_device_write, link));
}

/* one of a path is enough, and is the limit of what a driver can make us keep */
static void replace_write(xenhost_device_t *dev, struct xh_device_write *w)
{
	struct xh_device_write *old, *tmp;

	list_for_each_safe(old, tmp, &dev->writes, link)
		if (!strcmp(old->path, w->path))
			write_free(old);
	list_append(&dev->writes, &w->link);
}

/* takes value over */
static int add_write(xenhost_device_t *dev, const char *node, char *value)
{
	struct xh_device_write *w = calloc(1, sizeof(*w));
	int r;

	if (!w) {
		free(value);
		return -ENOMEM;
	}
	list_init(&w->link);
	w->value = value;
	w->is_state = !strcmp(node, "state");
	r = node_path(dev, XENHOST_BACK, node, &w->path);
	if (r < 0) {
		write_free(w);
		return r;
	}
	if (strlen(w->path) + 1 + strlen(value) > XH_WIRE_PAYLOAD_MAX) {
		write_free(w);
		return -E2BIG;
	}
	replace_write(dev, w);
	return 0;
}

int xh_device_read_state(xenhost_device_t *dev, xenhost_txn_t txn, const char *folder,
			 uint32_t *ret_state)
{
	_cleanup_free_ char *path = NULL, *value = NULL;
	uint64_t state;
	size_t len;
	int r;

	if (asprintf(&path, "%s/state", folder) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	r = xenhost_store_read(dev->backend->host, txn, path, &value, &len);
	if (r < 0)
		return r;
	if (xh_wire_number(value, len, XENHOST_STATE_RECONFIGURED, &state) < 0)
		state = XH_XENBUS_GARBAGE;
	*ret_state = (uint32_t)state;
	return 0;
}

/* 1 the store says so already, 0 it does not */
static int same_value(xenhost_t *host, xenhost_txn_t txn, const struct xh_device_write *w)
{
	_cleanup_free_ char *value = NULL;
	size_t len;
	int r = xenhost_store_read(host, txn, w->path, &value, &len);

	if (r == -ENOENT)
		return 0;
	return r < 0 ? r : len == strlen(w->value) && !memcmp(value, w->value, len);
}

/* The state is a way to say "look again", so it is written when anything else is. */
static int any_change(xenhost_device_t *dev, xenhost_txn_t txn)
{
	struct xh_device_write *w;

	list_for_each(w, &dev->writes, link) {
		int r = w->is_state ? 1 : same_value(dev->backend->host, txn, w);

		if (r <= 0)
			return r < 0 ? r : 1;
	}
	return 0;
}

static int write_state(xenhost_device_t *dev, xenhost_txn_t txn, uint32_t state)
{
	_cleanup_free_ char *path = NULL;
	int r = node_path(dev, XENHOST_BACK, "state", &path);

	if (r < 0)
		return r;
	return xenhost_store_printf(dev->backend->host, txn, path, "%" PRIu32, state);
}

static int write_all(struct xh_device_commit *c, xenhost_txn_t txn)
{
	xenhost_t *host = c->dev->backend->host;
	struct xh_device_write *w;
	int r;

	list_for_each(w, &c->dev->writes, link) {
		r = xenhost_store_write(host, txn, w->path, w->value, strlen(w->value));
		if (r < 0)
			return r;
	}
	return c->state ? write_state(c->dev, txn, c->state) : 0;
}

static int commit_fn(xenhost_t *host, xenhost_txn_t txn, void *data)
{
	struct xh_device_commit *c = data;
	uint32_t own;
	int r;

	r = xh_device_read_state(c->dev, txn, c->dev->back_path, &own);
	if (r < 0)
		return xh_device_not_there(r) ? -ENOENT : r;
	if (c->own != XH_XENBUS_GARBAGE && own != c->own)
		return -ESTALE;
	if (c->only_changes) {
		r = any_change(c->dev, txn);
		if (r <= 0)
			return r;
	}
	return write_all(c, txn);
}

static bool passing(int r)
{
	return r == -ENOTCONN || r == -ECONNRESET || r == -EPROTO || r == -EAGAIN ||
	       r == -ETIMEDOUT || r == -ENOMEM;
}

int xh_device_commit(struct xh_device_commit *c)
{
	int r = 0;

	if (c->state || !list_empty(&c->dev->writes))
		r = xenhost_txn_run(c->dev->backend->host, commit_fn, c);
	if (!passing(r))
		xh_device_drop_writes(c->dev);
	if (r == 0 && c->state)
		c->dev->written = true;
	return r == -ESTALE ? XH_DEVICE_LOOK_AGAIN : r;
}

/* "state" may be written as it is: to a front end this says that something else has changed */
static bool state_allowed(const xenhost_device_t *dev, const char *node, const char *value)
{
	char own[16];

	snprintf(own, sizeof(own), "%" PRIu32, dev->own);
	return strcmp(node, "state") || !strcmp(value, own);
}

int xenhost_device_printf(xenhost_device_t *dev, const char *node, const char *fmt, ...)
{
	char *value;
	va_list ap;
	int r;

	if (!dev || !node || !fmt)
		return -EINVAL;
	va_start(ap, fmt);
	r = vasprintf(&value, fmt, ap);
	va_end(ap);
	if (r < 0)
		return -ENOMEM;
	if (!state_allowed(dev, node, value)) {
		free(value);
		return -EINVAL;
	}
	r = add_write(dev, node, value);
	if (r < 0 || dev->keep_writes)
		return r;
	r = xh_device_commit(&(struct xh_device_commit){ .dev = dev, .own = XH_XENBUS_GARBAGE });
	if (passing(r)) /* the caller is told, so it is not done behind his back later */
		write_free(list_entry(dev->writes.prev, struct xh_device_write, link));
	return r < 0 ? r : 0;
}

/* --- failing --- */

static char *error_path(const xenhost_device_t *dev, const char *node)
{
	char *path;

	if (asprintf(&path, "/local/domain/%" PRIu16 "/error/backend/%s/%" PRIu16 "/%" PRIu32 "%s",
		     xenhost_domid(dev->backend->host), dev->backend->ops.type, dev->front_domid,
		     dev->devid, node) < 0)
		return NULL;
	return path;
}

/* For people; that it cannot be written changes nothing for the device. */
void xh_device_write_error(xenhost_device_t *dev, int error, const char *text)
{
	_cleanup_free_ char *path = error_path(dev, "/error");

	if (path &&
	    xenhost_store_printf(dev->backend->host, 0, path, "%d %.512s", abs(error), text) == 0)
		dev->error_node = true;
}

void xh_device_clear_error(xenhost_device_t *dev)
{
	_cleanup_free_ char *path = NULL;

	if (!dev->error_node)
		return;
	dev->error_node = false;
	path = error_path(dev, "");
	if (path)
		(void)xenhost_store_rm(dev->backend->host, 0, path);
}

void xenhost_device_fail(xenhost_device_t *dev, int error, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	if (!dev || !fmt || dev->failed)
		return;
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	dev->failed = true;
	xh_device_write_error(dev, error, text ? text : "out of memory");
	if (!dev->ending)
		xh_work_queue(dev->backend->host->store, &dev->work);
}

/* --- for drivers --- */

xenhost_t *xenhost_device_host(const xenhost_device_t *dev)
{
	return dev->backend->host;
}

xenhost_backend_t *xenhost_device_backend(const xenhost_device_t *dev)
{
	return dev->backend;
}

uint16_t xenhost_device_frontend_domid(const xenhost_device_t *dev)
{
	return dev->front_domid;
}

uint32_t xenhost_device_id(const xenhost_device_t *dev)
{
	return dev->devid;
}

const char *xenhost_device_name(const xenhost_device_t *dev)
{
	return dev->name;
}

void xenhost_device_set_data(xenhost_device_t *dev, void *data)
{
	dev->data = data;
}

void *xenhost_device_data(const xenhost_device_t *dev)
{
	return dev->data;
}

static int read_gref(xenhost_device_t *dev, const char *node, uint32_t *ret_gref)
{
	uint64_t gref;
	int r = xenhost_device_read_u64(dev, XENHOST_FRONT, node, UINT32_MAX, &gref);

	if (r == 0)
		*ret_gref = (uint32_t)gref;
	return r;
}

int xenhost_device_map_ring(xenhost_device_t *dev, const char *node, size_t nr_pages,
			    xenhost_map_t **ret_map)
{
	uint32_t grefs[XENHOST_GRANTS_MAX];
	int r = 0;

	if (!dev || !node || !ret_map || nr_pages == 0 || nr_pages > XENHOST_GRANTS_MAX)
		return -EINVAL;
	if (nr_pages == 1)
		r = read_gref(dev, node, &grefs[0]);
	for (size_t i = 0; nr_pages > 1 && i < nr_pages && r == 0; i++) {
		char numbered[256];
		int n = snprintf(numbered, sizeof(numbered), "%s%zu", node, i);

		if (n < 0 || (size_t)n >= sizeof(numbered))
			return -EINVAL;
		r = read_gref(dev, numbered, &grefs[i]);
	}
	if (r < 0)
		return r;
	return xenhost_map_grants(dev->backend->host, dev->front_domid, grefs, nr_pages,
				  XENHOST_READ | XENHOST_WRITE, ret_map);
}

/* a number that may be missing */
static int read_optional(xenhost_device_t *dev, const char *node, uint32_t max, uint32_t absent,
			 uint32_t *ret_value)
{
	uint64_t value = absent;
	int r = xenhost_device_read_u64(dev, XENHOST_FRONT, node, max, &value);

	if (r < 0 && r != -ENOENT)
		return r;
	*ret_value = (uint32_t)value;
	return 0;
}

int xenhost_device_queues(xenhost_device_t *dev, uint32_t max, uint32_t *ret_queues)
{
	uint32_t queues = 0;
	int r;

	if (!dev || !ret_queues)
		return -EINVAL;
	r = read_optional(dev, "multi-queue-num-queues", max, 1, &queues);
	if (r < 0)
		return r;
	if (queues == 0)
		return -EINVAL;
	*ret_queues = queues;
	return 0;
}

int xenhost_device_ring_order(xenhost_device_t *dev, uint32_t max, uint32_t *ret_order)
{
	if (!dev || !ret_order)
		return -EINVAL;
	return read_optional(dev, "ring-page-order", max, 0, ret_order);
}

int xenhost_device_queue_node(uint32_t queue, uint32_t nr, const char *node, char *buf, size_t size)
{
	int n;

	if (!node || !buf || queue >= nr)
		return -EINVAL;
	n = nr == 1 ? snprintf(buf, size, "%s", node)
		    : snprintf(buf, size, "queue-%" PRIu32 "/%s", queue, node);
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

int xenhost_device_bind_port(xenhost_device_t *dev, const char *node, xenhost_port_t **ret_port)
{
	uint64_t port;
	int r;

	if (!dev || !ret_port)
		return -EINVAL;
	r = xenhost_device_read_u64(dev, XENHOST_FRONT, node, UINT32_MAX, &port);
	if (r < 0)
		return r;
	return xenhost_port_bind(dev->backend->host, dev->front_domid, (uint32_t)port, ret_port);
}
