/* SPDX-License-Identifier: MIT */
/*
 * Two loopback guests with a card each on a bridge exchange frames of every size, over all combinations of
 * what a front end may or may not be able to do. Contents, checksums and segments are checked.
 */
#include "config.h"

#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "common/cleanup.h"
#include "common/xen.h"

#include "tests/support/netns.h"
#include "tests/support/nic.h"
#include "tests/support/packet.h"

#define BRIDGE "xbr0"
#define MTU 65521
#define SMALL_MTU 1500u
#define MSS 1428u /* IPv6 in 1500 */
/* every size takes too long there */
#ifdef XENHOST_SANITIZED
#define SAMPLE 16u
#else
#define SAMPLE 1u
#endif
#define LEFT 1u
#define RIGHT 2u

static struct set set;
static struct nic left, right;
static struct nic_frame sent, got;

/* ---- both cards ---- */

static void make(struct nic *n, const char *name, unsigned int address)
{
	nic_make(n, &set, name, BRIDGE);
	front_write(&n->front, XENHOST_BACK, "mac", "00:16:3e:00:00:%02x", address);
	front_write(&n->front, XENHOST_FRONT, "mtu", "%u", MTU);
	nic_start(n);
}

static bool is_from(uint8_t card)
{
	return !memcmp(got.data + 6, (uint8_t[]){ 0, 22, 62, 0, 0, card }, 6);
}

static bool is_probe(void)
{
	return got.data[12] == NIC_PROBE_TYPE >> 8 && got.data[13] == (uint8_t)NIC_PROBE_TYPE;
}

/* in whichever queue the kernel puts it; our frames and no others. 0: none in time */
static int receive_kind(struct nic *n, int timeout_ms, bool probe)
{
	struct pollfd p[NIC_QUEUES_MAX];

	for (;;) {
		for (unsigned int i = 0; i < n->nr_queues; i++) {
			int len;

			nic_post_all(&n->q[i]);
			while ((len = nic_take(&n->q[i], &got, 0)) != 0) {
				ck_assert_int_gt(len, 0);
				if (is_from(n == &left ? RIGHT : LEFT) && is_probe() == probe)
					return len;
			}
			p[i] = (struct pollfd){ n->q[i].rx_port.wait_fd, POLLIN, 0 };
		}
		if (poll(p, n->nr_queues, timeout_ms) == 0)
			return 0;
	}
}

static int receive(struct nic *n)
{
	return receive_kind(n, NIC_PATIENCE_MS, false);
}

static void address(struct nic_frame *f, uint8_t from, uint8_t to)
{
	memcpy(f->data, (uint8_t[]){ 0, 22, 62, 0, 0, to, 0, 22, 62, 0, 0, from }, 12);
}

/* in pieces that fit, cut at places that differ */
static void send_on(struct nic *from, unsigned int queue)
{
	size_t piece = sent.len / 17 + 1 + sent.len % 31;

	if (sent.len % 3 == 0 || piece > XEN_PAGE_SIZE)
		piece = XEN_PAGE_SIZE;
	ck_assert_int_eq(nic_send(&from->q[queue % from->nr_queues], &sent, piece), NETIF_RSP_OKAY);
}

/* The bridge learns who is where, and lets frames through some time after the link is up. */
static void meet(struct nic *from, struct nic *to, uint8_t a, uint8_t b)
{
	do {
		nic_fill_probe(&sent, 60);
		address(&sent, a, b);
		send_on(from, 0);
	} while (receive_kind(to, 50, true) == 0);
}

static void connect_both(const struct nic_config *l, const struct nic_config *r)
{
	nic_prepare(&left, l);
	nic_prepare(&right, r);
	front_set_state(&left.front, XENHOST_STATE_CONNECTED);
	front_set_state(&right.front, XENHOST_STATE_CONNECTED);
	front_wait(&left.front, XENHOST_STATE_CONNECTED);
	front_wait(&right.front, XENHOST_STATE_CONNECTED);
	meet(&left, &right, LEFT, RIGHT);
	meet(&right, &left, RIGHT, LEFT);
}

/* as front ends do that know fewer queues or another kind of ports than before */
static void forget(struct nic *n)
{
	static const char *const nodes[] = { "tx-ring-ref",	 "rx-ring-ref",
					     "event-channel",	 "event-channel-tx",
					     "event-channel-rx", "multi-queue-num-queues",
					     "queue-0",		 "queue-1",
					     "queue-2",		 "queue-3" };
	char path[160];

	nic_disconnect(n);
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
		snprintf(path, sizeof(path), "%s/%s", n->front.front, nodes[i]);
		(void)xenhost_store_rm(n->front.host, 0, path);
	}
	front_set_state(&n->front, XENHOST_STATE_INITIALISING);
	front_wait(&n->front, XENHOST_STATE_INIT_WAIT);
}

/* ---- frames ---- */

static void one_frame(struct nic *from, struct nic *to, size_t len, unsigned int queue)
{
	uint8_t a = from == &left ? LEFT : RIGHT;

	nic_fill(&sent, len, (uint32_t)len * 3 + queue);
	address(&sent, a, LEFT + RIGHT - a);
	send_on(from, queue);
	ck_assert_int_eq(receive(to), (int)len);
	ck_assert_mem_eq(got.data, sent.data, len);
}

static bool takes_segments(const struct nic *n, bool v6)
{
	return v6 ? n->config.gso6 && n->config.csum6 : n->config.gso4;
}

/* What arrives is the stream that was sent, as one large frame where that was agreed, else as segments. */
static void one_stream(struct nic *from, struct nic *to, const struct packet *p)
{
	uint8_t a = from == &left ? LEFT : RIGHT;
	bool gso = p->payload > MSS;
	size_t seen = 0;
	int frames = 0;

	/* IPv6's sums may be left out by agreement only; the back end has agreed */
	packet_make(&sent, p, a, LEFT + RIGHT - a, gso || p->payload % 2);
	if (gso) {
		sent.gso_type = p->v6 ? XEN_NETIF_GSO_TYPE_TCPV6 : XEN_NETIF_GSO_TYPE_TCPV4;
		sent.gso_size = MSS;
	}
	send_on(from, p->port);
	while (seen < p->payload) {
		struct packet q;

		ck_assert_int_gt(receive(to), 0);
		packet_check(&got, &q);
		ck_assert_uint_eq(q.seq, p->seq + (p->protocol == IPPROTO_TCP ? seen : 0));
		if (q.v6 && got.flags & NETRXF_csum_blank)
			ck_assert(to->config.csum6);
		if (got.gso_type)
			ck_assert_uint_eq(got.gso_size, MSS);
		else
			ck_assert_uint_le(q.payload, MSS);
		seen += q.payload;
		frames++;
	}
	ck_assert_uint_eq(seen, p->payload);
	if (gso)
		ck_assert(frames == 1 ? takes_segments(to, p->v6) : !takes_segments(to, p->v6));
}

static void streams(struct nic *from, struct nic *to)
{
	static const size_t sizes[] = {
		1, 2, 100, MSS, MSS + 1, 4000, 4030, 8192, 30001, 65535 - 74
	};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct packet p = { .protocol = IPPROTO_TCP,
				    .port = (uint16_t)(1000 + i),
				    .seq = 77777 + (uint32_t)i,
				    .payload = sizes[i] };

		for (int v6 = 0; v6 < 2; v6++) {
			p.v6 = v6;
			one_stream(from, to, &p);
		}
		if (p.payload <= MSS) {
			p.protocol = IPPROTO_UDP;
			p.seq = 0;
			one_stream(from, to, &p);
			p.v6 = false;
			one_stream(from, to, &p);
		}
	}
}

/* ---- all combinations ---- */

#define NR_PLAIN 18u /* without scatter-gather */
#define NR_SG 36u
#define NR_ALL (NR_PLAIN + NR_SG)

static struct nic_config config_of(unsigned int i)
{
	static const unsigned int queues[] = { 0, 2, 4 };
	struct nic_config c = { 0 };
	unsigned int sums;

	if (i >= NR_PLAIN) {
		i -= NR_PLAIN;
		c.sg = true;
		c.gso4 = c.gso6 = i % 2;
		i /= 2;
	}
	c.split = i % 2;
	i /= 2;
	sums = i % 3;
	c.no_csum4 = sums == 0;
	c.csum6 = sums == 2;
	c.queues = queues[i / 3 % 3];
	/* agreed segments that need sums which were not agreed are never sent: see takes_segments() */
	if (c.no_csum4)
		c.gso4 = c.gso6 = false;
	return c;
}

/* Every size is in one combination; each has sizes over the whole range. With XENHOST_EVERY_SIZE each has all. */
static bool every_size;

static void sizes(unsigned int combination)
{
	bool sg = combination >= NR_PLAIN;
	unsigned int step = every_size ? 1 : (sg ? NR_SG : NR_PLAIN) * SAMPLE;
	unsigned int first = NIC_HEADER + (every_size ? 0
					   : sg	      ? combination - NR_PLAIN
						      : combination);
	unsigned int max = sg ? MTU + NIC_HEADER : SMALL_MTU + NIC_HEADER;
	unsigned int n = 0;

	for (unsigned int len = first; len <= max; len += step, n++)
		one_frame(n % 2 ? &left : &right, n % 2 ? &right : &left, len, n / 2);
}

START_TEST(combinations)
{
	make(&left, "left", LEFT);
	make(&right, "right", RIGHT);
	for (unsigned int i = (unsigned int)_i; i < NR_ALL; i += 6) {
		struct nic_config a = config_of(i);
		/* another one of the same kind, so that both can take all sizes */
		struct nic_config b =
			config_of(i < NR_PLAIN ? (i + 7) % NR_PLAIN : NR_PLAIN + (i + 7) % NR_SG);

		connect_both(&a, &b);
		sizes(i);
		streams(&left, &right);
		streams(&right, &left);
		forget(&left);
		forget(&right);
	}
	nic_close(&left);
	nic_close(&right);
}
END_TEST

/* writes no more than it must, is not told and does not tell of anything */
START_TEST(minimal_front_end)
{
	static const struct nic_config minimal = { .no_rx_notify = true };

	make(&left, "left", LEFT);
	make(&right, "right", RIGHT);
	connect_both(&minimal, &minimal);
	for (unsigned int len = NIC_HEADER; len <= SMALL_MTU + NIC_HEADER; len += 15)
		one_frame(len % 2 ? &left : &right, len % 2 ? &right : &left, len, 0);
	streams(&left, &right);
	nic_close(&left);
	nic_close(&right);
}
END_TEST

static unsigned int queues_used(struct nic *to)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < to->nr_queues; i++)
		n += to->q[i].rx.rsp_cons > 0;
	return n;
}

/* flows are spread over the queues, and each queue sends */
START_TEST(all_queues)
{
	static const struct nic_config four = { .queues = 4, .split = true, .sg = true };
	struct packet p = { .protocol = IPPROTO_TCP, .payload = 500 };

	make(&left, "left", LEFT);
	make(&right, "right", RIGHT);
	connect_both(&four, &four);
	for (p.port = 1; p.port < 9 || (p.port < 500 && queues_used(&right) < 4); p.port++)
		one_stream(&left, &right, &p);
	ck_assert_uint_eq(queues_used(&right), 4);
	for (unsigned int i = 0; i < 4; i++)
		ck_assert_uint_gt(left.q[i].tx.rsp_cons, 0);
	nic_close(&left);
	nic_close(&right);
}
END_TEST

static int run_tests(void)
{
	Suite *s = suite_create("loopback-net-frames");
	TCase *tc = tcase_create("all");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	every_size = getenv("XENHOST_EVERY_SIZE");
	tcase_set_timeout(tc, every_size ? 7200 : 240);
	tcase_add_loop_test(tc, combinations, 0, 6);
	tcase_add_test(tc, minimal_front_end);
	tcase_add_test(tc, all_queues);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed;
}

int main(void)
{
	const char *const args[] = { "--queues", "4", getenv("VERBOSE") ? "--verbose" : NULL,
				     NULL };
	int failed;

	if (!netns_enter()) {
		printf("no network namespace or no /dev/net/tun: skipped\n");
		return 77;
	}
	if (!nic_make_bridge(BRIDGE) || set_start_with(&set, "netbackd", args) < 0)
		return EXIT_FAILURE;
	failed = run_tests();
	failed += set_stop(&set) < 0;
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
