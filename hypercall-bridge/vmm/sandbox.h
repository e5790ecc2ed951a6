/* SPDX-License-Identifier: MIT */
/*
 * Confinement of a vmm that has all it needs: no files, no programs, no sockets but to xenhost-bridged, none
 * of its descriptors made blocking. What is not on the list in sandbox.c fails with EPERM; what only an
 * attacker would try ends the process.
 */
#ifndef HYPERCALL_BRIDGE_VMM_SANDBOX_H
#define HYPERCALL_BRIDGE_VMM_SANDBOX_H

/*
 * For all threads, for good; none can be made afterwards. 0 or -errno; 1: built with a sanitizer, whose
 * runtime would not work, so nothing was done.
 */
int sandbox_enter(void);

#endif
