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
#include "tools/disk_servers.h"
#include "tools/guest.h"

#define FOLDER "nbd"
#define RESTARTS_MAX 20 /* of all together */

/* RUNDIR/nbd/PID-DISK: short, as a socket's path has 107 characters */
static int choose_socket(struct image_server *s, const char *rundir, unsigned int disk)
{
	const char *folder = connect_rundir(rundir);
	int n = snprintf(s->socket, sizeof(s->socket), "%s/" FOLDER, folder);

	if (n > 0 && (size_t)n < sizeof(s->socket) && mkdir(s->socket, 0700) < 0 && errno != EEXIST)
		return -errno;
	n = snprintf(s->socket, sizeof(s->socket), "%s/" FOLDER "/%d-%u", folder, (int)getpid(),
		     disk);
	return n < 0 || (size_t)n >= sizeof(s->socket) ? -ENAMETOOLONG : 0;
}

static int watch(struct disk_servers *servers, const struct image_server *s)
{
	struct epoll_event ev = { .events = EPOLLIN };

	/* it leaves the set when process_ended() closes it */
	return epoll_ctl(servers->poll_fd, EPOLL_CTL_ADD, s->process.pidfd, &ev) < 0 ? -errno : 0;
}

static int start_one(struct disk_servers *servers, unsigned int i, const char *rundir)
{
	struct guest_disk *disk = &servers->guest->disks[i];
	int r = choose_socket(&disk->server, rundir, i);

	if (r < 0) {
		log_error("cannot make a socket for qemu-nbd at %s: %s", disk->server.socket,
			  strerror(-r));
		return r;
	}
	guest_disk_server(disk);
	r = image_server_start(&disk->server);
	return r < 0 ? r : watch(servers, &disk->server);
}

int disk_servers_start(struct disk_servers *servers, struct guest *guest, const char *rundir)
{
	int r = 0;

	*servers = (struct disk_servers){ .guest = guest, .poll_fd = epoll_create1(EPOLL_CLOEXEC) };
	if (servers->poll_fd < 0)
		r = -errno;
	for (unsigned int i = 0; i < guest->nr_disks && r == 0; i++)
		if (guest_disk_is_served(&guest->disks[i]))
			r = start_one(servers, i, rundir);
	if (r < 0)
		disk_servers_stop(servers);
	return r;
}

void disk_servers_stop(struct disk_servers *servers)
{
	if (!servers->guest)
		return;
	for (unsigned int i = 0; i < servers->guest->nr_disks; i++)
		if (*servers->guest->disks[i].server.socket)
			image_server_stop(&servers->guest->disks[i].server);
	closep(&servers->poll_fd);
	servers->poll_fd = -1;
	servers->guest = NULL;
}

int disk_servers_fd(const struct disk_servers *servers)
{
	return servers->poll_fd;
}

void disk_servers_check(struct disk_servers *servers)
{
	for (unsigned int i = 0; i < servers->guest->nr_disks; i++) {
		struct image_server *s = &servers->guest->disks[i].server;

		if (!*s->socket || s->process.pid == 0 || !process_ended(&s->process))
			continue;
		if (++servers->nr_restarts > RESTARTS_MAX) {
			log_error("qemu-nbd ended again and again: %s is not served any more",
				  s->path);
			continue;
		}
		log_warning("qemu-nbd of %s ended with status %d; starting it again", s->path,
			    process_exit_status(&s->process));
		if (image_server_again(s) == 0)
			(void)watch(servers, s);
	}
}
