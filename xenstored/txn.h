/* SPDX-License-Identifier: MIT */
/*
 * A transaction: the version of the tree it started from, its own version, and which paths it touched.
 * At the end every path that it looked at is compared in the version of then and the present one.
 *
 * What counts as a conflict: the node (its value, permissions, existence) for every path that was read,
 * written or created below; the list of children only where the transaction listed them; everything below
 * for what it removed. So two transactions that add different children to one directory both succeed.
 *
 * If nothing else changed in between, its version simply becomes the present one; else what it changed is
 * put into the present one, whole subtrees at a time where it created them.
 *
 * Knows no permissions of callers, no quota limits, no watches: store.c does. -ENOMEM inside marks it as
 * failed, and then its end gives ENOMEM and keeps nothing.
 */
#ifndef XENSTORED_TXN_H
#define XENSTORED_TXN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/list.h"
#include "xenstored/quota.h"
#include "xenstored/table.h"
#include "xenstored/tree.h"

/* what was done with a path */
#define TXN_NODE 1u	/* looked at: value, permissions, existence */
#define TXN_LIST 2u	/* looked at: names of the children */
#define TXN_SUBTREE 4u	/* everything below counts: it was removed */
#define TXN_CHANGED 8u	/* value or permissions set */
#define TXN_CREATED 16u /* made here, so all that is below came from here too */
#define TXN_REMOVED 32u /* was there and was taken out, perhaps made again later */
#define TXN_FIRES 64u	/* watches are told */

struct touch {
	struct table_link by_path;
	struct list of_changes;	  /* in order of the first change, parents before what is below */
	struct list of_fires;	  /* in order of the first request that fires */
	uint64_t changed, listed; /* stamps in the version it started from; 0: was not there */
	unsigned int what;
	uint32_t len;
	char path[];
};

struct txn_tally {
	uint16_t domid;
	struct tally add;
};

#define TXN_SPECIALS 2

struct txn {
	struct list of_store;
	struct list of_owner; /* the connection's */
	uint32_t id;
	struct node *base, *root;
	struct table touches;
	struct list changes, fires;
	struct txn_tally *tallies;
	size_t nr_tallies;
	int64_t bytes;	  /* memory it holds: touches, and nodes that are in no other version */
	int64_t charged;  /* what of that its caller's account knows of */
	uint64_t domains; /* perm_bit() of all it put into permissions */
	struct perms *special[TXN_SPECIALS];	  /* permissions it set, or NULL */
	struct perms *special_seen[TXN_SPECIALS]; /* as they were when first looked at, or NULL */
	bool failed;				  /* out of memory */
	bool lost;				  /* can only end with EAGAIN */
	bool control;				  /* of the control domain */
};

struct txn *txn_new(struct node *base, uint32_t id);
void txn_free(struct heap *h, struct txn *t); /* NULL is fine */

/* Notes what was done with the path. 0 or -ENOMEM */
int txn_touch(struct heap *h, struct txn *t, const char *path, size_t len, unsigned int what);
bool txn_touched(const struct heap *h, const struct txn *t, const char *path, size_t len);

/* where what a domain's nodes cost more or less is counted; NULL when out of memory */
struct tally *txn_tally(struct txn *t, uint16_t domid);

/* the present version differs in something that was looked at */
bool txn_conflicts(const struct heap *h, const struct txn *t, struct node *present);

/* Forgets what it kept of other versions: from now on it sees the present one and is lost. */
void txn_give_up(struct heap *h, struct txn *t, struct node *present);

/*
 * The version that comes after the present one: a reference for the caller. Only without conflicts.
 * 0 or -ENOMEM
 */
int txn_merge(struct heap *h, const struct txn *t, struct node *present, uint64_t stamp,
	      struct node **ret_root);

#endif
