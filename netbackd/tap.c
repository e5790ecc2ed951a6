/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/if_tun.h>

#include "common/cleanup.h"

#include "netbackd/tap.h"

static int set_attached(int fd, bool on)
{
	struct ifreq ifr = { .ifr_flags = (short)(on ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE) };

	return ioctl(fd, TUNSETQUEUE, &ifr) < 0 ? -errno : 0;
}

/* One of this interface's, which is attached afterwards. */
static int check(const char *name, int fd)
{
	const int wanted = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	struct ifreq ifr = { 0 };

	if (ioctl(fd, TUNGETIFF, &ifr) < 0)
		return -errno;
	if (strcmp(ifr.ifr_name, name) || (ifr.ifr_flags & wanted) != wanted)
		return -EINVAL;
	return ifr.ifr_flags & IFF_DETACH_QUEUE ? set_attached(fd, true) : 0;
}

int tap_adopt(const char *name, const int *fds, unsigned int nr, struct tap **ret_tap)
{
	struct tap *tap;

	if (!ifname_ok(name) || nr == 0 || nr > TAP_QUEUES_MAX)
		return -EINVAL;
	for (unsigned int i = 0; i < nr; i++) {
		int r = check(name, fds[i]);

		if (r < 0)
			return r;
	}
	tap = calloc(1, sizeof(*tap));
	if (!tap)
		return -ENOMEM;
	strcpy(tap->name, name);
	memcpy(tap->fds, fds, nr * sizeof(*fds));
	tap->nr = tap->nr_active = nr;
	*ret_tap = tap;
	return 0;
}

int tap_set_queues(struct tap *tap, unsigned int nr)
{
	if (nr > tap->nr)
		return -EOPNOTSUPP;
	while (tap->nr_active != nr) {
		bool more = tap->nr_active < nr;
		int r = set_attached(tap->fds[more ? tap->nr_active : tap->nr_active - 1], more);

		if (r < 0)
			return r;
		tap->nr_active += more ? 1 : -1u;
	}
	return 0;
}

int tap_set_offload(const struct tap *tap, const struct tap_offload *offload)
{
	unsigned long flags = 0;

	if (offload->csum)
		flags |= TUN_F_CSUM;
	if (offload->csum && offload->tso4)
		flags |= TUN_F_TSO4;
	if (offload->csum && offload->tso6)
		flags |= TUN_F_TSO6;
	return ioctl(tap->fds[0], TUNSETOFFLOAD, flags) < 0 ? -errno : 0;
}

struct tap *tap_close(struct tap *tap)
{
	while (tap && tap->nr > 0)
		close(tap->fds[--tap->nr]);
	free(tap);
	return NULL;
}

void tap_closep(struct tap **tap)
{
	*tap = tap_close(*tap);
}

int tap_set_carrier(const struct tap *tap, bool on)
{
	int value = on;

	return ioctl(tap->fds[0], TUNSETCARRIER, &value) < 0 ? -errno : 0;
}

void tap_drain(const struct tap *tap, unsigned int max)
{
	char buf[64];

	for (unsigned int i = 0; i < tap->nr_active; i++)
		for (unsigned int n = 0; n < max && read(tap->fds[i], buf, sizeof(buf)) > 0; n++)
			;
}
