/* SPDX-License-Identifier: MIT */
/*
 * Orders of people: a tool of domain 0 writes "NUMBER ORDER [ARGUMENT]" to the node xenhost-control of a
 * device's back-end folder, with a number that was not used before; the answer is "NUMBER ok TEXT" or
 * "NUMBER error TEXT" in xenhost-reply, by which a successor knows what was done already.
 */
#ifndef BACKEND_ORDER_H
#define BACKEND_ORDER_H

#include <stdint.h>

#include <xenhost/backend.h>

/*
 * In the event callback, before what the order is about is looked at: who gave it may count on what it wrote
 * before it. 1: an order that was not obeyed yet, its text to be freed; 0: there is none.
 */
int order_take(xenhost_device_t *dev, uint64_t *ret_number, char **ret_order);
/* "ok ..." or "error ..." */
void order_reply(xenhost_device_t *dev, uint64_t number, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
