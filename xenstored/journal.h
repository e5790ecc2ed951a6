/* SPDX-License-Identifier: MIT */
/*
 * The journal's memory: a memfd, so that it outlives the process as long as somebody keeps the
 * descriptor. Records are appended behind what counts; journal_commit() makes all of them count at once
 * by one store. So what a killed process leaves is whole: no record without those that belong to it.
 *
 * A journal that cannot grow is failed: it takes nothing any more and must not be used for a restart.
 */
#ifndef XENSTORED_JOURNAL_H
#define XENSTORED_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xenstored/journal_wire.h"

struct journal {
	int fd;
	char *map;
	size_t size;	  /* of the mapping */
	size_t end;	  /* behind the last record */
	size_t committed; /* what counts */
	bool failed;
	struct journal_past past; /* of the record at end */
};

/* generation: how many processes had this state before */
int journal_new(uint64_t generation, struct journal *ret_journal);
void journal_close(struct journal *j);
/* nobody shall take it for a journal any more, whoever still has it */
void journal_spoil(struct journal *j);
void journal_append(struct journal *j, const struct journal_record *r);

static inline void journal_commit(struct journal *j)
{
	if (j->end == j->committed)
		return;
	j->committed = j->end;
	__atomic_store_n((uint64_t *)(void *)(j->map + 16), j->end, __ATOMIC_RELEASE);
}

/* Another process's journal, to be read only. */
struct journal_view {
	char *map;
	size_t size, end;
	uint64_t generation;
	struct journal_past past; /* of the record that is next */
};

/* fd stays the caller's. -EPROTO: not a journal; -EPROTONOSUPPORT: of another version's layout */
int journal_view_open(int fd, struct journal_view *ret_view);
void journal_view_close(struct journal_view *v);
/*
 * *at starts at 0. 1 there is one (its parts are valid until the next call), 0 the end, -EPROTO: damaged
 * from here on
 */
int journal_view_next(struct journal_view *v, size_t *at, struct journal_record *ret_record);

#endif
