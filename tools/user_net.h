/* SPDX-License-Identifier: MIT */
/* The passts of a guest's cards that have user-mode networking (guest.h), for as long as its toolstack runs. */
#ifndef TOOLS_USER_NET_H
#define TOOLS_USER_NET_H

struct guest;

struct user_net {
	struct guest *guest;
	int poll_fd; /* their ends */
	unsigned int nr_restarts;
};

/* Starts them and fills in their sockets. rundir NULL: the system's. 0 or -errno, logged, with none running */
int user_net_start(struct user_net *net, struct guest *guest, const char *rundir);
void user_net_stop(struct user_net *net);
/* readable: user_net_check() has something to do; the same all the time */
int user_net_fd(const struct user_net *net);
/* starts those again that have ended, some times; then the card goes without, which is logged */
void user_net_check(struct user_net *net);

#endif
