/* SPDX-License-Identifier: MIT */
/*
 * For programs of others that we start and that read what a guest wrote: no file but those named here can be reached,
 * no socket but those it is given, no other process, no right of root's beyond reading and writing what is named. All is prepared by
 * the parent; jail_enter() is for between fork(2) and exec, in a process that has threads.
 */
#ifndef TOOLS_JAIL_H
#define TOOLS_JAIL_H

#include <stdbool.h>
#include <stddef.h>

struct sock_filter;

struct jail {
	int files; /* -1: this kernel does not know how to */
	struct sock_filter *calls;
	unsigned short nr_calls;
};

/* Programs and libraries may be read from the start. -errno */
int jail_new(struct jail *j);
void jail_free(struct jail *j);
/* one file, which is there. -errno */
int jail_allow(struct jail *j, const char *path, bool write);
/* 0 or -1 */
int jail_enter(const struct jail *j);

#endif
