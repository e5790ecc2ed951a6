/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "common/xen.h"

#include "netbackd/net_ring.h"

_Static_assert(sizeof(struct netif_tx_request) == NET_TX_REQ_SIZE, "tx request");
_Static_assert(sizeof(struct netif_tx_response) == NET_TX_RSP_SIZE, "tx response");
_Static_assert(sizeof(struct netif_rx_request) == NET_RX_REQ_SIZE, "rx request");
_Static_assert(sizeof(struct netif_rx_response) == NET_RX_RSP_SIZE, "rx response");
_Static_assert(sizeof(struct netif_extra_info) <= NET_TX_REQ_SIZE, "extra info to us");
_Static_assert(sizeof(struct netif_extra_info) == NET_RX_RSP_SIZE, "extra info to the guest");

void net_tx_begin(struct net_tx_frame *frame)
{
	frame->nr_pieces = frame->nr_extras = 0;
	frame->want_extra = frame->more = false;
	frame->mcast = NET_MCAST_NONE;
	frame->flags = frame->size = frame->gso_size = 0;
	frame->gso_type = 0;
}

/* false: no front end does this */
static bool take_gso(struct net_tx_frame *frame, const struct netif_extra_info *extra)
{
	uint8_t type = extra->u.gso.type;

	if (extra->u.gso.size == 0 ||
	    (type != XEN_NETIF_GSO_TYPE_TCPV4 && type != XEN_NETIF_GSO_TYPE_TCPV6))
		return false;
	frame->gso_type = type;
	frame->gso_size = extra->u.gso.size;
	return true;
}

/* The hash asks for nothing. */
static bool take_extra(struct net_tx_frame *frame, const struct netif_extra_info *extra)
{
	switch (extra->type) {
	case XEN_NETIF_EXTRA_TYPE_GSO:
		return take_gso(frame, extra);
	case XEN_NETIF_EXTRA_TYPE_MCAST_ADD:
	case XEN_NETIF_EXTRA_TYPE_MCAST_DEL:
		frame->mcast = extra->type == XEN_NETIF_EXTRA_TYPE_MCAST_ADD ? NET_MCAST_ADD
									     : NET_MCAST_REMOVE;
		memcpy(frame->mcast_address, extra->u.mcast.addr, sizeof(frame->mcast_address));
		return true;
	case XEN_NETIF_EXTRA_TYPE_HASH:
		return true;
	default:
		return false;
	}
}

static enum net_tx_step add_extra(struct net_tx_frame *frame, const void *slot)
{
	struct netif_extra_info extra;

	memcpy(&extra, slot, sizeof(extra));
	if (frame->nr_extras == NET_TX_EXTRAS_MAX)
		return NET_TX_BROKEN;
	if (!take_extra(frame, &extra))
		return NET_TX_BROKEN;
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
	if (frame->nr_pieces > NET_TX_PIECES_MAX || (frame->size < NET_FRAME_MIN && !frame->mcast))
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

void net_rx_parse(const void *slot, struct net_rx_req *req)
{
	struct netif_rx_request raw;

	memcpy(&raw, slot, sizeof(raw));
	req->id = raw.id;
	req->gref = raw.gref;
}

void net_rx_response(const struct net_rx_req *req, uint16_t flags, int16_t status, void *buf)
{
	struct netif_rx_response rsp = { .id = req->id, .flags = flags, .status = status };

	memcpy(buf, &rsp, sizeof(rsp));
}

void net_rx_gso(uint8_t type, uint16_t size, void *buf)
{
	struct netif_extra_info extra = {
		.type = XEN_NETIF_EXTRA_TYPE_GSO,
		.u.gso = { .size = size, .type = type },
	};

	memcpy(buf, &extra, sizeof(extra));
}
