/* SPDX-License-Identifier: MIT */
/* What the keys of a card do: multicast control, rate, carrier, stall, anti-spoof, statistics. */
#include "config.h"

#include <inttypes.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <check.h>
#include <linux/sockios.h>

#include "common/cleanup.h"
#include "common/xen.h"

#include "tests/support/netns.h"
#include "tests/support/nic.h"

static struct set set;
static struct nic nic;
static struct nic_frame frame, got;

static void open_nic(const char *name, const struct nic_config *config)
{
	nic_create(&nic, &set, name, NULL);
	nic_connect(&nic, config);
	nic_wire_up(&nic);
}

/* waits for what the back end writes; it must come */
static void wait_node(const char *node, const char *value)
{
	struct pollfd p = { .fd = -1 };

	for (int i = 0; strcmp(front_read(&nic.front, XENHOST_BACK, node), value); i++) {
		ck_assert_int_lt(i, NIC_PATIENCE_MS / 10);
		(void)poll(&p, 1, 10);
	}
}

/* the answer's value of `name`, by the order `stat` or "stat QUEUE" */
static uint64_t stat_of(const char *order, const char *name)
{
	static unsigned int number;
	char head[16], key[64];
	const char *text, *at;

	snprintf(head, sizeof(head), "%u ok ", ++number);
	front_write(&nic.front, XENHOST_BACK, "xenhost-control", "%u %s", number, order);
	for (int i = 0;; i++) {
		struct pollfd p = { .fd = -1 };

		text = front_read(&nic.front, XENHOST_BACK, "xenhost-reply");
		if (!strncmp(text, head, strlen(head)))
			break;
		ck_assert_int_lt(i, NIC_PATIENCE_MS / 10);
		(void)poll(&p, 1, 10);
	}
	snprintf(key, sizeof(key), " %s=", name);
	at = strstr(text, key);
	ck_assert_ptr_nonnull(at);
	return strtoull(at + strlen(key), NULL, 10);
}

static int16_t send_from(const char *source, size_t len)
{
	nic_fill(&frame, len, 3);
	memcpy(frame.data + 6, source, 6);
	return nic_send(&nic.q[0], &frame, len);
}

#define OWN "\x00\x16\x3e\x00\x00\x01"
#define FOREIGN "\x00\x16\x3e\x00\x00\x07"

/* ---- multicast control ---- */

static const uint8_t group[6] = { 1, 0, 0x5e, 0, 0, 5 };

static void send_group(uint32_t seed)
{
	nic_fill(&frame, 100, seed);
	memcpy(frame.data, group, 6);
	ck_assert_int_eq(write(nic.wire, frame.data, frame.len), frame.len);
}

static void send_all(uint32_t seed)
{
	nic_fill(&frame, 100, seed);
	ck_assert_int_eq(write(nic.wire, frame.data, frame.len), frame.len);
}

/* One to the group and one to everybody behind it: the one that comes first says whether the other came. */
static bool hears_group(void)
{
	static uint32_t seed;
	bool heard = false;

	send_group(++seed);
	send_all(seed);
	for (;;) {
		ck_assert_int_gt(nic_receive(&nic.q[0], &got, NIC_ETHERTYPE, NIC_PATIENCE_MS), 0);
		if (!memcmp(got.data, group, 6))
			heard = true;
		else if (!memcmp(got.data, frame.data, frame.len))
			return heard;
	}
}

static int16_t change_list(uint8_t type, const uint8_t *address)
{
	uint16_t id;
	int16_t status;

	nic_put_tx(&nic.q[0], 0, 0, NETTXF_extra_info, 9, 0);
	nic_put_extra(&nic.q[0], type, false, address, 6);
	nic_push_tx(&nic.q[0]);
	status = nic_next_tx(&nic.q[0], &id);
	ck_assert_uint_eq(id, 9);
	ck_assert_int_eq(nic_next_tx(&nic.q[0], &id), NETIF_RSP_NULL);
	return status;
}

START_TEST(multicast_control)
{
	static const struct nic_config config = { .mcast = true, .split = true };
	static const uint8_t unicast[6] = { 2, 0, 0, 0, 0, 1 };

	open_nic("mcast", &config);
	ck_assert(!hears_group());
	ck_assert_int_eq(change_list(XEN_NETIF_EXTRA_TYPE_MCAST_ADD, group), NETIF_RSP_OKAY);
	ck_assert(hears_group());
	ck_assert_int_eq(change_list(XEN_NETIF_EXTRA_TYPE_MCAST_ADD, unicast), NETIF_RSP_ERROR);
	ck_assert_int_eq(change_list(XEN_NETIF_EXTRA_TYPE_MCAST_DEL, group), NETIF_RSP_OKAY);
	ck_assert(!hears_group());
	ck_assert_uint_ge(stat_of("stat", "rx-filtered"), 2);
	/* dynamic: off and on again under way */
	front_write(&nic.front, XENHOST_FRONT, "request-multicast-control", "0");
	while (!hears_group())
		;
	front_write(&nic.front, XENHOST_FRONT, "request-multicast-control", "1");
	while (hears_group())
		;
	nic_disconnect(&nic);
	nic_close(&nic);
}
END_TEST

/* as many as there is room for, and one more */
START_TEST(multicast_list_full)
{
	static const struct nic_config config = { .mcast = true };
	uint8_t address[6] = { 1, 0, 0x5e, 1, 0, 0 };

	open_nic("full", &config);
	for (unsigned int i = 0; i < 256; i++) {
		address[5] = (uint8_t)i;
		ck_assert_int_eq(change_list(XEN_NETIF_EXTRA_TYPE_MCAST_ADD, address),
				 NETIF_RSP_OKAY);
	}
	ck_assert_int_eq(change_list(XEN_NETIF_EXTRA_TYPE_MCAST_ADD, group), NETIF_RSP_ERROR);
	nic_close(&nic);
}
END_TEST

/* ---- rate ---- */

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* It may take longer on a busy machine, never shorter. */
START_TEST(rate)
{
	static const struct nic_config config = { .split = true };
	uint64_t begin;

	nic_make(&nic, &set, "rate", NULL);
	front_write(&nic.front, XENHOST_BACK, "rate", "1500,50000");
	nic_start(&nic);
	nic_connect(&nic, &config);
	begin = now_ms();
	for (int i = 0; i < 11; i++)
		ck_assert_int_eq(send_from(OWN, 1500), NETIF_RSP_OKAY);
	ck_assert_uint_ge(now_ms() - begin, 10 * 50 - 10);
	nic_close(&nic);
}
END_TEST

/* a limit that would not let it through before the test's patience ends, lifted while it waits */
START_TEST(rate_changes)
{
	static const struct nic_config config = { .split = true };
	uint32_t gref;
	uint16_t id;

	open_nic("lifted", &config);
	/* nonsense changes nothing */
	front_write(&nic.front, XENHOST_BACK, "rate", "fast");
	ck_assert_int_eq(send_from(OWN, 1500), NETIF_RSP_OKAY);
	front_write(&nic.front, XENHOST_BACK, "rate", "1,4000000000");
	/* the answer comes behind the change: it is in force */
	(void)stat_of("stat", "tx-frames");
	gref = guest_grant(nic.guest, SET_NETBACK, nic.q[0].pages[0], true);
	for (uint16_t i = 0; i < 2; i++)
		nic_put_tx(&nic.q[0], gref, 0, 0, i, 1500);
	nic_push_tx(&nic.q[0]);
	front_write(&nic.front, XENHOST_BACK, "rate", "0,0");
	for (uint16_t i = 0; i < 2; i++) {
		ck_assert_int_eq(nic_next_tx(&nic.q[0], &id), NETIF_RSP_OKAY);
		ck_assert_uint_eq(id, i);
	}
	nic_close(&nic);
}
END_TEST

/* ---- carrier ---- */

static bool link_is_up(void)
{
	struct ifreq ifr = { 0 };
	_cleanup_close_ int s = socket(AF_UNIX, SOCK_DGRAM, 0);

	strcpy(ifr.ifr_name, nic.tap);
	ck_assert_int_eq(ioctl(s, SIOCGIFFLAGS, &ifr), 0);
	return ifr.ifr_flags & IFF_RUNNING;
}

static void wait_link(bool up)
{
	struct pollfd p = { .fd = -1 };

	/* the flag follows from a work queue of the kernel's */
	for (int i = 0; link_is_up() != up; i++) {
		ck_assert_int_lt(i, NIC_PATIENCE_MS / 10);
		(void)poll(&p, 1, 10);
	}
}

START_TEST(cable_drawn)
{
	static const struct nic_config config = { 0 };

	open_nic("cable", &config);
	wait_node("carrier", "1");
	front_write(&nic.front, XENHOST_FRONT, "disconnect", "1");
	wait_node("carrier", "0");
	wait_link(false);
	ck_assert_int_eq(send_from(OWN, 100), NETIF_RSP_DROPPED);
	front_write(&nic.front, XENHOST_FRONT, "disconnect", "0");
	wait_node("carrier", "1");
	wait_link(true);
	ck_assert_int_eq(send_from(OWN, 100), NETIF_RSP_OKAY);
	nic_disconnect(&nic);
	wait_node("carrier", "0");
	nic_close(&nic);
}
END_TEST

/* Frames wait for a guest without buffers, not for ever. */
START_TEST(stall)
{
	static const struct nic_config config = { .split = true };

	open_nic("stall", &config);
	nic_use_up_buffers(&nic.q[0]);
	send_all(77);
	wait_node("carrier", "0");
	wait_link(false);
	ck_assert_uint_eq(stat_of("stat", "stalls"), 1);
	nic_post_all(&nic.q[0]);
	wait_node("carrier", "1");
	wait_link(true);
	nic_wire_up(&nic);
	nic_disconnect(&nic);
	nic_close(&nic);
}
END_TEST

/* a large frame waits for more buffers than there are; then it is given up */
START_TEST(stall_with_a_frame)
{
	static const struct nic_config config = { .sg = true };

	nic_make(&nic, &set, "half", NULL);
	front_write(&nic.front, XENHOST_FRONT, "mtu", "9000");
	nic_start(&nic);
	nic_connect(&nic, &config);
	nic_wire_up(&nic);
	nic_use_up_buffers(&nic.q[0]);
	nic_fill(&frame, 9000, 5);
	ck_assert_int_eq(write(nic.wire, frame.data, frame.len), frame.len);
	nic_post(&nic.q[0], 0);
	nic_post(&nic.q[0], 1);
	(void)xenhost_front_ring_push(&nic.q[0].rx);
	guest_port_notify(&nic.q[0].rx_port);
	while (stat_of("stat", "stalls") == 0)
		;
	/* unless a frame of the kernel's own took one of the two */
	ck_assert_uint_le(stat_of("stat", "rx-drops"), 1);
	nic_post_all(&nic.q[0]);
	wait_link(true);
	nic_wire_up(&nic);
	nic_disconnect(&nic);
	nic_close(&nic);
}
END_TEST

/* ---- anti-spoof ---- */

static int16_t send_arp(const char *sender)
{
	nic_fill(&frame, 60, 0);
	memcpy(frame.data + 12, "\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01", 10);
	memcpy(frame.data + 22, sender, 6);
	return nic_send(&nic.q[0], &frame, 60);
}

START_TEST(anti_spoof)
{
	static const struct nic_config config = { 0 };

	open_nic("spoof", &config);
	ck_assert_int_eq(send_from(FOREIGN, 100), NETIF_RSP_OKAY);
	front_write(&nic.front, XENHOST_BACK, "anti-spoof", "1");
	(void)stat_of("stat", "tx-frames");
	ck_assert_int_eq(send_from(OWN, 100), NETIF_RSP_OKAY);
	ck_assert_int_eq(send_from(FOREIGN, 100), NETIF_RSP_DROPPED);
	ck_assert_int_eq(send_arp(OWN), NETIF_RSP_OKAY);
	ck_assert_int_eq(send_arp(FOREIGN), NETIF_RSP_DROPPED);
	ck_assert_uint_eq(stat_of("stat", "tx-spoofs"), 2);
	nic_close(&nic);
}
END_TEST

/* an IPv4 frame of the card's */
static int16_t send_ip(const char *source)
{
	nic_fill(&frame, 100, 0);
	memcpy(frame.data + 6, OWN, 6);
	memcpy(frame.data + 12, "\x08\x00\x45", 3);
	memcpy(frame.data + 26, source, 4);
	return nic_send(&nic.q[0], &frame, 100);
}

START_TEST(anti_spoof_addresses)
{
	static const struct nic_config config = { 0 };

	nic_make(&nic, &set, "spoofip", NULL);
	front_write(&nic.front, XENHOST_BACK, "ip", "192.0.2.1 2001:db8::1");
	nic_start(&nic);
	nic_connect(&nic, &config);
	nic_wire_up(&nic);
	ck_assert_int_eq(send_ip("\xc0\x00\x02\x02"), NETIF_RSP_OKAY);
	front_write(&nic.front, XENHOST_BACK, "anti-spoof", "1");
	(void)stat_of("stat", "tx-frames");
	ck_assert_int_eq(send_ip("\xc0\x00\x02\x01"), NETIF_RSP_OKAY);
	ck_assert_int_eq(send_ip("\0\0\0\0"), NETIF_RSP_OKAY);
	ck_assert_int_eq(send_ip("\xc0\x00\x02\x02"), NETIF_RSP_DROPPED);
	/* what is neither IP nor ARP */
	ck_assert_int_eq(send_from(OWN, 100), NETIF_RSP_DROPPED);
	ck_assert_uint_eq(stat_of("stat", "tx-spoofs"), 2);
	nic_close(&nic);
}
END_TEST

/* ---- statistics ---- */

START_TEST(statistics)
{
	static const struct nic_config config = { .queues = 3, .split = true };
	char order[16];

	open_nic("stat", &config);
	for (unsigned int i = 0; i < 3; i++) {
		for (unsigned int k = 0; k <= i; k++) {
			nic_fill(&frame, 100 + k, 1);
			ck_assert_int_eq(nic_send(&nic.q[i], &frame, 200), NETIF_RSP_OKAY);
		}
	}
	ck_assert_uint_eq(stat_of("stat", "tx-frames"), 1 + 2 + 3);
	ck_assert_uint_eq(stat_of("stat", "tx-bytes"), 100 + 201 + 303);
	for (unsigned int i = 0; i < 3; i++) {
		snprintf(order, sizeof(order), "stat %u", i);
		ck_assert_uint_eq(stat_of(order, "tx-frames"), i + 1);
	}
	nic_close(&nic);
}
END_TEST

static int run_tests(void)
{
	Suite *s = suite_create("loopback-net-keys");
	TCase *tc = tcase_create("all");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, multicast_control);
	tcase_add_test(tc, multicast_list_full);
	tcase_add_test(tc, rate);
	tcase_add_test(tc, rate_changes);
	tcase_add_test(tc, cable_drawn);
	tcase_add_test(tc, stall);
	tcase_add_test(tc, stall_with_a_frame);
	tcase_add_test(tc, anti_spoof);
	tcase_add_test(tc, anti_spoof_addresses);
	tcase_add_test(tc, statistics);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}

int main(void)
{
	const char *const args[] = {
		"--queues", "4", "--stall", "1", getenv("VERBOSE") ? "--verbose" : NULL, NULL
	};
	int failed;

	if (!netns_enter()) {
		printf("no network namespace or no /dev/net/tun: skipped\n");
		return 77;
	}
	if (set_start_with(&set, "netbackd", args) < 0)
		return EXIT_FAILURE;
	failed = run_tests();
	failed += set_stop(&set) < 0;
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
