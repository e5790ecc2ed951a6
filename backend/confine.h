/* SPDX-License-Identifier: MIT */
/*
 * A back end that was taken over by a guest shall have little to gain: no capability, no new program, no
 * other process's memory, no network, and of the system calls those that a back end needs. It may still
 * open files, as it is told by the Xenstore which.
 */
#ifndef BACKEND_CONFINE_H
#define BACKEND_CONFINE_H

/*
 * All threads, for good. 0 or -errno; 1: built with a sanitizer, whose runtime would not work, so
 * nothing was done.
 */
int confine_self(void);

/* Gives up the capabilities of the calling thread, for good: for each that runs before confine_self(). */
int confine_thread(void);

#endif
