/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "tools/jail.h"

#define READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define ALL ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1)

/* --- files --- */

static int allow(const struct jail *j, const char *path, uint64_t access)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = access };
	_cleanup_close_ int fd = open(path, O_PATH | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		rule.allowed_access &= LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE |
				       LANDLOCK_ACCESS_FS_WRITE_FILE;
	rule.parent_fd = fd;
	return syscall(SYS_landlock_add_rule, j->files, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0
		       ? -errno
		       : 0;
}

/* what is not there, on this system, need not be allowed */
static int allow_system(const struct jail *j)
{
	static const struct {
		const char *path;
		uint64_t access;
	} known[] = {
		{ "/usr", READ | LANDLOCK_ACCESS_FS_EXECUTE },
		{ "/lib", READ | LANDLOCK_ACCESS_FS_EXECUTE },
		{ "/lib64", READ | LANDLOCK_ACCESS_FS_EXECUTE },
		{ "/etc/ld.so.cache", READ },
		{ "/dev/null", READ | LANDLOCK_ACCESS_FS_WRITE_FILE },
		{ "/dev/urandom", READ },
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		int r = allow(j, known[i].path, known[i].access);

		if (r < 0 && r != -ENOENT)
			return r;
	}
	return 0;
}

static int prepare_files(struct jail *j)
{
	const struct landlock_ruleset_attr all = { .handled_access_fs = ALL };

	j->files =
		(int)syscall(SYS_landlock_create_ruleset, &all, sizeof(all.handled_access_fs), 0);
	if (j->files < 0)
		return errno == ENOSYS || errno == EOPNOTSUPP || errno == EPERM ? 0 : -errno;
	return allow_system(j);
}

int jail_allow(struct jail *j, const char *path, bool write)
{
	if (j->files < 0)
		return 0;
	return allow(j, path,
		     LANDLOCK_ACCESS_FS_READ_FILE | (write ? LANDLOCK_ACCESS_FS_WRITE_FILE : 0));
}

/* --- system calls --- */

/* what gets at other processes, at the kernel, or past the files that are named */
static const int forbidden[] = {
	SCMP_SYS(ptrace),
	SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev),
	SCMP_SYS(pidfd_getfd),
	SCMP_SYS(kcmp),
	/* it listens already; local sockets of others have no walls of their own (Landlock) */
	SCMP_SYS(socket),
	SCMP_SYS(io_uring_setup),
	SCMP_SYS(bpf),
	SCMP_SYS(perf_event_open),
	SCMP_SYS(userfaultfd),
	SCMP_SYS(keyctl),
	SCMP_SYS(add_key),
	SCMP_SYS(request_key),
	SCMP_SYS(unshare),
	SCMP_SYS(setns),
	SCMP_SYS(mount),
	SCMP_SYS(umount2),
	SCMP_SYS(pivot_root),
	SCMP_SYS(chroot),
	SCMP_SYS(open_by_handle_at),
	SCMP_SYS(truncate),
	SCMP_SYS(chmod),
	SCMP_SYS(fchmodat),
	SCMP_SYS(chown),
	SCMP_SYS(lchown),
	SCMP_SYS(fchownat),
	SCMP_SYS(setxattr),
	SCMP_SYS(lsetxattr),
	SCMP_SYS(removexattr),
	SCMP_SYS(lremovexattr),
	SCMP_SYS(utimensat),
};

static int forbid_calls(scmp_filter_ctx ctx)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(forbidden) && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), forbidden[i], 0);
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
				     SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_NEWUSER, CLONE_NEWUSER));
	if (r == 0) /* its flags cannot be seen; the C library takes clone then */
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	return r;
}

/* the compiled program, by way of a file in memory, as seccomp_load(3) allocates */
static int export_calls(struct jail *j, scmp_filter_ctx ctx)
{
	_cleanup_close_ int fd = memfd_create("filter", MFD_CLOEXEC);
	int r = fd < 0 ? -errno : seccomp_export_bpf(ctx, fd);
	off_t size = r < 0 ? 0 : lseek(fd, 0, SEEK_END);

	if (r < 0)
		return r;
	if (size <= 0 || (size_t)size > UINT16_MAX * sizeof(*j->calls))
		return -E2BIG;
	j->calls = malloc((size_t)size);
	if (!j->calls)
		return -ENOMEM;
	if (pread(fd, j->calls, (size_t)size, 0) != size)
		return -EIO;
	j->nr_calls = (unsigned short)((size_t)size / sizeof(*j->calls));
	return 0;
}

static int prepare_calls(struct jail *j)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int r;

	if (!ctx)
		return -ENOMEM;
	r = forbid_calls(ctx);
	if (r == 0)
		r = export_calls(j, ctx);
	seccomp_release(ctx);
	return r;
}

/* --- */

int jail_new(struct jail *j)
{
	int r;

	*j = (struct jail){ .files = -1 };
	r = prepare_files(j);
	if (r == 0)
		r = prepare_calls(j);
	if (r < 0)
		jail_free(j);
	return r;
}

void jail_free(struct jail *j)
{
	closep(&j->files);
	j->files = -1;
	free(j->calls);
	j->calls = NULL;
}

/* An image may belong to somebody else than root: that one right is kept, for what is named. */
static int drop_capabilities(void)
{
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (cap != CAP_DAC_OVERRIDE && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return errno == EPERM ? 0 : -1; /* then we have none to begin with */
	return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

int jail_enter(const struct jail *j)
{
	const struct sock_fprog calls = { .len = j->nr_calls, .filter = j->calls };

	if (drop_capabilities() < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	if (j->files >= 0 && syscall(SYS_landlock_restrict_self, j->files, 0) < 0)
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &calls, 0, 0);
}
