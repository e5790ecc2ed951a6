/* SPDX-License-Identifier: MIT */
/* The servers of a guest's disks whose images are no raw ones (guest.h), for as long as its toolstack runs. */
#ifndef TOOLS_DISK_SERVERS_H
#define TOOLS_DISK_SERVERS_H

struct guest;

struct disk_servers {
	struct guest *guest;
	int poll_fd; /* their ends */
	unsigned int nr_restarts;
};

/* Starts them and fills in their sockets. rundir NULL: the system's. 0 or -errno, logged, with none running */
int disk_servers_start(struct disk_servers *servers, struct guest *guest, const char *rundir);
void disk_servers_stop(struct disk_servers *servers);
/* readable: disk_servers_check() has something to do; the same all the time */
int disk_servers_fd(const struct disk_servers *servers);
/* starts those again that have ended, some times; then the guest waits for its disk, which is logged */
void disk_servers_check(struct disk_servers *servers);

#endif
