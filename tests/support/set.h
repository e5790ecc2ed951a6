/* SPDX-License-Identifier: MIT */
/*
 * The daemons of this build as a set of their own in a temporary folder. Started once by main(), outside of
 * any test; tests talk to it by its sockets and cannot end it.
 */
#ifndef TESTS_SUPPORT_SET_H
#define TESTS_SUPPORT_SET_H

#include <xenhost/xenhost.h>

#include "tests/support/front.h"
#include "tools/process.h"

#define SET_SERVICES_MAX 3
#define SET_BLKBACK 32000
#define SET_NETBACK 32001

struct set {
	char rundir[64];
	struct process bridged, xenstored, opend, services[SET_SERVICES_MAX];
	unsigned int nr_services;
	const char *const *more_services; /* arguments */
	struct keeper *keeper;		  /* of bridged's descriptors, NULL: they end with it */
};

/*
 * bridged, xenstored, and opend, which opens images in the run directory, /dev, /var/tmp and
 * $XENHOST_BENCH_DIR. 0 or -errno; what is wrong was printed
 */
int set_start(struct set *set);
/* the same with a keeper, as xenhost run has one */
int set_start_kept(struct set *set);
/* with more service domains: --service NAME=DOMID ..., ended by NULL */
int set_start_services(struct set *set, const char *const *args);
/* bridged is killed; the next one gets what it left. 0 or -errno */
int set_kill_bridged(struct set *set);
int set_start_bridged(struct set *set);
/* opend again, after its end */
int set_start_opend(struct set *set);
/* one more daemon, with arguments of its own behind --rundir, ended by NULL */
int set_add(struct set *set, const char *name, const char *const *args);
/* both */
int set_start_with(struct set *set, const char *name, const char *const *args);
/* Ends all by SIGTERM; 0 when each ended with status 0, also those that ended before. */
int set_stop(struct set *set);

/* Ends bridged first: each service must then end by itself with status 1. 0, or -ECHILD */
int set_lose_host(struct set *set);

/* a tool's handle */
int set_open(const struct set *set, xenhost_t **ret_host);

/* A guest with its home in the store and a tool's handle, for front_init(); front_free(). Must not fail */
void set_guest(const struct set *set, const char *name, size_t nr_pages, struct front *f);

#endif
