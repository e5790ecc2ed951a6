/* SPDX-License-Identifier: MIT */
/*
 * What a back end asks of xenhost-opend: descriptors that it may not open itself. Everything in the main
 * thread. While opend is not there, calls wait for it; one that was under way when it went is asked again.
 */
#ifndef BACKEND_OPENER_H
#define BACKEND_OPENER_H

#include <stddef.h>

#include "common/list.h"
#include "common/open_wire.h"

struct event_base;
struct opener;

/* Embedded in what it is for. */
struct opener_call {
	struct list link; /* opener_call_init() it */
	struct open_request request;
	/* From the loop, once. Descriptors that it takes it sets to -1; the others are closed. */
	void (*done)(struct opener_call *call, const struct open_answer *answer, int *fds,
		     size_t nr_fds);
};

/* path: of the socket; nothing is connected yet. -ENAMETOOLONG, -ENOMEM */
int opener_new(struct event_base *base, const char *path, struct opener **ret_opener);
struct opener *opener_free(struct opener *opener); /* NULL; calls are forgotten */

void opener_call_init(struct opener_call *call);
/* The request's strings must live until done() or opener_cancel(); its number is set. 0, or what
 * open_request_build() says. */
int opener_ask(struct opener *opener, struct opener_call *call);
/* done() is not called any more; nothing happens if it was, or if it was never asked */
void opener_cancel(struct opener_call *call);

#endif
