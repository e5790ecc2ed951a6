/* SPDX-License-Identifier: MIT */
/*
 * What tools may look at: grant tables, and the messages of other connections. A tool that reads its lines too
 * slowly loses some and is told how many; it keeps nobody waiting.
 */
#ifndef BRIDGED_INSPECT_H
#define BRIDGED_INSPECT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/bridge.h"
#include "common/bridge_wire.h"

struct client;
struct domain;
struct server;

/* an answer's body, that needs no heap */
struct inspect_grants {
	Bridge__GrantList list;
	Bridge__GrantInfo infos[BRIDGE_GRANT_LIST_MAX], *pointers[BRIDGE_GRANT_LIST_MAX];
};

/* 0 or -errno */
int inspect_grants(const struct domain *d, uint32_t from, struct inspect_grants *ret_grants);

/*
 * Unmarks what to_domid left in use; -EBUSY while one of its connections is attached. Returns the number of
 * entries
 */
int inspect_settle(const struct server *s, const struct domain *d, uint16_t to_domid);

/* no other connection of c's domain is attached to d, or can come back to it soon */
bool inspect_alone(const struct client *c, const struct domain *d);

/* tells those who trace of a message of c */
void inspect_message(struct client *c, const bridge_frame *frame, size_t nr_fds, bool from_peer);

#endif
