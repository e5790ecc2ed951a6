/* SPDX-License-Identifier: MIT */
/*
 * What daemons say to the service manager that started them, in the way of sd_notify(3). By ourselves, as libsystemd
 * brings four more libraries into each process.
 */
#ifndef COMMON_MANAGER_H
#define COMMON_MANAGER_H

#include <stdint.h>

/* "READY=1" and the like. 1 said, 0 nobody wants to hear it, -errno */
int manager_notify(const char *text);

/* How often it wants to hear WATCHDOG=1 of this process: 1, 0 never, -EINVAL */
int manager_watchdog(uint64_t *ret_us);

#endif
