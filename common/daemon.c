/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <event2/event.h>
#include <systemd/sd-daemon.h>

#include "common/cleanup.h"
#include "common/daemon.h"
#include "common/log.h"

#define EXTRA_MAX 32

static int set_rundir(void *data, const char *value)
{
	((struct daemon *)data)->rundir = value;
	return 0;
}

static int set_ready_fd(void *data, const char *value)
{
	char *end;
	long fd;

	errno = 0;
	fd = strtol(value, &end, 10);
	if (errno || end == value || *end || fd < 0 || fd > INT_MAX)
		return -EINVAL;
	((struct daemon *)data)->ready_fd = (int)fd;
	return 0;
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

static const struct daemon_option common_options[] = {
	{ "rundir", "DIR", "folder of the sockets (default: $XENHOST_RUNDIR or " XENHOST_RUNSTATEDIR ")",
	  set_rundir },
	{ "ready-fd", "N", "write READY and a newline to this descriptor when serving", set_ready_fd },
	{ "exit-with-parent", NULL, "end when the starting process ends", set_exit_with_parent },
	{ "verbose", NULL, "log what is done, for finding faults", set_verbose },
};

static void print_option(const char *name, const char *arg, const char *help)
{
	char left[64];

	snprintf(left, sizeof(left), "--%s%s%s", name, arg ? " " : "", arg ? arg : "");
	printf("  %-26s %s\n", left, help);
}

static void print_help(const struct daemon *d, const struct daemon_option *extra)
{
	printf("usage: %s [OPTION...]\n%s\n\n", d->name, d->purpose);
	for (; extra && extra->name; extra++)
		print_option(extra->name, extra->arg, extra->help);
	for (size_t i = 0; i < ARRAY_SIZE(common_options); i++)
		print_option(common_options[i].name, common_options[i].arg, common_options[i].help);
	print_option("help", NULL, "this text");
	print_option("version", NULL, "the version");
	printf("\nSee %s(8).\n", d->name);
}

static int usage_error(const struct daemon *d, const char *what, const char *arg)
{
	fprintf(stderr, "%s: %s%s%s; %s --help lists the options\n", d->name, what, arg ? " " : "",
		arg ? arg : "", d->name);
	return -EINVAL;
}

/* Both tables behind each other, in getopt's form; the value returned is the index plus one. */
static void fill_getopt(struct option *opts, const struct daemon_option **by_value,
			const struct daemon_option *extra)
{
	int n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(common_options); i++)
		by_value[n++] = &common_options[i];
	for (; extra && extra->name && n < EXTRA_MAX; extra++)
		by_value[n++] = extra;
	for (int i = 0; i < n; i++)
		opts[i] = (struct option){ by_value[i]->name,
					   by_value[i]->arg ? required_argument : no_argument, NULL,
					   i + 1 };
	opts[n] = (struct option){ "help", no_argument, NULL, 'h' + 256 };
	opts[n + 1] = (struct option){ "version", no_argument, NULL, 'V' + 256 };
}

static void daemon_defaults(struct daemon *d)
{
	const char *rundir = getenv("XENHOST_RUNDIR");

	d->rundir = rundir && *rundir ? rundir : XENHOST_RUNSTATEDIR;
	d->ready_fd = -1;
	signal(SIGPIPE, SIG_IGN);
}

int daemon_options(struct daemon *d, int argc, char **argv, const struct daemon_option *extra,
		   void *data)
{
	const struct daemon_option *by_value[EXTRA_MAX + ARRAY_SIZE(common_options)] = { 0 };
	struct option opts[EXTRA_MAX + ARRAY_SIZE(common_options) + 3] = { 0 };
	int c;

	daemon_defaults(d);
	fill_getopt(opts, by_value, extra);
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":", opts, NULL)) != -1) {
		const struct daemon_option *o;

		if (c == 'h' + 256) {
			print_help(d, extra);
			return 1;
		}
		if (c == 'V' + 256) {
			printf("%s %s\n", d->name, PACKAGE_VERSION);
			return 1;
		}
		if (c == '?')
			return usage_error(d, "unknown option", argv[optind - 1]);
		if (c == ':')
			return usage_error(d, "a value is missing after", argv[optind - 1]);
		o = by_value[c - 1];
		if (o->set((size_t)c <= ARRAY_SIZE(common_options) ? (void *)d : data, optarg) < 0)
			return usage_error(d, "bad value for option", argv[optind - 1]);
	}
	if (optind < argc)
		return usage_error(d, "unexpected argument", argv[optind]);
	log_open(d->name, d->verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	return 0;
}

static void on_signal(evutil_socket_t sig, short what, void *data)
{
	struct daemon *d = data;

	event_base_loopbreak(d->base);
}

int daemon_loop_new(struct daemon *d)
{
	static const int numbers[] = { SIGTERM, SIGINT };

	d->base = event_base_new();
	if (!d->base)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		d->signals[i] = evsignal_new(d->base, numbers[i], on_signal, d);
		if (!d->signals[i] || event_add(d->signals[i], NULL) < 0) {
			daemon_loop_free(d);
			return -ENOMEM;
		}
	}
	return 0;
}

void daemon_loop_free(struct daemon *d)
{
	for (size_t i = 0; i < ARRAY_SIZE(d->signals); i++) {
		if (d->signals[i])
			event_free(d->signals[i]);
		d->signals[i] = NULL;
	}
	if (d->base)
		event_base_free(d->base);
	d->base = NULL;
}

int daemon_ready(struct daemon *d)
{
	static const char text[] = "READY\n";
	ssize_t n;

	sd_notify(0, "READY=1");
	if (d->ready_fd < 0)
		return 0;
	n = write(d->ready_fd, text, sizeof(text) - 1);
	if (n < 0)
		return -errno;
	close(d->ready_fd);
	d->ready_fd = -1;
	return 0;
}

int daemon_path(const struct daemon *d, const char *suffix, char *buf, unsigned long size)
{
	int n = snprintf(buf, size, "%s/%s", d->rundir, suffix);

	return n < 0 || (unsigned long)n >= size ? -ENAMETOOLONG : 0;
}
