/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hypercall-bridge/bridged/gnttab.h"

#include "common/xen.h"

static void seed(grant_entry_v1_t *entry, uint64_t gfn)
{
	if (!gfn)
		return;
	*entry = (grant_entry_v1_t){ .flags = GTF_permit_access,
				     .domid = 0,
				     .frame = (uint32_t)gfn };
}

int gnttab_seed(int frames_fd, off_t offset, uint64_t console_gfn, uint64_t store_gfn)
{
	grant_entry_v1_t *entries =
		mmap(NULL, XEN_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, frames_fd, offset);

	if (entries == MAP_FAILED)
		return -errno;
	seed(&entries[GNTTAB_RESERVED_CONSOLE], console_gfn);
	seed(&entries[GNTTAB_RESERVED_XENSTORE], store_gfn);
	munmap(entries, XEN_PAGE_SIZE);
	return 0;
}

#define IN_USE ((uint32_t)(GTF_reading | GTF_writing))
#define TRIES 64   /* a guest that changes its entry all the time keeps what it has there */
#define CHUNK 512u /* entries read at once: one frame of the table */

/* Read, not mapped: what a guest's owner handed us is a memfd that cannot shrink, but holes in it cost nothing so. */
int gnttab_list(int frames_fd, off_t offset, uint64_t size, uint32_t from,
		struct gnttab_grant *grants, size_t max, uint32_t *ret_next)
{
	uint32_t nr = (uint32_t)(size / sizeof(grant_entry_v1_t));
	grant_entry_v1_t chunk[CHUNK];
	size_t found = 0;

	for (uint32_t gref = from; gref < nr; gref++) {
		const grant_entry_v1_t *e = &chunk[gref % CHUNK];

		if (gref == from || gref % CHUNK == 0) {
			off_t at = offset + (off_t)(gref / CHUNK) * (off_t)sizeof(chunk);

			if (pread(frames_fd, chunk, sizeof(chunk), at) != sizeof(chunk))
				return -EIO;
		}
		if ((e->flags & GTF_type_mask) == GTF_invalid)
			continue;
		if (found == max) {
			*ret_next = gref;
			return (int)found;
		}
		grants[found++] = (struct gnttab_grant){ gref, e->frame, e->flags, e->domid };
	}
	*ret_next = 0;
	return (int)found;
}

static int unmark(_Atomic uint32_t *entry, uint16_t domid)
{
	uint32_t word = atomic_load(entry);

	for (int i = 0; i < TRIES && word >> 16 == domid && (word & IN_USE); i++)
		if (atomic_compare_exchange_strong(entry, &word, word & ~IN_USE))
			return 1;
	return 0;
}

int gnttab_settle(int frames_fd, off_t offset, uint64_t size, uint16_t domid)
{
	size_t nr = size / sizeof(grant_entry_v1_t);
	_Atomic uint32_t *words =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, frames_fd, offset);
	int n = 0;

	if (words == MAP_FAILED)
		return -errno;
	for (size_t i = 0; i < nr; i++)
		n += unmark(&words[2 * i], domid);
	munmap((void *)words, size);
	return n;
}
