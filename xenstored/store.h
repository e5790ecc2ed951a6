/* SPDX-License-Identifier: MIT */
/*
 * The store's operations on nodes: rights, quotas, transactions, and who is told of a change. Between
 * them and the wire stands ops.c. Knows no sockets and no clock; what it needs to know of the outside
 * comes through struct store_hooks.
 *
 * Operations return 0 or the positive errno that the caller is answered with. txn NULL: on the present
 * version, at once.
 *
 * Stamps only grow: whatever changes a node gives it one that no node ever had.
 */
#ifndef XENSTORED_STORE_H
#define XENSTORED_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/list.h"
#include "xenstored/perm.h"
#include "xenstored/quota.h"
#include "xenstored/tree.h"
#include "xenstored/txn.h"
#include "xenstored/wire.h"

enum store_special { STORE_INTRODUCE, STORE_RELEASE, STORE_SPECIALS };

/* who asks */
struct caller {
	struct perm_who who;
	struct account *account;
};

/* something changed at path */
struct change {
	const char *path;
	size_t len;
	/* permissions of the node and its parent before and after: NULL where there was or is none */
	const struct perms *seen[4];
	const struct node *removed; /* the subtree that went, or NULL */
};

struct store_hooks {
	void (*fire)(void *data, const struct change *c);
	bool (*domain_exists)(void *data, uint16_t domid);
	void *data;
	/*
	 * For who keeps the present version elsewhere, or NULL: what it has at path now, value and
	 * permissions (of ancestors that were made with it as well); n NULL: gone with all below.
	 */
	void (*changed)(void *data, const char *path, size_t len, const struct node *n);
	void (*changed_special)(void *data, enum store_special which);
};

struct store {
	struct heap heap;
	struct node *root;
	uint64_t stamp;
	size_t bytes_look; /* when the heap has more, see what transactions keep of old versions */
	struct quota *quota;
	struct perms *special[STORE_SPECIALS];
	struct list txns; /* open ones */
	struct store_hooks hooks;
};

int store_init(struct store *s, struct quota *q, const struct store_hooks *hooks, uint64_t seed);
void store_fini(struct store *s); /* no transaction is open */

/* The node stays valid until the next operation. */
int store_read(struct store *s, const struct caller *c, struct txn *t, const struct wire_path *path,
	       const struct node **ret_node);
int store_list(struct store *s, const struct caller *c, struct txn *t, const struct wire_path *path,
	       const struct node **ret_node);
int store_get_perms(struct store *s, const struct caller *c, struct txn *t,
		    const struct wire_path *path, const struct perms **ret_perms);

int store_write(struct store *s, const struct caller *c, struct txn *t,
		const struct wire_path *path, const void *value, size_t len);
int store_mkdir(struct store *s, const struct caller *c, struct txn *t,
		const struct wire_path *path);
int store_rm(struct store *s, const struct caller *c, struct txn *t, const struct wire_path *path);
/* list: nr >= 1 entries; is_void is set here */
int store_set_perms(struct store *s, const struct caller *c, struct txn *t,
		    const struct wire_path *path, struct perm *list, size_t nr);

int store_begin(struct store *s, const struct caller *c, uint32_t id, struct txn **ret_txn);
/* ends and frees it, whatever the answer is */
int store_end(struct store *s, const struct caller *c, struct txn *t, bool commit);

/* The domain is gone: so are its nodes and what it was permitted. */
void store_forget_domain(struct store *s, uint16_t domid);

/* STORE_*, or -ENOENT */
int store_special(const char *path, size_t len);

/* counts the whole store and compares; "" or what is wrong */
void store_check(struct store *s, char *buf, size_t size);

#endif
