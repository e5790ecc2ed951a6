/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "tools/image_server.h"
#include "tools/jail.h"
#include "tools/qcow2.h"

#define START_TIMEOUT_MS 60000
#define PASSED_FD 3 /* where a program finds the socket that it was passed */
#define BACKING_DEPTH_MAX 32
#define CLIENTS "4" /* the connection of a killed predecessor may still be there */
#define PID_DIGITS 10

static const char *program(void)
{
	const char *env = getenv("XENHOST_QEMU_NBD");

	return env && *env ? env : "qemu-nbd";
}

/* --- which files it needs --- */

static int read_head(const char *path, struct qcow2 *ret_image)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	_cleanup_free_ char *head = malloc(QCOW2_HEAD_MAX);
	const char *why;
	ssize_t n;
	int r;

	if (!head)
		return -ENOMEM;
	n = fd < 0 ? -1 : pread(fd, head, QCOW2_HEAD_MAX, 0);
	if (n < 0) {
		r = -errno;
		log_error("cannot read the guest's image %s: %s", path, strerror(-r));
		return r;
	}
	r = qcow2_parse(head, (size_t)n, ret_image, &why);
	if (r < 0)
		log_error("cannot use the image %s as qcow2: %s", path, why);
	return r;
}

/* a name in an image is as seen from there; never of another protocol than a file's */
static int resolve(const char *image, const char *name, char *path)
{
	const char *slash = strrchr(image, '/');
	char joined[PATH_MAX];
	int n;

	if (*name == '/' || !slash)
		n = snprintf(joined, sizeof(joined), "%s", name);
	else
		n = snprintf(joined, sizeof(joined), "%.*s/%s", (int)(slash - image), image, name);
	if (n < 0 || (size_t)n >= sizeof(joined))
		return -ENAMETOOLONG;
	if (strchr(name, ':'))
		return -EPROTONOSUPPORT;
	return realpath(joined, path) ? 0 : -errno;
}

static int refuse(const char *path, const struct qcow2 *image, bool backing)
{
	if (image->external_data)
		log_error("the image %s has its data in another file; qemu-img convert -O qcow2 "
			  "makes one of one file",
			  path);
	else if (!backing)
		log_error("the image %s is on top of another one, %s: allow that with "
			  "FILE,backing, or make it one file with qemu-img convert -O qcow2",
			  path, image->backing);
	else
		log_error("the image %s names no format of its backing file, or another one than "
			  "raw and qcow2: qemu-img rebase -u -F FORMAT -b %s %s says it",
			  path, image->backing, path);
	return -EPERM;
}

/* One image, and *path becomes the one below it: 1, 0 for none, -errno, logged. */
static int look_below(const struct image_server *s, char *path)
{
	char below[PATH_MAX];
	struct qcow2 image;
	int r = read_head(path, &image);

	if (r < 0)
		return r;
	if (image.external_data || (*image.backing && !s->backing))
		return refuse(path, &image, false);
	if (!*image.backing)
		return 0;
	if (strcmp(image.format, "raw") != 0 && strcmp(image.format, "qcow2") != 0)
		return refuse(path, &image, true);
	r = resolve(path, image.backing, below);
	if (r < 0) {
		log_error("cannot find %s, which is below the image %s: %s", image.backing, path,
			  strerror(-r));
		return r;
	}
	strcpy(path, below);
	return strcmp(image.format, "raw") ? 1 : 2;
}

/* All that it may read; jail NULL: only whether it can. */
static int allow_images(const struct image_server *s, struct jail *jail)
{
	char path[PATH_MAX];
	int r = 1, allowed;

	snprintf(path, sizeof(path), "%s", s->path);
	for (int depth = 0; r == 1; depth++) {
		if (depth > BACKING_DEPTH_MAX) {
			log_error("the image %s has more than %d below it", s->path,
				  BACKING_DEPTH_MAX);
			return -ELOOP;
		}
		allowed = jail ? jail_allow(jail, path, depth == 0 && !s->read_only) : 0;
		if (allowed < 0) {
			log_error("cannot open the image %s: %s", path, strerror(-allowed));
			return allowed;
		}
		r = look_below(s, path);
	}
	if (r == 2 && jail)
		r = jail_allow(jail, path, false);
	return r < 0 ? r : 0;
}

int image_server_check(const struct image_server *s)
{
	return allow_images(s, NULL);
}

/* --- starting --- */

/* What is needed between fork and exec, made before: the child of a process with threads may not allocate. */
struct start {
	struct jail jail;
	int log, listening;
	char *argv[16];
	char **envp;
	char pid_text[sizeof("LISTEN_PID=") + PID_DIGITS];
	const char *path;
	char found[PATH_MAX];
};

static int find_program(struct start *st)
{
	const char *name = program(), *list = getenv("PATH");
	_cleanup_free_ char *copy = NULL;
	char *save, *dir;

	st->path = st->found;
	if (strchr(name, '/')) {
		snprintf(st->found, sizeof(st->found), "%s", name);
		return access(name, X_OK) == 0 ? 0 : -errno;
	}
	copy = strdup(list ? list : "/usr/bin");
	for (dir = copy ? strtok_r(copy, ":", &save) : NULL; dir; dir = strtok_r(NULL, ":", &save))
		if (snprintf(st->found, sizeof(st->found), "%s/%s", dir, name) <
			    (int)sizeof(st->found) &&
		    access(st->found, X_OK) == 0)
			return 0;
	return copy ? -ENOENT : -ENOMEM;
}

static void build_args(const struct image_server *s, struct start *st)
{
	static const char *const head[] = {
		"qemu-nbd", "--persistent", ("--shared=" CLIENTS),
		/* what was answered is there, also when qemu-nbd is killed */
		"--cache=writethrough", "--discard=unmap", "--format"
	};
	int n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(head); i++)
		st->argv[n++] = (char *)(uintptr_t)head[i];
	st->argv[n++] = (char *)(uintptr_t)s->format;
	if (s->read_only)
		st->argv[n++] = (char *)(uintptr_t) "--read-only";
	st->argv[n++] = (char *)(uintptr_t)s->path;
}

/* the environment with what systemd says to who gets a socket */
static int build_env(struct start *st)
{
	size_t n = 0, k = 0;

	while (environ[n])
		n++;
	st->envp = calloc(n + 3, sizeof(*st->envp));
	if (!st->envp)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (strncmp(environ[i], "LISTEN_", 7) != 0 && strncmp(environ[i], "NOTIFY_", 7))
			st->envp[k++] = environ[i];
	snprintf(st->pid_text, sizeof(st->pid_text), "LISTEN_PID=%0*d", PID_DIGITS, 0);
	st->envp[k++] = st->pid_text;
	st->envp[k++] = (char *)(uintptr_t) "LISTEN_FDS=1";
	return 0;
}

static void write_pid(struct start *st)
{
	char *digit = st->pid_text + strlen(st->pid_text) - 1;

	for (pid_t pid = getpid(); pid > 0; pid /= 10)
		*digit-- = (char)('0' + pid % 10);
}

/* Only what may be done between fork and exec in a process that has threads. */
static void __attribute__((noreturn)) run_child(struct start *st, pid_t parent)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int log = fcntl(st->log, F_DUPFD_CLOEXEC, PASSED_FD + 1);
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	write_pid(st);
	if (setpgid(0, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent)
		_exit(126);
	if (null < 0 || log < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(log, 2) < 0)
		_exit(126);
	/* the same number: the flag has to go by hand */
	if (st->listening == PASSED_FD ? fcntl(PASSED_FD, F_SETFD, 0) < 0
				       : dup2(st->listening, PASSED_FD) < 0)
		_exit(126);
	if (jail_enter(&st->jail) < 0)
		_exit(126);
	execve(st->path, st->argv, st->envp);
	_exit(127);
}

static int spawn(struct image_server *s, struct start *st)
{
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0)
		run_child(st, parent);
	return process_adopt(&s->process, "nbd", pid);
}

static int log_path(const struct image_server *s, char *path, size_t size)
{
	int n = snprintf(path, size, "%s.log", s->socket);

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

/* the last line that it wrote, less its own name */
static void say_why(const struct image_server *s)
{
	static const char mark[] = "qemu-nbd: ";
	char path[IMAGE_SERVER_SOCKET_MAX + 8], line[1024], why[1024] = "it gave no reason";
	FILE *f = log_path(s, path, sizeof(path)) == 0 ? fopen(path, "re") : NULL;

	while (f && fgets(line, sizeof(line), f)) {
		char *text = strncmp(line, mark, strlen(mark)) ? line : line + strlen(mark);

		text[strcspn(text, "\n")] = '\0';
		if (*text)
			snprintf(why, sizeof(why), "%s", text);
	}
	if (f)
		fclose(f);
	log_error("qemu-nbd cannot serve the image %s: %s", s->path, why);
}

static int connect_to(const struct image_server *s)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(addr.sun_path, s->socket, sizeof(addr.sun_path));
	if (fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	closep(&fd);
	return -errno;
}

/* It greets who connects, when it has opened its image: not before. */
static int wait_ready(struct image_server *s)
{
	_cleanup_close_ int fd = connect_to(s);
	struct pollfd fds[2] = { { .fd = fd, .events = POLLIN },
				 { .fd = s->process.pidfd, .events = POLLIN } };
	char byte;
	int r;

	if (fd < 0) {
		log_error("cannot connect to %s: %s", s->socket, strerror(-fd));
		return fd;
	}
	do
		r = poll(fds, 2, START_TIMEOUT_MS);
	while (r < 0 && errno == EINTR);
	if (r == 0) {
		log_error("qemu-nbd is not ready after %d s", START_TIMEOUT_MS / 1000);
		return -ETIMEDOUT;
	}
	if (fds[0].revents && read(fd, &byte, 1) == 1)
		return 0;
	say_why(s);
	return -ECHILD;
}

static int prepare(const struct image_server *s, struct start *st)
{
	char path[IMAGE_SERVER_SOCKET_MAX + 8];
	int r = find_program(st);

	if (r < 0) {
		log_error("images of format %s need qemu-nbd: install the package qemu-utils",
			  s->format);
		return r;
	}
	r = allow_images(s, &st->jail);
	if (r < 0)
		return r;
	build_args(s, st);
	st->listening = s->listening;
	r = build_env(st);
	if (r == 0)
		r = log_path(s, path, sizeof(path));
	if (r == 0) {
		st->log = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
		r = st->log < 0 ? -errno : 0;
	}
	if (r < 0)
		log_error("cannot prepare qemu-nbd for %s: %s", s->path, strerror(-r));
	return r;
}

int image_server_again(struct image_server *s)
{
	struct start st = { .log = -1 };
	int r = jail_new(&st.jail);

	if (r < 0) {
		log_error("cannot confine qemu-nbd: %s", strerror(-r));
		return r;
	}
	r = prepare(s, &st);
	if (r == 0) {
		r = spawn(s, &st);
		if (r < 0)
			log_error("cannot start qemu-nbd: %s", strerror(-r));
		else
			r = wait_ready(s);
	}
	closep(&st.log);
	free(st.envp);
	jail_free(&st.jail);
	if (r < 0)
		(void)process_stop(&s->process);
	return r;
}

static int make_socket(struct image_server *s)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(addr.sun_path, s->socket, sizeof(addr.sun_path));
	(void)unlink(s->socket);
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    chmod(s->socket, 0600) < 0 || listen(fd, 8) < 0)
		return -errno;
	s->listening = steal_fd(&fd);
	return 0;
}

int image_server_start(struct image_server *s)
{
	int r;

	s->listening = -1;
	s->process = (struct process){ .pidfd = -1 };
	r = make_socket(s);
	if (r < 0)
		log_error("cannot make a socket for qemu-nbd at %s: %s", s->socket, strerror(-r));
	else
		r = image_server_again(s);
	if (r < 0)
		image_server_stop(s);
	return r;
}

void image_server_stop(struct image_server *s)
{
	char path[IMAGE_SERVER_SOCKET_MAX + 8];

	(void)process_stop(&s->process);
	closep(&s->listening);
	s->listening = -1;
	(void)unlink(s->socket);
	if (log_path(s, path, sizeof(path)) == 0)
		(void)unlink(path);
}
