/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>

#include "dbusd/access.h"

#define LOOKUP_SIZE \
	65536 /* of one entry: a group with thousands of members is larger, and gives no rights */
#define GROUPS_MAX 1024 /* of one user */

int access_allow(struct access_rules *a, const char *group, enum access access)
{
	if (a->nr == ACCESS_GROUPS_MAX)
		return -ENOSPC;
	a->rules[a->nr++] = (struct access_rule){ group, access };
	return 0;
}

/* number of groups, 0 when the user is not known */
static int groups_of(uid_t uid, gid_t *groups)
{
	static char buf[LOOKUP_SIZE];
	struct passwd pw, *found;
	int nr = GROUPS_MAX;

	if (getpwuid_r(uid, &pw, buf, sizeof(buf), &found) || !found)
		return 0;
	return getgrouplist(pw.pw_name, pw.pw_gid, groups, &nr) < 0 ? GROUPS_MAX : nr;
}

static bool is_member(const char *group, const gid_t *groups, int nr)
{
	static char buf[LOOKUP_SIZE];
	struct group gr, *found;

	if (getgrnam_r(group, &gr, buf, sizeof(buf), &found) || !found)
		return false;
	for (int i = 0; i < nr; i++)
		if (groups[i] == gr.gr_gid)
			return true;
	return false;
}

enum access access_of(const struct access_rules *a, uid_t uid)
{
	static gid_t groups[GROUPS_MAX];
	enum access access = ACCESS_NONE;
	int nr;

	if (uid == 0)
		return ACCESS_COMMAND;
	nr = groups_of(uid, groups);
	for (size_t i = 0; i < a->nr; i++)
		if (a->rules[i].access > access && is_member(a->rules[i].group, groups, nr))
			access = a->rules[i].access;
	return access;
}
