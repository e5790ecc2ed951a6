/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "common/ifname.h"
#include "tools/xl_spec.h"

#define SPEC_MAX 1024
#define MTU_MIN 68
#define MTU_MAX 65521
#define DEVIDS_MAX 4096
#define RATE_INTERVAL_US 50000
#define RATE_MAX (1ULL << 40) /* bytes a second */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static const char *set_mac(void *spec, const char *text)
{
	struct xl_vif *v = spec;

	if (strlen(text) != 17)
		return "it is no address: six times two hexadecimal digits, with colons";
	for (int i = 0; i < 6; i++) {
		int high = hex_digit(text[3 * i]), low = hex_digit(text[3 * i + 1]);

		if (high < 0 || low < 0 || (i < 5 && text[3 * i + 2] != ':'))
			return "it is no address: six times two hexadecimal digits, with colons";
		v->mac[i] = (uint8_t)(high << 4 | low);
	}
	v->has_mac = true;
	return v->mac[0] & 1 ? "it is the address of a group, not of a card" : NULL;
}

/* "" is as if the key were not there */
static const char *set_device(char *where, const char *text)
{
	if (strlen(text) > IFNAME_LEN_MAX)
		return "the name is too long: a network device's has 15 characters";
	if (*text && !ifname_ok(text))
		return "it is no name of a network device: letters, digits, dots, dashes and _";
	strcpy(where, text);
	return NULL;
}

static const char *set_bridge(void *spec, const char *text)
{
	return set_device(((struct xl_vif *)spec)->bridge, text);
}

static const char *set_vifname(void *spec, const char *text)
{
	return set_device(((struct xl_vif *)spec)->vifname, text);
}

static const char *parse_number(const char *s, uint64_t max, uint64_t *ret_number)
{
	uint64_t n = 0;

	if (*s < '0' || *s > '9')
		return NULL;
	for (; *s >= '0' && *s <= '9'; s++) {
		n = n * 10 + (uint64_t)(*s - '0');
		if (n > max)
			return NULL;
	}
	*ret_number = n;
	return s;
}

struct unit {
	const char *name;
	uint64_t times, by;
};

/* what follows a number is one of these names, and then one of the characters of end */
static const char *parse_unit(const char *s, const struct unit *units, const char *end,
			      uint64_t *number)
{
	size_t len = strcspn(s, end);

	for (; units->name; units++)
		if (strlen(units->name) == len && !memcmp(units->name, s, len)) {
			*number = *number * units->times / units->by;
			return s + len;
		}
	return NULL;
}

/* 10Mb/s@20ms: what may pass in each such time */
static const char *set_rate(void *spec, const char *text)
{
	static const struct unit sizes[] = { { "GB", 1000000000, 1 }, { "MB", 1000000, 1 },
					     { "KB", 1000, 1 },	      { "B", 1, 1 },
					     { "Gb", 1000000000, 8 }, { "Mb", 1000000, 8 },
					     { "Kb", 1000, 8 },	      { "b", 1, 8 },
					     { NULL, 0, 0 } };
	static const struct unit times[] = {
		{ "s", 1000000, 1 }, { "ms", 1000, 1 }, { "us", 1, 1 }, { "", 1, 1 }, { NULL, 0, 0 }
	};
	static const char why[] = "it is no rate: 10Mb/s, 250KB/s or 1MB/s@20ms";
	struct xl_vif *v = spec;
	uint64_t bytes, us = RATE_INTERVAL_US;
	const char *s;

	if (!*text)
		return NULL;
	s = parse_number(text, RATE_MAX, &bytes);
	s = s ? parse_unit(s, sizes, "/", &bytes) : NULL;
	if (!s || strncmp(s, "/s", 2) != 0 || bytes > RATE_MAX)
		return why;
	s += 2;
	if (*s == '@') {
		s = parse_number(s + 1, 60000000, &us);
		s = s ? parse_unit(s, times, "", &us) : NULL;
	}
	if (!s || *s || us == 0 || us > 60000000)
		return why;
	v->rate_us = (uint32_t)us;
	v->rate_bytes = bytes * us / 1000000;
	if (bytes && !v->rate_bytes)
		v->rate_bytes = 1;
	return NULL;
}

static const char *set_mtu(void *spec, const char *text)
{
	uint64_t mtu;
	const char *end = parse_number(text, MTU_MAX, &mtu);

	if (!end || *end || mtu < MTU_MIN)
		return "it is no MTU: 68 to 65521";
	((struct xl_vif *)spec)->mtu = (unsigned int)mtu;
	return NULL;
}

static const char *set_devid(void *spec, const char *text)
{
	uint64_t devid;
	const char *end = parse_number(text, DEVIDS_MAX - 1, &devid);

	if (!end || *end)
		return "it is no number of a card: 0 to 4095";
	((struct xl_vif *)spec)->devid = (int)devid;
	return NULL;
}

static const char *set_backend(void *spec, const char *text)
{
	return *text && strcmp(text, "0") != 0 && strcmp(text, "Domain-0") != 0
		       ? "cards are served by xenhost-netbackd: leave it out"
		       : NULL;
}

static const char *set_script(void *spec, const char *text)
{
	const char *name = strrchr(text, '/');

	((struct xl_vif *)spec)->has_script =
		*text && strcmp(name ? name + 1 : text, "vif-bridge") != 0;
	return NULL;
}

static const char *set_gatewaydev(void *spec, const char *text)
{
	((struct xl_vif *)spec)->has_gatewaydev = *text != '\0';
	return NULL;
}

static const char *set_user(void *spec, const char *text)
{
	((struct xl_vif *)spec)->user = true;
	return NULL;
}

const struct xl_spec_key xl_vif_keys[] = {
	{ "mac", "ADDRESS", XL_USED, "without it one is made from the guest's uuid, in Xen's range",
	  set_mac },
	{ "bridge", "NAME", XL_USED, "the host's bridge that the card is joined to (xenbr0)",
	  set_bridge },
	{ "vifname", "NAME", XL_USED, "the TAP device on the host (vifDOMID.DEVID)", set_vifname },
	{ "rate", "RATE", XL_USED, "what the guest may send: 10Mb/s, 250KB/s, 1MB/s@20ms",
	  set_rate },
	{ "mtu", "BYTES", XL_USED, "the card's largest packet", set_mtu },
	{ "devid", "NUMBER", XL_USED, "the card's number; without it the place in the list",
	  set_devid },
	{ "trusted", NULL, XL_USED, "advice for the front end (default)", xl_spec_trusted },
	{ "untrusted", NULL, XL_USED, "advice for the front end: the node trusted is 0",
	  xl_spec_untrusted },
	{ "user", NULL, XL_USED,
	  "not of xl: no bridge and no TAP, but the host's network through passt(1)", set_user },
	{ "backend", "DOMAIN", XL_REFUSED,
	  "cards are served by xenhost-netbackd; only 0 and Domain-0 are taken, for that",
	  set_backend },
	{ "script", "PATH", XL_IGNORED,
	  "no scripts are run: xenhost-netbackd joins the card to its bridge itself", set_script },
	{ "ip", "ADDRESS", XL_IGNORED, "it is for scripts; see anti-spoof in xenhost-netbackd(8)",
	  NULL },
	{ "gatewaydev", "NAME", XL_IGNORED, "it is for scripts that route", set_gatewaydev },
	{ "netdev", "NAME", XL_IGNORED, "as gatewaydev", set_gatewaydev },
	{ "type", "TYPE", XL_IGNORED, "it is for HVM guests: all cards are vif", NULL },
	{ "model", "MODEL", XL_IGNORED, "it is for HVM guests", NULL },
	{ NULL, NULL, XL_USED, NULL, NULL },
};

#define KEYS_MAX (sizeof(xl_vif_keys) / sizeof(*xl_vif_keys))

static const char *set_part(struct xl_vif *v, const char *part, char *given)
{
	const char *equals = strchr(part, '=');
	const size_t len = equals ? (size_t)(equals - part) : strlen(part);

	const int i = xl_spec_find(xl_vif_keys, part, len, !equals);

	if (i < 0)
		return equals ? "there is no such key of a network card" : "write KEY=VALUE";
	if (given[i])
		return "it is there twice";
	given[i] = 1;
	return xl_vif_keys[i].set ? xl_vif_keys[i].set(v, equals ? equals + 1 : "") : NULL;
}

int xl_vif_parse(const char *spec, struct xl_vif *ret_vif, const char **ret_why, char *ret_word)
{
	struct xl_vif vif = { .devid = -1 };
	char text[SPEC_MAX], given[KEYS_MAX] = { 0 }, *part = text, *next;

	*ret_why = NULL;
	snprintf(ret_word, XL_WORD_MAX, "%s", spec);
	if (strlen(spec) >= sizeof(text)) {
		*ret_why = "it is too long";
		return -EINVAL;
	}
	memcpy(text, spec, strlen(spec) + 1);
	for (; part; part = next) {
		next = strchr(part, ',');
		if (next)
			*next++ = '\0';
		part = xl_spec_trim(part);
		if (!*part)
			continue;
		snprintf(ret_word, XL_WORD_MAX, "%s", part);
		*ret_why = set_part(&vif, part, given);
		if (*ret_why)
			return -EINVAL;
	}
	if (vif.user && (*vif.bridge || *vif.vifname)) {
		*ret_why = "user goes without bridge and vifname";
		return -EINVAL;
	}
	*ret_vif = vif;
	return 0;
}
