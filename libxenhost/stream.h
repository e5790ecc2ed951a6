/* SPDX-License-Identifier: MIT */
/* The byte stream to xenstored, whatever descriptor a transport gives: nothing here blocks. */
#ifndef LIBXENHOST_STREAM_H
#define LIBXENHOST_STREAM_H

#include <stddef.h>
#include <sys/types.h>

/* a connection to a Unix socket; -EAGAIN when too many wait there already, else as connect(2) */
int xh_stream_connect(const char *path);

/* as send(2) and recv(2) with -errno; -EAGAIN: not now */
ssize_t xh_stream_send(int fd, const void *buf, size_t len);
ssize_t xh_stream_receive(int fd, void *buf, size_t len);

#endif
