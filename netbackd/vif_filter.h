/* SPDX-License-Identifier: MIT */
/*
 * The system calls of this program beside those of all back ends (backend/confine.h). TAPs come from xenhost-opend, so
 * no file is opened and no interface made.
 */
#ifndef NETBACKD_VIF_FILTER_H
#define NETBACKD_VIF_FILTER_H

#include "common/filter.h"

extern const struct filter vif_filter;

#endif
