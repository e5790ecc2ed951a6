/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <xenhost/backend.h>
#include <xenhost/store.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/service.h"
#include "common/xen.h"
#include "tools/connect.h"
#include "tools/console_path.h"
#include "tools/guest.h"
#include "tools/guest_nodes.h"
#include "tools/kernel_cache.h"
#include "tools/life.h"

#define BACKEND_TIMEOUT_MS 30000
#define GONE_TIMEOUT_MS 30000
#define EXTRA_MAX 16
/* a guest that crashes sooner than this after its start would do nothing else for ever */
#define CRASH_LOOP_MS 10000
#define NODE_SHUTDOWN "/local/domain/%u/control/shutdown"

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* --- what we know of the domain --- */

static bool have_domain(const struct life *l)
{
	return l->info.domid != 0;
}

static void on_domain(xenhost_t *host, const struct xenhost_domain_info *info, void *data)
{
	struct life *l = data;

	if (have_domain(l) && info->unique_id == l->info.unique_id)
		l->info = *info;
}

static int open_host(struct life *l)
{
	int r;

	if (l->host)
		return 0;
	r = connect_host(l->rundir, &l->host);
	if (r < 0)
		return r;
	r = xenhost_domain_watch(l->host, on_domain, l);
	if (r < 0)
		log_error("cannot watch the domains: %s", strerror(-r));
	return r;
}

/* Handles what came from the host. -errno when it is lost. */
static int process_host(struct life *l)
{
	int r = xenhost_process(l->host);

	if (r < 0)
		log_error("lost xenhost-bridged: %s", strerror(-r));
	return r < 0 ? r : 0;
}

/*
 * Waits for news of the host, the vmm and the caller's descriptors; handles those of host and caller.
 * deadline_ms 0: for ever. 0 or -errno, -ETIMEDOUT.
 */
static int wait_news(struct life *l, int64_t deadline_ms)
{
	struct pollfd fds[2 + EXTRA_MAX] = {
		{ .fd = xenhost_get_fd(l->host), .events = POLLIN },
		{ .fd = l->vmm.pid ? l->vmm.pidfd : -1, .events = POLLIN },
	};
	int64_t left = deadline_ms ? deadline_ms - now_ms() : -1;
	bool extra = false;
	int r;

	if (deadline_ms && left <= 0)
		return -ETIMEDOUT;
	for (unsigned int i = 0; i < l->nr_extra; i++)
		fds[2 + i] = l->extra[i];
	if (poll(fds, 2 + l->nr_extra, (int)left) < 0 && errno != EINTR)
		return -errno;
	r = fds[0].revents ? process_host(l) : 0;
	for (unsigned int i = 0; i < l->nr_extra; i++)
		extra |= fds[2 + i].revents != 0;
	return r == 0 && extra ? l->on_extra(l, l->data) : r;
}

/* --- building --- */

static int start_vmm(struct life *l)
{
	const struct guest *g = l->guest;
	char memory[32], vcpus[8];
	char console[CONSOLE_PATH_MAX], cache[KERNEL_CACHE_PATH_MAX];
	const char *args[40] = { "--name",   g->name, "--kernel", g->kernel,
				 "--memory", memory,  "--vcpus",  vcpus };
	int n = 8, r;

	r = console_path_make(l->rundir);
	if (r == 0)
		r = console_path(l->rundir, g->name, console, sizeof(console));
	if (r < 0)
		log_warning("%s has no console socket in its run directory: %s", g->name,
			    strerror(-r));
	if (r == 0) {
		args[n++] = "--console-socket";
		args[n++] = console;
	}
	snprintf(memory, sizeof(memory), "%llu", g->memory_bytes);
	snprintf(vcpus, sizeof(vcpus), "%llu", g->vcpus);
	args[n++] = "--append";
	args[n++] = g->append ? g->append : "console=hvc0";
	if (l->rundir) {
		args[n++] = "--rundir";
		args[n++] = l->rundir;
	}
	if (kernel_cache(cache, sizeof(cache)) == 0) {
		args[n++] = "--kernel-cache";
		args[n++] = cache;
	}
	if (g->initrd) {
		args[n++] = "--initrd";
		args[n++] = g->initrd;
	}
	args[n++] = "--console";
	args[n++] = l->own_terminal ? "stdio" : "none";
	if (g->console_pty) {
		args[n++] = "--console-pty";
		args[n++] = g->console_pty;
	}
	if (g->console_log) {
		args[n++] = "--console-log";
		args[n++] = g->console_log;
	}
	if (g->sparse)
		args[n++] = "--sparse";
	return process_start(&l->vmm, "vmm", args, l->own_terminal);
}

static int find_domain(struct life *l)
{
	int r = xenhost_domain_by_name(l->host, l->guest->name, &l->info);

	if (r < 0)
		log_error("cannot find the new domain %s: %s", l->guest->name, strerror(-r));
	else
		log_set_domain(l->info.domid);
	return r;
}

static int introduce(struct life *l)
{
	int r = guest_nodes_write(l->host, l->guest, &l->info);

	if (r < 0) {
		log_error("cannot write the Xenstore nodes of %s: %s", l->guest->name,
			  strerror(-r));
		return r;
	}
	r = xenhost_store_introduce(l->host, l->info.domid, l->info.store_gfn, l->info.store_port);
	if (r < 0)
		log_error("xenstored does not take domain %u: %s", l->info.domid, strerror(-r));
	return r;
}

static int backend_ready(struct life *l, const char *path)
{
	char node[320];
	uint64_t state;
	int r;

	snprintf(node, sizeof(node), "%s/state", path);
	r = xenhost_store_read_u64(l->host, 0, node, 8, &state);
	if (r < 0)
		return r;
	if (state >= XENHOST_STATE_CLOSING)
		return -ENODEV;
	return state >= XENHOST_STATE_INIT_WAIT;
}

static void say_backend_error(struct life *l, const char *path)
{
	_cleanup_free_ char *text = NULL;
	char node[512];

	/* error/ of the back end's own home: /local/domain/N/error/backend/... */
	snprintf(node, sizeof(node), "/local/domain/%u/error/%s/error",
		 strstr(path, "/vbd/") ? service_builtin[SERVICE_BLKBACK].domid
				       : service_builtin[SERVICE_NETBACK].domid,
		 strstr(path, "backend/"));
	if (xenhost_store_read(l->host, 0, node, &text, NULL) < 0)
		text = NULL;
	log_error("the back end of %s refuses it: %s", path, text ? text : "no reason given");
}

static int wait_backend(struct life *l, const char *path)
{
	int64_t deadline = now_ms() + BACKEND_TIMEOUT_MS;
	int r;

	while ((r = backend_ready(l, path)) == 0) {
		r = wait_news(l, deadline);
		if (r < 0)
			break;
	}
	if (r == -ENODEV)
		say_backend_error(l, path);
	else if (r < 0)
		log_error("the back end does not answer at %s: %s", path, strerror(-r));
	return r < 0 ? r : 0;
}

static void on_state(xenhost_t *host, const char *path, void *data)
{
	/* only wakes the loop up, which reads all states */
}

static int wait_backends(struct life *l)
{
	xenhost_watch_t *watch = NULL;
	char path[256];
	int r = xenhost_watch(l->host, "/local/domain", on_state, l, &watch);

	for (unsigned int i = 0;
	     r == 0 && guest_nodes_backend(l->guest, l->info.domid, i, path, sizeof(path)) == 0;
	     i++)
		r = wait_backend(l, path);
	xenhost_unwatch(watch);
	return r;
}

static int unpause(struct life *l)
{
	int r = xenhost_domain_unpause(l->host, l->info.domid);

	if (r < 0)
		log_error("cannot unpause domain %u: %s", l->info.domid, strerror(-r));
	return r;
}

static int build(struct life *l)
{
	int r = open_host(l);

	l->info = (struct xenhost_domain_info){ 0 };
	if (r == 0)
		r = start_vmm(l);
	if (r == 0)
		r = find_domain(l);
	if (r == 0)
		r = introduce(l);
	if (r == 0)
		r = wait_backends(l);
	if (r < 0)
		return r;
	log_info("domain %u (%s) starts", l->info.domid, l->guest->name);
	l->started_ms = now_ms();
	r = unpause(l);
	if (r == 0 && l->on_started)
		l->on_started(l, l->data);
	return r;
}

/* --- its end --- */

static void destroy(struct life *l)
{
	if (!have_domain(l) || xenhost_domain_destroy(l->host, l->info.domid) < 0)
		process_stop(&l->vmm);
}

void life_stop(struct life *l, int patience_ms)
{
	static const char how[] = "poweroff";
	char node[64];
	bool again = l->deadline_ms != 0;

	l->stopping = true;
	snprintf(node, sizeof(node), NODE_SHUTDOWN, l->info.domid);
	if (!again && patience_ms && l->info.state == XENHOST_DOMAIN_RUNNING &&
	    xenhost_store_write(l->host, 0, node, how, strlen(how)) == 0) {
		log_info("asking domain %u (%s) to power off", l->info.domid, l->guest->name);
		l->deadline_ms = now_ms() + patience_ms;
		return;
	}
	destroy(l);
}

static bool wants_reset(const struct life *l)
{
	return l->info.state == XENHOST_DOMAIN_SHUTDOWN &&
	       l->info.shutdown_reason == SHUTDOWN_soft_reset;
}

/*
 * The guest's next kernel finds the store and its devices as after a start: the old ones go, and it is
 * introduced again.
 */
static int soft_reset(struct life *l)
{
	int r;

	log_info("domain %u (%s) starts another kernel", l->info.domid, l->guest->name);
	r = guest_nodes_remove(l->host, l->guest, l->info.domid);
	if (r == 0)
		r = introduce(l);
	if (r == 0)
		r = wait_backends(l);
	if (r < 0)
		return r;
	r = unpause(l);
	while (r == 0 && wants_reset(l) && !process_ended(&l->vmm))
		r = wait_news(l, 0);
	return r;
}

/* Until the domain has ended by itself or its vmm has: 0, or -errno. */
static int wait_end(struct life *l)
{
	while (!process_ended(&l->vmm) && l->info.state != XENHOST_DOMAIN_SHUTDOWN) {
		int r = wait_news(l, l->deadline_ms);

		if (r == -ETIMEDOUT) {
			log_warning("domain %u (%s) did not power off in time: destroying it",
				    l->info.domid, l->guest->name);
			l->deadline_ms = 0;
			destroy(l);
			r = 0;
		}
		if (r < 0)
			return r;
	}
	return 0;
}

static const char *reason_name(uint32_t reason)
{
	static const char *const names[] = {
		[SHUTDOWN_poweroff] = "powered off",
		[SHUTDOWN_reboot] = "asked for a reboot",
		[SHUTDOWN_suspend] = "suspended",
		[SHUTDOWN_crash] = "crashed",
		[SHUTDOWN_watchdog] = "was ended by its watchdog",
		[SHUTDOWN_soft_reset] = "starts another kernel (soft reset)",
	};

	return reason < ARRAY_SIZE(names) ? names[reason] : "ended for an unknown reason";
}

/* A vmm that ended without a word took the guest with it: as bad as a crash. */
static bool has_crashed(const struct life *l)
{
	if (l->info.state != XENHOST_DOMAIN_SHUTDOWN)
		return l->vmm.status != 0;
	return l->info.shutdown_reason != SHUTDOWN_poweroff &&
	       l->info.shutdown_reason != SHUTDOWN_reboot;
}

static enum guest_action decide(const struct life *l)
{
	const struct guest *g = l->guest;
	enum guest_action action;

	if (l->info.state == XENHOST_DOMAIN_SHUTDOWN &&
	    l->info.shutdown_reason == SHUTDOWN_watchdog)
		action = g->on_watchdog;
	else if (has_crashed(l))
		action = g->on_crash;
	else if (l->info.state != XENHOST_DOMAIN_SHUTDOWN)
		action = GUEST_DESTROY; /* on request */
	else if (l->info.shutdown_reason == SHUTDOWN_reboot)
		action = g->on_reboot;
	else
		action = g->on_poweroff;
	if (action == GUEST_RESTART && l->stopping)
		return GUEST_DESTROY;
	if (action == GUEST_RESTART && has_crashed(l) && now_ms() - l->started_ms < CRASH_LOOP_MS) {
		log_warning("domain %u (%s) ran for less than %d s: it is not started again",
			    l->info.domid, g->name, CRASH_LOOP_MS / 1000);
		return GUEST_DESTROY;
	}
	if (action == GUEST_PRESERVE && !l->vmm.pid)
		return GUEST_DESTROY; /* nothing is left of it */
	return action;
}

/* Kept as it is until somebody destroys it. */
static int preserve(struct life *l)
{
	log_info("domain %u (%s) is kept; xenhost domain destroy %s removes it", l->info.domid,
		 l->guest->name, l->guest->name);
	while (!process_ended(&l->vmm)) {
		int r = wait_news(l, 0);

		if (r < 0)
			return r;
	}
	return 0;
}

/* The name is free again when bridged has told so: a vmm's end and its connection's are two things. */
static void wait_gone(struct life *l)
{
	int64_t deadline = now_ms() + GONE_TIMEOUT_MS;
	unsigned int extra = l->nr_extra;

	l->nr_extra = 0;
	while (have_domain(l) && l->info.state != XENHOST_DOMAIN_GONE)
		if (wait_news(l, deadline) < 0)
			break;
	l->nr_extra = extra;
}

static void remove_domain(struct life *l)
{
	char console[CONSOLE_PATH_MAX];

	process_stop(&l->vmm);
	/* the vmm is confined: it cannot */
	if (console_path(l->rundir, l->guest->name, console, sizeof(console)) == 0)
		(void)unlink(console);
	if (!l->host || !have_domain(l))
		return;
	wait_gone(l);
	(void)guest_nodes_remove(l->host, l->guest, l->info.domid);
}

/* One domain, from its making to its removal. 1: it is to be started again */
static int live_once(struct life *l)
{
	enum guest_action action = GUEST_DESTROY;
	int r = build(l);

	if (r == 0)
		r = wait_end(l);
	while (r == 0 && wants_reset(l) && !l->stopping && !process_ended(&l->vmm)) {
		r = soft_reset(l);
		if (r == 0)
			r = wait_end(l);
	}
	if (r == 0) {
		if (l->info.state == XENHOST_DOMAIN_SHUTDOWN)
			log_info("domain %u (%s) %s", l->info.domid, l->guest->name,
				 reason_name(l->info.shutdown_reason));
		action = decide(l);
	}
	if (r == 0 && action == GUEST_PRESERVE)
		r = preserve(l);
	l->deadline_ms = 0;
	remove_domain(l);
	return r < 0 ? r : action == GUEST_RESTART;
}

int life_run(struct life *l)
{
	int r;

	if (l->nr_extra > EXTRA_MAX)
		return -E2BIG;
	while ((r = live_once(l)) > 0)
		log_info("starting %s again", l->guest->name);
	return r < 0 ? r : process_exit_status(&l->vmm);
}

void life_fini(struct life *l)
{
	l->host = xenhost_close(l->host);
}
