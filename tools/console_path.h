/* SPDX-License-Identifier: MIT */
/* Where the consoles of guests are: RUNDIR/console/NAME.sock, made by the toolstack, served by the vmm. */
#ifndef TOOLS_CONSOLE_PATH_H
#define TOOLS_CONSOLE_PATH_H

#include <stddef.h>

#define CONSOLE_PATH_MAX 108 /* of a socket */

/* rundir NULL: the system's. 0 or -ENAMETOOLONG */
int console_path(const char *rundir, const char *name, char *path, size_t size);
/* the folder, for its owner alone. 0 or -errno */
int console_path_make(const char *rundir);

#endif
