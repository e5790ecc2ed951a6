/* SPDX-License-Identifier: MIT */
/*
 * Bytes to frames and back. Pure: no I/O, no clock, no state; what protobuf-c allocates is bounded by
 * BRIDGE_MESSAGE_MAX. The frame is checked for what every receiver relies on: strings within their
 * limits, descriptor indices below nr_fds, page-aligned regions that do not wrap.
 */
#ifndef COMMON_BRIDGE_WIRE_H
#define COMMON_BRIDGE_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "common/bridge.pb-c.h"

typedef Bridge__Frame bridge_frame;

/* -EPROTO when it is no frame, -EMSGSIZE when it is too long, -EINVAL when a field is out of range */
int bridge_wire_unpack(const uint8_t *buf, size_t len, size_t nr_fds, bridge_frame **ret_frame);
void bridge_wire_free(bridge_frame *frame);
void bridge_wire_freep(bridge_frame **frame);

/* bytes written, or -EMSGSIZE */
long bridge_wire_pack(const bridge_frame *frame, uint8_t *buf, size_t size);

#endif
