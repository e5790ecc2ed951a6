/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "tests/support/xs_model.h"

/* what a transaction did with a path */
#define LOOKED 1u
#define LISTED 2u
#define BELOW 4u /* all that is below matters: it was removed */
#define SET 8u
#define MADE 16u
#define TAKEN 32u
#define FIRES 64u

const uint16_t m_domids[M_DOMAINS] = { 0, 32000, 32001 };

static char paths[M_NODES][16];

const char *m_path(int path)
{
	return path < 0 ? "/" : paths[path];
}

int m_parent(int path)
{
	return path > 0 ? (path - 1) / M_KIDS : M_ROOT;
}

static int levels_below(int path, int top)
{
	int n = 0;

	while (path > top) {
		path = m_parent(path);
		n++;
	}
	return path == top ? n : -1;
}

void m_init(struct m_store *m, m_event_fn *event, void *data)
{
	static const struct m_perm all[] = { { 0, M_READ | M_WRITE } };

	memset(m, 0, sizeof(*m));
	m->event = event;
	m->data = data;
	strcpy(paths[0], "/m");
	for (int i = 1; i < M_NODES; i++) {
		char name[] = { '/', (char)('a' + (i - 1) % M_KIDS), 0 };

		strcpy(paths[i], paths[m_parent(i)]);
		strcat(paths[i], name);
	}
	m->now.nodes[0] = (struct m_node){ .there = true, .nr_perms = 1 };
	m->now.nodes[0].perms[0] = all[0];
}

void m_disconnect(struct m_store *m, int client)
{
	for (int i = 0; i < M_TXNS; i++)
		m->clients[client].txns[i].open = false;
	memset(m->clients[client].watches, 0, sizeof(m->clients[client].watches));
}

/* --- who may --- */

static unsigned int rights(const struct m_node *n, int domain)
{
	if (!domain || n->perms[0].domid == m_domids[domain])
		return M_READ | M_WRITE;
	for (int i = 1; i < n->nr_perms; i++)
		if (n->perms[i].domid == m_domids[domain])
			return n->perms[i].rights;
	return n->perms[0].rights;
}

static int nearest(const struct m_tree *tree, int path)
{
	while (!tree->nodes[path].there)
		path = m_parent(path);
	return path;
}

static int need(const struct m_tree *tree, int path, int domain, unsigned int right)
{
	if (!(rights(&tree->nodes[nearest(tree, path)], domain) & right))
		return EACCES;
	return tree->nodes[path].there ? 0 : ENOENT;
}

unsigned int m_count_nodes(const struct m_tree *tree, uint16_t domid)
{
	unsigned int n = 0;

	for (int i = 0; i < M_NODES; i++)
		n += tree->nodes[i].there && tree->nodes[i].perms[0].domid == domid;
	return n;
}

unsigned int m_count_watches(const struct m_store *m, int domain)
{
	unsigned int n = 0;

	for (int c = 0; c < M_CLIENTS; c++)
		for (int i = 0; i < M_WATCHES; i++)
			n += m->clients[c].domain == domain && m->clients[c].watches[i].used;
	return n;
}

unsigned int m_count_txns(const struct m_store *m, int domain)
{
	unsigned int n = 0;

	for (int c = 0; c < M_CLIENTS; c++)
		for (int i = 0; i < M_TXNS; i++)
			n += m->clients[c].domain == domain && m->clients[c].txns[i].open;
	return n;
}

static bool over(unsigned int limit, unsigned int value)
{
	return limit && value > limit;
}

/* --- events --- */

/* may the domain know of a change of the node, by what it and its parent were and are? */
static bool sees(const struct m_tree *tree, int path, int domain)
{
	const int up = m_parent(path);

	if (!tree->nodes[path].there)
		return false;
	if (rights(&tree->nodes[path], domain) & M_READ)
		return true;
	return up >= 0 ? (rights(&tree->nodes[up], domain) & M_READ) != 0 : !domain;
}

static void fire_watch(struct m_store *m, int client, const struct m_watch *w, int path,
		       const struct m_tree *old, const struct m_tree *new, bool removed)
{
	const int domain = m->clients[client].domain, below = levels_below(path, w->path);

	if (below >= 0 && (w->depth < 0 || w->depth >= below)) {
		if (sees(old, path, domain) || sees(new, path, domain))
			m->event(m->data, client, path, w->token);
	} else if (removed && w->path > path && levels_below(w->path, path) > 0) {
		if (sees(old, w->path, domain))
			m->event(m->data, client, w->path, w->token);
	}
}

static void fire(struct m_store *m, int path, const struct m_tree *old, const struct m_tree *new,
		 bool removed)
{
	for (int c = 0; c < M_CLIENTS; c++)
		for (int i = 0; i < M_WATCHES; i++)
			if (m->clients[c].watches[i].used)
				fire_watch(m, c, &m->clients[c].watches[i], path, old, new,
					   removed);
}

/* --- operations --- */

static struct m_tree *tree_of(struct m_store *m, struct m_txn *t)
{
	return t ? &t->work : &m->now;
}

static void touch(struct m_txn *t, int path, unsigned int how)
{
	const unsigned int changes = SET | MADE | TAKEN;

	if (!t)
		return;
	if ((how & changes) && !(t->what[path] & changes))
		t->changes[t->nr_changes++] = path;
	if ((how & FIRES) && !(t->what[path] & FIRES))
		t->fires[t->nr_fires++] = path;
	t->what[path] |= (uint8_t)(how | LOOKED);
}

int m_read(struct m_store *m, int client, struct m_txn *t, int path, const struct m_node **ret)
{
	const struct m_tree *tree = tree_of(m, t);

	touch(t, path, LOOKED);
	*ret = &tree->nodes[path];
	return need(tree, path, m->clients[client].domain, M_READ);
}

int m_list(struct m_store *m, int client, struct m_txn *t, int path, const struct m_tree **ret)
{
	touch(t, path, LISTED);
	*ret = tree_of(m, t);
	return need(*ret, path, m->clients[client].domain, M_READ);
}

/* outside of transactions: tells, old is how it was */
static void done(struct m_store *m, struct m_txn *t, int path, const struct m_tree *old,
		 bool removed)
{
	if (t)
		return;
	m->version++;
	fire(m, path, old, &m->now, removed);
}

static bool may_have(const struct m_store *m, const struct m_txn *t, int domain, unsigned int more)
{
	const uint16_t domid = m_domids[domain];
	unsigned int have = m_count_nodes(&m->now, domid);

	if (!domain)
		return true;
	if (t)
		have += m_count_nodes(&t->work, domid) - m_count_nodes(&t->base, domid);
	/* what the transaction removed may have gone outside as well */
	if ((int)(have + more) <= 0)
		return true;
	return !over(m->limits[domain].nodes, have + more);
}

static int make(struct m_store *m, int domain, struct m_txn *t, int path, const char *value,
		size_t len)
{
	struct m_tree *tree = tree_of(m, t);
	static struct m_tree old; /* how it was, for those who watch */
	const int from = nearest(tree, path);
	struct m_node n = tree->nodes[from];
	int chain[8], nr = 0;

	if (domain)
		n.perms[0].domid = m_domids[domain];
	for (int i = path; i != from; i = m_parent(i))
		chain[nr++] = i;
	/* who owns what is new: the maker, or as its parent for domain 0 */
	if (!may_have(m, t, domain, (unsigned int)nr))
		return ENOSPC;
	if (!t)
		old = *tree;
	touch(t, from, LOOKED);
	tree->nodes[from].listed = ++m->stamp;
	n.changed = n.listed = m->stamp;
	n.there = true;
	for (int i = nr - 1; i >= 0; i--) {
		n.len = i ? 0 : (uint8_t)len;
		if (!i)
			memcpy(n.value, value, len);
		tree->nodes[chain[i]] = n;
		touch(t, chain[i], MADE | (i ? 0 : FIRES));
	}
	done(m, t, path, &old, false);
	return 0;
}

static int put(struct m_store *m, int client, struct m_txn *t, int path, const char *value,
	       size_t len, bool keep)
{
	const int domain = m->clients[client].domain;
	struct m_tree *tree = tree_of(m, t);
	static struct m_tree old; /* how it was, for those who watch */
	int r;

	touch(t, path, LOOKED);
	r = need(tree, path, domain, M_WRITE);
	if (r == ENOENT)
		return make(m, domain, t, path, value, len);
	if (r || keep)
		return r;
	if (!t)
		old = *tree;
	touch(t, path, SET | FIRES);
	tree->nodes[path].len = (uint8_t)len;
	memcpy(tree->nodes[path].value, value, len);
	tree->nodes[path].changed = ++m->stamp;
	done(m, t, path, &old, false);
	return 0;
}

int m_write(struct m_store *m, int client, struct m_txn *t, int path, const char *value, size_t len)
{
	const int domain = m->clients[client].domain;

	if (domain && over(m->limits[domain].node_size, (unsigned int)len))
		return ENOSPC;
	return put(m, client, t, path, value, len, false);
}

int m_mkdir(struct m_store *m, int client, struct m_txn *t, int path)
{
	return put(m, client, t, path, "", 0, true);
}

static void take_out(struct m_store *m, struct m_tree *tree, int path)
{
	for (int i = path; i < M_NODES; i++)
		if (levels_below(i, path) >= 0)
			tree->nodes[i].there = false;
	tree->nodes[m_parent(path)].listed = ++m->stamp;
}

int m_rm(struct m_store *m, int client, struct m_txn *t, int path)
{
	struct m_tree *tree = tree_of(m, t);
	static struct m_tree old; /* how it was, for those who watch */
	int r;

	touch(t, path, LOOKED);
	r = need(tree, path, m->clients[client].domain, M_WRITE);
	if (r == ENOENT)
		return tree->nodes[m_parent(path)].there ? 0 : ENOENT;
	if (r)
		return r;
	touch(t, path, BELOW | TAKEN | FIRES);
	if (!t)
		old = *tree;
	take_out(m, tree, path);
	done(m, t, path, &old, true);
	return 0;
}

static bool known(uint16_t domid)
{
	for (int i = 0; i < M_DOMAINS; i++)
		if (m_domids[i] == domid)
			return true;
	return false;
}

int m_set_perms(struct m_store *m, int client, struct m_txn *t, int path,
		const struct m_perm *perms, int nr)
{
	const int domain = m->clients[client].domain;
	struct m_tree *tree = tree_of(m, t);
	static struct m_tree old; /* how it was, for those who watch */
	struct m_node *n = &tree->nodes[path];
	int r;

	touch(t, path, LOOKED);
	r = need(tree, path, domain, M_WRITE);
	if (r)
		return r;
	if (domain && n->perms[0].domid != m_domids[domain])
		return EACCES;
	if (domain && perms[0].domid != n->perms[0].domid)
		return EPERM;
	if (domain && over(m->limits[domain].node_permissions, (unsigned int)nr))
		return ENOSPC;
	if (!known(perms[0].domid))
		return ENOENT;
	touch(t, path, SET | FIRES);
	if (!t)
		old = *tree;
	memcpy(n->perms, perms, (size_t)nr * sizeof(*perms));
	n->nr_perms = (uint8_t)nr;
	n->changed = ++m->stamp;
	done(m, t, path, &old, false);
	return 0;
}

/* --- watches --- */

int m_watch(struct m_store *m, int client, int path, unsigned int token, int depth)
{
	struct m_client *c = &m->clients[client];
	struct m_watch *place = NULL;

	for (int i = 0; i < M_WATCHES; i++) {
		struct m_watch *w = &c->watches[i];

		if (w->used && w->path == path && w->token == token)
			return EEXIST;
		if (!w->used && !place)
			place = w;
	}
	if (over(m->limits[c->domain].watches, m_count_watches(m, c->domain) + 1))
		return ENOSPC;
	*place = (struct m_watch){ true, path, depth, token };
	m->event(m->data, client, path, token);
	return 0;
}

int m_unwatch(struct m_store *m, int client, int path, unsigned int token)
{
	for (int i = 0; i < M_WATCHES; i++) {
		struct m_watch *w = &m->clients[client].watches[i];

		if (w->used && w->path == path && w->token == token) {
			w->used = false;
			return 0;
		}
	}
	return ENOENT;
}

/* --- transactions --- */

int m_start(struct m_store *m, int client, struct m_txn **ret)
{
	struct m_client *c = &m->clients[client];

	*ret = NULL;
	for (int i = 0; i < M_TXNS; i++)
		if (!c->txns[i].open)
			*ret = &c->txns[i];
	if (!*ret)
		return 0;
	if (over(m->limits[c->domain].transactions, m_count_txns(m, c->domain) + 1))
		return ENOSPC;
	memset(*ret, 0, sizeof(**ret));
	(*ret)->open = true;
	(*ret)->base = (*ret)->work = m->now;
	(*ret)->since = m->version;
	return 0;
}

static uint64_t stamp_of(const struct m_node *n, bool list)
{
	if (!n->there)
		return 0;
	return list ? n->listed : n->changed;
}

static bool differs(const struct m_tree *a, const struct m_tree *b, int path, bool list)
{
	return stamp_of(&a->nodes[path], list) != stamp_of(&b->nodes[path], list);
}

static bool conflicts(const struct m_store *m, const struct m_txn *t, int path)
{
	if (differs(&t->base, &m->now, path, false))
		return true;
	if ((t->what[path] & LISTED) && differs(&t->base, &m->now, path, true))
		return true;
	for (int i = path; (t->what[path] & BELOW) && i < M_NODES; i++)
		if (levels_below(i, path) >= 0 &&
		    (differs(&t->base, &m->now, i, false) || differs(&t->base, &m->now, i, true)))
			return true;
	return false;
}

static void merge_one(struct m_store *m, const struct m_txn *t, int path, struct m_tree *to)
{
	const struct m_node *n = &t->work.nodes[path];

	if (!n->there) {
		if (to->nodes[path].there)
			take_out(m, to, path);
	} else if (t->what[path] & MADE) {
		for (int i = path; i < M_NODES; i++)
			if (levels_below(i, path) >= 0)
				to->nodes[i] = t->work.nodes[i];
		to->nodes[m_parent(path)].listed = ++m->stamp;
	} else if (to->nodes[path].there) {
		const uint64_t listed = to->nodes[path].listed;

		to->nodes[path] = *n;
		to->nodes[path].listed = listed;
		to->nodes[path].changed = ++m->stamp;
	}
}

static bool fits(const struct m_store *m, const struct m_txn *t, int domain)
{
	if (!domain)
		return true;
	for (int i = 1; i < M_DOMAINS; i++) {
		const int more = (int)m_count_nodes(&t->work, m_domids[i]) -
				 (int)m_count_nodes(&t->base, m_domids[i]);
		const int have = (int)m_count_nodes(&m->now, m_domids[i]);

		if (more > 0 && over(m->limits[i].nodes, (unsigned int)(have + more)))
			return false;
	}
	return true;
}

static int commit(struct m_store *m, int domain, struct m_txn *t)
{
	static struct m_tree before;

	before = m->now;
	for (int i = 0; t->since != m->version && i < M_NODES; i++)
		if (t->what[i] && conflicts(m, t, i))
			return EAGAIN;
	if (!fits(m, t, domain))
		return ENOSPC;
	if (t->since == m->version)
		m->now = t->work;
	else
		for (int i = 0; i < t->nr_changes; i++)
			merge_one(m, t, t->changes[i], &m->now);
	if (t->nr_changes)
		m->version++;
	for (int i = 0; i < t->nr_fires; i++) {
		const int path = t->fires[i];

		if (before.nodes[path].there || m->now.nodes[path].there)
			fire(m, path, &before, &m->now,
			     (t->what[path] & TAKEN) && before.nodes[path].there);
	}
	return 0;
}

int m_end(struct m_store *m, int client, struct m_txn *t, bool keep)
{
	t->open = false;
	return keep ? commit(m, m->clients[client].domain, t) : 0;
}
