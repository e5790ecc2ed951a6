/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/unit.h"
#include "xenstored/perm.h"
#include "xenstored/tree.h"
#include "xenstored/watch.h"

static struct watch_set ws;
static struct watch_owner alice, bob;
static char hits[1024];

static void setup(void)
{
	ck_assert_int_eq(watch_set_init(&ws, 42), 0);
	watch_owner_init(&alice);
	watch_owner_init(&bob);
}

static void drop_all(struct watch_owner *o)
{
	struct watch *w, *tmp;

	list_for_each_safe(w, tmp, &o->watches, of_owner)
		watch_remove(&ws, w);
}

static void teardown(void)
{
	drop_all(&alice);
	drop_all(&bob);
	ck_assert_uint_eq(ws.nodes.nr, 0); /* no trie node outlives its watches */
	ck_assert_uint_eq(ws.watches.nr, 0);
	watch_set_fini(&ws);
}

static int add(struct watch_owner *o, const char *path, const char *token, int depth)
{
	const struct wire_path p = { path, strlen(path), 0, path[0] == '@' };
	struct watch *w;

	return watch_add(&ws, o, &p, token, strlen(token), depth, &w);
}

static int del(struct watch_owner *o, const char *path, const char *token)
{
	const struct wire_path p = { path, strlen(path), 0, path[0] == '@' };
	struct watch *w = watch_find(&ws, o, &p, token, strlen(token));

	if (!w)
		return -ENOENT;
	watch_remove(&ws, w);
	return 0;
}

static void hit(void *data, struct watch *w)
{
	snprintf(hits + strlen(hits), sizeof(hits) - strlen(hits), "%.*s ", (int)w->token_len,
		 watch_token(w));
}

static const char *match(const char *path)
{
	hits[0] = 0;
	watch_match(&ws, path, strlen(path), hit, NULL);
	return hits;
}

START_TEST(test_add_remove)
{
	setup();
	ck_assert_int_eq(add(&alice, "/a/b", "t", WATCH_ANY_DEPTH), 0);
	ck_assert_int_eq(add(&alice, "/a/b", "t", 3), -EEXIST); /* depth is not part of it */
	ck_assert_int_eq(add(&alice, "/a/b", "u", WATCH_ANY_DEPTH), 0);
	ck_assert_int_eq(add(&alice, "/a/b", "", WATCH_ANY_DEPTH), 0);
	ck_assert_int_eq(add(&bob, "/a/b", "t", WATCH_ANY_DEPTH), 0);
	ck_assert_int_eq(del(&bob, "/a/b", "u"), -ENOENT);
	ck_assert_int_eq(del(&alice, "/a", "t"), -ENOENT);
	ck_assert_int_eq(del(&alice, "/a/b", "t"), 0);
	ck_assert_int_eq(del(&alice, "/a/b", "t"), -ENOENT);
	ck_assert_uint_eq(alice.nr, 2);
	ck_assert_str_eq(match("/a/b"), "u  t ");
	teardown();
}
END_TEST

START_TEST(test_match)
{
	setup();
	add(&alice, "/", "root", WATCH_ANY_DEPTH);
	add(&alice, "/a", "a", WATCH_ANY_DEPTH);
	add(&alice, "/a/b", "ab", WATCH_ANY_DEPTH);
	add(&alice, "/a/b/c", "abc", WATCH_ANY_DEPTH);
	add(&alice, "/ab", "x", WATCH_ANY_DEPTH);
	ck_assert_str_eq(match("/a/b"), "root a ab ");
	ck_assert_str_eq(match("/a/b/c/d/e"), "root a ab abc ");
	ck_assert_str_eq(match("/a/bb"), "root a ");
	ck_assert_str_eq(match("/"), "root ");
	ck_assert_str_eq(match("/z"), "root ");
	teardown();
}
END_TEST

START_TEST(test_depth)
{
	setup();
	add(&alice, "/a", "0", 0);
	add(&alice, "/a", "1", 1);
	add(&alice, "/a", "2", 2);
	add(&alice, "/", "r1", 1);
	ck_assert_str_eq(match("/a"), "r1 0 1 2 ");
	ck_assert_str_eq(match("/a/x"), "1 2 ");
	ck_assert_str_eq(match("/a/x/y"), "2 ");
	ck_assert_str_eq(match("/a/x/y/z"), "");
	teardown();
}
END_TEST

START_TEST(test_special)
{
	setup();
	add(&alice, "/", "root", WATCH_ANY_DEPTH);
	add(&alice, "@releaseDomain", "all", WATCH_ANY_DEPTH);
	add(&alice, "@releaseDomain/5", "five", WATCH_ANY_DEPTH);
	ck_assert_str_eq(match("@releaseDomain"), "all ");
	ck_assert_str_eq(match("@releaseDomain/5"), "all five ");
	ck_assert_str_eq(match("@releaseDomain/55"), "all ");
	ck_assert_str_eq(match("/@releaseDomain"), "root ");
	teardown();
}
END_TEST

static void gone_hit(void *data, struct watch *w, const struct node *gone,
		     const struct node *parent)
{
	ck_assert_ptr_nonnull(gone);
	ck_assert_ptr_nonnull(parent);
	hit(data, w);
}

/* Of watches below a removed node those fire whose own node was there. */
START_TEST(test_removed)
{
	static const struct perm n0 = { 0 };
	struct perms *perms = perms_new(&n0, 1);
	struct heap heap = { .seed = 1 };
	struct node *root = tree_root_new(&heap, perms, 1), *gone;
	struct tree_pos pos;

	setup();
	tree_find(&heap, &root, "/p/q/r", 6, &pos);
	ck_assert_int_eq(tree_create(&heap, &root, &pos, "/p/q/r", 6, perms, "v", 1, 2), 0);
	add(&alice, "/p", "p", WATCH_ANY_DEPTH);
	add(&alice, "/p/q/r", "pqr", 0);
	add(&bob, "/p/q", "pq", WATCH_ANY_DEPTH);
	add(&bob, "/p/no/r", "no", WATCH_ANY_DEPTH);
	add(&bob, "/p/q/r/s", "deeper", WATCH_ANY_DEPTH);
	tree_find(&heap, &root, "/p", 2, &pos);
	ck_assert_int_eq(tree_remove(&heap, &root, &pos, "/p", 2, 3, &gone), 0);
	hits[0] = 0;
	watch_match_removed(&ws, &heap, "/p", 2, gone, gone_hit, NULL);
	ck_assert_str_eq(hits, "pq pqr ");
	node_put(&heap, gone);
	node_put(&heap, root);
	perms_put(perms);
	ck_assert_uint_eq(heap.bytes, 0);
	teardown();
}
END_TEST

/* Many names of one parent, in and out: the table follows. */
START_TEST(test_many)
{
	char path[32];

	setup();
	for (int i = 0; i < 5000; i++) {
		snprintf(path, sizeof(path), "/x/n%d", i);
		ck_assert_int_eq(add(&alice, path, "t", WATCH_ANY_DEPTH), 0);
	}
	ck_assert_str_eq(match("/x/n4999/y"), "t ");
	for (int i = 0; i < 5000; i += 2) {
		snprintf(path, sizeof(path), "/x/n%d", i);
		ck_assert_int_eq(del(&alice, path, "t"), 0);
	}
	ck_assert_str_eq(match("/x/n4998"), "");
	ck_assert_str_eq(match("/x/n4999"), "t ");
	ck_assert_uint_eq(ws.nodes.nr, 2501);
	teardown();
}
END_TEST

UNIT_MAIN("xs-watch", test_add_remove, test_match, test_depth, test_special, test_removed,
	  test_many)
