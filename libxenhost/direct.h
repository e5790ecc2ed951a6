/* SPDX-License-Identifier: MIT */
/*
 * Direct grants: this process holds the guest's memory (memfds handed over by bridged) and plays by the
 * grant table's rules itself: an entry is checked and marked in use before its frame is touched, and
 * unmarked afterwards. That is a protocol, not a wall; THREATS.md says what it is worth.
 * ABI: version 1 entries of Xen's public/grant_table.h.
 *
 * direct_memory.c: which guests there are, and their memory; direct.c: I/O; direct_map.c: mappings.
 * A guest that goes away under I/O or mappings leaves its memory mapped until they have ended.
 * Threads: any, except direct_guests_init() and _fini().
 */
#ifndef LIBXENHOST_DIRECT_H
#define LIBXENHOST_DIRECT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <xenhost/gnttab.h>

#include "common/list.h"

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

/* the guests whose memory a handle holds, by domid */
struct direct_guests {
	uint16_t domid;				   /* ours, to which grants must be given */
	int (*attach)(void *data, uint16_t domid); /* adds a guest that is asked for; may be NULL */
	void *data;
	pthread_mutex_t lock;
	struct list all; /* under lock; what was once in it stays until the end */
	_Atomic(struct direct_memory *) *_Atomic by_domid[256];
};

void direct_guests_init(struct direct_guests *g, uint16_t domid,
			int (*attach)(void *data, uint16_t domid), void *data);
void direct_guests_fini(struct direct_guests *g);

/* -EEXIST, -EINVAL, -ENOMEM, errors of mmap(2) */
int direct_guests_add(struct direct_guests *g, uint16_t domid, uint64_t unique_id,
		      const struct direct_region *regions, size_t n);
/* one guest, or none if that is gone already */
void direct_guests_drop(struct direct_guests *g, uint64_t unique_id);
/* those of which there() says no; it may block */
void direct_guests_keep(struct direct_guests *g,
			bool (*there)(void *data, uint16_t domid, uint64_t unique_id), void *data);
/* all others */
void direct_guests_drop_others(struct direct_guests *g, uint16_t domid);

/*
 * prot, errors: xenhost/gnttab.h. A guest that is not there is attached first, -ESRCH if that does not help,
 * or the error of it
 */
int direct_io_begin(struct direct_guests *g, uint16_t domid, struct xenhost_seg *segs, size_t n,
		    unsigned int prot, struct iovec *iov);
void direct_io_end(struct xenhost_seg *segs, size_t n, unsigned int prot);

/* the form for one page, all of which is filled in; one that was put has no address */
int direct_translate(struct direct_guests *g, uint16_t domid, uint32_t gref, unsigned int prot,
		     struct xenhost_page *ret_page);
void direct_put(struct xenhost_page *page);

/* xenhost_grants_settle(), nobody else being there. The number of entries */
int direct_settle(struct direct_guests *g, uint16_t domid);

struct direct_map;

int direct_map_new(struct direct_guests *g, uint16_t domid, const uint32_t *grefs, size_t n,
		   unsigned int prot, void **ret_addr, struct direct_map **ret_map);
void direct_map_free(struct direct_map *map);

#endif
