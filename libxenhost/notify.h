/* SPDX-License-Identifier: MIT */
/*
 * Notifications by eventfds that a peer has as well: see notify.c for what it may do to them.
 * Threads: notify_send() any; the others one at a time per object.
 */
#ifndef LIBXENHOST_NOTIFY_H
#define LIBXENHOST_NOTIFY_H

#include <stdint.h>

struct notify;

/*
 * For notifying `domid` of that handle by fd, which stays the caller's and is open until notify_free().
 * -ENOMEM, -EMFILE, -EAGAIN: no thread can be made
 */
int notify_new(const void *handle, uint16_t domid, struct notify **ret_notify);
void notify_set_fd(struct notify *n, int fd);
/* NULL */
struct notify *notify_free(struct notify *n);

/* 0, also when the other side has an event pending already; -EPIPE: it is not notified any more. Never hangs */
int notify_send(struct notify *n);

#endif
