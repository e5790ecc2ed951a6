/* SPDX-License-Identifier: MIT */
/* The reserved entries of a new guest's grant table (public/grant_table.h): console and Xenstore ring. */
#ifndef BRIDGED_GNTTAB_H
#define BRIDGED_GNTTAB_H

#include <stdint.h>
#include <sys/types.h>

/* both rings are granted to domain 0. 0 or -errno */
int gnttab_seed(int frames_fd, off_t offset, uint64_t console_gfn, uint64_t store_gfn);

#endif
