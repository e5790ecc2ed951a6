/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bridge.h"
#include "common/cleanup.h"

#include "tests/support/set.h"

#define ARGS_MAX 16

static int start(struct set *set, struct process *p, const char *name, const char *const *args)
{
	const char *argv[ARGS_MAX] = { "--rundir", set->rundir };
	size_t n = 2;

	for (; args && *args && n < ARGS_MAX - 1; args++)
		argv[n++] = *args;
	argv[n] = NULL;
	return process_start(p, name, argv, false);
}

int set_start(struct set *set)
{
	int r;

	*set = (struct set){ .rundir = "/tmp/xenhost-set-XXXXXX" };
	if (!mkdtemp(set->rundir))
		return -errno;
	r = start(set, &set->bridged, "bridged", NULL);
	if (r == 0)
		r = start(set, &set->xenstored, "xenstored", NULL);
	if (r < 0)
		set_stop(set);
	return r;
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
	r |= stop(&set->xenstored);
	r |= stop(&set->bridged);
	(void)nftw(set->rundir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	return r < 0 ? -ECHILD : 0;
}

int set_open(const struct set *set, xenhost_t **ret_host)
{
	char uri[128];

	snprintf(uri, sizeof(uri), "bridge:%s/%s", set->rundir, BRIDGE_SOCKET_TOOL);
	return xenhost_open(uri, 0, ret_host);
}
