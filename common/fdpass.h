/* SPDX-License-Identifier: MIT */
/*
 * One message with file descriptors over a SOCK_SEQPACKET socket.
 * Received descriptors are close-on-exec and belong to the caller.
 */
#ifndef COMMON_FDPASS_H
#define COMMON_FDPASS_H

#include <stddef.h>
#include <sys/types.h>

#define FDPASS_MAX 16

/* 0, or -errno (-EAGAIN when a non-blocking socket is full); never raises SIGPIPE */
int fdpass_send(int sock, const void *buf, size_t len, const int *fds, size_t nr_fds);

/*
 * Bytes received, 0 at the end of the stream, or -errno: -EMSGSIZE when the message or the set of
 * descriptors did not fit, -EMFILE when this process had no place for the descriptors (what had arrived is
 * closed). flags: MSG_DONTWAIT or 0.
 */
ssize_t fdpass_recv(int sock, int flags, void *buf, size_t size, int *fds, size_t *ret_nr_fds);

/* The same of a message that has no descriptors to be taken: any that come with it are closed. Costs less. */
ssize_t fdpass_recv_bytes(int sock, int flags, void *buf, size_t size);

void fdpass_close(int *fds, size_t nr_fds);

#endif
