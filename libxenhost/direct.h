/* SPDX-License-Identifier: MIT */
/*
 * Direct grants: this process holds the guest's memory (memfds handed over by bridged) and plays by the
 * grant table's rules itself: an entry is checked and marked in use before its frame is touched, and
 * unmarked afterwards. That is a protocol, not a wall; THREATS.md says what it is worth.
 * ABI: version 1 entries of Xen's public/grant_table.h.
 *
 * A guest's memory is counted: the attachment holds one reference, each mapping or I/O one more, so a
 * guest that goes away under running I/O takes no memory with it.
 * Threads: any, except direct_memory_new().
 */
#ifndef LIBXENHOST_DIRECT_H
#define LIBXENHOST_DIRECT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <xenhost/gnttab.h>

struct direct_memory;

enum direct_kind { /* as in bridge.proto */
		   DIRECT_RAM = 0,
		   DIRECT_GRANT_FRAMES = 1,
		   DIRECT_STORE_RING = 2,
		   DIRECT_CONSOLE_RING = 3,
};

struct direct_region {
	enum direct_kind kind;
	uint64_t gpa, size, offset;
	int fd; /* stays the caller's */
};

/* domid: ours, to which grants must be given */
int direct_memory_new(uint16_t domid, const struct direct_region *regions, size_t n,
		      struct direct_memory **ret_mem);
struct direct_memory *direct_memory_get(struct direct_memory *mem);
void direct_memory_put(struct direct_memory *mem);

int direct_io_begin(struct direct_memory *mem, struct xenhost_seg *segs, size_t n,
		    unsigned int prot, struct iovec *iov);
void direct_io_end(struct direct_memory *mem, struct xenhost_seg *segs, size_t n,
		   unsigned int prot);

struct direct_map;

/* takes a reference of its own */
int direct_map_new(struct direct_memory *mem, const uint32_t *grefs, size_t n, unsigned int prot,
		   void **ret_addr, struct direct_map **ret_map);
void direct_map_free(struct direct_map *map);

#endif
