/* SPDX-License-Identifier: MIT */
/*
 * A hostile front end: the input is the ring page's header, sizes, and a list of steps of both sides.
 * What must hold: no access outside of the page (the address sanitizer watches), never more requests
 * out than the ring has slots, every loop ends.
 * Planted: req_prod held against the ring's size alone, whatever is unanswered: found within 60 s.
 */
#include "config.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <xenhost/ring.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PAGE 4096

struct input {
	const uint8_t *data;
	size_t left;
};

static uint32_t next(struct input *in, size_t bytes)
{
	uint32_t v = 0;

	if (in->left < bytes)
		bytes = in->left;
	memcpy(&v, in->data, bytes);
	in->data += bytes;
	in->left -= bytes;
	return v;
}

static void step(struct xenhost_ring *ring, uint32_t *header, struct input *in)
{
	uint8_t buf[PAGE];

	memset(buf, 0, sizeof(buf));
	switch (next(in, 1) % 8) {
	case 0:
		header[next(in, 1) % 4] = next(in, 4);
		break;
	case 1:
		header[next(in, 1) % 4] += next(in, 1);
		break;
	case 2:
		while (xenhost_ring_get(ring, buf) > 0)
			;
		break;
	case 3:
		while (xenhost_ring_put(ring, buf) == 0)
			;
		break;
	case 4:
		xenhost_ring_push(ring);
		break;
	case 5:
		xenhost_ring_arm(ring, next(in, 4));
		break;
	case 6:
		xenhost_ring_peek(ring, next(in, 4), buf);
		break;
	case 7:
		if (xenhost_ring_get(ring, buf) > 0)
			assert(xenhost_ring_put(ring, buf) == 0);
		break;
	}
	assert(ring->req_cons - ring->rsp_prod <= ring->size);
	assert(ring->req_cons - ring->rsp_prod_pvt <= ring->size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	size_t nr_pages = next(&in, 1) % 5, req = next(&in, 2), rsp = next(&in, 2);
	uint8_t *pages = aligned_alloc(PAGE, (nr_pages ? nr_pages : 1) * PAGE);
	struct xenhost_ring ring;
	uint32_t header[4];

	assert(pages);
	memset(pages, 0, (nr_pages ? nr_pages : 1) * PAGE);
	for (int i = 0; i < 4; i++)
		header[i] = next(&in, 4);
	memcpy(pages, header, sizeof(header));
	if (xenhost_ring_init(&ring, pages, nr_pages, req, rsp) == 0) {
		assert(64 + (size_t)ring.size * ring.slot_size <= nr_pages * PAGE);
		while (in.left)
			step(&ring, (uint32_t *)(void *)pages, &in);
	}
	free(pages);
	return 0;
}
