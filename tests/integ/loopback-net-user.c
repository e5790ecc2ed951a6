/* SPDX-License-Identifier: MIT */
/*
 * User-mode networking: a loopback guest whose card ends at a passt, in a network of our own with an address and a
 * default route, which passt hands on. The hosts that the guest talks to are sockets of this process.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <check.h>
#include <linux/sockios.h>

#include "common/cleanup.h"
#include "common/xen.h"

#include "tests/support/daemon.h"
#include "tests/support/netns.h"
#include "tests/support/nic.h"
#include "tests/support/tcp.h"
#include "tools/passt.h"

#define UPLINK "up0"
#define ADDRESS 0x0a4d0502u /* 10.77.5.2 */
#define GATEWAY 0x0a4d0501u
#define PUBLISHED 8022 /* of the host, */
#define GUEST_PORT 22  /* of the guest */
#define LARGE 30000u
#define SEGMENT 1400u
#define KILLS 5

static const uint8_t mac[6] = { 0, 0x16, 0x3e, 0, 0, 1 };
static const struct nic_config plain, linux_like = {
	.split = true,
	.sg = true,
	.gso4 = true,
	.gso6 = true,
	.csum6 = true,
};

static struct set set;
static struct passt passt;
static struct nic nic;
static struct tcp_host host;
static struct tcp tcp;
static uint8_t sent[LARGE], received[LARGE];

static int start_daemon(void)
{
	const char *const args[] = { "--queues", "4", getenv("VERBOSE") ? "--verbose" : NULL,
				     NULL };

	return process_run_daemon(&set.services[0], "netbackd", set.rundir, args);
}

/* ---- the host's network ---- */

static bool interface(int s, const char *name, unsigned long request, uint32_t address)
{
	struct ifreq ifr = { 0 };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(address) };

	strcpy(ifr.ifr_name, name);
	if (request == SIOCSIFFLAGS)
		ifr.ifr_flags = IFF_UP;
	else
		memcpy(&ifr.ifr_addr, &in, sizeof(in));
	return ioctl(s, request, &ifr) == 0;
}

static bool make_uplink(void)
{
	_cleanup_close_ int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct rtentry route = { .rt_flags = RTF_UP | RTF_GATEWAY };
	struct sockaddr_in gateway = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(GATEWAY) },
			   all = { .sin_family = AF_INET };

	memcpy(&route.rt_gateway, &gateway, sizeof(gateway));
	memcpy(&route.rt_dst, &all, sizeof(all));
	memcpy(&route.rt_genmask, &all, sizeof(all));
	return interface(s, "lo", SIOCSIFFLAGS, 0) && nic_make_bridge(UPLINK) &&
	       interface(s, UPLINK, SIOCSIFADDR, ADDRESS) &&
	       interface(s, UPLINK, SIOCSIFNETMASK, 0xffffff00) && ioctl(s, SIOCADDRT, &route) == 0;
}

static int host_socket(struct sockaddr_in *address)
{
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval patience = { .tv_sec = NIC_PATIENCE_MS / 1000 };

	*address = (struct sockaddr_in){ .sin_family = AF_INET,
					 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	ck_assert_int_ge(s, 0);
	(void)setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return s;
}

/* a server that the guest connects to: passt takes the gateway's address for the host's own */
static int host_listen(uint16_t *ret_port)
{
	struct sockaddr_in address;
	socklen_t len = sizeof(address);
	int s = host_socket(&address);

	ck_assert_int_eq(bind(s, (struct sockaddr *)&address, len), 0);
	ck_assert_int_eq(listen(s, 1), 0);
	ck_assert_int_eq(getsockname(s, (struct sockaddr *)&address, &len), 0);
	*ret_port = ntohs(address.sin_port);
	return s;
}

static int host_accept(int s)
{
	struct timeval patience = { .tv_sec = NIC_PATIENCE_MS / 1000 };
	int peer = accept4(s, NULL, NULL, SOCK_CLOEXEC);

	ck_assert_int_ge(peer, 0);
	(void)setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return peer;
}

/* ---- a guest on it ---- */

static void open_nic(const char *name, const struct nic_config *config)
{
	nic_make(&nic, &set, name, NULL);
	front_write(&nic.front, XENHOST_BACK, "passt", "%s", passt.socket);
	nic_start(&nic);
	nic_connect(&nic, config);
	tcp_host_configure(&host, &nic.q[0], mac);
	ck_assert_uint_eq(host.address, ADDRESS);
	ck_assert_uint_eq(host.gateway, GATEWAY);
}

static void fill(size_t len)
{
	static uint32_t seed;

	seed++;
	for (size_t i = 0; i < len; i++)
		sent[i] = (uint8_t)(seed * 31 + i * 7 + (i >> 8));
}

static void to_host(int s, size_t len, uint16_t segment)
{
	fill(len);
	tcp_send(&tcp, sent, len, segment);
	memset(received, 0, len);
	for (size_t got = 0; got < len;) {
		ssize_t n = recv(s, received + got, len - got, 0);

		ck_assert_int_gt(n, 0);
		got += (size_t)n;
	}
	ck_assert_mem_eq(received, sent, len);
}

/* returns the longest frame's share */
static size_t from_host(int s, size_t len)
{
	size_t longest;

	fill(len);
	ck_assert_int_eq(send(s, sent, len, MSG_NOSIGNAL), len);
	memset(received, 0, len);
	tcp_receive(&tcp, received, len, &longest);
	ck_assert_mem_eq(received, sent, len);
	return longest;
}

/* both ways, in small pieces */
static void exchange(int s)
{
	static const size_t sizes[] = { 1, 2, 100, 536, 1459, 1460 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		to_host(s, sizes[i], i & 1 ? SEGMENT * 2 : 0);
		(void)from_host(s, sizes[i]);
	}
}

/* an address by DHCP, a connection, and its end; what is left blank is completed */
START_TEST(dhcp_and_tcp)
{
	_cleanup_close_ int s = -1, peer = -1;
	uint16_t port;

	open_nic("user", _i ? &linux_like : &plain);
	ck_assert_str_eq(front_read(&nic.front, XENHOST_BACK, "multi-queue-max-queues"), "1");
	ck_assert_uint_eq(host.mtu, 65520);
	s = host_listen(&port);
	tcp.mss = 1460;
	tcp_connect(&tcp, &host, host.gateway, port);
	peer = host_accept(s);
	exchange(peer);
	ck_assert_int_eq(shutdown(peer, SHUT_WR), 0);
	tcp_close(&tcp);
	nic_disconnect(&nic);
	nic_close(&nic);
}
END_TEST

/* Segments that the guest leaves to others go as they are, and frames for it are as long as it says. */
START_TEST(large_frames)
{
	_cleanup_close_ int s = -1, peer = -1;
	size_t longest = 0;
	uint16_t port;

	open_nic("large", &linux_like);
	s = host_listen(&port);
	tcp.mss = LARGE;
	tcp_connect(&tcp, &host, host.gateway, port);
	peer = host_accept(s);
	for (int i = 0; i < 20; i++) {
		size_t n;

		to_host(peer, LARGE - (size_t)i * 100, SEGMENT);
		n = from_host(peer, LARGE - (size_t)i * 100);
		longest = n > longest ? n : longest;
	}
	ck_assert_uint_gt(longest, 2 * XEN_PAGE_SIZE);
	nic_close(&nic);
}
END_TEST

/* a server in the guest, at a port of the host */
START_TEST(published_port)
{
	struct sockaddr_in address;
	_cleanup_close_ int s = host_socket(&address);

	open_nic("server", &linux_like);
	address.sin_port = htons(PUBLISHED);
	ck_assert_int_eq(connect(s, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(send(s, "hello", 5, MSG_NOSIGNAL), 5);
	tcp_accept(&tcp, &host, GUEST_PORT);
	tcp_receive(&tcp, received, 5, NULL);
	ck_assert_mem_eq(received, "hello", 5);
	exchange(s);
	nic_close(&nic);
}
END_TEST

/* xenhost-netbackd goes, the connection stays: passt has it, and the successor finds passt. */
START_TEST(killed_under_a_connection)
{
	_cleanup_close_ int s = -1, peer = -1;
	uint16_t port;

	open_nic("kills", &linux_like);
	s = host_listen(&port);
	tcp.mss = 1460;
	tcp_connect(&tcp, &host, host.gateway, port);
	peer = host_accept(s);
	for (int i = 0; i < KILLS; i++) {
		exchange(peer);
		/* some frames are on their way, both ways */
		ck_assert_int_eq(send(peer, sent, 1000, MSG_NOSIGNAL), 1000);
		ck_assert_int_eq(process_kill(&set.services[0]), 0);
		ck_assert_int_eq(start_daemon(), 0);
		tcp_receive(&tcp, received, 1000, NULL);
		ck_assert_mem_eq(received, sent, 1000);
	}
	exchange(peer);
	ck_assert_str_eq(front_read(&nic.front, XENHOST_BACK, "state"), "4");
	nic_disconnect(&nic);
	nic_close(&nic);
}
END_TEST

/* The other end goes and comes back; the card stays, what was connected through it does not. */
START_TEST(passt_ends)
{
	_cleanup_close_ int s = -1, peer = -1;
	uint16_t port;

	open_nic("ends", &plain);
	passt_stop(&passt);
	ck_assert_int_eq(passt_start(&passt), 0);
	tcp_host_configure(&host, &nic.q[0], mac);
	s = host_listen(&port);
	tcp_connect(&tcp, &host, host.gateway, port);
	peer = host_accept(s);
	exchange(peer);
	nic_close(&nic);
}
END_TEST

/* something else at the other end: whatever it sends, the next one is served */
START_TEST(nonsense_from_the_other_end)
{
	static const struct {
		const char *bytes;
		size_t len;
	} cases[] = { { "\0\0\0\0", 4 },	 { "\0\0\0\15", 4 },   { "\0\1\0\0", 4 },
		      { "\xff\xff\xff\xff", 4 }, { "\0\0\5\334x", 5 }, { "\0", 1 } };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_close_ int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	passt_stop(&passt);
	strcpy(address.sun_path, passt.socket);
	ck_assert_int_eq(bind(s, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(s, 1), 0);
	nic_make(&nic, &set, "nonsense", NULL);
	front_write(&nic.front, XENHOST_BACK, "passt", "%s", passt.socket);
	nic_start(&nic);
	nic_connect(&nic, &plain);
	/* without buffers nothing is read */
	nic_post_all(&nic.q[0]);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int peer = host_accept(s);

		ck_assert_int_eq(send(peer, cases[i].bytes, cases[i].len, MSG_NOSIGNAL),
				 cases[i].len);
		/* what cannot be is hung up on; the beginning of what can be is waited for */
		if (i < 4)
			ck_assert_int_eq(recv(peer, received, 1, 0), 0);
		close(peer);
	}
	close(steal_fd(&s));
	ck_assert_int_eq(passt_start(&passt), 0);
	tcp_host_configure(&host, &nic.q[0], mac);
	nic_disconnect(&nic);
	nic_close(&nic);
}
END_TEST

START_TEST(what_is_published)
{
	static const char *const good[] = { "80:8080", "127.0.0.1:80:8080", "80:80/udp",
					    "::1:80:81/tcp" };
	static const char *const bad[] = { "",		 "80",	    "80:",	   ":80",
					   "0:1",	 "1:65536", "a:b",	   "x:80:80",
					   "80:80/icmp", "80:80/",  "1.2.3:80:80", "-1:80",
					   "1,2:3" };
	struct passt p = { .nr_ports = 0 };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(passt_publish(&p, bad[i]) == -EINVAL, "%s", bad[i]);
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		ck_assert_msg(passt_publish(&p, good[i]) == 0, "%s", good[i]);
	ck_assert_str_eq(p.ports[0].spec, "80:8080");
	ck_assert_str_eq(p.ports[1].spec, "127.0.0.1/80:8080");
	ck_assert(p.ports[2].udp);
	while (p.nr_ports < PASST_PORTS_MAX)
		ck_assert_int_eq(passt_publish(&p, good[0]), 0);
	ck_assert_int_eq(passt_publish(&p, good[0]), -ENOSPC);
}
END_TEST

/* a port that is taken is an error of the start, not a surprise later */
START_TEST(port_is_taken)
{
	static struct passt other;

	snprintf(other.socket, sizeof(other.socket), "%s/other", set.rundir);
	ck_assert_int_eq(passt_publish(&other, "8022:22"), 0);
	ck_assert_int_eq(passt_start(&other), -ECHILD);
}
END_TEST

static int run_tests(void)
{
	Suite *s = suite_create("loopback-net-user");
	TCase *tc = tcase_create("all");
	SRunner *sr = srunner_create(s);
	int failed;

	/* daemon and passt are the tests' own to end: they share one process */
	srunner_set_fork_status(sr, CK_NOFORK);
	suite_add_tcase(s, tc);
	tcase_add_loop_test(tc, dhcp_and_tcp, 0, 2);
	tcase_add_test(tc, large_frames);
	tcase_add_test(tc, published_port);
	tcase_add_test(tc, killed_under_a_connection);
	tcase_add_test(tc, passt_ends);
	tcase_add_test(tc, nonsense_from_the_other_end);
	tcase_add_test(tc, what_is_published);
	tcase_add_test(tc, port_is_taken);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}

static int start_all(void)
{
	char port[16];
	int r = set_start(&set);

	if (r < 0)
		return r;
	snprintf(passt.socket, sizeof(passt.socket), "%s/passt", set.rundir);
	snprintf(port, sizeof(port), "%d:%d", PUBLISHED, GUEST_PORT);
	r = passt_publish(&passt, port);
	if (r == 0)
		r = passt_start(&passt);
	if (r == 0)
		r = start_daemon();
	if (r < 0)
		set_stop(&set);
	return r;
}

static bool have_passt(void)
{
	return system("passt --version >/dev/null 2>&1") == 0;
}

int main(void)
{
	const char *required = getenv("XENHOST_REQUIRE");
	int failed;

	if (!netns_enter()) {
		printf("no network namespace or no /dev/net/tun: skipped\n");
		return 77;
	}
	if (!have_passt()) {
		printf("passt is not installed: skipped\n");
		return required && strstr(required, "stock") ? EXIT_FAILURE : 77;
	}
	if (!make_uplink() || start_all() < 0)
		return EXIT_FAILURE;
	set.nr_services = 1;
	failed = run_tests();
	passt_stop(&passt);
	failed += set_stop(&set) < 0;
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
