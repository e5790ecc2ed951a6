/* SPDX-License-Identifier: MIT */
/* Verbs of xenhost store that talk with the daemon itself. 0 or -errno, logged. */
#ifndef TOOLS_STORE_VERBS_H
#define TOOLS_STORE_VERBS_H

#include <stdbool.h>

int store_export(const char *rundir, unsigned long long version, const char *path);
int store_import(const char *rundir, const char *path);
int store_live_update(const char *rundir, const char *path);
/* count 0: without end */
int store_top(const char *rundir, unsigned long long count, bool json);

#endif
