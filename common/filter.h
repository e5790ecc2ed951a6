/* SPDX-License-Identifier: MIT */
/*
 * Filters of system calls (seccomp) for processes that read what guests write. What is on no list fails with
 * EPERM; what only an attacker would try ends the process. The same for all: what event loops, sockets that are
 * there and the C library need is permitted, memory is never executable, and signals go to our own threads.
 */
#ifndef COMMON_FILTER_H
#define COMMON_FILTER_H

#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>

struct filter {
	const struct filter *base; /* all of that is permitted, too; NULL: none */
	const int *always;	   /* SCMP_SYS() of calls with whatever arguments */
	size_t nr_always;
	const unsigned long *requests; /* of ioctl(2) */
	size_t nr_requests;
	const int *commands; /* of fcntl(2) */
	size_t nr_commands;
	int (*add)(scmp_filter_ctx ctx); /* what else there is, if not NULL; 0 or -errno */
};

/* false: built with a sanitizer, whose runtime would not work */
bool filter_works(void);

/* For all threads, for good. 0 or -errno; 1: filter_works() is false and nothing was done */
int filter_enter(const struct filter *filter);

#endif
