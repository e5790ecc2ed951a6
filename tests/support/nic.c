/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <check.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>

#include "common/cleanup.h"
#include "common/xen.h"

#include "tests/support/nic.h"

#define NR_FRAMES 512 /* of a guest */

/* ---- the card ---- */

static void new_frames(struct nic_queue *q)
{
	struct guest *g = q->nic->guest;

	q->tx_frame = guest_new_frame(g);
	q->rx_frame = guest_new_frame(g);
	for (unsigned int i = 0; i < NIC_PAGES; i++)
		q->pages[i] = guest_new_frame(g);
	for (unsigned int i = 0; i < NIC_BUFFERS; i++)
		q->buffers[i].frame = guest_new_frame(g);
}

void nic_make(struct nic *n, struct set *set, const char *name, const char *bridge)
{
	memset(n, 0, sizeof(*n));
	n->wire = -1;
	snprintf(n->tap, sizeof(n->tap), "t-%s", name);
	set_guest(set, name, NR_FRAMES, &n->front);
	n->guest = n->front.guest;
	front_init(&n->front, n->front.host, n->guest, SET_NETBACK, "vif", 0);
	front_write(&n->front, XENHOST_BACK, "vifname", "%s", n->tap);
	front_write(&n->front, XENHOST_BACK, "mac", "00:16:3e:00:00:01");
	front_write(&n->front, XENHOST_BACK, "handle", "0");
	if (bridge)
		front_write(&n->front, XENHOST_BACK, "bridge", "%s", bridge);
	for (unsigned int i = 0; i < NIC_QUEUES_MAX; i++)
		n->q[i].nic = n;
}

void nic_start(struct nic *n)
{
	front_start(&n->front);
	front_wait(&n->front, XENHOST_STATE_INIT_WAIT);
}

void nic_create(struct nic *n, struct set *set, const char *name, const char *bridge)
{
	nic_make(n, set, name, bridge);
	nic_start(n);
}

static void write_queue_node(struct nic_queue *q, const char *node, uint32_t value)
{
	struct nic *n = q->nic;
	char path[64];

	if (n->nr_queues > 1)
		snprintf(path, sizeof(path), "queue-%u/%s", (unsigned int)(q - n->q), node);
	else
		snprintf(path, sizeof(path), "%s", node);
	front_write(&n->front, XENHOST_FRONT, path, "%u", value);
}

static uint32_t make_ring(struct nic_queue *q, struct xenhost_front_ring *ring, uint32_t frame,
			  size_t slot_size, const char *node)
{
	uint32_t gref = guest_grant(q->nic->guest, SET_NETBACK, frame, false);

	front_ring_init(ring, guest_page(q->nic->guest, frame), slot_size);
	ck_assert_uint_eq(ring->size, 256);
	write_queue_node(q, node, gref);
	return gref;
}

static void offer_port(struct nic_queue *q, struct guest_port *port, const char *node)
{
	ck_assert_int_eq(guest_port_offer(q->nic->guest, SET_NETBACK, port), 0);
	write_queue_node(q, node, port->number);
}

static void prepare_queue(struct nic_queue *q)
{
	if (!q->tx_frame)
		new_frames(q);
	q->tx_gref = make_ring(q, &q->tx, q->tx_frame, 12, "tx-ring-ref");
	q->rx_gref = make_ring(q, &q->rx, q->rx_frame, 8, "rx-ring-ref");
	if (q->nic->config.split) {
		offer_port(q, &q->tx_port, "event-channel-tx");
		offer_port(q, &q->rx_port, "event-channel-rx");
	} else {
		offer_port(q, &q->tx_port, "event-channel");
		q->rx_port = q->tx_port;
	}
}

static void write_switches(struct nic *n)
{
	const struct nic_config *c = &n->config;
	const struct {
		const char *node;
		bool value;
	} switches[] = {
		{ "request-rx-copy", true },
		{ "feature-rx-notify", !c->no_rx_notify },
		{ "feature-sg", c->sg },
		{ "feature-gso-tcpv4", c->gso4 },
		{ "feature-gso-tcpv6", c->gso6 },
		{ "feature-ipv6-csum-offload", c->csum6 },
		{ "feature-no-csum-offload", c->no_csum4 },
		{ "request-multicast-control", c->mcast },
	};

	/* zeros only where they change something, as a front end that does not know the key */
	for (size_t i = 0; i < ARRAY_SIZE(switches); i++)
		if (switches[i].value || *front_read(&n->front, XENHOST_FRONT, switches[i].node))
			front_write(&n->front, XENHOST_FRONT, switches[i].node, "%d",
				    switches[i].value);
}

void nic_prepare(struct nic *n, const struct nic_config *config)
{
	n->config = *config;
	n->nr_queues = config->queues ? config->queues : 1;
	ck_assert_uint_le(n->nr_queues, NIC_QUEUES_MAX);
	if (config->queues)
		front_write(&n->front, XENHOST_FRONT, "multi-queue-num-queues", "%u",
			    config->queues);
	for (unsigned int i = 0; i < n->nr_queues; i++)
		prepare_queue(&n->q[i]);
	write_switches(n);
}

void nic_connect(struct nic *n, const struct nic_config *config)
{
	nic_prepare(n, config);
	front_set_state(&n->front, XENHOST_STATE_CONNECTED);
	front_wait(&n->front, XENHOST_STATE_CONNECTED);
}

int nic_open_wire(const char *interface, uint16_t type)
{
	struct sockaddr_ll addr = { .sll_family = AF_PACKET,
				    .sll_protocol = htons(type),
				    .sll_ifindex = (int)if_nametoindex(interface) };
	int one = 1, size = 16 << 20;
	int s = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(type));

	ck_assert_int_ge(s, 0);
	(void)setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	(void)setsockopt(s, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	(void)setsockopt(s, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one));
	ck_assert_int_eq(bind(s, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return s;
}

/* The kernel lets frames through some time after the link is up. */
void nic_wire_up(struct nic *n)
{
	static struct nic_frame frame, got;
	int len = 0;

	closep(&n->wire);
	n->wire = nic_open_wire(n->tap, NIC_ETHERTYPE);
	nic_fill_probe(&frame, 60);
	/* whichever queue the kernel takes */
	while (len == 0) {
		(void)!write(n->wire, frame.data, frame.len);
		for (unsigned int i = 0; i < n->nr_queues && len == 0; i++)
			len = nic_receive(&n->q[i], &got, NIC_PROBE_TYPE, 50);
		ck_assert_int_ge(len, 0);
	}
}

static void release_queue(struct nic_queue *q)
{
	struct guest *g = q->nic->guest;

	ck_assert_int_eq(guest_revoke(g, q->tx_gref), 0);
	ck_assert_int_eq(guest_revoke(g, q->rx_gref), 0);
	for (unsigned int i = 0; i < NIC_BUFFERS; i++) {
		if (q->buffers[i].gref)
			ck_assert_int_eq(guest_revoke(g, q->buffers[i].gref), 0);
		q->buffers[i].gref = 0;
	}
	if (q->nic->config.split)
		guest_port_close(g, &q->rx_port);
	guest_port_close(g, &q->tx_port);
}

void nic_release(struct nic *n)
{
	for (unsigned int i = 0; i < n->nr_queues; i++)
		release_queue(&n->q[i]);
	closep(&n->wire);
	n->wire = -1;
}

void nic_disconnect(struct nic *n)
{
	front_disconnect(&n->front);
	nic_release(n);
}

void nic_close(struct nic *n)
{
	closep(&n->wire);
	n->wire = -1;
	front_free(&n->front);
}

/* ---- receiving ---- */

void nic_post(struct nic_queue *q, unsigned int i)
{
	uint32_t place = q->rx.req_prod & (q->rx.size - 1);
	uint8_t *slot = front_ring_next(&q->rx);
	struct nic_buffer *b = &q->buffers[i];
	uint16_t id = (uint16_t)i;

	b->gref = guest_grant(q->nic->guest, SET_NETBACK, b->frame, false);
	memset(guest_page(q->nic->guest, b->frame), 0xee, XEN_PAGE_SIZE);
	q->places[place] = id;
	memset(slot, 0xa5, 8);
	memcpy(slot, &id, 2);
	memcpy(slot + 4, &b->gref, 4);
}

void nic_post_all(struct nic_queue *q)
{
	for (unsigned int i = 0; i < NIC_BUFFERS; i++)
		if (!q->buffers[i].gref)
			nic_post(q, i);
	if (xenhost_front_ring_push(&q->rx))
		guest_port_notify(&q->rx_port);
}

struct slot {
	uint16_t id, offset, flags;
	int16_t status;
	uint8_t raw[8];
};

static bool next_slot(struct nic_queue *q, struct slot *s, int timeout_ms)
{
	while (!front_ring_take(&q->rx, s->raw, sizeof(s->raw))) {
		if (!xenhost_front_ring_arm(&q->rx) && !guest_port_wait(&q->rx_port, timeout_ms))
			return false;
	}
	memcpy(&s->id, s->raw, 2);
	memcpy(&s->offset, s->raw + 2, 2);
	memcpy(&s->flags, s->raw + 4, 2);
	memcpy(&s->status, s->raw + 6, 2);
	return true;
}

/* The buffer of a slot comes back to us: nobody may be using it. */
static struct nic_buffer *take_back(struct nic_queue *q, uint16_t id)
{
	struct nic_buffer *b;

	ck_assert_uint_lt(id, NIC_BUFFERS);
	b = &q->buffers[id];
	ck_assert_uint_ne(b->gref, 0);
	ck_assert_int_eq(guest_revoke(q->nic->guest, b->gref), 0);
	b->gref = 0;
	return b;
}

/* The slot's request is consumed; it is the place that says which, as for Linux, which looks at no id. */
static struct nic_buffer *take_slot(struct nic_queue *q, struct slot *s, int timeout_ms)
{
	uint32_t place = q->rx.rsp_cons & (q->rx.size - 1);

	if (!next_slot(q, s, timeout_ms))
		return NULL;
	return take_back(q, q->places[place]);
}

static void take_extra(struct nic_queue *q, struct nic_frame *frame)
{
	struct slot s;

	ck_assert_ptr_nonnull(take_slot(q, &s, NIC_PATIENCE_MS));
	ck_assert_uint_eq(s.raw[0], XEN_NETIF_EXTRA_TYPE_GSO);
	ck_assert_uint_eq(s.raw[1], 0);
	memcpy(&frame->gso_size, s.raw + 2, 2);
	frame->gso_type = s.raw[4];
}

static void take_piece(struct nic_queue *q, const struct slot *s, const struct nic_buffer *b,
		       struct nic_frame *frame)
{
	size_t len = (size_t)s->status;

	ck_assert_uint_eq(s->id, (unsigned int)(b - q->buffers));
	ck_assert_uint_eq(s->offset, 0);
	ck_assert_uint_le(len, XEN_PAGE_SIZE);
	ck_assert_uint_le(frame->len + len, NIC_FRAME_MAX);
	/* XSA-522: the first one is full, or the whole frame */
	if (s->flags & NETRXF_more_data)
		ck_assert_uint_eq(len, XEN_PAGE_SIZE);
	memcpy(frame->data + frame->len, guest_page(q->nic->guest, b->frame), len);
	frame->len += len;
}

/* what a back end may send to a front end of this configuration */
static void check_flags(const struct nic_config *c, const struct nic_frame *frame)
{
	ck_assert_uint_ge(frame->len, NIC_HEADER);
	ck_assert_uint_eq(frame->flags & ~(NETRXF_data_validated | NETRXF_csum_blank), 0);
	if (frame->flags & NETRXF_csum_blank)
		ck_assert(!c->no_csum4);
	if (frame->gso_type)
		ck_assert(frame->gso_type == XEN_NETIF_GSO_TYPE_TCPV4 ? c->gso4 : c->gso6);
}

int nic_take(struct nic_queue *q, struct nic_frame *frame, int timeout_ms)
{
	const struct nic_config *c = &q->nic->config;
	struct nic_buffer *b;
	struct slot s;

	frame->len = 0;
	frame->gso_type = 0;
	b = take_slot(q, &s, timeout_ms);
	if (!b || s.status <= 0)
		return b ? s.status : 0;
	frame->flags = s.flags & (uint16_t) ~(NETRXF_more_data | NETRXF_extra_info);
	take_piece(q, &s, b, frame);
	if (s.flags & NETRXF_extra_info)
		take_extra(q, frame);
	while (s.flags & NETRXF_more_data) {
		ck_assert(c->sg);
		b = take_slot(q, &s, NIC_PATIENCE_MS);
		ck_assert_ptr_nonnull(b);
		ck_assert_uint_eq(s.flags & ~NETRXF_more_data, 0);
		ck_assert_int_gt(s.status, 0);
		take_piece(q, &s, b, frame);
	}
	check_flags(c, frame);
	return (int)frame->len;
}

int nic_receive(struct nic_queue *q, struct nic_frame *frame, uint16_t type, int timeout_ms)
{
	int len;

	do {
		nic_post_all(q);
		len = nic_take(q, frame, timeout_ms);
	} while (len > 0 && (frame->data[12] != type >> 8 || frame->data[13] != (uint8_t)type));
	return len;
}

void nic_use_up_buffers(struct nic_queue *q)
{
	static struct nic_frame frame, got;

	nic_fill(&frame, 200, 1);
	while (xenhost_front_ring_free(&q->rx) < q->rx.size) {
		ck_assert_int_eq(write(q->nic->wire, frame.data, frame.len), frame.len);
		ck_assert_int_gt(nic_take(q, &got, NIC_PATIENCE_MS), 0);
	}
}

/* ---- sending ---- */

void nic_put_tx(struct nic_queue *q, uint32_t gref, uint16_t offset, uint16_t flags, uint16_t id,
		uint16_t size)
{
	uint8_t *slot = front_ring_next(&q->tx);

	memcpy(slot, &gref, 4);
	memcpy(slot + 4, &offset, 2);
	memcpy(slot + 6, &flags, 2);
	memcpy(slot + 8, &id, 2);
	memcpy(slot + 10, &size, 2);
}

void nic_put_extra(struct nic_queue *q, uint8_t type, bool more, const void *body, size_t len)
{
	uint8_t *slot = front_ring_next(&q->tx);

	memset(slot, 0xa5, 12);
	slot[0] = type;
	slot[1] = more;
	if (len > 0)
		memcpy(slot + 2, body, len);
}

void nic_push_tx(struct nic_queue *q)
{
	if (xenhost_front_ring_push(&q->tx))
		guest_port_notify(&q->tx_port);
}

int16_t nic_next_tx(struct nic_queue *q, uint16_t *ret_id)
{
	uint8_t rsp[4];
	int16_t status;

	while (!front_ring_take(&q->tx, rsp, sizeof(rsp))) {
		if (!xenhost_front_ring_arm(&q->tx))
			ck_assert_int_eq(guest_port_wait(&q->tx_port, NIC_PATIENCE_MS), 1);
	}
	memcpy(ret_id, rsp, 2);
	memcpy(&status, rsp + 2, 2);
	return status;
}

static void put_gso(struct nic_queue *q, const struct nic_frame *frame)
{
	uint8_t body[6] = { 0, 0, frame->gso_type };

	memcpy(body, &frame->gso_size, 2);
	nic_put_extra(q, XEN_NETIF_EXTRA_TYPE_GSO, false, body, sizeof(body));
}

static int16_t take_answers(struct nic_queue *q, unsigned int nr, bool extra, const uint32_t *grefs)
{
	int16_t status = 0;

	for (unsigned int i = 0; i < nr; i++) {
		uint16_t id;
		int16_t r = nic_next_tx(q, &id);

		ck_assert(i == 0 || r == status);
		status = r;
		ck_assert_uint_eq(id, 100 + i);
		ck_assert_int_eq(guest_revoke(q->nic->guest, grefs[i]), 0);
		if (i == 0 && extra)
			ck_assert_int_eq(nic_next_tx(q, &id), NETIF_RSP_NULL);
	}
	return status;
}

int16_t nic_send(struct nic_queue *q, const struct nic_frame *frame, size_t piece)
{
	unsigned int nr = (unsigned int)((frame->len + piece - 1) / piece);
	struct guest *g = q->nic->guest;
	uint32_t grefs[NIC_PAGES];

	ck_assert_uint_le(nr, NIC_PAGES);
	for (unsigned int i = 0; i < nr; i++) {
		size_t at = i * piece, size = frame->len - at < piece ? frame->len - at : piece;
		size_t offset = (XEN_PAGE_SIZE - size) / (i + 1);
		uint16_t flags = i + 1 < nr ? NETTXF_more_data : 0;

		if (i == 0)
			flags |= frame->flags | (frame->gso_type ? NETTXF_extra_info : 0);
		memcpy((uint8_t *)guest_page(g, q->pages[i]) + offset, frame->data + at, size);
		grefs[i] = guest_grant(g, SET_NETBACK, q->pages[i], true);
		nic_put_tx(q, grefs[i], (uint16_t)offset, flags, (uint16_t)(100 + i),
			   (uint16_t)(i == 0 ? frame->len : size));
		if (i == 0 && frame->gso_type)
			put_gso(q, frame);
	}
	nic_push_tx(q);
	return take_answers(q, nr, frame->gso_type, grefs);
}

/* ---- frames ---- */

void nic_fill(struct nic_frame *frame, size_t len, uint32_t seed)
{
	memcpy(frame->data, "\xff\xff\xff\xff\xff\xff\x00\x16\x3e\x00\x00\x01\x88\xb5", NIC_HEADER);
	for (size_t i = NIC_HEADER; i < len; i++)
		frame->data[i] = (uint8_t)(seed * 31 + i * 7 + (i >> 8));
	frame->len = len;
	frame->flags = 0;
	frame->gso_type = 0;
}

void nic_fill_probe(struct nic_frame *frame, size_t len)
{
	nic_fill(frame, len, 0);
	frame->data[12] = NIC_PROBE_TYPE >> 8;
	frame->data[13] = (uint8_t)NIC_PROBE_TYPE;
}

void nic_expect_on_wire(struct nic *n, const struct nic_frame *frame)
{
	static uint8_t buf[NIC_FRAME_MAX + 1];
	struct pollfd p = { .fd = n->wire, .events = POLLIN };
	ssize_t got;

	ck_assert_int_eq(poll(&p, 1, NIC_PATIENCE_MS), 1);
	got = recv(n->wire, buf, sizeof(buf), 0);
	ck_assert_int_eq(got, (ssize_t)frame->len);
	ck_assert_mem_eq(buf, frame->data, frame->len);
}

bool nic_make_bridge(const char *name)
{
	_cleanup_close_ int s = socket(AF_UNIX, SOCK_DGRAM, 0);
	struct ifreq ifr = { 0 };

	if (ioctl(s, SIOCBRADDBR, name) < 0)
		return false;
	strcpy(ifr.ifr_name, name);
	ifr.ifr_flags = IFF_UP;
	return ioctl(s, SIOCSIFFLAGS, &ifr) == 0;
}
