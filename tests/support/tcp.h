/* SPDX-License-Identifier: MIT */
/*
 * As much of a host with IPv4 as a loopback guest needs to talk to a real one through its card: an address by DHCP, and
 * TCP with one segment on its way. What does not come is sent again. Failures end the test.
 */
#ifndef TESTS_SUPPORT_TCP_H
#define TESTS_SUPPORT_TCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nic_queue;

struct tcp_host {
	struct nic_queue *q;
	uint8_t mac[6], gateway_mac[6];
	uint32_t address, gateway; /* in the machine's byte order, as all here */
	uint16_t mtu;		   /* 0: nobody said */
};

/* asks until somebody answers, then who the gateway is */
void tcp_host_configure(struct tcp_host *h, struct nic_queue *q, const uint8_t mac[6]);

struct tcp {
	struct tcp_host *host;
	uint32_t peer;
	uint16_t own_port, peer_port;
	uint32_t next, expected;
	uint16_t mss; /* that we announce */
	bool again;   /* the last segment has not been looked at completely */
};

void tcp_connect(struct tcp *t, struct tcp_host *h, uint32_t peer, uint16_t port);
/* somebody connects to `port` and sends something, which the caller has seen to (passt acknowledges by that only) */
void tcp_accept(struct tcp *t, struct tcp_host *h, uint16_t port);
/*
 * Sends and waits until it is acknowledged. segment 0: one frame with all sums done; else the sum is left blank, and
 * what is longer than `segment` is left to be cut into such pieces
 */
void tcp_send(struct tcp *t, const uint8_t *data, size_t len, uint16_t segment);
/* exactly len bytes; frames: the longest that brought some, if not NULL */
void tcp_receive(struct tcp *t, uint8_t *data, size_t len, size_t *ret_longest);
/* both sides have closed, the peer's having been first or not */
void tcp_close(struct tcp *t);

#endif
