/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/service.h"

const struct service service_builtin[SERVICE_BUILTIN_MAX] = {
	[SERVICE_BLKBACK] = { "blkback", 32000 },
	[SERVICE_NETBACK] = { "netback", 32001 },
};

void service_table_init(struct service_table *table)
{
	*table = (struct service_table){ .nr = SERVICE_BUILTIN_MAX };
	memcpy(table->entries, service_builtin, sizeof(service_builtin));
}

/* a name becomes a file name, so nothing but [a-z0-9-] */
static bool name_valid(const char *name, size_t len)
{
	if (len == 0 || len >= SERVICE_NAME_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!islower((unsigned char)name[i]) && !isdigit((unsigned char)name[i]) &&
		    name[i] != '-')
			return false;
	return true;
}

static int domid_parse(const char *s, uint16_t *ret_domid)
{
	unsigned long v;
	char *end;

	if (!isdigit((unsigned char)*s))
		return -EINVAL;
	errno = 0;
	v = strtoul(s, &end, 10);
	if (errno || *end || v < SERVICE_DOMID_MIN || v > SERVICE_DOMID_MAX)
		return -EINVAL;
	*ret_domid = (uint16_t)v;
	return 0;
}

int service_table_set(struct service_table *table, const char *spec)
{
	const char *eq = strchr(spec, '=');
	struct service s = { 0 };
	const struct service *old, *taken;
	int r;

	if (!eq || !name_valid(spec, (size_t)(eq - spec)))
		return -EINVAL;
	memcpy(s.name, spec, (size_t)(eq - spec));
	r = domid_parse(eq + 1, &s.domid);
	if (r < 0)
		return r;
	old = service_by_name(table, s.name);
	taken = service_by_domid(table, s.domid);
	if (taken && taken != old)
		return -EEXIST;
	if (old) {
		table->entries[old - table->entries] = s;
		return 0;
	}
	if (table->nr == SERVICE_MAX)
		return -ENOSPC;
	table->entries[table->nr++] = s;
	return 0;
}

const struct service *service_by_name(const struct service_table *table, const char *name)
{
	for (unsigned int i = 0; i < table->nr; i++)
		if (!strcmp(table->entries[i].name, name))
			return &table->entries[i];
	return NULL;
}

const struct service *service_by_domid(const struct service_table *table, uint16_t domid)
{
	for (unsigned int i = 0; i < table->nr; i++)
		if (table->entries[i].domid == domid)
			return &table->entries[i];
	return NULL;
}
