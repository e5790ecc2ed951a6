/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <event2/event.h>

#include "backend/mailbox.h"

/* One at a time, so that a letter's fn may post it again or free what it is in. */
static struct letter *next_letter(struct mailbox *box)
{
	struct letter *letter = NULL;

	pthread_mutex_lock(&box->lock);
	if (!list_empty(&box->letters)) {
		letter = list_entry(box->letters.next, struct letter, link);
		list_remove(&letter->link);
	}
	pthread_mutex_unlock(&box->lock);
	return letter;
}

static void deliver(struct mailbox *box)
{
	struct letter *letter;
	eventfd_t count;

	(void)eventfd_read(box->eventfd, &count);
	while ((letter = next_letter(box)))
		letter->fn(letter);
}

static void on_letters(evutil_socket_t fd, short what, void *data)
{
	deliver(data);
}

int mailbox_init(struct mailbox *box, struct event_base *base)
{
	list_init(&box->letters);
	box->event = NULL;
	box->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (box->eventfd < 0)
		return -errno;
	pthread_mutex_init(&box->lock, NULL);
	box->event = event_new(base, box->eventfd, EV_READ | EV_PERSIST, on_letters, box);
	if (!box->event || event_add(box->event, NULL) < 0) {
		mailbox_fini(box);
		return -ENOMEM;
	}
	return 0;
}

void mailbox_fini(struct mailbox *box)
{
	if (box->event)
		event_free(box->event);
	close(box->eventfd);
	pthread_mutex_destroy(&box->lock);
}

void letter_init(struct letter *letter, void (*fn)(struct letter *letter))
{
	list_init(&letter->link);
	letter->fn = fn;
}

void mailbox_post(struct mailbox *box, struct letter *letter)
{
	pthread_mutex_lock(&box->lock);
	if (list_empty(&letter->link))
		list_append(&box->letters, &letter->link);
	/* under the lock: who gets the letter may free the mailbox's owner, but not before we let go */
	(void)eventfd_write(box->eventfd, 1);
	pthread_mutex_unlock(&box->lock);
}

void mailbox_wait(struct mailbox *box)
{
	struct pollfd p = { .fd = box->eventfd, .events = POLLIN };

	while (poll(&p, 1, -1) < 0 && errno == EINTR)
		;
	deliver(box);
}
