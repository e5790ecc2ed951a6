/* SPDX-License-Identifier: MIT */
/*
 * Front ends that do what none does by mistake: random chains, storms of events, of nodes and of states. A
 * second guest's card must go on, and the daemon must end in order. XENHOST_SECONDS: again and again for so long, each
 * time with other random numbers.
 */
#include "config.h"

#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <check.h>

#include "common/cleanup.h"
#include "common/xen.h"

#include "tests/support/netns.h"
#include "tests/support/nic.h"
#include "tests/support/packet.h"

#define FIRST_SEED 4711u

static struct set set;
static struct nic nic, other;
static struct nic_frame frame, got;
static const struct nic_config full = {
	.split = true, .sg = true, .gso4 = true, .gso6 = true, .csum6 = true
};

static unsigned int seed = FIRST_SEED;

static void open_nic(struct nic *n, const char *name, const struct nic_config *config)
{
	nic_make(n, &set, name, NULL);
	front_write(&n->front, XENHOST_FRONT, "mtu", "9000");
	nic_start(n);
	nic_connect(n, config);
	nic_wire_up(n);
}

static void check_other(size_t len)
{
	nic_fill(&frame, len, 5);
	ck_assert_int_eq(nic_send(&other.q[0], &frame, frame.len), NETIF_RSP_OKAY);
	nic_expect_on_wire(&other, &frame);
	ck_assert_int_eq(write(other.wire, frame.data, len), (ssize_t)len);
	ck_assert_int_eq(nic_receive(&other.q[0], &got, NIC_ETHERTYPE, NIC_PATIENCE_MS), (int)len);
	ck_assert_mem_eq(got.data, frame.data, len);
}

/* the second page of a frame cannot be used: both buffers come back with errors, and nothing of the frame */
START_TEST(bad_buffer_in_a_frame)
{
	struct nic_queue *q = &nic.q[0];
	uint32_t readonly;
	uint8_t *slot;
	uint16_t id = 1;

	open_nic(&nic, "halfbad", &full);
	nic_use_up_buffers(q);
	nic_fill(&frame, 9000, 7);
	ck_assert_int_eq(write(nic.wire, frame.data, frame.len), frame.len);
	nic_post(q, 0);
	readonly = guest_grant(nic.guest, SET_NETBACK, q->pages[0], true);
	q->places[q->rx.req_prod & (q->rx.size - 1)] = id;
	slot = front_ring_next(&q->rx);
	memcpy(slot, &id, 2);
	memcpy(slot + 4, &readonly, 4);
	q->buffers[1].gref = readonly;
	for (unsigned int i = 2; i < NIC_BUFFERS; i++)
		nic_post(q, i);
	(void)xenhost_front_ring_push(&q->rx);
	guest_port_notify(&q->rx_port);
	ck_assert_int_eq(nic_take(q, &got, NIC_PATIENCE_MS), NETIF_RSP_ERROR);
	ck_assert_int_eq(nic_take(q, &got, NIC_PATIENCE_MS), NETIF_RSP_ERROR);
	nic_fill(&frame, 8000, 8);
	ck_assert_int_eq(write(nic.wire, frame.data, frame.len), frame.len);
	while (nic_receive(q, &got, NIC_ETHERTYPE, NIC_PATIENCE_MS) == 9000)
		;
	ck_assert_uint_eq(got.len, 8000);
	ck_assert_mem_eq(got.data, frame.data, 8000);
	nic_disconnect(&nic);
	nic_close(&nic);
}
END_TEST

/* ---- storms ---- */

static atomic_bool over;

static void *kick(void *data)
{
	while (!atomic_load(&over)) {
		guest_port_notify(&nic.q[0].tx_port);
		guest_port_notify(&nic.q[0].rx_port);
	}
	return NULL;
}

START_TEST(event_storm)
{
	pthread_t threads[2];

	open_nic(&nic, "storm", &full);
	open_nic(&other, "calm", &full);
	atomic_store(&over, false);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, kick, NULL), 0);
	for (size_t len = 100; len < 300; len++)
		check_other(len);
	atomic_store(&over, true);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	/* it is listened to again */
	nic_fill(&frame, 100, 1);
	ck_assert_int_eq(nic_send(&nic.q[0], &frame, 100), NETIF_RSP_OKAY);
	nic_disconnect(&nic);
	nic_close(&nic);
	nic_close(&other);
}
END_TEST

/* pages; with a sanitizer they say nothing */
static long daemon_memory(void)
{
	char path[64];
	long size = 0, resident = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)set.services[0].pid);
	f = fopen(path, "re");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fscanf(f, "%ld %ld", &size, &resident), 2);
	fclose(f);
	return resident;
}

START_TEST(node_storm)
{
	long before = 0;

	open_nic(&nic, "nodes", &full);
	open_nic(&other, "calm", &full);
	for (unsigned int i = 0; i < 2000; i++) {
		front_write(&nic.front, XENHOST_FRONT, "request-multicast-control", "%u", i & 1);
		front_write(&nic.front, XENHOST_FRONT, i & 2 ? "feature-sg" : "nonsense", "%u", i);
		if (i % 100 == 0)
			check_other(500);
		if (i == 500)
			before = daemon_memory();
	}
#ifndef XENHOST_SANITIZED
	ck_assert_int_le(daemon_memory() - before, 64);
#endif
	ck_assert_int_gt(before, 0);
	nic_disconnect(&nic);
	nic_close(&nic);
	nic_close(&other);
}
END_TEST

static void order_stat(struct nic *n, unsigned int number)
{
	front_write(&n->front, XENHOST_BACK, "xenhost-control", "%u stat", number);
}

/* the ports and rings stay as they were first written: what is mapped again and again is the same */
START_TEST(state_storm)
{
	static const unsigned int states[] = { 1, 3, 4, 5, 6, 2, 7, 0 };

	nic_create(&nic, &set, "states", NULL);
	open_nic(&other, "calm", &full);
	nic_prepare(&nic, &full);
	for (unsigned int i = 0; i < 300; i++) {
		front_set_state(&nic.front, states[(unsigned int)random() % ARRAY_SIZE(states)]);
		if (xenhost_front_ring_free(&nic.q[0].tx) > 0)
			nic_put_tx(&nic.q[0], 8, 0, 0, 1, 100);
		nic_push_tx(&nic.q[0]);
		if (i % 5 == 0)
			order_stat(&nic, i + 1);
		if (i % 30 == 0)
			check_other(500);
	}
	nic_close(&nic);
	check_other(600);
	nic_close(&other);
}
END_TEST

START_TEST(unplug_under_kicks)
{
	char name[16];

	for (unsigned int i = 0; i < 10; i++) {
		pthread_t thread;

		snprintf(name, sizeof(name), "kick%u", i);
		open_nic(&nic, name, &full);
		atomic_store(&over, false);
		ck_assert_int_eq(pthread_create(&thread, NULL, kick, NULL), 0);
		front_write(&nic.front, XENHOST_BACK, "online", "0");
		front_write(&nic.front, XENHOST_BACK, "state", "%u", XENHOST_STATE_CLOSING);
		front_set_state(&nic.front, XENHOST_STATE_CLOSING);
		front_set_state(&nic.front, XENHOST_STATE_CLOSED);
		front_wait(&nic.front, XENHOST_STATE_CLOSED);
		atomic_store(&over, true);
		pthread_join(thread, NULL);
		nic_release(&nic);
		nic_close(&nic);
	}
}
END_TEST

/* ---- nodes ---- */

/* A guest may write what it likes in its own folder: nothing there says which interface it has and what it may do. */
START_TEST(nodes_of_the_guest)
{
	static const char *const nodes[][2] = {
		{ "vifname", "t-evil" },  { "bridge", "evil" },
		{ "rate", "1,1000000" },  { "mac", "00:16:3e:00:00:66" },
		{ "ip", "192.0.2.66" },	  { "anti-spoof", "0" },
		{ "passt", "/tmp/evil" }, { "xenhost-control", "1 stat" },
		{ "online", "0" },	  { "frontend", "/local/domain/0" }
	};

	nic_make(&nic, &set, "nodes2", NULL);
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++)
		front_write(&nic.front, XENHOST_FRONT, nodes[i][0], "%s", nodes[i][1]);
	front_write(&nic.front, XENHOST_BACK, "mac", "00:16:3e:00:00:01");
	front_write(&nic.front, XENHOST_BACK, "anti-spoof", "1");
	nic_start(&nic);
	nic_connect(&nic, &full);
	nic_wire_up(&nic);
	ck_assert_uint_ne(if_nametoindex(nic.tap), 0);
	ck_assert_uint_eq(if_nametoindex("t-evil"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++)
		front_write(&nic.front, XENHOST_FRONT, nodes[i][0], "%s", nodes[i][1]);
	/* another's back end, or none */
	front_write(&nic.front, XENHOST_FRONT, "backend", "/local/domain/0/backend/vif/1/0");
	front_write(&nic.front, XENHOST_FRONT, "backend-id", "0");
	nic_fill(&frame, 300, 1);
	ck_assert_int_eq(nic_send(&nic.q[0], &frame, 300), NETIF_RSP_OKAY);
	frame.data[11] ^= 0x67;
	ck_assert_int_eq(nic_send(&nic.q[0], &frame, 300), NETIF_RSP_DROPPED);
	nic_disconnect(&nic);
	nic_close(&nic);
}
END_TEST

/* Each thing that connecting takes cannot be had once; nothing is left in use, and then all is well. */
START_TEST(failed_connects)
{
	static const char *const nodes[] = { "tx-ring-ref", "rx-ring-ref", "event-channel-tx",
					     "event-channel-rx" };

	nic_create(&nic, &set, "failing", NULL);
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
		nic_prepare(&nic, &full);
		/* there is no such grant, and no such port */
		front_write(&nic.front, XENHOST_FRONT, nodes[i], "3999");
		front_set_state(&nic.front, XENHOST_STATE_CONNECTED);
		front_wait(&nic.front, XENHOST_STATE_CLOSING);
		front_set_state(&nic.front, XENHOST_STATE_CLOSED);
		front_wait(&nic.front, XENHOST_STATE_CLOSED);
		nic_release(&nic);
		front_set_state(&nic.front, XENHOST_STATE_INITIALISING);
		front_wait(&nic.front, XENHOST_STATE_INIT_WAIT);
	}
	nic_connect(&nic, &full);
	nic_wire_up(&nic);
	nic_fill(&frame, 300, 1);
	ck_assert_int_eq(nic_send(&nic.q[0], &frame, 300), NETIF_RSP_OKAY);
	nic_disconnect(&nic);
	nic_close(&nic);
}
END_TEST

/* ---- random chains ---- */

static unsigned int roll(unsigned int n)
{
	return (unsigned int)random() % n;
}

static void put_random_extra(struct nic_queue *q, bool more)
{
	uint8_t body[10];

	for (size_t i = 0; i < sizeof(body); i++)
		body[i] = (uint8_t)random();
	/* mostly one that is taken, so that the frame is looked at as well */
	if (roll(200))
		memcpy(body, (uint8_t[]){ (uint8_t)random(), 5, (uint8_t)(1 + roll(2)) }, 3);
	nic_put_extra(q, (uint8_t)(roll(300) ? 1 + roll(4) : random()), more, body, sizeof(body));
}

/* Frames that are nearly right: a TCP header with some bytes changed, sizes that are nearly those. */
static void put_random_chain(struct nic_queue *q, uint32_t gref)
{
	struct packet p = { .v6 = roll(2), .protocol = 6, .payload = roll(3000) };
	unsigned int nr = 1 + roll(roll(60) ? 6 : 23), extras = roll(3) ? 0 : 1 + roll(3);
	unsigned int sizes[24], total = 0;
	uint8_t *page = guest_page(q->nic->guest, q->pages[0]);

	packet_make(&frame, &p, 1, 2, true);
	for (unsigned int i = roll(4); i > 0; i--)
		frame.data[roll(100)] = (uint8_t)random();
	memcpy(page, frame.data, frame.len);
	for (unsigned int i = 0; i < nr; i++)
		total += sizes[i] = roll(6) ? roll(1500) : roll(3) ? 0 : 4096;
	for (unsigned int i = 0; i < nr; i++) {
		uint16_t flags = (uint16_t)(i + 1 < nr ? NETTXF_more_data : 0);
		uint16_t size = (uint16_t)(i == 0 ? total - !roll(40) : sizes[i]);

		if (i == 0)
			flags |= (uint16_t)(roll(4) | (extras ? NETTXF_extra_info : 0));
		nic_put_tx(q, roll(30) ? gref : (uint32_t)random(),
			   (uint16_t)(roll(800) ? 0 : roll(5000)), flags, (uint16_t)i, size);
		for (unsigned int e = 0; i == 0 && e < extras; e++)
			put_random_extra(q, e + 1 < extras);
	}
}

static bool is_stopped(struct nic *n)
{
	return strcmp(front_read(&n->front, XENHOST_BACK, "state"), "4") != 0;
}

/* until it was answered, or the device is stopped */
static bool settle(struct nic *n)
{
	struct nic_queue *q = &n->q[0];
	uint8_t rsp[4];

	while (xenhost_front_ring_free(&q->tx) < q->tx.size) {
		if (front_ring_take(&q->tx, rsp, sizeof(rsp)))
			continue;
		if (xenhost_front_ring_arm(&q->tx) || guest_port_wait(&q->tx_port, 100))
			continue;
		if (is_stopped(n))
			return false;
	}
	return true;
}

START_TEST(random_chains)
{
	char name[16];

	srandom(seed);
	open_nic(&other, "calm", &full);
	for (int i = 0; i < 15; i++) {
		uint32_t gref;
		bool alive = true;

		snprintf(name, sizeof(name), "rnd%d", i);
		nic_create(&nic, &set, name, NULL);
		nic_connect(&nic, &full);
		gref = guest_grant(nic.guest, SET_NETBACK, nic.q[0].pages[0], true);
		for (int round = 0; round < 40 && alive; round++) {
			for (int k = 0; k < 8; k++)
				put_random_chain(&nic.q[0], gref);
			nic_push_tx(&nic.q[0]);
			alive = settle(&nic);
		}
		nic_close(&nic);
		check_other(500);
	}
	nic_close(&other);
}
END_TEST

static int run_tests(void)
{
	Suite *s = suite_create("loopback-net-hostile");
	TCase *tc = tcase_create("all");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, bad_buffer_in_a_frame);
	tcase_add_test(tc, event_storm);
	tcase_add_test(tc, node_storm);
	tcase_add_test(tc, state_storm);
	tcase_add_test(tc, unplug_under_kicks);
	tcase_add_test(tc, nodes_of_the_guest);
	tcase_add_test(tc, failed_connects);
	tcase_add_test(tc, random_chains);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}

/* In a set of its own: nobody removes the folders of guests that died, and a back end has so many devices at most. */
static int run_round(void)
{
	const char *const args[] = { "--queues", "4", getenv("VERBOSE") ? "--verbose" : NULL,
				     NULL };
	int failed;

	if (set_start_with(&set, "netbackd", args) < 0)
		return 1;
	failed = run_tests();
	return failed + (set_stop(&set) < 0);
}

/* for as long as it is wanted, and once in any case */
int main(void)
{
	const char *seconds = getenv("XENHOST_SECONDS");
	const time_t end = time(NULL) + (seconds ? atoi(seconds) : 0);
	int failed;

	if (!netns_enter()) {
		printf("no network namespace or no /dev/net/tun: skipped\n");
		return 77;
	}
	do {
		failed = run_round();
		seed++;
	} while (!failed && time(NULL) < end);
	printf("%u rounds\n", seed - FIRST_SEED);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
