/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <linux/virtio_net.h>

#include "common/cleanup.h"

#include "netbackd/tap.h"

bool tap_name_ok(const char *name)
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t len = strlen(name);

	return len > 0 && len <= TAP_NAME_MAX && strspn(name, allowed) == len &&
	       strcmp(name, ".") && strcmp(name, "..");
}

static int attach(int fd, const char *name, int extra_flags)
{
	struct ifreq ifr = { .ifr_flags =
				     (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | extra_flags) };

	strcpy(ifr.ifr_name, name);
	return ioctl(fd, TUNSETIFF, &ifr) < 0 ? -errno : 0;
}

static int open_queue(const char *name, int extra_flags, int *ret_fd)
{
	_cleanup_close_ int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	int r;

	if (fd < 0)
		return -errno;
	r = attach(fd, name, extra_flags);
	if (r < 0)
		return r;
	*ret_fd = steal_fd(&fd);
	return 0;
}

/* One that is there: somebody made it for us and let go, or others have it, who would get our frames. */
static int open_existing(struct tap *tap, int *ret_fd)
{
	_cleanup_close_ int fd = -1;
	struct ifreq ifr = { 0 };
	int r = open_queue(tap->name, IFF_MULTI_QUEUE, &fd);

	tap->multi_queue = r == 0;
	if (r == -EINVAL)
		r = open_queue(tap->name, 0, &fd);
	if (r < 0)
		return r;
	if (ioctl(fd, TUNGETIFF, &ifr) < 0)
		return -errno;
	if (!(ifr.ifr_flags & IFF_PERSIST))
		return -EBUSY;
	*ret_fd = steal_fd(&fd);
	return 0;
}

static int open_first(struct tap *tap)
{
	int r = open_queue(tap->name, IFF_MULTI_QUEUE | IFF_TUN_EXCL, &tap->fds[0]);

	tap->multi_queue = r == 0;
	if (r == -EBUSY)
		r = open_existing(tap, &tap->fds[0]);
	if (r == 0)
		tap->nr = 1;
	return r;
}

static int new_tap(const char *name, struct tap **ret_tap)
{
	struct tap *tap;

	if (!tap_name_ok(name))
		return -EINVAL;
	tap = calloc(1, sizeof(*tap));
	if (!tap)
		return -ENOMEM;
	strcpy(tap->name, name);
	*ret_tap = tap;
	return 0;
}

/* What the kernel hands us is complete: it segments and sums up before, until we say otherwise. */
int tap_open(const char *name, struct tap **ret_tap)
{
	static const struct tap_offload none;
	_cleanup_(tap_closep) struct tap *tap = NULL;
	int header = sizeof(struct virtio_net_hdr);
	int r = new_tap(name, &tap);

	if (r == 0)
		r = open_first(tap);
	if (r < 0)
		return r;
	if (ioctl(tap->fds[0], TUNSETVNETHDRSZ, &header) < 0)
		return -errno;
	r = tap_set_offload(tap, &none);
	if (r < 0)
		return r;
	*ret_tap = steal_ptr(&tap);
	return 0;
}

/* The header's size is the interface's, not the descriptor's: the one who made it has set it. */
static int check_adopted(const char *name, int fd, bool *ret_multi_queue)
{
	const int wanted = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	struct ifreq ifr = { 0 };

	if (ioctl(fd, TUNGETIFF, &ifr) < 0)
		return -errno;
	if (strcmp(ifr.ifr_name, name) || (ifr.ifr_flags & wanted) != wanted)
		return -EINVAL;
	*ret_multi_queue = ifr.ifr_flags & IFF_MULTI_QUEUE;
	return 0;
}

int tap_adopt(const char *name, int fd, struct tap **ret_tap)
{
	_cleanup_(tap_closep) struct tap *tap = NULL;
	bool multi_queue;
	int r = check_adopted(name, fd, &multi_queue);

	if (r == 0)
		r = new_tap(name, &tap);
	if (r < 0)
		return r;
	tap->multi_queue = multi_queue;
	tap->fds[tap->nr++] = fd;
	*ret_tap = steal_ptr(&tap);
	return 0;
}

int tap_adopt_queue(struct tap *tap, int fd)
{
	bool multi_queue;
	int r = tap->nr < TAP_QUEUES_MAX ? check_adopted(tap->name, fd, &multi_queue) : -ENOSPC;

	if (r == 0)
		tap->fds[tap->nr++] = fd;
	return r;
}

int tap_set_queues(struct tap *tap, unsigned int nr)
{
	if (nr > 1 && !tap->multi_queue)
		return -EOPNOTSUPP;
	while (tap->nr > nr)
		close(tap->fds[--tap->nr]);
	while (tap->nr < nr) {
		int r = open_queue(tap->name, IFF_MULTI_QUEUE, &tap->fds[tap->nr]);

		if (r < 0)
			return r;
		tap->nr++;
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

/* Interfaces are set up through any socket. */
static int interface_ioctl(const char *name, unsigned long request, struct ifreq *ifr)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	strncpy(ifr->ifr_name, name, sizeof(ifr->ifr_name) - 1);
	return ioctl(fd, request, ifr) < 0 ? -errno : 0;
}

int tap_set_mtu(const struct tap *tap, unsigned int mtu)
{
	struct ifreq ifr = { .ifr_mtu = (int)mtu };

	return interface_ioctl(tap->name, SIOCSIFMTU, &ifr);
}

int tap_set_mac(const struct tap *tap)
{
	struct ifreq ifr = { .ifr_hwaddr.sa_family = ARPHRD_ETHER };

	memcpy(ifr.ifr_hwaddr.sa_data, "\xfe\xff\xff\xff\xff\xff", 6);
	return interface_ioctl(tap->name, SIOCSIFHWADDR, &ifr);
}

int tap_join_bridge(const struct tap *tap, const char *bridge)
{
	struct ifreq ifr = { .ifr_ifindex = (int)if_nametoindex(tap->name) };

	if (ifr.ifr_ifindex == 0)
		return -errno;
	if (!tap_name_ok(bridge))
		return -EINVAL;
	return interface_ioctl(bridge, SIOCBRADDIF, &ifr);
}

int tap_up(const struct tap *tap)
{
	struct ifreq ifr = { 0 };
	int r = interface_ioctl(tap->name, SIOCGIFFLAGS, &ifr);

	if (r < 0)
		return r;
	ifr.ifr_flags |= IFF_UP;
	return interface_ioctl(tap->name, SIOCSIFFLAGS, &ifr);
}

int tap_set_carrier(const struct tap *tap, bool on)
{
	int value = on;

	return ioctl(tap->fds[0], TUNSETCARRIER, &value) < 0 ? -errno : 0;
}

void tap_drain(const struct tap *tap, unsigned int max)
{
	char buf[64];

	for (unsigned int i = 0; i < tap->nr; i++)
		for (unsigned int n = 0; n < max && read(tap->fds[i], buf, sizeof(buf)) > 0; n++)
			;
}
