/* SPDX-License-Identifier: MIT */
/* hvm_op, xen_version, vm_assist, console_io. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "common/cleanup.h"
#include "hypercall-bridge/guest/hypercall_table.h"

_Static_assert(sizeof(struct xen_hvm_param) == 16, "the ABI's");
_Static_assert(sizeof(struct xen_hvm_evtchn_upcall_vector) == 8, "the ABI's");

#define CALLBACK_TYPE_SHIFT 56

/*
 * The global callback: a vector (type 2), or one of the values by which guests that have per-vCPU
 * vectors say "I know" (type 0, 0 or 1). There are no GSIs and no PCI interrupts to use instead.
 */
static int set_callback(struct hypercall_guest *g, uint64_t value)
{
	switch (value >> CALLBACK_TYPE_SHIFT) {
	case HVM_PARAM_CALLBACK_TYPE_GSI:
		return value <= 1 ? 0 : -EINVAL;
	case HVM_PARAM_CALLBACK_TYPE_VECTOR:
		if ((value & 0xff) < 0x10)
			return -EINVAL;
		return HYPERCALL_OP(g, upcall_vector, HYPERCALL_ALL_VCPUS, (uint8_t)value);
	default:
		return -EINVAL;
	}
}

static int64_t set_param(struct hypercall_guest *g, const struct hypercall *c)
{
	struct xen_hvm_param arg;
	int r;

	if (hypercall_fetch(g, c, c->args[1], &arg, sizeof(arg)) < 0)
		return -EFAULT;
	if (!hypercall_is_self(g, arg.domid))
		return -EPERM;
	if (arg.index >= HVM_NR_PARAMS)
		return -EINVAL;
	if (arg.index != HVM_PARAM_CALLBACK_IRQ)
		return -EPERM;
	r = set_callback(g, arg.value);
	if (r == 0)
		g->params[arg.index] = arg.value;
	return r;
}

static int64_t get_param(struct hypercall_guest *g, const struct hypercall *c)
{
	struct xen_hvm_param arg;

	if (hypercall_fetch(g, c, c->args[1], &arg, sizeof(arg)) < 0)
		return -EFAULT;
	if (!hypercall_is_self(g, arg.domid))
		return -EPERM;
	if (arg.index >= HVM_NR_PARAMS)
		return -EINVAL;
	arg.value = g->params[arg.index];
	return hypercall_store(g, c, c->args[1], &arg, sizeof(arg));
}

static int64_t set_upcall_vector(struct hypercall_guest *g, const struct hypercall *c)
{
	struct xen_hvm_evtchn_upcall_vector arg;

	if (hypercall_fetch(g, c, c->args[1], &arg, sizeof(arg)) < 0)
		return -EFAULT;
	if (arg.vector < 0x10)
		return -EINVAL;
	if (arg.vcpu >= g->nr_vcpus)
		return -ENOENT;
	return HYPERCALL_OP(g, upcall_vector, arg.vcpu, arg.vector);
}

static hypercall_fn *const hvm_ops[] = {
	[HVMOP_set_param] = set_param,
	[HVMOP_get_param] = get_param,
	[HVMOP_pagetable_dying] = hypercall_unsupported,
	[HVMOP_set_evtchn_upcall_vector] = set_upcall_vector,
};

const struct hypercall_table hypercall_hvm_table = { "hvm_op", hvm_ops, ARRAY_SIZE(hvm_ops),
						     UINT32_MAX };

/* what Xen gives a PVH domU; no XENFEAT_supervisor_mode_kernel: it misleads lscpu */
#define FEATURES                                                                      \
	(1u << XENFEAT_writable_page_tables | 1u << XENFEAT_auto_translated_physmap | \
	 1u << XENFEAT_hvm_callback_vector | 1u << XENFEAT_hvm_safe_pvclock |         \
	 1u << XENFEAT_memory_op_vnode_supported | 1u << XENFEAT_not_direct_mapped)

static int64_t get_features(struct hypercall_guest *g, const struct hypercall *c)
{
	struct xen_feature_info arg;

	if (hypercall_fetch(g, c, c->args[1], &arg, sizeof(arg)) < 0)
		return -EFAULT;
	if (arg.submap_idx >= XENFEAT_NR_SUBMAPS)
		return -EINVAL;
	arg.submap = FEATURES;
	return hypercall_store(g, c, c->args[1], &arg, sizeof(arg));
}

static int64_t version(struct hypercall_guest *g, const struct hypercall *c)
{
	return HYPERCALL_XEN_VERSION;
}

/* a string into a buffer that the ABI makes `size` bytes long */
static int64_t answer_text(struct hypercall_guest *g, const struct hypercall *c, const char *text,
			   size_t size)
{
	char buf[1024] = "";

	strncpy(buf, text, sizeof(buf) - 1);
	return hypercall_store(g, c, c->args[1], buf, size);
}

static int64_t extraversion(struct hypercall_guest *g, const struct hypercall *c)
{
	return answer_text(g, c, HYPERCALL_EXTRAVERSION, XEN_EXTRAVERSION_LEN);
}

static int64_t capabilities(struct hypercall_guest *g, const struct hypercall *c)
{
	return answer_text(g, c, "hvm-3.0-x86_32 hvm-3.0-x86_32p hvm-3.0-x86_64",
			   XEN_CAPABILITIES_INFO_LEN);
}

static int64_t changeset(struct hypercall_guest *g, const struct hypercall *c)
{
	return answer_text(g, c, "", XEN_CHANGESET_INFO_LEN);
}

static int64_t compile_info(struct hypercall_guest *g, const struct hypercall *c)
{
	static const struct xen_compile_info info = { .compile_by = "xenhost" };

	return hypercall_store(g, c, c->args[1], &info, sizeof(info));
}

static int64_t platform_parameters(struct hypercall_guest *g, const struct hypercall *c)
{
	uint64_t virt_start = 0; /* no part of the guest's address space is ours */

	return hypercall_store(g, c, c->args[1], &virt_start, c->long_mode ? 8 : 4);
}

static int64_t page_size(struct hypercall_guest *g, const struct hypercall *c)
{
	return XEN_PAGE_SIZE;
}

static int64_t guest_handle(struct hypercall_guest *g, const struct hypercall *c)
{
	static const xen_domain_handle_t handle;

	return hypercall_store(g, c, c->args[1], handle, sizeof(handle));
}

static hypercall_fn *const version_ops[] = {
	[XENVER_version] = version,
	[XENVER_extraversion] = extraversion,
	[XENVER_compile_info] = compile_info,
	[XENVER_capabilities] = capabilities,
	[XENVER_changeset] = changeset,
	[XENVER_platform_parameters] = platform_parameters,
	[XENVER_get_features] = get_features,
	[XENVER_pagesize] = page_size,
	[XENVER_guest_handle] = guest_handle,
	[XENVER_commandline] = hypercall_unsupported,
	[XENVER_build_id] = hypercall_unsupported,
};

const struct hypercall_table hypercall_version_table = { "xen_version", version_ops,
							 ARRAY_SIZE(version_ops), UINT32_MAX };

static int64_t assist(struct hypercall_guest *g, const struct hypercall *c)
{
	if (c->args[1] != VMASST_TYPE_runstate_update_flag)
		return -EINVAL;
	return HYPERCALL_OP(g, runstate_flag, (uint32_t)c->args[0] == VMASST_CMD_enable);
}

static hypercall_fn *const assist_ops[] = {
	[VMASST_CMD_enable] = assist,
	[VMASST_CMD_disable] = assist,
};

const struct hypercall_table hypercall_assist_table = { "vm_assist", assist_ops,
							ARRAY_SIZE(assist_ops), UINT32_MAX };

/* console_io(cmd, count, buffer): the boot console of earlyprintk=xen */
static int64_t console_write(struct hypercall_guest *g, const struct hypercall *c)
{
	char text[256];
	size_t len = (uint32_t)c->args[1];

	if (!g->ops->console_write)
		return -ENOSYS;
	if (len > HYPERCALL_CONSOLE_MAX)
		return -E2BIG;
	for (size_t done = 0; done < len;) {
		size_t part = len - done < sizeof(text) ? len - done : sizeof(text);

		if (hypercall_fetch(g, c, c->args[2] + done, text, part) < 0)
			return -EFAULT;
		g->ops->console_write(g->ctx, text, part);
		done += part;
	}
	return 0;
}

static hypercall_fn *const console_ops[] = {
	[CONSOLEIO_write] = console_write,
	[CONSOLEIO_read] = hypercall_unsupported,
};

const struct hypercall_table hypercall_console_table = { "console_io", console_ops,
							 ARRAY_SIZE(console_ops), UINT32_MAX };
