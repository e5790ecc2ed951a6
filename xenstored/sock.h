/* SPDX-License-Identifier: MIT */
/*
 * Unix sockets: one listener per domain that has one, and the connections that come in. The socket a
 * client could open says which domain it is.
 */
#ifndef XENSTORED_SOCK_H
#define XENSTORED_SOCK_H

struct conn;
struct domain;
struct server;

/* path is below the run directory. -errno, said why */
int sock_listen(struct server *s, const char *path, struct domain *d);
void sock_close_all(struct server *s); /* listeners; the connections end with server_stop() */

#endif
