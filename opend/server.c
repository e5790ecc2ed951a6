/* SPDX-License-Identifier: MIT */
/*
 * A listener owns its clients. A client that sends what is no request, or does not take its answers, is
 * dropped: it has nothing here that it could lose. Descriptors are closed as soon as they were sent.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <event2/event.h>
#include <systemd/sd-daemon.h>

#include "common/cleanup.h"
#include "common/log.h"

#include "opend/opend.h"
#include "opend/server.h"

#define CLIENTS_MAX 256u /* of one service */

struct listener {
	struct list link;
	struct server *server;
	char name[SERVICE_NAME_MAX];
	struct sockaddr_un addr;
	int fd;
	bool adopted; /* systemd's */
	struct event *event, *again;
	struct list clients;
	unsigned int nr_clients;
};

struct client {
	struct list link;
	struct listener *listener;
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
	c->listener->nr_clients--;
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
	const char *name = c->listener->name;
	int r;

	if (!ops[request->op])
		r = result_error(&result, -EOPNOTSUPP, "this xenhost-opend cannot do that");
	else
		r = ops[request->op](c->listener->server->conf, name, request, &result);
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
			    c->listener->name);
		client_free(c);
		return;
	}
	if (obey(c, &request) < 0)
		client_free(c);
}

static int client_new(struct listener *l, int fd)
{
	struct client *c = calloc(1, sizeof(*c));

	if (!c) {
		close(fd);
		return -ENOMEM;
	}
	c->listener = l;
	c->fd = fd;
	list_append(&l->clients, &c->link);
	l->nr_clients++;
	c->event = event_new(l->server->base, fd, EV_READ | EV_PERSIST, on_request, c);
	if (c->event && event_add(c->event, NULL) == 0)
		return 0;
	client_free(c);
	return -ENOMEM;
}

/* --- listeners --- */

/* Without descriptors the connection stays where it is: looking again at once would only spin. */
static void pause_listener(struct listener *l)
{
	static const struct timeval pause = { .tv_usec = 100000 };

	log_warning("cannot take a connection on %s.sock: %s; waiting for others to close", l->name,
		    strerror(errno));
	event_del(l->event);
	event_add(l->again, &pause);
}

static void on_again(evutil_socket_t fd, short what, void *data)
{
	event_add(((struct listener *)data)->event, NULL);
}

static void on_connect(evutil_socket_t fd, short what, void *data)
{
	struct listener *l = data;
	int conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (conn < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
			pause_listener(l);
		return;
	}
	if (l->nr_clients >= CLIENTS_MAX) {
		log_warning("%s.sock has %u connections; refusing one more", l->name, CLIENTS_MAX);
		close(conn);
		return;
	}
	if (client_new(l, conn) < 0)
		log_warning("refusing a connection on %s.sock: no memory", l->name);
}

static void listener_free(struct listener *l)
{
	struct client *c, *tmp;

	list_for_each_safe(c, tmp, &l->clients, link)
		client_free(c);
	list_remove(&l->link);
	if (l->event)
		event_free(l->event);
	if (l->again)
		event_free(l->again);
	if (l->fd >= 0) {
		if (!l->adopted)
			unlink(l->addr.sun_path);
		close(l->fd);
	}
	free(l);
}

static int listener_listen(struct listener *l)
{
	l->event = event_new(l->server->base, l->fd, EV_READ | EV_PERSIST, on_connect, l);
	l->again = evtimer_new(l->server->base, on_again, l);
	return l->event && l->again && event_add(l->event, NULL) == 0 ? 0 : -ENOMEM;
}

static int listener_bind(struct listener *l)
{
	l->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0)
		return -errno;
	/* left over by one that was killed: the lock says that none runs */
	if (unlink(l->addr.sun_path) < 0 && errno != ENOENT)
		return -errno;
	if (bind(l->fd, (struct sockaddr *)&l->addr, sizeof(l->addr)) < 0)
		return -errno;
	if (chmod(l->addr.sun_path, 0660) < 0 || listen(l->fd, SOMAXCONN) < 0)
		return -errno;
	return listener_listen(l);
}

/* systemd's: it made the socket, with owner and mode, and takes it away */
static int listener_adopt(struct listener *l, int fd)
{
	if (sd_is_socket(fd, AF_UNIX, SOCK_SEQPACKET, 1) <= 0)
		return -EINVAL;
	l->fd = fd;
	l->adopted = true;
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	return listener_listen(l);
}

static int listener_new(struct server *server, const char *name, int fd)
{
	struct listener *l = calloc(1, sizeof(*l));
	int n, r;

	if (!l)
		return -ENOMEM;
	l->server = server;
	l->fd = -1;
	l->addr.sun_family = AF_UNIX;
	list_init(&l->clients);
	list_append(&server->listeners, &l->link);
	snprintf(l->name, sizeof(l->name), "%s", name);
	n = snprintf(l->addr.sun_path, sizeof(l->addr.sun_path), "%s/" OPEN_DIR "/%s.sock",
		     server->rundir, name);
	if (fd >= 0)
		r = listener_adopt(l, fd);
	else if (n < 0 || (size_t)n >= sizeof(l->addr.sun_path))
		r = -ENAMETOOLONG;
	else
		r = listener_bind(l);
	if (r < 0)
		log_error("cannot listen on %s/" OPEN_DIR "/%s.sock: %s", server->rundir, name,
			  strerror(-r));
	return r;
}

static int make_dir(const char *path)
{
	if (mkdir(path, 0750) == 0 || errno == EEXIST)
		return 0;
	log_error("cannot make the folder %s: %s; name another one with --rundir", path,
		  strerror(errno));
	return -errno;
}

static int take_lock(struct server *server, const char *dir)
{
	char path[4096];

	if (snprintf(path, sizeof(path), "%s/lock", dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	server->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (server->lock_fd < 0) {
		log_error("cannot open %s: %s", path, strerror(errno));
		return -errno;
	}
	if (flock(server->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	log_error("%s is held: another xenhost-opend serves this folder; end it or use another "
		  "--rundir",
		  path);
	return -EBUSY;
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

static int open_listeners(struct server *server)
{
	char **names = NULL;
	int n = sd_listen_fds_with_names(1, &names), r = n < 0 ? n : 0;

	for (unsigned int i = 0; i < server->services.nr && r == 0; i++) {
		const char *name = server->services.entries[i].name;

		r = listener_new(server, name, passed_fd(names, n, name));
	}
	free_names(names);
	return r;
}

int server_open(struct server *server)
{
	char dir[4096];
	int r;

	if (snprintf(dir, sizeof(dir), "%s/" OPEN_DIR, server->rundir) >= (int)sizeof(dir))
		return -ENAMETOOLONG;
	r = make_dir(server->rundir);
	if (r == 0)
		r = make_dir(dir);
	if (r == 0)
		r = take_lock(server, dir);
	return r < 0 ? r : open_listeners(server);
}

void server_close(struct server *server)
{
	struct listener *l, *tmp;

	list_for_each_safe(l, tmp, &server->listeners, link)
		listener_free(l);
	closep(&server->lock_fd);
	server->lock_fd = -1;
}
