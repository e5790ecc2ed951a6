/* SPDX-License-Identifier: MIT */
/*
 * Service domains: back ends are domains of their own, known by configuration (NAME=DOMID), so that
 * grants and store rights given to one are of no use to another. bridged and xenstored read the same
 * table; the name is also that of the service's sockets (RUNDIR/bridge/NAME.sock, RUNDIR/store/NAME.sock).
 */
#ifndef COMMON_SERVICE_H
#define COMMON_SERVICE_H

#include <stdint.h>

/* those that every host has, in this order in each table */
enum service_id {
	SERVICE_BLKBACK,
	SERVICE_NETBACK,
	SERVICE_BUILTIN_MAX,
};

#define SERVICE_MAX 32
#define SERVICE_NAME_MAX 32
#define SERVICE_DOMID_MIN 32000 /* guests get lower ids */
#define SERVICE_DOMID_MAX 32700

struct service {
	char name[SERVICE_NAME_MAX];
	uint16_t domid;
};

struct service_table {
	unsigned int nr;
	struct service entries[SERVICE_MAX];
};

/* blkback=32000 and netback=32001: the one place that says so */
extern const struct service service_builtin[SERVICE_BUILTIN_MAX];

/* the built-in ones */
void service_table_init(struct service_table *table);

/* "NAME=DOMID": adds it, or changes the id of a known name. -EINVAL, -EEXIST (id taken), -ENOSPC */
int service_table_set(struct service_table *table, const char *spec);

const struct service *service_by_name(const struct service_table *table, const char *name);
const struct service *service_by_domid(const struct service_table *table, uint16_t domid);

#endif
