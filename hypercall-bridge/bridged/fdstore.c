/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "hypercall-bridge/bridged/fdstore.h"

#include "common/log.h"
#include "common/options.h"
#include "hypercall-bridge/bridged/limits.h"

#define SOCKET_PREFIX "listen-"

/* Sorted by name, so that thousands are found quickly. */
struct entry {
	char *name;
	int fd;
};

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static int sort_entries(struct fdstore *store)
{
	struct entry *entries = calloc(store->nr + 1, sizeof(*entries));

	if (!entries)
		return -ENOMEM;
	for (size_t i = 0; i < store->nr; i++)
		entries[i] = (struct entry){ store->names[i], store->fds[i] };
	qsort(entries, store->nr, sizeof(*entries), compare);
	for (size_t i = 0; i < store->nr; i++) {
		store->names[i] = entries[i].name;
		store->fds[i] = entries[i].fd;
	}
	free(entries);
	return 0;
}

/* Sockets go to a list of their own, others keep their order. */
static int part_sockets(struct fdstore *store)
{
	size_t kept = 0;

	store->sockets = calloc(store->nr + 1, sizeof(*store->sockets));
	if (!store->sockets)
		return -ENOMEM;
	for (size_t i = 0; i < store->nr; i++) {
		char *name = store->names[i];
		int fd = store->fds[i];

		if (!strncmp(name, SOCKET_PREFIX, strlen(SOCKET_PREFIX))) {
			store->sockets[store->nr_sockets++] = (struct fdstore_socket){ name, fd };
			continue;
		}
		store->names[kept] = name;
		store->fds[kept++] = fd;
	}
	store->nr = store->used = (unsigned int)kept;
	return 0;
}

int fdstore_open(struct fdstore *store)
{
	const char *room = getenv("FDSTORE"), *socket = getenv("NOTIFY_SOCKET");
	unsigned long long n = 0;
	int r;

	*store = (struct fdstore){ 0 };
	if (socket && *socket && room && options_number(room, 1, LIMIT_STORED, &n) < 0)
		n = *room && strlen(room) < 10 && atoi(room) > 0 ? LIMIT_STORED : 0;
	store->room = (unsigned int)n;
	r = sd_listen_fds_with_names(1, &store->names);
	if (r < 0)
		return r;
	store->nr = (unsigned int)r;
	store->fds = calloc(store->nr + 1, sizeof(*store->fds));
	if (!store->fds)
		return -ENOMEM;
	for (size_t i = 0; i < store->nr; i++)
		store->fds[i] = SD_LISTEN_FDS_START + (int)i;
	r = part_sockets(store);
	return r < 0 ? r : sort_entries(store);
}

int fdstore_take_socket(struct fdstore *store, const char *name)
{
	for (size_t i = 0; i < store->nr_sockets; i++) {
		struct fdstore_socket *s = &store->sockets[i];

		if (!s->name || strcmp(s->name + strlen(SOCKET_PREFIX), name) != 0)
			continue;
		free(s->name);
		s->name = NULL;
		return s->fd;
	}
	return -ENOENT;
}

int fdstore_take(struct fdstore *store, const char *name)
{
	size_t lo = 0, hi = store->nr;
	int fd;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(store->names[mid], name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	while (lo < store->nr && store->fds[lo] < 0 && !strcmp(store->names[lo], name))
		lo++;
	if (lo == store->nr || strcmp(store->names[lo], name) != 0)
		return -ENOENT;
	fd = store->fds[lo];
	store->fds[lo] = -1;
	return fd;
}

void fdstore_drop_rest(struct fdstore *store)
{
	for (size_t i = 0; i < store->nr; i++) {
		if (store->fds[i] < 0)
			continue;
		log_debug("nobody needs the kept descriptor %s", store->names[i]);
		fdstore_remove(store, store->names[i]);
		close(store->fds[i]);
		store->fds[i] = -1;
	}
}

void fdstore_close(struct fdstore *store)
{
	for (size_t i = 0; i < store->nr; i++) {
		if (store->fds[i] >= 0)
			close(store->fds[i]);
		free(store->names[i]);
	}
	for (size_t i = 0; i < store->nr_sockets; i++) {
		if (!store->sockets[i].name)
			continue;
		close(store->sockets[i].fd);
		free(store->sockets[i].name);
	}
	free(store->sockets);
	free(store->names);
	free(store->fds);
	*store = (struct fdstore){ 0 };
}

/* FDPOLL=0: the keeper must not drop an eventfd that a peer has filled up */
int fdstore_put(struct fdstore *store, const char *name, int fd)
{
	char text[64];
	int r;

	if (store->used >= store->room)
		return -ENOSPC;
	snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%s\nFDPOLL=0", name);
	r = sd_pid_notify_with_fds(0, 0, text, &fd, 1);
	if (r < 0)
		return r;
	store->used++;
	return 0;
}

void fdstore_remove(struct fdstore *store, const char *name)
{
	char text[64];
	int r;

	snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", name);
	r = sd_notify(0, text);
	if (r < 0)
		log_warning("the keeper of descriptors does not drop %s: %s", name, strerror(-r));
	if (store->used)
		store->used--;
}
