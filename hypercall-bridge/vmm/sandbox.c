/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "hypercall-bridge/vmm/sandbox.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#define TYPE_MASK 0xf /* of socket(2), without its flags */

/* with whatever arguments */
static const int always[] = {
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(readv),
	SCMP_SYS(writev),
	SCMP_SYS(pread64),
	SCMP_SYS(pwrite64),
	SCMP_SYS(lseek),
	SCMP_SYS(close),
	SCMP_SYS(fstat),
	SCMP_SYS(ftruncate),
	SCMP_SYS(fallocate),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(eventfd2),
	SCMP_SYS(timerfd_settime),
	SCMP_SYS(accept4),
	SCMP_SYS(connect),
	SCMP_SYS(shutdown),
	SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt),
	SCMP_SYS(futex),
	SCMP_SYS(munmap),
	SCMP_SYS(madvise),
	SCMP_SYS(brk),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity),
	/* a thread that was just made, before it comes to our code */
	SCMP_SYS(rseq),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(getrandom),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
};

/* ioctl(2): what a guest that runs needs of KVM, and putting the terminal back */
static const unsigned long requests[] = {
	KVM_RUN,
	KVM_TRANSLATE,
	KVM_GET_REGS,
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

/* no bug of ours comes here */
static const int deadly[] = {
	SCMP_SYS(execve),      SCMP_SYS(execveat),
	SCMP_SYS(ptrace),      SCMP_SYS(fork),
	SCMP_SYS(vfork),       SCMP_SYS(process_vm_readv),
	SCMP_SYS(init_module), SCMP_SYS(process_vm_writev),
};

static void releasep(scmp_filter_ctx *ctx)
{
	if (*ctx)
		seccomp_release(*ctx);
}

static int add_simple(scmp_filter_ctx ctx)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(always) && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, always[i], 0);
	for (size_t i = 0; i < ARRAY_SIZE(deadly) && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_KILL_PROCESS, deadly[i], 0);
	for (size_t i = 0; i < ARRAY_SIZE(requests) && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				     SCMP_A1(SCMP_CMP_EQ, requests[i], 0));
	for (size_t i = 0; i < ARRAY_SIZE(commands) && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
				     SCMP_A1(SCMP_CMP_EQ, (uint64_t)commands[i], 0));
	return r;
}

/* Memory is never executable, signals go to our own threads, sockets are those of the bridge protocol. */
static int add_checked(scmp_filter_ctx ctx)
{
	static const int maps[] = { SCMP_SYS(mmap), SCMP_SYS(mprotect) };
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(maps) && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, maps[i], 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
				     SCMP_A0(SCMP_CMP_EQ, (uint64_t)getpid(), 0));
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
				     SCMP_A0(SCMP_CMP_EQ, AF_UNIX, 0),
				     SCMP_A1(SCMP_CMP_MASKED_EQ, TYPE_MASK, SOCK_SEQPACKET));
	return r;
}

int sandbox_enter(void)
{
	_cleanup_(releasep) scmp_filter_ctx ctx = NULL;
	int r;

	if (SANITIZED)
		return 1;
	ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!ctx)
		return -ENOMEM;
	r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	if (r == 0) /* KVM_RUN comes here each time a guest is left for user space */
		r = seccomp_syscall_priority(ctx, SCMP_SYS(ioctl), 255);
	if (r == 0)
		r = add_simple(ctx);
	if (r == 0)
		r = add_checked(ctx);
	return r < 0 ? r : seccomp_load(ctx);
}
