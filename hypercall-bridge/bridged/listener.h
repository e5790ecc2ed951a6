/* SPDX-License-Identifier: MIT */
/* The sockets of RUNDIR/bridge: one per role, whose name and mode decide who may be what. */
#ifndef BRIDGED_LISTENER_H
#define BRIDGED_LISTENER_H

struct server;

/* makes the folders, takes the lock of the run directory, listens. 0 or -errno; logs what failed */
int listener_open_all(struct server *server);
void listener_close_all(struct server *server);

#endif
