/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event.h>
#include <systemd/sd-daemon.h>

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
	bool ours; /* the socket's file is ours to remove */
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
static struct sock_conn *conn_open(struct server *s, struct domain *d, int fd)
{
	_cleanup_close_ int own = fd;
	struct sock_conn *sc = calloc(1, sizeof(*sc));

	if (!sc)
		return NULL;
	conn_init(&sc->conn, s, d, &sock_ops);
	sc->fd = steal_fd(&own);
	if (fd < 0)
		return sc;
	sc->readable = event_new(s->base, fd, EV_READ | EV_PERSIST, on_readable, sc);
	sc->writable = event_new(s->base, fd, EV_WRITE | EV_PERSIST, on_writable, sc);
	if (!sc->readable || !sc->writable || event_add(sc->readable, NULL) < 0) {
		sock_free(&sc->conn);
		return NULL;
	}
	return sc;
}

static int sock_new(struct listener *l, int fd)
{
	struct sock_conn *sc = conn_open(l->server, l->domain, fd);

	if (!sc)
		return -ENOMEM;
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

/* a service domain's: whoever has our group may be it, as with the sockets of bridged and opend */
static int bind_path(const char *path, bool service, int *ret_fd)
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
	mask = umask(service ? 0117 : 0177);
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
		if (l->ours)
			unlink(l->path);
	}
	list_remove(&l->of_server);
	free(l);
}

static int listener_open(struct listener *l)
{
	if (l->fd < 0) {
		int r = bind_path(l->path, l->domain->domid != 0, &l->fd);

		if (r < 0)
			return r;
		l->ours = true;
	}
	l->readable = event_new(l->server->base, l->fd, EV_READ | EV_PERSIST, on_connect, l);
	l->again = evtimer_new(l->server->base, on_again, l);
	return l->readable && l->again && event_add(l->readable, NULL) == 0 ? 0 : -ENOMEM;
}

static struct listener *listener_new(struct server *s, struct domain *d, const char *path,
				     size_t len)
{
	struct listener *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->server = s;
	l->domain = d;
	l->fd = -1;
	memcpy(l->path, path, len);
	list_append(&s->listeners, &l->of_server);
	return l;
}

static struct listener *find_listener(struct server *s, const char *path)
{
	struct listener *l;

	list_for_each(l, &s->listeners, of_server)
		if (!strcmp(l->path, path))
			return l;
	return NULL;
}

static int listen_on(struct server *s, const char *path, struct domain *d)
{
	struct listener *l = find_listener(s, path);
	int r;

	if (strlen(path) >= sizeof(l->path))
		return -ENAMETOOLONG;
	if (!l)
		l = listener_new(s, d, path, strlen(path));
	if (!l)
		return -ENOMEM;
	l->domain = d;
	r = listener_open(l);
	if (r < 0)
		listener_free(l);
	return r;
}

int sock_listen(struct server *s, const char *path, struct domain *d)
{
	char full[4096];
	const int n = snprintf(full, sizeof(full), "%s/%s", s->rundir, path);
	const int r = (size_t)n < sizeof(full) ? listen_on(s, full, d) : -ENAMETOOLONG;

	if (r < 0)
		log_error("cannot listen on %s: %s", full, strerror(-r));
	return r;
}

/* "name (process 1)" of who listens there, or "" when nobody does */
static void who_listens(const char *path, char *buf, size_t size)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);
	char comm[40] = "a process", proc[40];
	FILE *f;

	buf[0] = 0;
	if (fd < 0 || strlen(path) >= sizeof(addr.sun_path))
		return;
	memcpy(addr.sun_path, path, strlen(path));
	/* EAGAIN: somebody has more to do than it accepts */
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 && errno != EAGAIN)
		return;
	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
	snprintf(proc, sizeof(proc), "/proc/%d/comm", (int)cred.pid);
	f = fopen(proc, "re");
	if (f && fgets(comm, sizeof(comm), f))
		comm[strcspn(comm, "\n")] = 0;
	if (f)
		fclose(f);
	snprintf(buf, size, "%s (process %d)", comm, (int)cred.pid);
}

static int make_folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	char folder[sizeof(((struct sockaddr_un *)NULL)->sun_path)];

	if (!slash || slash == path || (size_t)(slash - path) >= sizeof(folder))
		return 0;
	memcpy(folder, path, (size_t)(slash - path));
	folder[slash - path] = 0;
	return mkdir(folder, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

int sock_listen_shared(struct server *s, const char *path, struct domain *d)
{
	char who[96] = "";
	int r;

	if (!find_listener(s, path))
		who_listens(path, who, sizeof(who));
	if (who[0]) {
		log_error("cannot serve %s: %s does; end that (systemctl stop xenstored), or start "
			  "with --xen-socket none",
			  path, who);
		return -EBUSY;
	}
	r = make_folder_of(path);
	if (r == 0)
		r = listen_on(s, path, d);
	if (r < 0)
		log_error("cannot listen on %s: %s; --xen-socket none leaves it out", path,
			  strerror(-r));
	return r;
}

int sock_take_activated(struct server *s)
{
	const int nr = sd_listen_fds(1);

	for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + nr; fd++) {
		struct sockaddr_un addr = { 0 };
		socklen_t len = sizeof(addr);
		int r;

		if (sd_is_socket(fd, AF_UNIX, SOCK_STREAM, 1) <= 0 ||
		    getsockname(fd, (struct sockaddr *)&addr, &len) < 0) {
			log_error("descriptor %d from systemd is no listening stream socket", fd);
			return -EINVAL;
		}
		if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
			return -errno;
		r = sock_restore_listener(s, domain_find(s, 0), addr.sun_path,
					  strnlen(addr.sun_path, sizeof(addr.sun_path)), fd, false);
		if (r < 0)
			return r;
	}
	return nr < 0 ? nr : 0;
}

/* --- one program in place of another --- */

int sock_fd(const struct conn *c)
{
	return c->ops == &sock_ops ? list_entry(c, const struct sock_conn, conn)->fd : -1;
}

int sock_pid(const struct conn *c)
{
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);
	const int fd = sock_fd(c);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return 0;
	return cred.pid;
}

void sock_each_listener(struct server *s,
			void (*fn)(void *data, uint16_t domid, int fd, const char *path, bool ours),
			void *data)
{
	const struct listener *l;

	list_for_each(l, &s->listeners, of_server)
		fn(data, l->domain->domid, l->fd, l->path, l->ours);
}

int sock_stay_open(struct server *s, bool stay)
{
	const int flags = stay ? 0 : FD_CLOEXEC;
	struct listener *l;
	struct conn *c;

	list_for_each(l, &s->listeners, of_server)
		if (fcntl(l->fd, F_SETFD, flags) < 0)
			return -errno;
	list_for_each(c, &s->conns, of_server)
		if (!c->dead && sock_fd(c) >= 0 && fcntl(sock_fd(c), F_SETFD, flags) < 0)
			return -errno;
	return 0;
}

int sock_restore_listener(struct server *s, struct domain *d, const char *path, size_t len, int fd,
			  bool ours)
{
	struct listener *l;

	if (len == 0 || len >= sizeof(l->path) || memchr(path, 0, len))
		return -EPROTO;
	l = listener_new(s, d, path, len);
	if (!l)
		return -ENOMEM;
	l->fd = fd;
	l->ours = ours;
	return fd >= 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? -errno : 0;
}

/* The limit counts connections by listener: any of their domain is as good. */
static struct listener *listener_of(struct server *s, const struct domain *d)
{
	struct listener *l;

	list_for_each(l, &s->listeners, of_server)
		if (l->domain == d)
			return l;
	return NULL;
}

int sock_restore(struct server *s, struct domain *d, uint64_t number, int fd,
		 struct conn **ret_conn)
{
	struct sock_conn *sc;

	if (fd >= 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return -errno;
	sc = conn_open(s, d, fd);
	if (!sc)
		return -ENOMEM;
	sc->conn.number = number;
	if (s->last_conn < number)
		s->last_conn = number;
	sc->listener = listener_of(s, d);
	if (sc->listener)
		sc->listener->nr_conns++;
	*ret_conn = &sc->conn;
	conn_mark(&sc->conn);
	return 0;
}

/* from the end: what is restored belongs to the last one most of the time */
struct conn *sock_find(struct server *s, uint64_t number)
{
	for (struct list *l = s->conns.prev; l != &s->conns; l = l->prev) {
		struct conn *c = list_entry(l, struct conn, of_server);

		if (c->number == number && !c->dead)
			return c;
	}
	return NULL;
}

void sock_drop_unused(struct server *s)
{
	struct listener *l, *tmp;
	struct conn *c;

	list_for_each_safe(l, tmp, &s->listeners, of_server) {
		if (l->readable)
			continue;
		log_warning("%s: no domain is served on this socket, it is closed", l->path);
		list_for_each(c, &s->conns, of_server)
			if (c->ops == &sock_ops && sock_of(c)->listener == l)
				sock_of(c)->listener = NULL;
		listener_free(l);
	}
}

void sock_close_all(struct server *s)
{
	struct listener *l, *tmp;

	list_for_each_safe(l, tmp, &s->listeners, of_server)
		listener_free(l);
}
