/* SPDX-License-Identifier: MIT */
/*
 * A kernel file: read, unpacked when it is a bzImage, checked, and copied to where it belongs. All of
 * these say what is wrong in one line themselves and return -errno.
 */
#ifndef HYPERCALL_BRIDGE_VMM_KERNEL_H
#define HYPERCALL_BRIDGE_VMM_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#include "hypercall-bridge/vmm/pvh.h"

struct mem;

struct kernel {
	uint8_t *image; /* the ELF file, mapped memory of ours */
	size_t size;
	struct pvh_kernel pvh;
};

struct kernel_initrd {
	int fd;
	uint64_t size, addr;
};

/* cache: folder of kernels that were unpacked before (kcache.h), NULL: none */
int kernel_open(const char *path, const char *cache, struct kernel *ret);
void kernel_close(struct kernel *k);

/* path NULL: none */
int kernel_initrd_open(const char *path, struct kernel_initrd *ret);

/*
 * Puts kernel, initrd (as high as it can be) and the boot page into the guest's memory; ret_start_info is
 * where a vCPU finds the latter.
 */
int kernel_place(const struct kernel *k, struct kernel_initrd *initrd, const char *cmdline,
		 uint64_t rsdp, struct mem *mem, uint64_t *ret_start_info);

#endif
