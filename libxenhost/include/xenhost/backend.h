/* SPDX-License-Identifier: MIT */
/*
 * Xenbus for back ends: watches backend/TYPE in our home, makes a device of each front end's folder that
 * the toolstack writes there, follows both states (public/io/xenbus.h) and calls the driver.
 * All callbacks run inside xenhost_process(), in its thread.
 *
 *   probe       a device appeared: publish features; then the helper goes to InitWait (2)
 *   connect     the front end is ready (3 or 4): map rings, bind ports; then the helper goes to Connected (4)
 *   disconnect  the front end closes or is gone: stop, unmap; called once for each connect that succeeded
 *   remove      optional: the device goes for good: release what probe made
 *   event       optional: a watched node of the front end's or our folder changed while connected
 *   closing     optional: our state is about to become Closed, after which the front end takes back all
 *               that it shared: nothing may be in use, also not from a predecessor with whose connection
 *               nobody went on. Perhaps more than once
 * probe and connect return 0 or -errno; on an error the helper writes the error node and goes to Closing,
 * and neither remove (of that probe) nor disconnect (of that connect) follows.
 * After remove the same device may be probed again, with its data NULL, when the front end comes back.
 * A probe that has to wait returns XENHOST_LATER: it is called again, with the data it has set, after
 * xenhost_device_continue(), or remove is, if the device goes in the meantime. So does a connect, which must not
 * have anything of the front end's in use then: that may close or go without a disconnect. A disconnect that has
 * to wait calls xenhost_device_defer(). Nothing of this may block: other devices are served by the same thread.
 * What probe, connect and event write with xenhost_device_printf() reaches the store together with the
 * change of state, in one transaction, after they have returned; of event only if it changes something.
 * A device whose state is Connected when the back end starts was a predecessor's: it is probed and
 * connected without another state in between.
 */
#ifndef XENHOST_BACKEND_H
#define XENHOST_BACKEND_H

#include <xenhost/evtchn.h>
#include <xenhost/gnttab.h>
#include <xenhost/store.h>
#include <xenhost/xenhost.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct xenhost_backend xenhost_backend_t;
typedef struct xenhost_device xenhost_device_t;

/* states of public/io/xenbus.h */
#define XENHOST_STATE_UNKNOWN 0u
#define XENHOST_STATE_INITIALISING 1u
#define XENHOST_STATE_INIT_WAIT 2u
#define XENHOST_STATE_INITIALISED 3u
#define XENHOST_STATE_CONNECTED 4u
#define XENHOST_STATE_CLOSING 5u
#define XENHOST_STATE_CLOSED 6u
#define XENHOST_STATE_RECONFIGURING 7u
#define XENHOST_STATE_RECONFIGURED 8u

#define XENHOST_LATER 1 /* result of probe and connect */

struct xenhost_backend_ops {
	size_t size;	  /* sizeof(struct xenhost_backend_ops): members are only ever appended */
	const char *type; /* as in backend/TYPE: "vbd", "vif" */
	int (*probe)(xenhost_device_t *dev);
	int (*connect)(xenhost_device_t *dev);
	void (*disconnect)(xenhost_device_t *dev);
	void (*remove)(xenhost_device_t *dev);
	void (*event)(xenhost_device_t *dev);
	void (*closing)(xenhost_device_t *dev);
};

/* ops must live as long as the back end. `data`: xenhost_backend_data() */
XENHOST_API int xenhost_backend_new(xenhost_t *host, const struct xenhost_backend_ops *ops,
				    void *data, xenhost_backend_t **ret_backend);
/*
 * NULL; disconnects and removes all devices and leaves the store as it is, for a successor. To be done
 * before the handle is closed. Also from within callbacks: that device is then removed when it returns.
 */
XENHOST_API xenhost_backend_t *xenhost_backend_free(xenhost_backend_t *backend);
XENHOST_API void *xenhost_backend_data(const xenhost_backend_t *backend);

XENHOST_API xenhost_t *xenhost_device_host(const xenhost_device_t *dev);
XENHOST_API xenhost_backend_t *xenhost_device_backend(const xenhost_device_t *dev);
XENHOST_API uint16_t xenhost_device_frontend_domid(const xenhost_device_t *dev);
XENHOST_API uint32_t xenhost_device_id(const xenhost_device_t *dev);
/* "vbd-1-51712", for messages */
XENHOST_API const char *xenhost_device_name(const xenhost_device_t *dev);
XENHOST_API void xenhost_device_set_data(xenhost_device_t *dev, void *data);
XENHOST_API void *xenhost_device_data(const xenhost_device_t *dev);

/* whose folder a node is in */
#define XENHOST_FRONT 0
#define XENHOST_BACK 1

/*
 * Node of one of the two folders. A missing or empty node gives -ENOENT; a number must be decimal
 * digits and nothing else (-EINVAL) and at most max (-ERANGE).
 */
XENHOST_API int xenhost_device_read_u64(xenhost_device_t *dev, int side, const char *node,
					uint64_t max, uint64_t *ret_value);
XENHOST_API int xenhost_device_read_str(xenhost_device_t *dev, int side, const char *node,
					char **ret_value);
/*
 * Writes a node of our folder, see above; outside of callbacks at once. -ENOENT when the folder is gone:
 * it is never made anew. "state" can be written as it is (4: the front end looks at "sectors" again).
 */
XENHOST_API int xenhost_device_printf(xenhost_device_t *dev, const char *node, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Maps the ring whose gref is in the front end's node (queue-N/ring-ref ...), or nr_pages grefs in
 * node0, node1 ... when nr_pages > 1; reads the port in the front end's node and binds it.
 */
XENHOST_API int xenhost_device_map_ring(xenhost_device_t *dev, const char *node, size_t nr_pages,
					xenhost_map_t **ret_map);
XENHOST_API int xenhost_device_bind_port(xenhost_device_t *dev, const char *node,
					 xenhost_port_t **ret_port);

/*
 * What the front end asked for within what the back end offered: multi-queue-num-queues, 1 if there is
 * none, and ring-page-order, 0 if there is none. 0, -EINVAL no number or zero queues, -ERANGE above max
 */
XENHOST_API int xenhost_device_queues(xenhost_device_t *dev, uint32_t max, uint32_t *ret_queues);
XENHOST_API int xenhost_device_ring_order(xenhost_device_t *dev, uint32_t max, uint32_t *ret_order);
/* Where the front end has a node of one of its nr queues: queue-N/NODE, or NODE when nr is 1. -ENAMETOOLONG */
XENHOST_API int xenhost_device_queue_node(uint32_t queue, uint32_t nr, const char *node, char *buf,
					  size_t size);

/*
 * In disconnect: it is over when the driver says xenhost_device_continue(), not when it returns; until then
 * nothing of this device is called and its state does not move. 0, or -EBUSY: the back end is being freed,
 * disconnect must be over when it returns. When the back end is freed later, remove comes at once and has
 * to finish what was deferred.
 */
XENHOST_API int xenhost_device_defer(xenhost_device_t *dev);
/* what had to wait can go on, from xenhost_process() */
XENHOST_API void xenhost_device_continue(xenhost_device_t *dev);
/* event will be called if the device is connected, as if a node had changed */
XENHOST_API void xenhost_device_look(xenhost_device_t *dev);

/*
 * The device is broken: one line into our error node (error/OUR-PATH/error), then Closing; disconnect
 * follows from xenhost_process(), not from inside this call.
 */
XENHOST_API void xenhost_device_fail(xenhost_device_t *dev, int error, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#ifdef __cplusplus
}
#endif

#endif
