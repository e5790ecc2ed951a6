/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/manager.h"

/* a path, or a name without one behind an @ */
static int address(const char *name, struct sockaddr_un *ret, socklen_t *ret_len)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t len = strlen(name);

	if ((name[0] != '/' && name[0] != '@') || !name[1])
		return -EAFNOSUPPORT;
	if (len >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, name, len);
	if (name[0] == '@')
		addr.sun_path[0] = '\0';
	*ret = addr;
	*ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (name[0] == '/'));
	return 0;
}

int manager_notify(const char *text)
{
	const char *name = getenv("NOTIFY_SOCKET");
	_cleanup_close_ int fd = -1;
	struct sockaddr_un addr;
	struct iovec iov = { (void *)(uintptr_t)text, strlen(text) };
	struct msghdr msg = { .msg_name = &addr, .msg_iov = &iov, .msg_iovlen = 1 };
	int r;

	if (!name || !*name)
		return 0;
	r = address(name, &addr, &msg.msg_namelen);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || sendmsg(fd, &msg, MSG_NOSIGNAL) < 0)
		return -errno;
	return 1;
}

/* a number and nothing else, not 0 */
static int number(const char *text, uint64_t *ret)
{
	char *end;
	uintmax_t n;

	errno = 0;
	n = strtoumax(text, &end, 10);
	if (errno || end == text || *end || text[0] == '-' || n == 0 || n >= UINT64_MAX)
		return -EINVAL;
	*ret = n;
	return 0;
}

int manager_watchdog(uint64_t *ret_us)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	uint64_t us, who;

	if (!usec)
		return 0;
	if (number(usec, &us) < 0 || (pid && number(pid, &who) < 0))
		return -EINVAL;
	if (pid && who != (uint64_t)getpid())
		return 0;
	*ret_us = us;
	return 1;
}
