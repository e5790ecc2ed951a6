/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

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
