/* SPDX-License-Identifier: MIT */
/*
 * One connection: its role (fixed by the socket it came through), requests in, answers and events out.
 * Messages that the peer does not read are kept up to a limit, then the peer is dropped; nothing blocks.
 * A client is freed only by the loop, never under the feet of a caller: client_drop() marks it.
 */
#ifndef BRIDGED_CLIENT_H
#define BRIDGED_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/bridge_wire.h"
#include "common/list.h"

struct domain;
struct event;
struct server;

struct client {
	struct list link;
	struct server *server;
	int fd;
	Bridge__Role role;
	const char *role_name; /* of the socket: "vmm", "tool", "store", a service's name */
	char name[64];	       /* what it says it is */
	bool greeted;
	bool dropped;
	bool watches_domains;
	bool traces;
	uint32_t trace_lost; /* lines since the last one that was sent */
	uint64_t number;     /* connections are counted */
	bool resync;	     /* missed news of domains: gets them all when its queue is empty */
	uint64_t only;	     /* unique id of the one domain it may reach, 0: no limit */
	struct domain
		*domain; /* whose rights it has: domain 0, a service, the guest it owns (or NULL) */
	uint64_t *attached; /* unique ids of guests */
	unsigned int nr_attached;
	struct event *readable, *writable;
	struct list queue;
	unsigned int nr_queued, nr_queued_fds;
};

/* takes fd. 0, -ENOSPC, -ENOMEM (fd is closed) */
int client_new(struct server *server, int fd, Bridge__Role role, const char *role_name,
	       struct domain *domain);
/* everything, at the end of the daemon */
void client_free_all(struct server *server);

/* frame goes out as it is, with duplicates of fds; failing that the client is dropped */
void client_send(struct client *c, const bridge_frame *frame, const int *fds, size_t nr_fds);

/* the same for a line of a trace, which is in no trace itself */
void client_send_quietly(struct client *c, const bridge_frame *frame);

/* the connection ends, soon, and with it what it owns; why: one line for the log, NULL for none */
void client_drop(struct client *c, const char *why);

#endif
