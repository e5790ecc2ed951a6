/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <string.h>

#include <netinet/in.h>

#include "common/xen.h"

#include "netbackd/net_offload.h"

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_IPV6 0x86dd
#define ETHERTYPE_VLAN 0x8100
#define ETHERTYPE_QINQ 0x88a8

#define VLAN_TAGS_MAX 2
#define IPV6_HEADERS_MAX 8
#define TCP_HEADER_MIN 20u

static uint16_t get_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void put_be16(uint8_t *p, uint32_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

/* the Ethernet type and, in *at, what is behind it; 0 none */
static uint16_t skip_ethernet(const uint8_t *headers, size_t len, size_t *at)
{
	*at = 12;
	for (int tags = 0; tags <= VLAN_TAGS_MAX; tags++) {
		uint16_t type;

		if (len < *at + 2)
			return 0;
		type = get_be16(headers + *at);
		*at += 2;
		if (type != ETHERTYPE_VLAN && type != ETHERTYPE_QINQ)
			return type;
		*at += 2;
	}
	return 0;
}

/* Both return the protocol of the transport header and move *at there. A fragment has no whole sum.
 */
static int skip_ipv4(const uint8_t *headers, size_t len, size_t *at)
{
	const uint8_t *ip = headers + *at;
	size_t header;

	if (len < *at || len - *at < 20 || ip[0] >> 4 != 4)
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

	if (len < *at || len - *at < 40 || headers[*at] >> 4 != 6)
		return -EINVAL;
	next = headers[*at + 6];
	*at += 40;
	for (int i = 0; i < IPV6_HEADERS_MAX; i++) {
		if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS)
			return next == IPPROTO_FRAGMENT ? -EINVAL : (int)next;
		if (*at > len || len - *at < 8)
			return -EINVAL;
		next = headers[*at];
		*at += (size_t)(headers[*at + 1] + 1) * 8;
	}
	return -EINVAL;
}

int net_headers_parse(const uint8_t *headers, size_t len, struct net_headers *ret_headers)
{
	struct net_headers h = { 0 };
	size_t at;
	uint16_t type = skip_ethernet(headers, len, &at);
	int r = -EINVAL;

	h.ip = (uint16_t)at;
	if (type == ETHERTYPE_IPV4)
		r = skip_ipv4(headers, len, &at);
	else if (type == ETHERTYPE_IPV6)
		r = skip_ipv6(headers, len, &at);
	if (r < 0 || at > len)
		return -EINVAL;
	h.version = type == ETHERTYPE_IPV4 ? 4 : 6;
	h.transport = (uint8_t)r;
	h.payload = (uint16_t)at;
	*ret_headers = h;
	return 0;
}

/* Where the checksum is in the transport header. */
static int csum_field(const struct net_headers *h, size_t frame_size, uint16_t *ret_offset)
{
	uint16_t offset;

	if (h->transport == IPPROTO_TCP)
		offset = 16;
	else if (h->transport == IPPROTO_UDP)
		offset = 6;
	else
		return -EINVAL;
	if (h->payload + offset + 2u > frame_size)
		return -EINVAL;
	*ret_offset = offset;
	return 0;
}

int net_csum_locate(const uint8_t *headers, size_t len, size_t frame_size, uint16_t *ret_start,
		    uint16_t *ret_offset)
{
	struct net_headers h;
	int r = net_headers_parse(headers, len, &h);

	if (r == 0)
		r = csum_field(&h, frame_size, ret_offset);
	if (r == 0)
		*ret_start = h.payload;
	return r;
}

static uint64_t sum_bytes(const uint8_t *p, size_t len, uint64_t sum)
{
	uint32_t word;

	for (; len >= sizeof(word); p += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		sum += word;
	}
	word = 0;
	memcpy(&word, p, len);
	return sum + word;
}

/* Sums are in the byte order of the machine, as stored: RFC 1071 does not mind. */
static uint16_t fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* the sum of the pseudo header; len: of the transport header and what follows */
static uint16_t pseudo_sum(const uint8_t *headers, const struct net_headers *h, size_t len)
{
	bool v4 = h->version == 4;
	uint8_t tail[8] = { 0 };
	uint64_t sum = sum_bytes(headers + h->ip + (v4 ? 12 : 8), v4 ? 8 : 32, 0);

	put_be16(tail, (uint32_t)len >> 16);
	put_be16(tail + 2, (uint32_t)len);
	tail[7] = h->transport;
	return fold(sum_bytes(tail, sizeof(tail), sum));
}

/* hdr_len, gso_*, and the pseudo header's sum */
static int offload_gso(const struct net_tx_frame *frame, uint8_t *headers, size_t len,
		       const struct net_headers *h, struct virtio_net_hdr *vnet)
{
	bool v4 = frame->gso_type == XEN_NETIF_GSO_TYPE_TCPV4;
	uint16_t sum;
	size_t tcp;

	if (h->version != (v4 ? 4 : 6) || h->transport != IPPROTO_TCP ||
	    len < h->payload + TCP_HEADER_MIN)
		return -EINVAL;
	tcp = (size_t)(headers[h->payload + 12] >> 4) * 4;
	if (tcp < TCP_HEADER_MIN || h->payload + tcp > frame->size)
		return -EINVAL;
	vnet->gso_type = v4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
	vnet->gso_size = frame->gso_size;
	vnet->hdr_len = (uint16_t)(h->payload + tcp);
	sum = pseudo_sum(headers, h, (size_t)frame->size - h->payload);
	memcpy(headers + h->payload + 16, &sum, sizeof(sum));
	return 0;
}

int net_tx_offload(const struct net_tx_frame *frame, uint8_t *headers, size_t len,
		   struct virtio_net_hdr *ret_vnet)
{
	struct virtio_net_hdr vnet = { 0 };
	struct net_headers h;
	int r = 0;

	if (frame->flags & NETTXF_csum_blank || frame->gso_type) {
		r = net_headers_parse(headers, len, &h);
		if (r == 0)
			r = csum_field(&h, frame->size, &vnet.csum_offset);
		if (r < 0)
			return r;
		vnet.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		vnet.csum_start = h.payload;
		if (frame->gso_type)
			r = offload_gso(frame, headers, len, &h, &vnet);
	}
	if (r == 0)
		*ret_vnet = vnet;
	return r;
}

int net_rx_offload(const struct virtio_net_hdr *vnet, struct net_rx_offload *ret_offload)
{
	struct net_rx_offload o = { 0 };

	if (vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		o.flags = NETRXF_csum_blank | NETRXF_data_validated;
	else if (vnet->flags & VIRTIO_NET_HDR_F_DATA_VALID)
		o.flags = NETRXF_data_validated;
	switch (vnet->gso_type) {
	case VIRTIO_NET_HDR_GSO_NONE:
		break;
	case VIRTIO_NET_HDR_GSO_TCPV4:
		o.gso_type = XEN_NETIF_GSO_TYPE_TCPV4;
		break;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		o.gso_type = XEN_NETIF_GSO_TYPE_TCPV6;
		break;
	default:
		return -EINVAL;
	}
	if (o.gso_type) {
		if (vnet->gso_size == 0)
			return -EINVAL;
		o.gso_size = vnet->gso_size;
		o.flags |= NETRXF_extra_info;
	}
	*ret_offload = o;
	return 0;
}

/* the sum of bytes `start` and behind; one that begins at an odd place counts with its bytes swapped */
static uint16_t sum_iov(const struct iovec *iov, size_t n, size_t start)
{
	uint64_t sum = 0;
	size_t done = 0;

	for (size_t i = 0; i < n; i++) {
		size_t skip = start < iov[i].iov_len ? start : iov[i].iov_len;
		size_t len = iov[i].iov_len - skip;
		uint16_t part = fold(sum_bytes((const uint8_t *)iov[i].iov_base + skip, len, 0));

		start -= skip;
		sum += done & 1 ? (uint16_t)(part << 8 | part >> 8) : part;
		done += len;
	}
	return fold(sum);
}

static void put_byte(const struct iovec *iov, size_t at, uint8_t value)
{
	while (at >= iov->iov_len)
		at -= iov++->iov_len;
	((uint8_t *)iov->iov_base)[at] = value;
}

int net_csum_complete(const struct iovec *iov, size_t n, size_t start, size_t offset)
{
	size_t total = 0;
	uint16_t sum;
	uint8_t bytes[2];

	for (size_t i = 0; i < n; i++)
		total += iov[i].iov_len;
	if (start > total || offset > total - start || total - start - offset < sizeof(bytes))
		return -EINVAL;
	sum = (uint16_t)~sum_iov(iov, n, start);
	/* 0 would mean that a UDP datagram has none */
	if (sum == 0)
		sum = 0xffff;
	memcpy(bytes, &sum, sizeof(bytes));
	put_byte(iov, start + offset, bytes[0]);
	put_byte(iov, start + offset + 1, bytes[1]);
	return 0;
}
