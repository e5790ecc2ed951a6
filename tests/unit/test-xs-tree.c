/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/unit.h"
#include "xenstored/dir.h"
#include "xenstored/tree.h"
#include "xenstored/wire.h"

static struct heap heap;
static struct perms *perms;
static struct node *root;
static uint64_t stamp;

static void setup(void)
{
	static const struct perm n0 = { 0 };

	heap = (struct heap){ .seed = 12345 };
	perms = perms_new(&n0, 1);
	root = tree_root_new(&heap, perms, 1);
	stamp = 1;
}

/* Nothing may be left: the heap counts every byte. */
static void teardown(void)
{
	node_put(&heap, root);
	ck_assert_uint_eq(heap.bytes, 0);
	ck_assert_uint_eq(perms->refs, 1);
	perms_put(perms);
}

static void put(const char *path, const char *value)
{
	struct tree_pos pos;
	int r;

	tree_find(&heap, &root, path, strlen(path), &pos);
	if (pos.found)
		r = tree_write(&heap, &root, &pos, path, strlen(path), value, strlen(value),
			       ++stamp);
	else
		r = tree_create(&heap, &root, &pos, path, strlen(path), perms, value, strlen(value),
				++stamp);
	ck_assert_int_eq(r, 0);
}

static bool rm(const char *path)
{
	struct tree_pos pos;
	struct node *gone;

	tree_find(&heap, &root, path, strlen(path), &pos);
	if (!pos.found)
		return false;
	ck_assert_int_eq(tree_remove(&heap, &root, &pos, path, strlen(path), ++stamp, &gone), 0);
	node_put(&heap, gone);
	return true;
}

static const char *get_in(struct node *version, const char *path)
{
	static char value[4100];
	const struct node *n = tree_get(&heap, version, path, strlen(path));

	if (!n)
		return "(none)";
	memcpy(value, node_value(n), n->value_len);
	value[n->value_len] = 0;
	return value;
}

static const char *get(const char *path)
{
	return get_in(root, path);
}

START_TEST(test_basic)
{
	setup();
	put("/a/b/c", "v");
	ck_assert_str_eq(get("/a/b/c"), "v");
	ck_assert_str_eq(get("/a/b"), "");
	ck_assert_str_eq(get("/a/b/c/d"), "(none)");
	ck_assert_str_eq(get("/a/bb"), "(none)");
	put("/a/b/c", "a longer value than there was room for at first, so the node moves");
	put("/a/b/c/d", "below");
	put("/a/b/c", "");
	ck_assert_str_eq(get("/a/b/c"), "");
	ck_assert_str_eq(get("/a/b/c/d"), "below");
	put("/", "root");
	ck_assert_str_eq(get("/"), "root");
	ck_assert(rm("/a/b"));
	ck_assert(!rm("/a/b"));
	ck_assert_str_eq(get("/a/b/c/d"), "(none)");
	ck_assert_str_eq(get("/a"), "");
	teardown();
}
END_TEST

START_TEST(test_find)
{
	struct tree_pos pos;

	setup();
	put("/a/b", "v");
	tree_find(&heap, &root, "/a/b/c/d", 8, &pos);
	ck_assert(!pos.found);
	ck_assert_uint_eq(pos.rest, 5);
	ck_assert(pos.node == tree_get(&heap, root, "/a/b", 4));
	ck_assert(pos.parent == tree_get(&heap, root, "/a", 2));
	tree_find(&heap, &root, "/a/b", 4, &pos);
	ck_assert(pos.found && *pos.slot == pos.node && *pos.parent_slot == pos.parent);
	ck_assert(!pos.shared);
	tree_find(&heap, &root, "/", 1, &pos);
	ck_assert(pos.found && pos.node == root && !pos.parent);
	tree_find(&heap, &root, "/x", 2, &pos);
	ck_assert(!pos.found && pos.node == root && pos.rest == 1);
	teardown();
}
END_TEST

START_TEST(test_stamps)
{
	uint64_t listed;

	setup();
	put("/d/a", "1");
	listed = node_listed(tree_get(&heap, root, "/d", 2));
	put("/d/a", "2");
	ck_assert_uint_eq(node_listed(tree_get(&heap, root, "/d", 2)), listed);
	ck_assert_uint_eq(tree_get(&heap, root, "/d/a", 4)->changed, stamp);
	put("/d/b", "1");
	ck_assert_uint_eq(node_listed(tree_get(&heap, root, "/d", 2)), stamp);
	ck_assert_uint_lt(tree_get(&heap, root, "/d", 2)->changed, stamp);
	rm("/d/b");
	ck_assert_uint_eq(node_listed(tree_get(&heap, root, "/d", 2)), stamp);
	teardown();
}
END_TEST

/* A version that was kept does not change, whatever happens to the next. */
START_TEST(test_versions)
{
	struct node *old;
	struct tree_pos pos;

	setup();
	for (int i = 0; i < 200; i++) {
		char path[32];

		snprintf(path, sizeof(path), "/d/%d/x", i);
		put(path, "old");
	}
	put("/same/x", "s");
	old = node_get(root);
	put("/d/7/x", "new");
	put("/d/new", "new");
	rm("/d/8");
	put("/", "new");
	ck_assert_str_eq(get_in(old, "/d/7/x"), "old");
	ck_assert_str_eq(get_in(old, "/d/new"), "(none)");
	ck_assert_str_eq(get_in(old, "/d/8/x"), "old");
	ck_assert_str_eq(get_in(old, "/"), "");
	ck_assert_str_eq(get("/d/7/x"), "new");
	ck_assert_str_eq(get("/d/8/x"), "(none)");
	/* what did not change is the same node, what did is another one */
	ck_assert(tree_get(&heap, old, "/same", 5) == tree_get(&heap, root, "/same", 5));
	ck_assert(tree_get(&heap, old, "/d/9", 4) == tree_get(&heap, root, "/d/9", 4));
	ck_assert(tree_get(&heap, old, "/d/7", 4) != tree_get(&heap, root, "/d/7", 4));
	tree_find(&heap, &root, "/same/x", 7, &pos);
	ck_assert(pos.shared);
	node_put(&heap, old);
	teardown();
}
END_TEST

START_TEST(test_graft)
{
	struct node *old;

	setup();
	put("/a/k/x", "1");
	put("/b/k/y", "2");
	old = node_get(root);
	ck_assert_int_eq(
		tree_graft(&heap, &root, "/b/k", 4, tree_get(&heap, old, "/a/k", 4), ++stamp), 0);
	ck_assert_str_eq(get("/b/k/x"), "1");
	ck_assert_str_eq(get("/b/k/y"), "(none)");
	ck_assert_int_eq(
		tree_graft(&heap, &root, "/k", 2, tree_get(&heap, old, "/a/k", 4), ++stamp), 0);
	ck_assert_str_eq(get("/k/x"), "1");
	ck_assert_int_eq(
		tree_graft(&heap, &root, "/no/k", 5, tree_get(&heap, old, "/a/k", 4), ++stamp),
		-ENOENT);
	put("/k/x", "3"); /* shared with the others, so they keep theirs */
	ck_assert_str_eq(get("/a/k/x"), "1");
	node_put(&heap, old);
	teardown();
}
END_TEST

/* of "k123"; names have no NUL behind them */
static size_t number_of(const struct node *n)
{
	char digits[16] = "";

	ck_assert_uint_lt(n->name_len, sizeof(digits));
	memcpy(digits, node_name(n) + 1, n->name_len - 1u);
	return (size_t)atoi(digits);
}

static size_t count_listed(const struct node *n, bool *seen, size_t nr)
{
	struct tree_iter it;
	const struct node *kid;
	size_t found = 0;

	memset(seen, 0, nr);
	tree_iter_init(&it, n);
	while ((kid = tree_iter_next(&it))) {
		const size_t i = number_of(kid);

		ck_assert(i < nr && !seen[i]);
		seen[i] = true;
		found++;
	}
	return found;
}

/* Sums of a directory against what the iterator gives. */
static void check_sums(const struct node *n, size_t nr)
{
	static bool seen[400000];

	ck_assert_uint_eq(node_nr_kids(n), nr);
	ck_assert_uint_eq(count_listed(n, seen, sizeof(seen)), nr);
}

START_TEST(test_large_directory)
{
	enum { N = 20000 };
	char path[32];

	setup();
	for (int i = 0; i < N; i++) {
		snprintf(path, sizeof(path), "/d/n%d", i);
		put(path, path);
	}
	check_sums(tree_get(&heap, root, "/d", 2), N);
	for (int i = 0; i < N; i += 997) {
		snprintf(path, sizeof(path), "/d/n%d", i);
		ck_assert_str_eq(get(path), path);
	}
	for (int i = 0; i < N; i++) {
		snprintf(path, sizeof(path), "/d/n%d", i);
		if (i % 3)
			ck_assert(rm(path));
	}
	check_sums(tree_get(&heap, root, "/d", 2), (N + 2) / 3);
	for (int i = 0; i < N; i += 3) {
		snprintf(path, sizeof(path), "/d/n%d", i);
		ck_assert(rm(path));
	}
	check_sums(tree_get(&heap, root, "/d", 2), 0);
	ck_assert_uint_eq(node_nr_kids(tree_get(&heap, root, "/d", 2)), 0);
	teardown();
}
END_TEST

static int by_hash(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void pair_path(char *path, uint64_t entry)
{
	sprintf(path, "/d/n%u", (unsigned int)(entry & 0xffffffff));
}

static void check_pair(uint64_t a, uint64_t b)
{
	struct node *old;
	char pa[32], pb[32];

	pair_path(pa, a);
	pair_path(pb, b);
	put(pa, "a");
	put(pb, "b");
	old = node_get(root);
	ck_assert_str_eq(get(pa), "a");
	ck_assert_str_eq(get(pb), "b");
	put(pb, "changed");
	check_sums(tree_get(&heap, root, "/d", 2), 2);
	ck_assert(rm(pa));
	ck_assert_str_eq(get(pa), "(none)");
	ck_assert_str_eq(get(pb), "changed");
	ck_assert_str_eq(get_in(old, pa), "a");
	ck_assert_str_eq(get_in(old, pb), "b");
	ck_assert(rm(pb));
	node_put(&heap, old);
}

/* Names whose hashes are wholly equal live in a list below all levels. */
START_TEST(test_collisions)
{
	enum { N = 400000 };
	uint64_t *all = malloc(N * sizeof(*all));
	int nr = 0;

	setup();
	for (unsigned int i = 0; i < N; i++) {
		char name[16];
		const int len = sprintf(name, "n%u", i);

		all[i] = (uint64_t)node_hash(&heap, name, (size_t)len) << 32 | i;
	}
	qsort(all, N, sizeof(*all), by_hash);
	for (unsigned int i = 1; i < N; i++) {
		if (all[i] >> 32 != all[i - 1] >> 32)
			continue;
		check_pair(all[i - 1], all[i]);
		nr++;
	}
	ck_assert_int_gt(nr, 0);
	free(all);
	teardown();
}
END_TEST

/* Pages of names put together give the list, from any offset at a boundary. */
START_TEST(test_seek)
{
	struct tree_iter all, part;
	const struct node *d, *a, *b;
	size_t offset = 0;
	char path[32];

	setup();
	for (int i = 0; i < 300; i++) {
		snprintf(path, sizeof(path), "/d/n%d", i * i);
		put(path, "");
	}
	d = tree_get(&heap, root, "/d", 2);
	tree_iter_init(&all, d);
	while ((a = tree_iter_next(&all))) {
		tree_iter_seek(&part, d, offset);
		ck_assert(tree_iter_next(&part) == a);
		if (offset) { /* in the middle of a name: the next one */
			tree_iter_seek(&part, d, offset - 1);
			b = tree_iter_next(&part);
			ck_assert(b == a);
		}
		offset += a->name_len + 1u;
	}
	ck_assert_uint_eq(offset, node_kids_bytes(d));
	tree_iter_seek(&part, d, offset);
	ck_assert_ptr_null(tree_iter_next(&part));
	tree_iter_seek(&part, d, SIZE_MAX);
	ck_assert_ptr_null(tree_iter_next(&part));
	teardown();
}
END_TEST

static void count_one(void *data, const struct node *n)
{
	(*(size_t *)data)++;
}

/* As deep as a path can be: nothing recurses without bound, nothing leaks. */
START_TEST(test_deep)
{
	char path[WIRE_PATH_MAX + 1];
	size_t n = 0;

	setup();
	for (size_t i = 0; i < WIRE_PATH_MAX; i += 2)
		memcpy(path + i, "/d", 2);
	path[WIRE_PATH_MAX] = 0;
	put(path, "deep");
	ck_assert_str_eq(get(path), "deep");
	tree_each(root, count_one, &n);
	ck_assert_uint_eq(n, WIRE_DEPTH_MAX + 1);
	ck_assert(rm("/d"));
	teardown();
}
END_TEST

static char found[256];

static int note(void *data, const char *path, size_t len, const struct node *n)
{
	snprintf(found + strlen(found), sizeof(found) - strlen(found), "%.*s ", (int)len, path);
	return strncmp(path, "/own", 4) ? 1 : 0;
}

static void set_perms(const char *path, uint16_t owner, uint16_t other)
{
	const struct perm list[] = { { .domid = owner }, { .domid = other } };
	struct perms *p = perms_new(list, 2);
	struct tree_pos pos;

	tree_find(&heap, &root, path, strlen(path), &pos);
	ck_assert_int_eq(tree_set_perms(&heap, &root, &pos, path, strlen(path), p, ++stamp), 0);
	perms_put(p);
}

START_TEST(test_listing)
{
	struct node *old;

	setup();
	for (int i = 0; i < 100; i++) {
		char path[32];

		snprintf(path, sizeof(path), "/x/%d/y", i);
		put(path, "");
	}
	put("/own/below", "");
	old = node_get(root);
	set_perms("/own", 77, 0);
	set_perms("/own/below", 77, 0);
	set_perms("/x/50/y", 0, 77);
	found[0] = 0;
	ck_assert_int_eq(tree_each_listing(root, 77, note, NULL), 0);
	ck_assert_msg(!strcmp(found, "/own /x/50/y ") || !strcmp(found, "/x/50/y /own "), "%s",
		      found);
	found[0] = 0;
	tree_each_listing(old, 77, note, NULL);
	tree_each_listing(root, 78, note, NULL);
	ck_assert_str_eq(found, "");
	set_perms("/", 0, 77);
	tree_each_listing(root, 77, note, NULL);
	ck_assert(!strncmp(found, "/ ", 2));
	node_put(&heap, old);
	teardown();
}
END_TEST

UNIT_MAIN("xs-tree", test_basic, test_find, test_stamps, test_versions, test_graft,
	  test_large_directory, test_collisions, test_seek, test_deep, test_listing)
