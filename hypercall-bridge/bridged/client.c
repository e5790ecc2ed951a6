/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "hypercall-bridge/bridged/client.h"

#include "common/bridge.h"
#include "common/cleanup.h"
#include "common/fdpass.h"
#include "common/log.h"
#include "hypercall-bridge/bridged/dispatch.h"
#include "hypercall-bridge/bridged/inspect.h"
#include "hypercall-bridge/bridged/limits.h"
#include "hypercall-bridge/bridged/server.h"

struct message {
	struct list link;
	size_t len;
	int fds[FDPASS_MAX];
	size_t nr_fds;
	uint8_t bytes[];
};

static void message_free(struct message *m)
{
	list_remove(&m->link);
	fdpass_close(m->fds, m->nr_fds);
	free(m);
}

static void client_free(struct client *c)
{
	struct message *m, *tmp;

	list_remove(&c->link);
	c->server->nr_clients--;
	c->server->nr_tracers -= c->traces;
	if (c->readable)
		event_free(c->readable);
	if (c->writable)
		event_free(c->writable);
	list_for_each_safe(m, tmp, &c->queue, link)
		message_free(m);
	close(c->fd);
	free(c->attached);
	free(c);
}

void client_free_all(struct server *server)
{
	struct client *c, *tmp;

	list_for_each_safe(c, tmp, &server->clients, link)
		client_free(c);
}

/* The loop comes by as the descriptor is shut down, and frees it then. */
void client_drop(struct client *c, const char *why)
{
	if (c->dropped)
		return;
	c->dropped = true;
	if (why)
		log_warning("dropping %s on %s.sock: %s", *c->name ? c->name : "a peer",
			    c->role_name, why);
	shutdown(c->fd, SHUT_RDWR);
	event_active(c->readable, EV_READ, 0);
}

static int enqueue(struct client *c, const uint8_t *buf, size_t len, const int *fds, size_t nr_fds)
{
	struct message *m;

	if (c->nr_queued >= LIMIT_QUEUE || c->nr_queued_fds + nr_fds > LIMIT_QUEUED_FDS)
		return -ENOBUFS;
	m = malloc(sizeof(*m) + len);
	if (!m)
		return -ENOMEM;
	memcpy(m->bytes, buf, len);
	m->len = len;
	m->nr_fds = 0;
	list_init(&m->link);
	for (size_t i = 0; i < nr_fds; i++) {
		int fd = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);

		if (fd < 0) {
			message_free(m);
			return -errno;
		}
		m->fds[m->nr_fds++] = fd;
	}
	list_append(&c->queue, &m->link);
	c->nr_queued++;
	c->nr_queued_fds += (unsigned int)nr_fds;
	return event_add(c->writable, NULL) < 0 ? -ENOMEM : 0;
}

static void send_frame(struct client *c, const bridge_frame *frame, const int *fds, size_t nr_fds)
{
	uint8_t buf[BRIDGE_MESSAGE_MAX];
	long n = bridge_wire_pack(frame, buf, sizeof(buf));
	int r = n < 0 ? (int)n : -EAGAIN;

	if (c->dropped)
		return;
	if (n >= 0 && list_empty(&c->queue))
		r = fdpass_send(c->fd, buf, (size_t)n, fds, nr_fds);
	if (r == -EAGAIN)
		r = enqueue(c, buf, (size_t)n, fds, nr_fds);
	if (r == -EPIPE)
		client_drop(c, NULL);
	else if (r < 0)
		client_drop(c, strerror(-r));
}

void client_send(struct client *c, const bridge_frame *frame, const int *fds, size_t nr_fds)
{
	if (c->server->nr_tracers)
		inspect_message(c, frame, nr_fds, false);
	send_frame(c, frame, fds, nr_fds);
}

void client_send_quietly(struct client *c, const bridge_frame *frame)
{
	send_frame(c, frame, NULL, 0);
}

static void on_writable(evutil_socket_t fd, short what, void *data)
{
	struct client *c = data;

	while (!list_empty(&c->queue) && !c->dropped) {
		struct message *m = list_entry(c->queue.next, struct message, link);
		int r = fdpass_send(c->fd, m->bytes, m->len, m->fds, m->nr_fds);

		if (r == -EAGAIN && event_add(c->writable, NULL) == 0)
			return;
		if (r < 0) {
			client_drop(c, r == -EPIPE ? NULL : strerror(-r));
			return;
		}
		c->nr_queued_fds -= (unsigned int)m->nr_fds;
		c->nr_queued--;
		message_free(m);
	}
	if (!c->dropped)
		dispatch_idle(c);
}

static void take_request(struct client *c)
{
	uint8_t buf[BRIDGE_MESSAGE_MAX];
	int fds[FDPASS_MAX];
	size_t nr_fds = 0;
	bridge_frame *frame;
	ssize_t n = fdpass_recv(c->fd, MSG_DONTWAIT, buf, sizeof(buf), fds, &nr_fds);
	int r;

	if (n == -EAGAIN)
		return;
	if (n <= 0) {
		client_drop(c, n == 0 || n == -ECONNRESET ? NULL : strerror((int)-n));
		return;
	}
	r = bridge_wire_unpack(buf, (size_t)n, nr_fds, &frame);
	if (r == 0) {
		if (c->server->nr_tracers)
			inspect_message(c, frame, nr_fds, true);
		dispatch_request(c, frame, fds, nr_fds);
		bridge_wire_free(frame);
	} else {
		client_drop(c, "sent what is no frame of the bridge protocol");
	}
	fdpass_close(fds, nr_fds);
}

static void on_readable(evutil_socket_t fd, short what, void *data)
{
	struct client *c = data;

	/* One, then others have their turn. To look for a second costs as much as the loop, and mostly there is none. */
	if (!c->dropped)
		take_request(c);
	if (!c->dropped)
		return;
	dispatch_client_gone(c);
	client_free(c);
}

int client_new(struct server *server, int fd, Bridge__Role role, const char *role_name,
	       struct domain *domain)
{
	struct client *c = server->nr_clients < LIMIT_CLIENTS ? calloc(1, sizeof(*c)) : NULL;

	if (!c) {
		close(fd);
		return server->nr_clients < LIMIT_CLIENTS ? -ENOMEM : -ENOSPC;
	}
	c->server = server;
	c->number = ++server->last_client;
	c->fd = fd;
	c->role = role;
	c->role_name = role_name;
	c->domain = domain;
	list_init(&c->queue);
	list_append(&server->clients, &c->link);
	server->nr_clients++;
	c->readable = event_new(server->base, fd, EV_READ | EV_PERSIST, on_readable, c);
	c->writable = event_new(server->base, fd, EV_WRITE, on_writable, c);
	if (!c->readable || !c->writable || event_add(c->readable, NULL) < 0) {
		client_free(c);
		return -ENOMEM;
	}
	if (domain)
		domain->connections++;
	return 0;
}
