/* SPDX-License-Identifier: MIT */
/*
 * Bytes as frames; what is one must pass our checks again after packing. (protobuf-c itself takes an unknown
 * field 0 in overlong form and refuses what it packs of that.)
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "common/bridge.h"
#include "common/bridge_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t buf[4 * BRIDGE_MESSAGE_MAX];
	bridge_frame *frame, *again;
	size_t nr_fds = size ? data[0] % 17 : 0;
	long n;
	int r;

	if (size == 0 || bridge_wire_unpack(data + 1, size - 1, nr_fds, &frame) < 0)
		return 0;
	n = bridge_wire_pack(frame, buf, sizeof(buf));
	if (n < 0)
		abort();
	r = bridge_wire_unpack(buf, (size_t)n, nr_fds, &again);
	if (r == 0)
		bridge_wire_free(again);
	else if (r != -EMSGSIZE && r != -EPROTO)
		abort(); /* what passed our checks once must pass them again */
	bridge_wire_free(frame);
	return 0;
}
