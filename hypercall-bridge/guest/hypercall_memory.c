/* SPDX-License-Identifier: MIT */
/* memory_op and grant_table_op. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "common/cleanup.h"
#include "hypercall-bridge/guest/hypercall_table.h"

#define MEMORY_OP_BITS 6
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

/* what a boot loader that keeps some pages leaves for the kernel that it starts */
static int64_t set_memory_map(struct hypercall_guest *g, const struct hypercall *c)
{
	struct {
		uint16_t domid, pad[3];
		uint32_t nr, pad2;
		uint64_t buffer;
	} wide = { 0 };
	struct {
		uint16_t domid, pad;
		uint32_t nr, buffer;
	} narrow;
	struct hypercall_memmap map[HYPERCALL_MEMMAP_MAX];
	int r;

	if (c->long_mode) {
		r = hypercall_fetch(g, c, c->args[1], &wide, sizeof(wide));
	} else {
		r = hypercall_fetch(g, c, c->args[1], &narrow, sizeof(narrow));
		wide.domid = narrow.domid;
		wide.nr = narrow.nr;
		wide.buffer = narrow.buffer;
	}
	if (r < 0)
		return r;
	if (!hypercall_is_self(g, wide.domid))
		return -EPERM;
	if (wide.nr > HYPERCALL_MEMMAP_MAX)
		return -EINVAL;
	for (uint32_t i = 0; i < wide.nr; i++) {
		uint8_t entry[20];

		if (hypercall_fetch(g, c, wide.buffer + i * sizeof(entry), entry, sizeof(entry)))
			return -EFAULT;
		memcpy(&map[i].addr, entry, 8);
		memcpy(&map[i].size, entry + 8, 8);
		memcpy(&map[i].type, entry + 16, 4);
	}
	memcpy(g->memmap, map, wide.nr * sizeof(map[0]));
	g->nr_memmap = wide.nr;
	return 0;
}

static int64_t reservation(struct hypercall_guest *g, const struct hypercall *c)
{
	bool current = (c->args[0] & MEMORY_OP_MASK) == XENMEM_current_reservation;
	uint16_t domid;

	if (hypercall_fetch(g, c, c->args[1], &domid, sizeof(domid)) < 0)
		return -EFAULT;
	if (!hypercall_is_self(g, domid))
		return -EPERM;
	return (int64_t)(current ? g->nr_pages - g->given_away : g->nr_pages);
}

/* --- ballooning --- */

#define LIST_MAX 256 /* frame numbers that are looked at at a time */
#define ORDER_MAX 9  /* as Xen's limit for guests */

struct extents {
	uint64_t list; /* guest virtual */
	uint64_t nr;
	uint32_t order;
	size_t width; /* of a frame number in the list */
};

static int fetch_extents(struct hypercall_guest *g, const struct hypercall *c, struct extents *ret)
{
	struct {
		uint64_t list, nr;
		uint32_t order, flags;
		uint16_t domid;
	} wide;
	struct {
		uint32_t list, nr, order, flags;
		uint16_t domid;
	} narrow;
	uint16_t domid;
	int r;

	if (c->long_mode) {
		r = hypercall_fetch(g, c, c->args[1], &wide, sizeof(wide));
		*ret = (struct extents){ wide.list, wide.nr, wide.order, 8 };
		domid = wide.domid;
	} else {
		r = hypercall_fetch(g, c, c->args[1], &narrow, sizeof(narrow));
		*ret = (struct extents){ narrow.list, narrow.nr, narrow.order, 4 };
		domid = narrow.domid;
	}
	if (r < 0)
		return r;
	if (!hypercall_is_self(g, domid))
		return -EPERM;
	return ret->order > ORDER_MAX ? -EPERM : 0;
}

/* n frame numbers from the list; n <= LIST_MAX */
static int fetch_frames(struct hypercall_guest *g, const struct hypercall *c,
			const struct extents *e, uint64_t first, size_t n, uint64_t *ret_frames)
{
	uint32_t narrow[LIST_MAX];
	uint64_t at;

	if (__builtin_mul_overflow(first, (uint64_t)e->width, &at) ||
	    __builtin_add_overflow(at, e->list, &at))
		return -EFAULT;
	if (e->width == sizeof(*ret_frames))
		return hypercall_fetch(g, c, at, ret_frames, n * sizeof(*ret_frames));
	if (hypercall_fetch(g, c, at, narrow, n * sizeof(*narrow)) < 0)
		return -EFAULT;
	for (size_t i = 0; i < n; i++)
		ret_frames[i] = narrow[i];
	return 0;
}

/* how many extents from frames[0] on follow each other without a gap */
static size_t run_length(const uint64_t *frames, size_t n, uint64_t pages)
{
	size_t i = 1;

	while (i < n && frames[i] == frames[i - 1] + pages)
		i++;
	return i;
}

/* One piece of the list: extents done, fewer than n when one cannot be. */
static size_t balloon_frames(struct hypercall_guest *g, const struct extents *e,
			     const uint64_t *frames, size_t n, bool give)
{
	uint64_t pages = 1ULL << e->order;
	size_t done = 0;

	while (done < n) {
		size_t run = run_length(frames + done, n - done, pages);
		int r;

		if (frames[done] >= GFN_MAX || frames[done] % pages)
			break;
		r = HYPERCALL_OP(g, balloon, frames[done], run * pages, give);
		if (r < 0 && run > 1) { /* which one is it? */
			run = 1;
			r = HYPERCALL_OP(g, balloon, frames[done], pages, give);
		}
		if (r < 0)
			break;
		if (give)
			g->given_away += (uint64_t)r;
		else
			g->given_away -= (uint64_t)r;
		done += run;
	}
	return done;
}

/* The answer is the number of extents done, from the first of the list. */
static int64_t balloon(struct hypercall_guest *g, const struct hypercall *c, bool give)
{
	uint64_t done = (uint32_t)c->args[0] >> MEMORY_OP_BITS, end;
	uint64_t frames[LIST_MAX];
	struct extents e;
	int r = fetch_extents(g, c, &e);

	if (r < 0)
		return r;
	if (!g->ops->balloon)
		return -ENOSYS;
	end = e.nr < done + HYPERCALL_EXTENTS_MAX ? e.nr : done + HYPERCALL_EXTENTS_MAX;
	while (done < end) {
		size_t n = end - done < LIST_MAX ? (size_t)(end - done) : LIST_MAX, part;

		if (fetch_frames(g, c, &e, done, n, frames) < 0)
			break;
		part = balloon_frames(g, &e, frames, n, give);
		done += part;
		if (part < n)
			break;
	}
	return (int64_t)done;
}

static int64_t decrease_reservation(struct hypercall_guest *g, const struct hypercall *c)
{
	return balloon(g, c, true);
}

static int64_t populate_physmap(struct hypercall_guest *g, const struct hypercall *c)
{
	return balloon(g, c, false);
}

static hypercall_fn *const memory_ops[] = {
	/* pages at no address: of no use to a guest whose addresses are not machine addresses */
	[XENMEM_increase_reservation] = hypercall_unsupported,
	[XENMEM_decrease_reservation] = decrease_reservation,
	[XENMEM_populate_physmap] = populate_physmap,
	[XENMEM_current_reservation] = reservation,
	[XENMEM_maximum_reservation] = reservation,
	[XENMEM_add_to_physmap] = add_to_physmap,
	[XENMEM_memory_map] = memory_map,
	[XENMEM_set_memory_map] = set_memory_map,
	[XENMEM_remove_from_physmap] = remove_from_physmap,
};

const struct hypercall_table hypercall_memory_table = { "memory_op", memory_ops,
							ARRAY_SIZE(memory_ops), MEMORY_OP_MASK };

_Static_assert(sizeof(struct gnttab_query_size) == 16, "the ABI's");
_Static_assert(sizeof(struct gnttab_get_version) == 8, "the ABI's");

/* Frame numbers, of the caller's width, behind the grown table's end. */
static int64_t setup_table(struct hypercall_guest *g, const struct hypercall *c)
{
	struct {
		uint16_t dom, pad;
		uint32_t nr;
		int16_t status;
		uint16_t pad2[3];
		uint64_t list;
	} wide;
	struct {
		uint16_t dom, pad;
		uint32_t nr;
		int16_t status;
		uint16_t pad2;
		uint32_t list;
	} narrow;
	const uint64_t status_at = c->args[1] + 8;
	int16_t status = GNTST_okay;
	uint64_t list;
	uint32_t nr;
	uint16_t dom;

	if (c->args[2] != 1)
		return -EINVAL;
	if (c->long_mode ? hypercall_fetch(g, c, c->args[1], &wide, sizeof(wide)) < 0
			 : hypercall_fetch(g, c, c->args[1], &narrow, sizeof(narrow)) < 0)
		return -EFAULT;
	dom = c->long_mode ? wide.dom : narrow.dom;
	nr = c->long_mode ? wide.nr : narrow.nr;
	list = c->long_mode ? wide.list : narrow.list;
	if (!hypercall_is_self(g, dom))
		status = GNTST_permission_denied;
	else if (nr > g->grant_frames_max)
		status = GNTST_general_error;
	else if (nr > g->grant_frames)
		g->grant_frames = nr;
	for (uint32_t i = 0; status == GNTST_okay && i < nr; i++) {
		uint64_t gfn = g->ops->grant_gfn ? g->ops->grant_gfn(g->ctx, i) : UINT64_MAX;
		size_t width = c->long_mode ? 8 : 4;

		if (hypercall_store(g, c, list + i * width, &gfn, width) < 0)
			return -EFAULT;
	}
	return hypercall_store(g, c, status_at, &status, sizeof(status));
}

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
	[GNTTABOP_setup_table] = setup_table,
	[GNTTABOP_query_size] = query_size,
	[GNTTABOP_set_version] = set_version,
	[GNTTABOP_get_version] = get_version,
};

const struct hypercall_table hypercall_grant_table = { "grant_table_op", grant_ops,
						       ARRAY_SIZE(grant_ops), UINT32_MAX };
