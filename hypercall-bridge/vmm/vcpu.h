/* SPDX-License-Identifier: MIT */
/*
 * One vCPU: its KVM descriptor, its thread, and what its exits lead to.
 *
 * KVM serialises all ioctls of a vCPU with KVM_RUN, so another thread that wants one must first get the
 * vCPU out of the guest: it parks the vCPU (a count), kicks it and unparks it afterwards. A vCPU thread
 * parks outside of all locks, so this may be done with the vm lock held.
 */
#ifndef HYPERCALL_BRIDGE_VMM_VCPU_H
#define HYPERCALL_BRIDGE_VMM_VCPU_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "hypercall-bridge/guest/hypercall.h"

struct kvm_cpuid2;
struct kvm_regs;
struct kvm_sregs;
struct kvm_run;
struct kvm_xen_vcpu_attr;
struct vm;

struct vcpu_stats {
	uint64_t hypercalls[HYPERCALL_NR_MAX][HYPERCALL_OP_MAX];
	uint64_t io, mmio, other;
};

struct vcpu {
	struct vm *vm;
	unsigned int id; /* KVM's, Xen's and the APIC's */
	int fd;
	struct kvm_run *run;
	pthread_t thread;
	bool started;		   /* atomic: thread is valid */
	pthread_mutex_t park_lock; /* of parked, with park_change */
	pthread_cond_t park_change;
	unsigned int parked;
	uint64_t info_gpa;	 /* where KVM keeps its vcpu_info, 0: nowhere yet (vm lock) */
	bool info_registered;	 /* not the one in shared_info (vm lock) */
	struct vcpu_stats stats; /* its thread's; others may read when it has ended */
};

/* xen_version as in CPUID; says what is wrong itself */
int vcpu_new(struct vm *vm, unsigned int id, const struct kvm_cpuid2 *host, struct vcpu **ret);
struct vcpu *vcpu_free(struct vcpu *v);

/* PVH start state: 32-bit flat mode, start_info in EBX */
int vcpu_set_entry(struct vcpu *v, uint32_t entry, uint64_t start_info);

/* its thread; held vCPUs do not enter the guest yet */
int vcpu_start(struct vcpu *v);
void vcpu_join(struct vcpu *v); /* the vm has been told to end */

/* out of the guest, to look at what changed; any thread */
void vcpu_kick(struct vcpu *v);

/* Out of the guest until released as often; any thread, its own too: then after its current exit. */
void vcpu_hold(struct vcpu *v);
void vcpu_release(struct vcpu *v);

/* any thread */
int vcpu_attr(struct vcpu *v, const struct kvm_xen_vcpu_attr *attr);
int vcpu_state(struct vcpu *v, struct kvm_regs *ret_regs, struct kvm_sregs *ret_sregs);
bool vcpu_is_up(struct vcpu *v);

/* from its own thread: -EFAULT when the guest's page tables lead nowhere */
int vcpu_translate(const struct vcpu *v, uint64_t gva, uint64_t *ret_gpa);

#endif
