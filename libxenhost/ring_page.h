/* SPDX-License-Identifier: MIT */
/* The layout of a shared ring and what both sides do with it alike; for ring.c and ring_front.c alone. */
#ifndef LIBXENHOST_RING_PAGE_H
#define LIBXENHOST_RING_PAGE_H

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <xenhost/gnttab.h>

/* the header of public/io/ring.h; slots follow behind it */
struct sring {
	_Atomic uint32_t req_prod;
	_Atomic uint32_t req_event;
	_Atomic uint32_t rsp_prod;
	_Atomic uint32_t rsp_event;
	uint8_t pad[48];
	uint8_t slots[];
};

_Static_assert(offsetof(struct sring, rsp_event) == 12, "ABI");
_Static_assert(offsetof(struct sring, slots) == 64, "ABI");
_Static_assert(sizeof(_Atomic uint32_t) == 4, "plain words in shared memory");

/*
 * The copy is complete and no part of it is fetched again later: the compiler must assume that the
 * barrier looked at dst, so it cannot replace dst by another read of the slot.
 */
static inline void copy_once(void *dst, const void *src, size_t len)
{
	memcpy(dst, src, len);
	__asm__ volatile("" : : "r"(dst) : "memory");
}

/* how many: the largest power of two that fits; -EINVAL */
static inline int ring_slots(const void *pages, size_t nr_pages, size_t req_size, size_t rsp_size)
{
	size_t slot_size = req_size > rsp_size ? req_size : rsp_size, slots;
	int size = 1;

	if (!pages || (uintptr_t)pages % sizeof(uint32_t))
		return -EINVAL;
	if (nr_pages == 0 || nr_pages > XENHOST_GRANTS_MAX || (nr_pages & (nr_pages - 1)))
		return -EINVAL;
	if (req_size == 0 || rsp_size == 0 || slot_size > XENHOST_PAGE_SIZE)
		return -EINVAL;
	slots = (nr_pages * XENHOST_PAGE_SIZE - sizeof(struct sring)) / slot_size;
	if (slots == 0)
		return -EINVAL;
	while ((size_t)size <= slots / 2)
		size *= 2;
	return size;
}

#endif
