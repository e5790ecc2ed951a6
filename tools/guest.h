/* SPDX-License-Identifier: MIT */
/* What a guest shall be: filled from options, read by whoever builds it. */
#ifndef TOOLS_GUEST_H
#define TOOLS_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#define GUEST_DISKS_MAX 1 /* of the skeleton */
#define GUEST_VIFS_MAX 1

struct guest_disk {
	char path[4096]; /* absolute */
	bool read_only;
};

struct guest_vif {
	char tap[16];	 /* name of the TAP device */
	char bridge[16]; /* "" for none */
	uint8_t mac[6];
};

struct guest {
	char name[64];
	char uuid[37];
	const char *kernel, *initrd, *append;
	const char *memory; /* as given: 256M */
	unsigned long long memory_bytes;
	struct guest_disk disks[GUEST_DISKS_MAX];
	unsigned int nr_disks;
	struct guest_vif vifs[GUEST_VIFS_MAX];
	unsigned int nr_vifs;
};

/* FILE[,ro]: -EINVAL, -ENOSPC (too many), -errno of realpath(3) */
int guest_add_disk(struct guest *g, const char *spec);
/* tap=NAME[,bridge=NAME][,mac=XX:XX:XX:XX:XX:XX]: -EINVAL, -ENOSPC */
int guest_add_vif(struct guest *g, const char *spec);
/* name, uuid and mac addresses that were not given */
int guest_complete(struct guest *g);

#endif
