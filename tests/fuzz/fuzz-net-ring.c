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

#include "netbackd/net_filter.h"
#include "netbackd/net_offload.h"
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

	require(frame->nr_pieces <= NET_TX_PIECES_MAX);
	if (frame->mcast)
		return;
	require(frame->size >= NET_FRAME_MIN);
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

static void check_vnet(const struct virtio_net_hdr *vnet, size_t size)
{
	if (vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		require(vnet->csum_start + vnet->csum_offset + 2u <= size);
	if (vnet->gso_type)
		require(vnet->gso_size && vnet->hdr_len >= 54 && vnet->hdr_len <= size);
}

static void offload(const uint8_t *data, size_t size)
{
	size_t len = size < NET_HEADERS_MAX ? size : NET_HEADERS_MAX;
	struct net_tx_frame frame = { 0 };
	struct virtio_net_hdr vnet;
	uint8_t *headers = malloc(len + !len), *all = malloc(size + !size);

	require(headers && all && size <= UINT16_MAX);
	memcpy(headers, data, len);
	memcpy(all, data, size);
	frame.size = (uint16_t)size;
	for (uint8_t type = 0; type <= XEN_NETIF_GSO_TYPE_TCPV6; type++) {
		frame.flags = NETTXF_csum_blank;
		frame.gso_type = type;
		frame.gso_size = type ? 1448 : 0;
		if (net_tx_offload(&frame, headers, len, &vnet) < 0)
			continue;
		check_vnet(&vnet, size);
		require(type == 0 || vnet.gso_type);
		require(net_csum_complete(&(struct iovec){ all, size }, 1, vnet.csum_start,
					  vnet.csum_offset) == 0);
	}
	(void)net_source_is(headers, len, data);
	(void)net_address_is(headers, len, &(struct net_addresses){ .nr4 = 1, .nr6 = 1 });
	free(headers);
	free(all);
}

static void buffers(const uint8_t *data, size_t size)
{
	uint8_t rsp[NET_RX_RSP_SIZE];
	struct net_rx_req req;

	if (size < NET_RX_REQ_SIZE)
		return;
	net_rx_parse(data, &req);
	net_rx_response(&req, data[0], NETIF_RSP_OKAY, rsp);
	require(!memcmp(rsp, data, sizeof(req.id)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t at = 0, n;

	while ((n = one_chain(data + at, size - at)) > 0)
		at += n;
	if (size >= 6 && size <= UINT16_MAX)
		offload(data, size);
	buffers(data, size);
	return 0;
}
