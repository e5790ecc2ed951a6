/* SPDX-License-Identifier: MIT */
/* A network of our own, with the right to make TAP interfaces in it, for this process and its children. */
#ifndef TESTS_SUPPORT_NETNS_H
#define TESTS_SUPPORT_NETNS_H

#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static inline bool netns_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

/* Who is not root becomes root of a user namespace: otherwise exec would take the rights away. */
static inline bool netns_as_user(void)
{
	unsigned int uid = geteuid(), gid = getegid();
	char users[32], groups[32];

	snprintf(users, sizeof(users), "0 %u 1", uid);
	snprintf(groups, sizeof(groups), "0 %u 1", gid);
	return unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 &&
	       netns_write("/proc/self/setgroups", "deny") &&
	       netns_write("/proc/self/uid_map", users) &&
	       netns_write("/proc/self/gid_map", groups);
}

/* false: the system does not allow it, or has no /dev/net/tun for us */
static inline bool netns_enter(void)
{
	if (unshare(CLONE_NEWNET) < 0 && !netns_as_user())
		return false;
	/* so that the kernel says less on its own; where it cannot be, it does */
	(void)netns_write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
	return access("/dev/net/tun", R_OK | W_OK) == 0;
}

#endif
