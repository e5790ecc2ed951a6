/* SPDX-License-Identifier: MIT */
/*
 * /dev/kvm, one VM of it, and what must be there: KVM_CAP_XEN_HVM. Setting-up functions of the vmm say
 * what failed in one line themselves and return -errno.
 */
#ifndef HYPERCALL_BRIDGE_VMM_KVM_H
#define HYPERCALL_BRIDGE_VMM_KVM_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* newer than the kernel headers we may be built with */
#define XEN_HVM_RUNSTATE_UPDATE_FLAG (1u << 6)
#define XEN_HVM_SHARED_INFO_HVA (1u << 8)
#define XEN_ATTR_RUNSTATE_UPDATE_FLAG 0x5
#define XEN_ATTR_SHARED_INFO_HVA 0x6
#define XEN_VCPU_ATTR_VCPU_INFO_HVA 0x9

struct kvm {
	int sys_fd;
	int vm_fd;
	uint32_t xen; /* KVM_XEN_HVM_CONFIG_* that this kernel has */
	size_t run_size;
	bool tsc_deadline; /* the LAPIC's timer can be told a TSC value */
};

int kvm_open(uint32_t xen_version, struct kvm *ret);
void kvm_close(struct kvm *k);

/* quiet ones: 0 or -errno */
int kvm_xen_attr(const struct kvm *k, const struct kvm_xen_hvm_attr *attr);
int kvm_map(const struct kvm *k, uint32_t slot, uint64_t gpa, uint64_t size, void *hva);
int kvm_unmap(const struct kvm *k, uint32_t slot);

/* the leaves the host supports: malloc'ed */
int kvm_supported_cpuid(const struct kvm *k, struct kvm_cpuid2 **ret);

#endif
