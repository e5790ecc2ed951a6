/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hypercall-bridge/bridged/keep.h"

#include "common/bridge.h"
#include "common/cleanup.h"
#include "common/service.h"
#include "hypercall-bridge/bridged/limits.h"

struct deposit {
	struct list link;
	char socket[SERVICE_NAME_MAX];
	char name[BRIDGE_NAME_MAX];
	int fd;
};

void keep_table_init(struct keep_table *t)
{
	list_init(&t->all);
}

static void deposit_free(struct deposit *d)
{
	list_remove(&d->link);
	close(d->fd);
	free(d);
}

void keep_table_fini(struct keep_table *t)
{
	struct deposit *d, *tmp;

	list_for_each_safe(d, tmp, &t->all, link)
		deposit_free(d);
}

/* also counts how many the socket has, when asked for */
static struct deposit *find(const struct keep_table *t, const char *socket, const char *name,
			    unsigned int *ret_nr)
{
	struct deposit *d, *found = NULL;
	unsigned int nr = 0;

	list_for_each(d, &t->all, link) {
		if (strcmp(d->socket, socket) != 0)
			continue;
		nr++;
		if (!strcmp(d->name, name))
			found = d;
	}
	if (ret_nr)
		*ret_nr = nr;
	return found;
}

int keep_put(struct keep_table *t, const char *socket, const char *name, int fd)
{
	_cleanup_close_ int own = -1;
	unsigned int nr;
	struct deposit *d = find(t, socket, name, &nr);

	if (!*name || strlen(name) >= BRIDGE_NAME_MAX || strlen(socket) >= SERVICE_NAME_MAX)
		return -EINVAL;
	if (!d && nr >= LIMIT_KEPT)
		return -ENOSPC;
	own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (own < 0)
		return -errno;
	if (d) {
		close(d->fd);
		d->fd = steal_fd(&own);
		return 0;
	}
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	strcpy(d->socket, socket);
	strcpy(d->name, name);
	d->fd = steal_fd(&own);
	list_append(&t->all, &d->link);
	return 0;
}

int keep_get(const struct keep_table *t, const char *socket, const char *name)
{
	const struct deposit *d = find(t, socket, name, NULL);

	return d ? d->fd : -ENOENT;
}

int keep_drop(struct keep_table *t, const char *socket, const char *name)
{
	struct deposit *d = find(t, socket, name, NULL);

	if (!d)
		return -ENOENT;
	deposit_free(d);
	return 0;
}
