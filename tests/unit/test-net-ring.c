/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "common/cleanup.h"
#include "common/xen.h"

#include "netbackd/net_ring.h"

static struct net_tx_frame frame;

static void setup(void)
{
	memset(&frame, 0xa5, sizeof(frame));
	net_tx_begin(&frame);
}

/* A slot by the offsets of the protocol, not by the header's struct. */
static enum net_tx_step piece(uint32_t gref, uint16_t offset, uint16_t flags, uint16_t id,
			      uint16_t size)
{
	uint8_t slot[NET_TX_REQ_SIZE];

	memcpy(slot, &gref, 4);
	memcpy(slot + 4, &offset, 2);
	memcpy(slot + 6, &flags, 2);
	memcpy(slot + 8, &id, 2);
	memcpy(slot + 10, &size, 2);
	return net_tx_add(&frame, slot);
}

static enum net_tx_step extra(uint8_t type, bool more)
{
	uint8_t slot[NET_TX_REQ_SIZE] = { type, more };

	memset(slot + 2, 0xff, sizeof(slot) - 2);
	return net_tx_add(&frame, slot);
}

/* `nr` pieces of `each` bytes; flags and total of the first as given */
static enum net_tx_step chain(unsigned int nr, uint16_t each, uint16_t total)
{
	enum net_tx_step step;

	net_tx_begin(&frame);
	step = piece(100, 0, nr > 1 ? NETTXF_more_data : 0, 0, total);
	for (unsigned int i = 1; i < nr && step == NET_TX_MORE; i++)
		step = piece(100 + i, 0, i + 1 < nr ? NETTXF_more_data : 0, (uint16_t)i, each);
	return step;
}

static void check_response(unsigned int i, uint16_t id, int16_t status)
{
	uint8_t buf[NET_TX_RSP_SIZE + 1] = { [NET_TX_RSP_SIZE] = 0x77 };
	uint16_t got_id;
	int16_t got;

	net_tx_response(&frame, i, NETIF_RSP_DROPPED, buf);
	memcpy(&got_id, buf, 2);
	memcpy(&got, buf + 2, 2);
	ck_assert_uint_eq(got_id, id);
	ck_assert_int_eq(got, status);
	ck_assert_uint_eq(buf[NET_TX_RSP_SIZE], 0x77);
}

START_TEST(one_piece)
{
	struct xenhost_seg segs[NET_TX_PIECES_MAX];

	ck_assert_int_eq(piece(7, 96, NETTXF_csum_blank | NETTXF_data_validated, 42, 1500),
			 NET_TX_END);
	ck_assert_int_eq(net_tx_check(&frame), NET_TX_SEND);
	ck_assert_uint_eq(net_tx_slots(&frame), 1);
	ck_assert_uint_eq(frame.size, 1500);
	ck_assert_uint_eq(frame.flags, NETTXF_csum_blank | NETTXF_data_validated);
	ck_assert_uint_eq(net_tx_segs(&frame, segs), 1);
	ck_assert_uint_eq(segs[0].gref, 7);
	ck_assert_uint_eq(segs[0].offset, 96);
	ck_assert_uint_eq(segs[0].len, 1500);
	check_response(0, 42, NETIF_RSP_DROPPED);
}
END_TEST

/* the first size is the whole, the extras sit between the first and the second piece */
START_TEST(pieces_and_extras)
{
	struct xenhost_seg segs[NET_TX_PIECES_MAX];

	ck_assert_int_eq(piece(1, 4000, NETTXF_more_data | NETTXF_extra_info, 10, 5000),
			 NET_TX_MORE);
	ck_assert_int_eq(extra(XEN_NETIF_EXTRA_TYPE_HASH, true), NET_TX_MORE);
	ck_assert_int_eq(extra(XEN_NETIF_EXTRA_TYPE_HASH, false), NET_TX_MORE);
	ck_assert_int_eq(piece(2, 0, NETTXF_more_data, 11, 4096), NET_TX_MORE);
	ck_assert_int_eq(piece(3, 0, NETTXF_extra_info, 12, 808), NET_TX_END);
	ck_assert_int_eq(net_tx_check(&frame), NET_TX_SEND);
	ck_assert_uint_eq(net_tx_slots(&frame), 5);
	ck_assert_uint_eq(net_tx_segs(&frame, segs), 3);
	ck_assert_uint_eq(segs[0].offset, 4000);
	ck_assert_uint_eq(segs[0].len, 96);
	ck_assert_uint_eq(segs[1].gref, 2);
	ck_assert_uint_eq(segs[1].len, 4096);
	ck_assert_uint_eq(segs[2].len, 808);
	check_response(0, 10, NETIF_RSP_DROPPED);
	check_response(1, 0, NETIF_RSP_NULL);
	check_response(2, 0, NETIF_RSP_NULL);
	check_response(3, 11, NETIF_RSP_DROPPED);
	check_response(4, 12, NETIF_RSP_DROPPED);
}
END_TEST

START_TEST(extra_without_data)
{
	ck_assert_int_eq(piece(1, 0, NETTXF_extra_info, 1, 60), NET_TX_MORE);
	ck_assert_int_eq(extra(XEN_NETIF_EXTRA_TYPE_HASH, false), NET_TX_END);
	ck_assert_int_eq(net_tx_check(&frame), NET_TX_SEND);
}
END_TEST

START_TEST(empty_pieces)
{
	struct xenhost_seg segs[NET_TX_PIECES_MAX];

	piece(1, 0, NETTXF_more_data, 1, 100);
	piece(2, 4096, NETTXF_more_data, 2, 0);
	ck_assert_int_eq(piece(3, 0, 0, 3, 100), NET_TX_END);
	ck_assert_int_eq(net_tx_check(&frame), NET_TX_SEND);
	/* neither the first (all bytes are in the third) nor the second is touched */
	ck_assert_uint_eq(net_tx_segs(&frame, segs), 1);
	ck_assert_uint_eq(segs[0].gref, 3);
	net_tx_begin(&frame);
	piece(1, 0, NETTXF_more_data, 1, 0);
	ck_assert_int_eq(piece(2, 0, 0, 2, 0), NET_TX_END);
	ck_assert_int_eq(net_tx_check(&frame), NET_TX_REFUSE);
}
END_TEST

START_TEST(frame_sizes)
{
	static const struct {
		uint16_t offset, size;
		enum net_tx_verdict want;
	} cases[] = {
		{ 0, 13, NET_TX_REFUSE },      { 0, 14, NET_TX_SEND },
		{ 0, 0, NET_TX_REFUSE },       { 0, 4096, NET_TX_SEND },
		{ 0, 4097, NET_TX_STOP },      { 1, 4096, NET_TX_STOP },
		{ 4082, 14, NET_TX_SEND },     { 4083, 14, NET_TX_STOP },
		{ 65535, 14, NET_TX_STOP },    { 0, 65535, NET_TX_STOP },
		{ 65535, 65535, NET_TX_STOP },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		net_tx_begin(&frame);
		ck_assert_int_eq(piece(1, cases[i].offset, 0, 1, cases[i].size), NET_TX_END);
		ck_assert_int_eq(net_tx_check(&frame), cases[i].want);
	}
}
END_TEST

START_TEST(later_pieces_stay_in_their_page)
{
	piece(1, 0, NETTXF_more_data, 1, 5000);
	piece(2, 1, 0, 2, 4096);
	ck_assert_int_eq(net_tx_check(&frame), NET_TX_STOP);
	net_tx_begin(&frame);
	piece(1, 0, NETTXF_more_data, 1, 100);
	piece(2, 4097, 0, 2, 0);
	ck_assert_int_eq(net_tx_check(&frame), NET_TX_STOP);
}
END_TEST

/* what a frame of 64 KiB looks like whose front end cut its size off */
START_TEST(longer_than_it_says)
{
	ck_assert_int_eq(chain(17, 4096, 4095), NET_TX_END);
	ck_assert_int_eq(net_tx_check(&frame), NET_TX_REFUSE);
	ck_assert_int_eq(chain(2, 101, 100), NET_TX_END);
	ck_assert_int_eq(net_tx_check(&frame), NET_TX_REFUSE);
	ck_assert_int_eq(chain(2, 100, 100), NET_TX_END);
	ck_assert_int_eq(net_tx_check(&frame), NET_TX_SEND);
}
END_TEST

START_TEST(chain_lengths)
{
	struct xenhost_seg segs[NET_TX_PIECES_MAX];

	ck_assert_int_eq(chain(18, 3640, 65520), NET_TX_END);
	ck_assert_int_eq(net_tx_check(&frame), NET_TX_SEND);
	ck_assert_int_eq(chain(19, 3449, 65535), NET_TX_END);
	ck_assert_int_eq(net_tx_check(&frame), NET_TX_SEND);
	ck_assert_uint_eq(net_tx_segs(&frame, segs), 19);
	for (unsigned int nr = 20; nr <= 21; nr++) {
		ck_assert_int_eq(chain(nr, 1, 1000), NET_TX_END);
		ck_assert_int_eq(net_tx_check(&frame), NET_TX_REFUSE);
		ck_assert_uint_eq(net_tx_slots(&frame), nr);
		check_response(nr - 1, (uint16_t)(nr - 1), NETIF_RSP_DROPPED);
	}
	ck_assert_int_eq(chain(22, 1, 1000), NET_TX_BROKEN);
	ck_assert_int_eq(chain(200, 0, 1000), NET_TX_BROKEN);
}
END_TEST

static enum net_tx_step gso(uint8_t type, uint16_t size, bool more)
{
	uint8_t slot[NET_TX_REQ_SIZE] = { XEN_NETIF_EXTRA_TYPE_GSO, more };

	memcpy(slot + 2, &size, 2);
	slot[4] = type;
	return net_tx_add(&frame, slot);
}

static enum net_tx_step mcast(uint8_t type, bool more)
{
	uint8_t slot[NET_TX_REQ_SIZE] = { type, more, 1, 2, 3, 4, 5, 6 };

	return net_tx_add(&frame, slot);
}

START_TEST(extra_types)
{
	for (unsigned int type = 0; type < 256; type++) {
		if (type == XEN_NETIF_EXTRA_TYPE_GSO)
			continue;
		net_tx_begin(&frame);
		piece(1, 0, NETTXF_extra_info, 1, 60);
		if (type == 0 || type > XEN_NETIF_EXTRA_TYPE_HASH) {
			ck_assert_int_eq(extra((uint8_t)type, false), NET_TX_BROKEN);
			continue;
		}
		ck_assert_int_eq(extra((uint8_t)type, false), NET_TX_END);
		ck_assert_int_eq(net_tx_check(&frame), NET_TX_SEND);
		ck_assert_int_eq(frame.mcast != NET_MCAST_NONE, type != XEN_NETIF_EXTRA_TYPE_HASH);
	}
}
END_TEST

START_TEST(extra_gso)
{
	for (unsigned int type = 0; type < 256; type++) {
		net_tx_begin(&frame);
		piece(1, 0, NETTXF_extra_info, 1, 60);
		if (type != 1 && type != 2) {
			ck_assert_int_eq(gso((uint8_t)type, 1448, false), NET_TX_BROKEN);
			continue;
		}
		ck_assert_int_eq(gso((uint8_t)type, 1448, false), NET_TX_END);
		ck_assert_int_eq(net_tx_check(&frame), NET_TX_SEND);
		ck_assert_uint_eq(frame.gso_type, type);
		ck_assert_uint_eq(frame.gso_size, 1448);
	}
	net_tx_begin(&frame);
	ck_assert_uint_eq(frame.gso_type, 0);
	piece(1, 0, NETTXF_extra_info, 1, 60);
	ck_assert_int_eq(gso(1, 0, false), NET_TX_BROKEN);
}
END_TEST

/* no frame: the size of the only piece means nothing */
START_TEST(extra_mcast)
{
	static const uint8_t address[6] = { 1, 2, 3, 4, 5, 6 };

	piece(1, 0, NETTXF_extra_info, 1, 0);
	ck_assert_int_eq(mcast(XEN_NETIF_EXTRA_TYPE_MCAST_ADD, true), NET_TX_MORE);
	ck_assert_int_eq(mcast(XEN_NETIF_EXTRA_TYPE_MCAST_DEL, false), NET_TX_END);
	ck_assert_int_eq(net_tx_check(&frame), NET_TX_SEND);
	ck_assert_int_eq(frame.mcast, NET_MCAST_REMOVE);
	ck_assert_mem_eq(frame.mcast_address, address, 6);
	net_tx_begin(&frame);
	ck_assert_int_eq(frame.mcast, NET_MCAST_NONE);
}
END_TEST

START_TEST(extra_counts)
{
	piece(1, 0, NETTXF_extra_info, 1, 60);
	for (unsigned int i = 0; i < NET_TX_EXTRAS_MAX; i++)
		ck_assert_int_eq(extra(XEN_NETIF_EXTRA_TYPE_HASH, true), NET_TX_MORE);
	ck_assert_int_eq(extra(XEN_NETIF_EXTRA_TYPE_HASH, true), NET_TX_BROKEN);
}
END_TEST

/* ---- to the guest ---- */

START_TEST(rx_request)
{
	static const uint8_t slot[NET_RX_REQ_SIZE] = { 0x34, 0x12, 0xff, 0xff,
						       0x78, 0x56, 0x34, 0x12 };
	struct net_rx_req req;

	net_rx_parse(slot, &req);
	ck_assert_uint_eq(req.id, 0x1234);
	ck_assert_uint_eq(req.gref, 0x12345678);
}
END_TEST

START_TEST(rx_response)
{
	static const uint8_t want[NET_RX_RSP_SIZE + 1] = { 0x34, 0x12, 0, 0, 3, 0, 0xea, 5, 0x77 };
	const struct net_rx_req req = { .id = 0x1234, .gref = 9 };
	uint8_t buf[NET_RX_RSP_SIZE + 1];

	memset(buf, 0x77, sizeof(buf));
	net_rx_response(&req, NETRXF_csum_blank | NETRXF_data_validated, 1514, buf);
	ck_assert_mem_eq(buf, want, sizeof(want));
}
END_TEST

START_TEST(rx_gso)
{
	static const uint8_t want[NET_RX_RSP_SIZE + 1] = { 1, 0, 0xa8, 5, 2, 0, 0, 0, 0x77 };
	uint8_t buf[NET_RX_RSP_SIZE + 1];

	memset(buf, 0x77, sizeof(buf));
	net_rx_gso(XEN_NETIF_GSO_TYPE_TCPV6, 1448, buf);
	ck_assert_mem_eq(buf, want, sizeof(want));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("net_ring");
	TCase *tc = tcase_create("all");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, one_piece);
	tcase_add_test(tc, pieces_and_extras);
	tcase_add_test(tc, extra_without_data);
	tcase_add_test(tc, empty_pieces);
	tcase_add_test(tc, frame_sizes);
	tcase_add_test(tc, later_pieces_stay_in_their_page);
	tcase_add_test(tc, longer_than_it_says);
	tcase_add_test(tc, chain_lengths);
	tcase_add_test(tc, extra_types);
	tcase_add_test(tc, extra_gso);
	tcase_add_test(tc, extra_mcast);
	tcase_add_test(tc, extra_counts);
	tcase_add_test(tc, rx_request);
	tcase_add_test(tc, rx_response);
	tcase_add_test(tc, rx_gso);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
