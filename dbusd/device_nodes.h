/* SPDX-License-Identifier: MIT */
/* The nodes of one PV device: where they are, reading and writing them as a toolstack does. */
#ifndef DBUSD_DEVICE_NODES_H
#define DBUSD_DEVICE_NODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <xenhost/xenhost.h>

struct device_nodes {
	xenhost_t *host;
	uint16_t service, guest;
	uint32_t devid;
	bool disk; /* vbd; else vif */
};

/* what follows .../backend: "/vbd/1/51712" and whatever is below. -EINVAL: no device */
int device_nodes_parse(const char *path, struct device_nodes *n);
/* path of its object on D-Bus; id is the guest's unique one */
void device_nodes_object(const struct device_nodes *n, uint64_t id, char *path, size_t size);

/* of the back-end folder. -ENOENT: there is none. The caller frees *ret_value */
int device_nodes_state(const struct device_nodes *n, unsigned int *ret_state);
int device_nodes_read(const struct device_nodes *n, const char *node, char **ret_value);
int device_nodes_write(const struct device_nodes *n, const char *node, const char *value);

/* asks both ends to close; takes both folders away */
int device_nodes_close(const struct device_nodes *n);
void device_nodes_remove(const struct device_nodes *n);

/*
 * Fill in service and devid. device "": the next name that is free. -EINVAL: no such name or address, -EEXIST, -ENOSPC.
 * bridge and mac may be ""
 */
int device_nodes_attach_disk(struct device_nodes *n, const char *image, const char *device,
			     bool read_only);
int device_nodes_attach_network(struct device_nodes *n, const char *bridge, const char *mac);

/* all folders of a service, or of one guest there if it is not 0 */
typedef void device_nodes_fn(void *data, const struct device_nodes *n);
void device_nodes_each(xenhost_t *host, uint16_t service, uint16_t guest, device_nodes_fn *fn,
		       void *data);

#endif
