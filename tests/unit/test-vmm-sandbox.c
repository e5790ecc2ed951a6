/* SPDX-License-Identifier: MIT */
/* What a confined vmm can and cannot do. Each test runs in a process of its own. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hypercall-bridge/vmm/sandbox.h"
#include "tests/support/unit.h"

#define KILLED 1000

/* in a child: 0, the errno of a call that failed, KILLED, or -1 when there is no sandbox in this build */
static int confined(int (*fn)(void))
{
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		int r = sandbox_enter();

		if (r != 0)
			_exit(r > 0 ? 255 : 254);
		errno = 0;
		_exit(fn() < 0 ? errno : 0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status)) {
		ck_assert_int_eq(WTERMSIG(status), SIGSYS);
		return KILLED;
	}
	ck_assert_int_ne(WEXITSTATUS(status), 254);
	return WEXITSTATUS(status) == 255 ? -1 : WEXITSTATUS(status);
}

static void expect(int (*fn)(void), int result)
{
	int r = confined(fn);

	if (r >= 0)
		ck_assert_int_eq(r, result);
}

static int open_file(void)
{
	return open("/etc/passwd", O_RDONLY);
}

static int run_program(void)
{
	return execl("/bin/true", "true", NULL);
}

static int make_process(void)
{
	return fork();
}

static int make_blocking(void)
{
	return fcntl(0, F_SETFL, 0);
}

static int make_blocking_by_ioctl(void)
{
	int off = 0;

	return ioctl(0, FIONBIO, &off);
}

static int reach_network(void)
{
	return socket(AF_INET, SOCK_STREAM, 0);
}

static int reach_other_sockets(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0);
}

static int make_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
			       MAP_FAILED
		       ? -1
		       : 0;
}

static int shoot_parent(void)
{
	return kill(getppid(), 0);
}

static int make_vm(void)
{
	return ioctl(0, KVM_CREATE_VM, 0);
}

START_TEST(test_forbidden)
{
	expect(open_file, EPERM);
	expect(make_blocking, EPERM);
	expect(make_blocking_by_ioctl, EPERM);
	expect(reach_network, EPERM);
	expect(reach_other_sockets, EPERM);
	expect(make_code, EPERM);
	expect(shoot_parent, EPERM);
	expect(make_vm, EPERM);
	expect(make_process, EPERM); /* glibc uses clone */
	expect(run_program, KILLED);
}
END_TEST

static int has_no_new_privs(void)
{
	/* prctl is not permitted any more: that alone is the answer */
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
}

static int work(void)
{
	int fd = eventfd(0, EFD_CLOEXEC), copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	uint64_t one = 1;
	void *page;

	if (fd < 0 || copy < 0 || write(copy, &one, sizeof(one)) < 0 ||
	    read(fd, &one, sizeof(one)) < 0)
		return -1;
	page = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED || munmap(page, 1 << 20) < 0)
		return -1;
	return pthread_kill(pthread_self(), 0) ? -1 : socket(AF_UNIX, SOCK_SEQPACKET, 0);
}

/* KVM's calls come through to the kernel, which knows that standard input is no vCPU */
static int enter_guest(void)
{
	return ioctl(eventfd(0, 0), KVM_RUN, 0);
}

START_TEST(test_permitted)
{
	expect(work, 0);
	expect(enter_guest, ENOTTY);
	expect(has_no_new_privs, EPERM);
}
END_TEST

static void *thread_main(void *data)
{
	int *fds = data, r;
	char c;

	if (read(fds[0], &c, 1) != 1)
		return NULL;
	r = open("/etc/passwd", O_RDONLY) < 0 ? errno : 0;
	_exit(r);
}

/* threads that were there before are confined too */
START_TEST(test_other_threads)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		int fds[2];
		pthread_t t;

		if (pipe(fds) < 0 || pthread_create(&t, NULL, thread_main, fds) != 0)
			_exit(254);
		if (sandbox_enter() == 1)
			_exit(EPERM);
		if (write(fds[1], "x", 1) != 1)
			_exit(253);
		pthread_join(t, NULL);
		_exit(252);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), EPERM);
}
END_TEST

UNIT_MAIN("vmm-sandbox", test_forbidden, test_permitted, test_other_threads)
