/* SPDX-License-Identifier: MIT */
/*
 * The tables of bridged as they lie in a memfd, so that the next process finds them after a SIGKILL.
 *
 * The memfd has a header and records of one size, without pointers: a domain (with its regions), a channel
 * (with both ends), a deposit or a guest that has gone (gone.h). One record is one fact: writing it is atomic (state_store.c), and nothing
 * needs two records to change together; what follows from others is not written down (a port is dead when
 * the domain at its other end has no record).
 *
 * The descriptors that belong to record n are with the keeper (fdstore.h), the i-th of them by the name
 * state_fd_name(n, i). They are there before the record is and go after it, so that a record has its
 * descriptors at any time, and what has no record is nobody's.
 */
#ifndef BRIDGED_STATE_H
#define BRIDGED_STATE_H

#include <stddef.h>
#include <stdint.h>

#include "common/bridge.h"
#include "common/service.h"

#define STATE_MAGIC 0x6274736f686e6558ull /* "Xenhostb" */
#define STATE_VERSION 1u
#define STATE_SLOTS 32768u
#define STATE_NO_SLOT 0xffffffffu
#define STATE_RECORD_SIZE 512u
#define STATE_HEADER_SIZE 4096u
#define STATE_FDS_MAX 16u /* of one record */
#define STATE_SIZE (STATE_HEADER_SIZE + (size_t)STATE_SLOTS * STATE_RECORD_SIZE)
#define STATE_NAME_SIZE 8

enum state_kind {
	STATE_FREE = 0,
	STATE_DOMAIN,
	STATE_CHANNEL,
	STATE_DEPOSIT,
	STATE_GONE,
	STATE_KINDS,
};

struct state_region {
	uint64_t gpa, size, offset;
	uint32_t kind;
	uint32_t fd; /* which of the record's descriptors; several regions may share one */
};

struct state_domain {
	uint64_t unique_id;
	uint64_t store_gfn, console_gfn;
	uint32_t store_port, console_port;
	uint32_t shutdown_reason;
	uint16_t domid;
	uint8_t kind, state;
	uint8_t control; /* what tools have asked the owner for, bits by action */
	uint8_t nr_regions;
	uint8_t nr_fds;
	uint8_t has_secret;
	uint8_t ended; /* shutdown_reason says how it did, once at least */
	uint8_t pad[3];
	char name[BRIDGE_NAME_MAX];
	uint8_t secret[BRIDGE_SECRET_SIZE];
	struct state_region regions[BRIDGE_REGIONS_MAX];
};

/* port 0: not joined, and only this domain may */
struct state_end {
	uint64_t unique_id;
	uint32_t port;
	uint16_t domid;
	uint16_t pad;
};

struct state_channel {
	struct state_end ends[2];
	uint64_t key; /* of the allocation, 0: none */
};

struct state_deposit {
	uint64_t number; /* of two with the same name the higher one counts */
	char socket[SERVICE_NAME_MAX];
	char name[BRIDGE_NAME_MAX];
};

struct state_gone {
	uint64_t number; /* they are counted from 1 */
	uint64_t unique_id, memory_bytes;
	uint32_t shutdown_reason;
	uint16_t domid;
	uint8_t ended;
	uint8_t pad;
	char name[BRIDGE_NAME_MAX];
};

struct state_record {
	uint32_t kind;
	uint32_t pad;
	union {
		struct state_domain domain;
		struct state_channel channel;
		struct state_deposit deposit;
		struct state_gone gone;
		uint8_t room[STATE_RECORD_SIZE - 8];
	};
};

struct state_header {
	uint64_t magic;
	uint32_t version;
	uint32_t record_size;
	uint64_t instance;
	uint32_t used; /* records from here on were never written */
	uint32_t last_domid;
	uint32_t
		pending; /* number + 1 of the record that is being written: `record` is its new value */
	uint32_t pad;
	struct state_record record;
};

_Static_assert(sizeof(struct state_record) == STATE_RECORD_SIZE, "the layout is fixed");
_Static_assert(sizeof(struct state_header) <= STATE_HEADER_SIZE, "the layout is fixed");

/* --- state.c: pure --- */

/*
 * bytes: a private copy of a memfd of STATE_SIZE bytes, perhaps broken. Finishes the write that was
 * interrupted and checks each record by itself. Then header and records may be used as they are; whether
 * they fit together is for those who restore them. 0, or -EINVAL with one line in *ret_why
 */
int state_check(void *bytes, size_t len, const char **ret_why);
const struct state_header *state_header(const void *bytes);
/* number < header->used */
const struct state_record *state_record(const void *bytes, uint32_t number);

/* how many descriptors it has */
unsigned int state_nr_fds(const struct state_record *r);

void state_fd_name(uint32_t number, unsigned int i, char *ret_name); /* STATE_NAME_SIZE */
/* 0, or -EINVAL: no name of ours */
int state_fd_parse(const char *name, uint32_t *ret_number, unsigned int *ret_i);

/* --- state_store.c: the living memfd. NULL: nothing is kept, and all of this does nothing --- */

struct state;
struct fdstore;

/* memfd -1: a new one, with a random instance. Takes the descriptor. 0 or -errno */
int state_open(struct fdstore *store, int memfd, struct state **ret_state);
struct state *state_close(struct state *s); /* NULL; the memfd stays with the keeper */

uint64_t state_instance(const struct state *s);
void state_set_last_domid(struct state *s, uint16_t domid);

/* a number for a record with these descriptors, which are with the keeper afterwards. -ENOSPC, -errno */
int state_new(struct state *s, const int *fds, unsigned int nr_fds, uint32_t *ret_number);
/* this number is in use, found by its record */
void state_adopt(struct state *s, uint32_t number, unsigned int nr_fds);
void state_write(struct state *s, uint32_t number, const struct state_record *r);
/* the record, then its descriptors; STATE_NO_SLOT: nothing */
void state_free(struct state *s, uint32_t number);

#endif
