/* SPDX-License-Identifier: MIT */
/* A device that cannot be served: one line, for the log and for who reads the Xenstore. */
#ifndef BACKEND_DEVICE_ERROR_H
#define BACKEND_DEVICE_ERROR_H

#include <xenhost/backend.h>

/* logs, and xenhost_device_fail(). Returns the error, which is negative */
int device_error(xenhost_device_t *dev, int error, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
