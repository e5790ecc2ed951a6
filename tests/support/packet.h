/* SPDX-License-Identifier: MIT */
/* IP packets as a network card sends and gets them. Failures end the test. */
#ifndef TESTS_SUPPORT_PACKET_H
#define TESTS_SUPPORT_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nic_frame;

/* the sum of RFC 1071, folded, of big-endian words */
uint32_t packet_sum16(const uint8_t *p, size_t len, uint32_t sum);
void packet_put_be16(uint8_t *p, uint32_t v);

struct packet {
	bool v6;
	uint8_t protocol; /* IPPROTO_TCP or _UDP */
	uint16_t port;
	uint32_t seq;
	size_t payload; /* its bytes are those of a stream from byte `seq` on */
};

/*
 * From card `from` to card `to` (the last bytes of their addresses). Without `blank` the sum is complete;
 * with it it is that of the pseudo header.
 */
void packet_make(struct nic_frame *frame, const struct packet *p, uint8_t from, uint8_t to,
		 bool blank);
/* the payload's bytes and the headers are those of packet_make(), the sum is right for the frame's flags */
void packet_check(const struct nic_frame *frame, struct packet *ret_packet);
size_t packet_headers(bool v6, uint8_t protocol);

#endif
