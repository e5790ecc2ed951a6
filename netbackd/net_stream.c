/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>

#include "netbackd/net_ring.h"
#include "netbackd/net_stream.h"

int net_stream_next(const uint8_t *data, size_t len, uint32_t *ret_size)
{
	uint32_t size;

	*ret_size = 0;
	if (len < NET_STREAM_HEAD)
		return 0;
	size = (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3];
	if (size < NET_FRAME_MIN || size > NET_FRAME_MAX)
		return -EPROTO;
	*ret_size = size;
	return len - NET_STREAM_HEAD >= size;
}

void net_stream_head(uint32_t size, uint8_t head[NET_STREAM_HEAD])
{
	head[0] = (uint8_t)(size >> 24);
	head[1] = (uint8_t)(size >> 16);
	head[2] = (uint8_t)(size >> 8);
	head[3] = (uint8_t)size;
}
