/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "xenstored/conn.h"
#include "xenstored/live.h"
#include "xenstored/server.h"
#include "xenstored/sock.h"
#include "xenstored/state.h"

#define ARGS_MAX 64
#define REHEARSAL_SECONDS 60

enum step { NAMED, REHEARSING, REHEARSED, FAILED, GOING };

struct live {
	struct server *server;
	uint64_t owner; /* number of the connection */
	enum step step;
	pid_t child;  /* that rehearses, or 0 */
	int child_fd; /* pidfd */
	struct event *ended;
	char *args;		    /* instead of ours, or NULL */
	struct wire_header request; /* to be answered when we are another program */
	char failure[160];
	char path[];
};

/* --- the session --- */

static void end_child(struct live *l)
{
	if (l->ended)
		event_free(l->ended);
	l->ended = NULL;
	closep(&l->child_fd);
	l->child_fd = -1;
	if (l->child > 0) {
		kill(l->child, SIGKILL);
		waitpid(l->child, NULL, 0);
	}
	l->child = 0;
}

void live_stop(struct server *s)
{
	if (!s->live)
		return;
	end_child(s->live);
	free(s->live->args);
	free(steal_ptr(&s->live));
}

/* Of that connection; one whose connection has gone is over. */
static struct live *session(struct server *s, const struct conn *c)
{
	if (s->live && !sock_find(s, s->live->owner))
		live_stop(s);
	return s->live && s->live->owner == c->number ? s->live : NULL;
}

const char *live_program(struct server *s, struct conn *c, const char *path)
{
	static char text[128];
	struct live *l;

	if (access(path, X_OK) < 0) {
		snprintf(text, sizeof(text), "File not accessible: %s", strerror(errno));
		return text;
	}
	if (session(s, c))
		live_stop(s);
	if (s->live)
		return "Another connection has a live-update session.";
	l = calloc(1, sizeof(*l) + strlen(path) + 1);
	if (!l)
		return "Out of memory.";
	l->server = s;
	l->owner = c->number;
	l->child_fd = -1;
	memcpy(l->path, path, strlen(path));
	s->live = l;
	return NULL;
}

const char *live_arguments(struct server *s, struct conn *c, const char *args)
{
	struct live *l = session(s, c);
	char *copy;

	if (!l || l->step != NAMED)
		return "No live-update session that could take arguments.";
	copy = strdup(args);
	if (!copy)
		return "Out of memory.";
	free(l->args);
	l->args = copy;
	return NULL;
}

const char *live_abort(struct server *s, struct conn *c)
{
	if (!session(s, c))
		return "No live-update session active.";
	live_stop(s);
	return NULL;
}

/* --- how the program is called --- */

struct call {
	char *argv[ARGS_MAX + 4];
	size_t nr;
	char fd[12];
	char words[4096];
};

/* Options that were for one start only; the next word belongs to it unless there is a '='. */
static bool is_of_one_start(const char *arg, bool *ret_more)
{
	static const char *const names[] = { "--ready-fd", "--take-over", "--import" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const size_t len = strlen(names[i]);

		if (strncmp(arg, names[i], len) || (arg[len] && arg[len] != '='))
			continue;
		*ret_more = !arg[len];
		return true;
	}
	return false;
}

static int add_arg(struct call *call, char *arg)
{
	if (call->nr == ARGS_MAX)
		return -E2BIG;
	call->argv[call->nr++] = arg;
	return 0;
}

static int add_ours(struct call *call, char **argv)
{
	int r = 0;

	for (size_t i = 0; r == 0 && argv[i]; i++) {
		bool more;

		if (!is_of_one_start(argv[i], &more))
			r = add_arg(call, argv[i]);
		else if (more && argv[i + 1])
			i++;
	}
	return r;
}

static int add_words(struct call *call, const char *words)
{
	char *save, *word;
	int r = 0;

	if (strlen(words) >= sizeof(call->words))
		return -E2BIG;
	strcpy(call->words, words);
	for (word = strtok_r(call->words, " ", &save); r == 0 && word;
	     word = strtok_r(NULL, " ", &save))
		r = add_arg(call, word);
	return r;
}

static int prepare(const struct live *l, const char *option, int fd, struct call *call)
{
	int r;

	call->nr = 0;
	if (l->args) {
		call->argv[call->nr++] = (char *)(uintptr_t)l->path;
		r = add_words(call, l->args);
	} else {
		r = add_ours(call, l->server->argv);
	}
	if (r < 0)
		return r;
	snprintf(call->fd, sizeof(call->fd), "%d", fd);
	call->argv[call->nr++] = (char *)(uintptr_t)option;
	call->argv[call->nr++] = call->fd;
	call->argv[call->nr] = NULL;
	return 0;
}

/* --- the rehearsal --- */

static void fail(struct live *l, const char *what, const char *why)
{
	snprintf(l->failure, sizeof(l->failure), "%s: %s", what, why);
	log_error("live-update: %s: %s", what, why);
	l->step = FAILED;
}

static void on_rehearsed(evutil_socket_t fd, short what, void *data)
{
	struct live *l = data;
	int status = 0;

	if ((what & EV_TIMEOUT) || waitpid(l->child, &status, WNOHANG) != l->child) {
		end_child(l);
		fail(l, l->path, "did not read the state in time");
		return;
	}
	l->child = 0;
	end_child(l);
	if (WIFEXITED(status) && WEXITSTATUS(status) == LIVE_REHEARSED)
		l->step = REHEARSED;
	else
		fail(l, l->path, "cannot read the state, see its messages in the log");
}

static int spawn(struct live *l, int fd)
{
	_cleanup_free_ struct call *call = calloc(1, sizeof(*call));
	posix_spawn_file_actions_t actions;
	int r = call ? prepare(l, "--rehearse", fd, call) : -ENOMEM;

	if (r < 0)
		return r;
	if (posix_spawn_file_actions_init(&actions))
		return -ENOMEM;
	/* onto itself: stays open in the child alone */
	r = posix_spawn_file_actions_adddup2(&actions, fd, fd);
	if (r == 0)
		r = posix_spawn(&l->child, l->path, &actions, NULL, call->argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (r)
		l->child = 0;
	return -r;
}

static int rehearse(struct live *l)
{
	static const struct timeval longest = { REHEARSAL_SECONDS, 0 };
	_cleanup_close_ int fd = -1;
	int r = state_image(l->server, &fd);

	if (r == 0)
		r = spawn(l, fd);
	if (r < 0)
		return r;
	l->child_fd = pidfd_open(l->child, 0);
	if (l->child_fd >= 0)
		l->ended = event_new(l->server->base, l->child_fd, EV_READ, on_rehearsed, l);
	if (!l->ended || event_add(l->ended, &longest) < 0) {
		end_child(l);
		return -ENOMEM;
	}
	l->step = REHEARSING;
	return 0;
}

const char *live_start(struct server *s, struct conn *c, const struct wire_header *h,
		       bool *ret_answered)
{
	static char text[sizeof(((struct live *)NULL)->failure)];
	struct live *l = session(s, c);
	int r;

	*ret_answered = false;
	if (!l)
		return "No live-update session active.";
	if (l->step == NAMED) {
		r = rehearse(l);
		if (r < 0)
			fail(l, l->path, strerror(-r));
	}
	switch (l->step) {
	case REHEARSING:
		return "BUSY";
	case REHEARSED:
		l->step = GOING;
		l->request = *h;
		*ret_answered = true;
		return NULL;
	default:
		strcpy(text, l->failure);
		live_stop(s);
		return text;
	}
}

/* --- the step --- */

bool live_going(const struct server *s)
{
	return s->live && s->live->step == GOING;
}

static int stay_open(struct server *s, int fd, bool stay)
{
	const int flags = stay ? 0 : FD_CLOEXEC;

	if (fcntl(fd, F_SETFD, flags) < 0 ||
	    (s->lock_fd >= 0 && fcntl(s->lock_fd, F_SETFD, flags) < 0))
		return -errno;
	return sock_stay_open(s, stay);
}

/* Returns only when it could not be done. */
static int become(struct live *l)
{
	_cleanup_free_ struct call *call = calloc(1, sizeof(*call));
	_cleanup_close_ int fd = -1;
	int r = call ? state_image(l->server, &fd) : -ENOMEM;

	if (r == 0)
		r = prepare(l, "--take-over", fd, call);
	if (r == 0)
		r = stay_open(l->server, fd, true);
	if (r == 0) {
		log_info("live-update: from here on %s serves", l->path);
		execv(l->path, call->argv);
		r = -errno;
	}
	if (fd >= 0)
		stay_open(l->server, fd, false);
	return r;
}

void live_go(struct server *s)
{
	struct conn *c;
	uint32_t unread;
	size_t len;
	int r;

	if (!live_going(s))
		return;
	c = sock_find(s, s->live->owner);
	if (!c) {
		live_stop(s);
		return;
	}
	/* the answer that the other program will send */
	len = c->out.len;
	unread = c->unread;
	conn_ack(c, &s->live->request);
	r = c->broken ? -ENOMEM : become(s->live);
	if (!c->broken) {
		buf_cut(&c->out, len);
		c->unread = unread;
		fail(s->live, s->live->path, strerror(-r));
		conn_reply(c, &s->live->request, s->live->failure, strlen(s->live->failure) + 1);
	}
	live_stop(s);
	conn_mark(c);
}
