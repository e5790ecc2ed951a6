/* SPDX-License-Identifier: MIT */
/*
 * What a domain may make the daemon keep, and what it does: one account per domid, counted at each
 * change, never by looking at the store. A limit of 0 is no limit; domain 0 has none.
 * A limit of N means N: the request that would make it N + 1 is refused.
 * Knows no sockets, no clock.
 */
#ifndef XENSTORED_QUOTA_H
#define XENSTORED_QUOTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xenstored/idmap.h"

/* item, name, default of a guest, default of a service domain */
#define QUOTA_TABLE(X)                                 \
	X(NODES, "nodes", 1000, 100000)                \
	X(WATCHES, "watches", 128, 16384)              \
	X(TRANSACTIONS, "transactions", 10, 256)       \
	X(OUTSTANDING, "outstanding", 20, 1024)        \
	X(MEMORY, "memory", 2621440, 268435456)        \
	X(SOFT_MEMORY, "soft-memory", 2097152, 0)      \
	X(NODE_SIZE, "node-size", 2048, 4096)          \
	X(NODE_PERMISSIONS, "node-permissions", 5, 64) \
	X(PATH_MAX, "path-max", 2048, 3072)            \
	X(TRANSACTION_NODES, "transaction-nodes", 1024, 65536)

enum quota_item {
#define X(item, name, guest, service) QUOTA_##item,
	QUOTA_TABLE(X)
#undef X
		QUOTA_ITEMS
};

enum quota_kind { QUOTA_CONTROL, QUOTA_GUEST, QUOTA_SERVICE, QUOTA_KINDS };

/* what nodes cost: of an account, or what a transaction would add */
struct tally {
	int64_t nodes;
	int64_t bytes;
};

struct account {
	uint16_t domid;
	uint32_t refused; /* one bit per item that was refused and logged */
	struct tally nodes;
	struct tally counted; /* while the store is checked */
	uint32_t watches;
	uint32_t transactions;
	int64_t bytes; /* of everything but nodes */
	uint32_t limit[QUOTA_ITEMS];
};

struct quota {
	uint32_t limit[QUOTA_KINDS][QUOTA_ITEMS]; /* for new accounts */
	uint32_t max_seen[QUOTA_ITEMS];		  /* of accounts with limits */
	struct idmap accounts;			  /* struct account, by domid */
	/* told once per account and item */
	void (*refused)(void *data, const struct account *a, enum quota_item item, uint64_t value);
	void *data;
};

void quota_init(struct quota *q);
void quota_fini(struct quota *q);

/* the account of a domain, made at first use. NULL: out of memory */
struct account *quota_account(struct quota *q, uint16_t domid);
struct account *quota_known(const struct quota *q, uint16_t domid); /* or NULL */
void quota_set_kind(struct quota *q, struct account *a, enum quota_kind kind);
/* the domain went: a new one with this domid starts afresh */
void quota_forget(struct quota *q, uint16_t domid);

/* 0, or ENOSPC when value is over the limit; remembers the largest value that was allowed */
int quota_check(struct quota *q, struct account *a, enum quota_item item, uint64_t value);
/* memory in use with `more` bytes added: soft limits are reported, hard ones ENOSPC */
int quota_check_bytes(struct quota *q, struct account *a, int64_t more);
uint64_t account_bytes(const struct account *a);
/* what the account uses now of the items that add up, else 0 */
uint64_t account_used(const struct account *a, enum quota_item item);

const char *quota_name(enum quota_item item);
int quota_item_parse(const char *name, size_t len); /* enum quota_item, or -EINVAL */

#endif
