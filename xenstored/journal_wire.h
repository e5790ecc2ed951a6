/* SPDX-License-Identifier: MIT */
/*
 * Records of the journal (state.h says what they are for): one layout for all, a domain, three numbers, an
 * id, and up to three strings of bytes; what is nothing takes nothing. Pure: no I/O, allocation or globals.
 *
 * A store is many nodes whose paths and permissions are mostly those of the node before. So a record says
 * of its path only what is different from the last one's, and of permissions that they are the last ones
 * again: both sides know from the records before (struct journal_past) what that means. Records can only be
 * read from the first one on, in their order.
 */
#ifndef XENSTORED_JOURNAL_WIRE_H
#define XENSTORED_JOURNAL_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "xenstored/perm.h"
#include "xenstored/wire.h"

enum journal_type {
	JOURNAL_NODE = 1,    /* part 0 path, 1 struct perm[], 2 value: made or changed */
	JOURNAL_GONE,	     /* part 0 path: removed with all below */
	JOURNAL_SPECIAL,     /* n[0] enum store_special, part 1 struct perm[] */
	JOURNAL_DOMAIN,	     /* n: port, features, target; flags; id: the host's unique id */
	JOURNAL_DOMAIN_GONE, /* forgotten, as its quota is */
	JOURNAL_QUOTA,	     /* n[0] item, n[1] value; domid JOURNAL_NEW_GUESTS: of new guests */
	JOURNAL_RING,	 /* n: req_cons, rsp_prod, enum journal_reset; parts 0 input, 1 output */
	JOURNAL_RING_IO, /* n[0] req_cons; part 0 input that waits, 1 more output */
	JOURNAL_RING_END,
	JOURNAL_WATCH,	   /* n: depth, strip; parts 0 path, 1 token */
	JOURNAL_UNWATCH,   /* parts 0 path, 1 token */
	JOURNAL_DROP,	   /* all watches and transactions of the ring */
	JOURNAL_TXN_START, /* n[0] id */
	JOURNAL_TXN_END,   /* n[0] id */
	/* only in what one process hands over to another program in its place (state_image()) */
	JOURNAL_LOCK,	  /* n[0] descriptor */
	JOURNAL_LISTEN,	  /* n[0] descriptor, n[1] the path is ours to remove; part 0 path */
	JOURNAL_SOCKET,	  /* n: descriptor, last transaction, unread; parts 0 input, 1 output */
	JOURNAL_TXN_KEEP, /* n[0] id, n[1] failed: what it did follows */
	JOURNAL_TXN_TOUCH, /* n: id, TXN_*; flags; part 0 path, with JOURNAL_HAS 1 perms and 2 value */
	JOURNAL_TXN_TALLY,   /* n: id, domid; part 2 struct journal_tally */
	JOURNAL_TXN_SPECIAL, /* n: id, enum store_special; flags; with JOURNAL_HAS part 1 perms */
	JOURNAL_TYPES
};

struct journal_tally {
	int64_t nodes, bytes;
};

enum journal_reset {
	JOURNAL_NO_RESET,
	JOURNAL_RESET,
	JOURNAL_DRAIN,
	JOURNAL_RESETS,
	JOURNAL_AS_IS = JOURNAL_RESETS /* in no journal: the page knows alone where it goes on */
};

#define JOURNAL_VERSION 2 /* of this layout: an older or newer one is not read */
#define JOURNAL_NEW_GUESTS 65535u
#define JOURNAL_PARTS 3
#define JOURNAL_NUMBERS 3
#define JOURNAL_RECORD_MIN 2u
#define JOURNAL_PERMS_MAX 4096u /* entries of a list */

/* flags of JOURNAL_DOMAIN */
#define JOURNAL_EXISTS 1u
#define JOURNAL_INTRODUCED 2u
#define JOURNAL_SHUT 4u
#define JOURNAL_FLAGS 7u

/* flags of what transactions did */
#define JOURNAL_HAS 1u	/* that is there, and follows */
#define JOURNAL_SEEN 2u /* special permissions that it looked at, as they are outside of it */

struct journal_part {
	const void *data;
	size_t len;
};

struct journal_record {
	uint8_t type;
	uint8_t flags;
	uint16_t domid;
	uint32_t n[JOURNAL_NUMBERS];
	uint64_t id; /* of the connection, 0: the domain's ring; JOURNAL_DOMAIN: see there */
	struct journal_part part[JOURNAL_PARTS];
};

/* what the records before leave for the next one; all zeros before the first */
struct journal_past {
	size_t path_len, nr_perms;
	struct perm perms[JOURNAL_PERMS_MAX];
	char path[WIRE_PATH_MAX];
};

/* no fewer bytes than the record takes, whatever came before it */
size_t journal_room(const struct journal_record *r);
/* buf holds journal_room(). Bytes that it takes */
size_t journal_encode(struct journal_past *past, const struct journal_record *r, void *buf);
/*
 * The record at buf; its parts point into buf or into past and are valid until the next one is read.
 * Bytes taken, or -EPROTO: cut off, or nothing that journal_encode() makes from a sensible record; then
 * nothing that follows can be read either.
 */
int64_t journal_decode(struct journal_past *past, const void *buf, size_t len,
		       struct journal_record *ret_record);

#endif
