/* SPDX-License-Identifier: MIT */
/* The sockets of RUNDIR/bridge: one per role, whose name and mode decide who may be what. */
#ifndef BRIDGED_SOCKETS_H
#define BRIDGED_SOCKETS_H

struct server;

/* makes the folders, takes the lock of the run directory, listens. 0 or -errno; logs what failed */
int sockets_open(struct server *server);
void sockets_close(struct server *server);

#endif
