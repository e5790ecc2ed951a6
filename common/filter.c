/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/filter.h"

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

static const int basics[] = {
	/* what is open */
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(close),
	SCMP_SYS(fstat),
	/* sockets that are there */
	SCMP_SYS(connect),
	SCMP_SYS(shutdown),
	SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt),
	/* event loops */
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(timerfd_settime),
	/* the C library */
	SCMP_SYS(munmap),
	SCMP_SYS(madvise),
	SCMP_SYS(brk),
	SCMP_SYS(futex),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(getrandom),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
};

/* no bug of ours comes here */
static const int deadly[] = {
	SCMP_SYS(execve),      SCMP_SYS(execveat),
	SCMP_SYS(ptrace),      SCMP_SYS(fork),
	SCMP_SYS(vfork),       SCMP_SYS(process_vm_readv),
	SCMP_SYS(init_module), SCMP_SYS(process_vm_writev),
};

bool filter_works(void)
{
	return !SANITIZED;
}

static void releasep(scmp_filter_ctx *ctx)
{
	if (*ctx)
		seccomp_release(*ctx);
}

static int add_lists(scmp_filter_ctx ctx, const struct filter *f)
{
	int r = f->base ? add_lists(ctx, f->base) : 0;

	for (size_t i = 0; i < f->nr_always && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, f->always[i], 0);
	for (size_t i = 0; i < f->nr_requests && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				     SCMP_A1(SCMP_CMP_EQ, f->requests[i], 0));
	for (size_t i = 0; i < f->nr_commands && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
				     SCMP_A1(SCMP_CMP_EQ, (uint64_t)f->commands[i], 0));
	return r == 0 && f->add ? f->add(ctx) : r;
}

static int add_common(scmp_filter_ctx ctx)
{
	static const int maps[] = { SCMP_SYS(mmap), SCMP_SYS(mprotect) };
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(basics) && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, basics[i], 0);
	for (size_t i = 0; i < ARRAY_SIZE(deadly) && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_KILL_PROCESS, deadly[i], 0);
	for (size_t i = 0; i < ARRAY_SIZE(maps) && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, maps[i], 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
				     SCMP_A0(SCMP_CMP_EQ, (uint64_t)getpid(), 0));
	return r;
}

int filter_enter(const struct filter *filter)
{
	_cleanup_(releasep) scmp_filter_ctx ctx = NULL;
	int r;

	if (!filter_works())
		return 1;
	ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!ctx)
		return -ENOMEM;
	r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	if (r == 0)
		r = add_lists(ctx, filter);
	if (r == 0)
		r = add_common(ctx);
	return r < 0 ? r : seccomp_load(ctx);
}
