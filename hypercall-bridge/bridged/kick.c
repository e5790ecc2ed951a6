/* SPDX-License-Identifier: MIT */
/*
 * write(2) to an eventfd waits when its counter is full and a peer has cleared O_NONBLOCK, which is the same
 * for all who share it, and no flag of a call prevents that. But the kernel itself never waits when it
 * signals one: so an asynchronous read of nothing is asked for, whose completion does. That costs three
 * writes, and is for what happens once in a channel's life.
 *
 * Owns one context of io_setup(2) and an empty memfd, made when they are first needed, for the life of the
 * process. Without them (a kernel built without, a filter) what is left is to look first.
 */
#include "config.h"

#include <errno.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "hypercall-bridge/bridged/kick.h"

static struct {
	aio_context_t context;
	int nothing; /* to read from */
	int state;   /* 0: not made yet, 1, or -errno */
} kicker;

static int set_up(void)
{
	kicker.nothing = memfd_create("nothing", MFD_CLOEXEC);
	if (kicker.nothing < 0)
		return -errno;
	if (syscall(SYS_io_setup, 1, &kicker.context) == 0)
		return 1;
	close(kicker.nothing);
	return -errno;
}

/* The read is over when it was submitted; its place is free again when its completion was taken. */
static int signal_by_completion(int fd)
{
	char byte;
	struct iocb cb = {
		.aio_lio_opcode = IOCB_CMD_PREAD,
		.aio_fildes = (uint32_t)kicker.nothing,
		.aio_buf = (uintptr_t)&byte,
		.aio_nbytes = sizeof(byte),
		.aio_flags = IOCB_FLAG_RESFD,
		.aio_resfd = (uint32_t)fd,
	};
	struct iocb *list = &cb;
	struct timespec none = { 0 };
	struct io_event event;

	if (syscall(SYS_io_submit, kicker.context, 1, &list) != 1)
		return -errno;
	(void)syscall(SYS_io_getevents, kicker.context, 1, 1, &event, &none);
	return 0;
}

/* The second best: whoever fills it between the two steps hangs us. */
static int look_and_write(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	if (poll(&p, 1, 0) != 1)
		return 0; /* full, so readable */
	return eventfd_write(fd, 1) < 0 && errno != EAGAIN ? -errno : 0;
}

int kick_eventfd(int fd)
{
	if (kicker.state == 0)
		kicker.state = set_up();
	return kicker.state > 0 ? signal_by_completion(fd) : look_and_write(fd);
}
