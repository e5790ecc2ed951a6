/* SPDX-License-Identifier: MIT */
/*
 * A guest from a configuration as xl.cfg(5) describes it. One table says of each of its keys whether it is
 * used, ignored or refused, and why; xenhost-guest.cfg(5) has the same, which a test compares. No file is looked
 * at here: paths are taken as they are written.
 */
#ifndef TOOLS_GUEST_CFG_H
#define TOOLS_GUEST_CFG_H

#include <stdbool.h>
#include <stddef.h>

#include "tools/xl_spec.h"
#include "tools/xl_syntax.h"

#define GUEST_CFG_MAX (1 << 20) /* bytes of a file */
#define GUEST_CFG_WHY_MAX 512
#define GUEST_CFG_IGNORED_MAX 256

struct guest;

struct guest_cfg {
	struct guest *guest;
	char *cmdline, *root, *extra;
	unsigned long long memory, maxmem; /* bytes, 0: not given */
	unsigned long long vcpus, maxvcpus;
	bool has_uuid;
	unsigned int line;	     /* of the mistake */
	char why[GUEST_CFG_WHY_MAX]; /* the mistake */
	char ignored
		[GUEST_CFG_IGNORED_MAX]; /* keys that were there and are ignored, ended by ... */
};

/* Of one key. form: of its value, for people */
struct guest_cfg_key {
	const char *name, *form;
	enum xl_use use;
	const char *text; /* what it does, or why it is ignored or refused */
	/* 0 or -errno with c->why; may be NULL for those that are not used */
	int (*set)(struct guest_cfg *c, const struct xl_value *v, bool add);
};

extern const struct guest_cfg_key guest_cfg_keys[]; /* ends with a NULL name */

/*
 * Fills c->guest (after guest_init()), which keeps what it has where the text says nothing. 0, or -EINVAL or
 * -ENOMEM with line and why. May be called again for more text, whose settings replace those of the first.
 */
int guest_cfg_parse(struct guest_cfg *c, const char *text, size_t len);
/* when all text was read. The same */
int guest_cfg_complete(struct guest_cfg *c);
void guest_cfg_fini(struct guest_cfg *c);

#endif
