/* SPDX-License-Identifier: MIT */
/* The system calls that xenhost-opend needs once it listens: what its clients send must not lead to others. */
#ifndef OPEND_OPEND_FILTER_H
#define OPEND_OPEND_FILTER_H

struct filter;

extern const struct filter opend_filter;

#endif
