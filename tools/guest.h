/* SPDX-License-Identifier: MIT */
/* What a guest shall be: filled from options, read by whoever builds it. */
#ifndef TOOLS_GUEST_H
#define TOOLS_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "common/options.h"
#include "tools/passt.h"

#define GUEST_DISKS_MAX 1 /* of the skeleton */
#define GUEST_VIFS_MAX 1

struct guest_disk {
	char path[4096]; /* absolute */
	bool read_only;
};

struct guest_vif {
	bool user;	 /* user-mode networking, by passt; else: */
	char tap[16];	 /* name of the TAP device */
	char bridge[16]; /* "" for none */
	uint8_t mac[6];
	struct passt passt;
};

/* what is done about a guest that ended by itself */
enum guest_action {
	GUEST_DESTROY,	/* remove it */
	GUEST_RESTART,	/* and build it anew: another domid, the same guest */
	GUEST_PRESERVE, /* keep its memory and nodes, for whoever looks at them */
};

struct guest {
	char name[64];
	char uuid[37];
	char *kernel, *initrd, *append; /* NULL: not given */
	unsigned long long memory_bytes;
	unsigned long long vcpus;
	char *console_pty, *console_log; /* NULL: none */
	bool sparse;			 /* memory is allocated when it is touched */
	enum guest_action on_poweroff, on_reboot, on_crash;
	struct guest_disk disks[GUEST_DISKS_MAX];
	unsigned int nr_disks;
	struct guest_vif vifs[GUEST_VIFS_MAX];
	unsigned int nr_vifs;
	struct passt publish; /* its ports only: of the first card with user-mode networking */
};

/* of a command line, or of a file with a line "OPTION = VALUE" for each; data is the struct guest */
extern const struct option_spec guest_specs[];

void guest_init(struct guest *g); /* defaults */
void guest_fini(struct guest *g);

/* FILE[,ro]: -EINVAL, -ENOSPC (too many), -errno of realpath(3) */
int guest_add_disk(struct guest *g, const char *spec);
/* tap=NAME[,bridge=NAME][,mac=XX:XX:XX:XX:XX:XX] or user[,mac=...]: -EINVAL, -ENOSPC */
int guest_add_vif(struct guest *g, const char *spec);
/* What was not given: name, uuid, mac addresses. -EINVAL, logged: what has to be given */
int guest_complete(struct guest *g);

/*
 * Reads options from a file: "name = value" lines, # comments. -EINVAL, logged: which line is wrong;
 * -errno, logged.
 */
int guest_read(struct guest *g, const char *path);

#endif
