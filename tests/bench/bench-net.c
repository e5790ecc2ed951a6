/* SPDX-License-Identifier: MIT */
/*
 * Processor time per frame of xenhost-netbackd, between a loopback guest and a TAP in a network of our own, beside that
 * of this process when it reads and writes such a TAP itself. Frames are many at once both times: the ring is full before
 * netbackd hears of it, and the TAP's queue before anybody reads. What is written to a TAP ends in the kernel, as it is for
 * nobody there. XENHOST_BENCH_SIZE: only one of 60, 1514, 64k.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <check.h>

#include "common/cleanup.h"
#include "common/xen.h"

#include "tests/bench/bench.h"
#include "tests/support/netns.h"
#include "tests/support/nic.h"
#include "tests/support/packet.h"

#define BARE "bare0"
#define BUFFERS 240u
#define LARGE 65000u
#define MSS 1400u

struct load {
	struct nic_frame frame; /* with the sum left blank, if it is a large one */
	struct virtio_net_hdr vnet;
	unsigned int slots; /* of the frame */
	clockid_t daemon;
	int bare, bare_wire, wire;
};

static struct set set;
static struct nic nic;
static struct load load;
static uint32_t tx_grefs[NIC_PAGES], rx_grefs[BUFFERS];
static uint8_t buf[sizeof(struct virtio_net_hdr) + NIC_FRAME_MAX];
static uint8_t *pages; /* as many as the guest has, for the bare reader */

/*
 * netbackd has the second processor, the guest and the wire the first; who plays netbackd's part here goes there, so that
 * frames change processors both times.
 */
static void go_to(int cpu)
{
	cpu_set_t set_of_one;

	CPU_ZERO(&set_of_one);
	CPU_SET(cpu, &set_of_one);
	(void)sched_setaffinity(0, sizeof(set_of_one), &set_of_one);
}

static double daemon_cpu(void)
{
	struct timespec t;

	clock_gettime(load.daemon, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* ---- from the guest ---- */

static void put_frame(struct nic_queue *q)
{
	const struct nic_frame *f = &load.frame;
	size_t at = 0;

	for (unsigned int i = 0; at < f->len; i++) {
		size_t size = f->len - at < XEN_PAGE_SIZE ? f->len - at : XEN_PAGE_SIZE;
		uint16_t flags = at + size < f->len ? NETTXF_more_data : 0;

		if (i == 0 && f->gso_type)
			flags |= f->flags | NETTXF_extra_info;
		nic_put_tx(q, tx_grefs[i], 0, flags, (uint16_t)i,
			   (uint16_t)(i == 0 ? f->len : size));
		if (i == 0 && f->gso_type) {
			uint8_t body[6] = { 0, 0, f->gso_type };

			memcpy(body, &f->gso_size, 2);
			nic_put_extra(q, XEN_NETIF_EXTRA_TYPE_GSO, false, body, sizeof(body));
		}
		at += size;
	}
}

static double ours_tx(void *data, unsigned int n)
{
	struct nic_queue *q = &nic.q[0];
	double before = daemon_cpu();

	for (unsigned int left = n * load.slots; left > 0; left--) {
		uint16_t id;

		if (xenhost_front_ring_free(&q->tx) >= q->tx.size / 4)
			for (; n > 0 && xenhost_front_ring_free(&q->tx) >= load.slots; n--)
				put_frame(q);
		nic_push_tx(q);
		if (nic_next_tx(q, &id) < 0)
			return -1;
	}
	return daemon_cpu() - before;
}

static double bare_tx(void *data, unsigned int n)
{
	size_t len = sizeof(load.vnet) + load.frame.len;
	double before;

	memcpy(buf, &load.vnet, sizeof(load.vnet));
	memcpy(buf + sizeof(load.vnet), load.frame.data, load.frame.len);
	go_to(1);
	before = bench_cpu();
	while (n-- > 0)
		if (write(load.bare, buf, len) != (ssize_t)len)
			return -1;
	before = bench_cpu() - before;
	go_to(0);
	return before;
}

/* ---- to the guest ---- */

static bool fill_tap(int wire, unsigned int n)
{
	size_t len = sizeof(load.vnet) + load.frame.len;

	memcpy(buf, &load.vnet, sizeof(load.vnet));
	memcpy(buf + sizeof(load.vnet), load.frame.data, load.frame.len);
	while (n-- > 0)
		if (send(wire, buf, len, 0) != (ssize_t)len) {
			printf("the wire takes no frame: %s\n", strerror(errno));
			return false;
		}
	return true;
}

static void post(struct nic_queue *q, uint16_t i)
{
	uint8_t *slot = front_ring_next(&q->rx);

	memcpy(slot, &i, 2);
	memcpy(slot + 4, &rx_grefs[i], 4);
}

static bool take_slots(struct nic_queue *q, unsigned int n)
{
	for (; n > 0; n--) {
		uint8_t rsp[8];
		int16_t status;

		while (!front_ring_take(&q->rx, rsp, sizeof(rsp)))
			if (!xenhost_front_ring_arm(&q->rx) &&
			    !guest_port_wait(&q->rx_port, NIC_PATIENCE_MS))
				return false;
		memcpy(&status, rsp + 6, 2);
		if (status < 0)
			return false;
	}
	return true;
}

static unsigned int rx_batch(void)
{
	return BUFFERS / load.slots;
}

/* The guest has no buffers while the TAP is filled. */
static double ours_rx(void *data, unsigned int n)
{
	struct nic_queue *q = &nic.q[0];
	double sum = 0;

	while (n > 0) {
		unsigned int batch = rx_batch() < n ? rx_batch() : n;
		double before;

		if (!fill_tap(load.wire, batch))
			return -1;
		before = daemon_cpu();
		for (unsigned int i = 0; i < batch * load.slots; i++)
			post(q, (uint16_t)i);
		if (xenhost_front_ring_push(&q->rx))
			guest_port_notify(&q->rx_port);
		if (!take_slots(q, batch * load.slots))
			return -1;
		sum += daemon_cpu() - before;
		n -= batch;
	}
	return sum;
}

static double bare_rx(void *data, unsigned int n)
{
	double sum = 0;

	while (n > 0) {
		unsigned int batch = rx_batch() < n ? rx_batch() : n;
		double before;

		if (!fill_tap(load.bare_wire, batch))
			return -1;
		go_to(1);
		before = bench_cpu();
		for (unsigned int i = 0; i < batch; i++)
			if (read(load.bare, pages + (size_t)i * load.slots * XEN_PAGE_SIZE,
				 (size_t)load.slots * XEN_PAGE_SIZE) !=
			    (ssize_t)(sizeof(load.vnet) + load.frame.len))
				return -1;
		sum += bench_cpu() - before;
		go_to(0);
		n -= batch;
	}
	return sum;
}

/* ---- set-up ---- */

static int open_wire(const char *interface)
{
	int one = 1,
	    s = nic_open_wire(interface, 0); /* hears nothing; a frame says itself what it is */

	ck_assert_int_eq(setsockopt(s, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)), 0);
	ck_assert_int_eq(setsockopt(s, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)), 0);
	return s;
}

static void bare_ioctl(int s, unsigned long request, struct ifreq *ifr)
{
	strcpy(ifr->ifr_name, BARE);
	ck_assert_int_eq(ioctl(s, request, ifr), 0);
}

/* as netbackd's for such a guest */
static void open_bare(void)
{
	_cleanup_close_ int s = socket(AF_UNIX, SOCK_DGRAM, 0);
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE },
		     mtu = { .ifr_mtu = 65521 }, up = { .ifr_flags = IFF_UP };

	pages = aligned_alloc(XEN_PAGE_SIZE, (size_t)BUFFERS * XEN_PAGE_SIZE);
	ck_assert_ptr_nonnull(pages);
	load.bare = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	bare_ioctl(load.bare, TUNSETIFF, &ifr);
	ck_assert_int_eq(ioctl(load.bare, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6), 0);
	bare_ioctl(s, SIOCSIFMTU, &mtu);
	bare_ioctl(s, SIOCSIFFLAGS, &up);
	load.bare_wire = open_wire(BARE);
}

static void open_guest(void)
{
	static const struct nic_config config = {
		.split = true, .sg = true, .gso4 = true, .gso6 = true, .csum6 = true
	};
	struct nic_queue *q = &nic.q[0];

	nic_make(&nic, &set, "bench", NULL);
	front_write(&nic.front, XENHOST_FRONT, "mtu", "65521");
	nic_start(&nic);
	nic_connect(&nic, &config);
	nic_wire_up(&nic);
	nic_use_up_buffers(q);
	/* nobody is to hear what the guest sends */
	closep(&nic.wire);
	nic.wire = -1;
	load.wire = open_wire(nic.tap);
	for (unsigned int i = 0; i < NIC_PAGES; i++)
		tx_grefs[i] = guest_grant(nic.guest, SET_NETBACK, q->pages[i], true);
	for (unsigned int i = 0; i < BUFFERS; i++)
		rx_grefs[i] =
			guest_grant(nic.guest, SET_NETBACK, guest_new_frame(nic.guest), false);
}

static void make_frame(size_t len)
{
	struct packet p = { .protocol = IPPROTO_TCP, .port = 5, .payload = len };

	memset(&load.vnet, 0, sizeof(load.vnet));
	if (len <= XEN_PAGE_SIZE) {
		nic_fill(&load.frame, len, 1);
		load.slots = 1;
	} else {
		p.payload = len - packet_headers(false, IPPROTO_TCP);
		packet_make(&load.frame, &p, 1, 2, true);
		load.frame.gso_type = XEN_NETIF_GSO_TYPE_TCPV4;
		load.frame.gso_size = MSS;
		load.vnet = (struct virtio_net_hdr){
			.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
			.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
			.hdr_len = 54,
			.gso_size = MSS,
			.csum_start = 34,
			.csum_offset = 16,
		};
		load.slots = (unsigned int)((len + XEN_PAGE_SIZE - 1) / XEN_PAGE_SIZE) + 1;
	}
	for (size_t at = 0; at < len; at += XEN_PAGE_SIZE)
		memcpy(guest_page(nic.guest, nic.q[0].pages[at / XEN_PAGE_SIZE]),
		       load.frame.data + at, len - at < XEN_PAGE_SIZE ? len - at : XEN_PAGE_SIZE);
}

static bool both_ways(const char *name, size_t len, unsigned int n, double goal)
{
	char tx[32], rx[32];
	struct bench_pair from = { tx, ours_tx, bare_tx, NULL, n, n, goal };
	struct bench_pair to = { rx, ours_rx, bare_rx, NULL, n, n, goal };
	const char *only = getenv("XENHOST_BENCH_SIZE");
	bool met;

	if (only && strcmp(only, name))
		return true;
	make_frame(len);
	snprintf(tx, sizeof(tx), "net-from-guest-%s", name);
	snprintf(rx, sizeof(rx), "net-to-guest-%s", name);
	met = bench_run(&from);
	return bench_run(&to) && met;
}

/* A test because what plays the front end speaks in assertions. */
START_TEST(all)
{
	bool met;

	open_bare();
	open_guest();
	ck_assert_int_eq(clock_getcpuclockid(set.services[0].pid, &load.daemon), 0);
	met = both_ways("60", 60, 40000, 1.5);
	met &= both_ways("1514", 1514, 40000, 1.3);
	met &= both_ways("64k", LARGE, 8000, 1.1);
	nic_close(&nic);
	ck_assert_msg(met, "a goal was missed");
}
END_TEST

int main(void)
{
	const char *const args[] = { "--threads", "1", NULL };
	Suite *s = suite_create("bench-net");
	TCase *tc = tcase_create("all");
	SRunner *sr = srunner_create(s);
	int failed;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!netns_enter()) {
		printf("no network namespace or no /dev/net/tun\n");
		return EXIT_FAILURE;
	}
	go_to(1);
	if (set_start_with(&set, "netbackd", args) < 0)
		return EXIT_FAILURE;
	go_to(0);
	suite_add_tcase(s, tc);
	tcase_set_timeout(tc, 0);
	tcase_add_test(tc, all);
	srunner_set_fork_status(sr, CK_NOFORK);
	srunner_run_all(sr, CK_SILENT);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return set_stop(&set) == 0 && !failed ? EXIT_SUCCESS : EXIT_FAILURE;
}
