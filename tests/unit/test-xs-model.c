/* SPDX-License-Identifier: MIT */
/*
 * Random requests of three domains, inside and outside of transactions, against a model that is as simple
 * as can be: an array of all nodes that there can be (three names per directory, four levels), copied as a
 * whole for each transaction. Answers, events, contents and accounts must be the same.
 *
 * XS_MODEL_SEEDS: how many runs, XS_MODEL_SEED: the first one's seed (as a failure prints it).
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "tests/support/unit.h"
#include "xenstored/store.h"

#define KIDS 3
#define PATHS 121 /* 1 + 3 + 9 + 27 + 81 */
#define INNER 40  /* of them with children */
#define OPS 4000
#define CALLERS 3
#define TXNS 6
#define NODES_MAX 20 /* quota of a guest */

struct mnode {
	bool there;
	int value;
	int nr_perms;
	struct perm perms[4];
	uint64_t changed, listed;
};

struct model {
	struct mnode nodes[PATHS];
};

struct mtxn {
	struct txn *t; /* NULL: not open */
	int caller;
	struct model base, work;
	bool unchanged;		    /* nothing else has changed since its start */
	unsigned int looked[PATHS]; /* TXN_* */
	int changes[PATHS], nr_changes, fires[PATHS], nr_fires;
	bool names[CALLERS]; /* domains in permissions that it put in */
	bool lost;
};

static const uint16_t domids[CALLERS] = { 0, 5, 6 };

static char paths[PATHS][16];
static struct quota quota;
static struct store store;
static struct caller callers[CALLERS];
static struct model now;
static struct mtxn txns[TXNS];
static uint64_t mstamp, rng;
static char fired[16384], expected[16384];
static char what[128];

static unsigned int rnd(unsigned int n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (unsigned int)(rng >> 33) % n;
}

static int up(int id)
{
	return (id - 1) / KIDS;
}

static bool below(int id, int top)
{
	while (id > top)
		id = up(id);
	return id == top;
}

static void make_paths(void)
{
	strcpy(paths[0], "/");
	for (int i = 1; i < PATHS; i++)
		sprintf(stpcpy(paths[i], i > KIDS ? paths[up(i)] : ""), "/%c",
			'a' + (i - 1) % KIDS);
}

/* --- the model's rules --- */

static unsigned int m_rights(const struct mnode *n, int c)
{
	if (c == 0 || n->perms[0].domid == domids[c])
		return PERM_READ | PERM_WRITE | PERM_OWNER;
	for (int i = 1; i < n->nr_perms; i++)
		if (n->perms[i].domid == domids[c])
			return n->perms[i].rights;
	return n->perms[0].rights;
}

static int m_nearest(const struct model *m, int id)
{
	while (!m->nodes[id].there)
		id = up(id);
	return id;
}

static int m_need(const struct model *m, int id, int c, unsigned int rights)
{
	if ((m_rights(&m->nodes[m_nearest(m, id)], c) & rights) != rights)
		return EACCES;
	return m->nodes[id].there ? 0 : ENOENT;
}

static int m_owned(const struct model *m, uint16_t domid)
{
	int n = 0;

	for (int i = 0; i < PATHS; i++)
		n += m->nodes[i].there && m->nodes[i].perms[0].domid == domid;
	return n;
}

static void m_remove(struct model *m, int id)
{
	for (int i = id; i < PATHS; i++)
		if (below(i, id))
			m->nodes[i].there = false;
	m->nodes[up(id)].listed = ++mstamp;
}

static void m_touch(struct mtxn *x, int id, unsigned int how)
{
	const unsigned int changes = TXN_CHANGED | TXN_CREATED | TXN_REMOVED;

	if (!x)
		return;
	if ((how & changes) && !(x->looked[id] & changes))
		x->changes[x->nr_changes++] = id;
	if ((how & TXN_FIRES) && !(x->looked[id] & TXN_FIRES))
		x->fires[x->nr_fires++] = id;
	x->looked[id] |= how | TXN_NODE;
}

static bool m_sees(const struct model *m, int id, int c)
{
	return m->nodes[id].there && ((m_rights(&m->nodes[id], c) & PERM_READ) ||
				      (id && (m_rights(&m->nodes[up(id)], c) & PERM_READ)));
}

/* a line as on_fire() writes it */
static void m_fire(const struct model *old, const struct model *new, int id, bool removed)
{
	if (!old->nodes[id].there && !new->nodes[id].there)
		return;
	snprintf(expected + strlen(expected), sizeof(expected) - strlen(expected), "%s%s%s%s ",
		 removed && old->nodes[id].there ? "-" : "", paths[id],
		 m_sees(old, id, 1) || m_sees(new, id, 1) ? "5" : "",
		 m_sees(old, id, 2) || m_sees(new, id, 2) ? "6" : "");
}

static void m_outside_change(struct mtxn *except)
{
	for (int i = 0; i < TXNS; i++)
		if (&txns[i] != except)
			txns[i].unchanged = false;
}

static void m_note_names(struct mtxn *x, const struct mnode *n)
{
	for (int c = 0; x && c < CALLERS; c++)
		for (int i = 0; i < n->nr_perms; i++)
			x->names[c] |= n->perms[i].domid == domids[c];
}

static int m_create(struct model *m, struct mtxn *x, int id, int c, int value)
{
	const int from = m_nearest(m, id);
	struct mnode new = m->nodes[from];
	int chain[5], n = 0;

	if (c)
		new.perms[0].domid = domids[c];
	for (int i = id; i != from; i = up(i))
		chain[n++] = i;
	if (c) {
		const uint16_t owner = new.perms[0].domid;
		const int more = x ? m_owned(m, owner) - m_owned(&x->base, owner) : 0;

		if (m_owned(&now, owner) + more + n > NODES_MAX)
			return ENOSPC;
	}
	m_touch(x, from, TXN_NODE);
	m_note_names(x, &new);
	m->nodes[from].listed = ++mstamp;
	new.changed = new.listed = mstamp;
	while (n) {
		new.value = n == 1 ? value : 0;
		m_touch(x, chain[n - 1], TXN_CREATED | (n == 1 ? TXN_FIRES : 0));
		m->nodes[chain[--n]] = new;
	}
	return 0;
}

static int m_write(struct model *m, struct mtxn *x, int id, int c, int value, bool mkdir)
{
	int r = m_need(m, id, c, PERM_WRITE);

	m_touch(x, id, TXN_NODE);
	if (r == ENOENT)
		return m_create(m, x, id, c, value);
	if (r || mkdir)
		return r;
	m_touch(x, id, TXN_CHANGED | TXN_FIRES);
	m->nodes[id].value = value;
	m->nodes[id].changed = ++mstamp;
	return 0;
}

static int m_rm(struct model *m, struct mtxn *x, int id, int c)
{
	int r;

	if (id == 0)
		return EINVAL;
	r = m_need(m, id, c, PERM_WRITE);
	m_touch(x, id, TXN_NODE);
	if (r == ENOENT)
		return m->nodes[up(id)].there ? 0 : ENOENT;
	if (r)
		return r;
	m_touch(x, id, TXN_SUBTREE | TXN_REMOVED | TXN_FIRES);
	m_remove(m, id);
	return 0;
}

static int m_set(struct model *m, struct mtxn *x, int id, int c, const struct perm *list, int nr)
{
	struct mnode *n = &m->nodes[id];
	int r = m_need(m, id, c, PERM_WRITE);

	m_touch(x, id, TXN_NODE);
	if (!r && !(m_rights(n, c) & PERM_OWNER))
		r = EACCES;
	if (!r && c && list[0].domid != n->perms[0].domid)
		r = EPERM;
	if (r)
		return r;
	m_touch(x, id, TXN_CHANGED | TXN_FIRES);
	memcpy(n->perms, list, (size_t)nr * sizeof(*list));
	n->nr_perms = nr;
	n->changed = ++mstamp;
	m_note_names(x, n);
	return 0;
}

static uint64_t m_changed(const struct model *m, int id)
{
	return m->nodes[id].there ? m->nodes[id].changed : 0;
}

static uint64_t m_listed(const struct model *m, int id)
{
	return m->nodes[id].there ? m->nodes[id].listed : 0;
}

static bool m_conflicts(const struct mtxn *x)
{
	for (int id = 0; id < PATHS; id++) {
		if (!x->looked[id])
			continue;
		if (m_changed(&now, id) != m_changed(&x->base, id))
			return true;
		if ((x->looked[id] & TXN_LIST) && m_listed(&now, id) != m_listed(&x->base, id))
			return true;
		for (int i = id; (x->looked[id] & TXN_SUBTREE) && i < PATHS; i++)
			if (below(i, id) && (m_changed(&now, i) != m_changed(&x->base, i) ||
					     m_listed(&now, i) != m_listed(&x->base, i)))
				return true;
	}
	return false;
}

static void m_merge_one(const struct mtxn *x, int id)
{
	struct mnode *n = &now.nodes[id];

	if (!x->work.nodes[id].there) {
		if (n->there)
			m_remove(&now, id);
	} else if (x->looked[id] & TXN_CREATED) {
		for (int i = id; i < PATHS; i++)
			if (below(i, id))
				now.nodes[i] = x->work.nodes[i];
		now.nodes[up(id)].listed = ++mstamp;
	} else if (n->there) {
		const uint64_t listed = n->listed;

		*n = x->work.nodes[id];
		n->listed = listed;
		n->changed = ++mstamp;
	}
}

static int m_commit(struct mtxn *x)
{
	const struct model old = now;
	const uint64_t before = mstamp;

	if (x->lost || (!x->unchanged && m_conflicts(x)))
		return EAGAIN;
	for (int c = 0; x->caller && c < CALLERS; c++) {
		const int more = m_owned(&x->work, domids[c]) - m_owned(&x->base, domids[c]);

		if (domids[c] && more > 0 && m_owned(&now, domids[c]) + more > NODES_MAX)
			return ENOSPC;
	}
	if (x->unchanged && x->nr_changes) {
		now = x->work;
		m_outside_change(x);
	} else if (!x->unchanged)
		for (int i = 0; i < x->nr_changes; i++)
			m_merge_one(x, x->changes[i]);
	for (int i = 0; i < x->nr_fires; i++)
		m_fire(&old, &now, x->fires[i], x->looked[x->fires[i]] & TXN_REMOVED);
	if (mstamp != before)
		m_outside_change(x);
	return 0;
}

/* takes a domain out of a list: was it there? */
static bool m_strike(struct mnode *n, uint16_t domid)
{
	bool was = n->perms[0].domid == domid; /* only the root is left with such an owner */
	int nr = 1;

	if (was)
		n->perms[0] = (struct perm){ 0 };
	for (int i = 1; i < n->nr_perms; i++) {
		if (n->perms[i].domid == domid)
			was = true;
		else
			n->perms[nr++] = n->perms[i];
	}
	n->nr_perms = nr;
	return was;
}

static void m_forget(int c)
{
	struct model *m = &now;
	const uint64_t before = mstamp;

	for (int i = 0; i < TXNS; i++)
		txns[i].lost |= txns[i].names[c];
	for (int id = 1; id < PATHS; id++)
		if (m->nodes[id].there && m->nodes[id].perms[0].domid == domids[c])
			m_remove(m, id);
	for (int id = 0; id < PATHS; id++)
		if (m->nodes[id].there && m_strike(&m->nodes[id], domids[c]))
			m->nodes[id].changed = ++mstamp;
	if (mstamp != before)
		m_outside_change(NULL);
}

/* --- the store beside it --- */

static bool sees(const struct change *ch, int c)
{
	for (int i = 0; i < 4; i++)
		if (ch->seen[i] && (perms_rights(ch->seen[i], &callers[c].who) & PERM_READ))
			return true;
	return false;
}

static void on_fire(void *data, const struct change *ch)
{
	snprintf(fired + strlen(fired), sizeof(fired) - strlen(fired), "%s%.*s%s%s ",
		 ch->removed ? "-" : "", (int)ch->len, ch->path, sees(ch, 1) ? "5" : "",
		 sees(ch, 2) ? "6" : "");
}

static bool on_exists(void *data, uint16_t domid)
{
	return true;
}

static struct wire_path path_of(int id)
{
	return (struct wire_path){ paths[id], strlen(paths[id]), 0, false };
}

static void get_account(int c)
{
	callers[c].account = quota_account(&quota, domids[c]);
	if (c)
		callers[c].account->limit[QUOTA_NODES] = NODES_MAX;
}

/* --- a copy that knows only what store_hooks.changed says --- */

static struct mnode copy[PATHS];

static bool is_below(int id, const char *path, size_t len)
{
	return !strncmp(paths[id], path, len) && (paths[id][len] == '/' || !paths[id][len]);
}

static void copy_perms(struct mnode *m, const struct perms *p)
{
	m->nr_perms = (int)p->nr;
	for (uint32_t i = 0; i < p->nr && i < ARRAY_SIZE(m->perms); i++)
		m->perms[i] = p->list[i];
}

static void on_changed(void *data, const char *path, size_t len, const struct node *n)
{
	for (int id = 0; id < PATHS; id++) {
		const size_t id_len = strlen(paths[id]);
		const bool at = id_len == len && !memcmp(paths[id], path, len);
		const bool above =
			id_len < len && !memcmp(paths[id], path, id_len) && path[id_len] == '/';

		if (!n && is_below(id, path, len))
			copy[id].there = false;
		if (n && (at || (above && !copy[id].there))) {
			copy[id].there = true;
			copy[id].value = 0;
			copy_perms(&copy[id], n->perms);
		}
		if (n && at && n->value_len)
			memcpy(&copy[id].value, node_value(n), sizeof(copy[id].value));
	}
}

static void compare_copy(int id)
{
	const struct mnode *m = &now.nodes[id], *c = &copy[id];

	ck_assert_msg(c->there == m->there, "%s: copy of %s is %s", what, paths[id],
		      c->there ? "there" : "missing");
	if (!m->there)
		return;
	ck_assert_msg(c->value == m->value, "%s: value of the copy of %s", what, paths[id]);
	ck_assert_msg(c->nr_perms == m->nr_perms, "%s: permissions of the copy of %s", what,
		      paths[id]);
	for (int i = 0; i < m->nr_perms; i++)
		ck_assert_msg(c->perms[i].domid == m->perms[i].domid &&
				      c->perms[i].rights == m->perms[i].rights,
			      "%s: permissions of the copy of %s", what, paths[id]);
}

static void start(uint64_t seed)
{
	const struct store_hooks hooks = { .fire = on_fire,
					   .domain_exists = on_exists,
					   .changed = on_changed };

	rng = seed * 0x9e3779b97f4a7c15 + 1;
	memset(&now, 0, sizeof(now));
	memset(txns, 0, sizeof(txns));
	quota_init(&quota);
	ck_assert_int_eq(store_init(&store, &quota, &hooks, seed), 0);
	for (int c = 0; c < CALLERS; c++) {
		callers[c].who = (struct perm_who){ domids[c], DOMID_NONE, c == 0 };
		get_account(c);
	}
	now.nodes[0] = (struct mnode){ .there = true, .nr_perms = 1, .changed = ++mstamp };
	now.nodes[0].listed = mstamp;
	memcpy(copy, now.nodes, sizeof(copy));
}

static void compare_node(int id)
{
	const struct mnode *m = &now.nodes[id];
	const struct node *n = tree_get(&store.heap, store.root, paths[id], strlen(paths[id]));
	int value = 0;

	ck_assert_msg(!n == !m->there, "%s: %s is %s", what, paths[id], n ? "there" : "missing");
	if (!n)
		return;
	if (n->value_len)
		memcpy(&value, node_value(n), sizeof(value));
	ck_assert_msg(value == m->value, "%s: value of %s", what, paths[id]);
	ck_assert_msg((int)n->perms->nr == m->nr_perms, "%s: permissions of %s", what, paths[id]);
	for (int i = 0; i < m->nr_perms; i++)
		ck_assert_msg(n->perms->list[i].domid == m->perms[i].domid &&
				      n->perms->list[i].rights == m->perms[i].rights,
			      "%s: permissions of %s", what, paths[id]);
}

static void compare_all(void)
{
	char text[256];

	for (int id = 0; id < PATHS; id++) {
		compare_node(id);
		compare_copy(id);
	}
	store_check(&store, text, sizeof(text));
	ck_assert_msg(!text[0], "%s: %s", what, text);
	for (int c = 0; c < CALLERS; c++)
		ck_assert_int_eq(callers[c].account->nodes.nodes, m_owned(&now, domids[c]));
}

static void compare_answer(int r, int expect)
{
	ck_assert_msg(r == expect, "%s: answered %s, the model %s", what, strerror(r),
		      strerror(expect));
	ck_assert_msg(!strcmp(fired, expected), "%s: events %s, the model %s", what, fired,
		      expected);
	fired[0] = expected[0] = 0;
}

/* --- one random request --- */

static int do_write(struct mtxn *x, struct model *m, int id, int c, bool mkdir, int *expect)
{
	const struct wire_path p = path_of(id);
	const int value = mkdir ? 0 : (int)rnd(1000) + 1;
	struct txn *t = x ? x->t : NULL;

	*expect = m_write(m, x, id, c, value, mkdir);
	if (mkdir)
		return store_mkdir(&store, &callers[c], t, &p);
	return store_write(&store, &callers[c], t, &p, &value, sizeof(value));
}

static int do_set(struct mtxn *x, struct model *m, int id, int c, int *expect)
{
	const struct wire_path p = path_of(id);
	struct perm list[4] = { 0 };
	const int nr = 1 + (int)rnd(3);

	for (int i = 0; i < nr; i++)
		list[i] = (struct perm){ .domid = domids[rnd(CALLERS)], .rights = (uint8_t)rnd(4) };
	if (c && rnd(4))
		list[0].domid = domids[c];
	*expect = m_set(m, x, id, c, list, nr);
	return store_set_perms(&store, &callers[c], x ? x->t : NULL, &p, list, (size_t)nr);
}

static int do_look(struct mtxn *x, const struct model *m, int id, int c, bool list, int *expect)
{
	const struct wire_path p = path_of(id);
	const struct node *n;
	struct txn *t = x ? x->t : NULL;
	int r;

	*expect = m_need(m, id, c, PERM_READ);
	m_touch(x, id, list ? TXN_LIST : 0);
	r = list ? store_list(&store, &callers[c], t, &p, &n)
		 : store_read(&store, &callers[c], t, &p, &n);
	if (!r) {
		int value = 0, kids = 0;

		if (n->value_len)
			memcpy(&value, node_value(n), sizeof(value));
		for (int i = id * KIDS + 1; id < INNER && i <= id * KIDS + KIDS; i++)
			kids += m->nodes[i].there;
		ck_assert_msg(value == m->nodes[id].value && (int)node_nr_kids(n) == kids, "%s",
			      what);
	}
	return r;
}

static void request(struct mtxn *x, int c)
{
	struct model *m = x ? &x->work : &now, old = now;
	const int id = (int)rnd(rnd(2) ? PATHS : INNER);
	const unsigned int op = rnd(10);
	const uint64_t before = mstamp;
	int expect, r;

	snprintf(what + strlen(what), sizeof(what) - strlen(what), "domain %u tx %d op %u %s",
		 domids[c], x ? (int)(x - txns) : -1, op, paths[id]);
	if (op < 4) {
		r = do_write(x, m, id, c, op == 0, &expect);
	} else if (op < 6) {
		const struct wire_path p = path_of(id);

		expect = m_rm(m, x, id, c);
		r = store_rm(&store, &callers[c], x ? x->t : NULL, &p);
	} else if (op < 8) {
		r = do_set(x, m, id, c, &expect);
	} else {
		r = do_look(x, m, id, c, op == 9, &expect);
	}
	if (!x && mstamp != before) {
		m_outside_change(NULL);
		m_fire(&old, &now, id, op == 4 || op == 5);
	}
	compare_answer(r, expect);
}

static void begin(struct mtxn *x, int c)
{
	memset(x, 0, sizeof(*x));
	x->caller = c;
	x->base = x->work = now;
	x->unchanged = true;
	ck_assert_int_eq(store_begin(&store, &callers[c], 1, &x->t), 0);
}

static void finish(struct mtxn *x, bool commit)
{
	int r, expect = commit ? m_commit(x) : 0;

	snprintf(what + strlen(what), sizeof(what) - strlen(what), "end of tx %d", (int)(x - txns));
	r = store_end(&store, &callers[x->caller], steal_ptr(&x->t), commit);
	compare_answer(r, expect);
	compare_all();
}

static void forget(int c)
{
	for (int i = 0; i < TXNS; i++)
		if (txns[i].t && txns[i].caller == c)
			finish(&txns[i], false);
	m_forget(c);
	store_forget_domain(&store, domids[c]);
	get_account(c);
	fired[0] = 0; /* in any order */
	compare_all();
}

static void step(void)
{
	struct mtxn *x = &txns[rnd(TXNS)];
	const unsigned int kind = rnd(1000);

	if (kind < 2) {
		forget(1 + (int)rnd(2));
	} else if (kind < 500 && x->t) {
		request(x, x->caller);
	} else if (kind < 550 && x->t) {
		finish(x, kind < 540);
	} else if (kind < 600 && !x->t) {
		begin(x, (int)rnd(CALLERS));
	} else {
		request(NULL, (int)rnd(CALLERS));
	}
}

static void run(uint64_t seed)
{
	start(seed);
	for (int i = 0; i < OPS; i++) {
		snprintf(what, sizeof(what), "seed %llu step %d: ", (unsigned long long)seed, i);
		step();
		if (i % 50 == 0)
			compare_all();
	}
	for (int i = 0; i < TXNS; i++)
		if (txns[i].t)
			finish(&txns[i], false);
	for (int c = 0; c < CALLERS; c++)
		ck_assert_int_eq(callers[c].account->bytes, 0);
	store_fini(&store);
	ck_assert_uint_eq(store.heap.bytes, 0);
	quota_fini(&quota);
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *s = getenv(name);

	return s ? strtoull(s, NULL, 10) : otherwise;
}

START_TEST(test_random)
{
	const uint64_t first = setting("XS_MODEL_SEED", 1), n = setting("XS_MODEL_SEEDS", 12);

	make_paths();
	for (uint64_t seed = first; seed < first + n; seed++)
		run(seed);
}
END_TEST

UNIT_MAIN("xs-model", test_random)
