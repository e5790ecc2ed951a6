/* SPDX-License-Identifier: MIT */
/* The table of what may be asked; a transport sees nothing that is not in it. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include <xenhost/hypercall.h>

#include "libxenhost/internal.h"

#include "common/cleanup.h"

static const struct {
	const char *name;
	uint8_t nr_args, nr_results;
} table[] = {
	[XENHOST_HYPERCALL_VERSION] = { "version", 0, 2 },
	[XENHOST_HYPERCALL_EVTCHN_STATUS] = { "evtchn-status", 1, 3 },
	[XENHOST_HYPERCALL_GRANT_SIZE] = { "grant-size", 0, 2 },
	[XENHOST_HYPERCALL_HVM_PARAM] = { "hvm-param", 1, 1 },
	[XENHOST_HYPERCALL_SHUTDOWN] = { "shutdown", 1, 0 },
};

void xh_hypercall_shape(unsigned int op, size_t *ret_nr_args, size_t *ret_nr_results)
{
	*ret_nr_args = table[op].nr_args;
	*ret_nr_results = table[op].nr_results;
}

int xenhost_hypercall(xenhost_t *host, unsigned int op, const uint64_t *args, size_t nr_args,
		      uint64_t *ret_results, size_t nr_results)
{
	uint64_t results[XENHOST_HYPERCALL_VALUES_MAX] = { 0 };
	int r;

	if (!host || (nr_args && !args) || (nr_results && !ret_results))
		return -EINVAL;
	if (op >= ARRAY_SIZE(table) || !table[op].name)
		return -ENOSYS;
	if (nr_args != table[op].nr_args || nr_results != table[op].nr_results)
		return -EINVAL;
	if (!host->ops->hypercall)
		return -EOPNOTSUPP;
	r = host->ops->hypercall(host->state, op, args, results);
	xh_trace(host, XENHOST_LOG_HYPERCALL, "%s: %d", table[op].name, r);
	if (r < 0)
		return r;
	if (nr_results)
		memcpy(ret_results, results, nr_results * sizeof(uint64_t));
	return 0;
}
