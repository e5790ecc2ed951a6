/* SPDX-License-Identifier: MIT */
/*
 * Requests: who may ask what (the table in ops.c), what the payload must look like, and the answer.
 * The order of the checks is that of the protocol: type, privilege, transaction, payload.
 */
#ifndef XENSTORED_OPS_H
#define XENSTORED_OPS_H

#include <stddef.h>

#include "xenstored/wire.h"

struct conn;
struct txn;

struct request {
	struct conn *c;
	const struct wire_header *h;
	const char *data;
	size_t len;
	struct txn *t; /* or NULL */
};

/* Answers one request. data: h->len bytes */
void ops_handle(struct conn *c, const struct wire_header *h, const char *data);

#endif
