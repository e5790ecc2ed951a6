/* SPDX-License-Identifier: MIT */
/*
 * passt changes its identity when it starts, by which the kernel forgets that it was to end with its parent. So a
 * process of ours stands between: it ends with us, and takes passt along. p->process is that one.
 */
#include "config.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/options.h"
#include "tools/passt.h"

#define START_TIMEOUT_MS 30000
#define LOG_SIZE "65536" /* that passt keeps */
#define ARGS_MAX (24 + 2 * PASST_PORTS_MAX)

/* ---- ports ---- */

static bool port_ok(const char *text)
{
	unsigned long long port;

	return options_number(text, 1, 65535, &port) == 0;
}

static bool address_ok(const char *text)
{
	struct in6_addr address;

	return inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1;
}

/* cuts off what stands behind the last `c` */
static char *cut_last(char *text, char c)
{
	char *at = strrchr(text, c);

	if (at)
		*at++ = '\0';
	return at;
}

int passt_publish(struct passt *p, const char *text)
{
	struct passt_port *port = &p->ports[p->nr_ports];
	char copy[96], *guest, *host, *kind;

	if (p->nr_ports == PASST_PORTS_MAX)
		return -ENOSPC;
	if (strlen(text) >= sizeof(copy))
		return -EINVAL;
	strcpy(copy, text);
	kind = cut_last(copy, '/');
	guest = cut_last(copy, ':');
	host = cut_last(copy, ':');
	if ((kind && strcmp(kind, "tcp") && strcmp(kind, "udp")) || !guest || !port_ok(guest) ||
	    !port_ok(host ? host : copy) || (host && !address_ok(copy)))
		return -EINVAL;
	port->udp = kind && *kind == 'u';
	if (host)
		snprintf(port->spec, sizeof(port->spec), "%s/%s:%s", copy, host, guest);
	else
		snprintf(port->spec, sizeof(port->spec), "%s:%s", copy, guest);
	p->nr_ports++;
	return 0;
}

/* ---- starting ---- */

static const char *program(void)
{
	const char *env = getenv("XENHOST_PASST");

	return env && *env ? env : "passt";
}

/* What we need has been there since 2022, but who knows what PATH leads to: passt is asked what it knows. */
static int probe(void)
{
	static const char *const needed[] = { "--foreground", "--socket", "--log-file",
					      "--tcp-ports" };
	char command[512], text[32768];
	size_t len;
	FILE *f;

	snprintf(command, sizeof(command), "'%s' --help 2>&1", program());
	f = popen(command, "re");
	if (!f)
		return -errno;
	len = fread(text, 1, sizeof(text) - 1, f);
	text[len] = '\0';
	if (WEXITSTATUS(pclose(f)) == 127) {
		log_error("user-mode networking needs passt: install the package passt");
		return -ENOENT;
	}
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		if (strstr(text, needed[i]))
			continue;
		log_error("%s does not know %s: passt of 2023 or newer is needed", program(),
			  needed[i]);
		return -EOPNOTSUPP;
	}
	return 0;
}

static int log_path(const struct passt *p, char *path, size_t size)
{
	int n = snprintf(path, size, "%s.log", p->socket);

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

/* as execvp() wants it; the strings are not written to */
static void build_args(const struct passt *p, const char *log, char **args)
{
	const char *const head[] = { "passt",	 "--foreground", "--quiet",    "--log-file", log,
				     "--socket", p->socket,	 "--log-size", LOG_SIZE };
	bool tcp = false, udp = false;
	int n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(head); i++)
		args[n++] = (char *)(uintptr_t)head[i];
	/* it would become nobody, who cannot get at the socket's folder; it keeps no capability in any case */
	if (geteuid() == 0) {
		args[n++] = (char *)(uintptr_t) "--runas";
		args[n++] = (char *)(uintptr_t) "0:0";
	}
	for (unsigned int i = 0; i < p->nr_ports; i++) {
		args[n++] = (char *)(uintptr_t)(p->ports[i].udp ? "-u" : "-t");
		args[n++] = (char *)(uintptr_t)p->ports[i].spec;
		tcp |= !p->ports[i].udp;
		udp |= p->ports[i].udp;
	}
	/* a TCP port is published for UDP, too, where nothing is said of UDP */
	if (tcp && !udp) {
		args[n++] = (char *)(uintptr_t) "-u";
		args[n++] = (char *)(uintptr_t) "none";
	}
	args[n] = NULL;
}

/* Only what may be done between fork and exec in a process that has threads. */
static void exec_passt(char *const *args)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0)
		_exit(126);
	execvp(program(), args);
	_exit(127);
}

/* the process between: until passt has ended, or we have */
static void __attribute__((noreturn)) stand_between(char *const *args, pid_t parent)
{
	int status = 0, signal_taken;
	sigset_t wanted;
	pid_t pid;

	sigemptyset(&wanted);
	sigaddset(&wanted, SIGTERM);
	sigaddset(&wanted, SIGCHLD);
	sigprocmask(SIG_SETMASK, &wanted, NULL);
	if (setpgid(0, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent)
		_exit(126);
	/* nothing of ours is to stay open because of it */
	(void)syscall(SYS_close_range, 3, ~0u, 0);
	pid = fork();
	if (pid == 0)
		exec_passt(args);
	while (pid > 0 && waitpid(pid, &status, WNOHANG) == 0) {
		if (sigwait(&wanted, &signal_taken) == 0 && signal_taken == SIGTERM)
			kill(pid, SIGTERM);
	}
	_exit(pid < 0 ? 126 : WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static int spawn(struct passt *p, char *const *args)
{
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0)
		stand_between(args, parent);
	p->process = (struct process){ .name = "passt", .pid = pid };
	p->process.pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	return p->process.pidfd < 0 ? -errno : 0;
}

/* the last line of its log that says what was wrong */
static void say_why(const char *path)
{
	static const char mark[] = "ERROR:";
	char line[512], why[512] = "it gave no reason";
	FILE *f = fopen(path, "re");

	while (f && fgets(line, sizeof(line), f)) {
		const char *at = strstr(line, mark);

		if (!at)
			continue;
		at += strlen(mark);
		at += strspn(at, " ");
		snprintf(why, sizeof(why), "%s", at);
		why[strcspn(why, "\n")] = '\0';
	}
	if (f)
		fclose(f);
	log_error("passt could not start: %s", why);
}

static bool answers(const struct passt *p)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	strcpy(address.sun_path, p->socket);
	return fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* passt tells nobody that it is ready: we look at its socket. */
static int wait_ready(struct passt *p, const char *log)
{
	int64_t deadline = now_ms() + START_TIMEOUT_MS;

	while (!answers(p)) {
		struct pollfd pfd = { .fd = p->process.pidfd, .events = POLLIN };

		(void)poll(&pfd, 1, 10);
		if (process_ended(&p->process)) {
			say_why(log);
			return -ECHILD;
		}
		if (now_ms() > deadline) {
			log_error("passt is not ready after %d s", START_TIMEOUT_MS / 1000);
			return -ETIMEDOUT;
		}
	}
	return 0;
}

int passt_start(struct passt *p)
{
	char log[PASST_SOCKET_MAX + 8], *args[ARGS_MAX];
	int r = probe();

	if (r == 0)
		r = log_path(p, log, sizeof(log));
	if (r < 0)
		return r;
	(void)unlink(p->socket);
	(void)unlink(log);
	build_args(p, log, args);
	r = spawn(p, args);
	if (r < 0)
		log_error("cannot start passt: %s", strerror(-r));
	else
		r = wait_ready(p, log);
	if (r < 0)
		passt_stop(p);
	return r;
}

void passt_stop(struct passt *p)
{
	char log[PASST_SOCKET_MAX + 8];

	(void)process_stop(&p->process);
	(void)unlink(p->socket);
	if (log_path(p, log, sizeof(log)) == 0)
		(void)unlink(log);
}
