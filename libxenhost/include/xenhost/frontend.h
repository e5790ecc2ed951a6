/* SPDX-License-Identifier: MIT */
/*
 * Xenbus for front ends, the mirror of backend.h: follows one back end's state and calls the driver.
 * For processes that are a guest: over xen: inside of one, or as a loopback guest. xenhost_share() has
 * the pages. All callbacks run inside xenhost_process(), in its thread.
 *
 *   setup      the back end waits: share rings, offer ports, publish both; then the helper writes
 *              Initialised (3)
 *   connected  the back end is Connected: read its nodes, begin; then the helper writes Connected (4)
 *   stop       optional: no new requests from now on. The back end wants to close, or is gone, or
 *              xenhost_frontend_close() was called. After connected, or after setup alone
 *   closed     the back end has let go: take back what setup shared; once for each setup that succeeded
 *   event      optional: a node of the back end's folder changed while connected
 * setup and connected return 0 or -errno; on an error the device is closed in order, with an error node,
 * and closed follows if setup had succeeded.
 * A back end that is gone by force may leave pages in use: xenhost_unshare() says so.
 */
#ifndef XENHOST_FRONTEND_H
#define XENHOST_FRONTEND_H

#include <xenhost/backend.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct xenhost_frontend xenhost_frontend_t;

struct xenhost_frontend_ops {
	size_t size; /* sizeof(struct xenhost_frontend_ops): members are only ever appended */
	int (*setup)(xenhost_frontend_t *front);
	int (*connected)(xenhost_frontend_t *front);
	void (*stop)(xenhost_frontend_t *front);
	void (*closed)(xenhost_frontend_t *front);
	void (*event)(xenhost_frontend_t *front);
};

/*
 * path: our folder, as in "device/vbd/51712" of our home, or absolute; the toolstack has made it and put
 * `backend` and `backend-id` there (-ENOENT, -EINVAL). We begin anew, whatever our state was.
 */
XENHOST_API int xenhost_frontend_new(xenhost_t *host, const char *path,
				     const struct xenhost_frontend_ops *ops, void *data,
				     xenhost_frontend_t **ret_front);
/* Asks for an orderly end: Closing, then as the back end answers stop, Closed, closed */
XENHOST_API void xenhost_frontend_close(xenhost_frontend_t *front);
/*
 * NULL; calls stop and closed if they are due and leaves the store as it is. Before the handle is closed.
 * Also from within callbacks: then when that returns.
 */
XENHOST_API xenhost_frontend_t *xenhost_frontend_free(xenhost_frontend_t *front);

XENHOST_API void *xenhost_frontend_data(const xenhost_frontend_t *front);
XENHOST_API xenhost_t *xenhost_frontend_host(const xenhost_frontend_t *front);
XENHOST_API uint16_t xenhost_frontend_backend_domid(const xenhost_frontend_t *front);
/* ours as last seen or written: XENHOST_STATE_CLOSED after an orderly end */
XENHOST_API uint32_t xenhost_frontend_state(const xenhost_frontend_t *front);

/* side: XENHOST_FRONT or XENHOST_BACK; errors as xenhost_device_read_* */
XENHOST_API int xenhost_frontend_read_u64(xenhost_frontend_t *front, int side, const char *node,
					  uint64_t max, uint64_t *ret_value);
XENHOST_API int xenhost_frontend_read_str(xenhost_frontend_t *front, int side, const char *node,
					  char **ret_value);
/* writes a node of our folder; not "state" (-EINVAL) */
XENHOST_API int xenhost_frontend_printf(xenhost_frontend_t *front, const char *node,
					const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Shares nr_pages with the back end for reading and writing and publishes the gref in `node`, or those of
 * several in node0, node1 ... */
XENHOST_API int xenhost_frontend_share_ring(xenhost_frontend_t *front, const char *node,
					    size_t nr_pages, xenhost_share_t **ret_share);
/* offers a port to the back end and publishes its number */
XENHOST_API int xenhost_frontend_offer_port(xenhost_frontend_t *front, const char *node,
					    xenhost_port_t **ret_port);

#ifdef __cplusplus
}
#endif

#endif
