/* SPDX-License-Identifier: MIT */
/*
 * in: bytes begin..end of what was read, kept behind one another; out: what the socket did not take of the last
 * frame. A frame is begun only when nothing is left of the one before, so the stream never loses its step; what a
 * connection leaves is forgotten with it.
 */
#include "config.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"

#include "netbackd/net_ring.h"
#include "netbackd/net_stream.h"
#include "netbackd/stream.h"

#define IN_SIZE (2 * (NET_STREAM_HEAD + NET_FRAME_MAX))
#define OUT_SIZE (NET_STREAM_HEAD + NET_FRAME_MAX)

struct stream {
	struct sockaddr_un address;
	int fd;
	size_t in_begin, in_end, out_begin, out_end;
	uint8_t in[IN_SIZE], out[OUT_SIZE];
};

int stream_new(const char *path, struct stream **ret_stream)
{
	struct stream *s;

	if (strlen(path) >= sizeof(s->address.sun_path))
		return -ENAMETOOLONG;
	s = malloc(sizeof(*s));
	if (!s)
		return -ENOMEM;
	memset(s, 0, offsetof(struct stream, in));
	s->fd = -1;
	s->address.sun_family = AF_UNIX;
	strcpy(s->address.sun_path, path);
	*ret_stream = s;
	return 0;
}

struct stream *stream_free(struct stream *s)
{
	if (s)
		stream_disconnect(s);
	free(s);
	return NULL;
}

int stream_connect(struct stream *s)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&s->address, sizeof(s->address)) < 0)
		return -errno;
	stream_disconnect(s);
	s->fd = steal_fd(&fd);
	return 0;
}

void stream_disconnect(struct stream *s)
{
	closep(&s->fd);
	s->fd = -1;
	s->in_begin = s->in_end = s->out_begin = s->out_end = 0;
}

int stream_fd(const struct stream *s)
{
	return s->fd;
}

/* ---- reading ---- */

static int next(const struct stream *s, uint32_t *ret_size)
{
	return net_stream_next(s->in + s->in_begin, s->in_end - s->in_begin, ret_size);
}

bool stream_has_frame(const struct stream *s)
{
	uint32_t size;

	return next(s, &size) > 0;
}

/* More of what has come; the room is always enough for the frame whose beginning is there. 1, 0 nothing, -errno */
static int fill(struct stream *s)
{
	ssize_t n;

	if (s->in_begin > 0) {
		memmove(s->in, s->in + s->in_begin, s->in_end - s->in_begin);
		s->in_end -= s->in_begin;
		s->in_begin = 0;
	}
	n = recv(s->fd, s->in + s->in_end, sizeof(s->in) - s->in_end, MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -ECONNRESET;
	s->in_end += (size_t)n;
	return 1;
}

static void copy_out(const uint8_t *data, size_t size, const struct iovec *iov, size_t n)
{
	for (size_t i = 0; i < n && size > 0; i++) {
		size_t len = size < iov[i].iov_len ? size : iov[i].iov_len;

		memcpy(iov[i].iov_base, data, len);
		data += len;
		size -= len;
	}
}

ssize_t stream_read(struct stream *s, const struct iovec *iov, size_t n)
{
	uint32_t size;
	int r;

	if (s->fd < 0)
		return -ENOTCONN;
	r = next(s, &size);
	if (r == 0) {
		r = fill(s);
		if (r > 0)
			r = next(s, &size);
	}
	if (r <= 0)
		return r;
	copy_out(s->in + s->in_begin + NET_STREAM_HEAD, size, iov, n);
	s->in_begin += NET_STREAM_HEAD + size;
	return size;
}

/* ---- writing ---- */

bool stream_unsent(const struct stream *s)
{
	return s->out_begin < s->out_end;
}

int stream_flush(struct stream *s)
{
	while (stream_unsent(s)) {
		ssize_t n = send(s->fd, s->out + s->out_begin, s->out_end - s->out_begin,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		s->out_begin += (size_t)n;
	}
	s->out_begin = s->out_end = 0;
	return 0;
}

/* all but the first `sent` bytes */
static void keep_rest(struct stream *s, const struct iovec *iov, size_t n, size_t sent)
{
	for (size_t i = 0; i < n; i++) {
		size_t skip = sent < iov[i].iov_len ? sent : iov[i].iov_len;
		size_t len = iov[i].iov_len - skip;

		memcpy(s->out + s->out_end, (const uint8_t *)iov[i].iov_base + skip, len);
		s->out_end += len;
		sent -= skip;
	}
}

int stream_write(struct stream *s, struct iovec *iov, size_t n)
{
	uint8_t head[NET_STREAM_HEAD];
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = n };
	size_t size = 0;
	ssize_t sent;
	int r = s->fd < 0 ? -ENOTCONN : stream_flush(s);

	if (r < 0)
		return r;
	for (size_t i = 1; i < n; i++)
		size += iov[i].iov_len;
	if (size > NET_FRAME_MAX)
		return -EMSGSIZE;
	net_stream_head((uint32_t)size, head);
	iov[0] = (struct iovec){ head, sizeof(head) };
	sent = sendmsg(s->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	keep_rest(s, iov, n, (size_t)sent);
	return 0;
}
