/* SPDX-License-Identifier: MIT */
/* A front end's nodes: reading both folders, writing ours, publishing rings and ports. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "libxenhost/frontend.h"

static int node_path(const char *folder, const char *node, char **ret_path)
{
	char *path;

	if (!node || !*node || *node == '/')
		return -EINVAL;
	if (asprintf(&path, "%s/%s", folder, node) < 0)
		return -ENOMEM;
	*ret_path = path;
	return 0;
}

int xenhost_frontend_read_str(xenhost_frontend_t *front, int side, const char *node,
			      char **ret_value)
{
	_cleanup_free_ char *path = NULL, *value = NULL;
	size_t len;
	int r;

	if (!front || !ret_value || (side != XENHOST_FRONT && side != XENHOST_BACK))
		return -EINVAL;
	r = node_path(side == XENHOST_FRONT ? front->path : front->back_path, node, &path);
	if (r < 0)
		return r;
	r = xenhost_store_read(front->host, 0, path, &value, &len);
	if (r < 0)
		return r;
	if (len == 0)
		return -ENOENT;
	if (strlen(value) != len)
		return -EINVAL;
	*ret_value = steal_ptr(&value);
	return 0;
}

int xenhost_frontend_read_u64(xenhost_frontend_t *front, int side, const char *node, uint64_t max,
			      uint64_t *ret_value)
{
	_cleanup_free_ char *value = NULL;
	int r;

	if (!ret_value)
		return -EINVAL;
	r = xenhost_frontend_read_str(front, side, node, &value);
	return r < 0 ? r : xh_wire_number(value, strlen(value), max, ret_value);
}

static int write_node(xenhost_frontend_t *front, const char *node, const char *value)
{
	_cleanup_free_ char *path = NULL;
	int r = node_path(front->path, node, &path);

	if (r < 0)
		return r;
	return xenhost_store_write(front->host, 0, path, value, strlen(value));
}

int xenhost_frontend_printf(xenhost_frontend_t *front, const char *node, const char *fmt, ...)
{
	_cleanup_free_ char *value = NULL;
	va_list ap;
	int r;

	if (!front || !node || !fmt || !strcmp(node, "state"))
		return -EINVAL;
	va_start(ap, fmt);
	r = vasprintf(&value, fmt, ap);
	va_end(ap);
	if (r < 0) {
		value = NULL;
		return -ENOMEM;
	}
	return write_node(front, node, value);
}

/* --- states --- */

int xh_frontend_read_state(xenhost_frontend_t *front, const char *folder, uint32_t *ret_state)
{
	_cleanup_free_ char *path = NULL;
	uint64_t state;
	int r = node_path(folder, "state", &path);

	if (r < 0)
		return r;
	r = xenhost_store_read_u64(front->host, 0, path, XENHOST_STATE_RECONFIGURED, &state);
	if (r == -ENOENT || r == -EACCES || r == -EINVAL || r == -ERANGE) {
		state = 0;
		r = 0;
	}
	if (r == 0)
		*ret_state = (uint32_t)state;
	return r;
}

struct state_write {
	xenhost_frontend_t *front;
	uint32_t state;
};

static int write_fn(xenhost_t *host, xenhost_txn_t txn, void *data)
{
	struct state_write *w = data;
	_cleanup_free_ char *path = NULL, *state_path = NULL, *back = NULL;
	int r = node_path(w->front->path, "backend", &path);

	if (r == 0)
		r = node_path(w->front->path, "state", &state_path);
	if (r == 0)
		r = xenhost_store_read(host, txn, path, &back, NULL);
	if (r < 0)
		return r;
	return xenhost_store_printf(host, txn, state_path, "%" PRIu32, w->state);
}

int xh_frontend_write_state(xenhost_frontend_t *front, uint32_t state)
{
	struct state_write w = { front, state };
	int r = xenhost_txn_run(front->host, write_fn, &w);

	if (r == 0)
		front->own = state;
	return r;
}

void xh_frontend_write_error(xenhost_frontend_t *front, int error, const char *what)
{
	_cleanup_free_ char *path = NULL;

	/* as the back end's, beside the folder of the devices */
	if (asprintf(&path, "error/%s/error", front->path) < 0) {
		path = NULL;
		return;
	}
	if (*front->path != '/')
		(void)xenhost_store_printf(front->host, 0, path, "%d %s: %s", abs(error), what,
					   strerror(abs(error)));
}

/* --- rings and ports --- */

static int publish_gref(xenhost_frontend_t *front, const char *node, size_t nr_pages, size_t i,
			uint32_t gref)
{
	char value[16], numbered[256];
	int n = nr_pages == 1 ? snprintf(numbered, sizeof(numbered), "%s", node)
			      : snprintf(numbered, sizeof(numbered), "%s%zu", node, i);

	if (n < 0 || (size_t)n >= sizeof(numbered))
		return -EINVAL;
	snprintf(value, sizeof(value), "%" PRIu32, gref);
	return write_node(front, numbered, value);
}

int xenhost_frontend_share_ring(xenhost_frontend_t *front, const char *node, size_t nr_pages,
				xenhost_share_t **ret_share)
{
	xenhost_share_t *share;
	int r;

	if (!front || !node || !ret_share)
		return -EINVAL;
	r = xenhost_share(front->host, front->back_domid, nr_pages, XENHOST_READ | XENHOST_WRITE,
			  &share);
	for (size_t i = 0; i < nr_pages && r == 0; i++) {
		r = publish_gref(front, node, nr_pages, i, xenhost_share_gref(share, i));
		if (r < 0)
			(void)xenhost_unshare(share); /* nobody looks before we say so */
	}
	if (r == 0)
		*ret_share = share;
	return r;
}

int xenhost_frontend_offer_port(xenhost_frontend_t *front, const char *node,
				xenhost_port_t **ret_port)
{
	xenhost_port_t *port;
	char value[16];
	int r;

	if (!front || !node || !ret_port)
		return -EINVAL;
	r = xenhost_port_alloc(front->host, front->back_domid, &port);
	if (r < 0)
		return r;
	snprintf(value, sizeof(value), "%" PRIu32, xenhost_port_number(port));
	r = write_node(front, node, value);
	if (r < 0)
		xenhost_port_close(port);
	else
		*ret_port = port;
	return r;
}
