/* SPDX-License-Identifier: MIT */
/* Folders of a run directory, and the lock by which only one daemon serves one. Not thread safe. */
#ifndef COMMON_RUNDIR_H
#define COMMON_RUNDIR_H

#include <sys/types.h>

/* Makes RUNDIR and RUNDIR/folder, if they are not there. 0 or -errno, logged */
int rundir_make(const char *rundir, const char *folder, mode_t mode);

/*
 * RUNDIR/file stays locked as long as its descriptor is open, so at the longest as the process lives. 0 or
 * -errno (-EBUSY: another one has it), logged; program: who that would be.
 */
int rundir_lock(const char *rundir, const char *file, const char *program, int *ret_fd);

#endif
