/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/xen.h"
#include "libxenhost/store_wire.h"

_Static_assert(sizeof(struct xsd_sockmsg) == XH_WIRE_HEADER, "ABI");
_Static_assert(XENSTORE_PAYLOAD_MAX == XH_WIRE_PAYLOAD_MAX, "ABI");

int xh_wire_parse(const uint8_t *buf, struct xh_wire_header *ret_header)
{
	struct xsd_sockmsg m;

	memcpy(&m, buf, sizeof(m));
	if (m.len > XH_WIRE_PAYLOAD_MAX)
		return -EPROTO;
	*ret_header = (struct xh_wire_header){ m.type, m.req_id, m.tx_id, m.len };
	return 0;
}

void xh_wire_build(const struct xh_wire_header *header, uint8_t *buf)
{
	struct xsd_sockmsg m = { header->type, header->req_id, header->tx_id, header->len };

	memcpy(buf, &m, sizeof(m));
}

int xh_wire_errno(const char *payload, size_t len)
{
	if (len && payload[len - 1] == '\0')
		len--;
	for (size_t i = 0; i < ARRAY_SIZE(xsd_errors); i++)
		if (strlen(xsd_errors[i].errstring) == len &&
		    !memcmp(xsd_errors[i].errstring, payload, len))
			return xsd_errors[i].errnum;
	return EINVAL;
}

const char *xh_wire_error_name(int error)
{
	for (size_t i = 0; i < ARRAY_SIZE(xsd_errors); i++)
		if (xsd_errors[i].errnum == error)
			return xsd_errors[i].errstring;
	return NULL;
}

int xh_wire_count(const char *payload, size_t len)
{
	int n = 0;

	if (len && payload[len - 1] != '\0')
		return -EPROTO;
	for (size_t i = 0; i < len; i++)
		n += payload[i] == '\0';
	return n;
}

int xh_wire_ack(const char *payload, size_t len)
{
	return len == 3 && !memcmp(payload, "OK", 3) ? 0 : -EPROTO;
}

int xh_wire_event(const char *payload, size_t len, const char **ret_path, const char **ret_token)
{
	if (xh_wire_count(payload, len) < 2)
		return -EPROTO;
	*ret_path = payload;
	*ret_token = payload + strlen(payload) + 1;
	return 0;
}

int xh_wire_number(const char *digits, size_t len, uint64_t max, uint64_t *ret_value)
{
	uint64_t v = 0;

	if (len == 0 || len > 20)
		return -EINVAL;
	for (size_t i = 0; i < len; i++)
		if (digits[i] < '0' || digits[i] > '9')
			return -EINVAL;
	for (size_t i = 0; i < len; i++)
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(digits[i] - '0'), &v))
			return -ERANGE;
	if (v > max)
		return -ERANGE;
	*ret_value = v;
	return 0;
}

int xh_wire_part(const char *payload, size_t len, struct xh_wire_part *ret_part)
{
	struct xh_wire_part part = { 0 };
	size_t n;

	if (xh_wire_count(payload, len) < 1)
		return -EPROTO;
	n = strlen(payload);
	if (xh_wire_number(payload, n, UINT64_MAX, &part.generation) < 0)
		return -EPROTO;
	part.names = payload + n + 1;
	part.len = len - n - 1;
	/* a page without any name could be asked for again and again: it is the last one */
	if (part.len == 0) {
		part.last = true;
	} else if (part.len == 1 || part.names[part.len - 2] == '\0') {
		part.last = true;
		part.len--;
	}
	*ret_part = part;
	return 0;
}

static bool perm_letter(char c)
{
	return c == 'n' || c == 'r' || c == 'w' || c == 'b';
}

int xh_wire_perm_parse(const char *s, struct xenhost_perm *ret_perm)
{
	uint64_t domid;

	if (!perm_letter(*s) || xh_wire_number(s + 1, strlen(s + 1), UINT16_MAX, &domid) < 0)
		return -EPROTO;
	*ret_perm = (struct xenhost_perm){ *s, (uint16_t)domid };
	return 0;
}

int xh_wire_perm_format(const struct xenhost_perm *perm, char buf[XH_WIRE_PERM_SIZE])
{
	if (!perm_letter(perm->letter))
		return -EINVAL;
	return snprintf(buf, XH_WIRE_PERM_SIZE, "%c%" PRIu16, perm->letter, perm->domid);
}

void xh_wire_token_format(uint32_t slot, uint64_t serial, char buf[XH_WIRE_TOKEN_SIZE])
{
	snprintf(buf, XH_WIRE_TOKEN_SIZE, "%" PRIu32 "-%" PRIu64, slot, serial);
}

int xh_wire_token_parse(const char *token, uint32_t *ret_slot, uint64_t *ret_serial)
{
	const char *dash = strchr(token, '-');
	uint64_t slot, serial;

	if (!dash || xh_wire_number(token, (size_t)(dash - token), UINT32_MAX, &slot) < 0 ||
	    xh_wire_number(dash + 1, strlen(dash + 1), UINT64_MAX, &serial) < 0)
		return -EINVAL;
	*ret_slot = (uint32_t)slot;
	*ret_serial = serial;
	return 0;
}
