/* SPDX-License-Identifier: MIT */
/*
 * xenhost_t: one Xen environment as a back end, front end or tool sees it - a Xenstore, event channels,
 * grants. A process may hold several; domids, ports and grefs mean something only together with their
 * handle. xenhost(7) and xenhost-open(3) are the contract; here is one line per function.
 *
 * Errors: functions that return int give >= 0 or a negative errno. Out-parameters (ret_*) are untouched
 * on failure.
 * Threads: one thread at a time per handle, except where a function says otherwise.
 * fork: a child must not use handles of its parent. exec: every descriptor is close-on-exec.
 */
#ifndef XENHOST_XENHOST_H
#define XENHOST_XENHOST_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define XENHOST_API __attribute__((visibility("default")))

typedef struct xenhost xenhost_t;

/* what the transport can do: xenhost_features() */
#define XENHOST_F_MAP (1ULL << 0)     /* xenhost_map_grants of several grefs in one view */
#define XENHOST_F_DIRECT (1ULL << 1)  /* xenhost_io_begin gives pointers into guest memory itself */
#define XENHOST_F_DOMAINS (1ULL << 2) /* xenhost_domain_* know more than our own domain */
#define XENHOST_F_SHARE (1ULL << 3)   /* xenhost_share: we are a guest, with memory to grant */

/*
 * flag of xenhost_open(): grants that a process before us left marked as in use stay so until
 * xenhost_grants_settle(), because what it began may still be under way. Without it they are settled when
 * their guest is first reached.
 */
#define XENHOST_OPEN_KEEP_MARKS 1u

/*
 * uri: "bridge:SOCKET" (a socket of xenhost-bridged fixes who we are), "bridge:" ($XENHOST_RUNDIR or
 * the built-in run directory, the tools' socket). flags: above, or 0. May block up to 10 s.
 * Other schemes are plug-ins: xenhost/transport.h. -EINVAL (uri), -EPROTONOSUPPORT (scheme or version),
 * -EACCES (a plug-in that others could have written), -ELIBBAD (one that cannot be loaded), errors of
 * connect(2), -ETIMEDOUT.
 */
XENHOST_API int xenhost_open(const char *uri, unsigned int flags, xenhost_t **ret_host);
XENHOST_API xenhost_t *xenhost_close(xenhost_t *host); /* NULL; ends what was opened on it */

/* readable = call xenhost_process(): watches, domain changes. The first call may fail as epoll_ctl(2) does */
XENHOST_API int xenhost_get_fd(xenhost_t *host);
/* > 0 callbacks ran, 0 nothing to do, < 0 the host is lost (-ECONNRESET ...). Never blocks. */
XENHOST_API int xenhost_process(xenhost_t *host);

XENHOST_API uint16_t xenhost_domid(xenhost_t *host); /* who we are */
XENHOST_API uint64_t xenhost_features(xenhost_t *host);

/*
 * Gives up all guests but domid, for good: ports, grants and control of others are -EPERM from now on,
 * and memory of theirs that is not in use is unmapped. Asks the host. To another one later: -EPERM
 */
XENHOST_API int xenhost_restrict(xenhost_t *host, uint16_t domid);

/* what fn gets: one line for each message or operation of these topics */
#define XENHOST_LOG_STORE 1u
#define XENHOST_LOG_PORT 2u
#define XENHOST_LOG_GRANT 4u
#define XENHOST_LOG_DOMAIN 8u
#define XENHOST_LOG_HYPERCALL 16u
#define XENHOST_LOG_TRANSPORT 32u /* plug-ins */
#define XENHOST_LOG_ALL 63u

/*
 * fn runs in whatever thread uses the handle, also in the middle of calls: it must not use the handle.
 * topics 0: none. Without this, $XENHOST_DEBUG ("store,port" or "all") says what goes to stderr.
 */
XENHOST_API int xenhost_set_log(xenhost_t *host, unsigned int topics,
				void (*fn)(xenhost_t *host, const char *topic, const char *line,
					   void *data),
				void *data);

#ifdef __cplusplus
}
#endif

#endif
