/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <netinet/in.h>
#include <string.h>

#include <check.h>

#include "common/xen.h"

#include "tests/support/nic.h"
#include "tests/support/packet.h"

#define TCP_HEADER 20u
#define UDP_HEADER 8u

uint32_t packet_sum16(const uint8_t *p, size_t len, uint32_t sum)
{
	for (size_t i = 0; i + 1 < len; i += 2) {
		sum += (uint32_t)(p[i] << 8 | p[i + 1]);
		sum = (sum & 0xffff) + (sum >> 16);
	}
	if (len % 2)
		sum += (uint32_t)p[len - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

void packet_put_be16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint32_t get_be16(const uint8_t *p)
{
	return (uint32_t)(p[0] << 8 | p[1]);
}

size_t packet_headers(bool v6, uint8_t protocol)
{
	return NIC_HEADER + (v6 ? 40 : 20) + (protocol == IPPROTO_TCP ? TCP_HEADER : UDP_HEADER);
}

static uint8_t stream_byte(uint32_t at)
{
	return (uint8_t)(at * 7 + (at >> 8) * 13 + (at >> 16));
}

/* the IP header; returns where the next one begins */
static uint8_t *make_ip(uint8_t *ip, const struct packet *p, size_t len, uint8_t from, uint8_t to)
{
	if (p->v6) {
		memset(ip, 0, 40);
		ip[0] = 0x60;
		packet_put_be16(ip + 4, (uint32_t)len);
		ip[6] = p->protocol;
		ip[7] = 64;
		ip[8] = ip[24] = 0xfd;
		ip[23] = from;
		ip[39] = to;
		return ip + 40;
	}
	memset(ip, 0, 20);
	ip[0] = 0x45;
	packet_put_be16(ip + 2, (uint32_t)(20 + len));
	ip[8] = 64;
	ip[9] = p->protocol;
	memcpy(ip + 12, (uint8_t[]){ 10, 9, 8, from, 10, 9, 8, to }, 8);
	packet_put_be16(ip + 10, ~packet_sum16(ip, 20, 0) & 0xffff);
	return ip + 20;
}

static uint32_t pseudo_sum(const uint8_t *ip, bool v6, uint8_t protocol, size_t len)
{
	return packet_sum16(ip + (v6 ? 8 : 12), v6 ? 32 : 8,
			    (uint32_t)(len >> 16) + (uint32_t)(len & 0xffff) + protocol);
}

void packet_make(struct nic_frame *frame, const struct packet *p, uint8_t from, uint8_t to,
		 bool blank)
{
	bool tcp = p->protocol == IPPROTO_TCP;
	size_t head = tcp ? TCP_HEADER : UDP_HEADER, len = head + p->payload;
	uint8_t *ip = frame->data + NIC_HEADER, *l4;
	uint32_t sum;

	frame->len = packet_headers(p->v6, p->protocol) + p->payload;
	frame->flags = blank ? NETTXF_csum_blank | NETTXF_data_validated : 0;
	frame->gso_type = 0;
	memcpy(frame->data, (uint8_t[]){ 0, 22, 62, 0, 0, to, 0, 22, 62, 0, 0, from }, 12);
	packet_put_be16(frame->data + 12, p->v6 ? 0x86dd : 0x0800);
	l4 = make_ip(ip, p, len, from, to);
	memset(l4, 0, head);
	packet_put_be16(l4, p->port);
	packet_put_be16(l4 + 2, p->port);
	packet_put_be16(l4 + 4, tcp ? p->seq >> 16 : (uint32_t)len);
	if (tcp) {
		packet_put_be16(l4 + 6, p->seq);
		l4[12] = TCP_HEADER / 4 << 4;
		l4[13] = 0x10; /* ACK */
	}
	for (size_t i = 0; i < p->payload; i++)
		l4[head + i] = stream_byte(p->seq + (uint32_t)i);
	sum = pseudo_sum(ip, p->v6, p->protocol, len);
	if (!blank)
		sum = ~packet_sum16(l4, len, sum) & 0xffff;
	packet_put_be16(l4 + (tcp ? 16 : 6), sum);
}

/* The IP header may be of a segment: its length is that of the frame. */
static const uint8_t *check_ip(const struct nic_frame *frame, struct packet *p, size_t *ret_len)
{
	const uint8_t *ip = frame->data + NIC_HEADER;
	size_t total = frame->len - NIC_HEADER;

	p->v6 = get_be16(frame->data + 12) == 0x86dd;
	if (p->v6) {
		ck_assert_uint_eq(get_be16(ip + 4), total - 40);
		p->protocol = ip[6];
		*ret_len = total - 40;
		return ip + 40;
	}
	ck_assert_uint_eq(get_be16(frame->data + 12), 0x0800);
	ck_assert_uint_eq(get_be16(ip + 2), total);
	ck_assert_uint_eq(packet_sum16(ip, 20, 0), 0xffff);
	p->protocol = ip[9];
	*ret_len = total - 20;
	return ip + 20;
}

static void check_sum(const struct nic_frame *frame, const struct packet *p, const uint8_t *l4,
		      size_t len)
{
	uint32_t pseudo = pseudo_sum(frame->data + NIC_HEADER, p->v6, p->protocol, len);
	const uint8_t *field = l4 + (p->protocol == IPPROTO_TCP ? 16 : 6);

	if (frame->flags & NETRXF_csum_blank)
		ck_assert_uint_eq(get_be16(field), pseudo);
	else
		ck_assert_uint_eq(packet_sum16(l4, len, pseudo), 0xffff);
}

void packet_check(const struct nic_frame *frame, struct packet *ret_packet)
{
	struct packet p = { 0 };
	size_t len, head;
	const uint8_t *l4 = check_ip(frame, &p, &len);
	bool tcp = p.protocol == IPPROTO_TCP;

	ck_assert(tcp || p.protocol == IPPROTO_UDP);
	head = tcp ? TCP_HEADER : UDP_HEADER;
	ck_assert_uint_ge(len, head);
	p.port = (uint16_t)get_be16(l4);
	p.seq = tcp ? get_be16(l4 + 4) << 16 | get_be16(l4 + 6) : 0;
	p.payload = len - head;
	for (size_t i = 0; i < p.payload; i++)
		if (l4[head + i] != stream_byte(p.seq + (uint32_t)i))
			ck_abort_msg("byte %zu of %zu is wrong", i, p.payload);
	check_sum(frame, &p, l4, len);
	*ret_packet = p;
}
