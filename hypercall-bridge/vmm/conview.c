/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "hypercall-bridge/vmm/conview.h"

#define INPUT_MAX 512 /* of a viewer, read and not taken yet */

struct viewer {
	struct conview *owner;
	struct bufferevent *stream; /* NULL: free */
	int fd;
	int peer_fd; /* of a pseudoterminal: our own hold of the other end, else -1 */
	uint64_t lost;
};

struct conview {
	struct event_base *base;
	size_t (*take)(void *data, const char *text, size_t len);
	void *data;
	int listen_fd;
	struct event *listen_event;
	struct viewer viewers[CONVIEW_MAX];
	char history[CONVIEW_HISTORY];
	size_t history_len, history_at; /* length, and where the next byte goes */
};

int conview_new(struct event_base *base, size_t (*take)(void *data, const char *text, size_t len),
		void *data, struct conview **ret)
{
	struct conview *v = calloc(1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	v->base = base;
	v->take = take;
	v->data = data;
	v->listen_fd = -1;
	*ret = v;
	return 0;
}

static void viewer_end(struct viewer *w)
{
	if (!w->stream)
		return;
	bufferevent_free(w->stream);
	w->stream = NULL;
	closep(&w->fd);
	closep(&w->peer_fd);
}

struct conview *conview_free(struct conview *v)
{
	if (!v)
		return NULL;
	for (size_t i = 0; i < CONVIEW_MAX; i++)
		viewer_end(&v->viewers[i]);
	if (v->listen_event)
		event_free(v->listen_event);
	closep(&v->listen_fd);
	free(v);
	return NULL;
}

/* --- one viewer --- */

static void take_input(struct viewer *w)
{
	struct evbuffer *in = bufferevent_get_input(w->stream);
	char text[INPUT_MAX];
	ev_ssize_t n;

	while ((n = evbuffer_copyout(in, text, sizeof(text))) > 0) {
		size_t taken = w->owner->take(w->owner->data, text, (size_t)n);

		evbuffer_drain(in, taken);
		if (taken < (size_t)n)
			return; /* the rest waits there, and what is behind it unread */
	}
}

static void on_input(struct bufferevent *stream, void *data)
{
	take_input(data);
}

static void on_end(struct bufferevent *stream, short what, void *data)
{
	viewer_end(data);
}

static void send_history(const struct conview *v, struct bufferevent *stream)
{
	size_t start = (v->history_at + CONVIEW_HISTORY - v->history_len) % CONVIEW_HISTORY;
	size_t first = CONVIEW_HISTORY - start;

	if (first > v->history_len)
		first = v->history_len;
	bufferevent_write(stream, v->history + start, first);
	bufferevent_write(stream, v->history, v->history_len - first);
}

/* fd, and peer_fd if it is not -1, are the viewer's when this succeeds */
static int viewer_new(struct conview *v, int fd, int peer_fd)
{
	struct viewer *w = v->viewers;

	while (w < v->viewers + CONVIEW_MAX && w->stream)
		w++;
	if (w == v->viewers + CONVIEW_MAX)
		return -EBUSY;
	*w = (struct viewer){ .owner = v, .fd = fd, .peer_fd = peer_fd };
	w->stream = bufferevent_socket_new(v->base, fd, 0);
	if (!w->stream)
		return -ENOMEM;
	bufferevent_setcb(w->stream, on_input, NULL, on_end, w);
	bufferevent_setwatermark(w->stream, EV_READ, 0, INPUT_MAX);
	if (bufferevent_enable(w->stream, EV_READ | EV_WRITE) < 0) {
		bufferevent_free(w->stream);
		w->stream = NULL;
		return -ENOMEM;
	}
	send_history(v, w->stream);
	return 0;
}

/* --- the socket --- */

static void on_connect(evutil_socket_t fd, short what, void *data)
{
	struct conview *v = data;
	int viewer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (viewer < 0)
		return;
	if (viewer_new(v, viewer, -1) < 0) {
		log_warning("a console viewer is turned away: there are %d already", CONVIEW_MAX);
		close(viewer);
	}
}

/* A socket's file stays when its server dies. */
static int is_served(const struct sockaddr_un *addr)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	return connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0;
}

static int bind_socket(int fd, const struct sockaddr_un *addr)
{
	int r = is_served(addr);

	if (r != 0)
		return r < 0 ? r : -EADDRINUSE;
	if (unlink(addr->sun_path) < 0 && errno != ENOENT)
		return -errno;
	if (bind(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0)
		return -errno;
	return listen(fd, 4) < 0 ? -errno : 0;
}

int conview_listen(struct conview *v, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int r;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	v->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (v->listen_fd < 0)
		return -errno;
	r = bind_socket(v->listen_fd, &addr);
	if (r < 0)
		return r;
	v->listen_event = event_new(v->base, v->listen_fd, EV_READ | EV_PERSIST, on_connect, v);
	return v->listen_event && event_add(v->listen_event, NULL) == 0 ? 0 : -ENOMEM;
}

/* --- the pseudoterminal --- */

/* The guest's terminal is the one that echoes. */
static int make_raw(int fd)
{
	struct termios t;

	if (tcgetattr(fd, &t) < 0)
		return -errno;
	cfmakeraw(&t);
	return tcsetattr(fd, TCSANOW, &t) < 0 ? -errno : 0;
}

static int open_pty(int *ret_master, int *ret_slave, char *name, size_t size)
{
	_cleanup_close_ int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	_cleanup_close_ int slave = -1;
	int r;

	if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0)
		return -errno;
	r = ptsname_r(master, name, size);
	if (r != 0)
		return -r;
	/* without a hold of it, reading fails whenever nobody has it open */
	slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return -errno;
	r = make_raw(slave);
	if (r < 0)
		return r;
	*ret_master = steal_fd(&master);
	*ret_slave = steal_fd(&slave);
	return 0;
}

int conview_pty(struct conview *v, const char *link)
{
	_cleanup_close_ int master = -1, slave = -1;
	char name[64];
	int r = open_pty(&master, &slave, name, sizeof(name));

	if (r < 0)
		return r;
	if ((unlink(link) < 0 && errno != ENOENT) || symlink(name, link) < 0)
		return -errno;
	r = viewer_new(v, master, slave);
	if (r < 0)
		return r;
	steal_fd(&master);
	steal_fd(&slave);
	log_info("the console is on %s", name);
	return 0;
}

/* --- output, input --- */

static void remember(struct conview *v, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		v->history[v->history_at] = text[i];
		v->history_at = (v->history_at + 1) % CONVIEW_HISTORY;
	}
	v->history_len += len;
	if (v->history_len > CONVIEW_HISTORY)
		v->history_len = CONVIEW_HISTORY;
}

static void show(struct viewer *w, const char *text, size_t len)
{
	size_t waiting = evbuffer_get_length(bufferevent_get_output(w->stream));
	char note[64];

	if (waiting + len > CONVIEW_BUFFER) {
		w->lost += len;
		return;
	}
	if (w->lost) {
		int n = snprintf(note, sizeof(note), "\r\n[%" PRIu64 " bytes lost]\r\n", w->lost);

		bufferevent_write(w->stream, note, (size_t)n);
		w->lost = 0;
	}
	bufferevent_write(w->stream, text, len);
}

void conview_output(struct conview *v, const char *text, size_t len)
{
	remember(v, text, len);
	for (size_t i = 0; i < CONVIEW_MAX; i++)
		if (v->viewers[i].stream)
			show(&v->viewers[i], text, len);
}

void conview_resume(struct conview *v)
{
	for (size_t i = 0; i < CONVIEW_MAX; i++)
		if (v->viewers[i].stream)
			take_input(&v->viewers[i]);
}
