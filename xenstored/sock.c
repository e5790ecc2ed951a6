/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "xenstored/conn.h"
#include "xenstored/domain.h"
#include "xenstored/server.h"
#include "xenstored/sock.h"

#define ACCEPT_MAX 64 /* at once, then others get their turn */
#define BACKLOG 512
#define CONNS_MAX 1024	/* of one service's socket; domain 0 is bounded by its descriptors */
#define PAUSE_US 100000 /* without descriptors to accept with */

struct listener {
	struct list of_server;
	struct server *server;
	struct domain *domain;
	struct event *readable, *again;
	unsigned int nr_conns;
	unsigned int complaints; /* logged, or left out because there were too many */
	bool paused;
	int fd;
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
};

struct sock_conn {
	struct conn conn;
	struct listener *listener;
	struct event *readable, *writable;
	int fd;
	bool mute; /* the peer does not read any more, but may have sent */
};

static struct sock_conn *sock_of(struct conn *c)
{
	return list_entry(c, struct sock_conn, conn);
}

/* What clients do wrong is logged, but they cannot fill the log with it. */
static bool may_complain(struct listener *l)
{
	l->complaints++;
	return l->complaints <= 10 || l->complaints % 1000 == 0;
}

/* --- one connection --- */

static ssize_t sock_write(struct conn *c, const void *data, size_t len)
{
	struct sock_conn *sc = sock_of(c);
	ssize_t n;

	if (sc->mute)
		return (ssize_t)len;
	n = send(sc->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n >= 0)
		return n;
	if (errno == EAGAIN || errno == EINTR || errno == ENOBUFS || errno == ENOMEM)
		return 0;
	sc->mute = true;
	return (ssize_t)len;
}

static void sock_wait(struct conn *c, bool for_room, bool read)
{
	struct sock_conn *sc = sock_of(c);

	if (for_room)
		event_add(sc->writable, NULL);
	else
		event_del(sc->writable);
	if (read)
		event_add(sc->readable, NULL);
	else
		event_del(sc->readable);
}

static void close_fd(struct sock_conn *sc)
{
	if (sc->readable)
		event_free(sc->readable);
	if (sc->writable)
		event_free(sc->writable);
	sc->readable = sc->writable = NULL;
	if (sc->fd >= 0)
		close(steal_fd(&sc->fd));
}

static void sock_ended(struct conn *c, int error)
{
	struct sock_conn *sc = sock_of(c);

	if (error == -EPROTO && sc->listener && may_complain(sc->listener))
		log_warning("domain %u: client sent an impossible message, connection closed",
			    c->domain->domid);
	close_fd(sc);
	if (sc->listener)
		sc->listener->nr_conns--;
}

static void sock_free(struct conn *c)
{
	struct sock_conn *sc = sock_of(c);

	close_fd(sc);
	conn_fini(c);
	free(sc);
}

static const struct conn_ops sock_ops = {
	.write = sock_write,
	.wait = sock_wait,
	.ended = sock_ended,
	.free = sock_free,
};

static void on_readable(evutil_socket_t fd, short what, void *data)
{
	struct sock_conn *sc = data;
	struct server *s = sc->conn.server;
	ssize_t n = recv(fd, s->scratch, sizeof(s->scratch), MSG_DONTWAIT);

	if (n > 0)
		conn_input(&sc->conn, s->scratch, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		conn_end(&sc->conn, 0);
	server_settle_soon(s);
}

static void on_writable(evutil_socket_t fd, short what, void *data)
{
	struct sock_conn *sc = data;

	conn_mark(&sc->conn);
	server_settle_soon(sc->conn.server);
}

/* fd becomes the connection's, or is closed */
static int sock_new(struct listener *l, int fd)
{
	_cleanup_close_ int own = fd;
	struct sock_conn *sc = calloc(1, sizeof(*sc));

	if (!sc)
		return -ENOMEM;
	conn_init(&sc->conn, l->server, l->domain, &sock_ops);
	sc->fd = steal_fd(&own);
	sc->readable = event_new(l->server->base, fd, EV_READ | EV_PERSIST, on_readable, sc);
	sc->writable = event_new(l->server->base, fd, EV_WRITE | EV_PERSIST, on_writable, sc);
	if (!sc->readable || !sc->writable || event_add(sc->readable, NULL) < 0) {
		sock_free(&sc->conn);
		return -ENOMEM;
	}
	sc->listener = l;
	l->nr_conns++;
	return 0;
}

/* --- listening --- */

static void pause_listener(struct listener *l)
{
	static const struct timeval pause = { 0, PAUSE_US };

	if (!l->paused)
		log_warning("%s: cannot accept a connection (%s); waiting for others to close",
			    l->path, strerror(errno));
	l->paused = true;
	event_del(l->readable);
	event_add(l->again, &pause);
}

static void on_again(evutil_socket_t fd, short what, void *data)
{
	event_add(((struct listener *)data)->readable, NULL);
}

static void on_connect(evutil_socket_t listen_fd, short what, void *data)
{
	struct listener *l = data;

	for (int i = 0; i < ACCEPT_MAX; i++) {
		int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0) {
			if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
				pause_listener(l);
			return;
		}
		l->paused = false;
		if (l->domain->domid && l->nr_conns >= CONNS_MAX) {
			if (may_complain(l))
				log_warning("%s: more than %d connections, one refused", l->path,
					    CONNS_MAX);
			close(fd);
		} else if (sock_new(l, fd) < 0) {
			log_warning("%s: no memory for a connection", l->path);
		}
	}
}

static int bind_path(const char *path, int *ret_fd)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	mode_t mask;
	int r;

	if (fd < 0)
		return -errno;
	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, path, strlen(path));
	if (unlink(path) < 0 && errno != ENOENT) /* of a predecessor: the lock says it is gone */
		return -errno;
	mask = umask(0177);
	r = bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno : 0;
	umask(mask);
	if (r == 0 && listen(fd, BACKLOG) < 0)
		r = -errno;
	if (r == 0)
		*ret_fd = steal_fd(&fd);
	return r;
}

static void listener_free(struct listener *l)
{
	if (l->readable)
		event_free(l->readable);
	if (l->again)
		event_free(l->again);
	if (l->fd >= 0) {
		close(l->fd);
		unlink(l->path);
	}
	list_remove(&l->of_server);
	free(l);
}

static int listener_open(struct listener *l)
{
	int r = bind_path(l->path, &l->fd);

	if (r < 0)
		return r;
	l->readable = event_new(l->server->base, l->fd, EV_READ | EV_PERSIST, on_connect, l);
	l->again = evtimer_new(l->server->base, on_again, l);
	return l->readable && l->again && event_add(l->readable, NULL) == 0 ? 0 : -ENOMEM;
}

int sock_listen(struct server *s, const char *path, struct domain *d)
{
	struct listener *l = calloc(1, sizeof(*l));
	int n, r;

	if (!l) {
		log_error("no memory for the socket %s", path);
		return -ENOMEM;
	}
	l->server = s;
	l->domain = d;
	l->fd = -1;
	list_append(&s->listeners, &l->of_server);
	n = snprintf(l->path, sizeof(l->path), "%s/%s", s->rundir, path);
	r = (size_t)n < sizeof(l->path) ? listener_open(l) : -ENAMETOOLONG;
	if (r < 0) {
		log_error("cannot listen on %s/%s: %s", s->rundir, path, strerror(-r));
		listener_free(l);
	}
	return r;
}

void sock_close_all(struct server *s)
{
	struct listener *l, *tmp;

	list_for_each_safe(l, tmp, &s->listeners, of_server)
		listener_free(l);
}
