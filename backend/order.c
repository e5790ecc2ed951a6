/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

#include "backend/order.h"

#define NODE_ORDER "xenhost-control"
#define NODE_REPLY "xenhost-reply"

int order_take(xenhost_device_t *dev, uint64_t *ret_number, char **ret_order)
{
	_cleanup_free_ char *order = NULL, *last = NULL;
	unsigned long long number;
	char *text;

	if (xenhost_device_read_str(dev, XENHOST_BACK, NODE_ORDER, &order) < 0)
		return 0;
	number = strtoull(order, &text, 10);
	if (text == order || *text != ' ')
		return 0;
	if (xenhost_device_read_str(dev, XENHOST_BACK, NODE_REPLY, &last) == 0 &&
	    strtoull(last, NULL, 10) == number)
		return 0;
	memmove(order, text + 1, strlen(text)); /* with its NUL */
	*ret_number = number;
	*ret_order = steal_ptr(&order);
	return 1;
}

void order_reply(xenhost_device_t *dev, uint64_t number, const char *fmt, ...)
{
	char text[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)xenhost_device_printf(dev, NODE_REPLY, "%" PRIu64 " %s", number, text);
}
