/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <asm/ioctls.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/socket.h>

#include "common/cleanup.h"
#include "common/filter.h"
#include "hypercall-bridge/vmm/sandbox.h"

#define TYPE_MASK 0xf /* of socket(2), without its flags */

/* with whatever arguments */
static const int always[] = {
	SCMP_SYS(readv),
	SCMP_SYS(writev),
	SCMP_SYS(pread64),
	SCMP_SYS(pwrite64),
	SCMP_SYS(lseek),
	SCMP_SYS(ftruncate),
	SCMP_SYS(fallocate),
	SCMP_SYS(eventfd2),
	SCMP_SYS(accept4),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity),
	/* a thread that was just made, before it comes to our code */
	SCMP_SYS(rseq),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep),
};

/* ioctl(2): what a guest that runs needs of KVM, and putting the terminal back */
static const unsigned long requests[] = {
	KVM_RUN,
	KVM_TRANSLATE,
	KVM_GET_REGS,
	KVM_GET_SREGS,
	KVM_GET_MP_STATE,
	KVM_SET_GSI_ROUTING,
	KVM_IRQFD,
	KVM_SET_USER_MEMORY_REGION,
	KVM_XEN_HVM_SET_ATTR,
	KVM_XEN_VCPU_SET_ATTR,
	KVM_XEN_HVM_EVTCHN_SEND,
	FIONREAD,
	TCGETS,
	TCSETS,
	TCSETSW,
};

static const int commands[] = { F_DUPFD_CLOEXEC, F_GETFL, F_GETFD };

/* Sockets are those of the bridge protocol. */
static int add_checked(scmp_filter_ctx ctx)
{
	/* KVM_RUN comes here each time a guest is left for user space */
	int r = seccomp_syscall_priority(ctx, SCMP_SYS(ioctl), 255);

	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
				     SCMP_A0(SCMP_CMP_EQ, AF_UNIX, 0),
				     SCMP_A1(SCMP_CMP_MASKED_EQ, TYPE_MASK, SOCK_SEQPACKET));
	return r;
}

int sandbox_enter(void)
{
	static const struct filter filter = {
		.always = always,
		.nr_always = ARRAY_SIZE(always),
		.requests = requests,
		.nr_requests = ARRAY_SIZE(requests),
		.commands = commands,
		.nr_commands = ARRAY_SIZE(commands),
		.add = add_checked,
	};

	return filter_enter(&filter);
}
