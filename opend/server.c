/* SPDX-License-Identifier: MIT */
/*
 * A service's socket owns its clients. A client that sends what is no request, or does not take its answers, is
 * dropped: it has nothing here that it could lose. Descriptors are closed as soon as they were sent.
 */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>
#include <systemd/sd-daemon.h>

#include "common/cleanup.h"
#include "common/listener.h"
#include "common/log.h"
#include "common/rundir.h"

#include "opend/opend.h"
#include "opend/server.h"

#define CLIENTS_MAX 256u /* of one service */

struct service_socket {
	struct list link;
	struct server *server;
	char name[SERVICE_NAME_MAX];
	struct listener *listener;
	struct list clients;
	unsigned int nr_clients;
};

struct client {
	struct list link;
	struct service_socket *socket;
	int fd;
	struct event *event;
};

static opend_op *const ops[OPEN_OP_MAX] = {
	[OPEN_IMAGE] = image_op,
	[OPEN_NBD] = nbd_op,
	[OPEN_TAP] = tap_op,
};

int result_error(struct result *result, int error, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(result->text, sizeof(result->text), fmt, ap);
	va_end(ap);
	return error;
}

/* --- clients --- */

static void client_free(struct client *c)
{
	list_remove(&c->link);
	c->socket->nr_clients--;
	if (c->event)
		event_free(c->event);
	close(c->fd);
	free(c);
}

static int answer(struct client *c, uint32_t number, int error, struct result *result)
{
	const struct open_answer a = {
		.number = number,
		.error = error,
		.value = error ? 0 : result->value,
		.text = result->text,
	};
	char buf[sizeof(struct open_answer) + OPEN_TEXT_MAX];
	int n = open_answer_build(&a, buf, sizeof(buf));
	int r = n < 0 ? n
		      : fdpass_send(c->fd, buf, (size_t)n, result->fds, error ? 0 : result->nr_fds);

	fdpass_close(result->fds, result->nr_fds);
	return r;
}

static int obey(struct client *c, const struct open_request *request)
{
	struct result result = { 0 };
	const char *name = c->socket->name;
	int r;

	if (!ops[request->op])
		r = result_error(&result, -EOPNOTSUPP, "this xenhost-opend cannot do that");
	else
		r = ops[request->op](c->socket->server->conf, name, request, &result);
	if (r < 0)
		log_info("%s: refused %s: %s", name,
			 request->nr_strings ? request->strings[0] : "(nothing)", result.text);
	else
		log_debug("%s: opened %s", name, request->strings[0]);
	return answer(c, request->number, r, &result);
}

/* What comes with a request is nobody's, and closed. */
static void on_request(evutil_socket_t fd, short what, void *data)
{
	struct client *c = data;
	char buf[OPEN_MESSAGE_MAX];
	int fds[FDPASS_MAX];
	size_t nr_fds = 0;
	struct open_request request;
	ssize_t n = fdpass_recv(fd, MSG_DONTWAIT, buf, sizeof(buf), fds, &nr_fds);

	if (n == -EAGAIN)
		return;
	if (n > 0)
		fdpass_close(fds, nr_fds);
	if (n <= 0) {
		client_free(c);
		return;
	}
	if (open_request_parse(buf, (size_t)n, &request) < 0) {
		log_warning("%s: a message that is no request; its sender is dropped",
			    c->socket->name);
		client_free(c);
		return;
	}
	if (obey(c, &request) < 0)
		client_free(c);
}

static int client_new(struct service_socket *ss, int fd)
{
	struct client *c = calloc(1, sizeof(*c));

	if (!c) {
		close(fd);
		return -ENOMEM;
	}
	c->socket = ss;
	c->fd = fd;
	list_append(&ss->clients, &c->link);
	ss->nr_clients++;
	c->event = event_new(ss->server->base, fd, EV_READ | EV_PERSIST, on_request, c);
	if (c->event && event_add(c->event, NULL) == 0)
		return 0;
	client_free(c);
	return -ENOMEM;
}

/* --- services --- */

static void on_connection(void *data, int fd)
{
	struct service_socket *ss = data;

	if (ss->nr_clients >= CLIENTS_MAX) {
		log_warning("%s.sock has %u connections; refusing one more", ss->name, CLIENTS_MAX);
		close(fd);
	} else if (client_new(ss, fd) < 0) {
		log_warning("refusing a connection on %s.sock: no memory", ss->name);
	}
}

static void socket_free(struct service_socket *ss)
{
	struct client *c, *tmp;

	list_for_each_safe(c, tmp, &ss->clients, link)
		client_free(c);
	list_remove(&ss->link);
	listener_free(ss->listener);
	free(ss);
}

/* fd: from systemd, or -1 */
static int socket_new(struct server *server, const char *name, int fd)
{
	struct service_socket *ss = calloc(1, sizeof(*ss));
	char path[PATH_MAX];

	if (!ss) {
		log_error("no memory for the socket %s.sock", name);
		return -ENOMEM;
	}
	ss->server = server;
	list_init(&ss->clients);
	list_append(&server->sockets, &ss->link);
	snprintf(ss->name, sizeof(ss->name), "%s", name);
	snprintf(path, sizeof(path), "%s/" OPEN_DIR "/%s.sock", server->rundir, name);
	return listener_new(server->base, path, fd, on_connection, ss, &ss->listener);
}

/* the descriptor that systemd passed as "listen-NAME", or -1 */
static int passed_fd(char **names, int n, const char *name)
{
	static const char prefix[] = "listen-";

	for (int i = 0; i < n; i++)
		if (!strncmp(names[i], prefix, strlen(prefix)) &&
		    !strcmp(names[i] + strlen(prefix), name))
			return SD_LISTEN_FDS_START + i;
	return -1;
}

static void free_names(char **names)
{
	for (char **name = names; name && *name; name++)
		free(*name);
	free(names);
}

static int open_sockets(struct server *server)
{
	char **names = NULL;
	int n = sd_listen_fds_with_names(1, &names), r = n < 0 ? n : 0;

	if (r < 0)
		log_error("cannot take the sockets of systemd: %s", strerror(-r));
	for (unsigned int i = 0; i < server->services.nr && r == 0; i++) {
		const char *name = server->services.entries[i].name;

		r = socket_new(server, name, passed_fd(names, n, name));
	}
	free_names(names);
	return r;
}

int server_open(struct server *server)
{
	int r = rundir_make(server->rundir, OPEN_DIR, 0750);

	if (r == 0)
		r = rundir_lock(server->rundir, OPEN_DIR "/lock", "xenhost-opend",
				&server->lock_fd);
	return r < 0 ? r : open_sockets(server);
}

void server_close(struct server *server)
{
	struct service_socket *ss, *tmp;

	list_for_each_safe(ss, tmp, &server->sockets, link)
		socket_free(ss);
	closep(&server->lock_fd);
	server->lock_fd = -1;
}
