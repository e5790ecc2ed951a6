/* SPDX-License-Identifier: MIT */
/*
 * A call is in `waiting` until it was sent, then in `sent` until its answer is there. When the connection
 * goes all of `sent` goes back to `waiting`: to open once more harms nobody, as an answer that was not taken
 * is closed with the connection.
 */
#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <event2/event.h>

#include "backend/opener.h"
#include "common/cleanup.h"
#include "common/fdpass.h"
#include "common/log.h"

struct opener {
	struct event_base *base;
	struct sockaddr_un addr;
	int fd; /* -1: not connected */
	struct event *event, *retry;
	struct list waiting, sent;
	uint32_t number;
	bool missed; /* was said */
};

static void disconnect(struct opener *o)
{
	if (o->event)
		event_free(o->event);
	o->event = NULL;
	closep(&o->fd);
	o->fd = -1;
	while (!list_empty(&o->sent)) {
		struct opener_call *call = list_entry(o->sent.next, struct opener_call, link);

		list_remove(&call->link);
		list_append(&o->waiting, &call->link);
	}
}

static void try_later(struct opener *o)
{
	static const struct timeval soon = { .tv_usec = 50000 };

	if (!list_empty(&o->waiting))
		event_add(o->retry, &soon);
}

static struct opener_call *call_of(struct opener *o, uint32_t number)
{
	struct opener_call *call;

	list_for_each(call, &o->sent, link)
		if (call->request.number == number)
			return call;
	return NULL;
}

static void take_answer(struct opener *o, const struct open_answer *answer, int *fds, size_t nr_fds)
{
	struct opener_call *call = call_of(o, answer->number);

	if (!call) /* it was cancelled */
		return;
	list_remove(&call->link);
	call->done(call, answer, fds, nr_fds);
}

static void send_all(struct opener *o);

static void on_answer(evutil_socket_t fd, short what, void *data)
{
	struct opener *o = data;
	char buf[OPEN_MESSAGE_MAX];
	int fds[FDPASS_MAX];
	size_t nr_fds = 0;
	struct open_answer answer;
	ssize_t n = fdpass_recv(fd, MSG_DONTWAIT, buf, sizeof(buf), fds, &nr_fds);

	if (n == -EAGAIN)
		return;
	if (n > 0 && open_answer_parse(buf, (size_t)n, &answer) == 0) {
		take_answer(o, &answer, fds, nr_fds);
		fdpass_close(fds, nr_fds);
		send_all(o);
		return;
	}
	if (n > 0)
		fdpass_close(fds, nr_fds);
	disconnect(o);
	try_later(o);
}

static int connect_now(struct opener *o)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&o->addr, sizeof(o->addr)) < 0)
		return -errno;
	o->event = event_new(o->base, fd, EV_READ | EV_PERSIST, on_answer, o);
	if (!o->event || event_add(o->event, NULL) < 0) {
		disconnect(o);
		return -ENOMEM;
	}
	o->fd = steal_fd(&fd);
	return 0;
}

static int send_one(struct opener *o, struct opener_call *call)
{
	char buf[OPEN_MESSAGE_MAX];
	int n = open_request_build(&call->request, buf, sizeof(buf));

	return n < 0 ? n : fdpass_send(o->fd, buf, (size_t)n, NULL, 0);
}

/* Those that do not fit go when answers come. */
static void send_all(struct opener *o)
{
	while (!list_empty(&o->waiting)) {
		struct opener_call *call = list_entry(o->waiting.next, struct opener_call, link);
		int r = send_one(o, call);

		if (r == -EAGAIN && !list_empty(&o->sent))
			return;
		if (r < 0) {
			disconnect(o);
			try_later(o);
			return;
		}
		list_remove(&call->link);
		list_append(&o->sent, &call->link);
	}
}

static void go_on(struct opener *o)
{
	int r = o->fd < 0 ? connect_now(o) : 0;

	if (r < 0) {
		if (!o->missed)
			log_warning("cannot reach xenhost-opend at %s: %s; waiting for it",
				    o->addr.sun_path, strerror(-r));
		o->missed = true;
		try_later(o);
		return;
	}
	o->missed = false;
	send_all(o);
}

static void on_retry(evutil_socket_t fd, short what, void *data)
{
	go_on(data);
}

void opener_call_init(struct opener_call *call)
{
	list_init(&call->link);
}

int opener_ask(struct opener *o, struct opener_call *call)
{
	char buf[OPEN_MESSAGE_MAX];
	int r;

	call->request.number = ++o->number;
	r = open_request_build(&call->request, buf, sizeof(buf));
	if (r < 0)
		return r;
	list_remove(&call->link);
	list_append(&o->waiting, &call->link);
	go_on(o);
	return 0;
}

void opener_cancel(struct opener_call *call)
{
	list_remove(&call->link);
}

int opener_new(struct event_base *base, const char *path, struct opener **ret_opener)
{
	struct opener *o;

	if (strlen(path) >= sizeof(o->addr.sun_path))
		return -ENAMETOOLONG;
	o = calloc(1, sizeof(*o));
	if (!o)
		return -ENOMEM;
	o->base = base;
	o->fd = -1;
	o->addr.sun_family = AF_UNIX;
	strcpy(o->addr.sun_path, path);
	list_init(&o->waiting);
	list_init(&o->sent);
	o->retry = evtimer_new(base, on_retry, o);
	if (!o->retry) {
		free(o);
		return -ENOMEM;
	}
	*ret_opener = o;
	return 0;
}

static void forget(struct list *calls)
{
	while (!list_empty(calls))
		list_remove(calls->next);
}

struct opener *opener_free(struct opener *o)
{
	if (!o)
		return NULL;
	disconnect(o);
	forget(&o->waiting);
	event_free(o->retry);
	free(o);
	return NULL;
}
