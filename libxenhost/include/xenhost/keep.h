/* SPDX-License-Identifier: MIT */
/*
 * Deposits: descriptors that the host keeps for this service beyond the end of the process, so that its
 * successor goes on where it stopped (a journal in a memfd, a TAP queue). They belong to the identity
 * (the socket), not to the handle. Names: 1 to 63 bytes. -EOPNOTSUPP where the transport has no keeper.
 */
#ifndef XENHOST_KEEP_H
#define XENHOST_KEEP_H

#include <xenhost/xenhost.h>

#ifdef __cplusplus
extern "C" {
#endif

/* leaves a duplicate of fd; one of the same name is replaced. -EINVAL, -ENOSPC (4096 are kept) */
XENHOST_API int xenhost_keep_put(xenhost_t *host, const char *name, int fd);
/* a duplicate, close-on-exec, the caller's. -ENOENT */
XENHOST_API int xenhost_keep_get(xenhost_t *host, const char *name, int *ret_fd);
/* -ENOENT */
XENHOST_API int xenhost_keep_drop(xenhost_t *host, const char *name);

#ifdef __cplusplus
}
#endif

#endif
