/* SPDX-License-Identifier: MIT */
/*
 * What a domain may ask the hypervisor's place about itself: the operations below and no others, so that
 * no transport is a pipe for raw hypercalls. xenhost-hypercall(3) has the table with arguments and results.
 */
#ifndef XENHOST_HYPERCALL_H
#define XENHOST_HYPERCALL_H

#include <xenhost/xenhost.h>

#ifdef __cplusplus
extern "C" {
#endif

#define XENHOST_HYPERCALL_VERSION 1u	   /* -> major, minor */
#define XENHOST_HYPERCALL_EVTCHN_STATUS 2u /* port of ours -> EVTCHNSTAT_*, domid, port */
#define XENHOST_HYPERCALL_GRANT_SIZE 3u	   /* -> frames of our grant table, most it can have */
#define XENHOST_HYPERCALL_HVM_PARAM 4u	   /* HVM_PARAM_* -> value */
#define XENHOST_HYPERCALL_SHUTDOWN 5u	   /* SHUTDOWN_* of ourselves */

#define XENHOST_HYPERCALL_VALUES_MAX 4u /* arguments or results of one */

/*
 * nr_args and nr_results must be what the table says (-EINVAL). -ENOSYS no such operation, -EOPNOTSUPP
 * not on this transport, -EPERM, -EINVAL as the hypervisor would say, and when the host is gone
 * -ECONNRESET, -ENOTCONN, -ETIMEDOUT.
 */
XENHOST_API int xenhost_hypercall(xenhost_t *host, unsigned int op, const uint64_t *args,
				  size_t nr_args, uint64_t *ret_results, size_t nr_results);

#ifdef __cplusplus
}
#endif

#endif
