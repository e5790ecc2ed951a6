/* SPDX-License-Identifier: MIT */
/* Who may do what over D-Bus: by groups of the caller's user. */
#ifndef DBUSD_ACCESS_H
#define DBUSD_ACCESS_H

#include <sys/types.h>

enum access {
	ACCESS_NONE,
	ACCESS_LOOK,	/* what there is */
	ACCESS_COMMAND, /* and start, end, pause */
};

#define ACCESS_GROUPS_MAX 16

struct access_rules {
	struct access_rule {
		const char *group;
		enum access access;
	} rules[ACCESS_GROUPS_MAX];
	size_t nr;
};

/* -ENOSPC */
int access_allow(struct access_rules *a, const char *group, enum access access);
/* Root may do everything; of several groups the one with most rights counts. Reads the user database */
enum access access_of(const struct access_rules *a, uid_t uid);

#endif
