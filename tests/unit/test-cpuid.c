/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>

#include "hypercall-bridge/vmm/cpuid.h"
#include "tests/support/unit.h"

#define MAX 32

static struct kvm_cpuid_entry2 out[MAX];
static const struct kvm_cpuid_entry2 host[] = {
	{ .function = 0, .eax = 0xd },
	{ .function = 1, .ebx = 0x7f080800, .ecx = 1 },
	{ .function = 0xb, .index = 0, .edx = 99 },
	{ .function = 0xb, .index = 1, .edx = 99 },
	{ .function = 0x40000000, .ebx = 0x4b4d564b },
	{ .function = 0x40000001, .eax = 0xff },
	{ .function = 0x80000008, .eax = 0x3030, .ecx = 0x7007 },
	{ .function = 0x8000001e, .eax = 77, .ebx = 77, .ecx = 3 },
};
#define NR_HOST (sizeof(host) / sizeof(host[0]))

static void setup(void)
{
}

static void teardown(void)
{
}

static int build(unsigned int id, unsigned int nr_vcpus, unsigned int max)
{
	const struct cpuid_vcpu v = {
		.id = id, .nr_vcpus = nr_vcpus, .domid = 42, .xen_version = 0x40011
	};

	return cpuid_build(host, NR_HOST, &v, out, max);
}

static const struct kvm_cpuid_entry2 *leaf(int n, uint32_t function, uint32_t index)
{
	const struct kvm_cpuid_entry2 *found = NULL;

	for (int i = 0; i < n; i++)
		if (out[i].function == function && out[i].index == index) {
			ck_assert_ptr_null(found); /* once each */
			found = &out[i];
		}
	ck_assert_ptr_nonnull(found);
	return found;
}

START_TEST(xen_leaves)
{
	int n = build(1, 2, MAX);
	const struct kvm_cpuid_entry2 *e;

	ck_assert_int_eq(n, NR_HOST - 2 + CPUID_XEN_LEAVES);
	e = leaf(n, 0x40000000, 0);
	ck_assert(e->eax == 0x40000005 && e->ebx == 0x566e6558 && e->ecx == 0x65584d4d &&
		  e->edx == 0x4d4d566e);
	ck_assert_uint_eq(leaf(n, 0x40000001, 0)->eax, 0x40011);
	ck_assert_uint_eq(leaf(n, 0x40000002, 0)->ebx, 0x40000000);
	ck_assert_uint_eq(leaf(n, 0x40000003, 2)->flags, KVM_CPUID_FLAG_SIGNIFCANT_INDEX);
	e = leaf(n, 0x40000004, 0);
	ck_assert(e->eax == 0x58 && e->ebx == 1 && e->ecx == 42);
}
END_TEST

START_TEST(ids)
{
	int n = build(3, 4, MAX);

	ck_assert_uint_eq(leaf(n, 1, 0)->ebx, 0x03040800);
	ck_assert_uint_eq(leaf(n, 1, 0)->ecx, 0x80000001);
	ck_assert_uint_eq(leaf(n, 0xb, 0)->edx, 3);
	ck_assert_uint_eq(leaf(n, 0xb, 1)->eax, 2);
	ck_assert_uint_eq(leaf(n, 0xb, 1)->ebx, 4);
	ck_assert_uint_eq(leaf(n, 0x80000008, 0)->ecx, 0x2003);
	ck_assert_uint_eq(leaf(n, 0x8000001e, 0)->eax, 3);
	ck_assert_uint_eq(leaf(n, 0, 0)->eax, 0xd);
}
END_TEST

START_TEST(deadline_timer)
{
	struct cpuid_vcpu v = { .nr_vcpus = 1, .tsc_deadline = true };

	ck_assert_int_gt(cpuid_build(host, NR_HOST, &v, out, MAX), 0);
	ck_assert_uint_eq(leaf(NR_HOST - 2 + CPUID_XEN_LEAVES, 1, 0)->ecx, 0x81000001);
}
END_TEST

/* a table that is too small is never overrun */
START_TEST(room)
{
	int need = NR_HOST - 2 + CPUID_XEN_LEAVES;

	for (unsigned int max = 0; max < (unsigned int)need; max++) {
		memset(out, 0x5a, sizeof(out));
		ck_assert_int_eq(build(0, 1, max), -E2BIG);
		for (size_t i = 0; i < sizeof(out[0]); i++)
			ck_assert_uint_eq(((uint8_t *)&out[max])[i], 0x5a);
	}
	ck_assert_int_eq(build(0, 1, (unsigned int)need), need);
}
END_TEST

UNIT_MAIN_WITH("cpuid", setup, teardown, xen_leaves, ids, deadline_timer, room)
