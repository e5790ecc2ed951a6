/* SPDX-License-Identifier: MIT */
/*
 * The eventfd by which we notify a guest is its vmm's as well, flags included: a hostile one makes it
 * blocking and fills the counter, and the next write(2) does not come back. No call of the kernel writes to
 * an eventfd without waiting whatever its flags are (RWF_NOWAIT is refused; a signal by way of io_submit(2)
 * costs three times as much). So a thread, one for the process, guards the writes.
 *
 * A write that is under way while its descriptor takes no more hangs: nobody who plays by the rules gets a
 * counter full, which takes 2^64 - 2 notifications. The guard empties the counter, which lets the writer go,
 * and from then on nothing of that handle that leads to that domain is written to.
 *
 * The guard looks every GUARD_TICK_MS, and sleeps when it has done so for GUARD_LINGER ticks; the next
 * notification wakes it. `writing` is raised before `asleep` is looked at, and the guard looks at `writing`
 * after it has said that it sleeps: one of the two sees the other.
 *
 * Owns: the list of all notifies of the process, under `lock`, and the thread, which lives as long as there
 * are any. `life` is taken before `lock` and held while the thread is made or waited for.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/list.h"
#include "libxenhost/notify.h"

#define GUARD_TICK_MS 20
#define GUARD_LINGER 50
#define GUARD_TRIES 1000 /* to empty a counter that others fill at the same time, in one tick */

struct notify {
	struct list link;
	const void *handle;
	uint16_t domid;
	_Atomic int fd;
	atomic_uint writing; /* threads in write(2), or about to be */
	atomic_bool given_up;
};

static struct {
	pthread_mutex_t life;
	pthread_mutex_t lock;
	struct list all;
	unsigned int users;
	pthread_t thread;
	int wake_fd; /* ours alone */
	bool ends;
	atomic_bool asleep;
} guard = {
	.life = PTHREAD_MUTEX_INITIALIZER,
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.all = { &guard.all, &guard.all },
};

/* --- the guard's thread --- */

static bool takes_no_more(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	return poll(&p, 1, 0) == 0;
}

static void empty(int fd)
{
	uint64_t count;
	struct iovec iov = { &count, sizeof(count) };

	(void)!preadv2(fd, &iov, 1, -1, RWF_NOWAIT);
}

static void give_up(const struct notify *hung)
{
	struct notify *n;

	list_for_each(n, &guard.all, link)
		if (n->handle == hung->handle && n->domid == hung->domid)
			atomic_store(&n->given_up, true);
}

static void look_at(struct notify *n)
{
	if (!takes_no_more(n->fd))
		return;
	give_up(n);
	for (int i = 0; i < GUARD_TRIES && atomic_load(&n->writing); i++)
		empty(n->fd);
}

static void wait_awake(int timeout_ms)
{
	struct pollfd p = { .fd = guard.wake_fd, .events = POLLIN };
	eventfd_t count;

	if (poll(&p, 1, timeout_ms) > 0)
		(void)eventfd_read(guard.wake_fd, &count);
}

/* is anybody writing? */
static bool look(bool *ret_ends)
{
	struct notify *n;
	bool any = false;

	pthread_mutex_lock(&guard.lock);
	list_for_each(n, &guard.all, link)
		if (atomic_load(&n->writing)) {
			any = true;
			look_at(n);
		}
	*ret_ends = guard.ends;
	pthread_mutex_unlock(&guard.lock);
	return any;
}

static void *run_guard(void *data)
{
	bool ends = false;

	for (int ticks = 0; !ends; ticks++) {
		bool sleeps = ticks >= GUARD_LINGER;

		if (sleeps)
			atomic_store(&guard.asleep, true);
		if (look(&ends) || !sleeps || ends) {
			atomic_store(&guard.asleep, false);
			wait_awake(ends ? 0 : GUARD_TICK_MS);
		} else {
			wait_awake(-1);
			atomic_store(&guard.asleep, false);
			ticks = 0;
		}
	}
	return NULL;
}

/* --- everybody else --- */

static void wake(void)
{
	if (atomic_exchange(&guard.asleep, false))
		(void)eventfd_write(guard.wake_fd, 1);
}

static int start_guard(void)
{
	sigset_t all, before;
	int r;

	guard.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (guard.wake_fd < 0)
		return -errno;
	guard.ends = false;
	sigfillset(&all); /* signals are the program's */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = -pthread_create(&guard.thread, NULL, run_guard, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r < 0)
		close(guard.wake_fd);
	return r;
}

static void end_guard(void)
{
	pthread_mutex_lock(&guard.lock);
	guard.ends = true;
	pthread_mutex_unlock(&guard.lock);
	(void)eventfd_write(guard.wake_fd, 1);
	pthread_join(guard.thread, NULL);
	close(guard.wake_fd);
}

static void enter(struct notify *n)
{
	pthread_mutex_lock(&guard.lock);
	list_append(&guard.all, &n->link);
	pthread_mutex_unlock(&guard.lock);
}

static void leave(struct notify *n)
{
	pthread_mutex_lock(&guard.lock);
	list_remove(&n->link);
	pthread_mutex_unlock(&guard.lock);
}

int notify_new(const void *handle, uint16_t domid, struct notify **ret_notify)
{
	struct notify *n = calloc(1, sizeof(*n));
	int r = 0;

	if (!n)
		return -ENOMEM;
	n->handle = handle;
	n->domid = domid;
	n->fd = -1;
	pthread_mutex_lock(&guard.life);
	if (guard.users == 0)
		r = start_guard();
	if (r == 0) {
		guard.users++;
		enter(n);
	}
	pthread_mutex_unlock(&guard.life);
	if (r < 0) {
		free(n);
		return r;
	}
	*ret_notify = n;
	return 0;
}

void notify_set_fd(struct notify *n, int fd)
{
	n->fd = fd;
}

struct notify *notify_free(struct notify *n)
{
	if (!n)
		return NULL;
	pthread_mutex_lock(&guard.life);
	leave(n);
	if (--guard.users == 0)
		end_guard();
	pthread_mutex_unlock(&guard.life);
	free(n);
	return NULL;
}

int notify_send(struct notify *n)
{
	const uint64_t one = 1;
	int r = 0;

	if (atomic_load_explicit(&n->given_up, memory_order_relaxed))
		return -EPIPE;
	atomic_fetch_add(&n->writing, 1);
	if (atomic_load(&guard.asleep))
		wake();
	if (write(n->fd, &one, sizeof(one)) < 0)
		r = errno == EAGAIN ? 0 : -errno; /* full: it has an event pending */
	atomic_fetch_sub(&n->writing, 1);
	return r < 0 || !atomic_load_explicit(&n->given_up, memory_order_relaxed) ? r : -EPIPE;
}
