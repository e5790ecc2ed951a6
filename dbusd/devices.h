/* SPDX-License-Identifier: MIT */
/*
 * Disks and network cards as objects of D-Bus: org.xenhost.Disk1 and org.xenhost.Network1, one for each back-end folder
 * vbd or vif of a service domain whose guest is there. Follows the store by a watch for each service domain; while there is no
 * store it tries again. Owned by struct objects.
 */
#ifndef DBUSD_DEVICES_H
#define DBUSD_DEVICES_H

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-bus.h>

#include "common/list.h"

struct objects;

struct devices {
	struct objects *objects;
	struct list all, services;
	unsigned int nr;
	uint64_t orders; /* numbers of those given */
	struct event *retry;
};

int devices_start(struct devices *d, struct objects *objects);
void devices_stop(struct devices *d);

/* a service domain is there: its devices from now on. Called for every other domain as well */
void devices_domain_added(struct devices *d, uint16_t domid, bool is_service);
/* the guest's objects go, or the service's and its watch */
void devices_domain_removed(struct devices *d, uint16_t domid);

/* for Domain1: writes the nodes of a new device; *ret_path is its object's. -errno with *error set */
int devices_attach_disk(struct devices *d, uint16_t domid, const char *image, const char *device,
			bool read_only, char *ret_path, size_t size, sd_bus_error *error);
int devices_attach_network(struct devices *d, uint16_t domid, const char *bridge, const char *mac,
			   char *ret_path, size_t size, sd_bus_error *error);

#endif
