/* SPDX-License-Identifier: MIT */
/*
 * xenhost-netbackd and the set around it, driven by loopback guests, in a network of our own. The other
 * side of a TAP is a packet socket of this process.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <check.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>

#include "common/cleanup.h"
#include "common/xen.h"

#include "tests/support/front.h"
#include "loopguest/guest.h"
#include "tests/support/netns.h"
#include "tests/support/set.h"

#define PATIENCE_MS 30000
#define ETHERTYPE 0x88b5 /* for local experiments: what else is on the wire is the kernel's own */
#define NR_BUFFERS 32u
#define TX_PAGES 24u
#define HEADER 14u
/* more than netbackd takes in one pass; a packet socket holds as many small frames */
#define AT_ONCE 128u

static struct set set;

struct buffer {
	uint32_t frame;
	uint32_t gref; /* 0: not posted */
};

struct nic {
	struct guest *guest;
	struct front front;
	struct xenhost_front_ring tx, rx;
	struct guest_port tx_port, rx_port;
	bool split;
	uint32_t tx_frame, rx_frame, tx_gref, rx_gref;
	uint32_t pages[TX_PAGES];
	struct buffer buffers[NR_BUFFERS];
	char tap[16];
	int wire; /* the other side */
};

static struct nic nic, other;

/* ---- the card as its front end sees it ---- */

static void nic_create(struct nic *n, const char *name, const char *bridge)
{
	memset(n, 0, sizeof(*n));
	n->wire = -1;
	snprintf(n->tap, sizeof(n->tap), "t-%s", name);
	set_guest(&set, name, 256, &n->front);
	n->guest = n->front.guest;
	front_init(&n->front, n->front.host, n->guest, SET_NETBACK, "vif", 0);
	front_write(&n->front, XENHOST_BACK, "vifname", "%s", n->tap);
	front_write(&n->front, XENHOST_BACK, "mac", "00:16:3e:00:00:01");
	front_write(&n->front, XENHOST_BACK, "handle", "0");
	if (bridge)
		front_write(&n->front, XENHOST_BACK, "bridge", "%s", bridge);
	for (unsigned int i = 0; i < TX_PAGES; i++)
		n->pages[i] = guest_new_frame(n->guest);
	for (unsigned int i = 0; i < NR_BUFFERS; i++)
		n->buffers[i].frame = guest_new_frame(n->guest);
	n->tx_frame = guest_new_frame(n->guest);
	n->rx_frame = guest_new_frame(n->guest);
	front_start(&n->front);
	front_wait(&n->front, XENHOST_STATE_INIT_WAIT);
}

static uint32_t make_ring(struct nic *n, struct xenhost_front_ring *ring, uint32_t frame,
			  size_t slot_size, const char *node)
{
	uint32_t gref = guest_grant(n->guest, SET_NETBACK, frame, false);

	front_ring_init(ring, guest_page(n->guest, frame), slot_size);
	ck_assert_uint_eq(ring->size, 256);
	front_write(&n->front, XENHOST_FRONT, node, "%u", gref);
	return gref;
}

static void offer_port(struct nic *n, struct guest_port *port, const char *node)
{
	ck_assert_int_eq(guest_port_offer(n->guest, SET_NETBACK, port), 0);
	front_write(&n->front, XENHOST_FRONT, node, "%u", port->number);
}

/* all that netfront writes before it goes to Connected */
static void nic_prepare(struct nic *n, bool split)
{
	n->split = split;
	n->tx_gref = make_ring(n, &n->tx, n->tx_frame, 12, "tx-ring-ref");
	n->rx_gref = make_ring(n, &n->rx, n->rx_frame, 8, "rx-ring-ref");
	if (split) {
		offer_port(n, &n->tx_port, "event-channel-tx");
		offer_port(n, &n->rx_port, "event-channel-rx");
	} else {
		offer_port(n, &n->tx_port, "event-channel");
		n->rx_port = n->tx_port;
	}
	front_write(&n->front, XENHOST_FRONT, "request-rx-copy", "1");
	front_write(&n->front, XENHOST_FRONT, "feature-rx-notify", "1");
}

static int open_wire(const char *tap)
{
	struct sockaddr_ll addr = { .sll_family = AF_PACKET,
				    .sll_protocol = htons(ETHERTYPE),
				    .sll_ifindex = (int)if_nametoindex(tap) };
	int one = 1, size = 16 << 20;
	int s = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETHERTYPE));

	ck_assert_int_ge(s, 0);
	(void)setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	(void)setsockopt(s, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one));
	ck_assert_int_eq(bind(s, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return s;
}

static void post(struct nic *n, unsigned int i)
{
	uint8_t *slot = front_ring_next(&n->rx);
	struct buffer *b = &n->buffers[i];
	uint16_t id = (uint16_t)i;

	b->gref = guest_grant(n->guest, SET_NETBACK, b->frame, false);
	memset(guest_page(n->guest, b->frame), 0xee, XEN_PAGE_SIZE);
	memset(slot, 0xa5, 8);
	memcpy(slot, &id, 2);
	memcpy(slot + 4, &b->gref, 4);
}

static void post_all(struct nic *n)
{
	for (unsigned int i = 0; i < NR_BUFFERS; i++)
		if (!n->buffers[i].gref)
			post(n, i);
	if (xenhost_front_ring_push(&n->rx))
		guest_port_notify(&n->rx_port);
}

/*
 * The next frame for the guest, whatever it is: its length, 0 when none came in time, or the status of
 * an error. The buffer is revoked at once.
 */
static int receive_any(struct nic *n, uint8_t *frame, int timeout_ms)
{
	uint16_t id, offset, flags;
	struct buffer *b;
	uint8_t rsp[8];
	int16_t status;

	while (!front_ring_take(&n->rx, rsp, sizeof(rsp))) {
		if (!xenhost_front_ring_arm(&n->rx) && !guest_port_wait(&n->rx_port, timeout_ms))
			return 0;
	}
	memcpy(&id, rsp, 2);
	memcpy(&offset, rsp + 2, 2);
	memcpy(&flags, rsp + 4, 2);
	memcpy(&status, rsp + 6, 2);
	ck_assert_uint_lt(id, NR_BUFFERS);
	b = &n->buffers[id];
	ck_assert_uint_ne(b->gref, 0);
	ck_assert_int_eq(guest_revoke(n->guest, b->gref), 0);
	b->gref = 0;
	if (status <= 0)
		return status;
	ck_assert_uint_eq(offset, 0);
	ck_assert_uint_eq(flags & ~NETRXF_data_validated, 0);
	ck_assert_int_ge(status, HEADER);
	memcpy(frame, guest_page(n->guest, b->frame), (size_t)status);
	return status;
}

/* frames of the kernel's own are not what we wait for */
static int receive(struct nic *n, uint8_t *frame, int timeout_ms, uint16_t type)
{
	int len;

	do {
		post_all(n);
		len = receive_any(n, frame, timeout_ms);
	} while (len > 0 && (frame[12] != type >> 8 || frame[13] != (uint8_t)type));
	return len;
}

/* others may come first: the kernel's, and some that were sent before */
static void receive_until(struct nic *n, const uint8_t *frame, size_t len)
{
	uint8_t got[XEN_PAGE_SIZE];
	int r;

	do {
		r = receive_any(n, got, PATIENCE_MS);
		ck_assert_int_gt(r, 0);
	} while ((size_t)r != len || memcmp(got, frame, len));
}

/* Leaves the back end without buffers. */
static void use_up_buffers(struct nic *n)
{
	uint8_t frame[200] = { 0 }, got[XEN_PAGE_SIZE];

	while (xenhost_front_ring_free(&n->rx) < n->rx.size) {
		ck_assert_int_eq(write(n->wire, frame, sizeof(frame)), sizeof(frame));
		ck_assert_int_gt(receive_any(n, got, PATIENCE_MS), 0);
	}
}

static void make_frame(uint8_t *frame, size_t len, uint32_t seed)
{
	memcpy(frame, "\xff\xff\xff\xff\xff\xff\x00\x16\x3e\x00\x00\x01\x88\xb5", HEADER);
	for (size_t i = HEADER; i < len; i++)
		frame[i] = (uint8_t)(seed * 31 + i * 7 + (i >> 8));
}

/* The kernel lets frames through some time after the link is up. */
static void wait_link(struct nic *n)
{
	uint8_t frame[100], got[XEN_PAGE_SIZE];
	int len;

	make_frame(frame, sizeof(frame), 12345);
	do {
		(void)!write(n->wire, frame, sizeof(frame));
		len = receive(n, got, 100, ETHERTYPE);
		ck_assert_int_ge(len, 0);
	} while (len == 0);
	/* those that were sent again */
	while (receive(n, got, 100, ETHERTYPE) > 0)
		;
}

static void nic_connect(struct nic *n, bool split)
{
	nic_prepare(n, split);
	front_set_state(&n->front, XENHOST_STATE_CONNECTED);
	front_wait(&n->front, XENHOST_STATE_CONNECTED);
	n->wire = open_wire(n->tap);
	wait_link(n);
}

static void nic_open(struct nic *n, const char *name, bool split)
{
	nic_create(n, name, NULL);
	nic_connect(n, split);
}

static void nic_release(struct nic *n)
{
	ck_assert_int_eq(guest_revoke(n->guest, n->tx_gref), 0);
	ck_assert_int_eq(guest_revoke(n->guest, n->rx_gref), 0);
	for (unsigned int i = 0; i < NR_BUFFERS; i++) {
		if (n->buffers[i].gref)
			ck_assert_int_eq(guest_revoke(n->guest, n->buffers[i].gref), 0);
		n->buffers[i].gref = 0;
	}
	if (n->split)
		guest_port_close(n->guest, &n->rx_port);
	guest_port_close(n->guest, &n->tx_port);
	closep(&n->wire);
	n->wire = -1;
}

static void nic_disconnect(struct nic *n)
{
	front_disconnect(&n->front);
	nic_release(n);
}

static void nic_close(struct nic *n)
{
	closep(&n->wire);
	front_free(&n->front);
}

/* ---- sending ---- */

static void put_tx(struct nic *n, uint32_t gref, uint16_t offset, uint16_t flags, uint16_t id,
		   uint16_t size)
{
	uint8_t *slot = front_ring_next(&n->tx);

	memcpy(slot, &gref, 4);
	memcpy(slot + 4, &offset, 2);
	memcpy(slot + 6, &flags, 2);
	memcpy(slot + 8, &id, 2);
	memcpy(slot + 10, &size, 2);
}

static void put_extra(struct nic *n, uint8_t type, bool more)
{
	uint8_t *slot = front_ring_next(&n->tx);

	memset(slot, 0xa5, 12);
	slot[0] = type;
	slot[1] = more;
}

static void push_tx(struct nic *n)
{
	if (xenhost_front_ring_push(&n->tx))
		guest_port_notify(&n->tx_port);
}

static int16_t next_tx(struct nic *n, uint16_t *ret_id)
{
	uint8_t rsp[4];
	int16_t status;

	while (!front_ring_take(&n->tx, rsp, sizeof(rsp))) {
		if (!xenhost_front_ring_arm(&n->tx))
			ck_assert_int_eq(guest_port_wait(&n->tx_port, PATIENCE_MS), 1);
	}
	memcpy(ret_id, rsp, 2);
	memcpy(&status, rsp + 2, 2);
	return status;
}

/*
 * Sends a frame in pieces of `piece` bytes, each at its own offset in its own page; all responses must
 * have the same status, which is returned.
 */
static int16_t send_pieces(struct nic *n, const uint8_t *frame, size_t len, size_t piece,
			   uint16_t flags)
{
	unsigned int nr = (unsigned int)((len + piece - 1) / piece);
	uint32_t grefs[TX_PAGES];
	int16_t status = 0;

	ck_assert_uint_le(nr, TX_PAGES);
	for (unsigned int i = 0; i < nr; i++) {
		size_t at = i * piece, size = len - at < piece ? len - at : piece;
		size_t offset = (XEN_PAGE_SIZE - size) / (i + 1);

		memcpy((uint8_t *)guest_page(n->guest, n->pages[i]) + offset, frame + at, size);
		grefs[i] = guest_grant(n->guest, SET_NETBACK, n->pages[i], true);
		put_tx(n, grefs[i], (uint16_t)offset,
		       (uint16_t)((i == 0 ? flags : 0) | (i + 1 < nr ? NETTXF_more_data : 0)),
		       (uint16_t)(100 + i), (uint16_t)(i == 0 ? len : size));
	}
	push_tx(n);
	for (unsigned int i = 0; i < nr; i++) {
		uint16_t id;
		int16_t r = next_tx(n, &id);

		ck_assert(i == 0 || r == status);
		status = r;
		ck_assert_uint_eq(id, 100 + i);
		ck_assert_int_eq(guest_revoke(n->guest, grefs[i]), 0);
	}
	return status;
}

static void expect_on_wire(struct nic *n, const uint8_t *frame, size_t len)
{
	static uint8_t buf[70000];
	struct pollfd p = { .fd = n->wire, .events = POLLIN };
	ssize_t got;

	ck_assert_int_eq(poll(&p, 1, PATIENCE_MS), 1);
	got = recv(n->wire, buf, sizeof(buf), 0);
	ck_assert_int_eq(got, (ssize_t)len);
	ck_assert_mem_eq(buf, frame, len);
}

static void check_send(struct nic *n, size_t len, size_t piece)
{
	static uint8_t frame[65536];

	make_frame(frame, len, (uint32_t)(len + piece));
	ck_assert_int_eq(send_pieces(n, frame, len, piece, 0), NETIF_RSP_OKAY);
	expect_on_wire(n, frame, len);
}

static void check_receive(struct nic *n, size_t len)
{
	uint8_t frame[2048], got[XEN_PAGE_SIZE];

	make_frame(frame, len, (uint32_t)len * 3);
	ck_assert_int_eq(write(n->wire, frame, len), (ssize_t)len);
	ck_assert_int_eq(receive(n, got, PATIENCE_MS, ETHERTYPE), (int)len);
	ck_assert_mem_eq(got, frame, len);
}

/* ---- what works ---- */

START_TEST(keys)
{
	struct ifreq ifr = { 0 };
	_cleanup_close_ int s = socket(AF_UNIX, SOCK_DGRAM, 0);

	nic_create(&nic, "keys", NULL);
	ck_assert_str_eq(front_read(&nic.front, XENHOST_BACK, "feature-rx-copy"), "1");
	ck_assert_str_eq(front_read(&nic.front, XENHOST_BACK, "feature-rx-flip"), "0");
	ck_assert_str_eq(front_read(&nic.front, XENHOST_BACK, "feature-sg"), "0");
	ck_assert_str_eq(front_read(&nic.front, XENHOST_BACK, "feature-split-event-channels"), "1");
	ck_assert_str_eq(front_read(&nic.front, XENHOST_BACK, "hotplug-status"), "connected");
	/* what is not there yet must not be offered */
	ck_assert_str_eq(front_read(&nic.front, XENHOST_BACK, "feature-gso-tcpv4"), "");
	ck_assert_str_eq(front_read(&nic.front, XENHOST_BACK, "feature-ipv6-csum-offload"), "");
	ck_assert_str_eq(front_read(&nic.front, XENHOST_BACK, "multi-queue-max-queues"), "");
	ck_assert_str_eq(front_read(&nic.front, XENHOST_BACK, "feature-ctrl-ring"), "");
	strcpy(ifr.ifr_name, nic.tap);
	ck_assert_int_eq(ioctl(s, SIOCGIFMTU, &ifr), 0);
	ck_assert_int_eq(ifr.ifr_mtu, 1500);
	nic_close(&nic);
}
END_TEST

START_TEST(every_size)
{
	nic_open(&nic, "sizes", _i);
	for (size_t len = HEADER; len <= 1514; len++) {
		check_send(&nic, len, 1514);
		check_receive(&nic, len);
	}
	nic_disconnect(&nic);
	nic_close(&nic);
}
END_TEST

/* we do not offer it, but what comes is understood */
START_TEST(scattered)
{
	static const struct {
		size_t len, piece;
	} cases[] = { { 1514, 1000 }, { 1514, 80 },   { 60, 14 },      { 60, 4 },
		      { 300, 299 },   { 9000, 4096 }, { 65535, 4096 }, { 65535, 3641 } };

	nic_open(&nic, "scatter", true);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check_send(&nic, cases[i].len, cases[i].piece);
	nic_close(&nic);
}
END_TEST

START_TEST(many_at_once)
{
	uint8_t frame[100], got[XEN_PAGE_SIZE];
	uint32_t gref;

	nic_open(&nic, "many", _i);
	gref = guest_grant(nic.guest, SET_NETBACK, nic.pages[0], true);
	make_frame(guest_page(nic.guest, nic.pages[0]), sizeof(frame), 5);
	make_frame(frame, sizeof(frame), 5);
	for (unsigned int round = 0; round < 20; round++) {
		for (uint16_t i = 0; i < AT_ONCE; i++)
			put_tx(&nic, gref, 0, 0, i, sizeof(frame));
		push_tx(&nic);
		for (uint16_t i = 0; i < AT_ONCE; i++) {
			uint16_t id;

			ck_assert_int_eq(next_tx(&nic, &id), NETIF_RSP_OKAY);
			ck_assert_uint_eq(id, i);
		}
		for (unsigned int i = 0; i < AT_ONCE; i++)
			expect_on_wire(&nic, frame, sizeof(frame));
		for (unsigned int i = 0; i < NR_BUFFERS; i++)
			ck_assert_int_eq(write(nic.wire, frame, sizeof(frame)), sizeof(frame));
		for (unsigned int i = 0; i < NR_BUFFERS; i++) {
			ck_assert_int_eq(receive(&nic, got, PATIENCE_MS, ETHERTYPE), sizeof(frame));
			ck_assert_mem_eq(got, frame, sizeof(frame));
		}
	}
	nic_disconnect(&nic);
	nic_close(&nic);
}
END_TEST

/* Without buffers frames wait in the TAP. _i: the front end tells of new ones, or it must be asked. */
START_TEST(late_buffers)
{
	uint8_t frame[200];

	nic_create(&nic, "late", NULL);
	nic_prepare(&nic, false);
	front_write(&nic.front, XENHOST_FRONT, "feature-rx-notify", "%d", _i);
	front_set_state(&nic.front, XENHOST_STATE_CONNECTED);
	front_wait(&nic.front, XENHOST_STATE_CONNECTED);
	nic.wire = open_wire(nic.tap);
	wait_link(&nic);
	for (uint32_t round = 0; round < 10; round++) {
		use_up_buffers(&nic);
		for (uint32_t i = 0; i < 3; i++) {
			make_frame(frame, sizeof(frame), 1000 * round + i);
			ck_assert_int_eq(write(nic.wire, frame, sizeof(frame)), sizeof(frame));
		}
		/* it has seen the frames and waits; if it does not, the test's time ends */
		while (!front_ring_awaited(&nic.rx))
			sched_yield();
		for (unsigned int i = 0; i < NR_BUFFERS; i++)
			post(&nic, i);
		ck_assert(xenhost_front_ring_push(&nic.rx));
		if (_i)
			guest_port_notify(&nic.rx_port);
		for (uint32_t i = 0; i < 3; i++) {
			make_frame(frame, sizeof(frame), 1000 * round + i);
			receive_until(&nic, frame, sizeof(frame));
		}
	}
	nic_close(&nic);
}
END_TEST

START_TEST(reconnects)
{
	nic_create(&nic, "again", NULL);
	for (int i = 0; i < 10; i++) {
		nic_connect(&nic, i & 1);
		if (!(i & 1)) {
			/* a front end that changes its mind removes its old keys */
			check_send(&nic, 100, 100);
		}
		check_receive(&nic, 100);
		nic_disconnect(&nic);
		if (i & 1) {
			char path[160];

			snprintf(path, sizeof(path), "%s/event-channel-tx", nic.front.front);
			ck_assert_int_eq(xenhost_store_rm(nic.front.host, 0, path), 0);
			snprintf(path, sizeof(path), "%s/event-channel-rx", nic.front.front);
			ck_assert_int_eq(xenhost_store_rm(nic.front.host, 0, path), 0);
		}
		front_set_state(&nic.front, XENHOST_STATE_INITIALISING);
		front_wait(&nic.front, XENHOST_STATE_INIT_WAIT);
	}
	nic_close(&nic);
}
END_TEST

/* the interface goes with the device */
START_TEST(unplug)
{
	nic_open(&nic, "unplug", true);
	front_write(&nic.front, XENHOST_BACK, "online", "0");
	front_write(&nic.front, XENHOST_BACK, "state", "5");
	front_set_state(&nic.front, XENHOST_STATE_CLOSING);
	front_set_state(&nic.front, XENHOST_STATE_CLOSED);
	front_wait(&nic.front, XENHOST_STATE_CLOSED);
	nic_release(&nic);
	ck_assert_int_eq(xenhost_store_rm(nic.front.host, 0, nic.front.back), 0);
	nic_create(&other, "other", NULL);
	ck_assert_uint_eq(if_nametoindex(nic.tap), 0);
	nic_close(&other);
	nic_close(&nic);
}
END_TEST

/* ---- checksums ---- */

static uint32_t sum16(const uint8_t *p, size_t len, uint32_t sum)
{
	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)(p[i] << 8 | p[i + 1]);
	if (len % 2)
		sum += (uint32_t)p[len - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static void put_be16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* IPv4 and UDP, with the checksum left at the sum of the pseudo header, as csum_blank means */
static size_t make_udp(uint8_t *frame, size_t payload)
{
	uint8_t *ip = frame + HEADER, *udp = ip + 20;
	size_t len = 8 + payload;

	make_frame(frame, HEADER + 20 + len, 99);
	put_be16(frame + 12, 0x0800);
	memset(ip, 0, 28);
	ip[0] = 0x45;
	put_be16(ip + 2, (uint32_t)(20 + len));
	ip[8] = 64;
	ip[9] = 17;
	memcpy(ip + 12, "\x0a\x09\x08\x01\x0a\x09\x08\x02", 8);
	put_be16(ip + 10, ~sum16(ip, 20, 0) & 0xffff);
	put_be16(udp, 1000);
	put_be16(udp + 2, 2000);
	put_be16(udp + 4, (uint32_t)len);
	put_be16(udp + 6, sum16(ip + 12, 8, 17 + (uint32_t)len));
	return HEADER + 20 + len;
}

static bool make_bridge(const char *name)
{
	_cleanup_close_ int s = socket(AF_UNIX, SOCK_DGRAM, 0);
	struct ifreq ifr = { 0 };

	if (ioctl(s, SIOCBRADDBR, name) < 0)
		return false;
	strcpy(ifr.ifr_name, name);
	ifr.ifr_flags = IFF_UP;
	return ioctl(s, SIOCSIFFLAGS, &ifr) == 0;
}

/* what one guest left blank, another gets complete; the pieces are cut through the headers */
START_TEST(blank_checksums)
{
	uint8_t frame[1514], got[XEN_PAGE_SIZE];

	if (!make_bridge("xbr0")) {
		printf("no bridges in this kernel: blank_checksums was left out\n");
		return;
	}
	nic_create(&nic, "left", "xbr0");
	nic_connect(&nic, true);
	nic_create(&other, "right", "xbr0");
	nic_connect(&other, true);
	for (size_t payload = 0; payload <= 1472; payload += 64) {
		size_t len = make_udp(frame, payload);
		int n = 0;

		/* until the bridge has both ports forwarding, the first ones may be lost */
		while (n == 0) {
			ck_assert_int_eq(send_pieces(&nic, frame, len,
						     payload % 3 ? 17 + len / 10 : len,
						     NETTXF_csum_blank | NETTXF_data_validated),
					 NETIF_RSP_OKAY);
			n = receive(&other, got, payload ? PATIENCE_MS : 200, 0x0800);
			ck_assert_int_ge(n, 0);
		}
		ck_assert_int_eq(n, (int)len);
		ck_assert_mem_eq(got, frame, HEADER + 26);
		ck_assert_mem_eq(got + HEADER + 28, frame + HEADER + 28, payload);
		ck_assert_uint_eq(
			sum16(got + HEADER + 12, 8 + 8 + payload, 17 + 8 + (uint32_t)payload),
			0xffff);
		while (payload == 0 && receive(&other, got, 100, 0x0800) > 0)
			;
	}
	nic_close(&other);
	nic_close(&nic);
}
END_TEST

/* a frame in which nobody can complete a checksum */
START_TEST(blank_without_checksum)
{
	uint8_t frame[100];

	nic_open(&nic, "blank", false);
	make_frame(frame, sizeof(frame), 1);
	ck_assert_int_eq(send_pieces(&nic, frame, sizeof(frame), sizeof(frame), NETTXF_csum_blank),
			 NETIF_RSP_ERROR);
	check_send(&nic, 100, 100);
	nic_close(&nic);
}
END_TEST

/* ---- what must be refused ---- */

static int16_t one_slot(struct nic *n, uint32_t gref, uint16_t offset, uint16_t size)
{
	uint16_t id;
	int16_t status;

	put_tx(n, gref, offset, 0, 7, size);
	push_tx(n);
	status = next_tx(n, &id);
	ck_assert_uint_eq(id, 7);
	return status;
}

START_TEST(refused_frames)
{
	uint8_t frame[2000];
	uint32_t gref;
	uint16_t id;

	nic_open(&nic, "refused", true);
	gref = guest_grant(nic.guest, SET_NETBACK, nic.pages[0], true);
	ck_assert_int_eq(one_slot(&nic, gref, 0, 13), NETIF_RSP_ERROR);
	ck_assert_int_eq(one_slot(&nic, gref, 0, 0), NETIF_RSP_ERROR);
	ck_assert_int_eq(one_slot(&nic, 3999, 0, 60), NETIF_RSP_ERROR);
	ck_assert_int_eq(one_slot(&nic, UINT32_MAX, 0, 60), NETIF_RSP_ERROR);
	ck_assert_int_eq(one_slot(&nic, guest_grant(nic.guest, SET_BLKBACK, 0, false), 0, 60),
			 NETIF_RSP_ERROR);
	/* GSO is not offered: the frame's slot and the extra's are answered */
	put_tx(&nic, gref, 0, NETTXF_extra_info, 8, 1514);
	put_extra(&nic, XEN_NETIF_EXTRA_TYPE_GSO, false);
	push_tx(&nic);
	ck_assert_int_eq(next_tx(&nic, &id), NETIF_RSP_ERROR);
	ck_assert_uint_eq(id, 8);
	ck_assert_int_eq(next_tx(&nic, &id), NETIF_RSP_NULL);
	/* 20 and 21 slots are answered, not sent */
	make_frame(frame, sizeof(frame), 3);
	ck_assert_int_eq(send_pieces(&nic, frame, 1000, 50, 0), NETIF_RSP_ERROR);
	ck_assert_int_eq(send_pieces(&nic, frame, 1050, 50, 0), NETIF_RSP_ERROR);
	ck_assert_int_eq(guest_revoke(nic.guest, gref), 0);
	check_send(&nic, 1514, 500);
	nic_close(&nic);
}
END_TEST

static void expect_stopped(struct nic *n)
{
	_cleanup_free_ char *value = NULL;
	char path[160];

	front_wait(&n->front, XENHOST_STATE_CLOSING);
	snprintf(path, sizeof(path), "/local/domain/%u/error/backend/vif/%u/0/error", SET_NETBACK,
		 guest_domid(n->guest));
	ck_assert_int_eq(xenhost_store_read(n->front.host, 0, path, &value, NULL), 0);
	ck_assert_ptr_nonnull(strstr(value, "ring"));
	front_set_state(&n->front, XENHOST_STATE_CLOSED);
	front_wait(&n->front, XENHOST_STATE_CLOSED);
	nic_release(n);
}

static void break_it(struct nic *n, int how)
{
	uint32_t gref = guest_grant(n->guest, SET_NETBACK, n->pages[0], true);

	switch (how) {
	case 0: /* a chain that is not all there */
		put_tx(n, gref, 0, NETTXF_more_data, 1, 100);
		break;
	case 1: /* an extra that is not there */
		put_tx(n, gref, 0, NETTXF_extra_info, 1, 100);
		break;
	case 2: /* an extra that nobody knows */
		put_tx(n, gref, 0, NETTXF_extra_info, 1, 100);
		put_extra(n, 77, false);
		break;
	case 3: /* too many pieces */
		for (int i = 0; i < 22; i++)
			put_tx(n, gref, 0, i < 21 ? NETTXF_more_data : 0, 1, 100);
		break;
	case 4: /* beyond the page */
		put_tx(n, gref, 4000, 0, 1, 100);
		break;
	case 5: /* indices */
		front_ring_force(&n->tx, n->tx.req_prod + 257);
		guest_port_notify(&n->tx_port);
		return;
	case 6:
		front_ring_force(&n->rx, n->rx.req_prod + 1000);
		(void)!write(n->wire, guest_page(n->guest, n->pages[0]), 100);
		guest_port_notify(&n->rx_port);
		return;
	default:
		abort();
	}
	guest_port_notify(&n->tx_port);
	push_tx(n);
}

/* each ends this device and nothing else */
START_TEST(broken_rings)
{
	nic_open(&other, "healthy", false);
	for (int how = 0; how < 7; how++) {
		char name[16];

		snprintf(name, sizeof(name), "broken%d", how);
		nic_open(&nic, name, how & 1);
		break_it(&nic, how);
		expect_stopped(&nic);
		check_send(&other, 500, 500);
		check_receive(&other, 500);
		nic_close(&nic);
	}
	nic_close(&other);
}
END_TEST

/* a buffer that cannot be used is answered, the frame goes into the next */
START_TEST(bad_buffers)
{
	uint8_t frame[300], got[XEN_PAGE_SIZE];
	uint32_t bad[3];

	nic_open(&nic, "buffers", true);
	use_up_buffers(&nic);
	bad[0] = guest_grant(nic.guest, SET_NETBACK, nic.pages[0], true);
	bad[1] = guest_grant(nic.guest, SET_BLKBACK, nic.pages[0], false);
	bad[2] = guest_grant(nic.guest, SET_NETBACK, 1u << 20, false);
	for (uint16_t i = 0; i < 3; i++) {
		uint8_t *slot = front_ring_next(&nic.rx);

		memcpy(slot, &i, 2);
		memcpy(slot + 4, &bad[i], 4);
		nic.buffers[i].gref = bad[i];
	}
	/* one would do if the kernel had nothing to say */
	for (unsigned int i = 3; i < NR_BUFFERS; i++)
		post(&nic, i);
	xenhost_front_ring_push(&nic.rx);
	guest_port_notify(&nic.rx_port);
	make_frame(frame, sizeof(frame), 2);
	ck_assert_int_eq(write(nic.wire, frame, sizeof(frame)), sizeof(frame));
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(receive_any(&nic, got, PATIENCE_MS), NETIF_RSP_ERROR);
	receive_until(&nic, frame, sizeof(frame));
	nic_close(&nic);
}
END_TEST

START_TEST(scribbles)
{
	nic_open(&other, "calm", false);
	for (int i = 0; i < 20; i++) {
		char name[16];

		snprintf(name, sizeof(name), "scr%d", i);
		nic_open(&nic, name, i & 1);
		for (int round = 0; round < 50; round++) {
			unsigned int n = 1 + (unsigned int)random() % 40;
			uint8_t rsp[4];

			while (n-- > 0 && xenhost_front_ring_free(&nic.tx) > 0) {
				uint8_t *slot = front_ring_next(&nic.tx);

				for (int k = 0; k < 12; k++)
					slot[k] = (uint8_t)(random() % 3 ? 0 : random());
			}
			push_tx(&nic);
			for (int k = 0; k < 100; k++)
				((volatile uint8_t *)nic.tx.shared)[64 + (size_t)random() % 3000] =
					(uint8_t)random();
			while (front_ring_take(&nic.tx, rsp, sizeof(rsp)))
				;
		}
		nic_close(&nic);
	}
	check_send(&other, 500, 500);
	nic_close(&other);
}
END_TEST

START_TEST(bad_keys)
{
	static const struct {
		const char *node, *value;
	} cases[] = {
		{ "tx-ring-ref", "" },
		{ "tx-ring-ref", "3999" },
		{ "rx-ring-ref", "-8" },
		{ "rx-ring-ref", "18446744073709551616" },
		{ "event-channel", "" },
		{ "event-channel", "4096" },
		{ "request-rx-copy", "0" },
		{ "request-rx-copy", "yes" },
		{ "feature-rx-notify", "x" },
		{ "multi-queue-num-queues", "0" },
		{ "multi-queue-num-queues", "4" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char name[16];

		snprintf(name, sizeof(name), "key%zu", i);
		nic_create(&nic, name, NULL);
		nic_prepare(&nic, false);
		front_write(&nic.front, XENHOST_FRONT, cases[i].node, "%s", cases[i].value);
		front_set_state(&nic.front, XENHOST_STATE_CONNECTED);
		front_wait(&nic.front, XENHOST_STATE_CLOSING);
		ck_assert_int_eq(guest_revoke(nic.guest, nic.tx_gref), 0);
		ck_assert_int_eq(guest_revoke(nic.guest, nic.rx_gref), 0);
		nic_close(&nic);
	}
}
END_TEST

START_TEST(bad_interfaces)
{
	static const struct {
		const char *node, *value;
	} cases[] = { { "vifname", "much-too-long-a-name" },
		      { "vifname", "vif%d" },
		      { "vifname", "lo" },
		      { "bridge", "nobridge" } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char name[16];

		memset(&nic, 0, sizeof(nic));
		snprintf(name, sizeof(name), "if%zu", i);
		set_guest(&set, name, 16, &nic.front);
		nic.guest = nic.front.guest;
		front_init(&nic.front, nic.front.host, nic.guest, SET_NETBACK, "vif", 0);
		front_write(&nic.front, XENHOST_BACK, cases[i].node, "%s", cases[i].value);
		front_start(&nic.front);
		front_wait(&nic.front, XENHOST_STATE_CLOSING);
		front_free(&nic.front);
	}
}
END_TEST

START_TEST(dies_under_traffic)
{
	uint8_t frame[1000];

	nic_open(&other, "lives", true);
	for (int i = 0; i < 10; i++) {
		char name[16];

		snprintf(name, sizeof(name), "dies%d", i);
		nic_open(&nic, name, i & 1);
		make_frame(frame, sizeof(frame), 1);
		for (int k = 0; k < 200; k++)
			(void)!write(nic.wire, frame, sizeof(frame));
		for (uint16_t k = 0; k < 200; k++)
			put_tx(&nic, 8, 0, 0, k, 100);
		push_tx(&nic);
		nic_close(&nic);
		check_send(&other, 100, 100);
		check_receive(&other, 100);
	}
	nic_close(&other);
}
END_TEST

static int run_tests(void)
{
	Suite *s = suite_create("loopback-net");
	TCase *tc = tcase_create("all");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, keys);
	tcase_add_loop_test(tc, every_size, 0, 2);
	tcase_add_test(tc, scattered);
	tcase_add_loop_test(tc, many_at_once, 0, 2);
	tcase_add_loop_test(tc, late_buffers, 0, 2);
	tcase_add_test(tc, reconnects);
	tcase_add_test(tc, unplug);
	tcase_add_test(tc, blank_checksums);
	tcase_add_test(tc, blank_without_checksum);
	tcase_add_test(tc, refused_frames);
	tcase_add_test(tc, broken_rings);
	tcase_add_test(tc, bad_buffers);
	tcase_add_test(tc, scribbles);
	tcase_add_test(tc, bad_keys);
	tcase_add_test(tc, bad_interfaces);
	tcase_add_test(tc, dies_under_traffic);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}

static int prepare(void)
{
	const char *const args[] = { getenv("VERBOSE") ? "--verbose" : NULL, NULL };

	return set_start_with(&set, "netbackd", args);
}

int main(void)
{
	int failed;

	if (!netns_enter()) {
		printf("no network namespace or no /dev/net/tun: skipped\n");
		return 77;
	}
	if (prepare() < 0)
		return EXIT_FAILURE;
	failed = run_tests();
	failed += set_stop(&set) < 0;
	if (prepare() < 0)
		return EXIT_FAILURE;
	failed += set_lose_host(&set) < 0;
	failed += set_stop(&set) < 0;
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
