/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "netbackd/net_filter.h"

#define MAC_TEXT_LEN 17u
#define SOURCE 6u
#define TYPE 12u
#define ETHERTYPE_ARP 0x0806
#define ARP_HARDWARE_LEN (TYPE + 2 + 4)
#define ARP_SENDER (TYPE + 2 + 8)
#define ARP_SENDER_IP (ARP_SENDER + 6)
#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_IPV6 0x86dd
#define IP (TYPE + 2)
#define IPV4_SOURCE (IP + 12)
#define IPV6_NEXT (IP + 6)
#define IPV6_SOURCE (IP + 8)
#define IPV6_PAYLOAD (IP + 40)
#define ICMP6_ADVERTISEMENT 136
#define ICMP6_TARGET (IPV6_PAYLOAD + 8)
#define ADDRESS_TEXT_MAX 45u

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at;

	if (c >= 'A' && c <= 'F')
		c = (char)(c - 'A' + 'a');
	at = c ? strchr(digits, c) : NULL;
	return at ? (int)(at - digits) : -EINVAL;
}

int net_mac_parse(const char *text, uint8_t *ret_mac)
{
	uint8_t mac[6];

	if (strlen(text) != MAC_TEXT_LEN)
		return -EINVAL;
	for (unsigned int i = 0; i < 6; i++) {
		int high = hex_digit(text[i * 3]), low = hex_digit(text[i * 3 + 1]);

		if (high < 0 || low < 0 || (i < 5 && text[i * 3 + 2] != ':'))
			return -EINVAL;
		mac[i] = (uint8_t)(high << 4 | low);
	}
	if (mac[0] & 1)
		return -EINVAL;
	memcpy(ret_mac, mac, sizeof(mac));
	return 0;
}

static unsigned int type_of(const uint8_t *headers)
{
	return (unsigned int)headers[TYPE] << 8 | headers[TYPE + 1];
}

bool net_source_is(const uint8_t *headers, size_t len, const uint8_t *mac)
{
	if (len < TYPE + 2 || memcmp(headers + SOURCE, mac, 6))
		return false;
	if (type_of(headers) != ETHERTYPE_ARP)
		return true;
	return len >= ARP_SENDER + 6 && headers[ARP_HARDWARE_LEN] == 6 &&
	       !memcmp(headers + ARP_SENDER, mac, 6);
}

/* ---- addresses of IP ---- */

static int add_address(struct net_addresses *a, const char *word, size_t len)
{
	char text[ADDRESS_TEXT_MAX + 1];
	uint8_t address[16];

	if (len > ADDRESS_TEXT_MAX)
		return -EINVAL;
	memcpy(text, word, len);
	text[len] = '\0';
	if (inet_pton(AF_INET, text, address) == 1 && a->nr4 < NET_ADDRESSES_MAX)
		memcpy(a->v4[a->nr4++], address, 4);
	else if (inet_pton(AF_INET6, text, address) == 1 && a->nr6 < NET_ADDRESSES_MAX)
		memcpy(a->v6[a->nr6++], address, 16);
	else
		return -EINVAL;
	return 0;
}

int net_addresses_parse(const char *text, struct net_addresses *ret_addresses)
{
	static const char between[] = " ,\t\n";
	struct net_addresses a = { 0 };
	int r = 0;

	for (text += strspn(text, between); *text && r == 0; text += strspn(text, between)) {
		size_t len = strcspn(text, between);

		r = add_address(&a, text, len);
		text += len;
	}
	*ret_addresses = r == 0 ? a : (struct net_addresses){ 0 };
	return r;
}

static bool own4(const uint8_t *address, const struct net_addresses *a)
{
	static const uint8_t none[4];

	for (unsigned int i = 0; i < a->nr4; i++)
		if (!memcmp(address, a->v4[i], 4))
			return true;
	return !memcmp(address, none, 4);
}

/* fe80::/10 is worth nothing beyond the link, and guests choose it themselves */
static bool own6(const uint8_t *address, const struct net_addresses *a)
{
	static const uint8_t none[16];

	for (unsigned int i = 0; i < a->nr6; i++)
		if (!memcmp(address, a->v6[i], 16))
			return true;
	return !memcmp(address, none, 16) || (address[0] == 0xfe && (address[1] & 0xc0) == 0x80);
}

/* Extension headers before it are no way round: hosts take no advertisement with them. */
static bool speaks_for_others(const uint8_t *headers, size_t len, const struct net_addresses *a)
{
	if (headers[IPV6_NEXT] != IPPROTO_ICMPV6 || len <= IPV6_PAYLOAD ||
	    headers[IPV6_PAYLOAD] != ICMP6_ADVERTISEMENT)
		return false;
	return len < ICMP6_TARGET + 16 || !own6(headers + ICMP6_TARGET, a);
}

bool net_address_is(const uint8_t *headers, size_t len, const struct net_addresses *addresses)
{
	if (len < TYPE + 2)
		return false;
	switch (type_of(headers)) {
	case ETHERTYPE_ARP:
		return len >= ARP_SENDER_IP + 4 && own4(headers + ARP_SENDER_IP, addresses);
	case ETHERTYPE_IPV4:
		return len >= IPV4_SOURCE + 4 && own4(headers + IPV4_SOURCE, addresses);
	case ETHERTYPE_IPV6:
		return len >= IPV6_SOURCE + 16 && own6(headers + IPV6_SOURCE, addresses) &&
		       !speaks_for_others(headers, len, addresses);
	default:
		return false;
	}
}
