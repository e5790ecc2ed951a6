/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event.h>
#include <systemd/sd-daemon.h>

#include "hypercall-bridge/bridged/listener.h"

#include "common/bridge.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "hypercall-bridge/bridged/client.h"
#include "hypercall-bridge/bridged/server.h"

struct listener {
	struct list link;
	struct server *server;
	int fd;
	bool ours; /* the socket's file is ours to remove, not systemd's */
	struct event *event, *again;
	struct sockaddr_un addr;
	Bridge__Role role;
	char role_name[SERVICE_NAME_MAX];
	uint16_t domid; /* of its clients; unused for owners */
};

static int lock_fd = -1; /* held as long as the daemon lives */

static void listener_free(struct listener *l)
{
	list_remove(&l->link);
	if (l->event)
		event_free(l->event);
	if (l->again)
		event_free(l->again);
	if (l->fd >= 0) {
		if (l->ours)
			unlink(l->addr.sun_path);
		close(l->fd);
	}
	free(l);
}

void listener_close_all(struct server *server)
{
	struct listener *l, *tmp;

	list_for_each_safe(l, tmp, &server->listeners, link)
		listener_free(l);
	closep(&lock_fd);
	lock_fd = -1;
}

/* Without descriptors the connection stays where it is: looking again at once would only spin. */
static void pause_listener(struct listener *l)
{
	static const struct timeval pause = { .tv_usec = 100000 };

	log_warning("cannot take a connection on %s.sock: %s; waiting for others to close",
		    l->role_name, strerror(errno));
	event_del(l->event);
	event_add(l->again, &pause);
}

static void on_again(evutil_socket_t fd, short what, void *data)
{
	event_add(((struct listener *)data)->event, NULL);
}

static void on_connect(evutil_socket_t fd, short what, void *data)
{
	struct listener *l = data;
	struct domain *d = NULL;
	int conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	int r;

	if (conn < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
			pause_listener(l);
		return;
	}
	if (l->role != BRIDGE__ROLE__OWNER)
		d = domain_get(&l->server->domains, l->domid);
	r = client_new(l->server, conn, l->role, l->role_name, d);
	if (r < 0)
		log_warning("refusing a connection on %s.sock: %s", l->role_name, strerror(-r));
}

static int listener_bind(struct listener *l)
{
	l->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0)
		return -errno;
	/* left over by a bridged that was killed: the lock says that none runs */
	if (unlink(l->addr.sun_path) < 0 && errno != ENOENT)
		return -errno;
	if (bind(l->fd, (struct sockaddr *)&l->addr, sizeof(l->addr)) < 0)
		return -errno;
	l->ours = true;
	if (chmod(l->addr.sun_path, 0660) < 0 || listen(l->fd, SOMAXCONN) < 0)
		return -errno;
	return 0;
}

/* A unit of systemd listens for us: it made the file, with the owner and mode that say who may come. */
static int listener_adopt(struct listener *l)
{
	struct sockaddr_un addr = { 0 };
	socklen_t len = sizeof(addr);

	if (sd_is_socket(l->fd, AF_UNIX, SOCK_SEQPACKET, 1) <= 0)
		return -EINVAL;
	if (getsockname(l->fd, (struct sockaddr *)&addr, &len) < 0)
		return -errno;
	if (strncmp(addr.sun_path, l->addr.sun_path, sizeof(addr.sun_path)) != 0) {
		log_error("the unit listens on %.*s", (int)sizeof(addr.sun_path), addr.sun_path);
		return -EINVAL;
	}
	return fcntl(l->fd, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

static int listener_open(struct listener *l)
{
	int r;

	l->fd = fdstore_take_socket(&l->server->fdstore, l->role_name);
	r = l->fd >= 0 ? listener_adopt(l) : listener_bind(l);
	if (r < 0)
		return r;
	l->event = event_new(l->server->base, l->fd, EV_READ | EV_PERSIST, on_connect, l);
	l->again = evtimer_new(l->server->base, on_again, l);
	return l->event && l->again && event_add(l->event, NULL) == 0 ? 0 : -ENOMEM;
}

static int listener_new(struct server *server, const char *name, Bridge__Role role, uint16_t domid)
{
	struct listener *l = calloc(1, sizeof(*l));
	int n, r;

	if (!l)
		return -ENOMEM;
	l->server = server;
	l->fd = -1;
	l->role = role;
	l->domid = domid;
	l->addr.sun_family = AF_UNIX;
	list_append(&server->listeners, &l->link);
	strncpy(l->role_name, name, sizeof(l->role_name) - 1);
	n = snprintf(l->addr.sun_path, sizeof(l->addr.sun_path), "%s/" BRIDGE_DIR "/%s.sock",
		     server->rundir, name);
	r = n < 0 || (size_t)n >= sizeof(l->addr.sun_path) ? -ENAMETOOLONG : listener_open(l);
	if (r < 0)
		log_error("cannot listen on %s/" BRIDGE_DIR "/%s.sock: %s", server->rundir, name,
			  strerror(-r));
	return r;
}

static int make_dir(const char *path)
{
	if (mkdir(path, 0750) == 0 || errno == EEXIST)
		return 0;
	log_error("cannot make the folder %s: %s; name another one with --rundir", path,
		  strerror(errno));
	return -errno;
}

static int take_lock(const char *dir)
{
	char path[4096];

	if (snprintf(path, sizeof(path), "%s/lock", dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (lock_fd < 0) {
		log_error("cannot open %s: %s", path, strerror(errno));
		return -errno;
	}
	if (flock(lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	log_error(
		"%s is held: another xenhost-bridged serves this folder; end it or use another --rundir",
		path);
	return -EBUSY;
}

int listener_open_all(struct server *server)
{
	char dir[4096];
	int r;

	if (snprintf(dir, sizeof(dir), "%s/" BRIDGE_DIR, server->rundir) >= (int)sizeof(dir))
		return -ENAMETOOLONG;
	r = make_dir(server->rundir);
	if (r == 0)
		r = make_dir(dir);
	if (r == 0)
		r = take_lock(dir);
	if (r == 0)
		r = listener_new(server, "tool", BRIDGE__ROLE__TOOL, 0);
	if (r == 0)
		r = listener_new(server, "store", BRIDGE__ROLE__STORE, 0);
	if (r == 0)
		r = listener_new(server, "vmm", BRIDGE__ROLE__OWNER, 0);
	for (unsigned int i = 0; i < server->services.nr && r == 0; i++)
		r = listener_new(server, server->services.entries[i].name, BRIDGE__ROLE__SERVICE,
				 server->services.entries[i].domid);
	return r;
}
