/* SPDX-License-Identifier: MIT */
/*
 * A TAP interface of the kernel: whole Ethernet frames, each behind a struct virtio_net_hdr (10
 * bytes). It lives as long as its descriptor, unless somebody made it persistent. Needs
 * CAP_NET_ADMIN.
 */
#ifndef NETBACKD_TAP_H
#define NETBACKD_TAP_H

#include <stdbool.h>

#define TAP_NAME_MAX 15u

struct tap {
	int fd; /* non-blocking */
	char name[TAP_NAME_MAX + 1];
};

/* 1-15 characters of A-Z a-z 0-9 . _ -, not "." or "..": the kernel's rule, and no template */
bool tap_name_ok(const char *name);

/* -EINVAL (name), -EBUSY (others have it open), -EPERM, -ENOENT (no /dev/net/tun) */
int tap_open(const char *name, struct tap **ret_tap);
struct tap *tap_close(struct tap *tap); /* NULL */
void tap_closep(struct tap **tap);

int tap_set_mtu(const struct tap *tap, unsigned int mtu);
/* fe:ff:ff:ff:ff:ff: a bridge takes its own address from the lowest one of its members, never from
 * this */
int tap_set_mac(const struct tap *tap);
int tap_join_bridge(const struct tap *tap, const char *bridge);
int tap_up(const struct tap *tap);
/* without carrier the kernel queues no frames for us */
int tap_set_carrier(const struct tap *tap, bool on);
/* throws away what is queued, at most `max` frames */
void tap_drain(const struct tap *tap, unsigned int max);

#endif
