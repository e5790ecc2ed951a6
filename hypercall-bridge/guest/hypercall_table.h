/* SPDX-License-Identifier: MIT */
/* Between the files of the hypercall module only: one table of handlers per hypercall. */
#ifndef HYPERCALL_BRIDGE_GUEST_HYPERCALL_TABLE_H
#define HYPERCALL_BRIDGE_GUEST_HYPERCALL_TABLE_H

#include "hypercall-bridge/guest/hypercall.h"

typedef int64_t hypercall_fn(struct hypercall_guest *g, const struct hypercall *c);

/* ops with handler NULL are not known: -ENOSYS, and said once */
struct hypercall_table {
	const char *name;
	hypercall_fn *const *ops;
	size_t nr_ops;
	uint32_t op_mask; /* bits of the first argument that are the operation */
};

extern const struct hypercall_table hypercall_memory_table, hypercall_grant_table,
	hypercall_evtchn_table, hypercall_hvm_table, hypercall_vcpu_table, hypercall_sched_table,
	hypercall_version_table, hypercall_assist_table, hypercall_console_table;

hypercall_fn hypercall_set_timer;
hypercall_fn hypercall_unsupported; /* known, and always -ENOSYS: guests try and go on */

/* Copies between a guest virtual address and our memory, page by page. 0 or -EFAULT. */
int hypercall_fetch(struct hypercall_guest *g, const struct hypercall *c, uint64_t gva, void *buf,
		    size_t len);
int hypercall_store(struct hypercall_guest *g, const struct hypercall *c, uint64_t gva,
		    const void *buf, size_t len);

void hypercall_close_ports(struct hypercall_guest *g);

bool hypercall_is_self(const struct hypercall_guest *g, uint16_t domid);

#define HYPERCALL_OP(g, op, ...) ((g)->ops->op ? (g)->ops->op((g)->ctx, ##__VA_ARGS__) : -ENOSYS)

#endif
