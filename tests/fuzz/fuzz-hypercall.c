/* SPDX-License-Identifier: MIT */
/*
 * A guest that makes any hypercalls with any arguments. The input is a list of calls, and the guest's
 * memory is the rest of it, four pages of which the third is missing; each is a piece of memory of its own, so that
 * a byte beyond its end is seen. tests/planted has mistakes that are found within 60 s.
 */
#include "config.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hypercall-bridge/guest/hypercall.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BASE 0x1000ull
#define PAGE 4096ull
#define PAGES 4
#define HOLE 2
#define CALLS_MAX 64

/* One call. Small numbers: pointers are made from them. */
struct call {
	uint8_t nr, op, flags, count;
	uint16_t pointer, other;
};

static uint8_t *memory[PAGES];
static struct hypercall_guest g;

static int gpa_of(void *ctx, unsigned int vcpu, uint64_t gva, uint64_t *ret_gpa)
{
	if (gva < BASE || gva >= BASE + PAGES * PAGE || (gva - BASE) / PAGE == HOLE)
		return -EFAULT;
	*ret_gpa = gva - BASE;
	return 0;
}

static void *host_of(void *ctx, uint64_t gpa)
{
	if (gpa >= PAGES * PAGE)
		abort();
	return &memory[gpa / PAGE][gpa % PAGE];
}

static void check_vcpu(unsigned int vcpu)
{
	if (vcpu >= g.nr_vcpus)
		abort();
}

static int map_shared_info(void *ctx, uint64_t gfn, bool long_mode)
{
	g.ports.limit = long_mode ? PORTS_MAX : PORTS_MAX_32;
	return 0;
}

static int map_grant_frame(void *ctx, uint32_t frame, uint64_t gfn)
{
	if (frame >= g.grant_frames_max)
		abort();
	return gfn % 5 ? 0 : -EBUSY;
}

static int balloon(void *ctx, uint64_t gfn, uint64_t nr, bool give)
{
	if (nr == 0 || nr > HYPERCALL_EXTENTS_MAX * 512ull)
		abort();
	return gfn % 3 ? 0 : -EBUSY;
}

static int unmap(void *ctx, uint64_t gfn)
{
	if (gfn >= 1ull << 40)
		abort();
	return gfn % 5 ? 0 : -ENOENT;
}

static uint64_t grant_gfn(void *ctx, uint32_t frame)
{
	if (frame >= g.grant_frames_max)
		abort();
	return frame % 3 ? frame : UINT64_MAX;
}

static bool is_up(void *ctx, unsigned int vcpu)
{
	check_vcpu(vcpu);
	return vcpu == 0;
}

static int runstate_flag(void *ctx, bool enable)
{
	return enable ? 0 : -EINVAL;
}

static void unknown(void *ctx, uint64_t nr, uint64_t op)
{
	if (hypercall_name(nr < HYPERCALL_NR_MAX ? (unsigned int)nr : 0) == NULL)
		abort();
}

static int area(void *ctx, unsigned int vcpu, uint64_t gpa)
{
	check_vcpu(vcpu);
	return 0;
}

static int upcall_vector(void *ctx, unsigned int vcpu, uint8_t vector)
{
	if (vcpu != HYPERCALL_ALL_VCPUS)
		check_vcpu(vcpu);
	if (vector < 0x10)
		abort();
	return 0;
}

static int port_opened(void *ctx, uint32_t port)
{
	const struct port *p = ports_get(&g.ports, port);

	if (!p || p->vcpu >= g.nr_vcpus)
		abort();
	if (p->state == EVTCHNSTAT_virq && p->virq >= PORTS_VIRQS_MAX)
		abort();
	return port % 7 ? 0 : -ENOMEM;
}

static void port_closed(void *ctx, uint32_t port, const struct port *old)
{
	if (ports_get(&g.ports, port))
		abort();
}

static int port_used(void *ctx, uint32_t port)
{
	if (!ports_get(&g.ports, port))
		abort();
	return 0;
}

static void port_moved(void *ctx, uint32_t port)
{
	check_vcpu(ports_get(&g.ports, port)->vcpu);
}

static int op_shutdown(void *ctx, unsigned int reason)
{
	if (reason > SHUTDOWN_MAX)
		abort();
	return 0;
}

static void console_write(void *ctx, const char *text, size_t len)
{
	if (len > HYPERCALL_CONSOLE_MAX)
		abort();
}

static const struct hypercall_ops ops = {
	.gpa_of = gpa_of,
	.host_of = host_of,
	.map_shared_info = map_shared_info,
	.map_grant_frame = map_grant_frame,
	.unmap = unmap,
	.grant_gfn = grant_gfn,
	.balloon = balloon,
	.vcpu_info = area,
	.vcpu_time_area = area,
	.vcpu_runstate_area = area,
	.vcpu_timer = area,
	.vcpu_is_up = is_up,
	.runstate_flag = runstate_flag,
	.upcall_vector = upcall_vector,
	.port_opened = port_opened,
	.port_closed = port_closed,
	.port_moved = port_moved,
	.port_send = port_used,
	.port_unmask = port_used,
	.shutdown = op_shutdown,
	.console_write = console_write,
	.unknown = unknown,
};

/* A bound VIRQ leads to its port and back. */
static void check_ports(void)
{
	for (unsigned int vcpu = 0; vcpu < g.nr_vcpus; vcpu++)
		for (uint32_t virq = 0; virq < PORTS_VIRQS_MAX; virq++) {
			uint32_t number = ports_of_virq(&g.ports, virq, vcpu);
			const struct port *p = ports_get(&g.ports, number);

			if (number && number < g.ports.limit &&
			    (!p || p->state != EVTCHNSTAT_virq || p->virq != virq))
				abort();
		}
}

static void do_call(const struct call *c)
{
	static const uint8_t real[] = {
		__HYPERVISOR_memory_op,	 __HYPERVISOR_set_timer_op,   __HYPERVISOR_xen_version,
		__HYPERVISOR_console_io, __HYPERVISOR_grant_table_op, __HYPERVISOR_vm_assist,
		__HYPERVISOR_vcpu_op,	 __HYPERVISOR_sched_op,	      __HYPERVISOR_event_channel_op,
		__HYPERVISOR_hvm_op,
	};
	struct hypercall h = {
		.vcpu = c->flags & 1,
		.long_mode = c->flags & 2,
		.cpl = c->flags & 4 ? 3 : 0,
		.nr = c->flags & 8 ? c->nr : real[c->nr % sizeof(real)],
		.args = { c->op, BASE + c->pointer, c->count },
	};

	if (c->flags & 16) /* calls with their pointer last */
		h.args[1] = c->other;
	if (c->flags & 16)
		h.args[2] = BASE + c->pointer;
	if (c->flags & 32)
		h.args[1] = ~(uint64_t)c->pointer;
	hypercall_answer(&g, &h);
}

static void fill_memory(const uint8_t *data, size_t size)
{
	for (int i = 0; i < PAGES; i++) {
		size_t part = size < PAGE ? size : PAGE;

		if (!memory[i])
			memory[i] = malloc(PAGE);
		if (!memory[i])
			abort();
		memset(memory[i], 0, PAGE);
		if (part)
			memcpy(memory[i], data, part);
		data += part;
		size -= part;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct call calls[CALLS_MAX];
	size_t n = size < 1 ? 0 : data[0] % CALLS_MAX + 1;

	if (n == 0 || size - 1 < n * sizeof(calls[0]))
		return 0;
	memcpy(calls, data + 1, n * sizeof(calls[0]));
	data += 1 + n * sizeof(calls[0]);
	size -= 1 + n * sizeof(calls[0]);
	fill_memory(data, size);
	hypercall_guest_init(&g, &ops, NULL, 2);
	g.grant_frames_max = 32;
	g.nr_memmap = 1;
	for (size_t i = 0; i < n; i++) {
		do_call(&calls[i]);
		check_ports();
	}
	return 0;
}
