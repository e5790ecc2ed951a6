/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "tools/keeper.h"
#include "tools/private_set.h"

static const char *const names[SET_MAX] = { "bridged", "xenstored", "opend", "blkbackd",
					    "netbackd" };

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
		if (mkdir(rundir, 0750) == 0 || errno == EEXIST)
			return 0;
		log_error("cannot make the run directory %s: %s", rundir, strerror(errno));
		return -errno;
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

/* Guests and their tables survive the loss of bridged: it leaves what it needs with the keeper. */
static int start_daemon(struct private_set *set, int i)
{
	/* of opend: a set of one user's processes keeps nothing from itself */
	const char *const args[] = { "--rundir", set->rundir, i == SET_OPEND ? "--any" : NULL,
				     NULL };
	struct epoll_event ev = { .events = EPOLLIN };
	struct process *p = &set->daemons[i];
	int r;

	if (i == SET_BRIDGED)
		r = process_start_kept(p, names[i], args, set->keeper);
	else
		r = process_start(p, names[i], args, false);
	if (r < 0)
		return r;
	/* it leaves the set when process_ended() closes it */
	return epoll_ctl(set->poll_fd, EPOLL_CTL_ADD, p->pidfd, &ev) < 0 ? -errno : 0;
}

int private_set_start(struct private_set *set, const char *rundir)
{
	int r;

	*set = (struct private_set){ 0 };
	set->poll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (set->poll_fd < 0) {
		log_error("cannot watch over daemons: %s", strerror(errno));
		return -errno;
	}
	r = make_rundir(set, rundir);
	if (r == 0)
		r = keeper_new(set->rundir, &set->keeper);
	for (int i = 0; i < SET_MAX && r == 0; i++)
		r = start_daemon(set, i);
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
	set->keeper = keeper_free(set->keeper);
	closep(&set->poll_fd);
	set->poll_fd = -1;
	if (set->own_rundir && nftw(set->rundir, remove_entry, 16, FTW_DEPTH | FTW_PHYS) < 0)
		log_warning("cannot remove the run directory %s: %s", set->rundir, strerror(errno));
	set->own_rundir = false;
	return r;
}

static long long now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (long long)ts.tv_sec;
}

static bool ends_again_and_again(struct private_set *set, int i)
{
	unsigned int n = set->nr_restarts[i]++;
	long long *when = &set->restarts[i][n % SET_RESTARTS_MAX], now = now_s();
	bool too_often = n >= SET_RESTARTS_MAX && now - *when < SET_RESTARTS_TIME;

	*when = now;
	return too_often;
}

static void say_how(const struct process *p)
{
	if (WIFSIGNALED(p->status))
		log_warning("xenhost-%s was ended by signal %d; starting it again", p->name,
			    WTERMSIG(p->status));
	else
		log_warning("xenhost-%s ended with status %d; starting it again", p->name,
			    WEXITSTATUS(p->status));
}

/* in the order of the set: who is needed by others comes first */
const char *private_set_lost(struct private_set *set)
{
	for (int i = 0; i < SET_MAX; i++) {
		if (!process_ended(&set->daemons[i]))
			continue;
		if (ends_again_and_again(set, i)) {
			log_error("xenhost-%s ended %d times in %d s; giving up", names[i],
				  SET_RESTARTS_MAX + 1, SET_RESTARTS_TIME);
			return names[i];
		}
		say_how(&set->daemons[i]);
		if (start_daemon(set, i) < 0)
			i--; /* it counts as one more end */
	}
	return NULL;
}

int private_set_fd(const struct private_set *set)
{
	return set->poll_fd;
}
