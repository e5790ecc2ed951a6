/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "tools/connect.h"
#include "tools/guest.h"
#include "tools/user_net.h"

#define RESTARTS_MAX 10 /* of all together */

/* RUNDIR/passt/PID-CARD: short, as a socket's path has 107 characters */
static int choose_socket(struct passt *p, const char *rundir, unsigned int card)
{
	int n;

	rundir = connect_rundir(rundir);
	n = snprintf(p->socket, sizeof(p->socket), "%s/passt", rundir);
	if (n > 0 && (size_t)n < sizeof(p->socket) && mkdir(p->socket, 0700) < 0 && errno != EEXIST)
		return -errno;
	n = snprintf(p->socket, sizeof(p->socket), "%s/passt/%d-%u", rundir, (int)getpid(), card);
	return n < 0 || (size_t)n >= sizeof(p->socket) ? -ENAMETOOLONG : 0;
}

static int start_one(struct user_net *net, struct passt *p)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int r = passt_start(p);

	if (r < 0)
		return r;
	/* it leaves the set when process_ended() closes it */
	return epoll_ctl(net->poll_fd, EPOLL_CTL_ADD, p->process.pidfd, &ev) < 0 ? -errno : 0;
}

int user_net_start(struct user_net *net, struct guest *guest, const char *rundir)
{
	int r = 0;

	*net = (struct user_net){ .guest = guest, .poll_fd = epoll_create1(EPOLL_CLOEXEC) };
	if (net->poll_fd < 0)
		r = -errno;
	for (unsigned int i = 0; i < guest->nr_vifs && r == 0; i++) {
		struct passt *p = &guest->vifs[i].passt;

		if (!guest->vifs[i].user)
			continue;
		r = choose_socket(p, rundir, i);
		if (r < 0)
			log_error("cannot make a socket for passt at %s: %s", p->socket,
				  strerror(-r));
		else
			r = start_one(net, p);
	}
	if (r < 0)
		user_net_stop(net);
	return r;
}

void user_net_stop(struct user_net *net)
{
	if (!net->guest)
		return;
	for (unsigned int i = 0; i < net->guest->nr_vifs; i++)
		if (net->guest->vifs[i].user)
			passt_stop(&net->guest->vifs[i].passt);
	closep(&net->poll_fd);
	net->poll_fd = -1;
	net->guest = NULL;
}

int user_net_fd(const struct user_net *net)
{
	return net->poll_fd;
}

void user_net_check(struct user_net *net)
{
	for (unsigned int i = 0; i < net->guest->nr_vifs; i++) {
		struct passt *p = &net->guest->vifs[i].passt;

		if (!net->guest->vifs[i].user || p->process.pid == 0 || !process_ended(&p->process))
			continue;
		if (++net->nr_restarts > RESTARTS_MAX) {
			log_error("passt ended again and again: card %u has no network", i);
			continue;
		}
		log_warning("passt ended with status %d; starting it again",
			    process_exit_status(&p->process));
		(void)start_one(net, p);
	}
}
