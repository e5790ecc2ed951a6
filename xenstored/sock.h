/* SPDX-License-Identifier: MIT */
/*
 * Unix sockets: one listener per domain that has one, and the connections that come in. The socket a
 * client could open says which domain it is.
 */
#ifndef XENSTORED_SOCK_H
#define XENSTORED_SOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conn;
struct domain;
struct server;

/* path is below the run directory. -errno, said why */
int sock_listen(struct server *s, const char *path, struct domain *d);
/*
 * Any path, which other Xenstores use as well: one that serves it is not touched, that is -EBUSY. The folder
 * is made. -errno, said why
 */
int sock_listen_shared(struct server *s, const char *path, struct domain *d);
/* sockets that systemd made; sock_listen() and sock_listen_shared() take those of their path */
int sock_take_activated(struct server *s);
void sock_close_all(struct server *s); /* listeners; the connections end with server_stop() */

int sock_pid(const struct conn *c); /* of the client, as far as the kernel knows it; 0: none */

/* for another program in our place: descriptors, and that they stay open in it or do not */
int sock_fd(const struct conn *c); /* -1: carried by something else */
void sock_each_listener(struct server *s,
			void (*fn)(void *data, uint16_t domid, int fd, const char *path, bool ours),
			void *data);
int sock_stay_open(struct server *s, bool stay);

/*
 * What came from a predecessor. fd -1: only as if; else it becomes ours. A listener is served when
 * sock_listen() asks for its path; sock_drop_unused() closes the others.
 */
int sock_restore_listener(struct server *s, struct domain *d, const char *path, size_t len, int fd,
			  bool ours);
int sock_restore(struct server *s, struct domain *d, uint64_t number, int fd,
		 struct conn **ret_conn);
struct conn *sock_find(struct server *s, uint64_t number); /* or NULL */
void sock_drop_unused(struct server *s);

#endif
