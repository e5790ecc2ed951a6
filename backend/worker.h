/* SPDX-License-Identifier: MIT */
/* Threads with an event loop each, among which the queues of devices are dealt out. */
#ifndef BACKEND_WORKER_H
#define BACKEND_WORKER_H

#include <semaphore.h>
#include <stdbool.h>

#include "backend/mailbox.h"

#define WORKERS_MAX 16u

struct worker {
	pthread_t thread;
	struct event_base *base; /* touched by the thread only, once it runs */
	struct mailbox box;
	struct letter end;
	bool confined;
	sem_t ready; /* it has confined itself, or */
	int error;   /* could not */
};

struct workers {
	bool confined; /* to be set before: the threads have no capabilities as soon as they are started */
	unsigned int nr;
	unsigned int next;
	struct worker list[WORKERS_MAX];
};

/* nr 0: as many as there are CPUs for us. 0 or -errno, with none running */
int workers_start(struct workers *workers, unsigned int nr);
/* nothing of anybody may be left in their loops */
void workers_stop(struct workers *workers);
/* the one whose turn it is */
struct worker *workers_next(struct workers *workers);

#endif
