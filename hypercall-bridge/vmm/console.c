/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "hypercall-bridge/vmm/conring.h"
#include "hypercall-bridge/vmm/console.h"
#include "hypercall-bridge/vmm/conview.h"

#define ESCAPE 0x1d /* ^] */
#define INPUT_MAX 512
#define EARLY_MAX 16384
#define OUTPUT_ROUNDS 32 /* before other events get their turn */
#define FLUSH_ROUNDS 16
#define FLUSH_PATIENCE_MS 500
/* a pipe that polls as writable takes this much without blocking */
#define CHUNK 2048

struct console {
	void *page;
	bool no_stdio;
	struct conview *view;
	struct conlog *log;
	void (*leave)(void *data);
	void *leave_data;
	struct event *guest_event, *in_event, *out_event;
	int from_guest; /* the guest notified us */
	int to_guest;
	bool broken; /* ring, or nobody reads our output any more: guest output is thrown away */
	bool in_closed;
	bool in_broken; /* the ring: nobody's input reaches the guest */
	bool in_polled; /* stdin can be waited for; a plain file cannot */
	bool raw;
	struct termios saved;
	char input[INPUT_MAX]; /* read, but the ring was full */
	size_t input_len;
	pthread_mutex_t early_lock; /* of early, early_len */
	size_t early_len;
	char early[EARLY_MAX];
};

static void notify(int fd)
{
	static const uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) < 0)
		return; /* full: a notification waits already */
}

static bool writable(int fd, int patience_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	return poll(&p, 1, patience_ms) > 0;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* to all that keep nobody waiting */
static void show_others(struct console *c, const char *buf, size_t len)
{
	int r = 0;

	conview_output(c->view, buf, len);
	if (c->log)
		r = conlog_write(c->log, buf, len, now_ns());
	if (r < 0)
		log_warning("the console's log ends: %s", strerror(-r));
}

/* bytes written, 0 when it would block now or there is no reader any more */
static size_t write_stdout(struct console *c, const char *buf, size_t len, int patience_ms)
{
	ssize_t n;

	if (c->no_stdio)
		return len;
	if (!writable(STDOUT_FILENO, patience_ms))
		return 0;
	n = write(STDOUT_FILENO, buf, len < CHUNK ? len : CHUNK);
	if (n >= 0)
		return (size_t)n;
	if (errno != EAGAIN && errno != EINTR) {
		log_warning("console output ends: %s", strerror(errno));
		c->broken = true;
	}
	return 0;
}

static size_t write_out(struct console *c, const char *buf, size_t len, int patience_ms)
{
	size_t n = write_stdout(c, buf, len, patience_ms);

	show_others(c, buf, n);
	return n;
}

static void ring_broken(struct console *c)
{
	log_warning("the guest damaged its console ring; the console ends");
	c->broken = c->in_closed = c->in_broken = true;
	if (c->in_event)
		event_del(c->in_event);
}

/* 1 something went out, 0 there is nothing, -EAGAIN stdout is full */
static int output_early(struct console *c, int patience_ms)
{
	size_t n = 0;
	bool any;

	pthread_mutex_lock(&c->early_lock);
	any = c->early_len > 0;
	if (any)
		n = write_out(c, c->early, c->early_len, patience_ms);
	c->early_len -= n;
	memmove(c->early, c->early + n, c->early_len);
	pthread_mutex_unlock(&c->early_lock);
	if (!any || c->broken)
		return 0;
	return n ? 1 : -EAGAIN;
}

static int output_ring(struct console *c, int patience_ms)
{
	char buf[CHUNK];
	int len = conring_peek(c->page, buf, sizeof(buf));
	size_t n;

	if (len < 0)
		ring_broken(c);
	if (len <= 0)
		return 0;
	n = write_out(c, buf, (size_t)len, patience_ms);
	if (c->broken)
		return 0;
	if (n == 0)
		return -EAGAIN;
	conring_consume(c->page, n);
	notify(c->to_guest);
	return 1;
}

static int output(struct console *c, unsigned int rounds, int patience_ms)
{
	int r = 0;

	for (unsigned int i = 0; i < rounds && !c->broken; i++) {
		r = output_early(c, patience_ms);
		if (r == 0)
			r = output_ring(c, patience_ms);
		if (r <= 0)
			return r;
	}
	return r;
}

static void pump_output(struct console *c)
{
	int r = output(c, OUTPUT_ROUNDS, 0);

	if (r == -EAGAIN)
		event_add(c->out_event, NULL);
	else if (r > 0)
		notify(c->from_guest); /* more is left: go on after the others */
}

/* The keys before ^] still reach the guest. */
static void take_input(struct console *c, size_t len)
{
	const char *escape = c->raw ? memchr(c->input, ESCAPE, len) : NULL;

	c->input_len = escape ? (size_t)(escape - c->input) : len;
	if (escape)
		c->leave(c->leave_data);
}

static void give_input(struct console *c)
{
	int n = conring_put(c->page, c->input, c->input_len);

	if (n < 0) {
		ring_broken(c);
		return;
	}
	c->input_len -= (size_t)n;
	memmove(c->input, c->input + n, c->input_len);
	if (n > 0)
		notify(c->to_guest);
}

/* of a viewer; not while something older waits */
static size_t take_viewer(void *data, const char *text, size_t len)
{
	struct console *c = data;
	int n;

	if (c->input_len || c->in_broken)
		return c->in_broken ? len : 0;
	n = conring_put(c->page, text, len);
	if (n < 0) {
		ring_broken(c);
		return len;
	}
	if (n > 0)
		notify(c->to_guest);
	return (size_t)n;
}

/* one read; false when there was nothing to read */
static bool read_input(struct console *c)
{
	ssize_t n = read(STDIN_FILENO, c->input, sizeof(c->input));

	if (n > 0) {
		take_input(c, (size_t)n);
		return true;
	}
	if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		c->in_closed = true;
		if (c->in_polled)
			event_del(c->in_event);
	}
	return false;
}

/* stdin is only waited for while there is room for what it brings */
static void pump_input(struct console *c)
{
	if (c->in_closed)
		return;
	if (c->input_len == 0 && !c->in_polled)
		read_input(c);
	if (c->input_len)
		give_input(c);
	if (c->in_polled && !c->in_closed) {
		if (c->input_len)
			event_del(c->in_event);
		else
			event_add(c->in_event, NULL);
	}
}

static void on_guest(evutil_socket_t fd, short what, void *data)
{
	struct console *c = data;
	uint64_t count;

	if (read(c->from_guest, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return;
	pump_output(c);
	if (c->in_event)
		pump_input(c);
	conview_resume(c->view);
}

static void on_output(evutil_socket_t fd, short what, void *data)
{
	pump_output(data);
}

static void on_input(evutil_socket_t fd, short what, void *data)
{
	struct console *c = data;

	if (c->input_len == 0 && read_input(c))
		pump_input(c);
}

static void set_raw(struct console *c)
{
	struct termios t;

	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &c->saved) < 0)
		return;
	t = c->saved;
	cfmakeraw(&t);
	t.c_oflag |= OPOST | ONLCR; /* our own messages share the terminal */
	if (tcsetattr(STDIN_FILENO, TCSADRAIN, &t) < 0)
		return;
	c->raw = true;
	log_info("console attached: ^] ends the guest");
}

/* Plain files and /dev/null cannot be waited for: they are read whenever the guest has room. */
static bool can_wait_for(int fd)
{
	struct epoll_event ev = { .events = EPOLLIN };
	_cleanup_close_ int probe = epoll_create1(EPOLL_CLOEXEC);

	return probe >= 0 && epoll_ctl(probe, EPOLL_CTL_ADD, fd, &ev) == 0;
}

int console_start(struct console *c)
{
	if (c->no_stdio)
		return 0;
	c->in_event = event_new(event_get_base(c->guest_event), STDIN_FILENO, EV_READ | EV_PERSIST,
				on_input, c);
	if (!c->in_event)
		return -ENOMEM;
	set_raw(c);
	c->in_polled = can_wait_for(STDIN_FILENO) && event_add(c->in_event, NULL) == 0;
	if (!c->in_polled)
		pump_input(c);
	return 0;
}

static int open_events(struct console *c, struct event_base *base)
{
	c->from_guest = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	c->to_guest = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->from_guest < 0 || c->to_guest < 0)
		return -errno;
	c->guest_event = event_new(base, c->from_guest, EV_READ | EV_PERSIST, on_guest, c);
	c->out_event = event_new(base, STDOUT_FILENO, EV_WRITE, on_output, c);
	if (!c->guest_event || !c->out_event || event_add(c->guest_event, NULL) < 0)
		return -ENOMEM;
	return 0;
}

static int complain(const char *what, const char *path, int error)
{
	if (error < 0)
		log_error("cannot make the console's %s %s: %s", what, path, strerror(-error));
	return error;
}

static int open_others(struct console *c, struct event_base *base,
		       const struct console_config *config)
{
	int r = conview_new(base, take_viewer, c, &c->view);

	if (r == 0 && config->socket)
		r = complain("socket", config->socket, conview_listen(c->view, config->socket));
	if (r == 0 && config->pty)
		r = complain("terminal", config->pty, conview_pty(c->view, config->pty));
	if (r == 0 && config->log.path)
		r = complain("log", config->log.path, conlog_open(&config->log, now_ns(), &c->log));
	return r;
}

int console_new(struct event_base *base, const struct console_config *config, void *page,
		void (*leave)(void *data), void *data, struct console **ret)
{
	struct console *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	pthread_mutex_init(&c->early_lock, NULL);
	c->page = page;
	c->leave = leave;
	c->leave_data = data;
	c->no_stdio = config->no_stdio;
	r = open_events(c, base);
	if (r == 0)
		r = open_others(c, base, config);
	if (r < 0) {
		console_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

int console_guest_fds(const struct console *c, int ret_fds[2])
{
	int wait_fd = fcntl(c->to_guest, F_DUPFD_CLOEXEC, 0);
	int notify_fd = fcntl(c->from_guest, F_DUPFD_CLOEXEC, 0);

	if (wait_fd < 0 || notify_fd < 0) {
		int r = -errno;

		closep(&wait_fd);
		closep(&notify_fd);
		return r;
	}
	ret_fds[0] = wait_fd;
	ret_fds[1] = notify_fd;
	return 0;
}

void console_early(struct console *c, const char *text, size_t len)
{
	size_t room;

	pthread_mutex_lock(&c->early_lock);
	room = sizeof(c->early) - c->early_len;
	if (len > room)
		len = room;
	memcpy(c->early + c->early_len, text, len);
	c->early_len += len;
	pthread_mutex_unlock(&c->early_lock);
	notify(c->from_guest);
}

static void free_event(struct event *e)
{
	if (e)
		event_free(e);
}

struct console *console_free(struct console *c)
{
	if (!c)
		return NULL;
	if (c->view)
		output(c, FLUSH_ROUNDS, FLUSH_PATIENCE_MS);
	if (c->raw)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &c->saved);
	free_event(c->guest_event);
	free_event(c->in_event);
	free_event(c->out_event);
	conview_free(c->view);
	conlog_close(c->log);
	closep(&c->from_guest);
	closep(&c->to_guest);
	pthread_mutex_destroy(&c->early_lock);
	free(c);
	return NULL;
}

void console_freep(struct console **c)
{
	console_free(*c);
}
