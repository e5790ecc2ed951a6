/* SPDX-License-Identifier: MIT */
/*
 * xenhost run: one guest with a private set of daemons, in the foreground with its console on this terminal, or
 * in the background. What it is comes from options, from a file as xl.cfg(5) describes it, or is just a disk.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/options.h"
#include "tools/commands.h"
#include "tools/disk_servers.h"
#include "tools/guest.h"
#include "tools/guest_file.h"
#include "tools/life.h"
#include "tools/private_set.h"
#include "tools/stop_signals.h"
#include "tools/user_net.h"

struct run {
	struct guest guest;
	const char *rundir;
	struct private_set set;
	struct user_net net;
	struct disk_servers disks;
	struct life life;
	int signals;
	bool interrupted;
	bool detach;
	int told; /* the pipe to the one that waits for our start, -1 */
};

static int set_rundir(void *data, const char *value)
{
	((struct run *)data)->rundir = value;
	return 0;
}

static int set_detach(void *data, const char *value)
{
	((struct run *)data)->detach = true;
	return 0;
}

static const struct option_spec specs[] = {
	{ "detach", NULL, "run in the background; says where its sockets are", set_detach },
	{ "rundir", "DIR", "run directory of the daemons (default: a fresh one)", set_rundir },
	{ NULL, NULL, NULL, NULL },
};

/* --- what the guest is --- */

static int parse_options(struct run *run, int argc, char **argv)
{
	static const struct options options = {
		.program = "xenhost run",
		.operands = "[FILE.cfg [KEY=VALUE...] | DISK]",
		.purpose =
			"Runs one guest with daemons of its own; its console is this terminal, ^] ends it.",
		.page = "xenhost-run(1)",
	};
	const struct option_table tables[] = { { guest_specs, &run->guest }, { specs, run } };

	return options_parse(&options, argc, argv, tables, ARRAY_SIZE(tables));
}

/* its disks come before those of options, as they do in a file */
static int add_first_disk(struct run *run, const char *path)
{
	int r = guest_add_disk(&run->guest, path);

	if (r < 0)
		log_error("cannot use the disk %s: %s", path, strerror(-r));
	return r;
}

/* The first operand, then the options once more: they win. */
static int read_operands(struct run *run, int first, int argc, char **argv)
{
	int r;

	guest_fini(&run->guest);
	guest_init(&run->guest);
	if (guest_file_is_config(argv[first])) {
		r = guest_file_read(&run->guest, argv[first], argv + first + 1, argc - first - 1,
				    NULL);
	} else if (argc - first > 1) {
		log_error("%s is no configuration, so nothing can follow it; xenhost run --help",
			  argv[first]);
		return -EINVAL;
	} else {
		r = add_first_disk(run, argv[first]);
	}
	if (r < 0)
		return r;
	r = parse_options(run, argc, argv);
	return r < 0 ? r : 0;
}

/* True: it can be started. Else *ret_status is the exit status, and what is wrong was logged. */
static bool prepare(struct run *run, int argc, char **argv, int *ret_status)
{
	int i = parse_options(run, argc, argv), r = 0;

	*ret_status = i < 0 ? EXIT_USAGE : 0;
	if (i <= 0)
		return false;
	*ret_status = 1;
	if (i < argc)
		r = read_operands(run, i, argc, argv);
	else if (!run->guest.kernel && run->guest.nr_disks == 0)
		*ret_status = EXIT_USAGE;
	if (r == 0)
		r = guest_file_boot(&run->guest);
	if (r == 0)
		r = guest_file_check(&run->guest, false);
	if (r == 0)
		r = guest_complete(&run->guest);
	return r == 0;
}

/* --- its life --- */

/* a signal ends the guest; daemons that end are started again under it */
static int on_extra(struct life *l, void *data)
{
	struct run *run = data;

	if (private_set_lost(&run->set))
		return -ECHILD;
	user_net_check(&run->net);
	disk_servers_check(&run->disks);
	if (stop_signals_taken(run->signals)) {
		run->interrupted = true;
		life_stop(l, 0);
	}
	return 0;
}

/*
 * It runs: who started us may go. From here on our words go to a file, as nobody's terminal is ours.
 */
static void on_started(struct life *l, void *data)
{
	struct run *run = data;
	char path[128];
	int fd;

	if (run->told < 0)
		return;
	printf("%s runs; its run directory is %s\n", run->guest.name, run->set.rundir);
	fflush(stdout);
	snprintf(path, sizeof(path), "%s/log", run->set.rundir);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0 || dup2(fd, STDERR_FILENO) < 0)
		log_warning("cannot write %s: %s", path, strerror(errno));
	if (fd >= 0)
		(void)dup2(fd, STDOUT_FILENO);
	closep(&fd);
	if (write(run->told, "", 1) < 0)
		log_warning("who started us is gone");
	close(steal_fd(&run->told));
}

static int live(struct run *run)
{
	struct pollfd fds[] = { { .fd = run->signals, .events = POLLIN },
				{ .fd = private_set_fd(&run->set), .events = POLLIN },
				{ .fd = user_net_fd(&run->net), .events = POLLIN },
				{ .fd = disk_servers_fd(&run->disks), .events = POLLIN } };

	run->life = (struct life){ .guest = &run->guest,
				   .rundir = run->set.rundir,
				   .own_terminal = !run->detach,
				   .extra = fds,
				   .nr_extra = ARRAY_SIZE(fds),
				   .on_extra = on_extra,
				   .on_started = on_started,
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
		r = disk_servers_start(&run->disks, &run->guest, run->set.rundir);
	if (r == 0)
		r = live(run);
	life_fini(&run->life);
	disk_servers_stop(&run->disks);
	user_net_stop(&run->net);
	if (private_set_stop(&run->set) < 0 && r == 0)
		r = -ECHILD;
	return r;
}

static int exit_status(struct run *run)
{
	int r = run_guest(run);

	closep(&run->signals);
	guest_fini(&run->guest);
	if (run->interrupted)
		return EXIT_INTERRUPTED;
	return r < 0 ? 1 : r;
}

/* --- in the background --- */

/* Until it runs, or has ended: then its status is ours. */
static int wait_started(pid_t pid, int fd)
{
	char byte;
	ssize_t n;
	int status;

	do
		n = read(fd, &byte, 1);
	while (n < 0 && errno == EINTR);
	if (n == 1)
		return 0;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static int run_detached(struct run *run)
{
	int fds[2] = { -1, -1 }, null, r;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
		log_error("cannot go to the background: %s", strerror(errno));
		return 1;
	}
	if (pid > 0) {
		close(fds[1]);
		r = wait_started(pid, fds[0]);
		close(fds[0]);
		return r;
	}
	close(fds[0]);
	run->told = fds[1];
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (setsid() < 0 || null < 0 || dup2(null, STDIN_FILENO) < 0) {
		log_error("cannot go to the background: %s", strerror(errno));
		return 1;
	}
	close(null);
	return exit_status(run);
}

int cmd_run(int argc, char **argv)
{
	struct run run = { .signals = -1, .told = -1 };
	int r;

	guest_init(&run.guest);
	if (!prepare(&run, argc, argv, &r)) {
		guest_fini(&run.guest);
		return r;
	}
	if (!run.detach)
		return exit_status(&run);
	r = run_detached(&run);
	guest_fini(&run.guest);
	return r;
}
