/* SPDX-License-Identifier: MIT */
/*
 * The fence: who opens a journal locks it by a description that only this process has (fence_fd), and
 * gives that to each io_uring of the disk as a registered file. The kernel lets go of it when the ring
 * is gone, which is after the last request of it, and that can be later than the end of the process.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/cleanup.h"

#include "blkbackd/blk_journal.h"

#define MAGIC "XHBLKJNL"
#define JOURNAL_VERSION 1u
#define PAGE 4096u
#define HEADER_SIZE ((sizeof(struct journal_header) + PAGE - 1) / PAGE * PAGE)
#define QUEUE_SIZE ((sizeof(struct journal_queue) + PAGE - 1) / PAGE * PAGE)
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

_Static_assert(sizeof(struct journal_entry) == 128, "entries on cache lines of their own");
_Static_assert(sizeof(struct journal_key) == 24 + JOURNAL_QUEUES_MAX * (4 + 4 * JOURNAL_PAGES_MAX),
	       "no padding in the key");

static size_t file_size(uint32_t nr_queues)
{
	return HEADER_SIZE + nr_queues * QUEUE_SIZE;
}

/* Another description of the same memory, which nobody else gets, and the lock on it. */
static int lock_fence(int fd, int *ret_fence)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	_cleanup_close_ int fence = -1;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fence = open(path, O_RDWR | O_CLOEXEC);
	if (fence < 0)
		return -errno;
	if (fcntl(fence, F_OFD_SETLK, &lock) < 0)
		return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
	*ret_fence = steal_fd(&fence);
	return 0;
}

static int map(struct journal *j)
{
	void *addr = mmap(NULL, j->size, PROT_READ | PROT_WRITE, MAP_SHARED, j->fd, 0);

	if (addr == MAP_FAILED)
		return -errno;
	j->header = addr;
	return 0;
}

static struct journal *journal_alloc(int fd)
{
	struct journal *j = calloc(1, sizeof(*j));

	if (!j) {
		closep(&fd);
		return NULL;
	}
	j->fd = fd;
	j->fence_fd = -1;
	return j;
}

int journal_new(const struct journal_key *key, struct journal **ret_journal)
{
	_cleanup_(journal_freep) struct journal *j = NULL;
	int r;

	j = journal_alloc(memfd_create("blk-journal", MFD_CLOEXEC | MFD_ALLOW_SEALING));
	if (!j)
		return -ENOMEM;
	if (j->fd < 0)
		return -errno;
	j->size = file_size(key->nr_queues);
	if (ftruncate(j->fd, (off_t)j->size) < 0 || fcntl(j->fd, F_ADD_SEALS, SEALS) < 0)
		return -errno;
	r = lock_fence(j->fd, &j->fence_fd);
	if (r == 0)
		r = map(j);
	if (r < 0)
		return r;
	j->header->version = JOURNAL_VERSION;
	j->header->key = *key;
	memcpy(j->header->magic, MAGIC, sizeof(j->header->magic));
	*ret_journal = steal_ptr(&j);
	return 0;
}

/* Sealed, so that it stays as large as it is while it is mapped. */
static int check_file(struct journal *j)
{
	int seals = fcntl(j->fd, F_GET_SEALS);
	struct stat st;

	if (seals < 0 || (seals & SEALS) != SEALS || fstat(j->fd, &st) < 0)
		return -EINVAL;
	if (st.st_size < (off_t)file_size(1) || st.st_size > (off_t)file_size(JOURNAL_QUEUES_MAX))
		return -EINVAL;
	j->size = (size_t)st.st_size;
	return 0;
}

static bool header_ok(const struct journal *j)
{
	const struct journal_header *h = j->header;

	return !memcmp(h->magic, MAGIC, sizeof(h->magic)) && h->version == JOURNAL_VERSION &&
	       h->key.nr_queues >= 1 && h->key.nr_queues <= JOURNAL_QUEUES_MAX &&
	       h->key.slots <= JOURNAL_SLOTS_MAX && j->size == file_size(h->key.nr_queues);
}

int journal_open(int fd, struct journal **ret_journal)
{
	_cleanup_(journal_freep) struct journal *j = journal_alloc(fd);
	int r;

	if (!j)
		return -ENOMEM;
	r = check_file(j);
	if (r == 0)
		r = lock_fence(j->fd, &j->fence_fd);
	if (r == 0)
		r = map(j);
	if (r < 0)
		return r;
	if (!header_ok(j))
		return -EINVAL;
	*ret_journal = steal_ptr(&j);
	return 0;
}

struct journal *journal_free(struct journal *j)
{
	if (!j)
		return NULL;
	if (j->header)
		munmap(j->header, j->size);
	closep(&j->fence_fd);
	closep(&j->fd);
	free(j);
	return NULL;
}

void journal_freep(struct journal **journal)
{
	*journal = journal_free(*journal);
}

bool journal_is_of(const struct journal *j, const struct journal_key *key)
{
	return !memcmp(&j->header->key, key, sizeof(*key));
}

struct journal_queue *journal_queue(const struct journal *j, unsigned int queue)
{
	return (struct journal_queue *)(void *)((uint8_t *)j->header + HEADER_SIZE +
						queue * QUEUE_SIZE);
}

static bool is_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

/* to be done again? See the head of blk_journal.h */
static bool is_open(const struct journal_entry *e, uint32_t req_cons, uint32_t rsp_prod)
{
	switch (atomic_load(&e->state)) {
	case JOURNAL_BUSY:
		return is_before(e->req_index, req_cons);
	case JOURNAL_ANSWERED:
		return !is_before(e->rsp_index, rsp_prod);
	default:
		return false;
	}
}

/* Few and nearly in order. */
static void insert(const struct journal_queue *q, uint16_t *order, int n, uint16_t number)
{
	uint32_t index = q->entries[number].req_index;

	while (n > 0 && is_before(index, q->entries[order[n - 1]].req_index)) {
		order[n] = order[n - 1];
		n--;
	}
	order[n] = number;
}

int journal_recover(struct journal_queue *q, uint32_t slots, uint32_t rsp_prod, uint16_t *order)
{
	uint32_t req_cons = atomic_load(&q->req_cons);
	int n = 0;

	if (slots > JOURNAL_SLOTS_MAX || req_cons - rsp_prod > slots)
		return -EPROTO;
	for (uint32_t i = 0; i < slots; i++) {
		struct journal_entry *e = &q->entries[i];

		if (is_open(e, req_cons, rsp_prod))
			insert(q, order, n++, (uint16_t)i);
		else
			atomic_store(&e->state, JOURNAL_FREE);
	}
	if ((uint32_t)n != req_cons - rsp_prod)
		return -EPROTO;
	/* an answer that was not published is none */
	for (int i = 0; i < n; i++)
		atomic_store(&q->entries[order[i]].state, JOURNAL_BUSY);
	return n;
}
