/* SPDX-License-Identifier: MIT */
/* xenhost supervise: owns the life of one guest of the system's daemons. */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/options.h"
#include "tools/commands.h"
#include "tools/disk_servers.h"
#include "tools/guest.h"
#include "tools/guest_file.h"
#include "tools/life.h"
#include "tools/stop_signals.h"
#include "tools/user_net.h"

#define PATIENCE_DEFAULT_S 60

struct supervise {
	struct guest guest;
	const char *rundir, *config;
	unsigned long long patience_s;
	int signals;
	struct user_net net;
	struct disk_servers disks;
};

static int set_rundir(void *data, const char *value)
{
	((struct supervise *)data)->rundir = value;
	return 0;
}

static int set_config(void *data, const char *value)
{
	((struct supervise *)data)->config = value;
	return 0;
}

static int set_stop_timeout(void *data, const char *value)
{
	return options_number(value, 0, 86400, &((struct supervise *)data)->patience_s);
}

static const struct option_spec specs[] = {
	{ "config", "FILE", "of the guest (default: " XENHOST_GUESTDIR "/NAME.cfg)", set_config },
	{ "stop-timeout", "SECONDS", "a guest has to power off when asked to (default: 60)",
	  set_stop_timeout },
	{ "rundir", "DIR", "run directory of the daemons (default: the system's)", set_rundir },
	{ NULL, NULL, NULL, NULL },
};

static const struct option_spec *spec_of(const char *name)
{
	for (const struct option_spec *s = guest_specs; s->name; s++)
		if (!strcmp(s->name, name))
			return s;
	return NULL;
}

static bool has_ending(const char *path, const char *ending)
{
	size_t len = strlen(path), end = strlen(ending);

	return len > end && !strcmp(path + len - end, ending);
}

/* What --config names; else NAME.cfg as xenhost define makes it, or options in NAME.conf. */
static int find_config(const struct supervise *s, const char *name, char *path, size_t size)
{
	int n;

	if (s->config) {
		n = snprintf(path, size, "%s", s->config);
	} else {
		n = snprintf(path, size, "%s/%s.cfg", guest_folder(), name);
		if (n > 0 && (size_t)n < size && access(path, F_OK) < 0) {
			n = snprintf(path, size, "%s/%s.conf", guest_folder(), name);
			if (n > 0 && (size_t)n < size && access(path, F_OK) < 0)
				n = snprintf(path, size, "%s/%s.cfg", guest_folder(), name);
		}
	}
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

/* xenhost-vm@.service lets nobody in it have a socket but Unix ones, or a namespace: passt(1) needs both. */
static bool may_have_network(void)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd >= 0 || errno != EAFNOSUPPORT;
}

static int check_cards(const struct guest *g)
{
	for (unsigned int i = 0; i < g->nr_vifs; i++) {
		if (!g->vifs[i].user || may_have_network())
			continue;
		log_error(
			"card %u cannot have user-mode networking: this unit is kept from all networks; "
			"give it a bridge or a TAP, or start the guest by xenhost run",
			i);
		return -EAFNOSUPPORT;
	}
	return 0;
}

/* The file says what the guest is; its name is the one we were given. */
static int read_guest(struct supervise *s, const char *name)
{
	char path[PATH_MAX];
	int r;

	if (spec_of("name")->set(&s->guest, name) < 0) {
		log_error("%s is no name for a guest", name);
		return -EINVAL;
	}
	r = find_config(s, name, path, sizeof(path));
	if (r == 0)
		r = has_ending(path, ".cfg") ? guest_file_read(&s->guest, path, NULL, 0, NULL)
					     : guest_read(&s->guest, path);
	if (r == 0 && strcmp(s->guest.name, name) != 0) {
		log_error("%s is about a guest of another name, %s", path, s->guest.name);
		r = -EINVAL;
	}
	if (r == 0)
		r = guest_file_boot(&s->guest);
	if (r == 0)
		r = guest_file_check(&s->guest, true);
	if (r == 0)
		r = check_cards(&s->guest);
	return r < 0 ? r : guest_complete(&s->guest);
}

static int parse(struct supervise *s, int argc, char **argv)
{
	static const struct options options = {
		.program = "xenhost supervise",
		.operands = "NAME",
		.purpose = "Starts a guest and looks after it until it has ended for good.",
		.page = "xenhost-supervise(1)",
	};
	const struct option_table table = { specs, s };
	int i = options_parse(&options, argc, argv, &table, 1);

	if (i > 0 && argc - i != 1) {
		log_error("supervise takes the name of one guest; xenhost supervise --help");
		return -EINVAL;
	}
	return i;
}

static int on_extra(struct life *l, void *data)
{
	struct supervise *s = data;

	user_net_check(&s->net);
	disk_servers_check(&s->disks);
	if (stop_signals_taken(s->signals))
		life_stop(l, (int)s->patience_s * 1000);
	return 0;
}

/* not before: who starts the unit learns whether there is a guest */
static void on_started(struct life *l, void *data)
{
	(void)sd_notifyf(0, "READY=1\nSTATUS=domain %u", l->info.domid);
}

static int supervise(struct supervise *s)
{
	struct pollfd extra[3] = { { .events = POLLIN },
				   { .events = POLLIN },
				   { .events = POLLIN } };
	struct life life = { .guest = &s->guest,
			     .rundir = s->rundir,
			     .extra = extra,
			     .nr_extra = ARRAY_SIZE(extra),
			     .on_extra = on_extra,
			     .on_started = on_started,
			     .data = s };
	int r = stop_signals_open(&s->signals);

	if (r < 0) {
		log_error("cannot prepare the guest: %s", strerror(-r));
		return r;
	}
	r = user_net_start(&s->net, &s->guest, s->rundir);
	if (r == 0)
		r = disk_servers_start(&s->disks, &s->guest, s->rundir);
	extra[0].fd = s->signals;
	extra[1].fd = user_net_fd(&s->net);
	extra[2].fd = disk_servers_fd(&s->disks);
	if (r == 0)
		r = life_run(&life);
	life_fini(&life);
	disk_servers_stop(&s->disks);
	user_net_stop(&s->net);
	return r;
}

int cmd_supervise(int argc, char **argv)
{
	struct supervise s = { .signals = -1, .patience_s = PATIENCE_DEFAULT_S };
	int i = parse(&s, argc, argv), r;

	if (i <= 0)
		return i < 0 ? EXIT_USAGE : 0;
	guest_init(&s.guest);
	r = read_guest(&s, argv[i]);
	if (r == 0)
		r = supervise(&s);
	closep(&s.signals);
	guest_fini(&s.guest);
	return r < 0 ? 1 : r;
}
