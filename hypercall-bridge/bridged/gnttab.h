/* SPDX-License-Identifier: MIT */
/* A guest's grant table (public/grant_table.h, version 1): bridged only looks at it, but for the cases below. */
#ifndef BRIDGED_GNTTAB_H
#define BRIDGED_GNTTAB_H

#include <stdint.h>
#include <sys/types.h>

/* The reserved entries of a new one: console and Xenstore ring. both are granted to domain 0. 0 or -errno */
int gnttab_seed(int frames_fd, off_t offset, uint64_t console_gfn, uint64_t store_gfn);

/*
 * Entries that are in use, from number `from` on: at most max of them into grants. Returns how many; *ret_next is where
 * to go on, 0 for the end. -errno
 */
struct gnttab_grant {
	uint32_t gref, frame;
	uint16_t flags, domid;
};

int gnttab_list(int frames_fd, off_t offset, uint64_t size, uint32_t from,
		struct gnttab_grant *grants, size_t max, uint32_t *ret_next);

/* Unmarks what domid has in use, which must be nobody any more. Returns how many entries were; -errno */
int gnttab_settle(int frames_fd, off_t offset, uint64_t size, uint16_t domid);

#endif
