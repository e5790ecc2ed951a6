/* SPDX-License-Identifier: MIT */
/*
 * Whatever a Xenstore daemon may send: the first byte says which reader, the rest is in memory of just
 * its size. Planted: an event of one string accepted: found within 60 s.
 */
#include "config.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "libxenhost/store_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_header(const uint8_t *p, size_t len)
{
	struct xh_wire_header header;

	if (len >= XH_WIRE_HEADER && xh_wire_parse(p, &header) == 0)
		assert(header.len <= XH_WIRE_PAYLOAD_MAX);
}

static void try_event(const char *p, size_t len)
{
	const char *path, *token;

	if (xh_wire_event(p, len, &path, &token) == 0)
		assert(path + strlen(path) < token && token + strlen(token) < p + len);
}

static void try_part(const char *p, size_t len)
{
	struct xh_wire_part part;

	if (xh_wire_part(p, len, &part) < 0)
		return;
	assert(part.names + part.len <= p + len);
	assert(part.last || part.len > 0);
	assert(xh_wire_count(part.names, part.len) >= 0);
}

static void try_text(const char *p, size_t len)
{
	struct xenhost_perm perm;
	char buf[XH_WIRE_TOKEN_SIZE];
	uint64_t value;
	uint32_t slot;

	xh_wire_errno(p, len);
	xh_wire_ack(p, len);
	if (xh_wire_number(p, len, 1000, &value) == 0)
		assert(value <= 1000);
	if (xh_wire_count(p, len) < 1)
		return;
	if (xh_wire_token_parse(p, &slot, &value) == 0)
		xh_wire_token_format(slot, value, buf);
	if (xh_wire_perm_parse(p, &perm) == 0)
		assert(xh_wire_perm_format(&perm, buf) > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy;

	if (size == 0)
		return 0;
	copy = malloc(size);
	assert(copy);
	memcpy(copy, data + 1, size - 1);
	copy = realloc(copy, size - 1 ? size - 1 : 1);
	switch (data[0] % 4) {
	case 0:
		try_header((uint8_t *)copy, size - 1);
		break;
	case 1:
		try_event(copy, size - 1);
		break;
	case 2:
		try_part(copy, size - 1);
		break;
	case 3:
		try_text(copy, size - 1);
		break;
	}
	free(copy);
	return 0;
}
