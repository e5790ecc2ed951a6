/* SPDX-License-Identifier: MIT */
/*
 * The table of transports: built-in ones, then what the program registered, then plug-ins. The only state that the
 * library has outside of a handle; entries are added, never changed or removed.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "libxenhost/internal.h"

#include "common/cleanup.h"

#define TRANSPORTS_MAX 16

static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static const struct xenhost_transport_ops *table[TRANSPORTS_MAX] = { &xh_transport_bridge,
								     &xh_transport_fake };
static struct xenhost_transport_ops copies[TRANSPORTS_MAX];

static const struct xenhost_transport_ops *lookup(const char *scheme, size_t len)
{
	for (size_t i = 0; i < TRANSPORTS_MAX && table[i]; i++)
		if (strlen(table[i]->scheme) == len && !memcmp(table[i]->scheme, scheme, len))
			return table[i];
	return NULL;
}

/* What is called without asking whether it is there, because something else is. */
static bool complete(const struct xenhost_transport_ops *ops)
{
	bool ports = ops->port_bind || ops->port_alloc;

	return ops->open && ops->close && ops->domid &&
	       (!ports || (ops->port_ack && ops->port_notify)) && !ops->map == !ops->unmap &&
	       !ops->io_begin == !ops->io_end && !ops->share == !ops->unshare &&
	       !ops->translate == !ops->put;
}

/* A table from a program built with an older or newer header: members beyond theirs or ours are not there. */
static int add(const struct xenhost_transport_ops *ops)
{
	if (lookup(ops->scheme, strlen(ops->scheme)))
		return -EEXIST;
	for (size_t i = 0; i < TRANSPORTS_MAX; i++) {
		if (table[i])
			continue;
		memcpy(&copies[i], ops, ops->size < sizeof(*ops) ? ops->size : sizeof(*ops));
		if (!complete(&copies[i])) {
			memset(&copies[i], 0, sizeof(copies[i]));
			return -EINVAL;
		}
		table[i] = &copies[i];
		return 0;
	}
	return -ENOSPC;
}

static bool scheme_valid(const char *scheme)
{
	size_t len = scheme ? strlen(scheme) : 0;

	return len && len <= XH_SCHEME_MAX &&
	       strspn(scheme, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

int xenhost_register_transport(const struct xenhost_transport_ops *ops)
{
	int r;

	if (!ops || ops->size < offsetof(struct xenhost_transport_ops, get_fd) ||
	    !scheme_valid(ops->scheme))
		return -EINVAL;
	pthread_mutex_lock(&table_lock);
	r = add(ops);
	pthread_mutex_unlock(&table_lock);
	return r;
}

static const struct xenhost_transport_ops *find(const char *scheme)
{
	const struct xenhost_transport_ops *ops;

	pthread_mutex_lock(&table_lock);
	ops = lookup(scheme, strlen(scheme));
	pthread_mutex_unlock(&table_lock);
	return ops;
}

int xh_uri_parse(xenhost_t *host, const char *uri, const struct xenhost_transport_ops **ret_ops,
		 const char **ret_address)
{
	const struct xenhost_transport_ops *ops;
	const char *colon = strchr(uri, ':');
	char scheme[XH_SCHEME_MAX + 1] = "";

	if (!colon || colon == uri)
		return -EINVAL;
	if ((size_t)(colon - uri) > XH_SCHEME_MAX)
		return -EPROTONOSUPPORT;
	memcpy(scheme, uri, (size_t)(colon - uri));
	if (!scheme_valid(scheme)) /* it becomes a file name */
		return -EPROTONOSUPPORT;
	ops = find(scheme);
	if (!ops) {
		int r = xh_plugin_load(host, scheme);

		if (r < 0)
			return r;
		ops = find(scheme);
	}
	*ret_ops = ops;
	*ret_address = colon + 1;
	return 0;
}
