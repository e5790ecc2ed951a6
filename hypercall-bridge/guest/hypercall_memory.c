/* SPDX-License-Identifier: MIT */
/* memory_op and grant_table_op. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "common/cleanup.h"
#include "hypercall-bridge/guest/hypercall_table.h"

#define MEMORY_OP_MASK 0x3f /* the bits above are where a batch goes on */
#define GFN_MAX (1ULL << 40)

/* xen_add_to_physmap of a 32-bit caller */
struct physmap_32 {
	uint16_t domid;
	uint16_t size;
	uint32_t space;
	uint32_t idx;
	uint32_t gpfn;
};

static int fetch_physmap(struct hypercall_guest *g, const struct hypercall *c,
			 struct xen_add_to_physmap *ret)
{
	struct physmap_32 narrow;
	int r;

	if (c->long_mode)
		return hypercall_fetch(g, c, c->args[1], ret, sizeof(*ret));
	r = hypercall_fetch(g, c, c->args[1], &narrow, sizeof(narrow));
	if (r == 0)
		*ret = (struct xen_add_to_physmap){ narrow.domid, narrow.size, narrow.space,
						    narrow.idx, narrow.gpfn };
	return r;
}

/* Asking for a frame behind the end lets the table grow, up to its limit. */
static int map_grant_frame(struct hypercall_guest *g, uint64_t frame, uint64_t gfn)
{
	int r;

	if (frame >= g->grant_frames_max)
		return -EINVAL;
	r = HYPERCALL_OP(g, map_grant_frame, (uint32_t)frame, gfn);
	if (r == 0 && frame >= g->grant_frames)
		g->grant_frames = (uint32_t)frame + 1;
	return r;
}

static int64_t add_to_physmap(struct hypercall_guest *g, const struct hypercall *c)
{
	struct xen_add_to_physmap arg;

	if (fetch_physmap(g, c, &arg) < 0)
		return -EFAULT;
	if (!hypercall_is_self(g, arg.domid))
		return -EPERM;
	if (arg.gpfn >= GFN_MAX)
		return -EINVAL;
	switch (arg.space) {
	case XENMAPSPACE_shared_info:
		if (arg.idx != 0)
			return -EINVAL;
		return HYPERCALL_OP(g, map_shared_info, arg.gpfn, c->long_mode);
	case XENMAPSPACE_grant_table:
		return map_grant_frame(g, arg.idx, arg.gpfn);
	default:
		return -ENOSYS;
	}
}

static int64_t remove_from_physmap(struct hypercall_guest *g, const struct hypercall *c)
{
	struct xen_remove_from_physmap wide;
	struct {
		uint16_t domid;
		uint16_t pad;
		uint32_t gpfn;
	} narrow;
	int r;

	if (c->long_mode) {
		r = hypercall_fetch(g, c, c->args[1], &wide, sizeof(wide));
	} else {
		r = hypercall_fetch(g, c, c->args[1], &narrow, sizeof(narrow));
		wide.domid = narrow.domid;
		wide.gpfn = narrow.gpfn;
	}
	if (r < 0)
		return r;
	if (!hypercall_is_self(g, wide.domid))
		return -EPERM;
	return wide.gpfn >= GFN_MAX ? -EINVAL : HYPERCALL_OP(g, unmap, wide.gpfn);
}

/* nr_entries, then a pointer of the caller's width */
static int64_t memory_map(struct hypercall_guest *g, const struct hypercall *c)
{
	struct {
		uint32_t nr;
		uint32_t pad;
		uint64_t buffer;
	} wide;
	struct {
		uint32_t nr;
		uint32_t buffer;
	} narrow;
	uint32_t nr;
	uint64_t to;
	int r;

	if (c->long_mode) {
		r = hypercall_fetch(g, c, c->args[1], &wide, sizeof(wide));
		nr = wide.nr;
		to = wide.buffer;
	} else {
		r = hypercall_fetch(g, c, c->args[1], &narrow, sizeof(narrow));
		nr = narrow.nr;
		to = narrow.buffer;
	}
	if (r < 0)
		return r;
	if (nr > g->nr_memmap)
		nr = g->nr_memmap;
	for (uint32_t i = 0; i < nr; i++) {
		uint8_t entry[20]; /* packed e820 */

		memcpy(entry, &g->memmap[i].addr, 8);
		memcpy(entry + 8, &g->memmap[i].size, 8);
		memcpy(entry + 16, &g->memmap[i].type, 4);
		if (hypercall_store(g, c, to + i * sizeof(entry), entry, sizeof(entry)) < 0)
			return -EFAULT;
	}
	return hypercall_store(g, c, c->args[1], &nr, sizeof(nr));
}

static int64_t reservation(struct hypercall_guest *g, const struct hypercall *c)
{
	uint16_t domid;

	if (hypercall_fetch(g, c, c->args[1], &domid, sizeof(domid)) < 0)
		return -EFAULT;
	return hypercall_is_self(g, domid) ? (int64_t)g->nr_pages : -EPERM;
}

static hypercall_fn *const memory_ops[] = {
	[XENMEM_increase_reservation] = NULL,
	[XENMEM_current_reservation] = reservation,
	[XENMEM_maximum_reservation] = reservation,
	[XENMEM_add_to_physmap] = add_to_physmap,
	[XENMEM_memory_map] = memory_map,
	[XENMEM_remove_from_physmap] = remove_from_physmap,
};

const struct hypercall_table hypercall_memory_table = { "memory_op", memory_ops,
							ARRAY_SIZE(memory_ops), MEMORY_OP_MASK };

_Static_assert(sizeof(struct gnttab_query_size) == 16, "the ABI's");
_Static_assert(sizeof(struct gnttab_get_version) == 8, "the ABI's");

static int64_t query_size(struct hypercall_guest *g, const struct hypercall *c)
{
	struct gnttab_query_size arg;

	if (c->args[2] != 1)
		return -EINVAL;
	if (hypercall_fetch(g, c, c->args[1], &arg, sizeof(arg)) < 0)
		return -EFAULT;
	if (hypercall_is_self(g, arg.dom)) {
		arg.nr_frames = g->grant_frames;
		arg.max_nr_frames = g->grant_frames_max;
		arg.status = GNTST_okay;
	} else {
		arg.status = GNTST_permission_denied;
	}
	return hypercall_store(g, c, c->args[1], &arg, sizeof(arg));
}

/* Version 1 only: version 2 buys nothing below 16 TiB of guest memory. */
static int64_t set_version(struct hypercall_guest *g, const struct hypercall *c)
{
	struct gnttab_set_version arg;
	int64_t r;

	if (c->args[2] != 1)
		return -EINVAL;
	if (hypercall_fetch(g, c, c->args[1], &arg, sizeof(arg)) < 0)
		return -EFAULT;
	r = arg.version == 1 ? 0 : -EINVAL;
	arg.version = 1;
	if (hypercall_store(g, c, c->args[1], &arg, sizeof(arg)) < 0)
		return -EFAULT;
	return r;
}

static int64_t get_version(struct hypercall_guest *g, const struct hypercall *c)
{
	struct gnttab_get_version arg;

	if (c->args[2] != 1)
		return -EINVAL;
	if (hypercall_fetch(g, c, c->args[1], &arg, sizeof(arg)) < 0)
		return -EFAULT;
	if (!hypercall_is_self(g, arg.dom))
		return -EPERM;
	arg.version = 1;
	return hypercall_store(g, c, c->args[1], &arg, sizeof(arg));
}

static hypercall_fn *const grant_ops[] = {
	[GNTTABOP_query_size] = query_size,
	[GNTTABOP_set_version] = set_version,
	[GNTTABOP_get_version] = get_version,
};

const struct hypercall_table hypercall_grant_table = { "grant_table_op", grant_ops,
						       ARRAY_SIZE(grant_ops), UINT32_MAX };
