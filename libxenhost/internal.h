/* SPDX-License-Identifier: MIT */
/*
 * Inside of libxenhost: the handle and what its modules offer each other, by the file that defines it.
 *
 *   xenhost_open -> uri.c (which transport) -> transport_*.c (ops)
 *   store.c: requests and answers over the byte stream of ops->store_connect; watch.c: its events
 *   domain.c: what the transport tells of domains; port.c, grant.c: thin, checked calls of ops
 *   backend.c, device.c: Xenbus, above store, port and grant only
 *
 * The handle has one epoll set (poll_fd): the transport's descriptor and the store connection.
 * xenhost_process() lets the transport work first (domains), then dispatches watch events.
 */
#ifndef LIBXENHOST_INTERNAL_H
#define LIBXENHOST_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include <xenhost/domain.h>
#include <xenhost/evtchn.h>
#include <xenhost/gnttab.h>
#include <xenhost/store.h>
#include <xenhost/transport.h>
#include <xenhost/xenhost.h>

#include "common/list.h"

struct xh_store;
struct xh_domains;

struct xenhost {
	const struct xenhost_transport_ops *ops;
	void *state;		    /* the transport's */
	int poll_fd;		    /* epoll: the transport and the store */
	struct xh_store *store;	    /* NULL until first used */
	struct xh_domains *domains; /* NULL without a domain watch */
	int store_timeout;	    /* ms, -1 none */
	struct list shares;
	unsigned int flags;	    /* XENHOST_OPEN_* */
	bool transport_checks_segs; /* xh_seg_valid() for each, in the loop that it has anyway */
	bool restricted;	    /* to only_domid */
	uint16_t only_domid;
	unsigned int log_topics;
	void (*log_fn)(xenhost_t *host, const char *topic, const char *line, void *data);
	void *log_data;
};

/* handle.c: fd joins or leaves the handle's epoll set */
int xh_poll_add(xenhost_t *host, int fd);
void xh_poll_remove(xenhost_t *host, int fd);

/* may we have to do with that domain? */
static inline bool xh_allowed(const xenhost_t *host, uint16_t domid)
{
	return !host->restricted || domid == host->only_domid;
}

static inline bool xh_seg_valid(const struct xenhost_seg *seg)
{
	return seg->len != 0 && (uint32_t)seg->offset + seg->len <= XENHOST_PAGE_SIZE;
}

/* log.c: nothing is formatted unless somebody listens. Any thread */
void xh_log_from_environment(xenhost_t *host);
void xh_log(xenhost_t *host, unsigned int topic, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
#define xh_trace(host, topic, ...)                            \
	do {                                                  \
		if ((host)->log_topics & (topic))             \
			xh_log((host), (topic), __VA_ARGS__); \
	} while (0)

/* uri.c: the ops of the scheme before ':', perhaps from a plug-in, and what is behind it */
#define XH_SCHEME_MAX 32
int xh_uri_parse(xenhost_t *host, const char *uri, const struct xenhost_transport_ops **ret_ops,
		 const char **ret_address);

/* plugin.c: registers SCHEME.so. -EPROTONOSUPPORT no such file, -EACCES not trusted, -ELIBBAD no plug-in */
int xh_plugin_load(xenhost_t *host, const char *scheme);

/* store.c: free(NULL) is fine. process: > 0 watch callbacks ran, 0, < 0 lost */
void xh_store_free(struct xh_store *store);
int xh_store_process(xenhost_t *host);

/* hypercall.c: numbers of values of an op that there is */
void xh_hypercall_shape(unsigned int op, size_t *ret_nr_args, size_t *ret_nr_results);

/* share.c: those that were never taken back; the transport is closed already */
void xh_shares_free(xenhost_t *host);

/* domain.c; snapshot: the transport is about to tell all domains anew, those that it does not tell are gone */
void xh_domains_snapshot(xenhost_t *host);
void xh_domains_free(struct xh_domains *domains);

/* transport_bridge.c */
extern const struct xenhost_transport_ops xh_transport_bridge;

/* transport_fake.c, for unit tests; transport_fake.h is their side of it */
extern const struct xenhost_transport_ops xh_transport_fake;

#endif
