/* SPDX-License-Identifier: MIT */
/*
 * A TAP interface of the kernel: whole Ethernet frames, each behind a struct virtio_net_hdr (10
 * bytes). It lives as long as one of its descriptors, unless somebody made it persistent. Needs
 * CAP_NET_ADMIN.
 */
#ifndef NETBACKD_TAP_H
#define NETBACKD_TAP_H

#include <stdbool.h>
#include <stdint.h>

#define TAP_NAME_MAX 15u
#define TAP_QUEUES_MAX 16u

struct tap {
	char name[TAP_NAME_MAX + 1];
	bool multi_queue; /* can have more than one */
	unsigned int nr;
	int fds[TAP_QUEUES_MAX]; /* non-blocking, one per queue */
};

/* 1-15 characters of A-Z a-z 0-9 . _ -, not "." or "..": the kernel's rule, and no template */
bool tap_name_ok(const char *name);

/*
 * With one queue. One that somebody made without queues stays so. -EINVAL (name), -EBUSY (others have it
 * open), -EPERM, -ENOENT (no /dev/net/tun)
 */
int tap_open(const char *name, struct tap **ret_tap);
/* Takes a queue of this name that a predecessor left; fd is the caller's on failure. -EINVAL it is another's */
int tap_adopt(const char *name, int fd, struct tap **ret_tap);
struct tap *tap_close(struct tap *tap); /* NULL */
void tap_closep(struct tap **tap);

/* opens or closes queues until there are nr (at least 1). -EOPNOTSUPP it has one only; errors of tap_open */
int tap_set_queues(struct tap *tap, unsigned int nr);
/* one more, left by a predecessor; as tap_adopt() */
int tap_adopt_queue(struct tap *tap, int fd);

/* what the kernel may leave to who reads: checksums, and if so segments of TCP */
struct tap_offload {
	bool csum, tso4, tso6;
};
int tap_set_offload(const struct tap *tap, const struct tap_offload *offload);

int tap_set_mtu(const struct tap *tap, unsigned int mtu);
/* fe:ff:ff:ff:ff:ff: a bridge takes its own address from the lowest one of its members, never from
 * this */
int tap_set_mac(const struct tap *tap);
int tap_join_bridge(const struct tap *tap, const char *bridge);
int tap_up(const struct tap *tap);
/* without carrier the kernel queues no frames for us */
int tap_set_carrier(const struct tap *tap, bool on);
/* throws away what is queued, at most `max` frames of each queue */
void tap_drain(const struct tap *tap, unsigned int max);

#endif
