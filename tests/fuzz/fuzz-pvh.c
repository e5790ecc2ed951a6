/* SPDX-License-Identifier: MIT */
/*
 * A kernel file of any content: bzImage header, its LZ4 stream, ELF headers. tests/planted has mistakes that are
 * found within 60 s.
 */
#include "config.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hypercall-bridge/vmm/bzimage.h"
#include "hypercall-bridge/vmm/pvh.h"
#include "hypercall-bridge/vmm/unpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define UNPACKED_MAX 65536

/* what is promised about a kernel that was found good */
static void check_kernel(const struct pvh_kernel *k, size_t size)
{
	if (k->nr_segments == 0 || k->nr_segments > PVH_SEGMENTS_MAX)
		abort();
	for (unsigned int i = 0; i < k->nr_segments; i++) {
		const struct pvh_segment *s = &k->segments[i];

		if (s->offset > size || s->file_size > size - s->offset ||
		    s->file_size > s->mem_size)
			abort();
		if (s->paddr < k->start || s->paddr + s->mem_size > k->end || k->end > 1ull << 32)
			abort();
	}
}

/* from and into pieces of memory of exactly their size */
static void unpack_lz4_of(const uint8_t *data, const struct bzimage *bz)
{
	size_t room = bz->unpacked_size < UNPACKED_MAX ? bz->unpacked_size : UNPACKED_MAX;
	uint8_t *out, *in;

	if (bz->format != BZIMAGE_LZ4)
		return;
	out = malloc(room);
	in = malloc(bz->size);
	if (!out || !in)
		abort();
	memcpy(in, data + bz->offset, bz->size);
	if (unpack_lz4(in, bz->size, out, room) > (long)room)
		abort();
	free(in);
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pvh_kernel k;
	struct bzimage bz;

	if (pvh_parse(data, size, &k) == PVH_OK)
		check_kernel(&k, size);
	if (bzimage_parse(data, size, &bz) == 0) {
		if (bz.offset > size || bz.size > size - bz.offset)
			abort();
		unpack_lz4_of(data, &bz);
	}
	return 0;
}
