/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/options.h"
#include "tools/connect.h"
#include "tools/domain_show.h"
#include "tools/json.h"

const char *domain_state_name(const struct xenhost_domain_info *info)
{
	static const char *const names[] = { "gone", "paused", "running", "shutdown" };

	return info->state < ARRAY_SIZE(names) ? names[info->state] : "unknown";
}

const char *domain_kind_name(const struct xenhost_domain_info *info)
{
	static const char *const names[] = { "control", "service", "guest" };

	return info->kind < ARRAY_SIZE(names) ? names[info->kind] : "unknown";
}

/* as Xen's public/sched.h */
const char *domain_reason_name(const struct xenhost_domain_info *info)
{
	static const char *const names[] = { "poweroff", "reboot",   "suspend",
					     "crash",	 "watchdog", "soft-reset" };

	if (!(info->flags & XENHOST_DOMAIN_F_ENDED))
		return "";
	return info->shutdown_reason < ARRAY_SIZE(names) ? names[info->shutdown_reason] : "unknown";
}

void domain_print_json(const struct xenhost_domain_info *info)
{
	printf("{\"domid\": %u, \"name\": ", info->domid);
	json_string(stdout, info->name);
	printf(", \"kind\": \"%s\", \"state\": \"%s\", \"shutdown_reason\": \"%s\", \"unique_id\": \"%016llx\", "
	       "\"memory_bytes\": %llu, \"store_port\": %u, \"console_port\": %u}",
	       domain_kind_name(info), domain_state_name(info), domain_reason_name(info),
	       (unsigned long long)info->unique_id, (unsigned long long)info->memory_bytes,
	       info->store_port, info->console_port);
}

void domain_print_all(const struct xenhost_domain_info *info)
{
	printf("domid:           %u\nname:            %s\nkind:            %s\n", info->domid,
	       info->name, domain_kind_name(info));
	printf("state:           %s\n", domain_state_name(info));
	if (info->flags & XENHOST_DOMAIN_F_ENDED)
		printf("shutdown reason: %s\n", domain_reason_name(info));
	printf("unique id:       %016llx\n", (unsigned long long)info->unique_id);
	if (info->kind != XENHOST_DOMAIN_GUEST || info->state == XENHOST_DOMAIN_GONE)
		return;
	printf("memory:          %llu MiB\n", (unsigned long long)(info->memory_bytes >> 20));
	printf("store port:      %u\nstore frame:     %#llx\n", info->store_port,
	       (unsigned long long)info->store_gfn);
	printf("grants:          direct: back ends hold the guest's memory and check its grants themselves\n");
}

/* Of a domid also the guest that had it last; a name is that of a guest, which may have many domains. */
int domain_find(xenhost_t *host, const char *which, struct xenhost_domain_info *ret_info)
{
	unsigned long long domid;
	int r;

	if (options_number(which, 0, 32767, &domid) == 0)
		r = xenhost_domain_ended(host, (uint16_t)domid, ret_info);
	else
		r = xenhost_domain_by_name(host, which, ret_info);
	if (r < 0)
		connect_no_domain("domain", which, r);
	return r;
}
