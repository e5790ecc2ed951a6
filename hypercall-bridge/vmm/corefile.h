/* SPDX-License-Identifier: MIT */
/*
 * The head of a core file of a guest: ELF, as the kernel's kdump and QEMU's dump-guest-memory write it, so that crash(8), drgn
 * and gdb(1) open it. Notes: NT_PRSTATUS and "QEMU" of each vCPU (by the second crash finds where a randomised kernel
 * lies), VMCOREINFO when the guest has one. Pure.
 */
#ifndef HYPERCALL_BRIDGE_VMM_COREFILE_H
#define HYPERCALL_BRIDGE_VMM_COREFILE_H

#include <stddef.h>
#include <stdint.h>

#include <linux/kvm.h>

#define COREFILE_PAGE 4096u
#define COREFILE_INFO_MAX 4096u /* of VMCOREINFO */

struct corefile_vcpu {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
};

struct corefile_region {
	uint64_t gpa, size;
};

struct corefile {
	const struct corefile_vcpu *vcpus;
	unsigned int nr_vcpus;
	const struct corefile_region *regions;
	unsigned int nr_regions;
	const char *info; /* VMCOREINFO's text, NULL: none */
	size_t info_len;
};

/* bytes before the first region's, a multiple of a page; the regions lie behind one another */
size_t corefile_size(const struct corefile *c);
/* buf has corefile_size() bytes of zeroes */
void corefile_build(const struct corefile *c, uint8_t *buf);

/*
 * Length of the text of a page that is a Linux kernel's VMCOREINFO, 0: it is none. What it says is the guest's, and
 * goes into the guest's own dump.
 */
size_t corefile_info_len(const char *page, size_t size);

#endif
