/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hypercall-bridge/bridged/sockets.h"

#include "common/bridge.h"
#include "common/cleanup.h"
#include "common/listener.h"
#include "common/log.h"
#include "common/rundir.h"
#include "hypercall-bridge/bridged/client.h"
#include "hypercall-bridge/bridged/server.h"

/* One socket: who comes through it is what it says. */
struct door {
	struct list link;
	struct server *server;
	struct listener *listener;
	Bridge__Role role;
	char role_name[SERVICE_NAME_MAX];
	uint16_t domid; /* of its clients; unused for owners */
};

static int lock_fd = -1; /* held as long as the daemon lives */

void sockets_close(struct server *server)
{
	struct door *door, *tmp;

	list_for_each_safe(door, tmp, &server->doors, link) {
		list_remove(&door->link);
		listener_free(door->listener);
		free(door);
	}
	closep(&lock_fd);
	lock_fd = -1;
}

static void on_connection(void *data, int fd)
{
	struct door *door = data;
	struct domain *d = NULL;
	int r;

	if (door->role != BRIDGE__ROLE__OWNER)
		d = domain_get(&door->server->domains, door->domid);
	r = client_new(door->server, fd, door->role, door->role_name, d);
	if (r < 0)
		log_warning("refusing a connection on %s.sock: %s", door->role_name, strerror(-r));
}

static int open_door(struct server *server, const char *name, Bridge__Role role, uint16_t domid)
{
	struct door *door = calloc(1, sizeof(*door));
	char path[PATH_MAX];

	if (!door) {
		log_error("no memory for the socket %s.sock", name);
		return -ENOMEM;
	}
	door->server = server;
	door->role = role;
	door->domid = domid;
	list_append(&server->doors, &door->link);
	strncpy(door->role_name, name, sizeof(door->role_name) - 1);
	snprintf(path, sizeof(path), "%s/" BRIDGE_DIR "/%s.sock", server->rundir, name);
	return listener_new(server->base, path, fdstore_take_socket(&server->fdstore, name),
			    on_connection, door, &door->listener);
}

int sockets_open(struct server *server)
{
	int r = rundir_make(server->rundir, BRIDGE_DIR, 0750);

	if (r == 0)
		r = rundir_lock(server->rundir, BRIDGE_DIR "/lock", "xenhost-bridged", &lock_fd);
	if (r == 0)
		r = open_door(server, "tool", BRIDGE__ROLE__TOOL, 0);
	if (r == 0)
		r = open_door(server, "store", BRIDGE__ROLE__STORE, 0);
	if (r == 0)
		r = open_door(server, "vmm", BRIDGE__ROLE__OWNER, 0);
	for (unsigned int i = 0; i < server->services.nr && r == 0; i++)
		r = open_door(server, server->services.entries[i].name, BRIDGE__ROLE__SERVICE,
			      server->services.entries[i].domid);
	return r;
}
