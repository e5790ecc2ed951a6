/* SPDX-License-Identifier: MIT */
/* xenhost run: one guest with a private set of daemons, in the foreground; its console is this terminal. */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/options.h"
#include "tools/commands.h"
#include "tools/guest.h"
#include "tools/life.h"
#include "tools/private_set.h"
#include "tools/stop_signals.h"
#include "tools/user_net.h"

struct run {
	struct guest guest;
	const char *rundir;
	struct private_set set;
	struct user_net net;
	struct life life;
	int signals;
	bool interrupted;
};

static int set_rundir(void *data, const char *value)
{
	((struct run *)data)->rundir = value;
	return 0;
}

static const struct option_spec specs[] = {
	{ "rundir", "DIR", "run directory of the daemons (default: a fresh one)", set_rundir },
	{ NULL, NULL, NULL, NULL },
};

static int parse(struct run *run, int argc, char **argv)
{
	static const struct options options = {
		.program = "xenhost run",
		.purpose =
			"Runs one guest with daemons of its own; its console is this terminal, ^] ends it.",
		.page = "xenhost-run(1)",
	};
	const struct option_table tables[] = { { guest_specs, &run->guest }, { specs, run } };
	int r = options_parse(&options, argc, argv, tables, ARRAY_SIZE(tables));

	return r > 0 && guest_complete(&run->guest) < 0 ? -EINVAL : r;
}

/* a signal ends the guest; daemons that end are started again under it */
static int on_extra(struct life *l, void *data)
{
	struct run *run = data;

	if (private_set_lost(&run->set))
		return -ECHILD;
	user_net_check(&run->net);
	if (stop_signals_taken(run->signals)) {
		run->interrupted = true;
		life_stop(l, 0);
	}
	return 0;
}

static int live(struct run *run)
{
	struct pollfd fds[] = { { .fd = run->signals, .events = POLLIN },
				{ .fd = private_set_fd(&run->set), .events = POLLIN },
				{ .fd = user_net_fd(&run->net), .events = POLLIN } };

	run->life = (struct life){ .guest = &run->guest,
				   .rundir = run->set.rundir,
				   .own_terminal = true,
				   .extra = fds,
				   .nr_extra = ARRAY_SIZE(fds),
				   .on_extra = on_extra,
				   .data = run };
	return life_run(&run->life);
}

static int run_guest(struct run *run)
{
	int r = stop_signals_open(&run->signals);

	if (r < 0) {
		log_error("cannot prepare the guest: %s", strerror(-r));
		return r;
	}
	r = private_set_start(&run->set, run->rundir);
	if (r < 0)
		return r;
	r = user_net_start(&run->net, &run->guest, run->set.rundir);
	if (r == 0)
		r = live(run);
	life_fini(&run->life);
	user_net_stop(&run->net);
	if (private_set_stop(&run->set) < 0 && r == 0)
		r = -ECHILD;
	return r;
}

int cmd_run(int argc, char **argv)
{
	struct run run = { .signals = -1 };
	int r;

	guest_init(&run.guest);
	r = parse(&run, argc, argv);
	if (r <= 0) {
		guest_fini(&run.guest);
		return r < 0 ? EXIT_USAGE : 0;
	}
	r = run_guest(&run);
	closep(&run.signals);
	guest_fini(&run.guest);
	if (run.interrupted)
		return EXIT_INTERRUPTED;
	return r < 0 ? 1 : r;
}
