/* SPDX-License-Identifier: MIT */
/* Domains for people and for scripts: their names, and what is told of each. */
#ifndef TOOLS_DOMAIN_SHOW_H
#define TOOLS_DOMAIN_SHOW_H

#include <xenhost/domain.h>
#include <xenhost/xenhost.h>

const char *domain_state_name(const struct xenhost_domain_info *info);
const char *domain_kind_name(const struct xenhost_domain_info *info);
/* "" while it has not ended */
const char *domain_reason_name(const struct xenhost_domain_info *info);

void domain_print_json(const struct xenhost_domain_info *info); /* an object, no line end */
void domain_print_all(const struct xenhost_domain_info *info);

/* by name or number. -errno, logged */
int domain_find(xenhost_t *host, const char *which, struct xenhost_domain_info *ret_info);

#endif
