/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/daemon.h"
#include "common/fdpass.h"
#include "common/log.h"
#include "tools/keeper.h"

#define NAME_SIZE 32
#define MESSAGE_SIZE 4096

struct kept {
	char name[NAME_SIZE];
	int fd;
};

struct keeper {
	struct sockaddr_un addr;
	int sock, stop;
	pthread_t thread;
	bool has_thread;
	pthread_mutex_t lock; /* of what follows, and of receiving */
	struct kept *entries;
	size_t nr, room;
};

/* --- what the daemon says --- */

static void put(struct keeper *k, const char *name, int fd)
{
	if (k->nr == k->room) {
		size_t room = k->room ? k->room * 2 : 64;
		struct kept *more = room <= 2 * KEEPER_ROOM
					    ? reallocarray(k->entries, room, sizeof(*more))
					    : NULL;

		if (!more) {
			log_warning("no room to keep a descriptor of bridged");
			close(fd);
			return;
		}
		k->entries = more;
		k->room = room;
	}
	snprintf(k->entries[k->nr].name, NAME_SIZE, "%s", name);
	k->entries[k->nr++].fd = fd;
}

static void drop(struct keeper *k, const char *name)
{
	for (size_t i = k->nr; i-- > 0;) {
		if (strcmp(k->entries[i].name, name) != 0)
			continue;
		close(k->entries[i].fd);
		k->entries[i] = k->entries[--k->nr];
	}
}

/* "FDSTORE=1\nFDNAME=x\n...": what else stands there is for systemd */
static void handle(struct keeper *k, char *text, int *fds, size_t nr_fds)
{
	bool store = false, removal = false;
	char *save, *name = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (!strcmp(line, "FDSTORE=1"))
			store = true;
		else if (!strcmp(line, "FDSTOREREMOVE=1"))
			removal = true;
		else if (!strncmp(line, "FDNAME=", 7))
			name = line + 7;
	}
	if (!name || !*name || strlen(name) >= NAME_SIZE || strchr(name, ':'))
		return;
	if (removal)
		drop(k, name);
	for (size_t i = 0; store && !removal && i < nr_fds; i++)
		put(k, name, steal_fd(&fds[i]));
}

static void take_all(struct keeper *k)
{
	char text[MESSAGE_SIZE + 1];
	int fds[FDPASS_MAX];
	size_t nr_fds;
	ssize_t n;

	pthread_mutex_lock(&k->lock);
	for (;;) {
		nr_fds = 0;
		n = fdpass_recv(k->sock, MSG_DONTWAIT, text, MESSAGE_SIZE, fds, &nr_fds);
		if (n < 0 && n != -EMSGSIZE)
			break;
		if (n <= 0)
			continue;
		text[n] = '\0';
		handle(k, text, fds, nr_fds);
		fdpass_close(fds, nr_fds);
	}
	pthread_mutex_unlock(&k->lock);
}

static void *run(void *data)
{
	struct keeper *k = data;
	struct pollfd p[2] = { { .fd = k->sock, .events = POLLIN },
			       { .fd = k->stop, .events = POLLIN } };

	while (!p[1].revents) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			break;
		if (p[0].revents)
			take_all(k);
	}
	return NULL;
}

/* --- life --- */

static int open_socket(struct keeper *k, const char *rundir)
{
	int n = snprintf(k->addr.sun_path, sizeof(k->addr.sun_path), "%s/keeper.sock", rundir);

	if (n < 0 || (size_t)n >= sizeof(k->addr.sun_path))
		return -ENAMETOOLONG;
	k->addr.sun_family = AF_UNIX;
	k->sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (k->sock < 0)
		return -errno;
	if (unlink(k->addr.sun_path) < 0 && errno != ENOENT)
		return -errno;
	if (bind(k->sock, (struct sockaddr *)&k->addr, sizeof(k->addr)) < 0)
		return -errno;
	return 0;
}

int keeper_new(const char *rundir, struct keeper **ret_keeper)
{
	struct keeper *k = calloc(1, sizeof(*k));
	int r;

	if (!k)
		return -ENOMEM;
	k->sock = k->stop = -1;
	pthread_mutex_init(&k->lock, NULL);
	daemon_raise_descriptors();
	r = open_socket(k, rundir);
	if (r == 0) {
		k->stop = eventfd(0, EFD_CLOEXEC);
		r = k->stop < 0 ? -errno : -pthread_create(&k->thread, NULL, run, k);
		k->has_thread = r == 0;
	}
	if (r < 0) {
		log_error("cannot keep descriptors in %s: %s", rundir, strerror(-r));
		keeper_free(k);
		return r;
	}
	*ret_keeper = k;
	return 0;
}

struct keeper *keeper_free(struct keeper *k)
{
	if (!k)
		return NULL;
	if (k->has_thread && eventfd_write(k->stop, 1) == 0)
		pthread_join(k->thread, NULL);
	for (size_t i = 0; i < k->nr; i++)
		close(k->entries[i].fd);
	if (k->sock >= 0)
		unlink(k->addr.sun_path);
	closep(&k->sock);
	closep(&k->stop);
	free(k->entries);
	pthread_mutex_destroy(&k->lock);
	free(k);
	return NULL;
}

size_t keeper_count(struct keeper *k)
{
	size_t nr;

	take_all(k);
	pthread_mutex_lock(&k->lock);
	nr = k->nr;
	pthread_mutex_unlock(&k->lock);
	return nr;
}

/* --- the next process --- */

static bool is_ours(const char *var)
{
	return !strncmp(var, "NOTIFY_SOCKET=", 14) || !strncmp(var, "FDSTORE=", 8) ||
	       !strncmp(var, "LISTEN_", 7);
}

static char *names_variable(const struct keeper *k)
{
	char *text = malloc(k->nr * NAME_SIZE + 32), *end;

	if (!text)
		return NULL;
	end = stpcpy(text, "LISTEN_FDNAMES=");
	for (size_t i = 0; i < k->nr; i++) {
		if (i > 0)
			*end++ = ':';
		end = stpcpy(end, k->entries[i].name);
	}
	*end = '\0';
	return text;
}

static char *text_variable(const char *name, const char *value)
{
	char *var;

	return asprintf(&var, "%s=%s", name, value) < 0 ? NULL : var;
}

static char *number_variable(const char *name, size_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%zu", value);
	return text_variable(name, text);
}

/* Also ours are copies, so that all are freed alike. */
static int build_env(struct keeper *k, struct keeper_loan *loan)
{
	size_t n = 0, out = 0;

	while (environ[n])
		n++;
	loan->envp = calloc(n + 6, sizeof(char *));
	if (!loan->envp)
		return -ENOMEM;
	loan->envp[out++] = text_variable("NOTIFY_SOCKET", k->addr.sun_path);
	loan->envp[out++] = number_variable("FDSTORE", KEEPER_ROOM);
	if (k->nr) {
		loan->envp[out++] = number_variable("LISTEN_FDS", k->nr);
		loan->envp[out++] = names_variable(k);
		loan->envp[out++] = text_variable("LISTEN_PID", "0000000000");
	}
	for (size_t i = 0; i < out; i++)
		if (!loan->envp[i])
			return -ENOMEM;
	if (k->nr)
		loan->pid_text = strchr(loan->envp[out - 1], '=') + 1;
	for (size_t i = 0; i < n; i++) {
		if (is_ours(environ[i]))
			continue;
		loan->envp[out] = strdup(environ[i]);
		if (!loan->envp[out++])
			return -ENOMEM;
	}
	return 0;
}

static int copy_fds(const struct keeper *k, struct keeper_loan *loan)
{
	loan->fds = calloc(k->nr + 1, sizeof(int));
	if (!loan->fds)
		return -ENOMEM;
	for (size_t i = 0; i < k->nr; i++) {
		int fd = fcntl(k->entries[i].fd, F_DUPFD_CLOEXEC, KEEPER_FIRST_FD + (int)k->nr);

		if (fd < 0)
			return -errno;
		loan->fds[loan->nr++] = fd;
	}
	return 0;
}

int keeper_lend(struct keeper *k, struct keeper_loan *ret_loan)
{
	struct keeper_loan loan = { 0 };
	int r;

	take_all(k);
	pthread_mutex_lock(&k->lock);
	r = build_env(k, &loan);
	if (r == 0)
		r = copy_fds(k, &loan);
	pthread_mutex_unlock(&k->lock);
	if (r < 0)
		keeper_loan_fini(&loan);
	else
		*ret_loan = loan;
	return r;
}

void keeper_loan_fini(struct keeper_loan *loan)
{
	for (char **var = loan->envp; var && *var; var++)
		free(*var);
	free(loan->envp);
	for (size_t i = 0; i < loan->nr; i++)
		close(loan->fds[i]);
	free(loan->fds);
	*loan = (struct keeper_loan){ 0 };
}

int keeper_loan_apply(const struct keeper_loan *loan)
{
	pid_t pid = getpid();
	int len = 1;

	if (!loan->pid_text)
		return 0;
	for (pid_t rest = pid; rest >= 10; rest /= 10)
		len++;
	loan->pid_text[len] = '\0';
	for (; len > 0; pid /= 10) /* no leading zeros: it would be read as an octal number */
		loan->pid_text[--len] = (char)('0' + pid % 10);
	for (size_t i = 0; i < loan->nr; i++)
		if (dup2(loan->fds[i], KEEPER_FIRST_FD + (int)i) < 0)
			return -1;
	return 0;
}
