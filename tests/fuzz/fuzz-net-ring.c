/* SPDX-License-Identifier: MIT */
/*
 * Input: slots of a tx ring, cut into chains as netbackd does; then the same bytes as the headers
 * of a frame. Whatever is accepted must be what netbackd relies on.
 * Planted: pieces behind the first not held against their page: found at once.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "common/xen.h"

#include "netbackd/net_ring.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void check_frame(const struct net_tx_frame *frame)
{
	struct xenhost_seg segs[NET_TX_PIECES_MAX];
	size_t n, sum = 0;

	require(frame->nr_pieces <= NET_TX_PIECES_MAX && frame->size >= NET_FRAME_MIN);
	n = net_tx_segs(frame, segs);
	require(n >= 1 && n <= frame->nr_pieces);
	for (size_t i = 0; i < n; i++) {
		require(segs[i].len > 0);
		require(segs[i].offset + segs[i].len <= (int)XENHOST_PAGE_SIZE);
		sum += segs[i].len;
	}
	require(sum == frame->size);
}

/* the bytes of one chain, 0 when the ring is broken or empty */
static size_t one_chain(const uint8_t *data, size_t size)
{
	struct net_tx_frame frame;
	enum net_tx_step step = NET_TX_MORE;
	enum net_tx_verdict verdict;
	size_t slots = 0;

	net_tx_begin(&frame);
	while (step == NET_TX_MORE) {
		if (size < (slots + 1) * NET_TX_REQ_SIZE)
			return 0;
		step = net_tx_add(&frame, data + slots * NET_TX_REQ_SIZE);
		slots++;
		require(slots <= NET_TX_CHAIN_MAX + NET_TX_EXTRAS_MAX + 1);
	}
	if (step == NET_TX_BROKEN)
		return 0;
	verdict = net_tx_check(&frame);
	if (verdict == NET_TX_STOP)
		return 0;
	if (verdict == NET_TX_SEND)
		check_frame(&frame);
	require(net_tx_slots(&frame) == slots);
	for (unsigned int i = 0; i < slots; i++) {
		uint8_t rsp[NET_TX_RSP_SIZE];

		net_tx_response(&frame, i, NETIF_RSP_OKAY, rsp);
	}
	return slots * NET_TX_REQ_SIZE;
}

static void checksum(const uint8_t *data, size_t size)
{
	size_t len = size < NET_HEADERS_MAX ? size : NET_HEADERS_MAX;
	uint8_t *headers = malloc(len);
	uint16_t start, offset;

	require(headers || len == 0);
	if (len > 0)
		memcpy(headers, data, len);
	if (net_csum_locate(headers, len, size, &start, &offset) == 0)
		require(start + offset + 2u <= size && start <= len);
	free(headers);
}

static void buffers(const uint8_t *data, size_t size)
{
	uint8_t rsp[NET_RX_RSP_SIZE];
	struct net_rx_req req;

	if (size < NET_RX_REQ_SIZE)
		return;
	net_rx_parse(data, &req);
	net_rx_response(&req, net_rx_flags(data[0]), NETIF_RSP_OKAY, rsp);
	require(!memcmp(rsp, data, sizeof(req.id)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t at = 0, n;

	while ((n = one_chain(data + at, size - at)) > 0)
		at += n;
	checksum(data, size);
	buffers(data, size);
	return 0;
}
