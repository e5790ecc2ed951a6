/* SPDX-License-Identifier: MIT */
/*
 * How threads that have an event loop each ask one another for something: a letter is posted from any
 * thread and its fn runs in the thread of the mailbox. Letters are embedded in what they are about,
 * nothing is allocated, and there is never more than one of each on its way.
 */
#ifndef BACKEND_MAILBOX_H
#define BACKEND_MAILBOX_H

#include <pthread.h>

#include "common/list.h"

struct event;
struct event_base;

struct letter {
	struct list link; /* under the lock of the mailbox it is in */
	void (*fn)(struct letter *letter);
};

struct mailbox {
	pthread_mutex_t lock;
	struct list letters;
	int eventfd;
	struct event *event;
};

/* 0 or -errno; in the thread that runs base, or before it does */
int mailbox_init(struct mailbox *box, struct event_base *base);
/* what is still in it is not delivered */
void mailbox_fini(struct mailbox *box);

void letter_init(struct letter *letter, void (*fn)(struct letter *letter));
/* Any thread. One that is on its way already is not posted again. */
void mailbox_post(struct mailbox *box, struct letter *letter);
/* Blocks until letters come, and delivers them: for the thread of the mailbox when it cannot go on without. */
void mailbox_wait(struct mailbox *box);

#endif
