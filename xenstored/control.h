/* SPDX-License-Identifier: MIT */
/* CONTROL: commands for people and xenstore-control, answered with text. */
#ifndef XENSTORED_CONTROL_H
#define XENSTORED_CONTROL_H

struct request;

int control_handle(const struct request *rq); /* 0 or the errno for the caller */

#endif
