/* SPDX-License-Identifier: MIT */
/*
 * Pending and mask bits of the two-level event channel ABI in a guest's shared_info and vcpu_info. The
 * guest, KVM and we change the same words at the same time: every access here is one atomic operation.
 * Pure: no injection; the return values say when the vCPU has to be told.
 */
#ifndef HYPERCALL_BRIDGE_GUEST_UPCALL_H
#define HYPERCALL_BRIDGE_GUEST_UPCALL_H

#include <stdbool.h>
#include <stdint.h>

/* layout of shared_info and vcpu_info as the guest's mode has them */
struct upcall_layout {
	uint32_t ports;		 /* number of ports */
	uint32_t bits;		 /* of a word: 64 or 32 */
	uint32_t pending_offset; /* evtchn_pending[] in shared_info */
	uint32_t mask_offset;	 /* evtchn_mask[] in shared_info */
	uint32_t sel_offset;	 /* evtchn_pending_sel in vcpu_info */
};

#define UPCALL_VCPU_INFO_SIZE 64

extern const struct upcall_layout upcall_layout_64, upcall_layout_32;

/*
 * Marks the port pending; unmasked ones also get their selector bit and the vCPU's upcall_pending.
 * Returns 1 when the vCPU must be interrupted, else 0. -EINVAL: no such port.
 */
int upcall_raise(const struct upcall_layout *l, void *shared_info, void *vcpu_info, uint32_t port);

/*
 * Clears the mask bit, then takes the pending bit away. Returns 1 when it was set: the caller raises the
 * port again, now unmasked, by whatever delivers events for it (upcall_raise() or KVM). No event is
 * lost: a sender who comes in between finds pending clear and mask clear, and notifies itself.
 */
int upcall_unmask(const struct upcall_layout *l, void *shared_info, uint32_t port);

/* takes the pending bit: what a closed port must not leave behind */
int upcall_clear(const struct upcall_layout *l, void *shared_info, uint32_t port);

bool upcall_is_pending(const struct upcall_layout *l, const void *shared_info, uint32_t port);
bool upcall_is_masked(const struct upcall_layout *l, const void *shared_info, uint32_t port);

/* After a vcpu_info moved: what was set in the old place during the move is set in the new one too. */
void upcall_merge(const struct upcall_layout *l, const void *old_info, void *new_info);

#endif
