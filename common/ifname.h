/* SPDX-License-Identifier: MIT */
/* Names of network devices, as files, nodes of the store and other processes name them. */
#ifndef COMMON_IFNAME_H
#define COMMON_IFNAME_H

#include <stdbool.h>
#include <string.h>

#define IFNAME_LEN_MAX 15u /* without the NUL: IFNAMSIZ - 1 */

/* Fewer than the kernel takes: nothing that a path, a list of options or a template of names would take apart. */
static inline bool ifname_ok(const char *name)
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t len = strlen(name);

	return len > 0 && len <= IFNAME_LEN_MAX && strspn(name, allowed) == len &&
	       strcmp(name, ".") && strcmp(name, "..");
}

#endif
