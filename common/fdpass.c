/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/fdpass.h"

union control {
	struct cmsghdr align;
	char buf[CMSG_SPACE(sizeof(int) * FDPASS_MAX)];
};

static ssize_t send_with(int sock, const void *buf, size_t len, const int *fds, size_t nr_fds)
{
	union control control = { 0 };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)buf, .iov_len = len };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = CMSG_SPACE(sizeof(int) * nr_fds),
	};
	struct cmsghdr *cmsg = &control.align;

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int) * nr_fds);
	memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * nr_fds);
	return sendmsg(sock, &msg, MSG_NOSIGNAL);
}

int fdpass_send(int sock, const void *buf, size_t len, const int *fds, size_t nr_fds)
{
	ssize_t n;

	if (nr_fds > FDPASS_MAX)
		return -EINVAL;
	do /* most have no descriptors, and send(2) is the cheaper one */
		n = nr_fds ? send_with(sock, buf, len, fds, nr_fds)
			   : send(sock, buf, len, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

void fdpass_close(int *fds, size_t nr_fds)
{
	for (size_t i = 0; i < nr_fds; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
}

static size_t take_fds(struct msghdr *msg, int *fds)
{
	size_t n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t k;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		k = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < k; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (n < FDPASS_MAX)
				fds[n++] = fd;
			else
				close(fd);
		}
	}
	return n;
}

ssize_t fdpass_recv(int sock, int flags, void *buf, size_t size, int *fds, size_t *ret_nr_fds)
{
	union control control;
	struct iovec iov = { .iov_base = buf, .iov_len = size };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	size_t n_fds;
	ssize_t n;

	do
		n = recvmsg(sock, &msg, flags | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	n_fds = take_fds(&msg, fds);
	if (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		fdpass_close(fds, n_fds);
		/* fewer than there was room for: it was not the sender who had too many */
		return msg.msg_flags & MSG_TRUNC || n_fds == FDPASS_MAX ? -EMSGSIZE : -EMFILE;
	}
	if (n == 0) { /* the end, or an empty message: nobody would look at what came with it */
		fdpass_close(fds, n_fds);
		n_fds = 0;
	}
	*ret_nr_fds = n_fds;
	return n;
}

ssize_t fdpass_recv_bytes(int sock, int flags, void *buf, size_t size)
{
	ssize_t n;

	do
		n = recv(sock, buf, size, flags | MSG_TRUNC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n > size ? -EMSGSIZE : n;
}
