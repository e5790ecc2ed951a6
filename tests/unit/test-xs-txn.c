/* SPDX-License-Identifier: MIT */
/* Conflicts and merging. What requests do with transactions is in test-xs-store.c. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "tests/support/unit.h"
#include "xenstored/txn.h"

static struct heap heap;
static struct perms *perms;
static struct node *present;
static uint64_t stamp;
static struct txn *t;

static void put_in(struct node **root, const char *path, const char *value)
{
	const size_t len = strlen(path);
	struct tree_pos pos;
	int r;

	tree_find(&heap, root, path, len, &pos);
	if (pos.found)
		r = tree_write(&heap, root, &pos, path, len, value, strlen(value), ++stamp);
	else
		r = tree_create(&heap, root, &pos, path, len, perms, value, strlen(value), ++stamp);
	ck_assert_int_eq(r, 0);
}

static void rm_in(struct node **root, const char *path)
{
	struct tree_pos pos;
	struct node *gone;

	tree_find(&heap, root, path, strlen(path), &pos);
	ck_assert_int_eq(tree_remove(&heap, root, &pos, path, strlen(path), ++stamp, &gone), 0);
	node_put(&heap, gone);
}

static void outside(const char *path, const char *value)
{
	put_in(&present, path, value);
}

static void touch(const char *path, unsigned int what)
{
	ck_assert_int_eq(txn_touch(&heap, t, path, strlen(path), what), 0);
}

static void inside(const char *path, const char *value)
{
	const bool there = tree_get(&heap, t->root, path, strlen(path));

	touch(path, TXN_NODE | (there ? TXN_CHANGED : TXN_CREATED));
	put_in(&t->root, path, value);
}

static void inside_rm(const char *path)
{
	touch(path, TXN_NODE | TXN_SUBTREE | TXN_REMOVED);
	rm_in(&t->root, path);
}

static void setup(void)
{
	static const struct perm n0 = { 0 };

	heap = (struct heap){ .seed = 99 };
	stamp = 1;
	perms = perms_new(&n0, 1);
	present = tree_root_new(&heap, perms, 1);
	outside("/d/a", "a");
	outside("/d/b", "b");
	outside("/d/b/c", "c");
	outside("/e", "e");
	t = txn_new(present, 1);
}

static void teardown(void)
{
	txn_free(&heap, t);
	node_put(&heap, present);
	perms_put(perms);
	ck_assert_uint_eq(heap.bytes, 0);
}

static bool conflicts(void)
{
	return txn_conflicts(&heap, t, present);
}

/* commits into the present version */
static void merge(void)
{
	struct node *next;

	ck_assert(!conflicts());
	ck_assert_int_eq(txn_merge(&heap, t, present, ++stamp, &next), 0);
	node_put(&heap, present);
	present = next;
}

static const char *get(const char *path)
{
	static char value[64];
	const struct node *n = tree_get(&heap, present, path, strlen(path));

	if (!n)
		return "(none)";
	memcpy(value, node_value(n), n->value_len);
	value[n->value_len] = 0;
	return value;
}

START_TEST(test_looked_at)
{
	setup();
	touch("/d/a", TXN_NODE);
	ck_assert(!conflicts());
	outside("/d/x", "elsewhere");
	outside("/d/b", "elsewhere");
	ck_assert(!conflicts());
	outside("/d/a", "a"); /* the same value is a change, too */
	ck_assert(conflicts());
	teardown();
}
END_TEST

START_TEST(test_missing_looked_at)
{
	setup();
	touch("/d/no", TXN_NODE);
	outside("/d/other", "");
	ck_assert(!conflicts());
	outside("/d/no", "");
	ck_assert(conflicts());
	rm_in(&present, "/d/no");
	ck_assert(!conflicts());
	teardown();
}
END_TEST

/* Removed and made again is another node. */
START_TEST(test_made_again)
{
	setup();
	touch("/d/a", TXN_NODE);
	rm_in(&present, "/d/a");
	outside("/d/a", "a");
	ck_assert(conflicts());
	teardown();
}
END_TEST

START_TEST(test_listed)
{
	setup();
	touch("/d", TXN_NODE | TXN_LIST);
	outside("/d/a", "value");
	outside("/d/b/more", "deeper");
	ck_assert(!conflicts());
	outside("/d/x", "");
	ck_assert(conflicts());
	teardown();
}
END_TEST

/* What was removed must not have changed anywhere below. */
START_TEST(test_subtree)
{
	setup();
	inside_rm("/d/b");
	outside("/d/a", "x");
	outside("/e", "x");
	ck_assert(!conflicts());
	outside("/d/b/c", "x");
	ck_assert(conflicts());
	teardown();
}
END_TEST

START_TEST(test_alone)
{
	setup();
	inside("/d/a", "1");
	inside("/n", "2");
	inside_rm("/e");
	merge();
	ck_assert(present == t->root); /* nothing else happened: the whole version is taken */
	ck_assert_str_eq(get("/d/a"), "1");
	ck_assert_str_eq(get("/n"), "2");
	ck_assert_str_eq(get("/e"), "(none)");
	teardown();
}
END_TEST

START_TEST(test_merge)
{
	setup();
	touch("/d", TXN_NODE);
	inside("/d/mine", "1");
	inside("/d/b", "changed");
	inside_rm("/e");
	outside("/d/theirs", "2");
	outside("/d/b/c2", "3");
	merge();
	ck_assert_str_eq(get("/d/mine"), "1");
	ck_assert_str_eq(get("/d/theirs"), "2");
	ck_assert_str_eq(get("/d/b"), "changed");
	ck_assert_str_eq(get("/d/b/c"), "c");
	ck_assert_str_eq(get("/d/b/c2"), "3"); /* a child of a node whose value we set */
	ck_assert_str_eq(get("/e"), "(none)");
	teardown();
}
END_TEST

/* Removed and made again inside: nothing of the old subtree comes back. */
START_TEST(test_merge_replaced)
{
	setup();
	inside("/d/b/c", "first");
	inside_rm("/d/b");
	inside("/d/b", "again");
	inside("/d/b/z", "new");
	outside("/e", "x");
	merge();
	ck_assert_str_eq(get("/d/b"), "again");
	ck_assert_str_eq(get("/d/b/c"), "(none)");
	ck_assert_str_eq(get("/d/b/z"), "new");
	teardown();
}
END_TEST

/* Touched before its parents were replaced, present again at the end. */
START_TEST(test_merge_child_before_parent)
{
	setup();
	inside("/d/b/c", "first");
	inside_rm("/d");
	touch("/d", TXN_CREATED);
	touch("/d/b", TXN_CREATED);
	inside("/d/b/c", "last");
	outside("/e", "x");
	merge();
	ck_assert_str_eq(get("/d/b/c"), "last");
	ck_assert_str_eq(get("/d/a"), "(none)");
	teardown();
}
END_TEST

START_TEST(test_merge_made_and_removed)
{
	setup();
	touch("/n", TXN_CREATED);
	inside("/n/x", "1");
	inside_rm("/n");
	outside("/e", "x");
	merge();
	ck_assert_str_eq(get("/n"), "(none)");
	ck_assert_str_eq(get("/e"), "x");
	teardown();
}
END_TEST

START_TEST(test_order_of_events)
{
	static const char *const expected[] = { "/d/b", "/x", "/d/a" };
	struct touch *o;
	size_t i = 0;

	setup();
	touch("/d/a", TXN_NODE);
	touch("/d/b", TXN_NODE | TXN_CHANGED | TXN_FIRES);
	touch("/x", TXN_NODE | TXN_CREATED | TXN_FIRES);
	touch("/d/a", TXN_CHANGED | TXN_FIRES);
	touch("/d/b", TXN_CHANGED | TXN_FIRES);
	list_for_each(o, &t->fires, of_fires) {
		ck_assert_uint_eq(o->len, strlen(expected[i]));
		ck_assert(!memcmp(o->path, expected[i], o->len));
		i++;
	}
	ck_assert_uint_eq(i, 3);
	ck_assert_uint_eq(t->touches.nr, 3);
	teardown();
}
END_TEST

START_TEST(test_tallies)
{
	setup();
	txn_tally(t, 5)->nodes += 2;
	txn_tally(t, 6)->nodes += 1;
	txn_tally(t, 5)->nodes += 3;
	ck_assert_int_eq(txn_tally(t, 5)->nodes, 5);
	ck_assert_uint_eq(t->nr_tallies, 2);
	teardown();
}
END_TEST

UNIT_MAIN("xs-txn", test_looked_at, test_missing_looked_at, test_made_again, test_listed,
	  test_subtree, test_alone, test_merge, test_merge_replaced, test_merge_child_before_parent,
	  test_merge_made_and_removed, test_order_of_events, test_tallies)
