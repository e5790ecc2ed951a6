/* SPDX-License-Identifier: MIT */
/* Whether a guest may send a frame. Pure; headers are a private copy of its first bytes. */
#ifndef NETBACKD_NET_FILTER_H
#define NETBACKD_NET_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "00:16:3e:00:00:01" and nothing else, a unicast address: 0 or -EINVAL */
int net_mac_parse(const char *text, uint8_t *ret_mac);

/* The frame comes from this address, and does not say in ARP that it comes from another. */
bool net_source_is(const uint8_t *headers, size_t len, const uint8_t *mac);

#define NET_ADDRESSES_MAX 16u /* of each kind */

struct net_addresses {
	unsigned int nr4, nr6;
	uint8_t v4[NET_ADDRESSES_MAX][4];
	uint8_t v6[NET_ADDRESSES_MAX][16];
};

/* "192.0.2.1 2001:db8::1", with blanks or commas between: 0, or -EINVAL, then there is none */
int net_addresses_parse(const char *text, struct net_addresses *ret_addresses);

/*
 * The frame is IPv4, IPv6 or ARP, none of it in a VLAN, and comes from one of the addresses, or from none yet (DHCP, probes,
 * an IPv6 link's own); nor does it speak for others in ARP or as a neighbour's advertisement.
 */
bool net_address_is(const uint8_t *headers, size_t len, const struct net_addresses *addresses);

#endif
