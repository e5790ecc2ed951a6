/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "xenstored/store.h"

int store_init(struct store *s, struct quota *q, const struct store_hooks *hooks, uint64_t seed)
{
	static const struct perm nobody[] = { { .domid = 0 } };
	static const struct perm readable[] = { { .domid = 0 },
						{ .domid = DOMID_ALL, .rights = PERM_READ } };

	*s = (struct store){ .heap = { .seed = seed }, .quota = q, .hooks = *hooks, .stamp = 1 };
	list_init(&s->txns);
	s->special[STORE_INTRODUCE] = perms_new(nobody, 1);
	s->special[STORE_RELEASE] = perms_new(readable, 2);
	if (s->special[STORE_INTRODUCE] && s->special[STORE_RELEASE] && quota_account(q, 0))
		s->root = tree_root_new(&s->heap, s->special[STORE_INTRODUCE], s->stamp);
	if (!s->root) {
		store_fini(s);
		return -ENOMEM;
	}
	quota_account(q, 0)->nodes = (struct tally){ 1, (int64_t)node_size(s->root) };
	return 0;
}

void store_fini(struct store *s)
{
	node_put(&s->heap, s->root);
	heap_fini(&s->heap);
	s->root = NULL;
	for (size_t i = 0; i < STORE_SPECIALS; i++)
		s->special[i] = perms_put(s->special[i]);
}

int store_special(const char *path, size_t len)
{
	static const char *const names[] = { "@introduceDomain", "@releaseDomain" };

	for (int i = 0; i < STORE_SPECIALS; i++)
		if (strlen(names[i]) == len && !memcmp(names[i], path, len))
			return i;
	return -ENOENT;
}

/* --- old versions --- */

#define OLD_FREE (64u << 20) /* what open transactions may keep of them in any case */
#define OLD_STEP (4u << 20)  /* look again after the heap has grown by that */

static size_t present_bytes(const struct store *s)
{
	const struct account *a;
	size_t n = 0;

	for (uint32_t id = 0; (a = idmap_next(&s->quota->accounts, &id)); id++)
		n += a->nodes.bytes > 0 ? (size_t)a->nodes.bytes : 0;
	return n;
}

/* the one that has been open for longest, of those with a quota */
static struct txn *oldest_txn(const struct store *s)
{
	struct txn *t;

	list_for_each(t, &s->txns, of_store)
		if (!t->control && !t->lost)
			return t;
	return NULL;
}

/*
 * A transaction left open keeps the version it started from, also what others have changed since: memory
 * that no account knows of. When that gets too much, the oldest ones lose it.
 */
static void relieve(struct store *s)
{
	struct txn *t;
	size_t limit;

	if (s->heap.bytes <= s->bytes_look && s->bytes_look - s->heap.bytes <= 2 * OLD_FREE)
		return;
	limit = 3 * present_bytes(s) + OLD_FREE;
	while (s->heap.bytes > limit && (t = oldest_txn(s)))
		txn_give_up(&s->heap, t, s->root);
	s->bytes_look = s->heap.bytes + OLD_STEP;
}

/* --- what an operation works on --- */

/* one operation on one path */
struct op {
	struct store *s;
	const struct caller *c;
	struct txn *t;
	const char *path;
	size_t len;
	struct node **root; /* of the version it sees */
	struct tree_pos pos;
	size_t bytes; /* of the heap before */
};

/* A transaction's memory is its caller's until it ends. */
static void settle(const struct caller *c, struct txn *t)
{
	c->account->bytes += t->bytes - t->charged;
	t->charged = t->bytes;
}

static void op_start(struct op *op, struct store *s, const struct caller *c, struct txn *t,
		     const struct wire_path *path)
{
	*op = (struct op){
		s, c, t, path->s, path->len, t ? &t->root : &s->root, { 0 }, s->heap.bytes
	};
	tree_find(&s->heap, op->root, op->path, op->len, &op->pos);
	if (t)
		settle(c, t); /* of the operation before */
}

static int op_nomem(const struct op *op)
{
	if (op->t)
		op->t->failed = true; /* it may have noted what was not done */
	return ENOMEM;
}

/* The transaction sees a path; only so many for those with a quota. 0 or an errno for the caller */
static int op_touch_path(struct op *op, const char *path, size_t len, unsigned int what)
{
	if (!op->t)
		return 0;
	if (!txn_touched(&op->s->heap, op->t, path, len)) {
		int r = quota_check(op->s->quota, op->c->account, QUOTA_TRANSACTION_NODES,
				    op->t->touches.nr + 1);

		if (!r)
			r = quota_check_bytes(op->s->quota, op->c->account,
					      (int64_t)(sizeof(struct touch) + len));
		if (r)
			return r;
	}
	return txn_touch(&op->s->heap, op->t, path, len, what) < 0 ? ENOMEM : 0;
}

static int op_touch(struct op *op, unsigned int what)
{
	return op_touch_path(op, op->path, op->len, what);
}

/*
 * The caller needs these rights on the node. Whether a missing node is missing is told only to those who
 * have them on the nearest ancestor, so that existing and missing look alike to others.
 */
static int op_need(const struct op *op, unsigned int rights)
{
	if ((perms_rights(op->pos.node->perms, &op->c->who) & rights) != rights)
		return EACCES;
	return op->pos.found ? 0 : ENOENT;
}

/* The transaction holds what nodes take now more than at op_start(). */
static void op_charge(struct op *op)
{
	if (op->t)
		op->t->bytes += (int64_t)op->s->heap.bytes - (int64_t)op->bytes;
}

static struct tally *op_tally(const struct op *op, uint16_t domid)
{
	struct account *a;

	if (op->t)
		return txn_tally(op->t, domid);
	a = quota_account(op->s->quota, domid);
	return a ? &a->nodes : NULL;
}

static void op_count(const struct op *op, uint16_t domid, int64_t nodes, int64_t bytes)
{
	struct tally *tally = op_tally(op, domid);

	if (!tally)
		return; /* the transaction is marked as failed */
	tally->nodes += nodes;
	tally->bytes += bytes;
}

/* A transaction that removed what has gone outside as well may be below zero until it fails. */
static int check_nodes(const struct store *s, struct account *a, int64_t nodes)
{
	return nodes > 0 ? quota_check(s->quota, a, QUOTA_NODES, (uint64_t)nodes) : 0;
}

/* May the owner of the nodes have that many more? The control domain may do it in any case. */
static int op_quota(const struct op *op, uint16_t owner, const struct tally *more)
{
	struct account *a = quota_account(op->s->quota, owner);
	struct tally have;
	int r;

	if (!a)
		return ENOMEM;
	if (op->c->who.control)
		return 0;
	have = a->nodes;
	if (op->t) {
		struct tally *add = txn_tally(op->t, owner);

		if (!add)
			return ENOMEM;
		have.nodes += add->nodes;
	}
	if (more->nodes > 0) {
		r = check_nodes(op->s, a, have.nodes + more->nodes);
		if (r)
			return r;
	}
	if (op->t)
		return quota_check_bytes(op->s->quota, op->c->account, more->bytes);
	return more->bytes > 0 ? quota_check_bytes(op->s->quota, a, more->bytes) : 0;
}

static const struct perms *parent_perms(const struct store *s, struct node *root, const char *path,
					size_t len)
{
	struct tree_pos pos;

	tree_find(&s->heap, &root, path, len, &pos);
	return pos.found && pos.parent ? pos.parent->perms : NULL;
}

/*
 * Tells watchers at once, outside of transactions. Permissions of the node before and after the change,
 * NULL if it was not there or is not, and of its parent, which no change of a node changes.
 */
static void op_fire(const struct op *op, const struct perms *old, const struct perms *new,
		    const struct perms *parent, const struct node *removed)
{
	const struct change ch = {
		.path = op->path,
		.len = op->len,
		.seen = { old, old ? parent : NULL, new, new ? parent : NULL },
		.removed = removed,
	};

	if (op->t)
		return;
	relieve(op->s);
	op->s->hooks.fire(op->s->hooks.data, &ch);
}

/* What the present version has at the path is new, or nothing (NULL). */
static void changed(const struct store *s, const char *path, size_t len, const struct node *n)
{
	if (s->hooks.changed)
		s->hooks.changed(s->hooks.data, path, len, n);
}

static void changed_special(const struct store *s, size_t which)
{
	if (s->hooks.changed_special)
		s->hooks.changed_special(s->hooks.data, (enum store_special)which);
}

static void op_changed(const struct op *op, const struct node *n)
{
	if (!op->t)
		changed(op->s, op->path, op->len, n);
}

/* of the node's parent; as long as that is not removed */
static const struct perms *op_parent(const struct op *op)
{
	return op->pos.parent ? op->pos.parent->perms : NULL;
}

/* --- looking --- */

static int look(struct store *s, const struct caller *c, struct txn *t,
		const struct wire_path *path, unsigned int what, const struct node **ret_node)
{
	struct op op;
	int r;

	op_start(&op, s, c, t, path);
	r = op_touch(&op, what);
	if (!r)
		r = op_need(&op, PERM_READ);
	if (!r)
		*ret_node = op.pos.node;
	return r;
}

int store_read(struct store *s, const struct caller *c, struct txn *t, const struct wire_path *path,
	       const struct node **ret_node)
{
	return look(s, c, t, path, TXN_NODE, ret_node);
}

int store_list(struct store *s, const struct caller *c, struct txn *t, const struct wire_path *path,
	       const struct node **ret_node)
{
	return look(s, c, t, path, TXN_NODE | TXN_LIST, ret_node);
}

static struct perms *special_perms(struct store *s, struct txn *t, int special)
{
	if (t && t->special[special])
		return t->special[special];
	if (t && !t->special_seen[special])
		t->special_seen[special] = perms_get(s->special[special]);
	return t ? t->special_seen[special] : s->special[special];
}

int store_get_perms(struct store *s, const struct caller *c, struct txn *t,
		    const struct wire_path *path, const struct perms **ret_perms)
{
	const struct node *n;
	int r;

	if (path->special) {
		int special = store_special(path->s, path->len);
		const struct perms *p;

		if (special < 0)
			return ENOENT;
		p = special_perms(s, t, special);
		if (!(perms_rights(p, &c->who) & PERM_READ))
			return EACCES;
		*ret_perms = p;
		return 0;
	}
	r = look(s, c, t, path, TXN_NODE, &n);
	if (!r)
		*ret_perms = n->perms;
	return r;
}

/* --- writing --- */

static int put_existing(struct op *op, const void *value, size_t len)
{
	struct node *n = op->pos.node;
	const uint16_t owner = perms_owner(n->perms);
	const struct tally more = { 0, (int64_t)len - n->value_len };
	const struct perms *perms = n->perms, *parent = op_parent(op);
	struct tally *tally;
	int r = op_quota(op, owner, &more);

	if (!r)
		r = op_touch(op, TXN_NODE | TXN_CHANGED | TXN_FIRES);
	if (r)
		return r;
	tally = op_tally(op, owner);
	if (!tally || tree_write(&op->s->heap, op->root, &op->pos, op->path, op->len, value, len,
				 ++op->s->stamp) < 0)
		return op_nomem(op);
	tally->bytes += more.bytes;
	op_charge(op);
	op_changed(op, op->pos.node);
	op_fire(op, perms, perms, parent, NULL);
	return 0;
}

/* The ancestor that is there and every component that will be. */
static int touch_new(struct op *op)
{
	size_t end = op->pos.rest > 1 ? op->pos.rest - 1 : 1;
	int r = op_touch_path(op, op->path, end, TXN_NODE);

	for (size_t at = op->pos.rest; !r && at < op->len;) {
		const char *name;

		wire_component(op->path, op->len, &at, &name);
		r = op_touch_path(op, op->path, at - 1,
				  TXN_NODE | TXN_CREATED | (at > op->len ? TXN_FIRES : 0));
	}
	return r;
}

static struct tally cost_of_new(const struct op *op, size_t value_len)
{
	struct tally cost = { 0, (int64_t)value_len };

	for (size_t at = op->pos.rest; at < op->len; cost.nodes++) {
		const char *name;

		cost.bytes += (int64_t)(sizeof(struct node) +
					wire_component(op->path, op->len, &at, &name));
	}
	return cost;
}

/* A new node has its parent's permissions, but belongs to the domain that made it. */
static struct perms *perms_of_new(const struct op *op)
{
	struct perms *parent = op->pos.node->perms;

	if (op->c->who.control || perms_owner(parent) == op->c->who.domid)
		return perms_get(parent);
	return perms_with_owner(parent, op->c->who.domid);
}

static int create(struct op *op, struct perms *perms, const void *value, size_t len)
{
	const struct tally cost = cost_of_new(op, len);
	const struct perms *parent = cost.nodes > 1 ? perms : op->pos.node->perms;
	struct tally *tally;
	int r = op_quota(op, perms_owner(perms), &cost);

	if (!r)
		r = touch_new(op);
	if (r)
		return r;
	tally = op_tally(op, perms_owner(perms));
	if (!tally || tree_create(&op->s->heap, op->root, &op->pos, op->path, op->len, perms, value,
				  len, ++op->s->stamp) < 0)
		return op_nomem(op);
	tally->nodes += cost.nodes;
	tally->bytes += cost.bytes;
	if (op->t)
		op->t->domains |= perms->domains;
	op_charge(op);
	op_changed(op, op->pos.node);
	op_fire(op, NULL, perms, parent, NULL);
	return 0;
}

static int put(struct op *op, const void *value, size_t len, bool keep_existing)
{
	_cleanup_(perms_putp) struct perms *perms = NULL;
	int r = op_touch(op, TXN_NODE);

	if (!r)
		r = op_need(op, PERM_WRITE);
	if (!r)
		return keep_existing ? 0 : put_existing(op, value, len);
	if (r != ENOENT)
		return r;
	perms = perms_of_new(op);
	return perms ? create(op, perms, value, len) : ENOMEM;
}

int store_write(struct store *s, const struct caller *c, struct txn *t,
		const struct wire_path *path, const void *value, size_t len)
{
	struct op op;

	op_start(&op, s, c, t, path);
	if (!c->who.control) {
		int r = quota_check(s->quota, c->account, QUOTA_NODE_SIZE, len);

		if (r)
			return r;
	}
	return put(&op, value, len, false);
}

int store_mkdir(struct store *s, const struct caller *c, struct txn *t,
		const struct wire_path *path)
{
	struct op op;

	op_start(&op, s, c, t, path);
	return put(&op, NULL, 0, true);
}

/* --- removing --- */

static void uncount(void *data, const struct node *n)
{
	op_count(data, perms_owner(n->perms), -1, -(int64_t)node_size(n));
}

static int rm(struct op *op)
{
	const struct perms *perms = op->pos.node->perms, *parent = op_parent(op);
	struct node *gone;

	if (tree_remove(&op->s->heap, op->root, &op->pos, op->path, op->len, ++op->s->stamp,
			&gone) < 0)
		return op_nomem(op);
	tree_each(gone, uncount, op);
	op_charge(op);
	op_changed(op, NULL);
	op_fire(op, perms, NULL, parent, gone);
	node_put(&op->s->heap, gone);
	return 0;
}

int store_rm(struct store *s, const struct caller *c, struct txn *t, const struct wire_path *path)
{
	struct op op;
	int r;

	if (path->len == 1)
		return EINVAL;
	op_start(&op, s, c, t, path);
	r = op_touch(&op, TXN_NODE);
	if (!r)
		r = op_need(&op, PERM_WRITE);
	if (r == ENOENT) /* nothing to do when at least the parent is there */
		return memchr(op.path + op.pos.rest, '/', op.len - op.pos.rest) ? ENOENT : 0;
	if (!r)
		r = op_touch(&op, TXN_NODE | TXN_SUBTREE | TXN_REMOVED | TXN_FIRES);
	return r ? r : rm(&op);
}

/* --- permissions --- */

static void mark_void(const struct store *s, struct perm *list, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		list[i].is_void = list[i].domid != DOMID_ALL &&
				  !s->hooks.domain_exists(s->hooks.data, list[i].domid);
}

/* may this list replace that one? */
static int list_allowed(const struct store *s, const struct caller *c, const struct perms *old,
			struct perm *list, size_t nr)
{
	if ((perms_rights(old, &c->who) & (PERM_OWNER | PERM_WRITE)) != (PERM_OWNER | PERM_WRITE))
		return EACCES;
	if (!c->who.control && list[0].domid != perms_owner(old))
		return EPERM;
	if (!c->who.control) {
		int r = quota_check(s->quota, c->account, QUOTA_NODE_PERMISSIONS, nr);

		if (r)
			return r;
	}
	mark_void(s, list, nr);
	return list[0].is_void || list[0].domid == DOMID_ALL ? ENOENT : 0;
}

static int set_special(struct store *s, const struct caller *c, struct txn *t,
		       const struct wire_path *path, struct perm *list, size_t nr)
{
	int r, special = store_special(path->s, path->len);
	struct perms **place, *p;

	if (special < 0)
		return ENOENT;
	r = list_allowed(s, c, special_perms(s, t, special), list, nr);
	if (r)
		return r;
	p = perms_new(list, nr);
	if (!p)
		return ENOMEM;
	if (t)
		t->domains |= p->domains;
	place = t ? &t->special[special] : &s->special[special];
	perms_put(*place);
	*place = p;
	if (!t)
		changed_special(s, (size_t)special);
	return 0;
}

/* The node's cost moves with its owner, which only the control domain can change. */
static int set_perms(struct op *op, struct perms *perms)
{
	_cleanup_(perms_putp) struct perms *old = perms_get(op->pos.node->perms);
	const struct perms *parent = op_parent(op);
	const int64_t size = (int64_t)node_size(op->pos.node);
	const uint16_t to = perms_owner(perms), from = perms_owner(old);
	int r = op_touch(op, TXN_NODE | TXN_CHANGED | TXN_FIRES);

	if (r)
		return r;
	if (!op_tally(op, from) || !op_tally(op, to) ||
	    tree_set_perms(&op->s->heap, op->root, &op->pos, op->path, op->len, perms,
			   ++op->s->stamp) < 0)
		return op_nomem(op);
	op_count(op, from, -1, -size);
	op_count(op, to, 1, size);
	if (op->t)
		op->t->domains |= perms->domains;
	op_charge(op);
	op_changed(op, op->pos.node);
	op_fire(op, old, perms, parent, NULL);
	return 0;
}

int store_set_perms(struct store *s, const struct caller *c, struct txn *t,
		    const struct wire_path *path, struct perm *list, size_t nr)
{
	_cleanup_(perms_putp) struct perms *perms = NULL;
	struct op op;
	int r;

	if (path->special)
		return set_special(s, c, t, path, list, nr);
	op_start(&op, s, c, t, path);
	r = op_touch(&op, TXN_NODE);
	if (!r)
		r = op_need(&op, PERM_WRITE);
	if (!r)
		r = list_allowed(s, c, op.pos.node->perms, list, nr);
	if (r)
		return r;
	perms = perms_new(list, nr);
	return perms ? set_perms(&op, perms) : ENOMEM;
}

/* --- transactions --- */

int store_begin(struct store *s, const struct caller *c, uint32_t id, struct txn **ret_txn)
{
	struct txn *t;
	int r = quota_check(s->quota, c->account, QUOTA_TRANSACTIONS,
			    c->account->transactions + 1ull);

	if (!r)
		r = quota_check_bytes(s->quota, c->account, (int64_t)sizeof(*t));
	if (r)
		return r;
	t = txn_new(s->root, id);
	if (!t)
		return ENOMEM;
	t->control = c->who.control;
	list_append(&s->txns, &t->of_store);
	c->account->transactions++;
	settle(c, t);
	*ret_txn = t;
	return 0;
}

static int commit_quota(struct store *s, const struct caller *c, const struct txn *t)
{
	if (c->who.control)
		return 0;
	for (size_t i = 0; i < t->nr_tallies; i++) {
		const struct txn_tally *more = &t->tallies[i];
		struct account *a = quota_account(s->quota, more->domid);
		int r = 0;

		if (!a)
			return ENOMEM;
		if (more->add.nodes > 0)
			r = check_nodes(s, a, a->nodes.nodes + more->add.nodes);
		if (r)
			return r;
	}
	return 0;
}

/* nothing can fail any more */
static void commit_tallies(struct store *s, const struct txn *t)
{
	for (size_t i = 0; i < t->nr_tallies; i++) {
		struct account *a = quota_known(s->quota, t->tallies[i].domid);

		if (!a)
			continue;
		a->nodes.nodes += t->tallies[i].add.nodes;
		a->nodes.bytes += t->tallies[i].add.bytes;
	}
}

static bool special_conflicts(const struct store *s, const struct txn *t)
{
	for (size_t i = 0; i < STORE_SPECIALS; i++)
		if (t->special_seen[i] && t->special_seen[i] != s->special[i])
			return true;
	return false;
}

static void commit_special(struct store *s, struct txn *t)
{
	for (size_t i = 0; i < STORE_SPECIALS; i++) {
		if (!t->special[i])
			continue;
		perms_put(s->special[i]);
		s->special[i] = steal_ptr(&t->special[i]);
		changed_special(s, i);
	}
}

/* First all that was taken out, then all that is there: some of that was made again. */
static void commit_changed(const struct store *s, const struct txn *t)
{
	const struct touch *o;

	if (!s->hooks.changed)
		return;
	list_for_each(o, &t->changes, of_changes)
		if (o->what & TXN_REMOVED)
			changed(s, o->path, o->len, NULL);
	list_for_each(o, &t->changes, of_changes) {
		const struct node *n = tree_get(&s->heap, s->root, o->path, o->len);

		if (n)
			changed(s, o->path, o->len, n);
	}
}

static void fire_touch(struct store *s, const struct touch *o, struct node *before)
{
	struct change ch = { .path = o->path, .len = o->len };
	const struct node *old = tree_get(&s->heap, before, o->path, o->len);
	const struct node *new = tree_get(&s->heap, s->root, o->path, o->len);

	if (!old && !new)
		return;
	ch.seen[0] = old ? old->perms : NULL;
	ch.seen[1] = old ? parent_perms(s, before, o->path, o->len) : NULL;
	ch.seen[2] = new ? new->perms : NULL;
	ch.seen[3] = new ? parent_perms(s, s->root, o->path, o->len) : NULL;
	ch.removed = o->what & TXN_REMOVED ? old : NULL;
	s->hooks.fire(s->hooks.data, &ch);
}

static int commit(struct store *s, const struct caller *c, struct txn *t)
{
	struct node *root, *before = s->root;
	struct touch *o;
	int r;

	if (t->failed)
		return ENOMEM;
	if (t->lost || txn_conflicts(&s->heap, t, s->root) || special_conflicts(s, t))
		return EAGAIN;
	r = commit_quota(s, c, t);
	if (r)
		return r;
	if (txn_merge(&s->heap, t, s->root, ++s->stamp, &root) < 0)
		return ENOMEM;
	s->root = root;
	commit_tallies(s, t);
	commit_special(s, t);
	commit_changed(s, t);
	list_for_each(o, &t->fires, of_fires)
		fire_touch(s, o, before);
	node_put(&s->heap, before);
	relieve(s);
	return 0;
}

int store_end(struct store *s, const struct caller *c, struct txn *t, bool keep)
{
	int r = keep ? commit(s, c, t) : 0;

	c->account->transactions--;
	c->account->bytes -= t->charged;
	txn_free(&s->heap, t);
	return r;
}

/* --- a domain goes --- */

struct found {
	struct list of_all;
	size_t len;
	bool owned;
	char path[];
};

struct finding {
	struct list all;
	uint16_t domid;
};

static int found_add(void *data, const char *path, size_t len, const struct node *n)
{
	struct finding *f = data;
	struct found *found = malloc(sizeof(*found) + len);

	if (!found)
		return -ENOMEM;
	found->len = len;
	found->owned = perms_owner(n->perms) == f->domid && len > 1; /* the root stays */
	memcpy(found->path, path, len);
	list_append(&f->all, &found->of_all);
	return found->owned ? 0 : 1;
}

static void give_root_back(struct store *s, uint16_t from_domid)
{
	struct account *from = quota_account(s->quota, from_domid),
		       *to = quota_account(s->quota, 0);
	int64_t size = (int64_t)node_size(s->root);

	from->nodes = (struct tally){ from->nodes.nodes - 1, from->nodes.bytes - size };
	to->nodes = (struct tally){ to->nodes.nodes + 1, to->nodes.bytes + size };
}

static void strike(struct store *s, const struct caller *c, const struct found *found,
		   uint16_t domid)
{
	_cleanup_(perms_putp) struct perms *perms = NULL;
	const struct wire_path path = { found->path, found->len, 0, false };
	struct op op;

	op_start(&op, s, c, NULL, &path);
	if (!op.pos.found)
		return;
	if (found->owned) {
		rm(&op);
		return;
	}
	perms = perms_without(op.pos.node->perms, domid);
	if (!perms)
		return;
	if (perms_owner(op.pos.node->perms) == domid)
		give_root_back(s, domid); /* of nodes it owns, only the root is not removed */
	if (tree_set_perms(&s->heap, op.root, &op.pos, op.path, op.len, perms, ++s->stamp) == 0)
		op_changed(&op, op.pos.node);
}

static void strike_special(struct store *s, uint16_t domid)
{
	for (size_t i = 0; i < STORE_SPECIALS; i++) {
		struct perms *p;

		if (!perms_lists(s->special[i], domid))
			continue;
		p = perms_without(s->special[i], domid);
		if (!p)
			continue;
		perms_put(s->special[i]);
		s->special[i] = p;
		changed_special(s, i);
	}
}

void store_forget_domain(struct store *s, uint16_t domid)
{
	const struct caller control = { { 0, DOMID_NONE, true }, quota_account(s->quota, 0) };
	struct finding f = { .domid = domid };
	struct found *found, *tmp;
	struct txn *t;

	list_for_each(t, &s->txns, of_store)
		t->lost |= (t->domains & perm_bit(domid)) != 0;
	strike_special(s, domid);
	list_init(&f.all);
	tree_each_listing(s->root, domid, found_add, &f);
	list_for_each_safe(found, tmp, &f.all, of_all) {
		strike(s, &control, found, domid);
		free(found);
	}
	quota_forget(s->quota, domid);
}

/* --- checking --- */

struct check {
	struct store *s;
	char *buf; /* what is wrong, "" so far */
	size_t size;
};

static void count(void *data, const struct node *n)
{
	const struct check *c = data;
	struct account *a = quota_known(c->s->quota, perms_owner(n->perms));

	if (!a) {
		snprintf(c->buf, c->size, "a node of domain %u, which has no account",
			 perms_owner(n->perms));
		return;
	}
	a->counted.nodes++;
	a->counted.bytes += (int64_t)node_size(n);
}

static void compare(const struct check *c, const struct account *a)
{
	const struct tally *have = &a->nodes, *there = &a->counted;

	if (have->nodes != there->nodes || have->bytes != there->bytes)
		snprintf(
			c->buf, c->size,
			"domain %u: %lld nodes of %lld bytes in its account, %lld of %lld in the store",
			a->domid, (long long)have->nodes, (long long)have->bytes,
			(long long)there->nodes, (long long)there->bytes);
}

void store_check(struct store *s, char *buf, size_t size)
{
	struct check c = { s, buf, size };
	struct account *a;

	buf[0] = 0;
	for (uint32_t id = 0; (a = idmap_next(&s->quota->accounts, &id)); id++)
		a->counted = (struct tally){ 0 };
	tree_each(s->root, count, &c);
	for (uint32_t id = 0; (a = idmap_next(&s->quota->accounts, &id)); id++)
		compare(&c, a);
}
