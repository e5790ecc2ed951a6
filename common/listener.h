/* SPDX-License-Identifier: MIT */
/*
 * Listening sockets (SOCK_SEQPACKET) whose path says who may come: made here, with mode 0660, or by a unit of
 * systemd, which gave them owner and mode and takes them away. Not thread safe.
 */
#ifndef COMMON_LISTENER_H
#define COMMON_LISTENER_H

struct event_base;
struct listener;

/* fd: a connection, non-blocking, the callee's now */
typedef void listener_fn(void *data, int fd);

/*
 * fd: from systemd, taken in any case; -1: a socket is made, in place of one that is there already (hold the
 * lock of the folder). 0 or -errno, logged.
 */
int listener_new(struct event_base *base, const char *path, int fd, listener_fn *fn, void *data,
		 struct listener **ret_listener);
/* connections stay; NULL is nothing; returns NULL */
struct listener *listener_free(struct listener *l);

#endif
