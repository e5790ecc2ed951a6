/* SPDX-License-Identifier: MIT */
/* The journal of a disk; the ring is played here. What the kernel adds, the fence, is tested with a child. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "blkbackd/blk_journal.h"
#include "tests/support/unit.h"

#define SLOTS 32u

static struct journal *j;
static struct journal_queue *q;
static struct journal_key key;
static uint16_t order[JOURNAL_SLOTS_MAX];

static void setup(void)
{
	memset(&key, 0, sizeof(key));
	key = (struct journal_key){ .unique_id = 7, .nr_queues = 2, .slots = SLOTS, .pages = 1 };
	ck_assert_int_eq(journal_new(&key, &j), 0);
	q = journal_queue(j, 1);
}

static void teardown(void)
{
	j = journal_free(j);
}

/* as the successor: the deposit is what outlives us */
static void reopen(void)
{
	int fd = fcntl(j->fd, F_DUPFD_CLOEXEC, 0);

	j = journal_free(j);
	ck_assert_int_eq(journal_open(fd, &j), 0);
	q = journal_queue(j, 1);
}

START_TEST(empty)
{
	ck_assert(journal_is_of(j, &key));
	ck_assert_int_eq(journal_recover(q, SLOTS, 0, order), 0);
	key.queues[1].grefs[3] = 1;
	ck_assert(!journal_is_of(j, &key));
}
END_TEST

/* each point of a request's life at which the process may end: what must be done again? */
START_TEST(every_step)
{
	struct journal_entry *e = &q->entries[5];

	atomic_store(&q->req_cons, 100);
	/* busy, but not yet taken: it is still in the ring */
	e->req_index = 100;
	atomic_store(&e->state, JOURNAL_BUSY);
	reopen();
	e = &q->entries[5];
	ck_assert_int_eq(journal_recover(q, SLOTS, 100, order), 0);
	ck_assert_uint_eq(atomic_load(&e->state), JOURNAL_FREE);

	memset(e->slot, 0x42, sizeof(e->slot));
	journal_take(q, e, 100);
	reopen();
	e = &q->entries[5];
	ck_assert_int_eq(journal_recover(q, SLOTS, 100, order), 1);
	ck_assert_uint_eq(order[0], 5);
	ck_assert_uint_eq(e->slot[111], 0x42);

	/* answered, not published */
	journal_answer(e, 100);
	reopen();
	e = &q->entries[5];
	ck_assert_int_eq(journal_recover(q, SLOTS, 100, order), 1);
	ck_assert_uint_eq(atomic_load(&e->state), JOURNAL_BUSY);

	/* published, not freed */
	journal_answer(e, 100);
	reopen();
	e = &q->entries[5];
	ck_assert_int_eq(journal_recover(q, SLOTS, 101, order), 0);
	ck_assert_uint_eq(atomic_load(&e->state), JOURNAL_FREE);
}
END_TEST

/* out of order, over the wrap of the indices, and entries used again */
START_TEST(in_the_order_of_requests)
{
	static const uint16_t entries[] = { 9, 2, 31, 0, 14 };
	const uint32_t first = UINT32_MAX - 2;

	atomic_store(&q->req_cons, first);
	for (uint32_t i = 0; i < 5; i++)
		journal_take(q, &q->entries[entries[i]], first + i);
	/* the third and the last are answered and published, the second is only answered */
	journal_answer(&q->entries[31], first);
	journal_answer(&q->entries[14], first + 1);
	journal_answer(&q->entries[2], first + 2);
	reopen();
	ck_assert_int_eq(journal_recover(q, SLOTS, first + 2, order), 3);
	ck_assert_uint_eq(order[0], 9);
	ck_assert_uint_eq(order[1], 2);
	ck_assert_uint_eq(order[2], 0);
	ck_assert_uint_eq(atomic_load(&q->entries[14].state), JOURNAL_FREE);
}
END_TEST

START_TEST(contradictions)
{
	journal_take(q, &q->entries[0], 0);
	journal_take(q, &q->entries[1], 1);
	/* the front end moved rsp_prod */
	ck_assert_int_eq(journal_recover(q, SLOTS, 1, order), -EPROTO);
	ck_assert_int_eq(journal_recover(q, SLOTS, 3, order), -EPROTO);
	ck_assert_int_eq(journal_recover(q, SLOTS, UINT32_MAX, order), -EPROTO);
	ck_assert_int_eq(journal_recover(q, SLOTS, 0x80000000u, order), -EPROTO);
	ck_assert_int_eq(journal_recover(q, JOURNAL_SLOTS_MAX + 1, 0, order), -EPROTO);
	ck_assert_int_eq(journal_recover(q, SLOTS, 0, order), 2);
	/* an entry that nobody can have left so */
	atomic_store(&q->entries[0].state, 77);
	ck_assert_int_eq(journal_recover(q, SLOTS, 0, order), -EPROTO);
}
END_TEST

static int memfd(size_t size, bool seal)
{
	int fd = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
	if (seal)
		ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL),
				 0);
	return fd;
}

START_TEST(no_journals)
{
	struct journal *other = NULL;
	int fd = fcntl(j->fd, F_DUPFD_CLOEXEC, 0);
	size_t size = j->size;

	ck_assert_int_eq(journal_open(memfd(size, false), &other), -EINVAL);
	ck_assert_int_eq(journal_open(memfd(100, true), &other), -EINVAL);
	ck_assert_int_eq(journal_open(memfd(size, true), &other), -EINVAL);
	ck_assert_int_eq(journal_open(memfd(64 << 20, true), &other), -EINVAL);
	ck_assert_int_eq(journal_open(open("/dev/null", O_RDWR | O_CLOEXEC), &other), -EINVAL);
	/* says that it has more queues than there is room for */
	j->header->key.nr_queues = 3;
	j = journal_free(j);
	ck_assert_int_eq(journal_open(fd, &other), -EINVAL);
	ck_assert_ptr_null(other);
}
END_TEST

/* as long as the predecessor lives the journal is its */
START_TEST(fenced)
{
	int told[2], fd = fcntl(j->fd, F_DUPFD_CLOEXEC, 0), status;
	struct journal *next = NULL;
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe(told), 0);
	pid = fork();
	if (pid == 0) {
		/* has the description too, as I/O in the kernel would */
		close(told[1]);
		(void)!read(told[0], &byte, 1);
		_exit(0);
	}
	close(told[0]);
	j = journal_free(j);
	ck_assert_int_eq(journal_open(dup(fd), &next), -EBUSY);
	close(told[1]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(journal_open(fd, &next), 0);
	journal_free(next);
}
END_TEST

UNIT_MAIN_WITH("blk_journal", setup, teardown, empty, every_step, in_the_order_of_requests,
	       contradictions, no_journals, fenced)
