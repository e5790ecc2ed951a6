/* SPDX-License-Identifier: MIT */
/*
 * User-mode networking: the Unix socket of a passt(1), whose frames are in net_stream.h's form. One card, one
 * stream; all of it belongs to the thread of the card's queue, and nothing here blocks. Memory: what one read of
 * the socket brings, and the rest of one frame that the socket did not take.
 */
#ifndef NETBACKD_STREAM_H
#define NETBACKD_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

struct stream;

/* Not connected. path is copied. -ENOMEM, -ENAMETOOLONG */
int stream_new(const char *path, struct stream **ret_stream);
struct stream *stream_free(struct stream *s); /* NULL */

/* 0 or -errno; it may be refused later, by the end of the stream, because passt takes one peer at a time */
int stream_connect(struct stream *s);
void stream_disconnect(struct stream *s);
/* -1: not connected */
int stream_fd(const struct stream *s);

/* The next frame's length, of which as much as fits is in iov; 0 none is there now; -errno the connection is lost */
ssize_t stream_read(struct stream *s, const struct iovec *iov, size_t n);
/* a whole frame can be read without asking the socket */
bool stream_has_frame(const struct stream *s);

/* The frame iov[1] ... iov[n - 1]; iov[0] is for us. 0, -EAGAIN it has to wait for stream_flush(), -errno lost */
int stream_write(struct stream *s, struct iovec *iov, size_t n);
/* what is left of a frame: 0 nothing any more, -EAGAIN, -errno lost */
int stream_flush(struct stream *s);
bool stream_unsent(const struct stream *s);

#endif
