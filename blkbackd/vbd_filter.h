/* SPDX-License-Identifier: MIT */
/* The system calls of this program beside those of all back ends (backend/confine.h). */
#ifndef BLKBACKD_VBD_FILTER_H
#define BLKBACKD_VBD_FILTER_H

#include "common/filter.h"

extern const struct filter vbd_filter;

#endif
