/* SPDX-License-Identifier: MIT */
/* Domains of this host. Needs XENHOST_F_DOMAINS, else -EOPNOTSUPP. */
#ifndef XENHOST_DOMAIN_H
#define XENHOST_DOMAIN_H

#include <xenhost/xenhost.h>

#ifdef __cplusplus
extern "C" {
#endif

#define XENHOST_DOMAIN_GONE 0u
#define XENHOST_DOMAIN_PAUSED 1u /* built and not started, or paused */
#define XENHOST_DOMAIN_RUNNING 2u
#define XENHOST_DOMAIN_SHUTDOWN 3u /* stopped itself, see shutdown_reason; not yet gone */

#define XENHOST_DOMAIN_CONTROL 0u
#define XENHOST_DOMAIN_SERVICE 1u
#define XENHOST_DOMAIN_GUEST 2u

#define XENHOST_DOMAIN_NAME_MAX 64

struct xenhost_domain_info {
	uint16_t domid;
	uint8_t kind;		  /* XENHOST_DOMAIN_CONTROL ... */
	uint8_t state;		  /* XENHOST_DOMAIN_GONE ... */
	uint32_t shutdown_reason; /* SHUTDOWN_* of Xen's public/sched.h, with F_ENDED */
	uint64_t unique_id;	  /* domids are reused, this is not */
	uint64_t memory_bytes;
	uint64_t store_gfn; /* frame of the Xenstore ring */
	uint64_t console_gfn;
	uint32_t store_port; /* port offered to domain 0, 0 = none yet */
	uint32_t console_port;
	char name[XENHOST_DOMAIN_NAME_MAX];
	uint32_t flags; /* XENHOST_DOMAIN_F_... */
	uint32_t reserved;
};

/* a watch begins with all domains there are, also again after the host was lost: this is the last of them */
#define XENHOST_DOMAIN_F_SNAPSHOT_END 1u
/*
 * It shut down by itself, and shutdown_reason says how: in state SHUTDOWN, in state GONE when it had done so
 * before it was removed, and while the next kernel runs after a soft reset
 */
#define XENHOST_DOMAIN_F_ENDED 2u

/* -ESRCH when there is none. Asks the host: blocks for one round trip, at most 10 s */
XENHOST_API int xenhost_domain_info(xenhost_t *host, uint16_t domid,
				    struct xenhost_domain_info *ret_info);
XENHOST_API int xenhost_domain_by_name(xenhost_t *host, const char *name,
				       struct xenhost_domain_info *ret_info);

/*
 * The same, and when there is none, of the guest that had this domid last, in state GONE: for those who were
 * told of an end and come to ask how it was when it has been removed. A host knows its last 1024 at least.
 */
XENHOST_API int xenhost_domain_ended(xenhost_t *host, uint16_t domid,
				     struct xenhost_domain_info *ret_info);

/*
 * fn runs inside xenhost_process(): first for every domain there is, the last of them with
 * XENHOST_DOMAIN_F_SNAPSHOT_END, then at each change; state GONE is the last word about that unique_id. One watch per handle (-EBUSY). fn NULL ends it.
 */
XENHOST_API int xenhost_domain_watch(xenhost_t *host,
				     void (*fn)(xenhost_t *host,
						const struct xenhost_domain_info *info, void *data),
				     void *data);

/* What the domain watch has seen, without asking: -ESRCH. Needs a watch (-EINVAL). Never blocks */
XENHOST_API int xenhost_domain_known(xenhost_t *host, uint16_t domid,
				     struct xenhost_domain_info *ret_info);

/* toolstack operations of domain 0: -EPERM for others, -ESRCH */
XENHOST_API int xenhost_domain_unpause(xenhost_t *host, uint16_t domid);
XENHOST_API int xenhost_domain_pause(xenhost_t *host, uint16_t domid);
XENHOST_API int xenhost_domain_destroy(xenhost_t *host, uint16_t domid);

#ifdef __cplusplus
}
#endif

#endif
