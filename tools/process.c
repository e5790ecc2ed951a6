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
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "tools/keeper.h"
#include "tools/process.h"

#define ARGS_MAX 64
#define READY_TIMEOUT_MS 120000 /* the vmm allocates all of its guest's memory first */
#define STOP_TIMEOUT_MS 30000

static bool try_program(char *path, const char *dir, size_t dir_len, const char *name)
{
	int n = snprintf(path, PATH_MAX, "%.*s/xenhost-%s", (int)dir_len, dir, name);

	return n > 0 && n < PATH_MAX && access(path, X_OK) == 0;
}

/* The build tree has each program in a folder of its own: XENHOST_DAEMONS is a list, as PATH. */
static bool find_in_list(char *path, const char *list, const char *name)
{
	while (list && *list) {
		size_t len = strcspn(list, ":");

		if (len && try_program(path, list, len, name))
			return true;
		list += len + (list[len] == ':');
	}
	return false;
}

static bool find_beside_us(char *path, const char *name)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (n <= 0)
		return false;
	self[n] = '\0';
	slash = strrchr(self, '/');
	return slash && try_program(path, self, (size_t)(slash - self), name);
}

int process_find(const char *name, char *path)
{
	return find_in_list(path, getenv("XENHOST_DAEMONS"), name) || find_beside_us(path, name) ||
			       try_program(path, XENHOST_SBINDIR, strlen(XENHOST_SBINDIR), name)
		       ? 0
		       : -ENOENT;
}

static int find_program(char *path, const char *name)
{
	if (process_find(name, path) == 0)
		return 0;
	log_error(
		"cannot find xenhost-%s in $XENHOST_DAEMONS, beside this program or in %s; is it installed?",
		name, XENHOST_SBINDIR);
	return -ENOENT;
}

/* In the child, after fork: only exec or _exit. It gets a process group of its own, so that ^C at the
 * terminal reaches us alone and we end the set in order. */
static void run_child(const char *path, char *const *argv, bool own_terminal,
		      const struct keeper_loan *loan)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (!own_terminal) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		if (null < 0 || dup2(null, STDIN_FILENO) < 0 || setpgid(0, 0) < 0)
			_exit(126);
	}
	if (loan && keeper_loan_apply(loan) < 0)
		_exit(126);
	execve(path, argv, loan ? loan->envp : environ);
	_exit(127);
}

static int wait_ready(struct process *p, int fd)
{
	char buf[16];
	size_t have = 0;

	while (have < sizeof(buf)) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };
		int r = poll(&pfd, 1, READY_TIMEOUT_MS);
		ssize_t n;

		if (r == 0) {
			log_error("xenhost-%s is not ready after %d s", p->name,
				  READY_TIMEOUT_MS / 1000);
			return -ETIMEDOUT;
		}
		n = r > 0 ? read(fd, buf + have, sizeof(buf) - have) : -1;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			break;
		have += n > 0 ? (size_t)n : 0;
		if (have >= 6 && !memcmp(buf, "READY\n", 6))
			return 0;
	}
	log_error("xenhost-%s could not start (its reason stands above)", p->name);
	return -ECHILD;
}

static int build_argv(char **argv, char *path, const char *const *args, char *ready_fd)
{
	int n = 0;

	argv[n++] = path;
	for (; args && *args; args++) {
		if (n >= ARGS_MAX - 4)
			return -E2BIG;
		argv[n++] = (char *)(uintptr_t)*args;
	}
	argv[n++] = (char *)(uintptr_t) "--exit-with-parent";
	argv[n++] = (char *)(uintptr_t) "--ready-fd";
	argv[n++] = ready_fd;
	argv[n] = NULL;
	return 0;
}

int process_adopt(struct process *p, const char *name, pid_t pid)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0), r = -errno;

	if (pidfd < 0) {
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		return r;
	}
	*p = (struct process){ .name = name, .pid = pid, .pidfd = pidfd };
	return 0;
}

static int spawn(struct process *p, const char *path, char *const *argv, int ready_fd,
		 bool own_terminal, const struct keeper_loan *loan)
{
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		if (fcntl(ready_fd, F_SETFD, 0) < 0)
			_exit(126);
		run_child(path, argv, own_terminal, loan);
	}
	return process_adopt(p, p->name, pid);
}

static int start(struct process *p, const char *name, const char *const *args, bool own_terminal,
		 const struct keeper_loan *loan)
{
	char path[PATH_MAX], ready[16], *argv[ARGS_MAX];
	_cleanup_close_ int in = -1, out = -1;
	int pipe_fds[2], r;

	*p = (struct process){ .name = name, .pidfd = -1 };
	r = find_program(path, name);
	if (r < 0)
		return r;
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return -errno;
	in = pipe_fds[0];
	out = pipe_fds[1];
	if (loan) { /* the numbers below are for the descriptors that it gets back */
		int high = fcntl(out, F_DUPFD_CLOEXEC, KEEPER_FIRST_FD + (int)loan->nr);

		if (high < 0)
			return -errno;
		close(out);
		out = high;
	}
	snprintf(ready, sizeof(ready), "%d", out);
	r = build_argv(argv, path, args, ready);
	if (r == 0)
		r = spawn(p, path, argv, out, own_terminal, loan);
	if (r < 0) {
		log_error("cannot start %s: %s", path, strerror(-r));
		return r;
	}
	close(steal_fd(&out));
	r = wait_ready(p, in);
	if (r < 0)
		process_stop(p);
	return r;
}

int process_start(struct process *p, const char *name, const char *const *args, bool own_terminal)
{
	return start(p, name, args, own_terminal, NULL);
}

int process_start_kept(struct process *p, const char *name, const char *const *args,
		       struct keeper *keeper)
{
	struct keeper_loan loan;
	int r = keeper_lend(keeper, &loan);

	if (r < 0) {
		log_error("cannot give xenhost-%s its kept descriptors: %s", name, strerror(-r));
		return r;
	}
	r = start(p, name, args, false, &loan);
	keeper_loan_fini(&loan);
	return r;
}

bool process_ended(struct process *p)
{
	if (p->pid && waitpid(p->pid, &p->status, WNOHANG) == p->pid) {
		p->pid = 0;
		closep(&p->pidfd);
		p->pidfd = -1;
	}
	return p->pid == 0;
}

int process_exit_status(const struct process *p)
{
	return WIFSIGNALED(p->status) ? 128 + WTERMSIG(p->status) : WEXITSTATUS(p->status);
}

static void wait_end(struct process *p, int timeout_ms)
{
	struct pollfd pfd = { .fd = p->pidfd, .events = POLLIN };

	while (!process_ended(p)) {
		int r = poll(&pfd, 1, timeout_ms);

		if (r == 0 || (r < 0 && errno != EINTR))
			return;
	}
}

int process_stop(struct process *p)
{
	if (p->pid == 0)
		return 0;
	if (!process_ended(p)) {
		kill(p->pid, SIGTERM);
		wait_end(p, STOP_TIMEOUT_MS);
	}
	if (!process_ended(p)) {
		log_warning("xenhost-%s does not end; killing it", p->name);
		kill(p->pid, SIGKILL);
		wait_end(p, -1);
	}
	return process_exit_status(p);
}
