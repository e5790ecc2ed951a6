/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/xen.h"
#include "xenstored/wire.h"

_Static_assert(sizeof(struct wire_header) == sizeof(struct xsd_sockmsg), "header");
_Static_assert(WIRE_HEADER_SIZE == sizeof(struct wire_header), "header");
_Static_assert(WIRE_PAYLOAD_MAX == XENSTORE_PAYLOAD_MAX, "payload");
_Static_assert(WIRE_PATH_MAX == XENSTORE_ABS_PATH_MAX, "path");
_Static_assert((int)WIRE_RM == XS_RM && (int)WIRE_RESET_WATCHES == XS_RESET_WATCHES &&
		       (int)WIRE_DIRECTORY_PART == XS_DIRECTORY_PART,
	       "types");

int wire_peek(const void *buf, size_t len, struct wire_header *ret_header)
{
	struct wire_header h;

	if (len < sizeof(h))
		return 0;
	memcpy(&h, buf, sizeof(h));
	if (h.len > WIRE_PAYLOAD_MAX)
		return -EPROTO;
	*ret_header = h;
	return (int)(sizeof(h) + h.len);
}

int wire_strings(const char *payload, size_t len, struct wire_string *ret_strings, size_t max)
{
	size_t n = 0;

	while (len) {
		const char *nul = memchr(payload, 0, len);

		if (!nul || n == max)
			return -EINVAL;
		ret_strings[n++] = (struct wire_string){ payload, (size_t)(nul - payload) };
		len -= (size_t)(nul - payload) + 1;
		payload = nul + 1;
	}
	return (int)n;
}

int wire_number(const char *s, size_t len, uint64_t max, uint64_t *ret_value)
{
	uint64_t v = 0;

	if (!len)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		unsigned int digit = (unsigned char)s[i] - '0';

		if (digit > 9 || digit > max || v > (max - digit) / 10)
			return -EINVAL;
		v = v * 10 + digit;
	}
	*ret_value = v;
	return 0;
}

int wire_domid(const char *s, size_t len, uint16_t *ret_domid)
{
	uint64_t v;
	int r = wire_number(s, len, UINT16_MAX, &v);

	if (r < 0)
		return r;
	*ret_domid = (uint16_t)v;
	return 0;
}

const char *wire_error_name(int error)
{
	for (size_t i = 0; i < ARRAY_SIZE(xsd_errors); i++)
		if (xsd_errors[i].errnum == error)
			return xsd_errors[i].errstring;
	return "EINVAL";
}

#define BASE "/local/domain/"

size_t wire_domain_prefix(const char *s, size_t len)
{
	size_t n = sizeof(BASE) - 1;

	if (len < n || memcmp(s, BASE, n) != 0)
		return 0;
	while (n < len && s[n] >= '0' && s[n] <= '9')
		n++;
	return n > sizeof(BASE) - 1 && n < len && s[n] == '/' ? n + 1 : 0;
}

/* the characters of names, and '/' */
static bool char_ok(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '-' && c <= '9' && c != '.') ||
	       (c >= '@' && c <= 'Z') || c == '_';
}

/* what follows the leading '/' or '@': names, single slashes between them, none at the end */
static bool names_ok(const char *s, size_t len)
{
	char last = '/';

	for (size_t i = 0; i < len; i++) {
		if (!char_ok((unsigned char)s[i]) || (s[i] == '/' && last == '/'))
			return false;
		last = s[i];
	}
	return last != '/';
}

static int join(const char *s, size_t len, const char *base, char *buf, struct wire_path *p)
{
	size_t n = strlen(base);

	if (n + len > WIRE_PATH_MAX)
		return -EINVAL;
	memcpy(buf, base, n);
	memcpy(buf + n, s, len);
	*p = (struct wire_path){ buf, n + len, (uint32_t)n, false };
	return 0;
}

int wire_path_parse(const char *s, size_t len, const char *base, uint64_t rel_max, bool special_ok,
		    char *buf, struct wire_path *ret_path)
{
	struct wire_path p = { s, len, 0, false };
	size_t prefix;
	int r;

	if (!len || len > WIRE_PATH_MAX)
		return -EINVAL;
	p.special = s[0] == '@';
	if (p.special && !special_ok)
		return -EINVAL;
	if (!p.special && s[0] != '/') {
		r = join(s, len, base, buf, &p);
		if (r < 0)
			return r;
	}
	if (!(p.len == 1 && p.s[0] == '/') && !names_ok(p.s + 1, p.len - 1))
		return -EINVAL;
	prefix = wire_domain_prefix(p.s, p.len);
	if (rel_max && p.len - prefix > rel_max)
		return -EINVAL;
	*ret_path = p;
	return 0;
}
