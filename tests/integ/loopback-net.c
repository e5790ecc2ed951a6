/* SPDX-License-Identifier: MIT */
/*
 * xenhost-netbackd and the set around it, driven by loopback guests, in a network of our own. The other
 * side of a TAP is a packet socket of this process.
 */
#include "config.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
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
#include "common/filter.h"
#include "common/xen.h"

#include "tests/support/front.h"
#include "loopguest/guest.h"
#include "tests/support/netns.h"
#include "tests/support/nic.h"
#include "tests/support/packet.h"
#include "tests/support/set.h"

/* more than netbackd takes in one pass; a packet socket holds as many small frames */
#define AT_ONCE 128u

static struct set set;
static struct nic nic, other;
static struct nic_frame frame, got;

static void open_nic(struct nic *n, const char *name, bool split)
{
	const struct nic_config config = { .split = split };

	nic_create(n, &set, name, NULL);
	nic_connect(n, &config);
	nic_wire_up(n);
}

/* others may come first: the kernel's, and some that were sent before */
static void receive_until(struct nic_queue *q, const struct nic_frame *wanted)
{
	int r;

	do {
		r = nic_take(q, &got, NIC_PATIENCE_MS);
		ck_assert_int_gt(r, 0);
	} while (got.len != wanted->len || memcmp(got.data, wanted->data, wanted->len));
}

static void check_send(struct nic *n, size_t len, size_t piece)
{
	nic_fill(&frame, len, (uint32_t)(len + piece));
	ck_assert_int_eq(nic_send(&n->q[0], &frame, piece), NETIF_RSP_OKAY);
	nic_expect_on_wire(n, &frame);
}

static void check_receive(struct nic *n, size_t len)
{
	nic_fill(&frame, len, (uint32_t)len * 3);
	ck_assert_int_eq(write(n->wire, frame.data, len), (ssize_t)len);
	ck_assert_int_eq(nic_receive(&n->q[0], &got, NIC_ETHERTYPE, NIC_PATIENCE_MS), (int)len);
	ck_assert_mem_eq(got.data, frame.data, len);
}

/* ---- what works ---- */

static void expect_key(const char *node, const char *value)
{
	ck_assert_str_eq(front_read(&nic.front, XENHOST_BACK, node), value);
}

static void expect_mtu(int mtu)
{
	_cleanup_close_ int s = socket(AF_UNIX, SOCK_DGRAM, 0);
	struct ifreq ifr = { 0 };

	strcpy(ifr.ifr_name, nic.tap);
	ck_assert_int_eq(ioctl(s, SIOCGIFMTU, &ifr), 0);
	ck_assert_int_eq(ifr.ifr_mtu, mtu);
}

START_TEST(keys)
{
	static const char *const offered[] = {
		"feature-rx-copy",
		"feature-sg",
		"feature-gso-tcpv4",
		"feature-gso-tcpv6",
		"feature-ipv6-csum-offload",
		"feature-multicast-control",
		"feature-dynamic-multicast-control",
		"feature-split-event-channels",
	};
	/* what is not there yet must not be offered */
	static const char *const missing[] = { "feature-ctrl-ring", "feature-xdp-headroom",
					       "feature-no-csum-offload" };

	nic_create(&nic, &set, "keys", NULL);
	for (size_t i = 0; i < ARRAY_SIZE(offered); i++)
		expect_key(offered[i], "1");
	for (size_t i = 0; i < ARRAY_SIZE(missing); i++)
		expect_key(missing[i], "");
	expect_key("feature-rx-flip", "0");
	expect_key("multi-queue-max-queues", "4");
	expect_key("hotplug-status", "connected");
	expect_key("carrier", "0");
	expect_mtu(1500);
	nic_close(&nic);
}
END_TEST

START_TEST(every_size)
{
	open_nic(&nic, "sizes", _i);
	for (size_t len = NIC_HEADER; len <= 1514; len++) {
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

	open_nic(&nic, "scatter", true);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check_send(&nic, cases[i].len, cases[i].piece);
	nic_close(&nic);
}
END_TEST

START_TEST(many_at_once)
{
	struct nic_queue *q = &nic.q[0];
	uint32_t gref;

	open_nic(&nic, "many", _i);
	gref = guest_grant(nic.guest, SET_NETBACK, q->pages[0], true);
	nic_fill(&frame, 100, 5);
	memcpy(guest_page(nic.guest, q->pages[0]), frame.data, frame.len);
	for (unsigned int round = 0; round < 20; round++) {
		for (uint16_t i = 0; i < AT_ONCE; i++)
			nic_put_tx(q, gref, 0, 0, i, 100);
		nic_push_tx(q);
		for (uint16_t i = 0; i < AT_ONCE; i++) {
			uint16_t id;

			ck_assert_int_eq(nic_next_tx(q, &id), NETIF_RSP_OKAY);
			ck_assert_uint_eq(id, i);
		}
		for (unsigned int i = 0; i < AT_ONCE; i++)
			nic_expect_on_wire(&nic, &frame);
		for (unsigned int i = 0; i < NIC_BUFFERS; i++)
			ck_assert_int_eq(write(nic.wire, frame.data, frame.len), frame.len);
		for (unsigned int i = 0; i < NIC_BUFFERS; i++) {
			ck_assert_int_eq(nic_receive(q, &got, NIC_ETHERTYPE, NIC_PATIENCE_MS),
					 frame.len);
			ck_assert_mem_eq(got.data, frame.data, frame.len);
		}
	}
	nic_disconnect(&nic);
	nic_close(&nic);
}
END_TEST

/* Without buffers frames wait in the TAP. _i: the front end tells of new ones, or it must be asked. */
START_TEST(late_buffers)
{
	const struct nic_config config = { .no_rx_notify = !_i };
	struct nic_queue *q = &nic.q[0];

	nic_create(&nic, &set, "late", NULL);
	nic_connect(&nic, &config);
	nic_wire_up(&nic);
	for (uint32_t round = 0; round < 10; round++) {
		nic_use_up_buffers(q);
		for (uint32_t i = 0; i < 3; i++) {
			nic_fill(&frame, 200, 1000 * round + i);
			ck_assert_int_eq(write(nic.wire, frame.data, frame.len), frame.len);
		}
		/* it has seen the frames and waits; if it does not, the test's time ends */
		while (!front_ring_awaited(&q->rx))
			sched_yield();
		for (unsigned int i = 0; i < NIC_BUFFERS; i++)
			nic_post(q, i);
		ck_assert(xenhost_front_ring_push(&q->rx));
		if (_i)
			guest_port_notify(&q->rx_port);
		for (uint32_t i = 0; i < 3; i++) {
			nic_fill(&frame, 200, 1000 * round + i);
			receive_until(q, &frame);
		}
	}
	nic_close(&nic);
}
END_TEST

/* as soon as a card is connected its interface has the MTU that goes with the front end's features */
START_TEST(reconnects)
{
	nic_make(&nic, &set, "again", NULL);
	front_write(&nic.front, XENHOST_FRONT, "mtu", "9000");
	nic_start(&nic);
	for (int i = 0; i < 10; i++) {
		const struct nic_config config = { .split = i & 1, .sg = i & 2, .gso4 = i & 4 };

		nic_connect(&nic, &config);
		expect_mtu(config.sg ? 9000 : 1500);
		nic_wire_up(&nic);
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
	open_nic(&nic, "unplug", true);
	front_write(&nic.front, XENHOST_BACK, "online", "0");
	front_write(&nic.front, XENHOST_BACK, "state", "5");
	front_set_state(&nic.front, XENHOST_STATE_CLOSING);
	front_set_state(&nic.front, XENHOST_STATE_CLOSED);
	front_wait(&nic.front, XENHOST_STATE_CLOSED);
	nic_release(&nic);
	ck_assert_int_eq(xenhost_store_rm(nic.front.host, 0, nic.front.back), 0);
	nic_create(&other, &set, "other", NULL);
	ck_assert_uint_eq(if_nametoindex(nic.tap), 0);
	nic_close(&other);
	nic_close(&nic);
}
END_TEST

/* ---- checksums ---- */

/* what one guest left blank, another gets complete; the pieces are cut through the headers */
START_TEST(blank_checksums)
{
	const struct nic_config plain = { .split = true }, none = { .no_csum4 = true };
	struct packet p = { .protocol = IPPROTO_UDP }, q;
	int n;

	ck_assert(nic_make_bridge("xbr0"));
	nic_create(&nic, &set, "left", "xbr0");
	nic_connect(&nic, &plain);
	nic_create(&other, &set, "right", "xbr0");
	nic_connect(&other, &none);
	for (p.payload = 0; p.payload <= 1472; p.payload += 64) {
		packet_make(&frame, &p, 1, 2, true);
		/*
		 * until the bridge has both ports forwarding, the first ones may be lost, and it says
		 * something itself
		 */
		do {
			ck_assert_int_eq(nic_send(&nic.q[0], &frame,
						  p.payload % 3 ? 17 + frame.len / 10 : frame.len),
					 NETIF_RSP_OKAY);
			n = nic_receive(&other.q[0], &got, 0x0800,
					p.payload ? NIC_PATIENCE_MS : 200);
			while (p.payload && n > 0 && got.len != frame.len)
				n = nic_receive(&other.q[0], &got, 0x0800, NIC_PATIENCE_MS);
		} while (n == 0 || got.len != frame.len);
		ck_assert_uint_eq(got.len, frame.len);
		packet_check(&got, &q);
		ck_assert_uint_eq(q.payload, p.payload);
	}
	nic_close(&other);
	nic_close(&nic);
}
END_TEST

/* a frame in which nobody can complete a checksum */
START_TEST(blank_without_checksum)
{
	open_nic(&nic, "blank", false);
	nic_fill(&frame, 100, 1);
	frame.flags = NETTXF_csum_blank;
	ck_assert_int_eq(nic_send(&nic.q[0], &frame, frame.len), NETIF_RSP_ERROR);
	check_send(&nic, 100, 100);
	nic_close(&nic);
}
END_TEST

/* ---- what must be refused ---- */

static int16_t one_slot(struct nic_queue *q, uint32_t gref, uint16_t offset, uint16_t size)
{
	uint16_t id;
	int16_t status;

	nic_put_tx(q, gref, offset, 0, 7, size);
	nic_push_tx(q);
	status = nic_next_tx(q, &id);
	ck_assert_uint_eq(id, 7);
	return status;
}

/* asks for what cannot be: segments of a frame that is no TCP */
static void send_false_gso(struct nic_queue *q, uint32_t gref)
{
	static const uint8_t gso[6] = { 0xb4, 5, XEN_NETIF_GSO_TYPE_TCPV4 };
	uint16_t id;

	nic_put_tx(q, gref, 0, NETTXF_extra_info | NETTXF_csum_blank, 8, 1514);
	nic_put_extra(q, XEN_NETIF_EXTRA_TYPE_GSO, false, gso, sizeof(gso));
	nic_push_tx(q);
	ck_assert_int_eq(nic_next_tx(q, &id), NETIF_RSP_ERROR);
	ck_assert_uint_eq(id, 8);
	ck_assert_int_eq(nic_next_tx(q, &id), NETIF_RSP_NULL);
}

START_TEST(refused_frames)
{
	struct nic_queue *q = &nic.q[0];
	uint32_t gref;

	open_nic(&nic, "refused", true);
	gref = guest_grant(nic.guest, SET_NETBACK, q->pages[0], true);
	ck_assert_int_eq(one_slot(q, gref, 0, 13), NETIF_RSP_ERROR);
	ck_assert_int_eq(one_slot(q, gref, 0, 0), NETIF_RSP_ERROR);
	ck_assert_int_eq(one_slot(q, 3999, 0, 60), NETIF_RSP_ERROR);
	ck_assert_int_eq(one_slot(q, UINT32_MAX, 0, 60), NETIF_RSP_ERROR);
	ck_assert_int_eq(one_slot(q, guest_grant(nic.guest, SET_BLKBACK, 0, false), 0, 60),
			 NETIF_RSP_ERROR);
	send_false_gso(q, gref);
	/* 20 and 21 slots are answered, not sent */
	nic_fill(&frame, 1000, 3);
	ck_assert_int_eq(nic_send(q, &frame, 50), NETIF_RSP_ERROR);
	nic_fill(&frame, 1050, 3);
	ck_assert_int_eq(nic_send(q, &frame, 50), NETIF_RSP_ERROR);
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

#define WAYS_TO_BREAK 9

static void break_it(struct nic_queue *q, int how)
{
	static const uint8_t no_size[6] = { 0, 0, XEN_NETIF_GSO_TYPE_TCPV4 },
			     no_type[6] = { 9, 9, 7 };
	struct nic *n = q->nic;
	uint32_t gref = guest_grant(n->guest, SET_NETBACK, q->pages[0], true);

	switch (how) {
	case 0: /* a chain that is not all there */
		nic_put_tx(q, gref, 0, NETTXF_more_data, 1, 100);
		break;
	case 1: /* an extra that is not there */
		nic_put_tx(q, gref, 0, NETTXF_extra_info, 1, 100);
		break;
	case 2: /* an extra that nobody knows */
		nic_put_tx(q, gref, 0, NETTXF_extra_info, 1, 100);
		nic_put_extra(q, 77, false, NULL, 0);
		break;
	case 3: /* too many pieces */
		for (int i = 0; i < 22; i++)
			nic_put_tx(q, gref, 0, i < 21 ? NETTXF_more_data : 0, 1, 100);
		break;
	case 4: /* beyond the page */
		nic_put_tx(q, gref, 4000, 0, 1, 100);
		break;
	case 5: /* indices */
		front_ring_force(&q->tx, q->tx.req_prod + 257);
		guest_port_notify(&q->tx_port);
		return;
	case 6:
		front_ring_force(&q->rx, q->rx.req_prod + 1000);
		(void)!write(n->wire, guest_page(n->guest, q->pages[0]), 100);
		guest_port_notify(&q->rx_port);
		return;
	case 7:
	case 8: /* segments that cannot be */
		nic_put_tx(q, gref, 0, NETTXF_extra_info, 1, 100);
		nic_put_extra(q, XEN_NETIF_EXTRA_TYPE_GSO, false, how == 7 ? no_size : no_type, 6);
		break;
	default:
		abort();
	}
	guest_port_notify(&q->tx_port);
	nic_push_tx(q);
}

/* each ends this device and nothing else */
START_TEST(broken_rings)
{
	open_nic(&other, "healthy", false);
	for (int how = 0; how < WAYS_TO_BREAK; how++) {
		char name[16];

		snprintf(name, sizeof(name), "broken%d", how);
		open_nic(&nic, name, how & 1);
		break_it(&nic.q[0], how);
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
	struct nic_queue *q = &nic.q[0];
	uint32_t bad[3];

	open_nic(&nic, "buffers", true);
	nic_use_up_buffers(q);
	bad[0] = guest_grant(nic.guest, SET_NETBACK, q->pages[0], true);
	bad[1] = guest_grant(nic.guest, SET_BLKBACK, q->pages[0], false);
	bad[2] = guest_grant(nic.guest, SET_NETBACK, 1u << 20, false);
	for (uint16_t i = 0; i < 3; i++) {
		uint32_t place = q->rx.req_prod & (q->rx.size - 1);
		uint8_t *slot = front_ring_next(&q->rx);

		memcpy(slot, &i, 2);
		memcpy(slot + 4, &bad[i], 4);
		q->buffers[i].gref = bad[i];
		q->places[place] = i;
	}
	/* one would do if the kernel had nothing to say */
	for (unsigned int i = 3; i < NIC_BUFFERS; i++)
		nic_post(q, i);
	xenhost_front_ring_push(&q->rx);
	guest_port_notify(&q->rx_port);
	nic_fill(&frame, 300, 2);
	ck_assert_int_eq(write(nic.wire, frame.data, frame.len), frame.len);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(nic_take(q, &got, NIC_PATIENCE_MS), NETIF_RSP_ERROR);
	receive_until(q, &frame);
	nic_close(&nic);
}
END_TEST

START_TEST(scribbles)
{
	struct nic_queue *q = &nic.q[0];

	open_nic(&other, "calm", false);
	for (int i = 0; i < 20; i++) {
		char name[16];

		snprintf(name, sizeof(name), "scr%d", i);
		open_nic(&nic, name, i & 1);
		for (int round = 0; round < 50; round++) {
			unsigned int n = 1 + (unsigned int)random() % 40;
			uint8_t rsp[4];

			while (n-- > 0 && xenhost_front_ring_free(&q->tx) > 0) {
				uint8_t *slot = front_ring_next(&q->tx);

				for (int k = 0; k < 12; k++)
					slot[k] = (uint8_t)(random() % 3 ? 0 : random());
			}
			nic_push_tx(q);
			for (int k = 0; k < 100; k++)
				((volatile uint8_t *)q->tx.shared)[64 + (size_t)random() % 3000] =
					(uint8_t)random();
			while (front_ring_take(&q->tx, rsp, sizeof(rsp)))
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
		{ "multi-queue-num-queues", "5" },
		{ "multi-queue-num-queues", "4294967297" },
		{ "multi-queue-num-queues", " 1" },
		{ "multi-queue-num-queues", "1x" },
		{ "multi-queue-num-queues", "-1" },
		{ "feature-sg", "1x" },
		{ "feature-gso-tcpv4", "-1" },
	};
	const struct nic_config config = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char name[16];

		snprintf(name, sizeof(name), "key%zu", i);
		nic_create(&nic, &set, name, NULL);
		nic_prepare(&nic, &config);
		front_write(&nic.front, XENHOST_FRONT, cases[i].node, "%s", cases[i].value);
		front_set_state(&nic.front, XENHOST_STATE_CONNECTED);
		front_wait(&nic.front, XENHOST_STATE_CLOSING);
		ck_assert_int_eq(guest_revoke(nic.guest, nic.q[0].tx_gref), 0);
		ck_assert_int_eq(guest_revoke(nic.guest, nic.q[0].rx_gref), 0);
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
	open_nic(&other, "lives", true);
	for (int i = 0; i < 10; i++) {
		char name[16];

		snprintf(name, sizeof(name), "dies%d", i);
		open_nic(&nic, name, i & 1);
		nic_fill(&frame, 1000, 1);
		for (int k = 0; k < 200; k++)
			(void)!write(nic.wire, frame.data, frame.len);
		for (uint16_t k = 0; k < 200; k++)
			nic_put_tx(&nic.q[0], 8, 0, 0, k, 100);
		nic_push_tx(&nic.q[0]);
		nic_close(&nic);
		check_send(&other, 100, 100);
		check_receive(&other, 100);
	}
	nic_close(&other);
}
END_TEST

/* one line of a thread's status */
static void assert_status_line(const char *path, const char *key, const char *wanted)
{
	char line[256] = "", want[128];
	FILE *f = fopen(path, "re");

	ck_assert_ptr_nonnull(f);
	snprintf(want, sizeof(want), "%s:\t%s\n", key, wanted);
	while (fgets(line, sizeof(line), f) && strcmp(line, want))
		;
	fclose(f);
	ck_assert_msg(!strcmp(line, want), "%s: no %s", path, want);
}

/* The daemon has no capabilities and a filter of its system calls in all threads, and makes TAPs all the same. */
START_TEST(confined)
{
	char path[320];
	struct dirent *entry;
	unsigned int threads = 0;
	DIR *dir;

	open_nic(&nic, "confined", true);
	check_send(&nic, 500, 500);
	snprintf(path, sizeof(path), "/proc/%d/task", (int)set.services[0].pid);
	dir = opendir(path);
	ck_assert_ptr_nonnull(dir);
	for (; (entry = readdir(dir)); threads++) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/status", (int)set.services[0].pid,
			 entry->d_name);
		assert_status_line(path, "CapEff", "0000000000000000");
		assert_status_line(path, "CapPrm", "0000000000000000");
		assert_status_line(path, "NoNewPrivs", "1");
		assert_status_line(path, "Seccomp", "2");
	}
	ck_assert_uint_ge(threads, 2);
	closedir(dir);
	nic_close(&nic);
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
	if (filter_works())
		tcase_add_test(tc, confined);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}

static int prepare(void)
{
	const char *const args[] = { "--queues", "4", getenv("VERBOSE") ? "--verbose" : NULL,
				     NULL };

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
