/* SPDX-License-Identifier: MIT */
/*
 * Network requests as bytes of ring slots (Xen's public/io/netif.h) and the few headers of a frame
 * that we must understand. Pure: slots and headers are copies, nothing here looks at shared memory.
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

#define NET_HEADERS_MAX 256u /* bytes of a frame in which its headers must be */

struct net_tx_piece {
	uint32_t gref;
	uint16_t offset;
	uint16_t size;
	uint16_t id;
};

struct net_tx_frame {
	unsigned int nr_pieces;
	unsigned int nr_extras;
	bool want_extra;  /* the next slot is an extra info */
	bool more;	  /* pieces follow */
	bool not_offered; /* it asks for what we do not offer */
	uint16_t flags;	  /* NETTXF_* of the first slot */
	uint16_t size;	  /* of the whole frame */
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

/*
 * Where the TCP or UDP checksum of a frame starts and where, counted from there, it is stored.
 * headers: the first len bytes of a frame of frame_size bytes. -EINVAL: no checksum there that can
 * be completed.
 */
int net_csum_locate(const uint8_t *headers, size_t len, size_t frame_size, uint16_t *ret_start,
		    uint16_t *ret_offset);

/* a buffer that the guest offers */
struct net_rx_req {
	uint16_t id;
	uint32_t gref;
};

void net_rx_parse(const void *slot, struct net_rx_req *req);

/* NETRXF_* for the flags of a virtio_net_hdr */
uint16_t net_rx_flags(uint8_t vnet_flags);

/* NET_RX_RSP_SIZE bytes; status: bytes at the start of the page, or NETIF_RSP_* */
void net_rx_response(const struct net_rx_req *req, uint16_t flags, int16_t status, void *buf);

#endif
