/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/bridge.h"
#include "common/bridge_client.h"
#include "common/cleanup.h"
#include "common/list.h"

#define RETRY_FIRST_MS 5
#define RETRY_MAX_MS 250

/*
 * sock: the connection, -1 while there is none. Events met while a call waits for its answer go to
 * `events`; as the socket is then no longer readable, `kick` is, and `poll_fd` (an epoll set of both, and
 * of `retry`, a timer) is what the caller watches.
 */
struct bridge_client {
	char *path, *name;
	int sock;
	int kick;
	int retry;
	int poll_fd;
	bool polled; /* somebody watches it: sock is in it */
	uint32_t next_id;
	bridge_frame *welcome; /* the first one */
	char *why;
	struct list events;
	unsigned int nr_events;
	int (*resume)(struct bridge_client *c, void *data);
	void *resume_data;
	bool resuming;
	bool ended;	 /* lost for good */
	int64_t lost_at; /* 0: connected */
	int retry_ms;
	uint64_t unique_id; /* of the domain we own, 0: none */
	uint8_t secret[BRIDGE_SECRET_SIZE];
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

	clock_gettime(CLOCK_MONOTONIC_COARSE,
		      &ts); /* to some milliseconds, at a tenth of the cost */
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static bool may_resume(const struct bridge_client *c)
{
	return c->resume && !c->ended;
}

/* The connection is over. One that cannot be made again stays readable: its end is the event. */
static int lose(struct bridge_client *c, int error)
{
	if (c->sock < 0)
		return error;
	if (!may_resume(c)) {
		shutdown(c->sock, SHUT_RDWR);
		c->ended = true;
		return error;
	}
	(void)epoll_ctl(c->poll_fd, EPOLL_CTL_DEL, c->sock, NULL);
	close(steal_fd(&c->sock));
	if (c->lost_at == 0)
		c->lost_at = now_ms();
	return error;
}

/* 1 a message, 0 none now, -EMFILE one whose descriptors could not be taken, -errno lost */
static int receive(struct bridge_client *c, int flags, bool with_fds, struct bridge_message *ret)
{
	uint8_t buf[BRIDGE_MESSAGE_MAX];
	struct bridge_message m = { 0 };
	ssize_t n;
	int r;

	n = with_fds ? fdpass_recv(c->sock, flags, buf, sizeof(buf), m.fds, &m.nr_fds)
		     : fdpass_recv_bytes(c->sock, flags, buf, sizeof(buf));
	if (n == -EAGAIN)
		return 0;
	if (n == -EMFILE)
		return -EMFILE;
	if (n <= 0)
		return lose(c, n < 0 ? (int)n : -ECONNRESET);
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

/* Events have none. */
static bool has_fds(Bridge__Frame__BodyCase body)
{
	return body == BRIDGE__FRAME__BODY_ATTACHED || body == BRIDGE__FRAME__BODY_PORT ||
	       body == BRIDGE__FRAME__BODY_KEPT;
}

/* Blocks in recv(2) itself, which the socket's own limit ends: a poll(2) before it would cost as much again. */
static int wait_answer(struct bridge_client *c, uint32_t id, Bridge__Frame__BodyCase expect,
		       struct bridge_message *ret)
{
	int64_t deadline = 0;

	for (;;) {
		struct bridge_message m;
		int r = receive(c, 0, has_fds(expect), &m);

		if (r < 0) /* -EMFILE: it was our answer, as events have no descriptors */
			return r;
		if (r == 0)
			return lose(c, -ETIMEDOUT);
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
		if (deadline == 0) /* many events must not make it wait for ever */
			deadline = now_ms() + BRIDGE_CALL_TIMEOUT_MS;
		else if (now_ms() > deadline)
			return lose(c, -ETIMEDOUT);
	}
}

static int answer_error(struct bridge_client *c, const bridge_frame *frame)
{
	free(c->why);
	c->why = strdup(frame->why);
	return frame->error > 0 && frame->error < 4096 ? -frame->error : -EPROTO;
}

static int call_once(struct bridge_client *c, bridge_frame *body, const int *fds, size_t nr_fds,
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
	if (r == -EPIPE || r == -ECONNRESET)
		return lose(c, -ENOTCONN);
	if (r < 0)
		return r;
	r = wait_answer(c, body->id, expect, &m);
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
	if (setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ||
	    setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0)
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

static int connect_sock(struct bridge_client *c)
{
	int r;

	c->sock = connect_to(c->path);
	if (c->sock < 0)
		return c->sock;
	r = c->polled ? add_poll(c->poll_fd, c->sock) : 0;
	if (r < 0)
		close(steal_fd(&c->sock));
	return r;
}

/* Only now: each message to a socket that is in a set costs more, also for those who never wait for the set. */
int bridge_client_fd(struct bridge_client *c)
{
	int r = 0;

	if (!c->polled && c->sock >= 0)
		r = add_poll(c->poll_fd, c->sock);
	if (r < 0)
		return r;
	c->polled = true;
	return c->poll_fd;
}

static int open_fds(struct bridge_client *c)
{
	int r;

	c->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	c->retry = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	c->poll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (c->kick < 0 || c->retry < 0 || c->poll_fd < 0)
		return -errno;
	r = add_poll(c->poll_fd, c->kick);
	if (r == 0)
		r = add_poll(c->poll_fd, c->retry);
	return r < 0 ? r : connect_sock(c);
}

static int say_hello(struct bridge_client *c, struct bridge_message *ret_answer)
{
	Bridge__Hello hello = BRIDGE__HELLO__INIT;
	bridge_frame frame = BRIDGE__FRAME__INIT;
	uint32_t version;
	int r;

	hello.version = BRIDGE_VERSION;
	hello.client = c->name;
	frame.body_case = BRIDGE__FRAME__BODY_HELLO;
	frame.hello = &hello;
	r = call_once(c, &frame, NULL, 0, BRIDGE__FRAME__BODY_WELCOME, ret_answer);
	if (r < 0)
		return r;
	version = ret_answer->frame->welcome->version;
	if (version >= BRIDGE_VERSION_OLDEST && version <= BRIDGE_VERSION)
		return 0;
	bridge_message_fini(ret_answer);
	return -EPROTONOSUPPORT;
}

int bridge_client_open(const char *path, const char *name, struct bridge_client **ret_client)
{
	_cleanup_(bridge_client_closep) struct bridge_client *c = calloc(1, sizeof(*c));
	struct bridge_message answer;
	int r;

	if (!c)
		return -ENOMEM;
	c->sock = c->kick = c->poll_fd = c->retry = -1;
	c->next_id = 1;
	list_init(&c->events);
	c->path = strdup(path);
	c->name = strdup(name);
	if (!c->path || !c->name)
		return -ENOMEM;
	r = open_fds(c);
	if (r == 0)
		r = say_hello(c, &answer);
	if (r < 0)
		return r;
	c->welcome = steal_ptr(&answer.frame);
	bridge_message_fini(&answer);
	*ret_client = steal_ptr(&c);
	return 0;
}

/* --- after bridged was lost --- */

void bridge_client_set_resume(struct bridge_client *c,
			      int (*resume)(struct bridge_client *c, void *data), void *data)
{
	if (!c->welcome->welcome->kept)
		return;
	c->resume = resume;
	c->resume_data = data;
}

static int end(struct bridge_client *c)
{
	c->ended = true;
	(void)eventfd_write(c->kick, 1); /* whoever polls comes by and is told */
	return -ECONNRESET;
}

/* is it the bridged that knows us? */
static int greet_again(struct bridge_client *c)
{
	const Bridge__Welcome *was = c->welcome->welcome, *is;
	struct bridge_message answer;
	int r = say_hello(c, &answer);

	if (r < 0)
		return r;
	is = answer.frame->welcome;
	if (is->instance != was->instance || is->role != was->role)
		r = -ESTALE;
	bridge_message_fini(&answer);
	return r;
}

/* 0; -EAGAIN not now; -ECONNRESET never again */
static int reconnect(struct bridge_client *c)
{
	int r;

	if (now_ms() - c->lost_at >= BRIDGE_PATIENCE_MS)
		return end(c);
	if (connect_sock(c) < 0)
		return -EAGAIN;
	c->resuming = true;
	r = greet_again(c);
	if (r == 0)
		r = c->resume(c, c->resume_data);
	c->resuming = false;
	if (c->sock < 0) /* lost again */
		return -EAGAIN;
	if (r < 0) {
		lose(c, r);
		return end(c);
	}
	c->lost_at = 0;
	c->retry_ms = 0;
	return 0;
}

static int next_pause(struct bridge_client *c)
{
	c->retry_ms = c->retry_ms ? c->retry_ms * 2 : RETRY_FIRST_MS;
	if (c->retry_ms > RETRY_MAX_MS)
		c->retry_ms = RETRY_MAX_MS;
	return c->retry_ms;
}

/* for bridge_client_event(), which never waits */
static int reconnect_or_later(struct bridge_client *c)
{
	struct itimerspec when = { 0 };
	int r = reconnect(c);

	if (r != -EAGAIN)
		return r;
	when.it_value.tv_nsec = next_pause(c) * 1000000l;
	(void)timerfd_settime(c->retry, 0, &when, NULL); /* fails for no valid time */
	return 0;
}

/* for calls */
static int reconnect_and_wait(struct bridge_client *c)
{
	int r;

	while ((r = reconnect(c)) == -EAGAIN) {
		if (now_ms() - c->lost_at >= BRIDGE_CALL_TIMEOUT_MS) {
			(void)reconnect_or_later(c);
			return c->sock >= 0 ? 0 : -ENOTCONN;
		}
		(void)poll(NULL, 0, next_pause(c));
	}
	return r;
}

/* The first try was heard and done, but its answer was lost. */
static bool done_before(const bridge_frame *body, int error)
{
	switch (body->body_case) {
	case BRIDGE__FRAME__BODY_PORT_CLOSE:
		return error == -EINVAL;
	case BRIDGE__FRAME__BODY_KEEP:
		return body->keep->action == BRIDGE__KEEP__ACTION__DROP && error == -ENOENT;
	case BRIDGE__FRAME__BODY_DOMAIN_CONTROL:
		return body->domain_control->action == BRIDGE__CONTROL_ACTION__DESTROY &&
		       error == -ESRCH;
	default:
		return false;
	}
}

static int random_key(uint64_t *ret_key)
{
	uint64_t key = 0;

	while (key == 0)
		if (getrandom(&key, sizeof(key), 0) != sizeof(key))
			return -errno;
	*ret_key = key;
	return 0;
}

int bridge_client_call(struct bridge_client *c, bridge_frame *body, const int *fds, size_t nr_fds,
		       Bridge__Frame__BodyCase expect, struct bridge_message *ret_answer)
{
	bool again = false;
	int r = 0;

	if (body->body_case == BRIDGE__FRAME__BODY_PORT_ALLOC && !body->port_alloc->key)
		r = random_key(&body->port_alloc->key);
	if (r < 0)
		return r;
	if (c->resuming)
		return c->sock < 0 ? -ENOTCONN
				   : call_once(c, body, fds, nr_fds, expect, ret_answer);
	for (;;) {
		if (c->ended)
			return -ENOTCONN;
		if (c->sock < 0) {
			r = reconnect_and_wait(c);
			if (r < 0)
				return r;
		}
		r = call_once(c, body, fds, nr_fds, expect, ret_answer);
		if (c->sock >= 0 || !may_resume(c) || r == -ETIMEDOUT)
			return again && done_before(body, r) ? 0 : r;
		again = true;
	}
}

static int take_queued(struct bridge_client *c, struct bridge_message *ret_event)
{
	struct queued_event *e = list_entry(c->events.next, struct queued_event, link);
	eventfd_t count;

	list_remove(&e->link);
	if (--c->nr_events == 0 && !c->ended)
		(void)eventfd_read(c->kick, &count);
	*ret_event = e->message;
	free(e);
	return 1;
}

int bridge_client_event(struct bridge_client *c, struct bridge_message *ret_event)
{
	uint64_t count;
	int r;

	if (!list_empty(&c->events))
		return take_queued(c, ret_event);
	if (c->ended)
		return -ECONNRESET;
	if (c->sock >= 0) {
		r = receive(c, MSG_DONTWAIT, true, ret_event);
		if (r == -EMFILE)
			r = lose(c, -EPROTO);
		if (c->sock >= 0)
			return r;
	} else if (read(c->retry, &count, sizeof(count)) != sizeof(count)) {
		return 0;
	}
	r = reconnect_or_later(c);
	if (r == 0 && !list_empty(&c->events))
		return take_queued(c, ret_event);
	return r;
}

/* --- owners --- */

static int reattach(struct bridge_client *c, void *data)
{
	Bridge__DomainReattach msg = BRIDGE__DOMAIN_REATTACH__INIT;
	bridge_frame frame = BRIDGE__FRAME__INIT;

	if (!c->unique_id) /* it was lost while we created it */
		return 0;
	msg.unique_id = c->unique_id;
	msg.secret = (ProtobufCBinaryData){ sizeof(c->secret), c->secret };
	frame.body_case = BRIDGE__FRAME__BODY_DOMAIN_REATTACH;
	frame.domain_reattach = &msg;
	return bridge_client_call(c, &frame, NULL, 0, BRIDGE__FRAME__BODY_DOMAIN_CREATED, NULL);
}

int bridge_client_create_domain(struct bridge_client *c, Bridge__DomainCreate *create,
				const int *fds, size_t nr_fds, uint16_t *ret_domid,
				uint64_t *ret_unique_id)
{
	bridge_frame frame = BRIDGE__FRAME__INIT;
	struct bridge_message answer;
	int r;

	if (getrandom(c->secret, sizeof(c->secret), 0) != sizeof(c->secret))
		return -errno;
	create->secret = (ProtobufCBinaryData){ sizeof(c->secret), c->secret };
	bridge_client_set_resume(c, reattach, NULL);
	frame.body_case = BRIDGE__FRAME__BODY_DOMAIN_CREATE;
	frame.domain_create = create;
	r = bridge_client_call(c, &frame, fds, nr_fds, BRIDGE__FRAME__BODY_DOMAIN_CREATED, &answer);
	if (r < 0)
		return r;
	*ret_domid = (uint16_t)answer.frame->domain_created->domid;
	*ret_unique_id = c->unique_id = answer.frame->domain_created->unique_id;
	bridge_message_fini(&answer);
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
	closep(&c->retry);
	closep(&c->poll_fd);
	free(c->path);
	free(c->name);
	free(c->why);
	free(c);
	return NULL;
}

void bridge_client_closep(struct bridge_client **c)
{
	bridge_client_close(*c);
}
