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
#include <sys/stat.h>
#include <sys/syscall.h>
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
					      "--tcp-ports", "--pid" };
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

static int path_beside(const struct passt *p, const char *suffix, char *path, size_t size)
{
	int n = snprintf(path, size, "%s.%s", p->socket, suffix);

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

/* as execvp() wants it; the strings are not written to */
static void build_args(const struct passt *p, const char *log, const char *pid_file, char **args)
{
	const char *const head[] = { "passt",  "--foreground", "--quiet", "--log-file",
				     log,      "--socket",     p->socket, "--log-size",
				     LOG_SIZE, "--pid",	       pid_file };
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
	return process_adopt(&p->process, "passt", pid);
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

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* It writes the file with its number when all is done, its sandbox included. */
static bool is_ready(const char *pid_file)
{
	struct stat st;

	return stat(pid_file, &st) == 0 && st.st_size > 0;
}

static int wait_ready(struct passt *p, const char *pid_file, const char *log)
{
	int64_t deadline = now_ms() + START_TIMEOUT_MS;

	while (!is_ready(pid_file)) {
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

static void remove_files(const struct passt *p)
{
	static const char *const suffixes[] = { "log", "pid" };
	char path[PASST_SOCKET_MAX + 8];

	(void)unlink(p->socket);
	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++)
		if (path_beside(p, suffixes[i], path, sizeof(path)) == 0)
			(void)unlink(path);
}

int passt_start(struct passt *p)
{
	char log[PASST_SOCKET_MAX + 8], pid_file[PASST_SOCKET_MAX + 8], *args[ARGS_MAX];
	int r = probe();

	if (r == 0)
		r = path_beside(p, "log", log, sizeof(log));
	if (r == 0)
		r = path_beside(p, "pid", pid_file, sizeof(pid_file));
	if (r < 0)
		return r;
	remove_files(p);
	build_args(p, log, pid_file, args);
	r = spawn(p, args);
	if (r < 0)
		log_error("cannot start passt: %s", strerror(-r));
	else
		r = wait_ready(p, pid_file, log);
	if (r < 0)
		passt_stop(p);
	return r;
}

void passt_stop(struct passt *p)
{
	(void)process_stop(&p->process);
	remove_files(p);
}
