/* SPDX-License-Identifier: MIT */
/* A vCPU's CPUID leaves: the host's, with Xen's in the hypervisor range and the vCPU's own ids. Pure. */
#ifndef HYPERCALL_BRIDGE_VMM_CPUID_H
#define HYPERCALL_BRIDGE_VMM_CPUID_H

#include <stdbool.h>
#include <stdint.h>

#define CPUID_XEN_BASE 0x40000000u
#define CPUID_XEN_LEAVES 8 /* entries: leaf 3 has three sub-leaves */

struct kvm_cpuid_entry2;

struct cpuid_vcpu {
	unsigned int id; /* APIC id, Xen vcpu id and KVM vcpu id in one */
	unsigned int nr_vcpus;
	uint16_t domid;
	uint32_t xen_version;
	bool tsc_deadline; /* KVM has it, which it does not say among its leaves */
};

/* Writes at most `max` entries to `out`; how many, or -E2BIG. */
int cpuid_build(const struct kvm_cpuid_entry2 *host, unsigned int nr_host,
		const struct cpuid_vcpu *vcpu, struct kvm_cpuid_entry2 *out, unsigned int max);

#endif
