/* SPDX-License-Identifier: MIT */
/*
 * Cleanup attributes: a local variable that owns something releases it on every way out.
 * Ownership is moved by steal_fd()/steal_ptr(), which leave the variable empty.
 */
#ifndef COMMON_CLEANUP_H
#define COMMON_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(fn) __attribute__((cleanup(fn)))

static inline void freep(void *p)
{
	free(*(void **)p);
}

static inline void closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline int steal_fd(int *fd)
{
	int ret = *fd;

	*fd = -1;
	return ret;
}

#define steal_ptr(p)                          \
	({                                    \
		__typeof__(*(p)) ret_ = *(p); \
		*(p) = NULL;                  \
		ret_;                         \
	})

#define _cleanup_free_ _cleanup_(freep)
#define _cleanup_close_ _cleanup_(closep)

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
