/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "common/cleanup.h"
#include "common/xen.h"

#include "netbackd/net_offload.h"

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

/* ---- to the TAP ---- */

static struct net_tx_frame frame;
static struct virtio_net_hdr vnet;

/* a TCP header of `words` at `at`, in a frame of `size` bytes */
static void tcp(size_t at, unsigned int words, uint16_t size, uint8_t gso_type)
{
	memset(&frame, 0, sizeof(frame));
	memset(&vnet, 0xee, sizeof(vnet));
	packet[at + 12] = (uint8_t)(words << 4);
	frame.flags = NETTXF_csum_blank | NETTXF_data_validated;
	frame.size = size;
	frame.gso_type = gso_type;
	frame.gso_size = gso_type ? 1448 : 0;
}

START_TEST(tx_plain)
{
	static const struct virtio_net_hdr none;

	tcp(ipv4(0, 5, 6), 5, 1514, 0);
	frame.flags = 0;
	ck_assert_int_eq(net_tx_offload(&frame, packet, 100, &vnet), 0);
	ck_assert_mem_eq(&vnet, &none, sizeof(vnet));
}
END_TEST

START_TEST(tx_csum)
{
	size_t at = ipv4(1, 6, 6);

	tcp(at, 5, 1514, 0);
	ck_assert_int_eq(net_tx_offload(&frame, packet, 100, &vnet), 0);
	ck_assert_uint_eq(vnet.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	ck_assert_uint_eq(vnet.csum_start, at);
	ck_assert_uint_eq(vnet.csum_offset, 16);
	ck_assert_uint_eq(vnet.gso_type, 0);
	/* what the guest put there stays */
	ck_assert_uint_eq(packet[at + 16], 0);
	packet[18 + 9] = 1;
	ck_assert_int_eq(net_tx_offload(&frame, packet, 100, &vnet), -EINVAL);
}
END_TEST

START_TEST(tx_gso)
{
	for (int v6 = 0; v6 < 2; v6++) {
		for (int blank = 0; blank < 2; blank++) {
			size_t at = v6 ? ipv6(6) : ipv4(0, 5, 6);

			tcp(at, 8, 60000, v6 ? 2 : 1);
			if (!blank)
				frame.flags = 0;
			ck_assert_int_eq(net_tx_offload(&frame, packet, 256, &vnet), 0);
			ck_assert_uint_eq(vnet.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
			ck_assert_uint_eq(vnet.gso_type,
					  v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4);
			ck_assert_uint_eq(vnet.gso_size, 1448);
			ck_assert_uint_eq(vnet.hdr_len, at + 32);
			/* the sum of the pseudo header: its addresses are zero here */
			ck_assert_uint_eq((unsigned int)(packet[at + 16] << 8 | packet[at + 17]),
					  60000 - at + 6);
		}
	}
}
END_TEST

static int gso_of(size_t at, size_t len, unsigned int words, uint16_t size, uint8_t type)
{
	tcp(at, words, size, type);
	return net_tx_offload(&frame, packet, len, &vnet);
}

START_TEST(tx_gso_lies)
{
	size_t at = ipv4(0, 5, 6);

	ck_assert_int_eq(gso_of(at, 100, 5, 54, 1), 0);
	ck_assert_int_eq(gso_of(at, 100, 5, 53, 1), -EINVAL); /* ends in its header */
	ck_assert_int_eq(gso_of(at, 100, 4, 1514, 1), -EINVAL);
	ck_assert_int_eq(gso_of(at, 100, 15, 93, 1), -EINVAL);
	ck_assert_int_eq(gso_of(at, 53, 5, 1514, 1), -EINVAL);	/* header not seen */
	ck_assert_int_eq(gso_of(at, 100, 5, 1514, 2), -EINVAL); /* IPv4 as IPv6 */
	at = ipv6(6);
	ck_assert_int_eq(gso_of(at, 100, 5, 1514, 1), -EINVAL);
	at = ipv4(0, 5, 17);
	ck_assert_int_eq(gso_of(at, 100, 5, 1514, 1), -EINVAL); /* UDP */
	ethernet(0, 0x0806);
	ck_assert_int_eq(gso_of(20, 100, 5, 1514, 1), -EINVAL);
}
END_TEST

/* ---- to the guest ---- */

START_TEST(rx_kinds)
{
	static const struct {
		uint8_t flags, type;
		uint16_t size;
		int want;
		uint16_t want_flags;
		uint8_t want_type;
	} cases[] = {
		{ 0, 0, 0, 0, 0, 0 },
		{ VIRTIO_NET_HDR_F_NEEDS_CSUM, 0, 0, 0, 3, 0 },
		{ VIRTIO_NET_HDR_F_DATA_VALID, 0, 0, 0, NETRXF_data_validated, 0 },
		{ VIRTIO_NET_HDR_F_NEEDS_CSUM, VIRTIO_NET_HDR_GSO_TCPV4, 1448, 0,
		  3 | NETRXF_extra_info, XEN_NETIF_GSO_TYPE_TCPV4 },
		{ VIRTIO_NET_HDR_F_NEEDS_CSUM, VIRTIO_NET_HDR_GSO_TCPV6, 1428, 0,
		  3 | NETRXF_extra_info, XEN_NETIF_GSO_TYPE_TCPV6 },
		{ VIRTIO_NET_HDR_F_NEEDS_CSUM, VIRTIO_NET_HDR_GSO_TCPV4, 0, -EINVAL, 0, 0 },
		{ VIRTIO_NET_HDR_F_NEEDS_CSUM, VIRTIO_NET_HDR_GSO_UDP, 1448, -EINVAL, 0, 0 },
		{ VIRTIO_NET_HDR_F_NEEDS_CSUM, VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN,
		  1448, -EINVAL, 0, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct net_rx_offload o = { 0 };
		struct virtio_net_hdr h = { .flags = cases[i].flags,
					    .gso_type = cases[i].type,
					    .gso_size = cases[i].size };

		ck_assert_int_eq(net_rx_offload(&h, &o), cases[i].want);
		ck_assert_uint_eq(o.flags, cases[i].want_flags);
		ck_assert_uint_eq(o.gso_type, cases[i].want_type);
		if (o.gso_type)
			ck_assert_uint_eq(o.gso_size, cases[i].size);
	}
}
END_TEST

static uint8_t bytes[600];

/* the same by the book: one 16-bit word after the other, as in RFC 1071 */
static uint16_t sum_of(size_t from, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = from; i < len; i++)
		sum += (uint32_t)bytes[i] << ((i - from) % 2 ? 0 : 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* cut in every way, at odd places, through the sum itself */
START_TEST(csum_complete)
{
	for (size_t len = 40; len < 120; len++) {
		for (size_t cut = 1; cut < len; cut++) {
			struct iovec iov[3] = { { bytes, cut / 2 },
						{ bytes + cut / 2, cut - cut / 2 },
						{ bytes + cut, len - cut } };
			size_t start = 14 + cut % 5;

			for (size_t i = 0; i < len; i++)
				bytes[i] = (uint8_t)(i * 37 + cut);
			ck_assert_int_eq(net_csum_complete(iov, 3, start, 16), 0);
			ck_assert_uint_ne(bytes[start + 16] | bytes[start + 17], 0);
			/* with the sum that was in the field: it sums up to what it was before */
			for (size_t i = start + 16; i < start + 18; i++)
				bytes[i] = (uint8_t)~bytes[i];
			{
				uint16_t got =
					(uint16_t)(bytes[start + 16] << 8 | bytes[start + 17]);

				for (size_t i = start + 16; i < start + 18; i++)
					bytes[i] = (uint8_t)(i * 37 + cut);
				ck_assert_uint_eq(got, sum_of(start, len));
			}
		}
	}
}
END_TEST

START_TEST(csum_outside)
{
	struct iovec iov[2] = { { bytes, 30 }, { bytes + 30, 10 } };

	ck_assert_int_eq(net_csum_complete(iov, 2, 20, 18), 0);
	ck_assert_int_eq(net_csum_complete(iov, 2, 20, 19), -EINVAL);
	ck_assert_int_eq(net_csum_complete(iov, 2, 41, 0), -EINVAL);
	ck_assert_int_eq(net_csum_complete(iov, 2, 65535, 65535), -EINVAL);
	ck_assert_int_eq(net_csum_complete(iov, 0, 0, 0), -EINVAL);
}
END_TEST

/* a sum of zero is written as its other form */
START_TEST(csum_never_zero)
{
	struct iovec iov = { bytes, 40 };

	memset(bytes, 0, sizeof(bytes));
	memset(bytes + 20, 0xff, 2);
	ck_assert_int_eq(net_csum_complete(&iov, 1, 14, 16), 0);
	ck_assert_uint_eq(bytes[30], 0xff);
	ck_assert_uint_eq(bytes[31], 0xff);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("net_offload");
	TCase *tc = tcase_create("all");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_test(tc, csum_ipv4);
	tcase_add_test(tc, csum_refused);
	tcase_add_test(tc, csum_fragments);
	tcase_add_test(tc, csum_ipv6);
	tcase_add_test(tc, csum_ipv6_ends);
	tcase_add_test(tc, tx_plain);
	tcase_add_test(tc, tx_csum);
	tcase_add_test(tc, tx_gso);
	tcase_add_test(tc, tx_gso_lies);
	tcase_add_test(tc, rx_kinds);
	tcase_add_test(tc, csum_complete);
	tcase_add_test(tc, csum_outside);
	tcase_add_test(tc, csum_never_zero);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
