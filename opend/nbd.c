/* SPDX-License-Identifier: MIT */
/*
 * OPEN_NBD: a socket that is connected to a server, or about to be: who gets it finds out. Names of hosts
 * are not looked up, as that can take long.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"

#include "opend/opend.h"

#define GONE_MS 30000 /* what a server does not acknowledge for so long is not there */

/* By a descriptor: between check and use nobody can put a link in its place. */
static int connect_unix(const char *path, bool any)
{
	const struct open_how how = {
		.flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_NO_MAGICLINKS | (any ? 0 : RESOLVE_NO_SYMLINKS),
	};
	_cleanup_close_ int found = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
	_cleanup_close_ int fd = -1;
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct stat st;

	if (found < 0 || fstat(found, &st) < 0)
		return -errno;
	if (!S_ISSOCK(st.st_mode))
		return -ENOTSOCK;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d", found);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -errno;
	return steal_fd(&fd);
}

/* "HOST:PORT", "[V6]:PORT" */
static int look_up(const char *address, struct addrinfo **ret_info)
{
	const struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM,
	};
	const char *colon = strrchr(address, ':');
	char host[64];
	size_t len;

	if (!colon)
		return -EINVAL;
	len = (size_t)(colon - address);
	if (len > 2 && *address == '[' && address[len - 1] == ']') {
		address++;
		len -= 2;
	}
	if (len >= sizeof(host))
		return -EINVAL;
	snprintf(host, sizeof(host), "%.*s", (int)len, address);
	if (!strcmp(host, "localhost"))
		strcpy(host, "127.0.0.1");
	return getaddrinfo(host, colon + 1, &hints, ret_info) == 0 ? 0 : -EADDRNOTAVAIL;
}

static int connect_tcp(const char *address)
{
	static const int on = 1, gone = GONE_MS;
	_cleanup_close_ int fd = -1;
	struct addrinfo *info = NULL;
	int r = look_up(address, &info);

	if (r < 0)
		return r;
	fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	r = fd < 0 ? -errno : 0;
	if (r == 0 && (setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) < 0 ||
		       setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ||
		       setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &gone, sizeof(gone)) < 0))
		r = -errno;
	if (r == 0 && connect(fd, info->ai_addr, info->ai_addrlen) < 0 && errno != EINPROGRESS)
		r = -errno;
	freeaddrinfo(info);
	return r < 0 ? r : steal_fd(&fd);
}

static const char *why(int error)
{
	switch (error) {
	case -ELOOP:
		return "a part of the path is a symbolic link; name the place itself";
	case -EADDRNOTAVAIL:
		return "names of hosts are not looked up; give an address";
	default:
		return strerror(-error);
	}
}

int nbd_op(const struct conf *conf, const char *service, const struct open_request *request,
	   struct result *result)
{
	static const char unix_scheme[] = "unix:", tcp_scheme[] = "tcp:";
	const char *address = request->strings[0];
	int fd = -EINVAL;

	if (request->nr_strings != 1 || (!strncmp(address, unix_scheme, strlen(unix_scheme)) &&
					 !conf_path_plain(address + strlen(unix_scheme))))
		return result_error(result, -EINVAL, "a server is unix:PATH or tcp:HOST:PORT");
	if (!conf_allows(conf, service, CONF_NBD, address))
		return result_error(result, -EPERM, "opend.conf does not let %s connect to it",
				    service);
	if (!strncmp(address, unix_scheme, strlen(unix_scheme)))
		fd = connect_unix(address + strlen(unix_scheme), conf->any);
	else if (!strncmp(address, tcp_scheme, strlen(tcp_scheme)))
		fd = connect_tcp(address + strlen(tcp_scheme));
	if (fd < 0)
		return result_error(result, fd, "%s", why(fd));
	result->fds[result->nr_fds++] = fd;
	return 0;
}
