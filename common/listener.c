/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
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
#include "common/listener.h"
#include "common/log.h"

struct listener {
	int fd;
	bool ours; /* the socket's file is ours to remove, not systemd's */
	struct event *event, *again;
	struct sockaddr_un addr;
	listener_fn *fn;
	void *data;
};

struct listener *listener_free(struct listener *l)
{
	if (!l)
		return NULL;
	if (l->event)
		event_free(l->event);
	if (l->again)
		event_free(l->again);
	if (l->ours)
		unlink(l->addr.sun_path);
	closep(&l->fd);
	free(l);
	return NULL;
}

static void listener_freep(struct listener **l)
{
	listener_free(*l);
}

/* Without descriptors the connection stays where it is: looking again at once would only spin. */
static void pause_listener(struct listener *l)
{
	static const struct timeval pause = { .tv_usec = 100000 };

	log_warning("cannot take a connection on %s: %s; waiting for others to close",
		    l->addr.sun_path, strerror(errno));
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

	if (conn >= 0)
		l->fn(l->data, conn);
	else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
		pause_listener(l);
}

static int bind_path(struct listener *l)
{
	l->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0)
		return -errno;
	/* left over by one that was killed: the lock says that none runs */
	if (unlink(l->addr.sun_path) < 0 && errno != ENOENT)
		return -errno;
	if (bind(l->fd, (struct sockaddr *)&l->addr, sizeof(l->addr)) < 0)
		return -errno;
	l->ours = true;
	if (chmod(l->addr.sun_path, 0660) < 0 || listen(l->fd, SOMAXCONN) < 0)
		return -errno;
	return 0;
}

/* Its name is only what a unit calls it: where it listens decides who may come. */
static int adopt(struct listener *l)
{
	struct sockaddr_un addr = { 0 };
	socklen_t len = sizeof(addr);

	if (sd_is_socket(l->fd, AF_UNIX, SOCK_SEQPACKET, 1) <= 0)
		return -EINVAL;
	if (getsockname(l->fd, (struct sockaddr *)&addr, &len) < 0)
		return -errno;
	if (strncmp(addr.sun_path, l->addr.sun_path, sizeof(addr.sun_path)) != 0) {
		log_error("the unit listens on %.*s", (int)sizeof(addr.sun_path), addr.sun_path);
		return -EINVAL;
	}
	return fcntl(l->fd, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

static int start(struct listener *l, struct event_base *base, const char *path)
{
	int r;

	if (strlen(path) >= sizeof(l->addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(l->addr.sun_path, path);
	r = l->fd >= 0 ? adopt(l) : bind_path(l);
	if (r < 0)
		return r;
	l->event = event_new(base, l->fd, EV_READ | EV_PERSIST, on_connect, l);
	l->again = evtimer_new(base, on_again, l);
	return l->event && l->again && event_add(l->event, NULL) == 0 ? 0 : -ENOMEM;
}

int listener_new(struct event_base *base, const char *path, int fd, listener_fn *fn, void *data,
		 struct listener **ret_listener)
{
	_cleanup_close_ int own = fd;
	_cleanup_(listener_freep) struct listener *l = calloc(1, sizeof(*l));
	int r;

	if (l) {
		l->fd = steal_fd(&own);
		l->fn = fn;
		l->data = data;
		l->addr.sun_family = AF_UNIX;
	}
	r = l ? start(l, base, path) : -ENOMEM;
	if (r < 0)
		log_error("cannot listen on %s: %s", path, strerror(-r));
	else
		*ret_listener = steal_ptr(&l);
	return r;
}
