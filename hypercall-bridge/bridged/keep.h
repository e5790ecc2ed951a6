/* SPDX-License-Identifier: MIT */
/*
 * Deposits: descriptors that services leave here (journals, TAP queues), so that their next process finds
 * them. By the socket's name and a name of the service's choice. Owns its duplicates.
 */
#ifndef BRIDGED_KEEP_H
#define BRIDGED_KEEP_H

#include "common/list.h"

struct keep_table {
	struct list all;
};

void keep_table_init(struct keep_table *t);
void keep_table_fini(struct keep_table *t);

/* keeps a duplicate of fd. 0, -EINVAL (name), -ENOSPC, -ENOMEM, -errno */
int keep_put(struct keep_table *t, const char *socket, const char *name, int fd);
/* the descriptor, still the table's, or -ENOENT */
int keep_get(const struct keep_table *t, const char *socket, const char *name);
/* 0 or -ENOENT */
int keep_drop(struct keep_table *t, const char *socket, const char *name);

#endif
