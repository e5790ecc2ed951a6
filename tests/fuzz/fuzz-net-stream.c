/* SPDX-License-Identifier: MIT */
/*
 * Input: what comes from the other end of a stream, in portions, and how much of what we send it takes each time. The
 * first byte chooses which of both. Frames must come out as another parser of the whole finds them, and what was
 * written must arrive with no byte lost, whatever the socket takes at once.
 * Planted mistakes: tests/planted.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* its struct, so that the other end is ours */
#include "netbackd/stream.c"

#define READ_SIZE 1000u /* of whom reads; longer frames are cut */
#define WRITTEN_MAX (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static struct stream *make_pair(int *ret_peer)
{
	struct stream *s;
	int fds[2], small = 1;

	require(stream_new("/nowhere", &s) == 0);
	require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
	require(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)) == 0);
	s->fd = fds[0];
	*ret_peer = fds[1];
	return s;
}

/* ---- reading ---- */

struct expected {
	const uint8_t *data;
	size_t size, at;
};

/* the next frame of what was sent so far, or NULL; *ret_bad: there is no more */
static const uint8_t *expect(struct expected *e, size_t *ret_size, bool *ret_bad)
{
	const uint8_t *head = e->data + e->at;
	size_t size;

	*ret_bad = false;
	if (e->size - e->at < 4)
		return NULL;
	size = head[0] * 16777216ul + head[1] * 65536ul + head[2] * 256ul + head[3];
	*ret_bad = size < 14 || size > 65535;
	if (*ret_bad || e->size - e->at - 4 < size)
		return NULL;
	e->at += 4 + size;
	*ret_size = size;
	return head + 4;
}

/* false: the stream ended, as it had to */
static bool read_all(struct stream *s, struct expected *e)
{
	for (;;) {
		uint8_t *buf = malloc(READ_SIZE); /* so that a sanitizer sees its end */
		struct iovec iov[2] = { { buf, 9 }, { buf + 9, READ_SIZE - 9 } };
		size_t size = 0;
		bool bad;
		ssize_t r = stream_read(s, iov, 2);
		const uint8_t *frame = expect(e, &size, &bad);

		require(bad == (r < 0) && (r < 0 || (size_t)r == size));
		if (r > 0)
			require(!memcmp(buf, frame, size < READ_SIZE ? size : READ_SIZE));
		free(buf);
		if (r <= 0)
			return r == 0;
		require(stream_has_frame(s) || s->in_end - s->in_begin <= sizeof(s->in));
	}
}

static void reading(const uint8_t *data, size_t size)
{
	struct expected e = { data, 0, 0 };
	struct stream *s;
	int peer;

	s = make_pair(&peer);
	while (e.size < size) {
		/* the bytes themselves say how many come at once */
		size_t n = 1 + data[e.size] % 64u * (data[e.size] & 64 ? 40 : 1);

		if (n > size - e.size)
			n = size - e.size;
		if (send(peer, data + e.size, n, MSG_DONTWAIT) != (ssize_t)n)
			break;
		e.size += n;
		if (!read_all(s, &e))
			break;
	}
	stream_free(s);
	close(peer);
}

/* ---- writing ---- */

static uint8_t sent[WRITTEN_MAX], got[WRITTEN_MAX];
static size_t nr_sent, nr_got;

static void take(int peer, size_t max)
{
	ssize_t n = recv(peer, got + nr_got,
			 max < WRITTEN_MAX - nr_got ? max : WRITTEN_MAX - nr_got, MSG_DONTWAIT);

	if (n > 0)
		nr_got += (size_t)n;
}

static void write_one(struct stream *s, size_t size, uint8_t fill)
{
	static uint8_t frame[NET_FRAME_MAX];
	struct iovec iov[3] = { { 0 }, { frame, size / 3 }, { frame + size / 3, size - size / 3 } };
	int r;

	memset(frame, fill, size);
	r = stream_write(s, iov, 3);
	require(r == 0 || r == -EAGAIN);
	if (r < 0)
		return;
	net_stream_head((uint32_t)size, sent + nr_sent);
	memcpy(sent + nr_sent + 4, frame, size);
	nr_sent += 4 + size;
}

static void writing(const uint8_t *data, size_t size)
{
	struct stream *s;
	int peer, r;

	s = make_pair(&peer);
	nr_sent = nr_got = 0;
	for (size_t at = 0; at + 4 <= size; at += 4) {
		size_t frame = (size_t)data[at] << 8 | data[at + 1];

		if (frame < 14 || nr_sent + 4 + frame > WRITTEN_MAX)
			continue;
		write_one(s, frame, data[at + 2]);
		take(peer, data[at + 3] * 97u);
	}
	while ((r = stream_flush(s)) == -EAGAIN)
		take(peer, WRITTEN_MAX);
	require(r == 0 && !stream_unsent(s));
	while (nr_got < nr_sent) {
		size_t before = nr_got;

		take(peer, WRITTEN_MAX);
		require(nr_got > before);
	}
	require(nr_got == nr_sent && !memcmp(got, sent, nr_got));
	stream_free(s);
	close(peer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 0 && data[0] & 1)
		writing(data + 1, size - 1);
	else if (size > 0)
		reading(data + 1, size - 1);
	return 0;
}
