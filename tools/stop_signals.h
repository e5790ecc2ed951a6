/* SPDX-License-Identifier: MIT */
/* The signals by which people end a program, as a descriptor. */
#ifndef TOOLS_STOP_SIGNALS_H
#define TOOLS_STOP_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

#define EXIT_INTERRUPTED (128 + SIGINT)

/* blocks SIGINT, SIGTERM and SIGHUP; the descriptor is readable when one came. 0 or -errno */
int stop_signals_open(int *ret_fd);
/* true: one came since the last call */
bool stop_signals_taken(int fd);

#endif
