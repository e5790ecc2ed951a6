/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/cleanup.h"
#include "common/filter.h"

#include "opend/opend_filter.h"

static const int always[] = {
	/* images, limits of devices */
	SCMP_SYS(openat),
	SCMP_SYS(openat2),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(lseek),
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(close),
	/* clients, servers */
	SCMP_SYS(accept),
	SCMP_SYS(accept4),
	SCMP_SYS(connect),
	SCMP_SYS(setsockopt),
	SCMP_SYS(getsockopt),
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
	SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(shutdown),
	/* our own sockets, at the end */
	SCMP_SYS(unlink),
	/* loops */
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(timerfd_create),
	SCMP_SYS(timerfd_settime),
	/* the C library */
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
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

static const unsigned long requests[] = { FIONREAD,	   TUNSETIFF,	  TUNGETIFF,
					  TUNSETVNETHDRSZ, TUNSETOFFLOAD, TUNSETCARRIER,
					  SIOCGIFINDEX };

static const int commands[] = { F_DUPFD_CLOEXEC, F_GETFL, F_SETFL, F_GETFD, F_SETFD, F_OFD_SETLK };

/* NBD servers, and the network's configuration; no raw frames */
static int add_sockets(scmp_filter_ctx ctx)
{
	static const int families[] = { AF_UNIX, AF_INET, AF_INET6 };
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(families) && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
				     SCMP_A0(SCMP_CMP_EQ, (uint64_t)families[i], 0),
				     SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, SOCK_STREAM));
	if (r == 0) /* messages of systemd's */
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
				     SCMP_A0(SCMP_CMP_EQ, AF_UNIX, 0),
				     SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, SOCK_DGRAM));
	return r == 0 ? seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
					 SCMP_A0(SCMP_CMP_EQ, AF_NETLINK, 0),
					 SCMP_A2(SCMP_CMP_EQ, NETLINK_ROUTE, 0))
		      : r;
}

const struct filter opend_filter = {
	.always = always,
	.nr_always = ARRAY_SIZE(always),
	.requests = requests,
	.nr_requests = ARRAY_SIZE(requests),
	.commands = commands,
	.nr_commands = ARRAY_SIZE(commands),
	.add = add_sockets,
};
