/* SPDX-License-Identifier: MIT */
/*
 * The keeper of our descriptors: whoever started us, systemd or xenhost run. It gets copies over
 * $NOTIFY_SOCKET (sd_notify(3), FDSTORE=1) and gives them to our next process, by name, in the way of
 * sd_listen_fds(3). It says in $FDSTORE how many it takes, which systemd does by itself from version 254
 * on and by Environment= before that; without it nothing is kept. Among them may be sockets that systemd
 * listens on for us (their names begin with listen-).
 */
#ifndef BRIDGED_FDSTORE_H
#define BRIDGED_FDSTORE_H

#include <stddef.h>

struct fdstore_socket {
	char *name; /* NULL: taken */
	int fd;
};

struct fdstore {
	unsigned int room; /* 0: there is no keeper */
	unsigned int used;
	char **names; /* of what came from our predecessor, with fds */
	int *fds;     /* -1: taken */
	size_t nr;
	struct fdstore_socket
		*sockets; /* that systemd listens on for us: not kept, so not dropped */
	size_t nr_sockets;
};

/* what the environment says; the variables are taken out of it */
int fdstore_open(struct fdstore *store);
/* closes, and takes from the keeper, what nobody took */
void fdstore_drop_rest(struct fdstore *store);
void fdstore_close(struct fdstore *store);

/* a listening socket by the name that its unit gives it (FileDescriptorName=), the caller's now, or -ENOENT */
int fdstore_take_socket(struct fdstore *store, const char *name);

/* the descriptor of this name, the caller's now, or -ENOENT */
int fdstore_take(struct fdstore *store, const char *name);

/* the keeper gets a copy. -ENOSPC, -errno */
int fdstore_put(struct fdstore *store, const char *name, int fd);
void fdstore_remove(struct fdstore *store, const char *name);

#endif
