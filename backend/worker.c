/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>

#include <event2/event.h>

#include "backend/confine.h"
#include "backend/worker.h"

static void *worker_main(void *data)
{
	struct worker *w = data;

	w->error = w->confined ? confine_thread() : 0;
	sem_post(&w->ready);
	event_base_loop(w->base, EVLOOP_NO_EXIT_ON_EMPTY);
	return NULL;
}

static void on_end(struct letter *letter)
{
	struct worker *w = list_entry(letter, struct worker, end);

	event_base_loopbreak(w->base);
}

/*
 * Signals are the main thread's. Waits until the thread has confined itself: the main thread's filter
 * of system calls comes next and is for all threads, and does not let one give up capabilities.
 */
static int start_thread(struct worker *w)
{
	sigset_t all, old;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = -pthread_create(&w->thread, NULL, worker_main, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r < 0)
		return r;
	while (sem_wait(&w->ready) < 0)
		;
	return 0;
}

static int worker_init(struct worker *w)
{
	int r;

	letter_init(&w->end, on_end);
	w->base = event_base_new();
	if (!w->base)
		return -ENOMEM;
	r = mailbox_init(&w->box, w->base);
	if (r < 0) {
		event_base_free(w->base);
		return r;
	}
	sem_init(&w->ready, 0, 0);
	return 0;
}

static void worker_fini(struct worker *w)
{
	sem_destroy(&w->ready);
	mailbox_fini(&w->box);
	event_base_free(w->base);
}

static void end_thread(struct worker *w)
{
	mailbox_post(&w->box, &w->end);
	pthread_join(w->thread, NULL);
}

static int worker_start(struct worker *w, unsigned int number)
{
	char name[16];
	int r;

	r = worker_init(w);
	if (r < 0)
		return r;
	r = start_thread(w);
	if (r == 0 && w->error < 0) {
		r = w->error;
		end_thread(w);
	}
	if (r < 0) {
		worker_fini(w);
		return r;
	}
	snprintf(name, sizeof(name), "queues-%u", number);
	(void)pthread_setname_np(w->thread, name);
	return 0;
}

static unsigned int nr_cpus(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

	return n < 1 ? 1 : (unsigned int)n;
}

int workers_start(struct workers *workers, unsigned int nr)
{
	workers->nr = workers->next = 0;
	if (nr == 0)
		nr = nr_cpus();
	if (nr > WORKERS_MAX)
		nr = WORKERS_MAX;
	while (workers->nr < nr) {
		int r;

		workers->list[workers->nr].confined = workers->confined;
		r = worker_start(&workers->list[workers->nr], workers->nr);

		if (r < 0) {
			workers_stop(workers);
			return r;
		}
		workers->nr++;
	}
	return 0;
}

void workers_stop(struct workers *workers)
{
	while (workers->nr > 0) {
		struct worker *w = &workers->list[--workers->nr];

		end_thread(w);
		worker_fini(w);
	}
}

struct worker *workers_next(struct workers *workers)
{
	return &workers->list[workers->next++ % workers->nr];
}
