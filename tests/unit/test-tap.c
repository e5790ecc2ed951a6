/* SPDX-License-Identifier: MIT */
/*
 * A real TAP, as xenhost-opend makes it and xenhost-netbackd uses it, in a network of our own; skipped where the
 * system allows no user namespaces.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <check.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>

#include "common/cleanup.h"

#include "netbackd/tap.h"
#include "opend/opend.h"
#include "tests/support/netns.h"

static struct conf conf = { .any = true };
static struct result result;

int result_error(struct result *res, int error, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(res->text, sizeof(res->text), fmt, ap);
	va_end(ap);
	return error;
}

static int ask(const char *name, const char *bridge, unsigned int nr, unsigned int mtu)
{
	const struct open_request request = {
		.op = OPEN_TAP,
		.flags = OPEN_MTU(mtu),
		.count = nr,
		.nr_strings = 2,
		.strings = { name, bridge },
	};

	memset(&result, 0, sizeof(result));
	return tap_op(&conf, "netback", &request, &result);
}

static void close_result(void)
{
	while (result.nr_fds > 0)
		close(result.fds[--result.nr_fds]);
}

START_TEST(names)
{
	static const char *const good[] = { "v", "vif1.0", "tap-A_9", "123456789012345" };
	static const char *const bad[] = { "",	  ".",	 "..", "1234567890123456", "vif%d", "a b",
					   "a/b", "a:b", "a\n" };

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		ck_assert(ifname_ok(good[i]));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert(!ifname_ok(bad[i]));
		ck_assert_int_eq(ask(bad[i], "", 1, 0), -EINVAL);
		if (*bad[i])
			ck_assert_int_eq(ask("vif7.0", bad[i], 1, 0), -EINVAL);
		ck_assert_uint_eq(result.nr_fds, 0);
	}
	ck_assert_int_eq(ask("vif7.0", "", 17, 0), -EINVAL);
	ck_assert_int_eq(ask("vif7.0", "", 1, 67), -EINVAL);
}
END_TEST

/* what opend.conf does not allow */
START_TEST(refused)
{
	static const char text[] = "[service netback]\ntap = vif*\nbridge = xbr0\n"
				   "[service other]\ntap = other*\n";
	static struct conf strict;
	struct conf_mistake m;

	ck_assert_int_eq(conf_parse(&strict, text, strlen(text), &m), 0);
	conf = strict;
	ck_assert_int_eq(ask("other0", "", 1, 0), -EPERM);
	ck_assert_ptr_nonnull(strstr(result.text, "other0"));
	ck_assert_int_eq(ask("lo", "", 0, 9000), -EPERM);
	ck_assert_int_eq(ask("vif7.0", "xbr1", 1, 0), -EPERM);
	ck_assert_ptr_nonnull(strstr(result.text, "xbr1"));
	ck_assert_int_eq(ask("vif7.0", "xbr0", 1, 0), -ENODEV);
}
END_TEST

static struct tap *open_up(const char *name, unsigned int nr)
{
	struct tap *tap = NULL;

	ck_assert_msg(ask(name, "", nr, 1400) == 0, "%s", result.text);
	ck_assert_int_eq(tap_adopt(name, result.fds, result.nr_fds, &tap), 0);
	result.nr_fds = 0;
	ck_assert_int_eq(tap_set_carrier(tap, true), 0);
	return tap;
}

static int mtu_of(const char *name)
{
	_cleanup_close_ int s = socket(AF_UNIX, SOCK_DGRAM, 0);
	struct ifreq ifr = { 0 };

	strcpy(ifr.ifr_name, name);
	ck_assert_int_eq(ioctl(s, SIOCGIFMTU, &ifr), 0);
	return ifr.ifr_mtu;
}

START_TEST(is_set_up)
{
	struct tap *tap = open_up("vif7.0", 1);
	struct ifreq ifr = { .ifr_name = "vif7.0" };
	_cleanup_close_ int s = socket(AF_UNIX, SOCK_DGRAM, 0);

	ck_assert_int_eq(mtu_of("vif7.0"), 1400);
	ck_assert_int_eq(ask("vif7.0", "", 0, 65521), 0);
	ck_assert_uint_eq(result.nr_fds, 0);
	ck_assert_int_eq(mtu_of("vif7.0"), 65521);
	ck_assert_int_eq(ask("vif8.0", "", 0, 1500), -ENODEV);
	ck_assert_int_eq(ioctl(s, SIOCGIFHWADDR, &ifr), 0);
	ck_assert_mem_eq(ifr.ifr_hwaddr.sa_data, "\xfe\xff\xff\xff\xff\xff", 6);
	ck_assert_int_eq(ioctl(s, SIOCGIFFLAGS, &ifr), 0);
	ck_assert(ifr.ifr_flags & IFF_UP);
	ck_assert_int_eq(fcntl(tap->fds[0], F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(fcntl(tap->fds[0], F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	ck_assert_int_eq(ask("vif7.0", "", 1, 0), -EBUSY);
	tap_close(tap);
	ck_assert_uint_eq(if_nametoindex("vif7.0"), 0);
}
END_TEST

START_TEST(carrier)
{
	struct tap *tap = open_up("vif7.0", 1);
	struct ifreq ifr = { .ifr_name = "vif7.0" };
	_cleanup_close_ int s = socket(AF_UNIX, SOCK_DGRAM, 0);

	for (int on = 0; on < 2; on++) {

		ck_assert_int_eq(tap_set_carrier(tap, on), 0);
		/* the flag follows from a work queue of the kernel's */
		do {
			ck_assert_int_eq(ioctl(s, SIOCGIFFLAGS, &ifr), 0);
		} while (!(ifr.ifr_flags & IFF_RUNNING) != !on);
	}
	tap_close(tap);
}
END_TEST

START_TEST(queues)
{
	struct tap *tap = open_up("vif7.0", TAP_QUEUES_MAX);
	struct ifreq ifr = { 0 };

	ck_assert_uint_eq(tap->nr, TAP_QUEUES_MAX);
	ck_assert_int_eq(tap_set_queues(tap, 1), 0);
	ck_assert_int_eq(ioctl(tap->fds[0], TUNGETIFF, &ifr), 0);
	ck_assert(!(ifr.ifr_flags & IFF_DETACH_QUEUE));
	ck_assert_int_eq(ioctl(tap->fds[1], TUNGETIFF, &ifr), 0);
	ck_assert(ifr.ifr_flags & IFF_DETACH_QUEUE);
	ck_assert_int_eq(tap_set_queues(tap, 3), 0);
	for (unsigned int i = 0; i < 3; i++) {
		ck_assert_int_eq(ioctl(tap->fds[i], TUNGETIFF, &ifr), 0);
		ck_assert_str_eq(ifr.ifr_name, "vif7.0");
	}
	ck_assert_int_eq(tap_set_queues(tap, TAP_QUEUES_MAX + 1), -EOPNOTSUPP);
	ck_assert_int_eq(tap_set_queues(tap, 1), 0);
	ck_assert_uint_ne(if_nametoindex("vif7.0"), 0);
	tap_close(tap);
	ck_assert_uint_eq(if_nametoindex("vif7.0"), 0);
}
END_TEST

/* what an administrator made before: with queues or without */
START_TEST(persistent)
{
	for (int multi = 0; multi < 2; multi++) {
		struct ifreq ifr = { .ifr_name = "vif7.0" };
		int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
		struct tap *tap;

		ifr.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | (multi ? IFF_MULTI_QUEUE : 0));
		ck_assert_int_eq(ioctl(fd, TUNSETIFF, &ifr), 0);
		ck_assert_int_eq(ioctl(fd, TUNSETPERSIST, 1), 0);
		close(fd);
		tap = open_up("vif7.0", 2);
		ck_assert_uint_eq(tap->nr, multi ? 2 : 1);
		ck_assert_int_eq(tap_set_queues(tap, 2), multi ? 0 : -EOPNOTSUPP);
		ck_assert_int_eq(ioctl(tap->fds[0], TUNSETPERSIST, 0), 0);
		tap_close(tap);
		ck_assert_uint_eq(if_nametoindex("vif7.0"), 0);
	}
}
END_TEST

/* a successor goes on with the descriptors, of which some are detached */
START_TEST(adopted)
{
	struct tap *tap = open_up("vif7.0", 3), *next = NULL;
	int fds[3], other[1] = { 0 };

	ck_assert_int_eq(tap_set_queues(tap, 1), 0);
	for (int i = 0; i < 3; i++)
		fds[i] = dup(tap->fds[i]);
	tap_close(tap);
	ck_assert_int_eq(tap_adopt("vif8.0", fds, 3, &next), -EINVAL);
	ck_assert_int_lt(tap_adopt("vif7.0", other, 1, &next), 0);
	ck_assert_int_eq(tap_adopt("vif7.0", fds, 0, &next), -EINVAL);
	ck_assert_ptr_null(next);
	ck_assert_int_eq(tap_adopt("vif7.0", fds, 3, &next), 0);
	ck_assert_uint_eq(next->nr, 3);
	ck_assert_int_eq(tap_set_queues(next, 2), 0);
	tap_close(next);
	ck_assert_uint_eq(if_nametoindex("vif7.0"), 0);
}
END_TEST

static int packet_socket(const char *name)
{
	struct sockaddr_ll addr = { .sll_family = AF_PACKET,
				    .sll_protocol = htons(ETH_P_ALL),
				    .sll_ifindex = (int)if_nametoindex(name) };
	int s = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));

	ck_assert_int_ge(s, 0);
	ck_assert_int_eq(bind(s, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return s;
}

/* Frames of the kernel's own (IPv6) may come between. */
static void expect(int fd, size_t skip, const uint8_t *frame, size_t len)
{
	uint8_t buf[2048];
	ssize_t n;

	do {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		ck_assert_int_eq(poll(&p, 1, 10000), 1);
		n = read(fd, buf, sizeof(buf));
		ck_assert_int_gt(n, (ssize_t)skip);
	} while (buf[skip + 12] != 0x88 || buf[skip + 13] != 0xb5);
	ck_assert_uint_eq((size_t)n, skip + len);
	ck_assert_mem_eq(buf + skip, frame, len);
}

START_TEST(frames_both_ways)
{
	struct tap *tap = open_up("vif7.0", 1);
	uint8_t out[sizeof(struct virtio_net_hdr) + 1000] = { 0 };
	uint8_t *frame = out + sizeof(struct virtio_net_hdr);
	int s = packet_socket("vif7.0");

	for (size_t i = 0; i < 1000; i++)
		frame[i] = (uint8_t)i;
	memcpy(frame + 12, "\x88\xb5", 2);
	ck_assert_int_eq(write(tap->fds[0], out, sizeof(out)), sizeof(out));
	expect(s, 0, frame, 1000);
	frame[500]++;
	ck_assert_int_eq(write(s, frame, 1000), 1000);
	expect(tap->fds[0], sizeof(struct virtio_net_hdr), frame, 1000);
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(write(s, frame, 1000), 1000);
	tap_drain(tap, 1000);
	ck_assert_int_eq(read(tap->fds[0], out, sizeof(out)), -1);
	ck_assert_int_eq(errno, EAGAIN);
	close(s);
	tap_close(tap);
}
END_TEST

START_TEST(bridges)
{
	_cleanup_close_ int s = socket(AF_UNIX, SOCK_DGRAM, 0);
	struct ifreq ifr = { 0 };
	struct tap *tap = NULL;

	ck_assert_int_eq(ask("vif7.0", "nobridge0", 1, 0), -ENODEV);
	/* an interface, but none; and nothing of it is left */
	ck_assert_int_lt(ask("vif7.0", "lo", 1, 0), 0);
	close_result();
	ck_assert_uint_eq(if_nametoindex("vif7.0"), 0);
	ck_assert_int_eq(ioctl(s, SIOCBRADDBR, "xbr0"), 0);
	ck_assert_int_eq(ask("vif7.0", "xbr0", 1, 0), 0);
	ck_assert_int_eq(tap_adopt("vif7.0", result.fds, result.nr_fds, &tap), 0);
	strcpy(ifr.ifr_name, "xbr0");
	ifr.ifr_ifindex = (int)if_nametoindex("vif7.0");
	ck_assert_int_eq(ioctl(s, SIOCBRDELIF, &ifr), 0);
	tap_close(tap);
	ck_assert_int_eq(ioctl(s, SIOCBRDELBR, "xbr0"), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tap");
	TCase *tc = tcase_create("all");
	SRunner *sr = srunner_create(s);
	bool have_net;
	int failed;

	/* once, before Check forks */
	have_net = netns_enter();
	suite_add_tcase(s, tc);
	tcase_add_test(tc, names);
	tcase_add_test(tc, refused);
	if (have_net) {
		tcase_add_test(tc, is_set_up);
		tcase_add_test(tc, carrier);
		tcase_add_test(tc, queues);
		tcase_add_test(tc, persistent);
		tcase_add_test(tc, adopted);
		tcase_add_test(tc, frames_both_ways);
		tcase_add_test(tc, bridges);
	}
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	if (!failed && !have_net) {
		printf("no network namespace or no /dev/net/tun: the rest was skipped\n");
		return 77;
	}
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
