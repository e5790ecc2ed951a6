/* SPDX-License-Identifier: MIT */
/*
 * Soft reset: one kernel has ended, another one begins in the same memory (kexec). All that the old one
 * registered with KVM, bridged and us is taken back, so that nothing writes into the new one's memory.
 * Runs with the vm lock held and all vCPUs held.
 */
#include "config.h"

#include <errno.h>

#include "common/xen.h"
#include "hypercall-bridge/vmm/evtchn.h"
#include "hypercall-bridge/vmm/mem.h"
#include "hypercall-bridge/vmm/vcpu.h"
#include "hypercall-bridge/vmm/vm.h"

#define NOWHERE UINT64_MAX /* KVM's word for "no such place" */

static int forget_area(struct vcpu *v, uint16_t type)
{
	struct kvm_xen_vcpu_attr attr = { .type = type, .u.gpa = NOWHERE };

	return vcpu_attr(v, &attr);
}

static int forget_vcpu_info(const struct vm *vm, struct vcpu *v)
{
	struct kvm_xen_vcpu_attr attr = { .type = KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO,
					  .u.gpa = NOWHERE };

	if (vm->kvm.xen & XEN_HVM_SHARED_INFO_HVA) {
		attr.type = XEN_VCPU_ATTR_VCPU_INFO_HVA;
		attr.u.gpa = 0;
	}
	v->info_gpa = 0;
	v->info_registered = false;
	return vcpu_attr(v, &attr);
}

static int reset_vcpu(const struct vm *vm, struct vcpu *v)
{
	struct kvm_xen_vcpu_attr vector = { .type = KVM_XEN_VCPU_ATTR_TYPE_UPCALL_VECTOR };
	int r = vcpu_attr(v, &vector);

	if (r == 0)
		r = forget_area(v, KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADDR);
	if (r == 0)
		r = forget_area(v, KVM_XEN_VCPU_ATTR_TYPE_VCPU_TIME_INFO);
	return r < 0 ? r : forget_vcpu_info(vm, v);
}

static int forget_shared_info(struct vm *vm)
{
	struct kvm_xen_hvm_attr attr = { .type = KVM_XEN_ATTR_TYPE_SHARED_INFO,
					 .u.shared_info.gfn = NOWHERE };
	struct kvm_xen_hvm_attr vector = { .type = KVM_XEN_ATTR_TYPE_UPCALL_VECTOR };
	int r;

	if (vm->kvm.xen & XEN_HVM_SHARED_INFO_HVA) {
		attr.type = XEN_ATTR_SHARED_INFO_HVA;
		attr.u.shared_info.gfn = 0;
	}
	vm->shared_info = NULL;
	vm->shared_info_gfn = 0;
	r = kvm_xen_attr(&vm->kvm, &attr);
	return r < 0 ? r : kvm_xen_attr(&vm->kvm, &vector);
}

int reset_vm(struct vm *vm)
{
	int r = 0;

	hypercall_reset(&vm->guest);
	evtchn_deactivate(vm->evtchn);
	for (unsigned int i = 0; i < vm->nr_vcpus && r == 0; i++)
		r = reset_vcpu(vm, vm->vcpus[i]);
	if (r == 0)
		r = forget_shared_info(vm);
	mem_reset_grants(vm->mem);
	return r < 0 ? r : guestops_open_static_ports(vm);
}

void reset_grants(struct vm *vm)
{
	mem_clear_grants(vm->mem);
}
