/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "tools/private_set.h"

static const char *const names[SET_MAX] = { "bridged", "xenstored", "blkbackd", "netbackd" };

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

/* short, because a socket's path has 107 characters */
static int make_rundir(struct private_set *set, const char *rundir)
{
	const char *tmp = getenv("XDG_RUNTIME_DIR");
	int n;

	if (rundir) {
		n = snprintf(set->rundir, sizeof(set->rundir), "%s", rundir);
		if (n < 0 || (size_t)n >= sizeof(set->rundir)) {
			log_error(
				"the run directory %s has too long a name (at most %zu characters)",
				rundir, sizeof(set->rundir) - 1);
			return -ENAMETOOLONG;
		}
		return 0;
	}
	n = snprintf(set->rundir, sizeof(set->rundir), "%s/xenhost.XXXXXX",
		     tmp && *tmp ? tmp : "/tmp");
	if (n < 0 || (size_t)n >= sizeof(set->rundir))
		snprintf(set->rundir, sizeof(set->rundir), "/tmp/xenhost.XXXXXX");
	if (!mkdtemp(set->rundir)) {
		log_error("cannot make the run directory %s: %s", set->rundir, strerror(errno));
		return -errno;
	}
	set->own_rundir = true;
	return 0;
}

int private_set_start(struct private_set *set, const char *rundir)
{
	int r;

	*set = (struct private_set){ 0 };
	r = make_rundir(set, rundir);
	for (int i = 0; i < SET_MAX && r == 0; i++) {
		const char *const args[] = { "--rundir", set->rundir, NULL };

		r = process_start(&set->daemons[i], names[i], args, false);
	}
	if (r < 0)
		private_set_stop(set);
	return r;
}

int private_set_stop(struct private_set *set)
{
	int r = 0;

	for (int i = SET_MAX - 1; i >= 0; i--) {
		int status = process_stop(&set->daemons[i]);

		if (status == 0)
			continue;
		log_error("xenhost-%s ended with status %d", names[i], status);
		r = -ECHILD;
	}
	if (set->own_rundir && nftw(set->rundir, remove_entry, 16, FTW_DEPTH | FTW_PHYS) < 0)
		log_warning("cannot remove the run directory %s: %s", set->rundir, strerror(errno));
	set->own_rundir = false;
	return r;
}

const char *private_set_lost(struct private_set *set)
{
	for (int i = 0; i < SET_MAX; i++)
		if (process_ended(&set->daemons[i]))
			return names[i];
	return NULL;
}
