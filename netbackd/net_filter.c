/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "netbackd/net_filter.h"

#define MAC_TEXT_LEN 17u
#define SOURCE 6u
#define TYPE 12u
#define ETHERTYPE_ARP 0x0806
#define ARP_HARDWARE_LEN (TYPE + 2 + 4)
#define ARP_SENDER (TYPE + 2 + 8)

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

bool net_source_is(const uint8_t *headers, size_t len, const uint8_t *mac)
{
	if (len < TYPE + 2 || memcmp(headers + SOURCE, mac, 6))
		return false;
	if (headers[TYPE] << 8 != (ETHERTYPE_ARP & 0xff00) ||
	    headers[TYPE + 1] != (ETHERTYPE_ARP & 0xff))
		return true;
	return len >= ARP_SENDER + 6 && headers[ARP_HARDWARE_LEN] == 6 &&
	       !memcmp(headers + ARP_SENDER, mac, 6);
}
