/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <netinet/in.h>
#include <string.h>

#include <check.h>

#include "common/xen.h"

#include "tests/support/nic.h"
#include "tests/support/packet.h"
#include "tests/support/tcp.h"

#define ARP 0x0806
#define IPV4 0x0800
#define IP_AT NIC_HEADER
#define L4_AT (IP_AT + 20u)
#define TRIES 120
#define TRY_MS 500 /* then it is sent again */

#define FIN 1
#define SYN 2
#define RST 4
#define PSH 8
#define ACK 16

static struct nic_frame out, in;

static uint32_t get16(const uint8_t *p)
{
	return (uint32_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) << 16 | get16(p + 2);
}

static void put32(uint8_t *p, uint32_t v)
{
	packet_put_be16(p, v >> 16);
	packet_put_be16(p + 2, v);
}

static void transmit(struct tcp_host *h)
{
	/* dropped while nobody is at the other end */
	int16_t status = nic_send(h->q, &out, XEN_PAGE_SIZE);

	ck_assert(status == NETIF_RSP_OKAY || status == NETIF_RSP_DROPPED);
}

static void begin(struct tcp_host *h, const uint8_t *to, uint16_t type)
{
	memset(&out, 0, sizeof(out) - sizeof(out.data) + 128);
	memcpy(out.data, to, 6);
	memcpy(out.data + 6, h->mac, 6);
	packet_put_be16(out.data + 12, type);
}

/* len: of what is behind the IP header */
static void put_ip(uint32_t from, uint32_t to, uint8_t protocol, size_t len)
{
	uint8_t *ip = out.data + IP_AT;

	ip[0] = 0x45;
	packet_put_be16(ip + 2, (uint32_t)(20 + len));
	ip[8] = 64;
	ip[9] = protocol;
	put32(ip + 12, from);
	put32(ip + 16, to);
	packet_put_be16(ip + 10, ~packet_sum16(ip, 20, 0) & 0xffff);
	out.len = L4_AT + len;
}

static uint32_t pseudo_sum(const uint8_t *ip, size_t len)
{
	return packet_sum16(ip + 12, 8, (uint32_t)len + ip[9]);
}

/* ---- DHCP ---- */

#define BOOTP_AT (L4_AT + 8u)
#define OPTIONS_AT (BOOTP_AT + 240u)

static const uint8_t everybody[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

static void put_dhcp(struct tcp_host *h, uint8_t type)
{
	uint8_t *bootp, *options;
	size_t len = 8 + 300;

	begin(h, everybody, IPV4);
	memset(out.data + IP_AT, 0, len + 20);
	bootp = out.data + BOOTP_AT;
	put_ip(0, 0xffffffff, IPPROTO_UDP, len);
	packet_put_be16(out.data + L4_AT, 68);
	packet_put_be16(out.data + L4_AT + 2, 67);
	packet_put_be16(out.data + L4_AT + 4, (uint32_t)len);
	memcpy(bootp, "\x01\x01\x06\x00xenh", 8);
	memcpy(bootp + 28, h->mac, 6);
	memcpy(bootp + 236, "\x63\x82\x53\x63", 4);
	options = bootp + 240;
	memcpy(options, (uint8_t[]){ 53, 1, type }, 3);
	options += 3;
	if (h->address) {
		memcpy(options, (uint8_t[]){ 50, 4 }, 2);
		put32(options + 2, h->address);
		options += 6;
	}
	*options = 255;
}

/* the value of an option, or NULL */
static const uint8_t *option(uint8_t wanted)
{
	const uint8_t *p = in.data + OPTIONS_AT, *end = in.data + in.len;

	while (p + 2 <= end && *p != 255 && p + 2 + p[1] <= end) {
		if (*p == wanted)
			return p + 2;
		p += *p ? 2 + p[1] : 1;
	}
	return NULL;
}

/* one answer of a DHCP server */
static bool take_dhcp(struct tcp_host *h, uint8_t type)
{
	const uint8_t *value;

	if (nic_receive(h->q, &in, IPV4, TRY_MS) < (int)OPTIONS_AT ||
	    in.data[IP_AT + 9] != IPPROTO_UDP || get16(in.data + L4_AT + 2) != 68)
		return false;
	value = option(53);
	if (!value || *value != type)
		return false;
	h->address = get32(in.data + BOOTP_AT + 16);
	value = option(3);
	ck_assert_ptr_nonnull(value);
	h->gateway = get32(value);
	value = option(26);
	h->mtu = value ? (uint16_t)get16(value) : 0;
	return true;
}

static void dhcp(struct tcp_host *h, uint8_t question, uint8_t answer)
{
	for (int i = 0; i < TRIES; i++) {
		put_dhcp(h, question);
		transmit(h);
		if (take_dhcp(h, answer))
			return;
	}
	ck_abort_msg("no answer by DHCP");
}

static void find_gateway(struct tcp_host *h)
{
	for (int i = 0; i < TRIES; i++) {
		begin(h, everybody, ARP);
		memcpy(out.data + 14, "\x00\x01\x08\x00\x06\x04\x00\x01", 8);
		memcpy(out.data + 22, h->mac, 6);
		put32(out.data + 28, h->address);
		put32(out.data + 38, h->gateway);
		out.len = 60;
		transmit(h);
		if (nic_receive(h->q, &in, ARP, TRY_MS) >= 42 &&
		    get32(in.data + 28) == h->gateway) {
			memcpy(h->gateway_mac, in.data + 22, 6);
			return;
		}
	}
	ck_abort_msg("the gateway does not answer");
}

void tcp_host_configure(struct tcp_host *h, struct nic_queue *q, const uint8_t mac[6])
{
	*h = (struct tcp_host){ .q = q };
	memcpy(h->mac, mac, 6);
	dhcp(h, 1, 2);
	dhcp(h, 3, 5);
	find_gateway(h);
}

/* ---- TCP ---- */

static void send_segment(struct tcp *t, uint8_t flags, const uint8_t *data, size_t len,
			 uint16_t segment)
{
	size_t head = flags & SYN ? 24 : 20;
	uint8_t *ip, *tcp;
	uint32_t sum;

	begin(t->host, t->host->gateway_mac, IPV4);
	put_ip(t->host->address, t->peer, IPPROTO_TCP, head + len);
	ip = out.data + IP_AT;
	tcp = out.data + L4_AT;
	memset(tcp, 0, head);
	packet_put_be16(tcp, t->own_port);
	packet_put_be16(tcp + 2, t->peer_port);
	put32(tcp + 4, t->next);
	put32(tcp + 8, t->expected);
	tcp[12] = (uint8_t)(head / 4 << 4);
	tcp[13] = flags;
	packet_put_be16(tcp + 14, 65535);
	if (flags & SYN) {
		memcpy(tcp + 20, "\x02\x04", 2);
		packet_put_be16(tcp + 22, t->mss);
	}
	if (len > 0)
		memcpy(tcp + head, data, len);
	sum = pseudo_sum(ip, head + len);
	if (segment) {
		out.flags = NETTXF_csum_blank | NETTXF_data_validated;
		if (len > segment) {
			out.gso_type = XEN_NETIF_GSO_TYPE_TCPV4;
			out.gso_size = segment;
		}
	} else {
		sum = ~packet_sum16(tcp, head + len, sum) & 0xffff;
	}
	packet_put_be16(tcp + 16, sum);
	transmit(t->host);
}

/* a segment of this connection, in order or not; its sums must be right. Its header, or NULL: none came in time */
static const uint8_t *take_segment(struct tcp *t, int timeout_ms, const uint8_t **ret_data,
				   size_t *ret_len)
{
	int got;

	while ((got = t->again ? (int)in.len : nic_receive(t->host->q, &in, IPV4, timeout_ms)) >
	       0) {
		const uint8_t *ip = in.data + IP_AT, *tcp = in.data + L4_AT;
		size_t total = get16(ip + 2), head;

		t->again = false;
		if (got < (int)L4_AT + 20 || ip[9] != IPPROTO_TCP ||
		    get16(tcp + 2) != t->own_port || (t->peer_port && get16(tcp) != t->peer_port))
			continue;
		ck_assert_uint_le(total, in.len - NIC_HEADER);
		ck_assert_uint_eq(packet_sum16(ip, 20, 0), 0xffff);
		ck_assert_uint_eq(packet_sum16(tcp, total - 20, pseudo_sum(ip, total - 20)),
				  0xffff);
		head = (size_t)(tcp[12] >> 4) * 4;
		ck_assert_uint_le(20 + head, total);
		*ret_data = tcp + head;
		*ret_len = total - 20 - head;
		return tcp;
	}
	ck_assert_int_eq(got, 0);
	return NULL;
}

static void prepare(struct tcp *t, struct tcp_host *h, uint16_t own_port)
{
	uint16_t mss = t->mss;

	*t = (struct tcp){
		.host = h, .own_port = own_port, .mss = mss ? mss : 1460, .next = 0x7ffffff0
	};
}

void tcp_connect(struct tcp *t, struct tcp_host *h, uint32_t peer, uint16_t port)
{
	static uint16_t own_port = 30000;
	const uint8_t *tcp, *data;
	size_t len;

	prepare(t, h, own_port++);
	t->peer = peer;
	t->peer_port = port;
	for (int i = 0; i < TRIES; i++) {
		send_segment(t, SYN, NULL, 0, 0);
		tcp = take_segment(t, TRY_MS, &data, &len);
		if (!tcp || (tcp[13] & (SYN | ACK)) != (SYN | ACK))
			continue;
		ck_assert_uint_eq(get32(tcp + 8), t->next + 1);
		t->next++;
		t->expected = get32(tcp + 4) + 1;
		send_segment(t, ACK, NULL, 0, 0);
		return;
	}
	ck_abort_msg("nobody takes the connection");
}

void tcp_accept(struct tcp *t, struct tcp_host *h, uint16_t port)
{
	const uint8_t *tcp, *data;
	bool asked = false;
	size_t len;

	prepare(t, h, port);
	for (int i = 0; i < TRIES; i++) {
		tcp = take_segment(t, TRY_MS, &data, &len);
		if (tcp && tcp[13] & SYN) {
			asked = true;
			t->peer = get32(in.data + IP_AT + 12);
			t->peer_port = (uint16_t)get16(tcp);
			t->expected = get32(tcp + 4) + 1;
		} else if (asked && tcp && get32(tcp + 8) == t->next + 1) {
			t->next++;
			t->again = true;
			return;
		}
		if (asked)
			send_segment(t, SYN | ACK, NULL, 0, 0);
	}
	ck_abort_msg("nobody connects");
}

void tcp_send(struct tcp *t, const uint8_t *data, size_t len, uint16_t segment)
{
	uint32_t end = t->next + (uint32_t)len;

	for (int i = 0; i < TRIES; i++) {
		const uint8_t *tcp, *theirs;
		size_t n;

		send_segment(t, ACK | PSH, data, len, segment);
		while ((tcp = take_segment(t, TRY_MS, &theirs, &n))) {
			uint32_t done = get32(tcp + 8) - t->next;

			ck_assert(!(tcp[13] & RST));
			if (done > len)
				continue;
			t->next += done;
			data += done;
			len -= done;
			if (t->next == end)
				return;
		}
	}
	ck_abort_msg("what was sent is not acknowledged");
}

void tcp_receive(struct tcp *t, uint8_t *buf, size_t len, size_t *ret_longest)
{
	size_t longest = 0;

	for (int i = 0; i < TRIES && len > 0; i++) {
		const uint8_t *tcp, *data;
		size_t n;

		while (len > 0 && (tcp = take_segment(t, TRY_MS, &data, &n))) {
			ck_assert(!(tcp[13] & RST));
			if (n == 0)
				continue;
			if (get32(tcp + 4) == t->expected) {
				ck_assert_uint_le(n, len);
				memcpy(buf, data, n);
				buf += n;
				len -= n;
				t->expected += (uint32_t)n;
				longest = n > longest ? n : longest;
				i = 0;
			}
			send_segment(t, ACK, NULL, 0, 0);
		}
		/* it may wait for an acknowledgement that was lost */
		if (len > 0)
			send_segment(t, ACK, NULL, 0, 0);
	}
	ck_assert_uint_eq(len, 0);
	if (ret_longest)
		*ret_longest = longest;
}

void tcp_close(struct tcp *t)
{
	bool theirs = false, ours = false;

	for (int i = 0; i < TRIES && !(theirs && ours); i++) {
		const uint8_t *tcp, *data;
		size_t n;

		if (!ours)
			send_segment(t, FIN | ACK, NULL, 0, 0);
		while (!(theirs && ours) && (tcp = take_segment(t, TRY_MS, &data, &n))) {
			if (tcp[13] & RST)
				return;
			if (!ours && get32(tcp + 8) == t->next + 1) {
				ours = true;
				t->next++;
			}
			if (tcp[13] & FIN && get32(tcp + 4) + n == t->expected) {
				theirs = true;
				t->expected++;
				send_segment(t, ACK, NULL, 0, 0);
			}
		}
	}
	ck_assert(theirs && ours);
}
