/* SPDX-License-Identifier: MIT */
/*
 * A guest's life, as its toolstack leads it: build (paused), nodes, INTRODUCE, back ends, unpause; then
 * what the guest's options say about each of its ends; at last its removal. Used by xenhost run and
 * xenhost supervise. The vmm is our child and keeps a domain that ended by itself until we destroy it, so
 * that everybody can ask how it ended.
 */
#ifndef TOOLS_LIFE_H
#define TOOLS_LIFE_H

#include <stdbool.h>
#include <stdint.h>

#include <xenhost/domain.h>
#include <xenhost/xenhost.h>

#include "tools/process.h"

struct guest;
struct pollfd;

struct life {
	/* the caller's */
	const struct guest *guest;
	const char *rundir;   /* NULL: the system's */
	bool own_terminal;    /* the console is ours */
	struct pollfd *extra; /* waited for beside the guest */
	unsigned int nr_extra;
	/* one of extra is ready, or the wait was interrupted. < 0 ends the guest and life_run() */
	int (*on_extra)(struct life *l, void *data);
	void (*on_started)(struct life *l,
			   void *data); /* it runs, for the first time or again; NULL */
	void *data;

	xenhost_t *host;
	struct process vmm;
	struct xenhost_domain_info info; /* newest of the domain; domid 0: none was found */
	int64_t started_ms;
	int64_t deadline_ms; /* it was asked to power off, and is destroyed then; 0: no */
	bool stopping;	     /* it is not started again */
};

/*
 * From nothing to nothing: until the guest has ended for good. The exit status of the last vmm, or -errno,
 * logged. The caller has filled in its part and closes with life_fini().
 */
int life_run(struct life *l);
void life_fini(struct life *l);

/* for on_extra: asks the guest to power off and ends it after that time; again, or with 0: at once */
void life_stop(struct life *l, int patience_ms);

#endif
