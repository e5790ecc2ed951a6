/* SPDX-License-Identifier: MIT */
/*
 * OPEN_TAP: a TAP interface, made if it is not there, with as many queues as are asked for and struct virtio_net_hdr (10
 * bytes) before each frame. Its address is fe:ff:ff:ff:ff:ff, which a bridge never takes for its own. It is up, without
 * carrier, and in the bridge that is named, if any. It goes with the last of its descriptors, unless somebody made it
 * persistent. A count of 0 opens nothing: the MTU of an interface that is there is set.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/ifname.h"

#include "opend/opend.h"

#define MTU_MIN 68u

_Static_assert(FDPASS_MAX >= 16, "a card may have 16 queues");

/* ---- descriptors ---- */

static int open_queue(const char *name, int extra_flags, int *ret_fd)
{
	struct ifreq ifr = { .ifr_flags =
				     (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | extra_flags) };
	_cleanup_close_ int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	strcpy(ifr.ifr_name, name);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0)
		return -errno;
	*ret_fd = steal_fd(&fd);
	return 0;
}

/* One that is there: somebody made it for us and let go, or others have it, who would get our frames. */
static int open_existing(const char *name, bool *ret_multi, int *ret_fd)
{
	_cleanup_close_ int fd = -1;
	struct ifreq ifr = { 0 };
	int r = open_queue(name, IFF_MULTI_QUEUE, &fd);

	*ret_multi = r == 0;
	if (r == -EINVAL)
		r = open_queue(name, 0, &fd);
	if (r < 0)
		return r;
	if (ioctl(fd, TUNGETIFF, &ifr) < 0)
		return -errno;
	if (!(ifr.ifr_flags & IFF_PERSIST))
		return -EBUSY;
	*ret_fd = steal_fd(&fd);
	return 0;
}

/* What the kernel hands out is complete: it segments and sums up before, until somebody says otherwise. */
static int prepare(int fd)
{
	int header = sizeof(struct virtio_net_hdr), off = 0;

	if (ioctl(fd, TUNSETVNETHDRSZ, &header) < 0 || ioctl(fd, TUNSETOFFLOAD, 0ul) < 0)
		return -errno;
	(void)ioctl(fd, TUNSETCARRIER, &off);
	return 0;
}

/* A card of an interface that somebody made without queues has one. */
static int open_queues(const char *name, unsigned int nr, struct result *result)
{
	bool multi = true;
	int r = open_queue(name, IFF_MULTI_QUEUE | IFF_TUN_EXCL, &result->fds[0]);

	if (r == -EBUSY)
		r = open_existing(name, &multi, &result->fds[0]);
	if (r < 0)
		return r;
	result->nr_fds = 1;
	r = prepare(result->fds[0]);
	while (r == 0 && multi && result->nr_fds < nr) {
		r = open_queue(name, IFF_MULTI_QUEUE, &result->fds[result->nr_fds]);
		result->nr_fds += r == 0;
	}
	return r;
}

/* ---- the interface ---- */

struct link_request {
	struct nlmsghdr head;
	struct ifinfomsg info;
	uint8_t attributes[64];
};

static void add_attribute(struct link_request *q, unsigned short type, const void *data, size_t len)
{
	struct rtattr *a = (struct rtattr *)(void *)((uint8_t *)q + NLMSG_ALIGN(q->head.nlmsg_len));

	a->rta_type = type;
	a->rta_len = (unsigned short)RTA_LENGTH(len);
	memcpy(RTA_DATA(a), data, len);
	q->head.nlmsg_len = NLMSG_ALIGN(q->head.nlmsg_len) + (uint32_t)RTA_SPACE(len);
}

/* 0 or what the kernel says to it */
static int ask_kernel(const struct link_request *q)
{
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	struct {
		struct nlmsghdr head;
		struct nlmsgerr error;
		uint8_t more[1024];
	} answer;
	ssize_t n;

	if (fd < 0 || send(fd, q, q->head.nlmsg_len, 0) < 0)
		return -errno;
	do {
		n = recv(fd, &answer, sizeof(answer), 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if ((size_t)n < sizeof(answer.head) + sizeof(answer.error) ||
	    answer.head.nlmsg_type != NLMSG_ERROR)
		return -EPROTO;
	return answer.error.error;
}

static int begin_link(const char *name, struct link_request *ret_request)
{
	struct link_request q = {
		.head = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)),
			  .nlmsg_type = RTM_NEWLINK,
			  .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
		.info = { .ifi_family = AF_UNSPEC, .ifi_index = (int)if_nametoindex(name) },
	};

	if (q.info.ifi_index == 0)
		return -ENODEV;
	*ret_request = q;
	return 0;
}

static int set_mtu(const char *name, uint32_t mtu)
{
	struct link_request q;
	int r = begin_link(name, &q);

	if (r < 0 || mtu == 0)
		return r;
	add_attribute(&q, IFLA_MTU, &mtu, sizeof(mtu));
	return ask_kernel(&q);
}

/* in one request, so that it is in the bridge before it is up */
static int set_up(const char *name, uint32_t mtu, unsigned int bridge)
{
	static const uint8_t address[6] = { 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff };
	struct link_request q;
	int r = begin_link(name, &q);

	if (r < 0)
		return r;
	q.info.ifi_flags = q.info.ifi_change = IFF_UP;
	add_attribute(&q, IFLA_ADDRESS, address, sizeof(address));
	if (mtu)
		add_attribute(&q, IFLA_MTU, &mtu, sizeof(mtu));
	if (bridge)
		add_attribute(&q, IFLA_MASTER, &bridge, sizeof(bridge));
	return ask_kernel(&q);
}

/* ---- the operation ---- */

static int open_tap(const char *name, const char *bridge, unsigned int nr, uint32_t mtu,
		    struct result *result)
{
	unsigned int index = *bridge ? if_nametoindex(bridge) : 0;
	int r;

	if (*bridge && index == 0)
		return result_error(result, -ENODEV, "there is no bridge %s", bridge);
	r = open_queues(name, nr, result);
	if (r == -EBUSY)
		return result_error(result, r, "the interface %s is there and has an owner", name);
	if (r < 0)
		return result_error(result, r, "cannot make the TAP interface %s: %s%s", name,
				    strerror(-r), r == -EPERM ? " (CAP_NET_ADMIN is needed)" : "");
	r = set_up(name, mtu, index);
	if (r < 0)
		return result_error(result, r, "cannot set the interface %s up%s%s: %s", name,
				    *bridge ? " in the bridge " : "", bridge, strerror(-r));
	return 0;
}

int tap_op(const struct conf *conf, const char *service, const struct open_request *request,
	   struct result *result)
{
	const char *name = request->strings[0], *bridge = request->strings[1];
	uint32_t mtu = OPEN_MTU_OF(request->flags);
	int r;

	if (request->nr_strings != 2 || !ifname_ok(name) || (*bridge && !ifname_ok(bridge)) ||
	    request->count > FDPASS_MAX || (mtu && mtu < MTU_MIN))
		return result_error(result, -EINVAL,
				    "an interface has a name of at most 15 characters, no more "
				    "than 16 queues, and an MTU from 68 to 65535");
	if (!conf_allows(conf, service, CONF_TAP, name))
		return result_error(result, -EPERM, "opend.conf does not give %s the interface %s",
				    service, name);
	if (*bridge && !conf_allows(conf, service, CONF_BRIDGE, bridge))
		return result_error(result, -EPERM, "opend.conf does not give %s the bridge %s",
				    service, bridge);
	if (request->count > 0)
		return open_tap(name, bridge, request->count, mtu, result);
	r = set_mtu(name, mtu);
	return r < 0 ? result_error(result, r, "cannot set the MTU of %s: %s", name, strerror(-r))
		     : 0;
}
