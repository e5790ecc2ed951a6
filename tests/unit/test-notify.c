/* SPDX-License-Identifier: MIT */
/* Eventfds that a hostile peer made blocking and full: nobody waits for it, and nobody else notices. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "hypercall-bridge/bridged/kick.h"
#include "libxenhost/notify.h"
#include "tests/support/unit.h"

#define HOSTILE 1
#define HONEST 2

static int fds[3];
static struct notify *notifies[3]; /* two ports of the hostile guest, one of another */

static void setup(void)
{
	static const uint16_t domids[] = { HOSTILE, HOSTILE, HONEST };

	for (int i = 0; i < 3; i++) {
		fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		ck_assert_int_ge(fds[i], 0);
		ck_assert_int_eq(notify_new(fds, domids[i], &notifies[i]), 0);
		notify_set_fd(notifies[i], fds[i]);
	}
}

static void teardown(void)
{
	for (int i = 0; i < 3; i++) {
		notify_free(notifies[i]);
		close(fds[i]);
	}
}

static void fill(int fd)
{
	ck_assert_int_eq(eventfd_write(fd, UINT64_MAX - 1), 0);
	ck_assert_int_eq(fcntl(fd, F_SETFL, 0), 0);
}

START_TEST(notifies_and_counts)
{
	eventfd_t count;

	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(notify_send(notifies[i]), 0);
	ck_assert_int_eq(notify_send(notifies[2]), 0);
	ck_assert_int_eq(eventfd_read(fds[0], &count), 0);
	ck_assert_uint_eq(count, 1);
	ck_assert_int_eq(eventfd_read(fds[2], &count), 0);
	ck_assert_uint_eq(count, 2);
}
END_TEST

/* not blocking and full: there is an event pending, so that is no error */
START_TEST(full)
{
	ck_assert_int_eq(eventfd_write(fds[0], UINT64_MAX - 1), 0);
	ck_assert_int_eq(notify_send(notifies[0]), 0);
	ck_assert_int_eq(notify_send(notifies[0]), 0);
}
END_TEST

START_TEST(full_and_blocking)
{
	eventfd_t count;

	fill(fds[0]);
	ck_assert_int_eq(notify_send(notifies[0]), -EPIPE);
	ck_assert_int_eq(notify_send(notifies[0]), -EPIPE);
	ck_assert_int_eq(notify_send(notifies[1]), -EPIPE); /* the same guest's */
	ck_assert_int_lt(eventfd_read(fds[1], &count), 0);  /* is not even written to */
	ck_assert_int_eq(notify_send(notifies[2]), 0);
	ck_assert_int_eq(eventfd_read(fds[2], &count), 0);
}
END_TEST

/* the guard has gone to sleep meanwhile, more than once */
START_TEST(full_after_a_while)
{
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(notify_send(notifies[2]), 0);
		ck_assert_int_eq(usleep(600000), 0);
	}
	fill(fds[0]);
	ck_assert_int_eq(notify_send(notifies[0]), -EPIPE);
}
END_TEST

static atomic_bool over;

/* clears the flag and fills the counter as fast as it can */
static void *abuse(void *data)
{
	int fd = *(int *)data;

	while (!atomic_load(&over)) {
		(void)fcntl(fd, F_SETFL, 0);
		(void)fcntl(fd, F_SETFL, O_NONBLOCK);
		(void)eventfd_write(fd, UINT64_MAX - 1);
	}
	return NULL;
}

/* It writes as well, so it may hang itself, until somebody reads. */
static void end_abuse(pthread_t thread, int fd)
{
	atomic_store(&over, true);
	while (pthread_tryjoin_np(thread, NULL) != 0) {
		struct iovec iov = { &(uint64_t){ 0 }, sizeof(uint64_t) };

		(void)!preadv2(fd, &iov, 1, -1, RWF_NOWAIT);
		sched_yield();
	}
}

START_TEST(raced)
{
	pthread_t thread;
	int r = 0;

	atomic_store(&over, false);
	ck_assert_int_eq(pthread_create(&thread, NULL, abuse, &fds[0]), 0);
	for (int i = 0; i < 20000 && r == 0; i++)
		r = notify_send(notifies[0]);
	ck_assert(r == 0 || r == -EPIPE);
	end_abuse(thread, fds[0]);
	ck_assert_int_eq(notify_send(notifies[2]), 0);
}
END_TEST

static void *send_many(void *data)
{
	for (int i = 0; i < 20000; i++)
		ck_assert_int_eq(notify_send(data), 0);
	return NULL;
}

/* innocent ones lose nothing, however many write at the same time and come and go */
START_TEST(many_threads)
{
	pthread_t threads[4];
	struct notify *other;
	eventfd_t count;

	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, send_many, notifies[2]), 0);
	for (int i = 0; i < 200; i++) {
		ck_assert_int_eq(notify_new(fds, 7, &other), 0);
		notify_free(other);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	ck_assert_int_eq(eventfd_read(fds[2], &count), 0);
	ck_assert_uint_eq(count, 80000);
}
END_TEST

/* --- bridged's way --- */

START_TEST(kicks)
{
	eventfd_t count;

	for (int i = 0; i < 300; i++)
		ck_assert_int_eq(kick_eventfd(fds[0]), 0);
	ck_assert_int_eq(eventfd_read(fds[0], &count), 0);
	ck_assert_uint_eq(count, 300);
	fill(fds[1]);
	for (int i = 0; i < 300; i++)
		ck_assert_int_eq(kick_eventfd(fds[1]), 0);
	ck_assert_int_eq(eventfd_read(fds[1], &count), 0);
	ck_assert_uint_eq(count, UINT64_MAX);
	ck_assert_int_eq(kick_eventfd(fds[1]), 0);
	ck_assert_int_eq(eventfd_read(fds[1], &count), 0);
	ck_assert_uint_eq(count, 1);
}
END_TEST

UNIT_MAIN_WITH("notify", setup, teardown, notifies_and_counts, full, full_and_blocking,
	       full_after_a_while, raced, many_threads, kicks)
