/* SPDX-License-Identifier: MIT */
/* Requests: who may ask for what (one table), and what it does. */
#ifndef BRIDGED_DISPATCH_H
#define BRIDGED_DISPATCH_H

#include <stddef.h>

#include "common/bridge_wire.h"

struct client;
struct server;

/* answers, or drops the client. frame and fds stay the caller's */
void dispatch_request(struct client *c, const bridge_frame *frame, const int *fds, size_t nr_fds);

/* it has read all that was sent to it */
void dispatch_idle(struct client *c);

/* its guest dies with it; a service's domain stays */
void dispatch_client_gone(struct client *c);

/* after a restart, when there was time enough: guests whose owners are not back end */
void dispatch_end_waiting(struct server *s);

#endif
