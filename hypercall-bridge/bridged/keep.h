/* SPDX-License-Identifier: MIT */
/*
 * Deposits: descriptors that services leave here (journals, TAP queues), so that their next process finds
 * them. By the socket's name and a name of the service's choice. Owns its duplicates.
 */
#ifndef BRIDGED_KEEP_H
#define BRIDGED_KEEP_H

#include <stdint.h>

#include "common/list.h"

struct state;
struct state_deposit;

struct keep_table {
	struct list all;
	struct state *state;
	uint64_t last_number;
};

/* state: NULL, deposits end with the daemon */
void keep_table_init(struct keep_table *t, struct state *state);
/* what is kept stays */
void keep_table_fini(struct keep_table *t);

/* keeps a duplicate of fd. 0, -EINVAL (name), -ENOSPC, -ENOMEM, -errno */
int keep_put(struct keep_table *t, const char *socket, const char *name, int fd);
/* the descriptor, still the table's, or -ENOENT */
int keep_get(const struct keep_table *t, const char *socket, const char *name);
/* 0 or -ENOENT */
int keep_drop(struct keep_table *t, const char *socket, const char *name);

/* One that is kept, with its descriptor, which it takes. 1: an older one of the name was replaced; -ENOMEM */
int keep_restore(struct keep_table *t, uint32_t slot, const struct state_deposit *kept, int fd);

#endif
