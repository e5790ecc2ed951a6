/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "common/bridge.h"
#include "common/cleanup.h"

#include "tests/support/daemon.h"
#include "tests/support/set.h"
#include "tools/keeper.h"

#define PATIENCE_MS 30000

static int start(struct set *set, struct process *p, const char *name, const char *const *args)
{
	return process_run_daemon(p, name, set->rundir, args);
}

int set_start_bridged(struct set *set)
{
	const char *const args[] = { "--rundir", set->rundir, NULL };

	if (!set->keeper)
		return start(set, &set->bridged, "bridged", set->more_services);
	return process_start_kept(&set->bridged, "bridged", args, set->keeper);
}

int set_start_opend(struct set *set)
{
	const char *bench = getenv("XENHOST_BENCH_DIR");
	const char *args[] = { "--config", NULL, NULL };
	char path[96];
	FILE *f;

	snprintf(path, sizeof(path), "%s/opend.conf", set->rundir);
	args[1] = path;
	f = fopen(path, "we");
	if (!f)
		return -errno;
	fprintf(f, "[service blkback]\nwritable = %s/\nwritable = /nonexistent/\n", set->rundir);
	fprintf(f,
		"writable = /dev/\nwritable = /var/tmp/\nnbd = unix:%s/*\nnbd = tcp:127.0.0.1:*\n",
		set->rundir);
	if (bench)
		fprintf(f, "writable = %s/\n", bench);
	fprintf(f, "[service netback]\ntap = t-*\ntap = vif*\ntap = lo\nbridge = *\n");
	if (fclose(f) != 0)
		return -EIO;
	return start(set, &set->opend, "opend", args);
}

int set_kill_bridged(struct set *set)
{
	return process_kill(&set->bridged);
}

static int start_set(struct set *set, bool kept, const char *const *more_services)
{
	int r = 0;

	*set = (struct set){ .rundir = "/tmp/xenhost-set-XXXXXX", .more_services = more_services };
	if (!mkdtemp(set->rundir))
		return -errno;
	if (kept)
		r = keeper_new(set->rundir, &set->keeper);
	if (r == 0)
		r = set_start_bridged(set);
	if (r == 0)
		r = start(set, &set->xenstored, "xenstored", more_services);
	if (r == 0)
		r = set_start_opend(set);
	if (r < 0)
		set_stop(set);
	return r;
}

int set_start(struct set *set)
{
	return start_set(set, false, NULL);
}

int set_start_kept(struct set *set)
{
	return start_set(set, true, NULL);
}

int set_start_services(struct set *set, const char *const *args)
{
	return start_set(set, false, args);
}

int set_add(struct set *set, const char *name, const char *const *args)
{
	int r;

	if (set->nr_services == SET_SERVICES_MAX)
		return -ENOSPC;
	r = start(set, &set->services[set->nr_services], name, args);
	if (r == 0)
		set->nr_services++;
	return r;
}

int set_start_with(struct set *set, const char *name, const char *const *args)
{
	int r = set_start(set);

	if (r < 0)
		return r;
	r = set_add(set, name, args);
	if (r < 0)
		set_stop(set);
	return r;
}

static int stop(struct process *p)
{
	bool before = p->pid != 0 && process_ended(p);
	int status = before ? process_exit_status(p) : process_stop(p);

	if (!before && status == 0)
		return 0;
	fprintf(stderr, "xenhost-%s ended %swith status %d\n", p->name, before ? "by itself " : "",
		status);
	return -ECHILD;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

int set_stop(struct set *set)
{
	int r = 0;

	while (set->nr_services > 0)
		r |= stop(&set->services[--set->nr_services]);
	r |= stop(&set->opend);
	r |= stop(&set->xenstored);
	r |= stop(&set->bridged);
	set->keeper = keeper_free(set->keeper);
	(void)nftw(set->rundir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	return r < 0 ? -ECHILD : 0;
}

static int wait_for_end(struct process *p)
{
	struct pollfd pfd = { .fd = p->pidfd, .events = POLLIN };

	while (!process_ended(p)) {
		if (poll(&pfd, 1, PATIENCE_MS) == 0) {
			fprintf(stderr, "xenhost-%s goes on without a host\n", p->name);
			return -ECHILD;
		}
	}
	if (process_exit_status(p) == EXIT_FAILURE)
		return 0;
	fprintf(stderr, "xenhost-%s lost its host and ended with status %d\n", p->name,
		process_exit_status(p));
	return -ECHILD;
}

int set_lose_host(struct set *set)
{
	int r = stop(&set->bridged);

	for (; set->nr_services > 0 && r == 0; set->nr_services--)
		r = wait_for_end(&set->services[set->nr_services - 1]);
	return r;
}

int set_open(const struct set *set, xenhost_t **ret_host)
{
	char uri[128];

	snprintf(uri, sizeof(uri), "bridge:%s/%s", set->rundir, BRIDGE_SOCKET_TOOL);
	return xenhost_open(uri, 0, ret_host);
}

void set_guest(const struct set *set, const char *name, size_t nr_pages, struct front *f)
{
	*f = (struct front){ 0 };
	ck_assert_int_eq(set_open(set, &f->host), 0);
	ck_assert_int_eq(guest_new(set->rundir, name, nr_pages, &f->guest), 0);
	front_make_home(f->host, guest_domid(f->guest));
}
