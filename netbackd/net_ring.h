/* SPDX-License-Identifier: MIT */
/*
 * Network requests as bytes of ring slots (Xen's public/io/netif.h). Pure: slots are copies, nothing
 * here looks at shared memory.
 *
 * A frame of the guest's is a chain of slots: the first piece, extra infos, further pieces. The
 * size in the first slot is that of the whole frame.
 */
#ifndef NETBACKD_NET_RING_H
#define NETBACKD_NET_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <xenhost/gnttab.h>

#define NET_TX_REQ_SIZE 12u
#define NET_TX_RSP_SIZE 4u
#define NET_RX_REQ_SIZE 8u
#define NET_RX_RSP_SIZE 8u

#define NET_FRAME_MIN 14u     /* an Ethernet header */
#define NET_TX_PIECES_MAX 19u /* of a frame that is sent */
#define NET_TX_CHAIN_MAX 21u  /* of a frame that is answered; more is no front end but an attack */
#define NET_TX_EXTRAS_MAX 8u

#define NET_FRAME_MAX 65535u
#define NET_RX_PIECES_MAX 16u /* pages of the longest frame; one slot more for an extra info */

struct net_tx_piece {
	uint32_t gref;
	uint16_t offset;
	uint16_t size;
	uint16_t id;
};

enum net_mcast { NET_MCAST_NONE, NET_MCAST_ADD, NET_MCAST_REMOVE };

struct net_tx_frame {
	unsigned int nr_pieces;
	unsigned int nr_extras;
	bool want_extra;  /* the next slot is an extra info */
	bool more;	  /* pieces follow */
	uint16_t flags;	  /* NETTXF_* of the first slot */
	uint16_t size;	  /* of the whole frame */
	uint8_t gso_type; /* XEN_NETIF_GSO_TYPE_TCPV*, 0: none */
	uint16_t gso_size;
	enum net_mcast mcast; /* no frame at all, but a change of the list */
	uint8_t mcast_address[6];
	struct net_tx_piece pieces[NET_TX_CHAIN_MAX];
};

enum net_tx_step {
	NET_TX_MORE, /* the chain goes on */
	NET_TX_END,
	NET_TX_BROKEN, /* no front end does this: the device must stop */
};

void net_tx_begin(struct net_tx_frame *frame);
/* the next slot (NET_TX_REQ_SIZE bytes) of the chain */
enum net_tx_step net_tx_add(struct net_tx_frame *frame, const void *slot);

enum net_tx_verdict {
	NET_TX_SEND,
	NET_TX_REFUSE, /* answer ERROR, send nothing */
	NET_TX_STOP,   /* as NET_TX_BROKEN */
};

/* Looks at a whole chain and works out the size of its first piece. */
enum net_tx_verdict net_tx_check(struct net_tx_frame *frame);

/* ring slots of the chain, each of which wants a response */
static inline unsigned int net_tx_slots(const struct net_tx_frame *frame)
{
	return frame->nr_pieces + frame->nr_extras;
}

/* Pieces with bytes in them, for xenhost_io_begin(); after NET_TX_SEND. Returns their number, at
 * least 1 */
size_t net_tx_segs(const struct net_tx_frame *frame, struct xenhost_seg segs[NET_TX_PIECES_MAX]);

/* Response `i` of net_tx_slots(), NET_TX_RSP_SIZE bytes. status: NETIF_RSP_* */
void net_tx_response(const struct net_tx_frame *frame, unsigned int i, int16_t status, void *buf);

/* a buffer that the guest offers */
struct net_rx_req {
	uint16_t id;
	uint32_t gref;
};

void net_rx_parse(const void *slot, struct net_rx_req *req);

/* NET_RX_RSP_SIZE bytes; status: bytes at the start of the page, or NETIF_RSP_* */
void net_rx_response(const struct net_rx_req *req, uint16_t flags, int16_t status, void *buf);
/* The extra info behind the first response of a frame that is to be segmented, NET_RX_RSP_SIZE bytes */
void net_rx_gso(uint8_t type, uint16_t size, void *buf);

#endif
