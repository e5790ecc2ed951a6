/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "blkbackd/nbd_spec.h"

#define DEFAULT_PORT "10809"

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* len bytes of a URI with its %XX undone. -EINVAL also for what is no character, or too long */
static int decode(const char *from, size_t len, char *to, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		int c = (unsigned char)from[i];

		if (c == '%') {
			if (len - i < 3 || hex(from[i + 1]) < 0 || hex(from[i + 2]) < 0)
				return -EINVAL;
			c = hex(from[i + 1]) * 16 + hex(from[i + 2]);
			i += 2;
		}
		if (c < ' ' || c == 0x7f || n + 1 >= size)
			return -EINVAL;
		to[n++] = (char)c;
	}
	to[n] = '\0';
	return 0;
}

static bool is_port(const char *s, size_t len)
{
	unsigned int port = 0;

	if (len == 0 || len > 5)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		port = port * 10 + (unsigned int)(s[i] - '0');
	}
	return port > 0 && port < 65536;
}

/* "HOST", "HOST:PORT", "[V6]:PORT" */
static int tcp_address(const char *s, size_t len, char *address)
{
	const char *port = DEFAULT_PORT;
	size_t host = len, port_len = strlen(port);
	int n;

	if (len > 0 && *s == '[') {
		const char *end = memchr(s, ']', len);

		if (!end)
			return -EINVAL;
		host = (size_t)(end - s) + 1;
	} else if (memchr(s, ':', len)) {
		host = (size_t)((const char *)memchr(s, ':', len) - s);
	}
	if (host < len) {
		port = s + host + 1;
		port_len = len - host - 1;
		if (s[host] != ':' || !is_port(port, port_len))
			return -EINVAL;
	}
	if (host == 0 || memchr(s, '@', host) || memchr(s, '%', host))
		return -EINVAL;
	n = snprintf(address, NBD_ADDRESS_MAX, "tcp:%.*s:%.*s", (int)host, s, (int)port_len, port);
	return n < NBD_ADDRESS_MAX ? 0 : -EINVAL;
}

static int unix_address(const char *path, size_t len, char *address)
{
	static const char scheme[] = "unix:";

	memcpy(address, scheme, sizeof(scheme));
	if (decode(path, len, address + strlen(scheme), NBD_ADDRESS_MAX - strlen(scheme)) < 0)
		return -EINVAL;
	return address[strlen(scheme)] == '/' ? 0 : -EINVAL;
}

/* nbd://AUTHORITY/EXPORT */
static int parse_tcp_uri(const char *s, struct nbd_spec *spec)
{
	size_t len = strcspn(s, "/?#");

	if (s[len] && s[len] != '/')
		return -EINVAL;
	if (s[len + strcspn(s + len, "?#")] != '\0')
		return -EINVAL;
	if (tcp_address(s, len, spec->address) < 0)
		return -EINVAL;
	if (s[len] == '\0')
		return 0;
	return decode(s + len + 1, strlen(s + len + 1), spec->export_name,
		      sizeof(spec->export_name));
}

/* nbd+unix:///EXPORT?socket=PATH */
static int parse_unix_uri(const char *s, struct nbd_spec *spec)
{
	static const char key[] = "socket=";
	size_t len = strcspn(s, "?#");

	if (*s != '/' || s[len] != '?' || strncmp(s + len + 1, key, strlen(key)) != 0)
		return -EINVAL;
	if (decode(s + 1, len - 1, spec->export_name, sizeof(spec->export_name)) < 0)
		return -EINVAL;
	s += len + 1 + strlen(key);
	if (s[strcspn(s, "&#")] != '\0')
		return -EINVAL;
	return unix_address(s, strlen(s), spec->address);
}

/* what is behind "nbd:"; nothing is encoded here */
static int parse_old(const char *s, struct nbd_spec *spec)
{
	static const char key[] = ":exportname=", scheme[] = "unix:";
	const char *name = strstr(s, key);
	size_t len = name ? (size_t)(name - s) : strlen(s);
	int n;

	if (name) {
		name += strlen(key);
		if (strlen(name) >= sizeof(spec->export_name))
			return -EINVAL;
		strcpy(spec->export_name, name);
	}
	if (strncmp(s, scheme, strlen(scheme)) != 0)
		return memchr(s, ':', len) ? tcp_address(s, len, spec->address) : -EINVAL;
	n = snprintf(spec->address, sizeof(spec->address), "%.*s", (int)len, s);
	return n < NBD_ADDRESS_MAX && s[strlen(scheme)] == '/' ? 0 : -EINVAL;
}

int nbd_spec_parse(const char *params, struct nbd_spec *ret_spec)
{
	static const struct {
		const char *scheme;
		int (*parse)(const char *s, struct nbd_spec *spec);
	} forms[] = {
		{ "nbd+unix://", parse_unix_uri },
		{ "nbd://", parse_tcp_uri },
		{ "nbd:", parse_old },
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		size_t len = strlen(forms[i].scheme);

		if (strncmp(params, forms[i].scheme, len) == 0) {
			memset(ret_spec, 0, sizeof(*ret_spec));
			return forms[i].parse(params + len, ret_spec);
		}
	}
	return -ENOENT;
}
