/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/xen.h"
#include "hypercall-bridge/vmm/cpuid.h"

#define HYPERVISOR_BIT (1u << 31)
#define TSC_DEADLINE_BIT (1u << 24)
#define HYPERVISOR_RANGE 0xffff0000u
#define ADDRESS_WIDTH 46

static bool is_hypervisor_leaf(uint32_t leaf)
{
	return (leaf & HYPERVISOR_RANGE) == CPUID_XEN_BASE;
}

/* bits that number the vCPUs of the one package there is */
static unsigned int id_bits(unsigned int nr_vcpus)
{
	unsigned int bits = 0;

	while (1u << bits < nr_vcpus)
		bits++;
	return bits;
}

/* sub-leaf 0: threads (one per core), 1: cores of the package, above: the end */
static void topology(struct kvm_cpuid_entry2 *e, const struct cpuid_vcpu *v)
{
	static const uint32_t level_type[] = { 1, 2 };
	uint32_t level = e->index;

	e->eax = e->ebx = 0;
	e->ecx = level & 0xff;
	if (level < ARRAY_SIZE(level_type)) {
		e->eax = level == 0 ? 0 : id_bits(v->nr_vcpus);
		e->ebx = level == 0 ? 1 : v->nr_vcpus;
		e->ecx |= level_type[level] << 8;
	}
	e->edx = v->id;
}

/* What differs from the host's: the vCPU's ids and the shape of its package. */
static void adapt(struct kvm_cpuid_entry2 *e, const struct cpuid_vcpu *v)
{
	switch (e->function) {
	case 0x1:
		e->ebx = (e->ebx & 0x0000ffff) | v->nr_vcpus << 16 | v->id << 24;
		e->ecx |= HYPERVISOR_BIT;
		if (v->tsc_deadline) /* a guest need not measure the timer against another one */
			e->ecx |= TSC_DEADLINE_BIT;
		break;
	case 0x4: /* caches: shared by no other thread, one core number per vCPU */
		if (e->eax & 0x1f)
			e->eax = (e->eax & 0x00003fff) | ((1u << id_bits(v->nr_vcpus)) - 1) << 26;
		break;
	case 0xb:
	case 0x1f:
		topology(e, v);
		break;
	case 0x80000008:
		e->ecx = (v->nr_vcpus - 1) | id_bits(v->nr_vcpus) << 12;
		break;
	case 0x8000001e:
		e->eax = v->id;
		e->ebx = v->id;
		e->ecx = 0;
		break;
	default:
		break;
	}
}

static unsigned int xen_leaves(const struct cpuid_vcpu *v, struct kvm_cpuid_entry2 *out)
{
	const struct kvm_cpuid_entry2 leaves[CPUID_XEN_LEAVES] = {
		{ .function = CPUID_XEN_BASE,
		  .eax = CPUID_XEN_BASE + XEN_CPUID_MAX_NUM_LEAVES,
		  .ebx = XEN_CPUID_SIGNATURE_EBX,
		  .ecx = XEN_CPUID_SIGNATURE_ECX,
		  .edx = XEN_CPUID_SIGNATURE_EDX },
		{ .function = CPUID_XEN_BASE + 1, .eax = v->xen_version },
		{ .function = CPUID_XEN_BASE + 2, .eax = 1, .ebx = CPUID_XEN_BASE },
		{ .function = CPUID_XEN_BASE + 3, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX },
		{ .function = CPUID_XEN_BASE + 3,
		  .index = 1,
		  .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX },
		{ .function = CPUID_XEN_BASE + 3,
		  .index = 2,
		  .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX },
		{ .function = CPUID_XEN_BASE + 4,
		  .eax = XEN_HVM_CPUID_VCPU_ID_PRESENT | XEN_HVM_CPUID_DOMID_PRESENT |
			 XEN_HVM_CPUID_UPCALL_VECTOR,
		  .ebx = v->id,
		  .ecx = v->domid },
		{ .function = CPUID_XEN_BASE + 5, .ebx = ADDRESS_WIDTH },
	};

	memcpy(out, leaves, sizeof(leaves));
	return CPUID_XEN_LEAVES;
}

int cpuid_build(const struct kvm_cpuid_entry2 *host, unsigned int nr_host,
		const struct cpuid_vcpu *vcpu, struct kvm_cpuid_entry2 *out, unsigned int max)
{
	unsigned int n = 0;

	if (max < CPUID_XEN_LEAVES)
		return -E2BIG;
	for (unsigned int i = 0; i < nr_host; i++) {
		if (is_hypervisor_leaf(host[i].function))
			continue; /* KVM's own: a guest must see one hypervisor */
		if (n == max - CPUID_XEN_LEAVES)
			return -E2BIG;
		out[n] = host[i];
		adapt(&out[n], vcpu);
		n++;
	}
	return (int)(n + xen_leaves(vcpu, out + n));
}
