/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stddef.h>

#include "common/xen.h"
#include "hypercall-bridge/guest/upcall.h"

/*
 * Words are touched byte by byte: x86 is little endian, so bit n of any array of words is bit n % 8 of
 * byte n / 8, whatever the word size, and byte atomics work on both layouts.
 */
const struct upcall_layout upcall_layout_64 = {
	.ports = 4096,
	.bits = 64,
	.pending_offset = offsetof(struct shared_info, evtchn_pending),
	.mask_offset = offsetof(struct shared_info, evtchn_mask),
	.sel_offset = offsetof(struct vcpu_info, evtchn_pending_sel),
};

/* 32 vcpu_infos of 64 bytes, then 32 words pending, 32 words mask */
const struct upcall_layout upcall_layout_32 = {
	.ports = 1024,
	.bits = 32,
	.pending_offset = 0x800,
	.mask_offset = 0x880,
	.sel_offset = 4,
};

_Static_assert(sizeof(struct vcpu_info) == UPCALL_VCPU_INFO_SIZE, "64-bit vcpu_info");
_Static_assert(offsetof(struct shared_info, evtchn_pending) == 0x800, "64-bit shared_info");
_Static_assert(offsetof(struct shared_info, evtchn_mask) == 0xa00, "64-bit shared_info");

static uint8_t *byte_of(void *base, uint32_t offset, uint32_t bit)
{
	return (uint8_t *)base + offset + bit / 8;
}

static bool test_and_set(void *base, uint32_t offset, uint32_t bit)
{
	uint8_t m = (uint8_t)(1u << bit % 8);

	return __atomic_fetch_or(byte_of(base, offset, bit), m, __ATOMIC_SEQ_CST) & m;
}

static bool test_and_clear(void *base, uint32_t offset, uint32_t bit)
{
	uint8_t m = (uint8_t)(1u << bit % 8);

	return __atomic_fetch_and(byte_of(base, offset, bit), (uint8_t)~m, __ATOMIC_SEQ_CST) & m;
}

static bool test(const void *base, uint32_t offset, uint32_t bit)
{
	const uint8_t *p = (const uint8_t *)base + offset + bit / 8;

	return __atomic_load_n(p, __ATOMIC_SEQ_CST) & (1u << bit % 8);
}

int upcall_raise(const struct upcall_layout *l, void *shared_info, void *vcpu_info, uint32_t port)
{
	uint8_t *upcall_pending = vcpu_info;

	if (port == 0 || port >= l->ports)
		return -EINVAL;
	if (test_and_set(shared_info, l->pending_offset, port))
		return 0;
	if (test(shared_info, l->mask_offset, port))
		return 0;
	if (test_and_set(vcpu_info, l->sel_offset, port / l->bits))
		return 0;
	__atomic_store_n(upcall_pending, 1, __ATOMIC_SEQ_CST);
	return 1;
}

int upcall_unmask(const struct upcall_layout *l, void *shared_info, uint32_t port)
{
	if (port == 0 || port >= l->ports)
		return -EINVAL;
	test_and_clear(shared_info, l->mask_offset, port);
	if (!test(shared_info, l->pending_offset, port))
		return 0;
	return test_and_clear(shared_info, l->pending_offset, port);
}

int upcall_clear(const struct upcall_layout *l, void *shared_info, uint32_t port)
{
	if (port == 0 || port >= l->ports)
		return -EINVAL;
	return test_and_clear(shared_info, l->pending_offset, port);
}

bool upcall_is_pending(const struct upcall_layout *l, const void *shared_info, uint32_t port)
{
	return port < l->ports && test(shared_info, l->pending_offset, port);
}

bool upcall_is_masked(const struct upcall_layout *l, const void *shared_info, uint32_t port)
{
	return port < l->ports && test(shared_info, l->mask_offset, port);
}

void upcall_merge(const struct upcall_layout *l, const void *old_info, void *new_info)
{
	const uint8_t *from = old_info;
	uint8_t *to = new_info;

	for (uint32_t i = 0; i < l->bits / 8; i++) {
		uint8_t sel = __atomic_load_n(from + l->sel_offset + i, __ATOMIC_SEQ_CST);

		__atomic_fetch_or(to + l->sel_offset + i, sel, __ATOMIC_SEQ_CST);
	}
	if (__atomic_load_n(from, __ATOMIC_SEQ_CST))
		__atomic_store_n(to, 1, __ATOMIC_SEQ_CST);
}
