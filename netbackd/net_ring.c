/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <string.h>

#include <linux/virtio_net.h>
#include <netinet/in.h>

#include "common/xen.h"

#include "netbackd/net_ring.h"

_Static_assert(sizeof(struct netif_tx_request) == NET_TX_REQ_SIZE, "tx request");
_Static_assert(sizeof(struct netif_tx_response) == NET_TX_RSP_SIZE, "tx response");
_Static_assert(sizeof(struct netif_rx_request) == NET_RX_REQ_SIZE, "rx request");
_Static_assert(sizeof(struct netif_rx_response) == NET_RX_RSP_SIZE, "rx response");
_Static_assert(sizeof(struct netif_extra_info) <= NET_TX_REQ_SIZE, "extra info");

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_IPV6 0x86dd
#define ETHERTYPE_VLAN 0x8100
#define ETHERTYPE_QINQ 0x88a8

#define VLAN_TAGS_MAX 2
#define IPV6_HEADERS_MAX 8

void net_tx_begin(struct net_tx_frame *frame)
{
	frame->nr_pieces = frame->nr_extras = 0;
	frame->want_extra = frame->more = frame->not_offered = false;
	frame->flags = frame->size = 0;
}

/* Of the types that exist only the hash asks for nothing. */
static enum net_tx_step add_extra(struct net_tx_frame *frame, const void *slot)
{
	struct netif_extra_info extra;

	memcpy(&extra, slot, sizeof(extra));
	if (frame->nr_extras == NET_TX_EXTRAS_MAX)
		return NET_TX_BROKEN;
	if (extra.type == XEN_NETIF_EXTRA_TYPE_NONE || extra.type >= XEN_NETIF_EXTRA_TYPE_MAX)
		return NET_TX_BROKEN;
	if (extra.type != XEN_NETIF_EXTRA_TYPE_HASH)
		frame->not_offered = true;
	frame->nr_extras++;
	frame->want_extra = extra.flags & XEN_NETIF_EXTRA_FLAG_MORE;
	return frame->want_extra || frame->more ? NET_TX_MORE : NET_TX_END;
}

static enum net_tx_step add_piece(struct net_tx_frame *frame, const void *slot)
{
	struct netif_tx_request req;

	memcpy(&req, slot, sizeof(req));
	if (frame->nr_pieces == NET_TX_CHAIN_MAX)
		return NET_TX_BROKEN;
	if (frame->nr_pieces == 0) {
		frame->flags = req.flags;
		frame->size = req.size;
		frame->want_extra = req.flags & NETTXF_extra_info;
	}
	frame->pieces[frame->nr_pieces++] = (struct net_tx_piece){
		.gref = req.gref,
		.offset = req.offset,
		.size = req.size,
		.id = req.id,
	};
	frame->more = req.flags & NETTXF_more_data;
	return frame->want_extra || frame->more ? NET_TX_MORE : NET_TX_END;
}

enum net_tx_step net_tx_add(struct net_tx_frame *frame, const void *slot)
{
	return frame->want_extra ? add_extra(frame, slot) : add_piece(frame, slot);
}

static bool piece_in_page(const struct net_tx_piece *piece)
{
	return (unsigned int)piece->offset + piece->size <= XENHOST_PAGE_SIZE;
}

enum net_tx_verdict net_tx_check(struct net_tx_frame *frame)
{
	unsigned int others = 0;

	for (unsigned int i = 1; i < frame->nr_pieces; i++) {
		if (!piece_in_page(&frame->pieces[i]))
			return NET_TX_STOP;
		others += frame->pieces[i].size;
	}
	/* front ends that let a frame grow beyond 65535 bytes send its size cut off */
	if (others > frame->size)
		return NET_TX_REFUSE;
	frame->pieces[0].size = (uint16_t)(frame->size - others);
	if (!piece_in_page(&frame->pieces[0]))
		return NET_TX_STOP;
	if (frame->nr_pieces > NET_TX_PIECES_MAX || frame->size < NET_FRAME_MIN ||
	    frame->not_offered)
		return NET_TX_REFUSE;
	return NET_TX_SEND;
}

size_t net_tx_segs(const struct net_tx_frame *frame, struct xenhost_seg segs[NET_TX_PIECES_MAX])
{
	size_t n = 0;

	for (unsigned int i = 0; i < frame->nr_pieces; i++) {
		const struct net_tx_piece *piece = &frame->pieces[i];

		if (piece->size == 0)
			continue;
		segs[n++] = (struct xenhost_seg){
			.gref = piece->gref,
			.offset = piece->offset,
			.len = piece->size,
		};
	}
	return n;
}

/* The slots of extra infos come behind the first piece and get no answer of their own. */
void net_tx_response(const struct net_tx_frame *frame, unsigned int i, int16_t status, void *buf)
{
	struct netif_tx_response rsp = { 0 };

	if (i == 0) {
		rsp.id = frame->pieces[0].id;
		rsp.status = status;
	} else if (i <= frame->nr_extras) {
		rsp.status = NETIF_RSP_NULL;
	} else {
		rsp.id = frame->pieces[i - frame->nr_extras].id;
		rsp.status = status;
	}
	memcpy(buf, &rsp, sizeof(rsp));
}

static uint16_t get_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* Where the checksum is in the transport header. */
static int csum_field(unsigned int protocol, uint16_t *ret_offset)
{
	switch (protocol) {
	case IPPROTO_TCP:
		*ret_offset = 16;
		return 0;
	case IPPROTO_UDP:
		*ret_offset = 6;
		return 0;
	default:
		return -EINVAL;
	}
}

/* Both return the protocol of the transport header and move *at there. A fragment has no whole sum.
 */
static int skip_ipv4(const uint8_t *headers, size_t len, size_t *at)
{
	const uint8_t *ip = headers + *at;
	size_t header;

	if (len - *at < 20 || ip[0] >> 4 != 4)
		return -EINVAL;
	header = (size_t)(ip[0] & 15) * 4;
	if (header < 20 || get_be16(ip + 6) & 0x3fff)
		return -EINVAL;
	*at += header;
	return ip[9];
}

static int skip_ipv6(const uint8_t *headers, size_t len, size_t *at)
{
	unsigned int next;

	if (len - *at < 40 || headers[*at] >> 4 != 6)
		return -EINVAL;
	next = headers[*at + 6];
	*at += 40;
	for (int i = 0; i < IPV6_HEADERS_MAX; i++) {
		if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS)
			return (int)next;
		if (*at > len || len - *at < 8)
			return -EINVAL;
		next = headers[*at];
		*at += (size_t)(headers[*at + 1] + 1) * 8;
	}
	return -EINVAL;
}

int net_csum_locate(const uint8_t *headers, size_t len, size_t frame_size, uint16_t *ret_start,
		    uint16_t *ret_offset)
{
	size_t at = 12;
	uint16_t type, offset;
	int r;

	for (int tags = 0;; tags++) {
		if (len < at + 2)
			return -EINVAL;
		type = get_be16(headers + at);
		at += 2;
		if (type != ETHERTYPE_VLAN && type != ETHERTYPE_QINQ)
			break;
		if (tags == VLAN_TAGS_MAX)
			return -EINVAL;
		at += 2;
	}
	if (type == ETHERTYPE_IPV4)
		r = skip_ipv4(headers, len, &at);
	else if (type == ETHERTYPE_IPV6)
		r = skip_ipv6(headers, len, &at);
	else
		r = -EINVAL;
	if (r < 0)
		return r;
	r = csum_field((unsigned int)r, &offset);
	if (r < 0 || at > len || at + offset + 2 > frame_size)
		return -EINVAL;
	*ret_start = (uint16_t)at;
	*ret_offset = offset;
	return 0;
}

void net_rx_parse(const void *slot, struct net_rx_req *req)
{
	struct netif_rx_request raw;

	memcpy(&raw, slot, sizeof(raw));
	req->id = raw.id;
	req->gref = raw.gref;
}

uint16_t net_rx_flags(uint8_t vnet_flags)
{
	if (vnet_flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		return NETRXF_csum_blank | NETRXF_data_validated;
	if (vnet_flags & VIRTIO_NET_HDR_F_DATA_VALID)
		return NETRXF_data_validated;
	return 0;
}

void net_rx_response(const struct net_rx_req *req, uint16_t flags, int16_t status, void *buf)
{
	struct netif_rx_response rsp = { .id = req->id, .flags = flags, .status = status };

	memcpy(buf, &rsp, sizeof(rsp));
}
