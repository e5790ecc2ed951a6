/* SPDX-License-Identifier: MIT */
/*
 * xenhost run: one guest with a private set of daemons, in the foreground; its console is this terminal.
 * The order is a toolstack's: build (paused), write the nodes, introduce, wait for the back ends, unpause.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include <xenhost/backend.h>
#include <xenhost/domain.h>
#include <xenhost/store.h>
#include <xenhost/xenhost.h>

#include "common/bridge.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "common/options.h"
#include "common/service.h"
#include "tools/commands.h"
#include "tools/guest.h"
#include "tools/guest_nodes.h"
#include "tools/private_set.h"

#define BACKEND_TIMEOUT_MS 10000

struct run {
	struct guest guest;
	const char *rundir;
	struct private_set set;
	struct process vmm;
	xenhost_t *host;
	struct xenhost_domain_info info;
	int signals;
	bool interrupted;
};

/* --- options --- */

static int set_string(const char **where, const char *value)
{
	*where = value;
	return 0;
}

static int set_kernel(void *data, const char *value)
{
	return set_string(&((struct run *)data)->guest.kernel, value);
}

static int set_initrd(void *data, const char *value)
{
	return set_string(&((struct run *)data)->guest.initrd, value);
}

static int set_append(void *data, const char *value)
{
	return set_string(&((struct run *)data)->guest.append, value);
}

static int set_rundir(void *data, const char *value)
{
	return set_string(&((struct run *)data)->rundir, value);
}

static int set_memory(void *data, const char *value)
{
	struct run *run = data;

	run->guest.memory = value;
	return options_size(value, &run->guest.memory_bytes);
}

static int set_name(void *data, const char *value)
{
	struct run *run = data;

	if (!*value || strlen(value) >= sizeof(run->guest.name))
		return -EINVAL;
	strcpy(run->guest.name, value);
	return 0;
}

static int set_disk(void *data, const char *value)
{
	return guest_add_disk(&((struct run *)data)->guest, value);
}

static int set_net(void *data, const char *value)
{
	return guest_add_vif(&((struct run *)data)->guest, value);
}

static const struct option_spec specs[] = {
	{ "kernel", "FILE", "kernel with a PVH entry: bzImage or vmlinux", set_kernel },
	{ "initrd", "FILE", "initial RAM disk", set_initrd },
	{ "append", "TEXT", "kernel command line (default: console=hvc0)", set_append },
	{ "memory", "SIZE", "memory of the guest (default: 256M)", set_memory },
	{ "disk", "FILE[,ro]", "raw image file that becomes xvda", set_disk },
	{ "net", "tap=NAME[,...]", "network card on a TAP device; also bridge=NAME, mac=ADDRESS",
	  set_net },
	{ "name", "NAME", "name of the guest", set_name },
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
	const struct option_table table = { specs, run };
	int r = options_parse(&options, argc, argv, &table, 1);

	if (r > 0 && !run->guest.kernel) {
		log_error(
			"--kernel is missing: name a Linux kernel image, for example /boot/vmlinuz-$(uname -r)");
		return -EINVAL;
	}
	return r;
}

/* --- building --- */

static int start_vmm(struct run *run)
{
	const struct guest *g = &run->guest;
	const char *args[16] = { "--rundir", run->set.rundir, "--name",	 g->name,    "--kernel",
				 g->kernel,  "--memory",      g->memory, "--append", g->append };
	int n = 10;

	if (g->initrd) {
		args[n++] = "--initrd";
		args[n++] = g->initrd;
	}
	return process_start(&run->vmm, "vmm", args, true);
}

static int open_host(struct run *run)
{
	char uri[128];
	int r;

	snprintf(uri, sizeof(uri), "bridge:%s/" BRIDGE_SOCKET_TOOL, run->set.rundir);
	r = xenhost_open(uri, 0, &run->host);
	if (r < 0)
		log_error("cannot reach xenhost-bridged at %s: %s", uri, strerror(-r));
	return r;
}

static int introduce(struct run *run)
{
	int r = xenhost_domain_by_name(run->host, run->guest.name, &run->info);

	if (r < 0) {
		log_error("cannot find the new domain %s: %s", run->guest.name, strerror(-r));
		return r;
	}
	r = guest_nodes_write(run->host, &run->guest, &run->info);
	if (r < 0) {
		log_error("cannot write the Xenstore nodes of %s: %s", run->guest.name,
			  strerror(-r));
		return r;
	}
	r = xenhost_store_introduce(run->host, run->info.domid, run->info.store_gfn,
				    run->info.store_port);
	if (r < 0)
		log_error("xenstored does not take domain %u: %s", run->info.domid, strerror(-r));
	return r;
}

/* --- waiting for the back ends --- */

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int backend_ready(struct run *run, const char *path)
{
	char node[320];
	uint64_t state;
	int r;

	snprintf(node, sizeof(node), "%s/state", path);
	r = xenhost_store_read_u64(run->host, 0, node, 8, &state);
	if (r < 0)
		return r;
	if (state >= XENHOST_STATE_CLOSING)
		return -ENODEV;
	return state >= XENHOST_STATE_INIT_WAIT;
}

static void say_backend_error(struct run *run, const char *path)
{
	_cleanup_free_ char *text = NULL;
	char node[512];

	/* error/ of the back end's own home: /local/domain/N/error/backend/... */
	snprintf(node, sizeof(node), "/local/domain/%u/error/%s/error",
		 strstr(path, "/vbd/") ? service_builtin[SERVICE_BLKBACK].domid
				       : service_builtin[SERVICE_NETBACK].domid,
		 strstr(path, "backend/"));
	if (xenhost_store_read(run->host, 0, node, &text, NULL) < 0)
		text = NULL;
	log_error("the back end of %s refuses it: %s", path, text ? text : "no reason given");
}

static void on_state(xenhost_t *host, const char *path, void *data)
{
	/* only wakes the loop up, which reads all states */
}

static int wait_backend(struct run *run, const char *path)
{
	int64_t deadline = now_ms() + BACKEND_TIMEOUT_MS;

	for (;;) {
		struct pollfd pfd = { .fd = xenhost_get_fd(run->host), .events = POLLIN };
		int64_t left = deadline - now_ms();
		int r = backend_ready(run, path);

		if (r > 0)
			return 0;
		if (r == -ENODEV)
			say_backend_error(run, path);
		else if (r < 0 || left <= 0)
			log_error("the back end does not answer at %s: %s", path,
				  r < 0 ? strerror(-r) : "timed out");
		if (r < 0 || left <= 0)
			return r < 0 ? r : -ETIMEDOUT;
		if (poll(&pfd, 1, (int)left) < 0 && errno != EINTR)
			return -errno;
		r = xenhost_process(run->host);
		if (r < 0)
			return r;
	}
}

static int wait_backends(struct run *run)
{
	xenhost_watch_t *watch = NULL;
	char path[256];
	int r = xenhost_watch(run->host, "/local/domain", on_state, run, &watch);

	for (unsigned int i = 0; r == 0 && guest_nodes_backend(&run->guest, run->info.domid, i,
							       path, sizeof(path)) == 0;
	     i++)
		r = wait_backend(run, path);
	xenhost_unwatch(watch);
	return r;
}

/* --- running --- */

static int open_signals(struct run *run)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	run->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return run->signals < 0 ? -errno : 0;
}

static void take_signal(struct run *run)
{
	struct signalfd_siginfo si;

	if (read(run->signals, &si, sizeof(si)) != sizeof(si))
		return;
	run->interrupted = true;
	if (xenhost_domain_destroy(run->host, run->info.domid) < 0)
		process_stop(&run->vmm);
}

/* until the vmm ends; daemons that end are started again under the guest */
static int wait_guest(struct run *run)
{
	while (!process_ended(&run->vmm)) {
		struct pollfd fds[3 + SET_MAX] = {
			{ .fd = run->vmm.pidfd, .events = POLLIN },
			{ .fd = run->signals, .events = POLLIN },
			{ .fd = xenhost_get_fd(run->host), .events = POLLIN },
		};

		if (private_set_tend(&run->set) < 0) {
			process_stop(&run->vmm);
			return -ECHILD;
		}
		for (int i = 0; i < SET_MAX; i++)
			fds[3 + i] = (struct pollfd){ .fd = run->set.daemons[i].pidfd,
						      .events = POLLIN };
		if (poll(fds, 3 + SET_MAX, -1) < 0 && errno != EINTR)
			return -errno;
		if (fds[1].revents)
			take_signal(run);
		if (fds[2].revents && xenhost_process(run->host) < 0)
			return -ECONNRESET;
	}
	return 0;
}

static int build_and_run(struct run *run)
{
	int r = open_host(run);

	if (r == 0)
		r = start_vmm(run);
	if (r == 0)
		r = introduce(run);
	if (r == 0)
		r = wait_backends(run);
	if (r < 0)
		return r;
	log_info("domain %u (%s) starts; ^] on its console ends it", run->info.domid,
		 run->guest.name);
	r = xenhost_domain_unpause(run->host, run->info.domid);
	if (r < 0) {
		log_error("cannot unpause domain %u: %s", run->info.domid, strerror(-r));
		return r;
	}
	return wait_guest(run);
}

static void clean_up(struct run *run)
{
	process_stop(&run->vmm);
	if (run->host && run->info.domid)
		(void)guest_nodes_remove(run->host, &run->guest, run->info.domid);
	xenhost_close(run->host);
}

int cmd_run(int argc, char **argv)
{
	struct run run = { .guest = { .append = "console=hvc0", .memory = "256M" }, .signals = -1 };
	int r = parse(&run, argc, argv);

	if (r <= 0)
		return r < 0 ? EXIT_USAGE : 0;
	r = guest_complete(&run.guest);
	if (r == 0)
		r = open_signals(&run);
	if (r < 0) {
		log_error("cannot prepare the guest: %s", strerror(-r));
		return 1;
	}
	r = private_set_start(&run.set, run.rundir);
	if (r < 0)
		return 1;
	r = build_and_run(&run);
	clean_up(&run);
	if (private_set_stop(&run.set) < 0 && r == 0)
		r = -ECHILD;
	closep(&run.signals);
	if (run.interrupted)
		return 128 + SIGINT;
	return r < 0 ? 1 : process_exit_status(&run.vmm);
}
