/* SPDX-License-Identifier: MIT */
/* What main.c, the sockets and the clients share. One thread, one loop. */
#ifndef BRIDGED_SERVER_H
#define BRIDGED_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/list.h"
#include "common/service.h"
#include "hypercall-bridge/bridged/domain.h"
#include "hypercall-bridge/bridged/fdstore.h"
#include "hypercall-bridge/bridged/keep.h"

struct event_base;

struct server {
	struct event_base *base;
	const char *rundir;
	struct service_table services;
	struct domain_table domains;
	struct keep_table kept;
	struct fdstore fdstore;
	struct state *state; /* NULL: nothing outlives us */
	uint64_t instance;
	unsigned int return_seconds; /* that owners have to come back after a restart */
	struct event *return_timer;
	const char *policy_path; /* NULL: none */
	struct policy *policy;
	struct list clients;
	unsigned int nr_clients;
	unsigned int nr_tracers;
	uint64_t last_client; /* number */
	struct list doors;    /* sockets.c */
};

#endif
