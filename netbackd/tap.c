/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/if_arp.h>
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

/* What the kernel hands us is complete: it segments and sums up before. */
static int configure(int fd, const char *name)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int header = sizeof(struct virtio_net_hdr);

	strcpy(ifr.ifr_name, name);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0)
		return -errno;
	if (ioctl(fd, TUNSETVNETHDRSZ, &header) < 0)
		return -errno;
	if (ioctl(fd, TUNSETOFFLOAD, 0) < 0)
		return -errno;
	return 0;
}

int tap_open(const char *name, struct tap **ret_tap)
{
	_cleanup_(tap_closep) struct tap *tap = NULL;
	int r;

	if (!tap_name_ok(name))
		return -EINVAL;
	tap = calloc(1, sizeof(*tap));
	if (!tap)
		return -ENOMEM;
	strcpy(tap->name, name);
	tap->fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (tap->fd < 0)
		return -errno;
	r = configure(tap->fd, name);
	if (r < 0)
		return r;
	*ret_tap = steal_ptr(&tap);
	return 0;
}

struct tap *tap_close(struct tap *tap)
{
	if (tap) {
		if (tap->fd >= 0)
			close(tap->fd);
		free(tap);
	}
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

	return ioctl(tap->fd, TUNSETCARRIER, &value) < 0 ? -errno : 0;
}

void tap_drain(const struct tap *tap, unsigned int max)
{
	char buf[64];

	while (max-- > 0 && read(tap->fd, buf, sizeof(buf)) > 0)
		;
}
