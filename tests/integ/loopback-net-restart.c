/* SPDX-License-Identifier: MIT */
/*
 * xenhost-netbackd killed and ended under two guests that exchange a stream with acknowledgements, as TCP
 * does: every byte arrives, in order, and neither the states in the store nor the interfaces move.
 */
#include "config.h"

#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <check.h>

#include "common/cleanup.h"
#include "common/xen.h"

#include "tests/support/daemon.h"
#include "tests/support/netns.h"
#include "tests/support/nic.h"
#include "tests/support/packet.h"

#define BRIDGE "xbr0"
#define ENDS 12u   /* times the daemon ends in one test, unless XENHOST_KILLS is another number */
#define STRIDE 40u /* frames that arrive between two of them, at least */
#define WINDOW 8u  /* frames that are not acknowledged yet */
#define PAYLOAD 1400u
#define RESEND_MS 100

static struct set set;
static struct nic left, right;
static struct nic_frame sent, got;

static int start_daemon(void)
{
	const char *const args[] = { "--queues", "4", getenv("VERBOSE") ? "--verbose" : NULL,
				     NULL };

	return process_run_daemon(&set.services[0], "netbackd", set.rundir, args);
}

/* ---- the stream ---- */

static atomic_uint arrived; /* frames */
static atomic_bool ended_all;
static atomic_int trouble;

static struct nic_queue *a_queue(struct nic *n, uint32_t i)
{
	return &n->q[i % n->nr_queues];
}

static void send_packet(struct nic *from, uint32_t seq, size_t payload)
{
	struct packet p = { .protocol = IPPROTO_TCP,
			    .port = (uint16_t)(1 + seq % 7),
			    .seq = seq,
			    .payload = payload };
	bool segments = payload > PAYLOAD;

	packet_make(&sent, &p, from == &left ? 1 : 2, from == &left ? 2 : 1, segments);
	if (segments) {
		sent.gso_type = XEN_NETIF_GSO_TYPE_TCPV4;
		sent.gso_size = PAYLOAD;
	}
	ck_assert_int_eq(nic_send(a_queue(from, seq), &sent, XEN_PAGE_SIZE), NETIF_RSP_OKAY);
}

/* a packet of the other card's: 1, or 0 when none is there */
static int take_packet(struct nic *n, struct packet *p)
{
	for (unsigned int i = 0; i < n->nr_queues; i++) {
		int len;

		nic_post_all(&n->q[i]);
		while ((len = nic_take(&n->q[i], &got, 0)) > 0) {
			if (memcmp(got.data + 6, (uint8_t[]){ 0, 22, 62, 0, 0 }, 5))
				continue;
			packet_check(&got, p);
			return 1;
		}
		ck_assert_int_eq(len, 0);
	}
	return 0;
}

static bool wait_for_any(int timeout_ms)
{
	struct pollfd p[2 * NIC_QUEUES_MAX];
	unsigned int n = 0;

	for (unsigned int i = 0; i < left.nr_queues; i++)
		p[n++] = (struct pollfd){ left.q[i].rx_port.wait_fd, POLLIN, 0 };
	for (unsigned int i = 0; i < right.nr_queues; i++)
		p[n++] = (struct pollfd){ right.q[i].rx_port.wait_fd, POLLIN, 0 };
	return poll(p, n, timeout_ms) > 0;
}

/* The receiving side: in order only, everything is acknowledged by a packet whose `seq` says up to where. */
static bool serve_right(uint32_t *expected)
{
	struct packet p;
	bool any = false;

	while (take_packet(&right, &p)) {
		any = true;
		if (p.seq == *expected) {
			*expected += (uint32_t)p.payload;
			atomic_fetch_add(&arrived, 1);
		}
		send_packet(&right, *expected, 1);
	}
	return any;
}

static bool serve_left(uint32_t *base)
{
	struct packet p;
	bool any = false;

	while (take_packet(&left, &p)) {
		any = true;
		if (p.seq > *base)
			*base = p.seq;
	}
	return any;
}

static size_t payload_of(uint32_t seq, bool large)
{
	return large && seq % 3 == 0 ? 20 * PAYLOAD : 1 + seq % PAYLOAD;
}

/* until the daemon has ended often enough, and what was sent has arrived */
static void run_stream(bool large)
{
	uint32_t base = 0, next = 0, expected = 0;

	while (!atomic_load(&ended_all) || base != next) {
		bool any;

		while (next - base < WINDOW * PAYLOAD && !atomic_load(&ended_all)) {
			size_t payload = payload_of(next, large);

			send_packet(&left, next, payload);
			next += (uint32_t)payload;
		}
		any = serve_right(&expected);
		any |= serve_left(&base);
		/* nothing for some time: all that was not acknowledged, again, in small pieces */
		if (!any && !wait_for_any(RESEND_MS))
			for (uint32_t at = base; at != next;) {
				size_t payload = next - at < PAYLOAD ? next - at : PAYLOAD;

				send_packet(&left, at, payload);
				at += (uint32_t)payload;
			}
	}
	ck_assert_uint_eq(expected, next);
}

/* ---- who ends it ---- */

static void *end_again_and_again(void *data)
{
	const char *kills = getenv("XENHOST_KILLS");
	const unsigned int ends = kills ? (unsigned int)atoi(kills) : ENDS;

	for (unsigned int i = 0; i < ends && !atomic_load(&trouble); i++) {
		unsigned int until = atomic_load(&arrived) + STRIDE + (unsigned int)random() % 9;
		int r;

		while (atomic_load(&arrived) < until)
			usleep(100);
		/* mostly by force; when it is asked to, it must end in order */
		r = i % 4 == 3 ? process_stop(&set.services[0]) : process_kill(&set.services[0]);
		if (r == 0)
			r = start_daemon();
		atomic_store(&trouble, r);
	}
	atomic_store(&ended_all, true);
	/* a daemon ends with the thread that started it */
	for (;;)
		pause();
	return NULL;
}

static void make(struct nic *n, const char *name, unsigned int address,
		 const struct nic_config *config)
{
	nic_make(n, &set, name, BRIDGE);
	front_write(&n->front, XENHOST_BACK, "mac", "00:16:3e:00:00:%02x", address);
	nic_start(n);
	nic_connect(n, config);
}

static void assert_connected(struct nic *n)
{
	ck_assert_str_eq(front_read(&n->front, XENHOST_BACK, "state"), "4");
	ck_assert_str_eq(front_read(&n->front, XENHOST_FRONT, "state"), "4");
	ck_assert_str_eq(front_read(&n->front, XENHOST_BACK, "carrier"), "1");
}

static void on_state(xenhost_t *host, const char *path, void *data)
{
	(*(unsigned int *)data)++;
}

START_TEST(killed_under_traffic)
{
	static const struct nic_config configs[] = {
		{ .split = true },
		{ .queues = 4,
		  .split = true,
		  .sg = true,
		  .gso4 = true,
		  .gso6 = true,
		  .csum6 = true },
	};
	unsigned int index, moved = 0;
	xenhost_watch_t *watch = NULL;
	pthread_t killer;
	char path[160];

	atomic_store(&arrived, 0);
	atomic_store(&ended_all, false);
	make(&left, "left", 1, &configs[_i]);
	make(&right, "right", 2, &configs[_i]);
	index = if_nametoindex(right.tap);
	snprintf(path, sizeof(path), "%s/state", right.front.back);
	ck_assert_int_eq(xenhost_watch(right.front.host, path, on_state, &moved, &watch), 0);
	ck_assert_int_eq(pthread_create(&killer, NULL, end_again_and_again, NULL), 0);
	ck_assert_int_eq(pthread_detach(killer), 0);
	run_stream(_i);
	ck_assert_int_eq(atomic_load(&trouble), 0);
	assert_connected(&left);
	assert_connected(&right);
	ck_assert_uint_eq(if_nametoindex(right.tap), index);
	while (xenhost_process(right.front.host) > 0)
		;
	/* once when it was set, once for each successor that says the same again */
	ck_assert_uint_le(moved, 1 + ENDS);
	xenhost_unwatch(watch);
	/* nothing is held: all can be revoked */
	nic_disconnect(&left);
	nic_disconnect(&right);
	nic_close(&left);
	nic_close(&right);
}
END_TEST

/* what a guest that is gone by now left behind goes as well */
START_TEST(guest_dies_meanwhile)
{
	static const struct nic_config config = { .queues = 2 };

	make(&left, "left", 1, &config);
	ck_assert_int_eq(process_kill(&set.services[0]), 0);
	ck_assert_uint_ne(if_nametoindex(left.tap), 0);
	nic_close(&left);
	ck_assert_int_eq(start_daemon(), 0);
	make(&right, "right", 2, &config);
	ck_assert_uint_eq(if_nametoindex(left.tap), 0);
	/* the same name again */
	make(&left, "left", 1, &config);
	nic_disconnect(&left);
	nic_close(&left);
	nic_close(&right);
}
END_TEST

/* The front end went while nobody was there. */
START_TEST(closes_meanwhile)
{
	static const struct nic_config config = { .split = true };

	make(&left, "left", 1, &config);
	ck_assert_int_eq(process_kill(&set.services[0]), 0);
	front_set_state(&left.front, XENHOST_STATE_CLOSING);
	ck_assert_int_eq(start_daemon(), 0);
	front_wait(&left.front, XENHOST_STATE_CLOSING);
	front_set_state(&left.front, XENHOST_STATE_CLOSED);
	front_wait(&left.front, XENHOST_STATE_CLOSED);
	front_set_state(&left.front, XENHOST_STATE_INITIALISING);
	front_wait(&left.front, XENHOST_STATE_INIT_WAIT);
	nic_close(&left);
}
END_TEST

static int run_tests(void)
{
	Suite *s = suite_create("loopback-net-restart");
	TCase *tc = tcase_create("all");
	SRunner *sr = srunner_create(s);
	int failed;

	/* the daemon is the tests' own to end: they share one process */
	srunner_set_fork_status(sr, CK_NOFORK);
	suite_add_tcase(s, tc);
	tcase_add_loop_test(tc, killed_under_traffic, 0, 2);
	tcase_add_test(tc, guest_dies_meanwhile);
	tcase_add_test(tc, closes_meanwhile);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}

int main(void)
{
	int failed;

	if (!netns_enter()) {
		printf("no network namespace or no /dev/net/tun: skipped\n");
		return 77;
	}
	if (!nic_make_bridge(BRIDGE) || set_start(&set) < 0)
		return EXIT_FAILURE;
	if (start_daemon() < 0) {
		set_stop(&set);
		return EXIT_FAILURE;
	}
	set.nr_services = 1;
	failed = run_tests();
	failed += set_stop(&set) < 0;
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
