/* SPDX-License-Identifier: MIT */
/*
 * Paths as xenstored tells them in events, and front-end paths as a folder names them.
 * Planted: a device's own path taken for one of its nodes: found within 60 s.
 */
#include "config.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "libxenhost/xenbus.h"

#define ROOT "/r"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *path = malloc(size + 1);
	const char *node = NULL;
	uint32_t devid = 0;
	uint16_t front = 0;
	int what;

	assert(path);
	memcpy(path, data, size);
	path[size] = '\0';
	what = xh_xenbus_event(ROOT, path, &front, &devid, &node);
	assert(what <= 3);
	assert((what == 3) == (node != NULL));
	if (node)
		assert(node > path && node <= path + strlen(path));
	assert(front <= XH_XENBUS_DOMID_MAX);
	if (xh_xenbus_front_path(path, 7))
		assert(!strncmp(path, "/local/domain/7/", 16));
	free(path);
	return 0;
}
