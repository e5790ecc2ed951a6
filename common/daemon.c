/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/bridge.h"
#include "common/cleanup.h"
#include "common/daemon.h"
#include "common/log.h"
#include "common/manager.h"

static int set_rundir(void *data, const char *value)
{
	((struct daemon *)data)->rundir = value;
	return 0;
}

static int set_ready_fd(void *data, const char *value)
{
	unsigned long long fd;
	int r = options_number(value, 0, INT_MAX, &fd);

	if (r == 0)
		((struct daemon *)data)->ready_fd = (int)fd;
	return r;
}

/* The parent may have died before the prctl: then nobody would ever end us. */
static int set_exit_with_parent(void *data, const char *value)
{
	pid_t parent = getppid();

	if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0)
		return -errno;
	if (getppid() != parent)
		raise(SIGTERM);
	return 0;
}

static int set_verbose(void *data, const char *value)
{
	((struct daemon *)data)->verbose = true;
	return 0;
}

static const struct option_spec common_options[] = {
	{ "rundir", "DIR",
	  "folder of the sockets (default: $XENHOST_RUNDIR or " XENHOST_RUNSTATEDIR ")",
	  set_rundir },
	{ "ready-fd", "N", "write READY and a newline to this descriptor when serving",
	  set_ready_fd },
	{ "exit-with-parent", NULL, "end when the starting process ends", set_exit_with_parent },
	{ "verbose", NULL, "log what is done, for finding faults", set_verbose },
	{ NULL, NULL, NULL, NULL },
};

/* Whoever starts us may have had signals blocked, which we would have from it: SIGTERM must end us. */
static void unblock_signals(void)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void daemon_defaults(struct daemon *d)
{
	const char *rundir = getenv("XENHOST_RUNDIR");

	unblock_signals();
	d->rundir = rundir && *rundir ? rundir : XENHOST_RUNSTATEDIR;
	d->ready_fd = -1;
	signal(SIGPIPE, SIG_IGN);
}

int daemon_options(struct daemon *d, int argc, char **argv, const struct option_spec *extra,
		   void *data)
{
	const struct option_table tables[] = { { extra, data }, { common_options, d } };
	char page[64];
	struct options o = { .program = d->name, .purpose = d->purpose, .page = page };
	int r;

	snprintf(page, sizeof(page), "%s(8)", d->name);
	daemon_defaults(d);
	r = options_parse(&o, argc, argv, tables, ARRAY_SIZE(tables));
	if (r <= 0)
		return r < 0 ? r : 1;
	log_open(d->name, d->verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	return 0;
}

static void on_signal(evutil_socket_t sig, short what, void *data)
{
	struct daemon *d = data;

	(void)manager_notify("STOPPING=1");
	event_base_loopbreak(d->base);
}

/* It reads the clock when there are timers, not twice in each turn. */
static struct event_base *new_base(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	if (config && event_config_set_flag(config, EVENT_BASE_FLAG_NO_CACHE_TIME) == 0)
		base = event_base_new_with_config(config);
	if (config)
		event_config_free(config);
	return base;
}

void daemon_raise_descriptors(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0)
		return;
	l.rlim_cur = l.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &l) < 0)
		log_warning("cannot raise the limit of open files: %s", strerror(errno));
}

static int make_loop(struct daemon *d)
{
	static const int numbers[] = { SIGTERM, SIGINT };

	d->base = new_base();
	if (!d->base)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		d->signals[i] = evsignal_new(d->base, numbers[i], on_signal, d);
		if (!d->signals[i] || event_add(d->signals[i], NULL) < 0)
			return -ENOMEM;
	}
	return 0;
}

int daemon_loop_new(struct daemon *d)
{
	int r = make_loop(d);

	if (r < 0) {
		log_error("cannot make an event loop: %s", strerror(-r));
		daemon_loop_free(d);
	}
	return r;
}

void daemon_loop_free(struct daemon *d)
{
	if (d->watchdog)
		event_free(d->watchdog);
	d->watchdog = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(d->signals); i++) {
		if (d->signals[i])
			event_free(d->signals[i]);
		d->signals[i] = NULL;
	}
	if (d->base)
		event_base_free(d->base);
	d->base = NULL;
}

static void on_watchdog(evutil_socket_t fd, short what, void *data)
{
	(void)manager_notify("WATCHDOG=1");
}

/* The unit says how often systemd wants to hear that the loop turns (WatchdogSec=); twice as often it does. */
static int start_watchdog(struct daemon *d)
{
	struct timeval period;
	uint64_t us;
	int r = manager_watchdog(&us);

	if (r <= 0 || !d->base)
		return r;
	period.tv_sec = (time_t)(us / 2 / 1000000);
	period.tv_usec = (suseconds_t)(us / 2 % 1000000);
	d->watchdog = event_new(d->base, -1, EV_PERSIST, on_watchdog, d);
	return d->watchdog && event_add(d->watchdog, &period) == 0 ? 0 : -ENOMEM;
}

int daemon_ready(struct daemon *d)
{
	static const char text[] = "READY\n";
	int r = start_watchdog(d);

	if (r < 0) {
		log_error("cannot set the timer for systemd's watchdog: %s", strerror(-r));
		return r;
	}
	(void)manager_notify("READY=1");
	if (d->ready_fd < 0)
		return 0;
	if (write(d->ready_fd, text, sizeof(text) - 1) < 0) {
		r = -errno;
		log_error("cannot say ready on descriptor %d (--ready-fd): %s", d->ready_fd,
			  strerror(-r));
		return r;
	}
	close(d->ready_fd);
	d->ready_fd = -1;
	return 0;
}

int daemon_run(struct daemon *d)
{
	int r = daemon_ready(d);

	if (r == 0 && event_base_dispatch(d->base) < 0) {
		log_error("the event loop failed");
		r = -EIO;
	}
	return r;
}

int daemon_service_uri(const struct daemon *d, const char *service, char *buf, unsigned long size)
{
	int n = snprintf(buf, size, "bridge:%s/" BRIDGE_DIR "/%s.sock", d->rundir, service);

	if (n >= 0 && (unsigned long)n < size)
		return 0;
	log_error("the path of the run directory %s is too long", d->rundir);
	return -ENAMETOOLONG;
}

int daemon_path(const struct daemon *d, const char *suffix, char *buf, unsigned long size)
{
	int n = snprintf(buf, size, "%s/%s", d->rundir, suffix);

	return n < 0 || (unsigned long)n >= size ? -ENAMETOOLONG : 0;
}
