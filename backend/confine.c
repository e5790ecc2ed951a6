/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backend/confine.h"
#include "common/cleanup.h"
#include "common/filter.h"

static const int always[] = {
	SCMP_SYS(preadv2),
	SCMP_SYS(newfstatat),
	/* what outlives us */
	SCMP_SYS(memfd_create),
	SCMP_SYS(ftruncate),
	/* loops, other threads, the host */
	SCMP_SYS(epoll_create1),
	SCMP_SYS(eventfd2),
	SCMP_SYS(timerfd_create),
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
	/* the C library */
	SCMP_SYS(mremap),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(rseq),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep),
	SCMP_SYS(getrusage),
};

static const unsigned long requests[] = { FIONREAD };

static const int commands[] = {
	F_DUPFD_CLOEXEC, F_GETFL, F_GETFD, F_SETFD, F_GET_SEALS, F_ADD_SEALS
};

/* Sockets are local, a new thread is all that can be made. */
static int add_checked(scmp_filter_ctx ctx)
{
	int r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				 SCMP_A0(SCMP_CMP_EQ, AF_UNIX, 0));

	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				     SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
	if (r == 0) /* its flags cannot be seen; the C library takes clone then */
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	return r;
}

const struct filter confine_base = {
	.always = always,
	.nr_always = ARRAY_SIZE(always),
	.requests = requests,
	.nr_requests = ARRAY_SIZE(requests),
	.commands = commands,
	.nr_commands = ARRAY_SIZE(commands),
	.add = add_checked,
};

/*
 * No file system can be reached by a name any more, also not by io_uring, of which the filter sees nothing.
 * What has no name (memory, sockets) can be opened once more by its descriptor. 0, also where the kernel does
 * not know how; -errno
 */
static int forbid_files(void)
{
	const struct landlock_ruleset_attr all = {
		.handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1,
	};
	_cleanup_close_ int fd =
		(int)syscall(SYS_landlock_create_ruleset, &all, sizeof(all.handled_access_fs), 0);

	if (fd < 0)
		return errno == ENOSYS || errno == EOPNOTSUPP || errno == EPERM ? 0 : -errno;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    syscall(SYS_landlock_restrict_self, fd, 0) < 0)
		return -errno;
	return 0;
}

/* Of the thread that calls; those that are there already had to do it themselves. */
int confine_thread(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { { 0 } };

	if (!filter_works())
		return 1;
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	return syscall(SYS_capset, &header, none) < 0 ? -errno : forbid_files();
}

int confine_self(const struct filter *filter)
{
	int r;

	if (!filter_works())
		return 1;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	r = confine_thread();
	return r < 0 ? r : filter_enter(filter);
}
