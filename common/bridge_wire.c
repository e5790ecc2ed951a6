/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "common/bridge.h"
#include "common/bridge_wire.h"
#include "common/xen.h"

void bridge_wire_free(bridge_frame *frame)
{
	if (frame)
		bridge__frame__free_unpacked(frame, NULL);
}

void bridge_wire_freep(bridge_frame **frame)
{
	bridge_wire_free(*frame);
}

static int check_region(const Bridge__Region *r, size_t nr_fds)
{
	if (r->fd >= nr_fds)
		return -EINVAL;
	if (r->kind < BRIDGE__REGION_KIND__RAM || r->kind > BRIDGE__REGION_KIND__CONSOLE_RING)
		return -EINVAL;
	if ((r->gpa | r->size | r->offset) % XEN_PAGE_SIZE || r->size == 0)
		return -EINVAL;
	/* far below the wrap of off_t, so that sums need no further check */
	if (r->gpa > 1ULL << 52 || r->size > 1ULL << 52 || r->offset > 1ULL << 52)
		return -EINVAL;
	return 0;
}

static int check_regions(Bridge__Region *const *regions, size_t n, size_t nr_fds)
{
	int r = 0;

	if (n > BRIDGE_REGIONS_MAX)
		return -EINVAL;
	for (size_t i = 0; i < n && r == 0; i++)
		r = check_region(regions[i], nr_fds);
	return r;
}

static int check_name(const char *name)
{
	return strnlen(name, BRIDGE_NAME_MAX) < BRIDGE_NAME_MAX ? 0 : -EINVAL;
}

static int check_frame(const bridge_frame *f, size_t nr_fds)
{
	switch (f->body_case) {
	case BRIDGE__FRAME__BODY_HELLO:
		return check_name(f->hello->client);
	case BRIDGE__FRAME__BODY_DOMAIN_CREATE:
		if (check_name(f->domain_create->name) < 0)
			return -EINVAL;
		return check_regions(f->domain_create->regions, f->domain_create->n_regions,
				     nr_fds);
	case BRIDGE__FRAME__BODY_ATTACHED:
		return check_regions(f->attached->regions, f->attached->n_regions, nr_fds);
	case BRIDGE__FRAME__BODY_DOMAIN_QUERY:
		return check_name(f->domain_query->name);
	case BRIDGE__FRAME__BODY_DOMAIN_INFO:
		return check_name(f->domain_info->name);
	case BRIDGE__FRAME__BODY_PORT:
		return nr_fds == 2 ? 0 : -EINVAL;
	case BRIDGE__FRAME__BODY_KEEP:
		return check_name(f->keep->name);
	case BRIDGE__FRAME__BODY_GRANT_LIST:
		return f->grant_list->n_grants <= BRIDGE_GRANT_LIST_MAX ? 0 : -EINVAL;
	case BRIDGE__FRAME__BODY_HYPERCALL:
		return f->hypercall->n_args <= BRIDGE_VALUES_MAX ? 0 : -EINVAL;
	case BRIDGE__FRAME__BODY_HYPERCALL_RESULT:
		return f->hypercall_result->n_results <= BRIDGE_VALUES_MAX ? 0 : -EINVAL;
	case BRIDGE__FRAME__BODY_PORT_LIST:
		return f->port_list->n_ports <= BRIDGE_PORT_LIST_MAX ? 0 : -EINVAL;
	case BRIDGE__FRAME__BODY_KEPT:
		return nr_fds == 1 ? 0 : -EINVAL;
	default:
		return 0;
	}
}

int bridge_wire_unpack(const uint8_t *buf, size_t len, size_t nr_fds, bridge_frame **ret_frame)
{
	bridge_frame *frame;
	int r;

	if (len > BRIDGE_MESSAGE_MAX)
		return -EMSGSIZE;
	frame = bridge__frame__unpack(NULL, len, buf);
	if (!frame)
		return -EPROTO;
	r = check_frame(frame, nr_fds);
	if (r < 0) {
		bridge_wire_free(frame);
		return r;
	}
	*ret_frame = frame;
	return 0;
}

long bridge_wire_pack(const bridge_frame *frame, uint8_t *buf, size_t size)
{
	if (bridge__frame__get_packed_size(frame) > size)
		return -EMSGSIZE;
	return (long)bridge__frame__pack(frame, buf);
}
