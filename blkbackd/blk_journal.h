/* SPDX-License-Identifier: MIT */
/*
 * What of a disk's requests is under way, in a memfd that outlives the process: for each slot of each
 * ring one entry with our copy of the request. The successor answers what its predecessor did not.
 *
 * The order is what makes each request be answered once (tests/models/journal.pml):
 *   take     copy into a free entry, mark it BUSY, advance req_cons
 *   answer   note which response it will be (rsp_index), mark it ANSWERED, write the response's slot
 *   publish  the ring's rsp_prod: the one store by which the front end learns of answers
 *   free     only now may the entry be used again
 * So after a crash, whenever it was: a BUSY entry at or beyond req_cons was never taken, its request is
 * still in the ring; an ANSWERED one whose response is published is over; all others are to be done again.
 * Doing them again does no harm, as the front end does not know how often they were done.
 *
 * Nobody but the service's processes and its keeper has the memfd. Still, everything in it is checked as
 * if a guest had written it: a predecessor may have been taken over by one.
 * A journal belongs to the main thread, each queue of it to the thread of that queue.
 */
#ifndef BLKBACKD_BLK_JOURNAL_H
#define BLKBACKD_BLK_JOURNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "blkbackd/blk_ring.h"

#define JOURNAL_QUEUES_MAX 16u
#define JOURNAL_PAGES_MAX 16u
#define JOURNAL_SLOTS_MAX 512u

/* what a journal is of: another connection is another key. No padding, compared as bytes */
struct journal_key {
	uint64_t unique_id; /* of the front end's domain */
	uint32_t nr_queues;
	uint32_t slots; /* of each ring */
	uint32_t abi;
	uint32_t pages; /* of each ring */
	struct {
		uint32_t port;
		uint32_t grefs[JOURNAL_PAGES_MAX];
	} queues[JOURNAL_QUEUES_MAX];
};

enum journal_state {
	JOURNAL_FREE,
	JOURNAL_BUSY,
	JOURNAL_ANSWERED,
};

struct journal_entry {
	_Atomic uint32_t state;
	uint32_t req_index;
	uint32_t rsp_index; /* with ANSWERED */
	uint32_t unused;
	uint8_t slot[BLK_SLOT_MAX];
};

struct journal_queue {
	_Atomic uint32_t req_cons;
	uint32_t unused[31];
	struct journal_entry entries[JOURNAL_SLOTS_MAX];
};

struct journal_header {
	char magic[8];
	uint32_t version;
	/* of the disk, for its whole life */
	_Atomic uint32_t failed; /* a flush failed */
	_Atomic uint32_t paused; /* VBD_PAUSED_ bits */
	uint32_t unused;
	struct journal_key key;
};

struct journal {
	int fd;	      /* the one to be deposited */
	int fence_fd; /* a description of our own, locked */
	struct journal_header *header;
	size_t size;
};

/* an empty one, locked by us. 0 or -errno */
int journal_new(const struct journal_key *key, struct journal **ret_journal);
/*
 * One that was deposited; fd is taken over in any case. -EBUSY: the predecessor, or I/O of its, is still
 * there; -EINVAL: no journal.
 */
int journal_open(int fd, struct journal **ret_journal);
struct journal *journal_free(struct journal *journal); /* NULL */
void journal_freep(struct journal **journal);

bool journal_is_of(const struct journal *journal, const struct journal_key *key);
struct journal_queue *journal_queue(const struct journal *journal, unsigned int queue);

/*
 * Fills order[] with the numbers of the entries that are to be done again, in the order of their
 * requests, and frees all others. rsp_prod: the ring's. Returns how many; -EPROTO: journal and ring
 * contradict each other.
 */
int journal_recover(struct journal_queue *queue, uint32_t slots, uint32_t rsp_prod,
		    uint16_t *order);

/* the entry holds the request number `index`, and the queue is about to go on behind it */
static inline void journal_take(struct journal_queue *queue, struct journal_entry *entry,
				uint32_t index)
{
	entry->req_index = index;
	atomic_store_explicit(&entry->state, JOURNAL_BUSY, memory_order_release);
	atomic_store_explicit(&queue->req_cons, index + 1, memory_order_release);
}

static inline void journal_answer(struct journal_entry *entry, uint32_t rsp_index)
{
	entry->rsp_index = rsp_index;
	atomic_store_explicit(&entry->state, JOURNAL_ANSWERED, memory_order_release);
}

/* its response was published */
static inline void journal_free_entry(struct journal_entry *entry)
{
	atomic_store_explicit(&entry->state, JOURNAL_FREE, memory_order_release);
}

#endif
