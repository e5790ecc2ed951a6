/* SPDX-License-Identifier: MIT */
/*
 * The strings by which xl.cfg(5) describes a disk and a network card (xl-disk-configuration(5),
 * xl-network-configuration(5)). Pure. Tables say of each key whether it is used, ignored or refused, and why;
 * the man page xenhost-guest.cfg(5) has the same, which a test compares.
 */
#ifndef TOOLS_XL_SPEC_H
#define TOOLS_XL_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ifname.h"

#define XL_PATH_MAX 4096
#define XL_WORD_MAX 64

enum xl_use { XL_USED, XL_IGNORED, XL_REFUSED };

/* what the strings of all devices can say; their structs begin with it */
struct xl_device {
	bool untrusted;
};

struct xl_disk {
	struct xl_device device;
	char target[XL_PATH_MAX]; /* "" for none; absolute, or SCHEME:... */
	char format[XL_WORD_MAX];
	char vdev[XL_WORD_MAX];
	unsigned int devid; /* of vdev */
	bool has_format;    /* else it is "raw" */
	bool read_only, cdrom, no_discard, backing;
};

struct xl_vif {
	struct xl_device device;
	bool has_mac, user;
	uint8_t mac[6];
	char bridge[IFNAME_LEN_MAX + 1], vifname[IFNAME_LEN_MAX + 1];
	uint64_t rate_bytes; /* in rate_us; 0: no limit */
	uint32_t rate_us;
	unsigned int mtu; /* 0: not given */
	int devid;	  /* -1: not given */
	bool has_script;  /* anything but the usual one */
	bool has_gatewaydev;
};

/* what a specification string can say; tables end with a NULL name */
struct xl_spec_key {
	const char *name;
	const char *form; /* of its value, NULL: a flag */
	enum xl_use use;
	const char *text; /* what it does, or why it is ignored or refused */
	/* NULL or what is wrong; spec is the xl_disk or xl_vif */
	const char *(*set)(void *spec, const char *value);
};

extern const struct xl_spec_key xl_disk_keys[], xl_vif_keys[];

/* index of a key with a value, or of one that is a flag; -1: there is none */
int xl_spec_find(const struct xl_spec_key *keys, const char *name, size_t len, bool flag);
/* without the blanks at both ends, in place */
char *xl_spec_trim(char *text);
/* for the tables */
const char *xl_spec_trusted(void *spec, const char *text);
const char *xl_spec_untrusted(void *spec, const char *text);

/*
 * 0, or -EINVAL: ret_why says what is wrong, in a static string, and ret_word (XL_WORD_MAX) with which part of
 * the specification.
 */
int xl_disk_parse(const char *spec, struct xl_disk *ret_disk, const char **ret_why, char *ret_word);
int xl_vif_parse(const char *spec, struct xl_vif *ret_vif, const char **ret_why, char *ret_word);

/* the number by which front and back end know a disk: xvda2, hda, sdb, d5p1. -EINVAL */
int xl_vdev_parse(const char *vdev, unsigned int *ret_devid);

#endif
