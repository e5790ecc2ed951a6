/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hypercall-bridge/bridged/keep.h"

#include "common/bridge.h"
#include "common/cleanup.h"
#include "common/service.h"
#include "hypercall-bridge/bridged/limits.h"
#include "hypercall-bridge/bridged/state.h"

struct deposit {
	struct list link;
	char socket[SERVICE_NAME_MAX];
	char name[BRIDGE_NAME_MAX];
	int fd;
	uint32_t slot;
	uint64_t number;
};

void keep_table_init(struct keep_table *t, struct state *state)
{
	*t = (struct keep_table){ .state = state };
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

static int deposit_new(struct keep_table *t, const char *socket, const char *name, int fd)
{
	struct deposit *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return -ENOMEM;
	r = state_new(t->state, &fd, 1, &d->slot);
	if (r < 0) {
		free(d);
		return r;
	}
	strcpy(d->socket, socket);
	strcpy(d->name, name);
	d->fd = fd;
	d->number = ++t->last_number;
	list_append(&t->all, &d->link);
	return 0;
}

static void deposit_write(struct keep_table *t, const struct deposit *d)
{
	struct state_record r = { .kind = STATE_DEPOSIT };

	r.deposit.number = d->number;
	strcpy(r.deposit.socket, d->socket);
	strcpy(r.deposit.name, d->name);
	state_write(t->state, d->slot, &r);
}

/* A new one replaces the old one only when it is kept itself: at no time there is none. */
int keep_put(struct keep_table *t, const char *socket, const char *name, int fd)
{
	_cleanup_close_ int own = -1;
	unsigned int nr;
	struct deposit *old = find(t, socket, name, &nr);
	int r;

	if (!*name || strlen(name) >= BRIDGE_NAME_MAX || strlen(socket) >= SERVICE_NAME_MAX)
		return -EINVAL;
	if (!old && nr >= LIMIT_KEPT)
		return -ENOSPC;
	own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (own < 0)
		return -errno;
	r = deposit_new(t, socket, name, own);
	if (r < 0)
		return r;
	own = -1;
	deposit_write(t, list_entry(t->all.prev, struct deposit, link));
	if (old) {
		state_free(t->state, old->slot);
		deposit_free(old);
	}
	return 0;
}

int keep_restore(struct keep_table *t, uint32_t slot, const struct state_deposit *kept, int fd)
{
	struct deposit *other = find(t, kept->socket, kept->name, NULL), *d;
	bool replaces = other && other->number < kept->number;

	if (other && !replaces) { /* this is the old one */
		close(fd);
		state_free(t->state, slot);
		return 1;
	}
	d = calloc(1, sizeof(*d));
	if (!d) {
		close(fd);
		return -ENOMEM;
	}
	strcpy(d->socket, kept->socket);
	strcpy(d->name, kept->name);
	d->fd = fd;
	d->slot = slot;
	d->number = kept->number;
	if (d->number > t->last_number)
		t->last_number = d->number;
	list_append(&t->all, &d->link);
	if (!other)
		return 0;
	state_free(t->state, other->slot);
	deposit_free(other);
	return 1;
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
	state_free(t->state, d->slot);
	deposit_free(d);
	return 0;
}
