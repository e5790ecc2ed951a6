/* SPDX-License-Identifier: MIT */
/*
 * A back end that was taken over by a guest shall have little to gain: no capability, no new program, no
 * other process's memory, no network, no file by its name, and of the system calls those that a back end needs.
 * (Where io_uring is needed, the network is left to the unit: what a ring does no filter sees.)
 */
#ifndef BACKEND_CONFINE_H
#define BACKEND_CONFINE_H

struct filter;

/* loops, other threads, the host, the C library: what all back ends need (common/filter.h) */
extern const struct filter confine_base;

/*
 * All threads, for good. 0 or -errno; 1: built with a sanitizer, whose runtime would not work, so
 * nothing was done.
 */
int confine_self(const struct filter *filter);

/* Gives up the capabilities and files of the calling thread, for good: for each that runs before confine_self(). */
int confine_thread(void);

#endif
