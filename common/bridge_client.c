/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/bridge.h"
#include "common/bridge_client.h"
#include "common/cleanup.h"
#include "common/list.h"

/*
 * sock: the connection. Events met while a call waits for its answer go to `events`; as the socket is
 * then no longer readable, `kick` is, and `poll_fd` (an epoll set of both) is what the caller watches.
 */
struct bridge_client {
	int sock;
	int kick;
	int poll_fd;
	uint32_t next_id;
	bridge_frame *welcome;
	char *why;
	struct list events;
	unsigned int nr_events;
};

struct queued_event {
	struct list link;
	struct bridge_message message;
};

void bridge_message_fini(struct bridge_message *m)
{
	bridge_wire_free(m->frame);
	m->frame = NULL;
	fdpass_close(m->fds, m->nr_fds);
	m->nr_fds = 0;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int lose(struct bridge_client *c, int error)
{
	if (c->sock >= 0)
		shutdown(c->sock, SHUT_RDWR);
	return error;
}

/* 1 a message, 0 none now, -errno lost */
static int receive(struct bridge_client *c, struct bridge_message *ret)
{
	uint8_t buf[BRIDGE_MESSAGE_MAX];
	struct bridge_message m = { 0 };
	ssize_t n;
	int r;

	n = fdpass_recv(c->sock, MSG_DONTWAIT, buf, sizeof(buf), m.fds, &m.nr_fds);
	if (n == -EAGAIN)
		return 0;
	if (n == 0)
		return -ECONNRESET;
	if (n < 0)
		return lose(c, (int)n);
	r = bridge_wire_unpack(buf, (size_t)n, m.nr_fds, &m.frame);
	if (r < 0) {
		bridge_message_fini(&m);
		return lose(c, r);
	}
	*ret = m;
	return 1;
}

static int queue_event(struct bridge_client *c, struct bridge_message *m)
{
	struct queued_event *e;

	e = c->nr_events < BRIDGE_EVENTS_MAX ? malloc(sizeof(*e)) : NULL;
	if (!e) {
		bridge_message_fini(m);
		return lose(c, -ENOBUFS);
	}
	e->message = *m;
	list_append(&c->events, &e->link);
	if (c->nr_events++ == 0 && eventfd_write(c->kick, 1) < 0)
		return lose(c, -errno);
	return 0;
}

static int wait_readable(struct bridge_client *c, int64_t deadline)
{
	for (;;) {
		struct pollfd p = { .fd = c->sock, .events = POLLIN };
		int64_t left = deadline - now_ms();
		int r = poll(&p, 1, left > 0 ? (int)left : 0);

		if (r > 0)
			return 0;
		if (r == 0)
			return lose(c, -ETIMEDOUT);
		if (errno != EINTR)
			return -errno;
	}
}

static int wait_answer(struct bridge_client *c, uint32_t id, struct bridge_message *ret)
{
	int64_t deadline = now_ms() + BRIDGE_CALL_TIMEOUT_MS;

	for (;;) {
		struct bridge_message m;
		int r = receive(c, &m);

		if (r < 0)
			return r;
		if (r == 0) {
			r = wait_readable(c, deadline);
			if (r < 0)
				return r;
			continue;
		}
		if (m.frame->id == id) {
			*ret = m;
			return 0;
		}
		if (m.frame->id != 0) { /* an answer nobody asked for */
			bridge_message_fini(&m);
			return lose(c, -EPROTO);
		}
		r = queue_event(c, &m);
		if (r < 0)
			return r;
	}
}

static int answer_error(struct bridge_client *c, const bridge_frame *frame)
{
	free(c->why);
	c->why = strdup(frame->why);
	return frame->error > 0 && frame->error < 4096 ? -frame->error : -EPROTO;
}

int bridge_client_call(struct bridge_client *c, bridge_frame *body, const int *fds, size_t nr_fds,
		       Bridge__Frame__BodyCase expect, struct bridge_message *ret_answer)
{
	uint8_t buf[BRIDGE_MESSAGE_MAX];
	struct bridge_message m;
	long n;
	int r;

	body->id = c->next_id++;
	if (c->next_id == 0)
		c->next_id = 1;
	n = bridge_wire_pack(body, buf, sizeof(buf));
	if (n < 0)
		return (int)n;
	r = fdpass_send(c->sock, buf, (size_t)n, fds, nr_fds);
	if (r < 0)
		return r == -EPIPE ? -ENOTCONN : r;
	r = wait_answer(c, body->id, &m);
	if (r < 0)
		return r;
	if (m.frame->error)
		r = answer_error(c, m.frame);
	else if (m.frame->body_case != expect)
		r = lose(c, -EPROTO);
	if (r == 0 && ret_answer)
		*ret_answer = m;
	else
		bridge_message_fini(&m);
	return r;
}

const char *bridge_client_why(const struct bridge_client *c)
{
	return c->why ? c->why : "";
}

int bridge_client_event(struct bridge_client *c, struct bridge_message *ret_event)
{
	struct queued_event *e;
	eventfd_t count;

	if (list_empty(&c->events))
		return receive(c, ret_event);
	e = list_entry(c->events.next, struct queued_event, link);
	list_remove(&e->link);
	if (--c->nr_events == 0)
		(void)eventfd_read(c->kick, &count);
	*ret_event = e->message;
	free(e);
	return 1;
}

int bridge_client_fd(const struct bridge_client *c)
{
	return c->poll_fd;
}

const Bridge__Welcome *bridge_client_welcome(const struct bridge_client *c)
{
	return c->welcome->welcome;
}

static int connect_to(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = BRIDGE_CALL_TIMEOUT_MS / 1000 };
	_cleanup_close_ int sock = -1;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return -errno;
	if (setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
		return -errno;
	if (connect(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -errno;
	return steal_fd(&sock);
}

static int add_poll(int poll_fd, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };

	return epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

static int open_fds(struct bridge_client *c, const char *path)
{
	int r;

	c->sock = connect_to(path);
	if (c->sock < 0)
		return c->sock;
	c->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->kick < 0)
		return -errno;
	c->poll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (c->poll_fd < 0)
		return -errno;
	r = add_poll(c->poll_fd, c->sock);
	return r < 0 ? r : add_poll(c->poll_fd, c->kick);
}

static int say_hello(struct bridge_client *c, const char *name)
{
	Bridge__Hello hello = BRIDGE__HELLO__INIT;
	bridge_frame frame = BRIDGE__FRAME__INIT;
	struct bridge_message answer;
	int r;

	hello.version = BRIDGE_VERSION;
	hello.client = (char *)(uintptr_t)name;
	frame.body_case = BRIDGE__FRAME__BODY_HELLO;
	frame.hello = &hello;
	r = bridge_client_call(c, &frame, NULL, 0, BRIDGE__FRAME__BODY_WELCOME, &answer);
	if (r < 0)
		return r;
	if (answer.frame->welcome->version != BRIDGE_VERSION) {
		bridge_message_fini(&answer);
		return -EPROTONOSUPPORT;
	}
	c->welcome = steal_ptr(&answer.frame);
	bridge_message_fini(&answer);
	return 0;
}

int bridge_client_open(const char *path, const char *name, struct bridge_client **ret_client)
{
	_cleanup_(bridge_client_closep) struct bridge_client *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->sock = c->kick = c->poll_fd = -1;
	c->next_id = 1;
	list_init(&c->events);
	r = open_fds(c, path);
	if (r < 0)
		return r;
	r = say_hello(c, name);
	if (r < 0)
		return r;
	*ret_client = steal_ptr(&c);
	return 0;
}

static void drop_events(struct bridge_client *c)
{
	struct queued_event *e, *tmp;

	list_for_each_safe(e, tmp, &c->events, link) {
		list_remove(&e->link);
		bridge_message_fini(&e->message);
		free(e);
	}
}

struct bridge_client *bridge_client_close(struct bridge_client *c)
{
	if (!c)
		return NULL;
	drop_events(c);
	bridge_wire_free(c->welcome);
	closep(&c->sock);
	closep(&c->kick);
	closep(&c->poll_fd);
	free(c->why);
	free(c);
	return NULL;
}

void bridge_client_closep(struct bridge_client **c)
{
	bridge_client_close(*c);
}
