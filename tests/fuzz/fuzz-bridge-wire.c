/* SPDX-License-Identifier: MIT */
/*
 * Bytes as frames: what is taken for one has nothing in it that its readers do not expect, and must pass our
 * checks again after packing. (protobuf-c itself takes an unknown field 0 in overlong form and refuses what it
 * packs of that.) tests/planted has mistakes that are found within 60 s.
 */
#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/bridge.h"
#include "common/bridge_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void check_regions(Bridge__Region *const *regions, size_t n, size_t nr_fds)
{
	check(n <= BRIDGE_REGIONS_MAX);
	for (size_t i = 0; i < n; i++) {
		const Bridge__Region *r = regions[i];

		check(r->fd < nr_fds && r->kind <= BRIDGE__REGION_KIND__CONSOLE_RING);
		check(r->size > 0 && r->size % 4096 == 0 && r->gpa % 4096 == 0 &&
		      r->offset % 4096 == 0);
		check(r->gpa + r->size > r->gpa && r->offset + r->size < INT64_MAX);
	}
}

/* what bridged and its peers take for granted */
static void check_frame(const bridge_frame *f, size_t nr_fds)
{
	switch (f->body_case) {
	case BRIDGE__FRAME__BODY_HELLO:
		check(strlen(f->hello->client) < BRIDGE_NAME_MAX);
		break;
	case BRIDGE__FRAME__BODY_DOMAIN_CREATE:
		check(strlen(f->domain_create->name) < BRIDGE_NAME_MAX);
		check_regions(f->domain_create->regions, f->domain_create->n_regions, nr_fds);
		break;
	case BRIDGE__FRAME__BODY_ATTACHED:
		check_regions(f->attached->regions, f->attached->n_regions, nr_fds);
		break;
	case BRIDGE__FRAME__BODY_DOMAIN_QUERY:
		check(strlen(f->domain_query->name) < BRIDGE_NAME_MAX);
		break;
	case BRIDGE__FRAME__BODY_DOMAIN_INFO:
		check(strlen(f->domain_info->name) < BRIDGE_NAME_MAX);
		break;
	case BRIDGE__FRAME__BODY_KEEP:
		check(strlen(f->keep->name) < BRIDGE_NAME_MAX);
		break;
	case BRIDGE__FRAME__BODY_PORT:
		check(nr_fds == 2);
		break;
	case BRIDGE__FRAME__BODY_KEPT:
		check(nr_fds == 1);
		break;
	case BRIDGE__FRAME__BODY_HYPERCALL:
		check(f->hypercall->n_args <= BRIDGE_VALUES_MAX);
		break;
	case BRIDGE__FRAME__BODY_HYPERCALL_RESULT:
		check(f->hypercall_result->n_results <= BRIDGE_VALUES_MAX);
		break;
	default:
		break;
	}
}

/* protobuf-c takes the same bytes for a frame, and for the same one */
static void check_same(const uint8_t *bytes, size_t len, const bridge_frame *ours)
{
	static uint8_t one[4 * BRIDGE_MESSAGE_MAX], two[sizeof(one)];
	bridge_frame *theirs = bridge__frame__unpack(NULL, len, bytes);
	size_t n;

	check(!!theirs == !!ours);
	if (!ours)
		return;
	n = bridge__frame__get_packed_size(ours);
	check(n <= sizeof(one) && n == bridge__frame__get_packed_size(theirs));
	bridge__frame__pack(ours, one);
	bridge__frame__pack(theirs, two);
	check(memcmp(one, two, n) == 0 && ours->body_case == theirs->body_case);
	check(bridge_wire_pack(ours, two, sizeof(two)) == (long)n && memcmp(one, two, n) == 0);
	bridge__frame__free_unpacked(theirs, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t buf[4 * BRIDGE_MESSAGE_MAX];
	bridge_frame *frame, *again;
	size_t nr_fds = size ? data[0] % 17 : 0;
	long n;
	int r;

	r = size ? bridge_wire_unpack(data + 1, size - 1, nr_fds, &frame) : -EPROTO;
	if (size && (r == 0 || r == -EPROTO))
		check_same(data + 1, size - 1, r == 0 ? frame : NULL);
	if (r < 0)
		return 0;
	check_frame(frame, nr_fds);
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
