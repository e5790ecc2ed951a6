/* SPDX-License-Identifier: MIT */
/*
 * A network card as its front end sees it, in a loopback guest: rings, ports and buffers of each queue. It
 * does what Linux's front end does, in its order, or less; tests may do the rest by hand. Failures end the
 * test. The other side of the TAP is a packet socket (`wire`).
 */
#ifndef TESTS_SUPPORT_NIC_H
#define TESTS_SUPPORT_NIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/support/front.h"
#include "loopguest/guest.h"
#include "tests/support/set.h"

#define NIC_PATIENCE_MS 30000
#define NIC_ETHERTYPE \
	0x88b5 /* for local experiments: what else is on the wire is the kernel's own */
#define NIC_PROBE_TYPE 0x88b6 /* asks whether the link is up; nobody waits for the second one */
#define NIC_QUEUES_MAX 4u
#define NIC_BUFFERS 40u
#define NIC_PAGES 24u
#define NIC_HEADER 14u
#define NIC_FRAME_MAX 65536u

/* what the front end writes */
struct nic_config {
	unsigned int queues; /* 0: one, and it does not say so */
	bool split;
	bool sg, gso4, gso6, no_csum4, csum6;
	bool no_rx_notify;
	bool mcast;
};

struct nic_buffer {
	uint32_t frame;
	uint32_t gref; /* 0: not posted */
};

struct nic;

struct nic_queue {
	struct nic *nic;
	struct xenhost_front_ring tx, rx;
	struct guest_port tx_port, rx_port;
	uint32_t tx_frame, rx_frame, tx_gref, rx_gref;
	uint32_t pages[NIC_PAGES];
	struct nic_buffer buffers[NIC_BUFFERS];
	uint16_t places[256]; /* which of them is in a slot of the ring */
};

struct nic {
	struct guest *guest;
	struct front front;
	struct nic_config config;
	unsigned int nr_queues;
	struct nic_queue q[NIC_QUEUES_MAX];
	char tap[16];
	int wire; /* the other side */
};

/* a frame, as it came or is to be sent */
struct nic_frame {
	size_t len;
	uint16_t flags; /* NETRXF_ or NETTXF_ */
	uint8_t gso_type;
	uint16_t gso_size;
	uint8_t data[NIC_FRAME_MAX];
};

/* a guest with a card whose back end waits for us; bridge may be NULL */
void nic_create(struct nic *n, struct set *set, const char *name, const char *bridge);
/* its two halves: what else the toolstack knows goes between */
void nic_make(struct nic *n, struct set *set, const char *name, const char *bridge);
void nic_start(struct nic *n);
/* all that a front end writes before it goes to Connected */
void nic_prepare(struct nic *n, const struct nic_config *config);
/* ... and that */
void nic_connect(struct nic *n, const struct nic_config *config);
/* opens the wire and waits until frames come through it */
void nic_wire_up(struct nic *n);
int nic_open_wire(const char *interface, uint16_t type);
/* after the back end let go: nothing may be in use */
void nic_release(struct nic *n);
void nic_disconnect(struct nic *n);
/* the guest dies */
void nic_close(struct nic *n);

void nic_post(struct nic_queue *q, unsigned int i);
void nic_post_all(struct nic_queue *q);
/*
 * The next frame for the guest, whatever it is: its length, 0 when none came in time, or the status of an
 * error. Its buffers are revoked at once. What a back end must not do fails the test.
 */
int nic_take(struct nic_queue *q, struct nic_frame *frame, int timeout_ms);
/* posts buffers, leaves out frames of another type (the kernel's own) */
int nic_receive(struct nic_queue *q, struct nic_frame *frame, uint16_t type, int timeout_ms);
/* leaves the back end without buffers */
void nic_use_up_buffers(struct nic_queue *q);

void nic_put_tx(struct nic_queue *q, uint32_t gref, uint16_t offset, uint16_t flags, uint16_t id,
		uint16_t size);
/* 10 bytes behind type and flags, or NULL */
void nic_put_extra(struct nic_queue *q, uint8_t type, bool more, const void *body, size_t len);
void nic_push_tx(struct nic_queue *q);
int16_t nic_next_tx(struct nic_queue *q, uint16_t *ret_id);
/*
 * Sends a frame in pieces of `piece` bytes, each at its own offset in its own page; all responses must have
 * the same status, which is returned.
 */
int16_t nic_send(struct nic_queue *q, const struct nic_frame *frame, size_t piece);

/* a frame of our type with contents that follow from len and seed */
void nic_fill(struct nic_frame *frame, size_t len, uint32_t seed);
/* ... that is a probe */
void nic_fill_probe(struct nic_frame *frame, size_t len);
void nic_expect_on_wire(struct nic *n, const struct nic_frame *frame);

bool nic_make_bridge(const char *name);

#endif
