/* SPDX-License-Identifier: MIT */
/*
 * Xenstore client. Paths are absolute or relative to our domain's home (/local/domain/DOMID).
 * Calls block until xenstored answered, at most the deadline (5 s; xenhost_store_set_timeout).
 * Errors: what xenstored says, by its errno (-ENOENT, -EACCES, -EINVAL, -ENOSPC, -E2BIG ...), and
 * -ETIMEDOUT, -ENOMEM, -ECONNRESET (lost while we waited: done or not, nobody knows), -EPROTO (lost
 * because xenstored sent nonsense), -ENOTCONN (lost before).
 * The connection is made at the first call, whose error is that of connect(2) when there is nobody.
 * A lost connection is made again by xenhost_process(), at most once a second; until then calls fail at
 * once, and no callback of a watch runs. Afterwards every watch is set again and runs once.
 * ABI: Xen's public/io/xs_wire.h and docs/misc/xenstore.txt.
 */
#ifndef XENHOST_STORE_H
#define XENHOST_STORE_H

#include <xenhost/xenhost.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef uint32_t xenhost_txn_t; /* 0: outside of any transaction */
typedef struct xenhost_watch xenhost_watch_t;

XENHOST_API int xenhost_store_set_timeout(xenhost_t *host, int milliseconds); /* -1: none */

/*
 * A transaction that was open when the connection was lost is gone: whatever is asked in it answers
 * -EAGAIN, as does its commit.
 */
XENHOST_API int xenhost_txn_begin(xenhost_t *host, xenhost_txn_t *ret_txn);
/* commit 0 drops it. -EAGAIN: the race was lost, begin anew; the transaction is gone whatever the answer */
XENHOST_API int xenhost_txn_end(xenhost_t *host, xenhost_txn_t txn, int commit);

/*
 * Runs fn in a transaction and commits; again when the race is lost, at most 64 times (-EAGAIN then).
 * When the connection was lost before the commit: -ENOTCONN, nothing was changed; in it: -ECONNRESET.
 * fn may run several times; its negative return drops the transaction and is returned.
 */
XENHOST_API int xenhost_txn_run(xenhost_t *host,
				int (*fn)(xenhost_t *host, xenhost_txn_t txn, void *data),
				void *data);

/* value with a NUL behind it (not counted); free() it. ret_len may be NULL */
XENHOST_API int xenhost_store_read(xenhost_t *host, xenhost_txn_t txn, const char *path,
				   char **ret_value, size_t *ret_len);
XENHOST_API int xenhost_store_write(xenhost_t *host, xenhost_txn_t txn, const char *path,
				    const void *value, size_t len);
XENHOST_API int xenhost_store_printf(xenhost_t *host, xenhost_txn_t txn, const char *path,
				     const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* whole value a decimal number of 1 to 20 digits, else -EINVAL; -ERANGE above max */
XENHOST_API int xenhost_store_read_u64(xenhost_t *host, xenhost_txn_t txn, const char *path,
				       uint64_t max, uint64_t *ret_value);
/* names of the children, NULL-terminated; one free() frees all. Returns their number */
XENHOST_API int xenhost_store_list(xenhost_t *host, xenhost_txn_t txn, const char *path,
				   char ***ret_names);
XENHOST_API int xenhost_store_mkdir(xenhost_t *host, xenhost_txn_t txn, const char *path);
XENHOST_API int xenhost_store_rm(xenhost_t *host, xenhost_txn_t txn, const char *path);

/* letter: 'n' none, 'r' read, 'w' write, 'b' both; the first entry is the owner */
struct xenhost_perm {
	char letter;
	uint16_t domid;
};

/* returns the number of entries there are, of which at most max are filled in */
XENHOST_API int xenhost_store_get_perms(xenhost_t *host, xenhost_txn_t txn, const char *path,
					struct xenhost_perm *perms, size_t max);
XENHOST_API int xenhost_store_set_perms(xenhost_t *host, xenhost_txn_t txn, const char *path,
					const struct xenhost_perm *perms, size_t n);

/*
 * fn runs inside xenhost_process() only, once soon after the call and after a loss of the connection
 * (without any change) and then after each change of path or below, with the path that changed; or with `path` itself, when there were many.
 * Events may be merged or spurious: act on what is read, not on the event. fn may call anything, also
 * unwatch itself, but not close the handle.
 */
XENHOST_API int xenhost_watch(xenhost_t *host, const char *path,
			      void (*fn)(xenhost_t *host, const char *path, void *data), void *data,
			      xenhost_watch_t **ret_watch);
XENHOST_API xenhost_watch_t *xenhost_unwatch(xenhost_watch_t *watch); /* NULL */

/* toolstack operations of domain 0 */
XENHOST_API int xenhost_store_introduce(xenhost_t *host, uint16_t domid, uint64_t gfn,
					uint32_t port);
XENHOST_API int xenhost_store_release(xenhost_t *host, uint16_t domid);

#ifdef __cplusplus
}
#endif

#endif
