/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/log.h"

#include "backend/device_error.h"

int device_error(xenhost_device_t *dev, int error, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_error("%s: %s", xenhost_device_name(dev), text);
	xenhost_device_fail(dev, -error, "%s", text);
	return error;
}
