/* SPDX-License-Identifier: MIT */
/*
 * Operations of xenhost-opend: one file each. They open, check and give away; nothing of what they opened
 * stays here. They must not block: other services wait.
 */
#ifndef OPEND_OPEND_H
#define OPEND_OPEND_H

#include <stdarg.h>
#include <stdint.h>

#include "common/fdpass.h"
#include "common/open_wire.h"

#include "opend/conf.h"

struct result {
	int fds[FDPASS_MAX]; /* closed by the caller, when they are sent or not */
	unsigned int nr_fds;
	uint32_t value;
	char text[OPEN_TEXT_MAX]; /* what is wrong, for a person */
};

/* service: who asks. 0, or -errno with result->text */
typedef int opend_op(const struct conf *conf, const char *service,
		     const struct open_request *request, struct result *result);

opend_op image_op;
opend_op nbd_op;
opend_op tap_op;

/* sets the text and gives the error back */
int result_error(struct result *result, int error, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
