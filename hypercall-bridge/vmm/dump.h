/* SPDX-License-Identifier: MIT */
/* A guest's memory and vCPUs, into a file that a tool gave us. */
#ifndef HYPERCALL_BRIDGE_VMM_DUMP_H
#define HYPERCALL_BRIDGE_VMM_DUMP_H

struct vm;

/*
 * Of the control thread, with the vCPUs held (or ended). Both descriptors are closed; 4 bytes are written to status:
 * 0, or an errno.
 */
void dump_vm(struct vm *vm, int file, int status);

#endif
