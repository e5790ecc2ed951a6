/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>
#include <linux/virtio_net.h>

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

START_TEST(extra_types)
{
	for (unsigned int type = 0; type < 256; type++) {
		net_tx_begin(&frame);
		piece(1, 0, NETTXF_extra_info, 1, 60);
		if (type == 0 || type > XEN_NETIF_EXTRA_TYPE_HASH) {
			ck_assert_int_eq(extra((uint8_t)type, false), NET_TX_BROKEN);
			continue;
		}
		ck_assert_int_eq(extra((uint8_t)type, false), NET_TX_END);
		ck_assert_int_eq(net_tx_check(&frame),
				 type == XEN_NETIF_EXTRA_TYPE_HASH ? NET_TX_SEND : NET_TX_REFUSE);
	}
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

/* ---- checksums ---- */

static uint8_t packet[256];

static size_t ethernet(unsigned int tags, uint16_t type)
{
	size_t at = 12;

	memset(packet, 0, sizeof(packet));
	for (unsigned int i = 0; i < tags; i++, at += 4) {
		packet[at] = i + 1 < tags ? 0x88 : 0x81;
		packet[at + 1] = i + 1 < tags ? 0xa8 : 0x00;
	}
	packet[at] = (uint8_t)(type >> 8);
	packet[at + 1] = (uint8_t)type;
	return at + 2;
}

static size_t ipv4(unsigned int tags, unsigned int words, uint8_t protocol)
{
	size_t at = ethernet(tags, 0x0800);

	packet[at] = (uint8_t)(0x40 | words);
	packet[at + 9] = protocol;
	return at + (size_t)words * 4;
}

static size_t ipv6(uint8_t next)
{
	size_t at = ethernet(0, 0x86dd);

	packet[at] = 0x60;
	packet[at + 6] = next;
	return at + 40;
}

/* what the frame of `size` bytes, of which `len` are seen, gives */
static int locate(size_t len, size_t size, size_t want_start, unsigned int want_offset)
{
	uint16_t start = 0xffff, offset = 0xffff;
	int r = net_csum_locate(packet, len, size, &start, &offset);

	if (r == 0) {
		ck_assert_uint_eq(start, want_start);
		ck_assert_uint_eq(offset, want_offset);
	} else {
		ck_assert_uint_eq(start, 0xffff);
		ck_assert_uint_eq(offset, 0xffff);
	}
	return r;
}

START_TEST(csum_ipv4)
{
	for (unsigned int tags = 0; tags <= 2; tags++) {
		for (unsigned int words = 5; words <= 15; words++) {
			size_t at = ipv4(tags, words, 6);

			ck_assert_int_eq(locate(at + 20, at + 20, at, 16), 0);
			ck_assert_int_eq(locate(at + 20, at + 18, at, 16), 0);
			ck_assert_int_eq(locate(at + 20, at + 17, at, 16), -EINVAL);
			at = ipv4(tags, words, 17);
			ck_assert_int_eq(locate(at + 8, at + 8, at, 6), 0);
			ck_assert_int_eq(locate(at, at + 8, at, 6), 0);
			ck_assert_int_eq(locate(at - 1, at + 8, at, 6), -EINVAL);
		}
	}
}
END_TEST

START_TEST(csum_refused)
{
	size_t at = ipv4(0, 5, 1);

	ck_assert_int_eq(locate(at + 20, at + 20, 0, 0), -EINVAL);
	at = ipv4(0, 4, 6);
	ck_assert_int_eq(locate(at + 40, at + 40, 0, 0), -EINVAL);
	at = ipv4(0, 5, 6);
	packet[14] = 0x55;
	ck_assert_int_eq(locate(at + 20, at + 20, 0, 0), -EINVAL);
	at = ipv4(3, 5, 6);
	ck_assert_int_eq(locate(at + 20, at + 20, 0, 0), -EINVAL);
	ethernet(0, 0x0806);
	ck_assert_int_eq(locate(60, 60, 0, 0), -EINVAL);
	for (size_t len = 0; len < 34; len++) {
		ipv4(0, 5, 6);
		ck_assert_int_eq(locate(len, 60, 0, 0), -EINVAL);
	}
}
END_TEST

START_TEST(csum_fragments)
{
	size_t at = ipv4(0, 5, 17);

	packet[14 + 6] = 0x40; /* don't fragment is no fragment */
	ck_assert_int_eq(locate(at + 8, at + 8, at, 6), 0);
	packet[14 + 6] = 0x20;
	ck_assert_int_eq(locate(at + 8, at + 8, 0, 0), -EINVAL);
	packet[14 + 6] = 0;
	packet[14 + 7] = 1;
	ck_assert_int_eq(locate(at + 8, at + 8, 0, 0), -EINVAL);
	ipv6(44);
	ck_assert_int_eq(locate(100, 100, 0, 0), -EINVAL);
}
END_TEST

START_TEST(csum_ipv6)
{
	size_t at = ipv6(6);

	ck_assert_int_eq(locate(at + 20, at + 20, at, 16), 0);
	ck_assert_int_eq(locate(at - 1, at + 20, at, 16), -EINVAL);
	ipv6(0);
	packet[54] = 43;
	packet[55] = 1;
	packet[70] = 60;
	packet[78] = 17;
	ck_assert_int_eq(locate(100, 100, 86, 6), 0);
	ck_assert_int_eq(locate(79, 100, 86, 6), -EINVAL);
	packet[71] = 255;
	ck_assert_int_eq(locate(100, 100, 0, 0), -EINVAL);
	packet[14] = 0x40;
	ck_assert_int_eq(locate(100, 100, 0, 0), -EINVAL);
}
END_TEST

/* options of options: all zeros is an endless chain of hop-by-hop headers */
START_TEST(csum_ipv6_ends)
{
	ipv6(0);
	ck_assert_int_eq(locate(256, 1500, 0, 0), -EINVAL);
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
	net_rx_response(&req, net_rx_flags(VIRTIO_NET_HDR_F_NEEDS_CSUM), 1514, buf);
	ck_assert_mem_eq(buf, want, sizeof(want));
	ck_assert_uint_eq(net_rx_flags(0), 0);
	ck_assert_uint_eq(net_rx_flags(VIRTIO_NET_HDR_F_DATA_VALID), NETRXF_data_validated);
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
	tcase_add_test(tc, extra_counts);
	tcase_add_test(tc, csum_ipv4);
	tcase_add_test(tc, csum_refused);
	tcase_add_test(tc, csum_fragments);
	tcase_add_test(tc, csum_ipv6);
	tcase_add_test(tc, csum_ipv6_ends);
	tcase_add_test(tc, rx_request);
	tcase_add_test(tc, rx_response);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
