/* SPDX-License-Identifier: MIT */
/*
 * Frames in a stream of bytes, as passt(1) and QEMU's "-netdev stream" write them: each behind its length, four
 * bytes, the highest first. Pure.
 */
#ifndef NETBACKD_NET_STREAM_H
#define NETBACKD_NET_STREAM_H

#include <stddef.h>
#include <stdint.h>

#define NET_STREAM_HEAD 4u

/*
 * The first frame of what has come: 1 and its length, its bytes are behind the head; 0 it is not all there, and the
 * length is 0 if not even the head is; -EPROTO no frame has such a length.
 */
int net_stream_next(const uint8_t *data, size_t len, uint32_t *ret_size);

void net_stream_head(uint32_t size, uint8_t head[NET_STREAM_HEAD]);

#endif
