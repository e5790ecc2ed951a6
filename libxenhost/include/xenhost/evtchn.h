/* SPDX-License-Identifier: MIT */
/*
 * Event channels: each port is an object with a descriptor of its own, for epoll, libevent or io_uring.
 * ABI: Xen's public/event_channel.h. Port numbers are ours, in our domain.
 */
#ifndef XENHOST_EVTCHN_H
#define XENHOST_EVTCHN_H

#include <xenhost/xenhost.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct xenhost_port xenhost_port_t;

/*
 * Joins the port that domid offers to us; it is pending at once, so look at what it stands for after
 * binding. Binding again what our domain had bound (after a restart) gives the same channel.
 * -ESRCH (domain), -EINVAL (no such port), -EPERM (offered to another domain), -EBUSY (this handle has it),
 * -ENOSPC (no free port), -EMFILE
 */
XENHOST_API int xenhost_port_bind(xenhost_t *host, uint16_t domid, uint32_t remote_port,
				  xenhost_port_t **ret_port);
/* Offers a new port to domid */
XENHOST_API int xenhost_port_alloc(xenhost_t *host, uint16_t domid, xenhost_port_t **ret_port);
XENHOST_API xenhost_port_t *xenhost_port_close(xenhost_port_t *port); /* NULL */

XENHOST_API uint32_t xenhost_port_number(const xenhost_port_t *port);
/* readable = pending */
XENHOST_API int xenhost_port_fd(const xenhost_port_t *port);
/* 1 was pending and is not any more, 0 was not. Never blocks. Any thread */
XENHOST_API int xenhost_port_ack(xenhost_port_t *port);
/* Notifies the other end. Never blocks. Any thread. -EPIPE: it had made its descriptor hang, see the page */
XENHOST_API int xenhost_port_notify(xenhost_port_t *port);

#ifdef __cplusplus
}
#endif

#endif
