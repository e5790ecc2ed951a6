/* SPDX-License-Identifier: MIT */
/*
 * The node params of an NBD disk: whatever is taken has an address of one of two forms and strings that end.
 * Planted and found within a minute: decode() may write behind its buffer.
 */
#include "config.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "blkbackd/nbd_spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nbd_spec *spec = malloc(sizeof(*spec));
	char *params = malloc(size + 1);

	check(spec && params);
	if (size)
		memcpy(params, data, size);
	params[size] = '\0';
	if (nbd_spec_parse(params, spec) == 0) {
		check(strnlen(spec->address, sizeof(spec->address)) < sizeof(spec->address));
		check(strnlen(spec->export_name, sizeof(spec->export_name)) <
		      sizeof(spec->export_name));
		check(!strncmp(spec->address, "unix:/", 6) ||
		      (!strncmp(spec->address, "tcp:", 4) && strrchr(spec->address, ':')[1]));
	}
	free(spec);
	free(params);
	return 0;
}
