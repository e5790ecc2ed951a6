/* SPDX-License-Identifier: MIT */
/*
 * Files that describe guests: configurations as xl.cfg(5) has them (guest_cfg.h), and whether what they name is
 * there.
 */
#ifndef TOOLS_GUEST_FILE_H
#define TOOLS_GUEST_FILE_H

#include <stdbool.h>

struct guest;

/*
 * Reads the file, then the settings of `more`, of which there are nr and which win. -errno, logged with file and
 * line. ret_has_uuid, if not NULL: the file has the guest's uuid.
 */
int guest_file_read(struct guest *g, const char *path, char *const *more, int nr,
		    bool *ret_has_uuid);

/* where persistent guests' configurations are: $XENHOST_GUESTS, or the built-in place */
const char *guest_folder(void);

/*
 * Are kernel, initial RAM disk and images there? 0 or -errno, logged. Images' paths become absolute. others_images:
 * images that we may not see are left to the back end, which may.
 */
int guest_file_check(struct guest *g, bool others_images);

const char *guest_file_grub(void); /* where GRUB for guests is */
/* Boots by GRUB when no kernel is named. 0 or -errno, logged: what to install */
int guest_file_boot(struct guest *g);

/* a text, no image: a small file without a zero byte at its beginning */
bool guest_file_is_config(const char *path);

#endif
