/* SPDX-License-Identifier: MIT */
/*
 * What a frame leaves to others, as Xen's netif says it and as a struct virtio_net_hdr says it, and the
 * few headers of a frame that we must understand for that. Pure; headers are a private copy of the
 * frame's first bytes.
 */
#ifndef NETBACKD_NET_OFFLOAD_H
#define NETBACKD_NET_OFFLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <linux/virtio_net.h>

#include "netbackd/net_ring.h"

#define NET_HEADERS_MAX 256u /* bytes of a frame in which its headers must be */

struct net_headers {
	uint8_t version;   /* of IP: 4 or 6 */
	uint8_t transport; /* IPPROTO_* behind it */
	uint16_t ip;	   /* where each begins */
	uint16_t payload;  /* of IP; may be beyond the bytes that were looked at */
};

/* -EINVAL: no IP, a fragment, or it does not end within the len bytes */
int net_headers_parse(const uint8_t *headers, size_t len, struct net_headers *ret_headers);

/*
 * Where the TCP or UDP checksum of a frame starts and where, counted from there, it is stored.
 * headers: the first len bytes of a frame of frame_size bytes. -EINVAL: no checksum there that can
 * be completed.
 */
int net_csum_locate(const uint8_t *headers, size_t len, size_t frame_size, uint16_t *ret_start,
		    uint16_t *ret_offset);

/*
 * What the guest left blank, as the kernel's work. A frame to be segmented gets the sum of its pseudo
 * header, which some front ends leave out, into `headers`. -EINVAL: it asks for what cannot be.
 */
int net_tx_offload(const struct net_tx_frame *frame, uint8_t *headers, size_t len,
		   struct virtio_net_hdr *ret_vnet);

/* what a frame for the guest leaves to it */
struct net_rx_offload {
	uint16_t flags;	  /* NETRXF_* of its first response */
	uint8_t gso_type; /* XEN_NETIF_GSO_TYPE_TCPV*, 0: none */
	uint16_t gso_size;
};

/* -EINVAL: a kind of segmentation that netif has no word for */
int net_rx_offload(const struct virtio_net_hdr *vnet, struct net_rx_offload *ret_offload);

/* Does the work of VIRTIO_NET_HDR_F_NEEDS_CSUM on a frame of iov; start and offset are within it, or -EINVAL */
int net_csum_complete(const struct iovec *iov, size_t n, size_t start, size_t offset);

#endif
