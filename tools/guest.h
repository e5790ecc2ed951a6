/* SPDX-License-Identifier: MIT */
/* What a guest shall be: filled from options, read by whoever builds it. */
#ifndef TOOLS_GUEST_H
#define TOOLS_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "common/options.h"
#include "tools/image_server.h"
#include "tools/passt.h"

#define GUEST_DISKS_MAX 16
#define GUEST_VIFS_MAX 8
#define GUEST_VCPUS_MAX 32

struct guest_disk {
	char path[4096]; /* absolute, or an NBD server's URI */
	char format[16]; /* "": raw, by the back end itself; others have a server */
	bool backing;	 /* images that this one names may be read */
	unsigned int devid;
	bool read_only, cdrom, no_discard, untrusted;
	struct image_server server;
};

struct guest_vif {
	bool user;	 /* user-mode networking, by passt; else: */
	char tap[16];	 /* name of the TAP device; "" for vifDOMID.DEVID */
	char bridge[16]; /* "" for none */
	uint8_t mac[6];
	unsigned int devid;
	unsigned long long rate_bytes; /* that the guest may send in rate_us; 0: no limit */
	unsigned int rate_us;
	unsigned int mtu; /* 0: the front end's default */
	bool untrusted;
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
	unsigned long long target_bytes; /* what it shall use of that; 0: all */
	unsigned long long vcpus;
	unsigned long long vcpus_online; /* at the start; 0: all */
	char *console_pty, *console_log; /* NULL: none */
	bool sparse;			 /* memory is allocated when it is touched */
	enum guest_action on_poweroff, on_reboot, on_crash, on_watchdog;
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

/* FILE|NBD-URI[,ro][,format=FORMAT][,backing]: -EINVAL, -ENOSPC (too many), -errno of realpath(3) */
int guest_add_disk(struct guest *g, const char *spec);
/*
 * raw or qcow2; NULL: as the name of the image says (.qcow2). The content is never asked: a guest could have written
 * it. -EINVAL
 */
int guest_disk_set_format(struct guest_disk *disk, const char *format);
/* does it need a server of its own? */
bool guest_disk_is_served(const struct guest_disk *disk);
/* fills in disk->server what the disk says */
void guest_disk_server(struct guest_disk *disk);
/* Makes place for one; devid 0: the first xvd name that is free. -ENOSPC, -EEXIST */
int guest_new_disk(struct guest *g, unsigned int devid, struct guest_disk **ret_disk);
/* the same; devid -1: the next number */
int guest_new_vif(struct guest *g, int devid, struct guest_vif **ret_vif);
/* tap=NAME[,bridge=NAME][,mac=XX:XX:XX:XX:XX:XX] or user[,mac=...]: -EINVAL, -ENOSPC */
int guest_add_vif(struct guest *g, const char *spec);
/*
 * What was not given: name, uuid, and addresses of cards, which are made from the uuid: the same guest has always
 * the same. -EINVAL, logged: what has to be given
 */
int guest_complete(struct guest *g);

/* setters of options; -EINVAL */
int guest_set_name(struct guest *g, const char *name);
int guest_set_uuid(struct guest *g, const char *uuid);
int guest_make_uuid(char *uuid);
/* destroy, restart, preserve. -EINVAL */
int guest_parse_action(const char *text, enum guest_action *ret_action);
int guest_set_text(char **where, const char *text); /* -ENOMEM */

/*
 * Reads options from a file: "name = value" lines, # comments. -EINVAL, logged: which line is wrong;
 * -errno, logged.
 */
int guest_read(struct guest *g, const char *path);

#endif
