/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls of a guest with eight pages of memory. Neighbouring virtual pages are not neighbours in
 * physical memory, and one of them is missing, so that every way to cross a page is met.
 */
#include "config.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/xen.h"
#include "hypercall-bridge/guest/hypercall.h"
#include "tests/support/unit.h"

#define BASE 0x10000ull /* virtual address of the first page */
#define PAGES 8
#define HOLE 5
#define PAGE 4096ull
#define VA(page, offset) (BASE + (page)*PAGE + (offset))

static uint8_t memory[PAGES][PAGE];
static struct hypercall_guest g;

/* what the ops were told */
static struct {
	int opened, closed, moved, sent, unmasked, shutdowns, unknowns;
	int open_result;
	int ballooned, balloon_calls;
	uint32_t last_port;
	uint64_t gfn, gpa, timer;
	uint32_t frame;
	unsigned int vcpu, reason;
	uint8_t vector;
	bool long_mode;
	char text[64];
} seen;

static int gpa_of(void *ctx, unsigned int vcpu, uint64_t gva, uint64_t *ret_gpa)
{
	uint64_t page = (gva - BASE) / PAGE;

	if (gva < BASE || page >= PAGES || page == HOLE)
		return -EFAULT;
	*ret_gpa = (PAGES - 1 - page) * PAGE + gva % PAGE;
	return 0;
}

static void *host_of(void *ctx, uint64_t gpa)
{
	return gpa / PAGE < PAGES ? &memory[gpa / PAGE][gpa % PAGE] : NULL;
}

static uint8_t *at(uint64_t gva)
{
	uint64_t gpa;

	ck_assert_int_eq(gpa_of(NULL, 0, gva, &gpa), 0);
	return host_of(NULL, gpa);
}

static int map_shared_info(void *ctx, uint64_t gfn, bool long_mode)
{
	seen.gfn = gfn;
	seen.long_mode = long_mode;
	return 0;
}

static int map_grant_frame(void *ctx, uint32_t frame, uint64_t gfn)
{
	seen.frame = frame;
	seen.gfn = gfn;
	return gfn == 666 ? -EBUSY : 0;
}

static int unmap(void *ctx, uint64_t gfn)
{
	seen.gfn = gfn;
	return 0;
}

static int note_area(void *ctx, unsigned int vcpu, uint64_t gpa)
{
	seen.vcpu = vcpu;
	seen.gpa = gpa;
	return 0;
}

static int vcpu_timer(void *ctx, unsigned int vcpu, uint64_t abs_ns)
{
	seen.vcpu = vcpu;
	seen.timer = abs_ns;
	return 0;
}

static int upcall_vector(void *ctx, unsigned int vcpu, uint8_t vector)
{
	seen.vcpu = vcpu;
	seen.vector = vector;
	return 0;
}

static int port_opened(void *ctx, uint32_t port)
{
	seen.opened++;
	seen.last_port = port;
	return seen.open_result;
}

static void port_closed(void *ctx, uint32_t port, const struct port *old)
{
	seen.closed++;
	seen.last_port = port;
}

static void port_moved(void *ctx, uint32_t port)
{
	seen.moved++;
}

static int port_send(void *ctx, uint32_t port)
{
	seen.sent++;
	return 0;
}

static int port_unmask(void *ctx, uint32_t port)
{
	seen.unmasked++;
	return 0;
}

static int op_shutdown(void *ctx, unsigned int reason)
{
	seen.shutdowns++;
	seen.reason = reason;
	return 0;
}

static void console_write(void *ctx, const char *text, size_t len)
{
	size_t used = strlen(seen.text);

	if (used + len < sizeof(seen.text))
		memcpy(seen.text + used, text, len);
}

static void unknown(void *ctx, uint64_t nr, uint64_t op)
{
	seen.unknowns++;
}

static uint64_t grant_gfn(void *ctx, uint32_t frame)
{
	return frame < 2 ? 0x1000 + frame : UINT64_MAX;
}

/* pages 100 to 199 are given away already; 1000 and above are none */
static int balloon(void *ctx, uint64_t gfn, uint64_t nr, bool give)
{
	int changed = 0;

	if (gfn + nr > 1000)
		return -EINVAL;
	for (uint64_t i = gfn; i < gfn + nr; i++)
		changed += give == (i < 100 || i > 199);
	seen.ballooned += (int)nr;
	seen.balloon_calls++;
	return changed;
}

static const struct hypercall_ops ops = {
	.gpa_of = gpa_of,
	.host_of = host_of,
	.map_shared_info = map_shared_info,
	.map_grant_frame = map_grant_frame,
	.unmap = unmap,
	.grant_gfn = grant_gfn,
	.balloon = balloon,
	.vcpu_info = note_area,
	.vcpu_time_area = note_area,
	.vcpu_runstate_area = note_area,
	.vcpu_timer = vcpu_timer,
	.upcall_vector = upcall_vector,
	.port_opened = port_opened,
	.port_closed = port_closed,
	.port_moved = port_moved,
	.port_send = port_send,
	.port_unmask = port_unmask,
	.shutdown = op_shutdown,
	.console_write = console_write,
	.unknown = unknown,
};

static void setup(void)
{
	memset(memory, 0xa5, sizeof(memory));
	memset(&seen, 0, sizeof(seen));
	hypercall_guest_init(&g, &ops, NULL, 2);
	g.domid = 3;
	g.nr_pages = 65536;
	g.grant_frames_max = 32;
	g.nr_memmap = 2;
	g.memmap[0] = (struct hypercall_memmap){ 0, 0x10000000, 1 };
	g.memmap[1] = (struct hypercall_memmap){ 0xfeff0000, 0x1000, 3 };
}

static void teardown(void)
{
}

static int64_t call_mode(bool long_mode, uint64_t nr, uint64_t a0, uint64_t a1, uint64_t a2)
{
	struct hypercall c = { .long_mode = long_mode, .nr = nr, .args = { a0, a1, a2 } };

	return hypercall_answer(&g, &c);
}

static int64_t call(uint64_t nr, uint64_t a0, uint64_t a1, uint64_t a2)
{
	return call_mode(true, nr, a0, a1, a2);
}

static int64_t evtchn(uint64_t op, uint64_t arg)
{
	return call(__HYPERVISOR_event_channel_op, op, arg, 0);
}

/* writes a structure to the guest at gva, which may cross pages */
static void poke(uint64_t gva, const void *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		*at(gva + i) = ((const uint8_t *)data)[i];
}

static void peek(uint64_t gva, void *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((uint8_t *)data)[i] = *at(gva + i);
}

#define POKE(gva, value) poke(gva, &(value), sizeof(value))
#define PEEK(gva, value) peek(gva, &(value), sizeof(value))

/* --- pointers --- */

/* every split of a structure over two pages gives the same answer */
START_TEST(crossing_pages)
{
	for (uint64_t n = 0; n <= sizeof(struct xen_hvm_param); n++) {
		struct xen_hvm_param arg = { .domid = DOMID_SELF, .index = HVM_PARAM_CONSOLE_PFN };
		uint64_t gva = VA(1, PAGE - n);

		g.params[HVM_PARAM_CONSOLE_PFN] = 0x1122334455667788;
		POKE(gva, arg);
		ck_assert_int_eq(call(__HYPERVISOR_hvm_op, HVMOP_get_param, gva, 0), 0);
		PEEK(gva, arg);
		ck_assert_uint_eq(arg.value, 0x1122334455667788);
	}
}
END_TEST

START_TEST(bad_pointers)
{
	static const uint64_t bad[] = {
		0,
		1,
		BASE - 1,
		VA(HOLE, 0),
		VA(HOLE, -1ull),
		VA(PAGES, -1ull),
		VA(PAGES, 0),
		0x7fffffffffff,
		0x800000000000,
		UINT64_MAX,
		UINT64_MAX - 100,
		UINT64_MAX - 4096,
	};
	static const struct {
		uint64_t nr, op;
		int arg; /* which one is the pointer */
	} calls[] = {
		{ __HYPERVISOR_memory_op, XENMEM_add_to_physmap, 1 },
		{ __HYPERVISOR_memory_op, XENMEM_remove_from_physmap, 1 },
		{ __HYPERVISOR_memory_op, XENMEM_memory_map, 1 },
		{ __HYPERVISOR_memory_op, XENMEM_current_reservation, 1 },
		{ __HYPERVISOR_xen_version, XENVER_extraversion, 1 },
		{ __HYPERVISOR_xen_version, XENVER_capabilities, 1 },
		{ __HYPERVISOR_xen_version, XENVER_get_features, 1 },
		{ __HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, 1 },
		{ __HYPERVISOR_event_channel_op, EVTCHNOP_bind_interdomain, 1 },
		{ __HYPERVISOR_event_channel_op, EVTCHNOP_bind_virq, 1 },
		{ __HYPERVISOR_event_channel_op, EVTCHNOP_bind_ipi, 1 },
		{ __HYPERVISOR_event_channel_op, EVTCHNOP_close, 1 },
		{ __HYPERVISOR_event_channel_op, EVTCHNOP_send, 1 },
		{ __HYPERVISOR_event_channel_op, EVTCHNOP_status, 1 },
		{ __HYPERVISOR_event_channel_op, EVTCHNOP_bind_vcpu, 1 },
		{ __HYPERVISOR_event_channel_op, EVTCHNOP_unmask, 1 },
		{ __HYPERVISOR_event_channel_op, EVTCHNOP_reset, 1 },
		{ __HYPERVISOR_hvm_op, HVMOP_set_param, 1 },
		{ __HYPERVISOR_hvm_op, HVMOP_get_param, 1 },
		{ __HYPERVISOR_hvm_op, HVMOP_set_evtchn_upcall_vector, 1 },
		{ __HYPERVISOR_grant_table_op, GNTTABOP_query_size, 1 },
		{ __HYPERVISOR_grant_table_op, GNTTABOP_set_version, 1 },
		{ __HYPERVISOR_grant_table_op, GNTTABOP_get_version, 1 },
		{ __HYPERVISOR_sched_op, SCHEDOP_shutdown, 1 },
		{ __HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 2 },
		{ __HYPERVISOR_vcpu_op, VCPUOP_register_runstate_memory_area, 2 },
		{ __HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_time_memory_area, 2 },
		{ __HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, 2 },
	};

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
			bool grant = calls[i].nr == __HYPERVISOR_grant_table_op;
			uint64_t a1 = calls[i].arg == 1 ? bad[k] : 0;
			uint64_t a2 = calls[i].arg == 2 ? bad[k] : grant;

			ck_assert_int_eq(call(calls[i].nr, calls[i].op, a1, a2), -EFAULT);
		}
	ck_assert_int_eq(seen.opened + seen.sent + seen.shutdowns, 0);
}
END_TEST

static int gpa_anywhere(void *ctx, unsigned int vcpu, uint64_t gva, uint64_t *ret_gpa)
{
	*ret_gpa = gva % PAGE;
	return 0;
}

/* both the last and the first page of the address space are there, but no structure is in both */
START_TEST(wrapping_pointers)
{
	struct hypercall_ops all = ops;

	all.gpa_of = gpa_anywhere;
	g.ops = &all;
	ck_assert_int_eq(call(__HYPERVISOR_xen_version, XENVER_extraversion, -16ull, 0), -EFAULT);
	ck_assert_int_eq(call(__HYPERVISOR_xen_version, XENVER_extraversion, -8ull, 0), -EFAULT);
	ck_assert_int_eq(call(__HYPERVISOR_xen_version, XENVER_get_features, -4ull, 0), -EFAULT);
	ck_assert_int_eq(call(__HYPERVISOR_xen_version, XENVER_extraversion, -17ull, 0), 0);
}
END_TEST

/* a 32-bit caller has no memory above 4 GiB, not even by an overhang */
START_TEST(pointers_of_32_bit)
{
	struct hypercall_ops all = ops;

	all.gpa_of = gpa_anywhere;
	g.ops = &all;
	ck_assert_int_eq(
		call_mode(false, __HYPERVISOR_xen_version, XENVER_extraversion, 0xfffffff0, 0), 0);
	ck_assert_int_eq(
		call_mode(false, __HYPERVISOR_xen_version, XENVER_get_features, 0xfffffffc, 0),
		-EFAULT);
	ck_assert_int_eq(
		call_mode(false, __HYPERVISOR_xen_version, XENVER_get_features, 0x100010000, 0),
		-EFAULT);
}
END_TEST

START_TEST(user_mode)
{
	struct hypercall c = { .long_mode = true, .cpl = 3, .nr = __HYPERVISOR_xen_version };

	ck_assert_int_eq(hypercall_answer(&g, &c), -EPERM);
	c.cpl = 0;
	ck_assert_int_eq(hypercall_answer(&g, &c), HYPERCALL_XEN_VERSION);
}
END_TEST

START_TEST(unknown_ones)
{
	ck_assert_int_eq(call(99, 0, 0, 0), -ENOSYS);
	ck_assert_int_eq(call(99, 7, 0, 0), -ENOSYS);
	ck_assert_int_eq(seen.unknowns, 1);
	ck_assert_int_eq(call(UINT64_MAX, UINT64_MAX, 0, 0), -ENOSYS);
	ck_assert_int_eq(seen.unknowns, 1);
	ck_assert_int_eq(call(__HYPERVISOR_hvm_op, 77, 0, 0), -ENOSYS);
	ck_assert_int_eq(call(__HYPERVISOR_hvm_op, UINT32_MAX, 0, 0), -ENOSYS);
	ck_assert_int_eq(seen.unknowns, 2);
	/* one that tries everything is told of a few times */
	for (unsigned int op = 24; op < 64; op++)
		ck_assert_int_eq(call(__HYPERVISOR_vcpu_op, op, 0, 0), -ENOSYS);
	ck_assert_int_eq(seen.unknowns, 2 + 8);
	seen.unknowns = 2;
	/* tried by every guest: no need to say so */
	ck_assert_int_eq(evtchn(EVTCHNOP_init_control, VA(0, 0)), -ENOSYS);
	ck_assert_int_eq(call(__HYPERVISOR_hvm_op, HVMOP_pagetable_dying, 0, 0), -ENOSYS);
	ck_assert_int_eq(seen.unknowns, 2);
}
END_TEST

/*
 * All that PVH guests were seen or are known to use and to need: Linux from 5.10 to 6.12, GRUB, OVMF for Xen, Mini-OS.
 * Some never come to us, as KVM answers them (send, yield, poll, timers): they are here for a KVM that does not.
 */
START_TEST(ones_that_guests_use)
{
	static const struct {
		uint8_t nr, op;
	} used[] = {
		{ __HYPERVISOR_memory_op, XENMEM_decrease_reservation },
		{ __HYPERVISOR_memory_op, XENMEM_populate_physmap },
		{ __HYPERVISOR_memory_op, XENMEM_current_reservation },
		{ __HYPERVISOR_memory_op, XENMEM_maximum_reservation },
		{ __HYPERVISOR_memory_op, XENMEM_add_to_physmap },
		{ __HYPERVISOR_memory_op, XENMEM_remove_from_physmap },
		{ __HYPERVISOR_memory_op, XENMEM_memory_map },
		{ __HYPERVISOR_set_timer_op, 0 },
		{ __HYPERVISOR_xen_version, XENVER_version },
		{ __HYPERVISOR_xen_version, XENVER_extraversion },
		{ __HYPERVISOR_xen_version, XENVER_compile_info },
		{ __HYPERVISOR_xen_version, XENVER_capabilities },
		{ __HYPERVISOR_xen_version, XENVER_changeset },
		{ __HYPERVISOR_xen_version, XENVER_platform_parameters },
		{ __HYPERVISOR_xen_version, XENVER_get_features },
		{ __HYPERVISOR_xen_version, XENVER_pagesize },
		{ __HYPERVISOR_xen_version, XENVER_guest_handle },
		{ __HYPERVISOR_console_io, CONSOLEIO_write },
		{ __HYPERVISOR_grant_table_op, GNTTABOP_setup_table },
		{ __HYPERVISOR_grant_table_op, GNTTABOP_query_size },
		{ __HYPERVISOR_grant_table_op, GNTTABOP_set_version },
		{ __HYPERVISOR_grant_table_op, GNTTABOP_get_version },
		{ __HYPERVISOR_vm_assist, VMASST_CMD_enable },
		{ __HYPERVISOR_vcpu_op, VCPUOP_is_up },
		{ __HYPERVISOR_vcpu_op, VCPUOP_register_runstate_memory_area },
		{ __HYPERVISOR_vcpu_op, VCPUOP_stop_periodic_timer },
		{ __HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer },
		{ __HYPERVISOR_vcpu_op, VCPUOP_stop_singleshot_timer },
		{ __HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info },
		{ __HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_time_memory_area },
		{ __HYPERVISOR_sched_op, SCHEDOP_yield },
		{ __HYPERVISOR_sched_op, SCHEDOP_block },
		{ __HYPERVISOR_sched_op, SCHEDOP_shutdown },
		{ __HYPERVISOR_sched_op, SCHEDOP_poll },
		{ __HYPERVISOR_event_channel_op, EVTCHNOP_bind_interdomain },
		{ __HYPERVISOR_event_channel_op, EVTCHNOP_bind_virq },
		{ __HYPERVISOR_event_channel_op, EVTCHNOP_close },
		{ __HYPERVISOR_event_channel_op, EVTCHNOP_send },
		{ __HYPERVISOR_event_channel_op, EVTCHNOP_status },
		{ __HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound },
		{ __HYPERVISOR_event_channel_op, EVTCHNOP_bind_ipi },
		{ __HYPERVISOR_event_channel_op, EVTCHNOP_bind_vcpu },
		{ __HYPERVISOR_event_channel_op, EVTCHNOP_unmask },
		{ __HYPERVISOR_event_channel_op, EVTCHNOP_reset },
		{ __HYPERVISOR_hvm_op, HVMOP_set_param },
		{ __HYPERVISOR_hvm_op, HVMOP_get_param },
		{ __HYPERVISOR_hvm_op, HVMOP_set_evtchn_upcall_vector },
	};

	for (size_t i = 0; i < ARRAY_SIZE(used); i++)
		for (int mode = 0; mode < 2; mode++) {
			memset(memory, 0, sizeof(memory));
			ck_assert_msg(call_mode(mode, used[i].nr, used[i].op, VA(0, 0), 0) !=
					      -ENOSYS,
				      "hypercall %u, op %u", used[i].nr, used[i].op);
		}
	ck_assert_int_eq(seen.unknowns, 0);
}
END_TEST

/* an op that the owner does not have */
START_TEST(missing_op)
{
	static const struct hypercall_ops bare = { .gpa_of = gpa_of, .host_of = host_of };
	struct evtchn_bind_ipi arg = { .vcpu = 0 };

	g.ops = &bare;
	POKE(VA(0, 0), arg);
	ck_assert_int_eq(evtchn(EVTCHNOP_bind_ipi, VA(0, 0)), -ENOSYS);
	ck_assert_ptr_null(ports_get(&g.ports, 1));
	ck_assert_int_eq(call(__HYPERVISOR_vcpu_op, VCPUOP_is_up, 0, 0), -ENOSYS);
	ck_assert_int_eq(call(__HYPERVISOR_console_io, CONSOLEIO_write, 1, VA(0, 0)), -ENOSYS);
	ck_assert_int_eq(call(99, 0, 0, 0), -ENOSYS);
}
END_TEST

/* --- version, parameters --- */

START_TEST(versions)
{
	struct xen_feature_info arg = { .submap_idx = 0 };
	char text[16];

	ck_assert_int_eq(call(__HYPERVISOR_xen_version, XENVER_extraversion, VA(0, 8), 0), 0);
	peek(VA(0, 8), text, sizeof(text));
	ck_assert_str_eq(text, HYPERCALL_EXTRAVERSION);
	ck_assert_uint_eq(*at(VA(0, 24)), 0xa5);
	POKE(VA(0, 0), arg);
	ck_assert_int_eq(call(__HYPERVISOR_xen_version, XENVER_get_features, VA(0, 0), 0), 0);
	PEEK(VA(0, 0), arg);
	ck_assert_uint_eq(arg.submap, 0x12305);
	arg.submap_idx = 1;
	POKE(VA(0, 0), arg);
	ck_assert_int_eq(call(__HYPERVISOR_xen_version, XENVER_get_features, VA(0, 0), 0), -EINVAL);
}
END_TEST

static int64_t set_param(uint16_t domid, uint32_t index, uint64_t value)
{
	struct xen_hvm_param arg = { .domid = domid, .index = index, .value = value };

	POKE(VA(0, 0), arg);
	return call(__HYPERVISOR_hvm_op, HVMOP_set_param, VA(0, 0), 0);
}

START_TEST(params)
{
	struct xen_hvm_param arg = { .domid = 9, .index = 1 };

	ck_assert_int_eq(set_param(DOMID_SELF, HVM_PARAM_CALLBACK_IRQ, 1), 0);
	ck_assert_int_eq(set_param(3, HVM_PARAM_CALLBACK_IRQ, 0x02000000000000f3), 0);
	ck_assert_uint_eq(seen.vector, 0xf3);
	ck_assert_uint_eq(seen.vcpu, HYPERCALL_ALL_VCPUS);
	ck_assert_uint_eq(g.params[HVM_PARAM_CALLBACK_IRQ], 0x02000000000000f3);
	ck_assert_int_eq(set_param(DOMID_SELF, HVM_PARAM_CALLBACK_IRQ, 0x0200000000000003),
			 -EINVAL);
	ck_assert_int_eq(set_param(DOMID_SELF, HVM_PARAM_CALLBACK_IRQ, 9), -EINVAL);
	ck_assert_int_eq(set_param(DOMID_SELF, HVM_PARAM_CALLBACK_IRQ, 1ull << 56), -EINVAL);
	ck_assert_int_eq(set_param(4, HVM_PARAM_CALLBACK_IRQ, 1), -EPERM);
	ck_assert_int_eq(set_param(DOMID_SELF, HVM_PARAM_STORE_PFN, 1), -EPERM);
	ck_assert_int_eq(set_param(DOMID_SELF, HVM_NR_PARAMS, 1), -EINVAL);
	ck_assert_int_eq(set_param(DOMID_SELF, UINT32_MAX, 1), -EINVAL);
	POKE(VA(0, 0), arg);
	ck_assert_int_eq(call(__HYPERVISOR_hvm_op, HVMOP_get_param, VA(0, 0), 0), -EPERM);
}
END_TEST

START_TEST(vectors)
{
	struct xen_hvm_evtchn_upcall_vector arg = { .vcpu = 1, .vector = 0xf3 };

	POKE(VA(0, 0), arg);
	ck_assert_int_eq(call(__HYPERVISOR_hvm_op, HVMOP_set_evtchn_upcall_vector, VA(0, 0), 0), 0);
	ck_assert_uint_eq(seen.vcpu, 1);
	arg.vcpu = 2;
	POKE(VA(0, 0), arg);
	ck_assert_int_eq(call(__HYPERVISOR_hvm_op, HVMOP_set_evtchn_upcall_vector, VA(0, 0), 0),
			 -ENOENT);
	arg.vcpu = UINT32_MAX; /* must not be taken for "all" */
	POKE(VA(0, 0), arg);
	ck_assert_int_eq(call(__HYPERVISOR_hvm_op, HVMOP_set_evtchn_upcall_vector, VA(0, 0), 0),
			 -ENOENT);
	arg.vcpu = 0;
	arg.vector = 0xf;
	POKE(VA(0, 0), arg);
	ck_assert_int_eq(call(__HYPERVISOR_hvm_op, HVMOP_set_evtchn_upcall_vector, VA(0, 0), 0),
			 -EINVAL);
}
END_TEST

/* --- memory --- */

static int64_t physmap(uint16_t domid, unsigned int space, uint64_t idx, uint64_t gfn)
{
	struct xen_add_to_physmap arg = { .domid = domid, .space = space, .idx = idx, .gpfn = gfn };

	POKE(VA(0, 0), arg);
	return call(__HYPERVISOR_memory_op, XENMEM_add_to_physmap, VA(0, 0), 0);
}

START_TEST(add_to_physmap)
{
	ck_assert_int_eq(physmap(DOMID_SELF, XENMAPSPACE_shared_info, 0, 0x10), 0);
	ck_assert(seen.gfn == 0x10 && seen.long_mode);
	ck_assert_int_eq(physmap(DOMID_SELF, XENMAPSPACE_shared_info, 1, 0x10), -EINVAL);
	ck_assert_int_eq(physmap(1, XENMAPSPACE_shared_info, 0, 0x10), -EPERM);
	ck_assert_int_eq(physmap(DOMID_SELF, XENMAPSPACE_shared_info, 0, 1ull << 52), -EINVAL);
	ck_assert_int_eq(physmap(DOMID_SELF, XENMAPSPACE_shared_info, 0, UINT64_MAX), -EINVAL);
	ck_assert_int_eq(physmap(DOMID_SELF, XENMAPSPACE_gmfn_foreign, 0, 0x10), -ENOSYS);
}
END_TEST

START_TEST(grant_frames)
{
	ck_assert_int_eq(physmap(DOMID_SELF, XENMAPSPACE_grant_table, 4, 0x100), 0);
	ck_assert_uint_eq(seen.frame, 4);
	ck_assert_uint_eq(g.grant_frames, 5);
	ck_assert_int_eq(physmap(DOMID_SELF, XENMAPSPACE_grant_table, 0, 0x101), 0);
	ck_assert_uint_eq(g.grant_frames, 5);
	ck_assert_int_eq(physmap(DOMID_SELF, XENMAPSPACE_grant_table, 31, 666), -EBUSY);
	ck_assert_uint_eq(g.grant_frames, 5);
	ck_assert_int_eq(physmap(DOMID_SELF, XENMAPSPACE_grant_table, 32, 0x102), -EINVAL);
	ck_assert_int_eq(physmap(DOMID_SELF, XENMAPSPACE_grant_table, 1ull << 32, 0x102), -EINVAL);
	ck_assert_int_eq(
		physmap(DOMID_SELF, XENMAPSPACE_grant_table, XENMAPIDX_grant_table_status, 0x102),
		-EINVAL);
}
END_TEST

START_TEST(physmap_of_32_bit)
{
	static const uint32_t arg[] = { DOMID_SELF, XENMAPSPACE_grant_table, 2, 0x345 };

	POKE(VA(0, 0), arg);
	ck_assert_int_eq(
		call_mode(false, __HYPERVISOR_memory_op, XENMEM_add_to_physmap, VA(0, 0), 0), 0);
	ck_assert(seen.frame == 2 && seen.gfn == 0x345);
}
END_TEST

START_TEST(grant_sizes)
{
	struct gnttab_query_size arg = { .dom = DOMID_SELF, .status = 99 };

	POKE(VA(0, 0), arg);
	ck_assert_int_eq(call(__HYPERVISOR_grant_table_op, GNTTABOP_query_size, VA(0, 0), 1), 0);
	PEEK(VA(0, 0), arg);
	ck_assert(arg.nr_frames == 1 && arg.max_nr_frames == 32 && arg.status == GNTST_okay);
	arg.dom = 7;
	POKE(VA(0, 0), arg);
	ck_assert_int_eq(call(__HYPERVISOR_grant_table_op, GNTTABOP_query_size, VA(0, 0), 1), 0);
	PEEK(VA(0, 0), arg);
	ck_assert_int_eq(arg.status, GNTST_permission_denied);
	ck_assert_int_eq(call(__HYPERVISOR_grant_table_op, GNTTABOP_query_size, VA(0, 0), 2),
			 -EINVAL);
}
END_TEST

START_TEST(grant_setup)
{
	struct {
		uint16_t dom, pad;
		uint32_t nr;
		int16_t status;
		uint16_t pad2[3];
		uint64_t list;
	} arg = { .dom = DOMID_SELF, .nr = 3, .status = 77, .list = VA(1, 0) };
	struct {
		uint16_t dom, pad;
		uint32_t nr;
		int16_t status;
		uint16_t pad2;
		uint32_t list;
	} narrow = { DOMID_SELF, 0, 2, 77, 0, (uint32_t)VA(1, 0) };
	uint64_t gfns[3] = { 0 };
	uint32_t short_gfns[3] = { 7, 7, 7 };

	POKE(VA(0, 0), arg);
	ck_assert_int_eq(call(__HYPERVISOR_grant_table_op, GNTTABOP_setup_table, VA(0, 0), 1), 0);
	PEEK(VA(0, 0), arg);
	PEEK(VA(1, 0), gfns);
	ck_assert_int_eq(arg.status, GNTST_okay);
	ck_assert_uint_eq(gfns[1], 0x1001);
	ck_assert_uint_eq(gfns[2], UINT64_MAX);
	ck_assert_uint_eq(g.grant_frames, 3);
	arg.nr = 33;
	POKE(VA(0, 0), arg);
	ck_assert_int_eq(call(__HYPERVISOR_grant_table_op, GNTTABOP_setup_table, VA(0, 0), 1), 0);
	PEEK(VA(0, 0), arg);
	ck_assert_int_eq(arg.status, GNTST_general_error);
	POKE(VA(0, 0), narrow);
	POKE(VA(1, 0), short_gfns);
	ck_assert_int_eq(
		call_mode(false, __HYPERVISOR_grant_table_op, GNTTABOP_setup_table, VA(0, 0), 1),
		0);
	PEEK(VA(1, 0), short_gfns);
	ck_assert_uint_eq(short_gfns[1], 0x1001);
	ck_assert_uint_eq(short_gfns[2], 7);
}
END_TEST

START_TEST(new_memory_map)
{
	struct {
		uint16_t domid, pad[3];
		uint32_t nr, pad2;
		uint64_t buffer;
	} arg = { .domid = DOMID_SELF, .nr = 2, .buffer = VA(1, PAGE - 30) };
	struct {
		uint64_t addr, size;
		uint32_t type;
	} __attribute__((packed)) map[2] = { { 0, 0x9000, 1 }, { 0x9000, 0x1000, 2 } };

	POKE(VA(0, 0), arg);
	POKE(VA(1, PAGE - 30), map);
	ck_assert_int_eq(call(__HYPERVISOR_memory_op, XENMEM_set_memory_map, VA(0, 0), 0), 0);
	ck_assert_uint_eq(g.nr_memmap, 2);
	ck_assert_uint_eq(g.memmap[1].addr, 0x9000);
	ck_assert_uint_eq(g.memmap[1].type, 2);
	arg.nr = 129;
	POKE(VA(0, 0), arg);
	ck_assert_int_eq(call(__HYPERVISOR_memory_op, XENMEM_set_memory_map, VA(0, 0), 0), -EINVAL);
	arg.nr = 2;
	arg.domid = 9;
	POKE(VA(0, 0), arg);
	ck_assert_int_eq(call(__HYPERVISOR_memory_op, XENMEM_set_memory_map, VA(0, 0), 0), -EPERM);
	ck_assert_uint_eq(g.nr_memmap, 2);
}
END_TEST

START_TEST(grant_versions)
{
	struct gnttab_set_version arg = { .version = 2 };

	POKE(VA(0, 0), arg);
	ck_assert_int_eq(call(__HYPERVISOR_grant_table_op, GNTTABOP_set_version, VA(0, 0), 1),
			 -EINVAL);
	PEEK(VA(0, 0), arg);
	ck_assert_uint_eq(arg.version, 1);
	ck_assert_int_eq(call(__HYPERVISOR_grant_table_op, GNTTABOP_set_version, VA(0, 0), 1), 0);
}
END_TEST

static void check_entry(uint64_t gva, const struct hypercall_memmap *m)
{
	uint8_t entry[20];

	peek(gva, entry, sizeof(entry));
	ck_assert_mem_eq(entry, &m->addr, 8);
	ck_assert_mem_eq(entry + 8, &m->size, 8);
	ck_assert_mem_eq(entry + 16, &m->type, 4);
}

struct reservation {
	uint64_t list, nr;
	uint32_t order, flags;
	uint16_t domid, pad[3];
};

static int64_t memory_op(uint64_t op, uint64_t nr, uint32_t order)
{
	struct reservation arg = {
		.list = VA(1, 0), .nr = nr, .order = order, .domid = DOMID_SELF
	};

	POKE(VA(0, 0), arg);
	return call(__HYPERVISOR_memory_op, op, VA(0, 0), 0);
}

static int64_t current_pages(void)
{
	uint16_t domid = DOMID_SELF;

	POKE(VA(0, 0), domid);
	return call(__HYPERVISOR_memory_op, XENMEM_current_reservation, VA(0, 0), 0);
}

static void put_frames(uint64_t first, uint64_t step, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		uint64_t frame = first + i * step;

		POKE(VA(1, i * 8), frame);
	}
}

START_TEST(ballooning)
{
	put_frames(10, 1, 512);
	ck_assert_int_eq(memory_op(XENMEM_decrease_reservation, 60, 0), 60);
	ck_assert_int_eq(seen.balloon_calls, 1); /* neighbours go together */
	ck_assert_int_eq(current_pages(), 65536 - 60);
	/* 40 of these are given away already */
	put_frames(90, 1, 50);
	ck_assert_int_eq(memory_op(XENMEM_decrease_reservation, 50, 0), 50);
	ck_assert_int_eq(current_pages(), 65536 - 70);
	/* the first one that cannot be ends it, and the number done is told */
	put_frames(990, 1, 20);
	ck_assert_int_eq(memory_op(XENMEM_decrease_reservation, 20, 0), 10);
	/* larger pieces: aligned ones only */
	put_frames(0, 16, 4);
	ck_assert_int_eq(memory_op(XENMEM_decrease_reservation, 4, 4), 4);
	ck_assert_int_eq(memory_op(XENMEM_decrease_reservation, 4, 5), 1);
	ck_assert_int_eq(memory_op(XENMEM_decrease_reservation, 1, 10), -EPERM);
	/* a list that goes on where the last call stopped */
	put_frames(0, 2, 100);
	seen.ballooned = 0;
	ck_assert_int_eq(memory_op(XENMEM_populate_physmap | 40 << 6, 100, 0), 100);
	ck_assert_int_eq(seen.ballooned, 60);
}
END_TEST

START_TEST(ballooning_is_bounded)
{
	for (unsigned int page = 1; page < HOLE; page++)
		memset(at(VA(page, 0)), 0, PAGE);
	/* the list ends where the memory does */
	ck_assert_int_eq(memory_op(XENMEM_decrease_reservation, UINT64_MAX, 0), 2048);
	ck_assert_int_le(seen.ballooned, HYPERCALL_EXTENTS_MAX);
	ck_assert_int_eq(memory_op(XENMEM_decrease_reservation | UINT32_MAX << 6, UINT64_MAX, 0),
			 UINT32_MAX >> 6);
}
END_TEST

START_TEST(ballooning_of_32_bit)
{
	uint32_t frames[3] = { 5, 6, 7 };
	struct {
		uint32_t list, nr, order, flags;
		uint16_t domid;
	} arg = { (uint32_t)VA(1, 0), 3, 0, 0, DOMID_SELF };

	POKE(VA(1, 0), frames);
	POKE(VA(0, 0), arg);
	ck_assert_int_eq(
		call_mode(false, __HYPERVISOR_memory_op, XENMEM_decrease_reservation, VA(0, 0), 0),
		3);
	ck_assert_int_eq(seen.ballooned, 3);
	arg.domid = 9;
	POKE(VA(0, 0), arg);
	ck_assert_int_eq(
		call_mode(false, __HYPERVISOR_memory_op, XENMEM_decrease_reservation, VA(0, 0), 0),
		-EPERM);
}
END_TEST

START_TEST(memory_map)
{
	uint64_t arg[] = { 128, VA(1, PAGE - 30) };
	uint32_t narrow[] = { 1, (uint32_t)VA(2, 100) };

	POKE(VA(0, 0), arg);
	ck_assert_int_eq(call(__HYPERVISOR_memory_op, XENMEM_memory_map, VA(0, 0), 0), 0);
	PEEK(VA(0, 0), arg);
	ck_assert_uint_eq((uint32_t)arg[0], 2);
	check_entry(VA(1, PAGE - 30), &g.memmap[0]);
	check_entry(VA(1, PAGE - 10), &g.memmap[1]);
	POKE(VA(0, 0), narrow);
	ck_assert_int_eq(call_mode(false, __HYPERVISOR_memory_op, XENMEM_memory_map, VA(0, 0), 0),
			 0);
	check_entry(VA(2, 100), &g.memmap[0]);
	ck_assert_uint_eq(*at(VA(2, 120)), 0xa5);
	arg[0] = 128;
	arg[1] = VA(HOLE, -25ull);
	POKE(VA(0, 0), arg);
	ck_assert_int_eq(call(__HYPERVISOR_memory_op, XENMEM_memory_map, VA(0, 0), 0), -EFAULT);
}
END_TEST

/* --- ports --- */

static int64_t bind_ipi(unsigned int vcpu, uint32_t *ret_port)
{
	struct evtchn_bind_ipi arg = { .vcpu = vcpu };
	int64_t r;

	POKE(VA(0, 0), arg);
	r = evtchn(EVTCHNOP_bind_ipi, VA(0, 0));
	PEEK(VA(0, 0), arg);
	*ret_port = arg.port;
	return r;
}

START_TEST(port_life)
{
	struct evtchn_status status = { .dom = DOMID_SELF };
	uint32_t port, vcpu_arg[2];

	ck_assert_int_eq(bind_ipi(1, &port), 0);
	ck_assert(port == 1 && seen.last_port == 1);
	status.port = port;
	POKE(VA(0, 0), status);
	ck_assert_int_eq(evtchn(EVTCHNOP_status, VA(0, 0)), 0);
	PEEK(VA(0, 0), status);
	ck_assert(status.status == EVTCHNSTAT_ipi && status.vcpu == 1);
	vcpu_arg[0] = port;
	vcpu_arg[1] = 0;
	POKE(VA(0, 0), vcpu_arg);
	ck_assert_int_eq(evtchn(EVTCHNOP_bind_vcpu, VA(0, 0)), -EINVAL);
	POKE(VA(0, 0), port);
	ck_assert_int_eq(evtchn(EVTCHNOP_send, VA(0, 0)), 0);
	ck_assert_int_eq(evtchn(EVTCHNOP_unmask, VA(0, 0)), 0);
	ck_assert_int_eq(evtchn(EVTCHNOP_close, VA(0, 0)), 0);
	ck_assert_int_eq(evtchn(EVTCHNOP_close, VA(0, 0)), -EINVAL);
	ck_assert_int_eq(evtchn(EVTCHNOP_send, VA(0, 0)), -EINVAL);
	ck_assert_int_eq(evtchn(EVTCHNOP_unmask, VA(0, 0)), -EINVAL);
	ck_assert(seen.sent == 1 && seen.unmasked == 1 && seen.closed == 1 && seen.moved == 0);
}
END_TEST

START_TEST(bad_port_numbers)
{
	static const uint32_t bad[] = { 0, 1, PORTS_MAX - 1, PORTS_MAX, UINT32_MAX };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint32_t arg[2] = { bad[i], 0 };

		POKE(VA(0, 0), arg);
		ck_assert_int_eq(evtchn(EVTCHNOP_send, VA(0, 0)), -EINVAL);
		ck_assert_int_eq(evtchn(EVTCHNOP_close, VA(0, 0)), -EINVAL);
		ck_assert_int_eq(evtchn(EVTCHNOP_unmask, VA(0, 0)), -EINVAL);
		ck_assert_int_eq(evtchn(EVTCHNOP_bind_vcpu, VA(0, 0)), -EINVAL);
	}
	ck_assert_int_eq(seen.sent + seen.closed + seen.unmasked + seen.moved, 0);
}
END_TEST

START_TEST(failed_open_leaves_nothing)
{
	uint32_t port;

	seen.open_result = -ENOSPC;
	ck_assert_int_eq(bind_ipi(0, &port), -ENOSPC);
	ck_assert_ptr_null(ports_get(&g.ports, 1));
	ck_assert_int_eq(seen.closed, 0);
}
END_TEST

static bool unmapped;

static int gpa_until_unmapped(void *ctx, unsigned int vcpu, uint64_t gva, uint64_t *ret_gpa)
{
	return unmapped ? -EFAULT : gpa_of(ctx, vcpu, gva, ret_gpa);
}

static int unmap_while_opening(void *ctx, uint32_t port)
{
	unmapped = true;
	return port_opened(ctx, port);
}

/* The guest takes the page away while its port is being opened: it does not get the port. */
START_TEST(undelivered_port)
{
	struct evtchn_bind_virq arg = { .virq = VIRQ_TIMER, .vcpu = 0 };
	struct hypercall_ops racing = ops;

	racing.gpa_of = gpa_until_unmapped;
	racing.port_opened = unmap_while_opening;
	g.ops = &racing;
	unmapped = false;
	POKE(VA(0, 0), arg);
	ck_assert_int_eq(evtchn(EVTCHNOP_bind_virq, VA(0, 0)), -EFAULT);
	ck_assert(seen.opened == 1 && seen.closed == 1);
	ck_assert_ptr_null(ports_get(&g.ports, 1));
	ck_assert_uint_eq(ports_of_virq(&g.ports, VIRQ_TIMER, 0), 0);
}
END_TEST

START_TEST(alloc_and_bind)
{
	struct evtchn_alloc_unbound alloc = { .dom = DOMID_SELF, .remote_dom = 32000 };
	struct evtchn_bind_interdomain join = { .remote_dom = 32001, .remote_port = 17 };

	POKE(VA(0, 0), alloc);
	ck_assert_int_eq(evtchn(EVTCHNOP_alloc_unbound, VA(0, 0)), 0);
	ck_assert_uint_eq(ports_get(&g.ports, 1)->remote_domid, 32000);
	alloc.dom = 4;
	POKE(VA(0, 0), alloc);
	ck_assert_int_eq(evtchn(EVTCHNOP_alloc_unbound, VA(0, 0)), -EPERM);
	POKE(VA(0, 0), join);
	ck_assert_int_eq(evtchn(EVTCHNOP_bind_interdomain, VA(0, 0)), 0);
	PEEK(VA(0, 0), join);
	ck_assert_uint_eq(join.local_port, 2);
	ck_assert_uint_eq(ports_get(&g.ports, 2)->remote_port, 17);
}
END_TEST

START_TEST(ports_run_out)
{
	uint32_t port, domid = DOMID_SELF;
	int64_t r = 0;

	for (int i = 1; i < PORTS_MAX; i++)
		ck_assert_int_eq(bind_ipi(0, &port), 0);
	r = bind_ipi(0, &port);
	ck_assert_int_eq(r, -ENOSPC);
	POKE(VA(0, 0), domid);
	ck_assert_int_eq(evtchn(EVTCHNOP_reset, VA(0, 0)), 0);
	ck_assert_int_eq(seen.closed, PORTS_MAX - 1);
	ck_assert_int_eq(bind_ipi(0, &port), 0);
	ck_assert_uint_eq(port, 1);
}
END_TEST

START_TEST(virq_is_not_sent)
{
	struct evtchn_bind_virq arg = { .virq = VIRQ_TIMER, .vcpu = 1 };

	POKE(VA(0, 0), arg);
	ck_assert_int_eq(evtchn(EVTCHNOP_bind_virq, VA(0, 0)), 0);
	PEEK(VA(0, 0), arg);
	POKE(VA(0, 0), arg.port);
	ck_assert_int_eq(evtchn(EVTCHNOP_send, VA(0, 0)), -EINVAL);
	ck_assert_int_eq(seen.sent, 0);
}
END_TEST

/* --- vCPUs --- */

START_TEST(vcpu_infos)
{
	struct vcpu_register_vcpu_info arg = { .mfn = 5, .offset = 4096 - 64 };

	POKE(VA(0, 0), arg);
	ck_assert_int_eq(call(__HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 1, VA(0, 0)), 0);
	ck_assert(seen.vcpu == 1 && seen.gpa == 5 * PAGE + 4096 - 64);
	ck_assert_int_eq(call(__HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 2, VA(0, 0)),
			 -ENOENT);
	arg.offset = 4096 - 56;
	POKE(VA(0, 0), arg);
	ck_assert_int_eq(call(__HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 1, VA(0, 0)),
			 -EINVAL);
	arg.offset = 4;
	POKE(VA(0, 0), arg);
	ck_assert_int_eq(call(__HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 1, VA(0, 0)),
			 -EINVAL);
	arg.offset = 0;
	arg.mfn = UINT64_MAX;
	POKE(VA(0, 0), arg);
	ck_assert_int_eq(call(__HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 1, VA(0, 0)),
			 -EINVAL);
}
END_TEST

START_TEST(areas)
{
	uint64_t gva = VA(2, 0x80);

	POKE(VA(0, 0), gva);
	ck_assert_int_eq(
		call(__HYPERVISOR_vcpu_op, VCPUOP_register_runstate_memory_area, 0, VA(0, 0)), 0);
	ck_assert_uint_eq(seen.gpa, (PAGES - 1 - 2) * PAGE + 0x80);
	gva = VA(2, PAGE - 8); /* goes on in a page that is somewhere else */
	POKE(VA(0, 0), gva);
	ck_assert_int_eq(
		call(__HYPERVISOR_vcpu_op, VCPUOP_register_runstate_memory_area, 0, VA(0, 0)),
		-EINVAL);
	gva = VA(HOLE, 0);
	POKE(VA(0, 0), gva);
	ck_assert_int_eq(
		call(__HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_time_memory_area, 0, VA(0, 0)),
		-EFAULT);
	gva = UINT64_MAX - 3; /* wraps */
	POKE(VA(0, 0), gva);
	ck_assert_int_eq(
		call(__HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_time_memory_area, 0, VA(0, 0)),
		-EFAULT);
}
END_TEST

START_TEST(timers)
{
	struct vcpu_set_singleshot_timer arg = { .timeout_abs_ns = 12345 };

	POKE(VA(0, 0), arg);
	ck_assert_int_eq(call(__HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, 0, VA(0, 0)), 0);
	ck_assert_uint_eq(seen.timer, 12345);
	/* only one's own */
	ck_assert_int_eq(call(__HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, 1, VA(0, 0)),
			 -EINVAL);
	arg.timeout_abs_ns = 0; /* at once, not never */
	POKE(VA(0, 0), arg);
	ck_assert_int_eq(call(__HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, 0, VA(0, 0)), 0);
	ck_assert_uint_eq(seen.timer, 1);
	ck_assert_int_eq(call(__HYPERVISOR_vcpu_op, VCPUOP_stop_singleshot_timer, 0, 0), 0);
	ck_assert_uint_eq(seen.timer, 0);
	ck_assert_int_eq(call(__HYPERVISOR_vcpu_op, VCPUOP_stop_periodic_timer, 0, 0), 0);
	ck_assert_int_eq(call(__HYPERVISOR_vcpu_op, VCPUOP_stop_periodic_timer, 2, 0), -ENOENT);
	ck_assert_int_eq(call(__HYPERVISOR_set_timer_op, 777, 0, 0), 0);
	ck_assert_uint_eq(seen.timer, 777);
	ck_assert_int_eq(call_mode(false, __HYPERVISOR_set_timer_op, 1, 2, 0), 0);
	ck_assert_uint_eq(seen.timer, 0x200000001);
}
END_TEST

START_TEST(shutdowns)
{
	static const uint32_t in[] = {
		SHUTDOWN_poweroff, SHUTDOWN_reboot, SHUTDOWN_crash, SHUTDOWN_soft_reset, 99,
		UINT32_MAX
	};
	static const uint32_t out[] = { SHUTDOWN_poweroff,   SHUTDOWN_reboot, SHUTDOWN_crash,
					SHUTDOWN_soft_reset, SHUTDOWN_crash,  SHUTDOWN_crash };
	uint32_t suspend = SHUTDOWN_suspend;

	for (int i = 0; i < 6; i++) {
		POKE(VA(0, 0), in[i]);
		ck_assert_int_eq(call(__HYPERVISOR_sched_op, SCHEDOP_shutdown, VA(0, 0), 0), 0);
		ck_assert_uint_eq(seen.reason, out[i]);
	}
	POKE(VA(0, 0), suspend);
	ck_assert_int_eq(call(__HYPERVISOR_sched_op, SCHEDOP_shutdown, VA(0, 0), 0), -ENOSYS);
	ck_assert_int_eq(seen.shutdowns, 6);
	ck_assert_int_eq(call(__HYPERVISOR_sched_op, SCHEDOP_yield, 0, 0), 0);
	ck_assert_int_eq(call(__HYPERVISOR_sched_op, SCHEDOP_poll, VA(0, 0), 0), 0);
}
END_TEST

START_TEST(console)
{
	poke(VA(1, PAGE - 3), "hello", 5);
	ck_assert_int_eq(call(__HYPERVISOR_console_io, CONSOLEIO_write, 5, VA(1, PAGE - 3)), 0);
	ck_assert_str_eq(seen.text, "hello");
	ck_assert_int_eq(call(__HYPERVISOR_console_io, CONSOLEIO_write, UINT32_MAX, VA(1, 0)),
			 -E2BIG);
	ck_assert_int_eq(call(__HYPERVISOR_console_io, CONSOLEIO_write, 10, VA(HOLE, -5ull)),
			 -EFAULT);
}
END_TEST

UNIT_MAIN_WITH("hypercall", setup, teardown, grant_setup, new_memory_map, crossing_pages,
	       bad_pointers, wrapping_pointers, pointers_of_32_bit, user_mode, unknown_ones,
	       ones_that_guests_use, missing_op, versions, params, vectors, add_to_physmap,
	       grant_frames, physmap_of_32_bit, grant_sizes, grant_versions, ballooning,
	       ballooning_is_bounded, ballooning_of_32_bit, memory_map, port_life, bad_port_numbers,
	       failed_open_leaves_nothing, undelivered_port, alloc_and_bind, ports_run_out,
	       virq_is_not_sent, vcpu_infos, areas, timers, shutdowns, console)
