/* SPDX-License-Identifier: MIT */
/* Requests on nodes: rights, quotas, transactions, who is told. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/unit.h"
#include "xenstored/store.h"

#define GUEST 5
#define OTHER 6

static struct quota quota;
static struct store store;
static struct caller dom0, guest, other;
static char fired[1024];
static bool other_exists;

static bool can_see(const struct change *ch, const struct caller *c)
{
	for (size_t i = 0; i < 4; i++)
		if (ch->seen[i] && (perms_rights(ch->seen[i], &c->who) & PERM_READ))
			return true;
	return false;
}

/* "path", with '-' before removed subtrees and '*' behind when the guest may know */
static void on_fire(void *data, const struct change *ch)
{
	snprintf(fired + strlen(fired), sizeof(fired) - strlen(fired), "%s%.*s%s ",
		 ch->removed ? "-" : "", (int)ch->len, ch->path, can_see(ch, &guest) ? "*" : "");
}

static bool on_exists(void *data, uint16_t domid)
{
	return domid == 0 || domid == GUEST || (domid == OTHER && other_exists);
}

static void setup(void)
{
	const struct store_hooks hooks = { .fire = on_fire, .domain_exists = on_exists };

	other_exists = true;
	quota_init(&quota);
	ck_assert_int_eq(store_init(&store, &quota, &hooks, 7), 0);
	dom0 = (struct caller){ { 0, DOMID_NONE, true }, quota_account(&quota, 0) };
	guest = (struct caller){ { GUEST, DOMID_NONE, false }, quota_account(&quota, GUEST) };
	other = (struct caller){ { OTHER, DOMID_NONE, false }, quota_account(&quota, OTHER) };
	fired[0] = 0;
}

static void check_accounts(void)
{
	char text[256];

	store_check(&store, text, sizeof(text));
	ck_assert_str_eq(text, "");
}

static void teardown(void)
{
	check_accounts();
	store_fini(&store);
	ck_assert_uint_eq(store.heap.bytes, 0);
	quota_fini(&quota);
}

static struct wire_path path_of(const char *s)
{
	return (struct wire_path){ s, strlen(s), 0, s[0] == '@' };
}

static int wr(const struct caller *c, struct txn *t, const char *path, const char *value)
{
	const struct wire_path p = path_of(path);

	return store_write(&store, c, t, &p, value, strlen(value));
}

static int mk(const struct caller *c, struct txn *t, const char *path)
{
	const struct wire_path p = path_of(path);

	return store_mkdir(&store, c, t, &p);
}

static int rm(const struct caller *c, struct txn *t, const char *path)
{
	const struct wire_path p = path_of(path);

	return store_rm(&store, c, t, &p);
}

static int ls(const struct caller *c, struct txn *t, const char *path)
{
	const struct wire_path p = path_of(path);
	const struct node *n;

	return store_list(&store, c, t, &p, &n);
}

static int rd(const struct caller *c, struct txn *t, const char *path)
{
	const struct wire_path p = path_of(path);
	const struct node *n;

	return store_read(&store, c, t, &p, &n);
}

static const char *val(const struct caller *c, struct txn *t, const char *path)
{
	static char value[4100];
	const struct wire_path p = path_of(path);
	const struct node *n;

	if (store_read(&store, c, t, &p, &n))
		return "(error)";
	memcpy(value, node_value(n), n->value_len);
	value[n->value_len] = 0;
	return value;
}

/* perms: "n0,r5" */
static int set(const struct caller *c, struct txn *t, const char *path, const char *perms)
{
	const struct wire_path p = path_of(path);
	struct perm list[16];
	size_t nr = 0;

	for (const char *s = perms; *s; nr++) {
		const size_t len = strcspn(s, ",");

		ck_assert_int_eq(perm_parse(s, len, &list[nr]), 0);
		s += len + (s[len] == ',');
	}
	return store_set_perms(&store, c, t, &p, list, nr);
}

static const char *perms(const struct caller *c, struct txn *t, const char *path)
{
	static char text[256];
	const struct wire_path p = path_of(path);
	const struct perms *perms;

	if (store_get_perms(&store, c, t, &p, &perms))
		return "(error)";
	text[0] = 0;
	for (size_t i = 0; i < perms->nr; i++) {
		if (i)
			strcat(text, ",");
		perm_format(&perms->list[i], text + strlen(text));
	}
	return text;
}

static struct txn *begin(const struct caller *c)
{
	struct txn *t;

	ck_assert_int_eq(store_begin(&store, c, 1, &t), 0);
	return t;
}

static int end(const struct caller *c, struct txn *t)
{
	return store_end(&store, c, t, true);
}

static const char *events(void)
{
	static char text[sizeof(fired)];

	strcpy(text, fired);
	fired[0] = 0;
	return text;
}

START_TEST(test_errors_hide)
{
	setup();
	wr(&dom0, NULL, "/secret/there", "v");
	/* existing and missing look alike to those who may not know */
	ck_assert_int_eq(rd(&guest, NULL, "/secret/there"), EACCES);
	ck_assert_int_eq(rd(&guest, NULL, "/secret/not"), EACCES);
	ck_assert_int_eq(rm(&guest, NULL, "/secret/not"), EACCES);
	ck_assert_int_eq(rm(&guest, NULL, "/secret/not/not"), EACCES);
	ck_assert_int_eq(ls(&guest, NULL, "/"), EACCES);
	set(&dom0, NULL, "/secret", "n0,r5");
	ck_assert_int_eq(rd(&guest, NULL, "/secret/not"), ENOENT);
	ck_assert_int_eq(rd(&guest, NULL, "/secret/there"), EACCES);
	ck_assert_int_eq(wr(&guest, NULL, "/secret/not", ""), EACCES);
	teardown();
}
END_TEST

START_TEST(test_rm_errors)
{
	setup();
	mk(&dom0, NULL, "/a");
	ck_assert_int_eq(rm(&dom0, NULL, "/"), EINVAL);
	ck_assert_int_eq(rm(&dom0, NULL, "/a/no"), 0);
	ck_assert_int_eq(rm(&dom0, NULL, "/a/no/no"), ENOENT);
	ck_assert_int_eq(rm(&dom0, NULL, "/a"), 0);
	ck_assert_int_eq(rm(&dom0, NULL, "/a"), 0);
	teardown();
}
END_TEST

START_TEST(test_owner_of_new)
{
	setup();
	mk(&dom0, NULL, "/shared");
	set(&dom0, NULL, "/shared", "r0,b5,w6");
	mk(&guest, NULL, "/shared/g/x");
	ck_assert_str_eq(perms(&dom0, NULL, "/shared/g"), "r5,b5,w6");
	ck_assert_str_eq(perms(&dom0, NULL, "/shared/g/x"), "r5,b5,w6");
	mk(&dom0, NULL, "/shared/g/by0");
	ck_assert_str_eq(perms(&dom0, NULL, "/shared/g/by0"), "r5,b5,w6");
	ck_assert_int_eq(guest.account->nodes.nodes, 3);
	teardown();
}
END_TEST

START_TEST(test_set_perms)
{
	setup();
	mk(&dom0, NULL, "/k");
	ck_assert_int_eq(set(&guest, NULL, "/k", "b5"), EACCES);
	set(&dom0, NULL, "/k", "b0,b5");
	ck_assert_int_eq(set(&guest, NULL, "/k", "b0"), EACCES); /* may write, does not own */
	set(&dom0, NULL, "/k", "n5");
	ck_assert_int_eq(set(&guest, NULL, "/k", "n6"), EPERM);
	ck_assert_int_eq(set(&guest, NULL, "/k", "n5,r6"), 0);
	ck_assert_int_eq(set(&guest, NULL, "/k", "n5,r1,r2,r3,r4"), 0);
	ck_assert_int_eq(set(&guest, NULL, "/k", "n5,r1,r2,r3,r4,r6"), ENOSPC);
	ck_assert_int_eq(set(&dom0, NULL, "/k", "n9"), ENOENT); /* no such owner */
	ck_assert_int_eq(set(&dom0, NULL, "/k", "n32757"), ENOENT);
	ck_assert_int_eq(set(&dom0, NULL, "/no", "n0"), ENOENT);
	teardown();
}
END_TEST

/* XSA-322: an entry for a domain that is not there, or was, gives a later one nothing. */
START_TEST(test_void_entries)
{
	setup();
	other_exists = false;
	mk(&dom0, NULL, "/k");
	set(&dom0, NULL, "/k", "n0,r6");
	ck_assert_str_eq(perms(&dom0, NULL, "/k"), "n0,r6");
	other_exists = true;
	ck_assert_int_eq(rd(&other, NULL, "/k"), EACCES);
	set(&dom0, NULL, "/k", "n0,r6");
	ck_assert_int_eq(rd(&other, NULL, "/k"), 0);
	store_forget_domain(&store, OTHER);
	other.account = quota_account(&quota, OTHER);
	ck_assert_str_eq(perms(&dom0, NULL, "/k"), "n0");
	ck_assert_int_eq(rd(&other, NULL, "/k"), EACCES);
	teardown();
}
END_TEST

START_TEST(test_forget_domain)
{
	setup();
	mk(&dom0, NULL, "/home");
	set(&dom0, NULL, "/home", "n5");
	mk(&guest, NULL, "/home/a/b");
	wr(&dom0, NULL, "/home/a/zero", "");
	set(&dom0, NULL, "/home/a/zero", "n0");
	mk(&dom0, NULL, "/pub");
	set(&dom0, NULL, "/pub", "b0");
	mk(&guest, NULL, "/pub/g/below");
	mk(&dom0, NULL, "/pub/stays");
	set(&dom0, NULL, "@introduceDomain", "n0,r5");
	events();
	store_forget_domain(&store, GUEST);
	ck_assert_uint_eq(strlen(fired), strlen("-/pub/g* -/home* "));
	ck_assert(strstr(fired, "-/pub/g* ") && strstr(fired, "-/home* "));
	ck_assert_int_eq(rd(&dom0, NULL, "/home"), ENOENT);
	ck_assert_int_eq(rd(&dom0, NULL, "/pub/g"), ENOENT);
	ck_assert_int_eq(rd(&dom0, NULL, "/pub/stays"), 0);
	ck_assert_str_eq(perms(&dom0, NULL, "@introduceDomain"), "n0");
	ck_assert_ptr_null(quota_known(&quota, GUEST)); /* XSA-483 */
	teardown();
}
END_TEST

START_TEST(test_forget_owner_of_root)
{
	setup();
	mk(&dom0, NULL, "/k");
	set(&dom0, NULL, "/", "b5");
	store_forget_domain(&store, GUEST);
	ck_assert_str_eq(perms(&dom0, NULL, "/"), "n0");
	ck_assert_int_eq(rd(&dom0, NULL, "/k"), 0);
	teardown();
}
END_TEST

/* A transaction must not bring in what its domain's end had taken out. */
START_TEST(test_forget_during_txn)
{
	struct txn *t;

	setup();
	mk(&dom0, NULL, "/k");
	t = begin(&dom0);
	set(&dom0, t, "/k", "n0,r5");
	store_forget_domain(&store, GUEST);
	ck_assert_int_eq(end(&dom0, t), EAGAIN);
	guest.account = quota_account(&quota, GUEST);
	ck_assert_str_eq(perms(&dom0, NULL, "/k"), "n0");
	teardown();
}
END_TEST

START_TEST(test_target)
{
	setup();
	mk(&dom0, NULL, "/k");
	set(&dom0, NULL, "/k", "n5");
	ck_assert_int_eq(rd(&other, NULL, "/k"), EACCES);
	other.who.target = GUEST;
	ck_assert_int_eq(wr(&other, NULL, "/k", "v"), 0);
	ck_assert_int_eq(set(&other, NULL, "/k", "n6"), EPERM);
	ck_assert_int_eq(set(&other, NULL, "/k", "n5,r0"), 0);
	ck_assert_int_eq(rd(&guest, NULL, "/k"), 0);
	teardown();
}
END_TEST

START_TEST(test_fire)
{
	setup();
	mk(&dom0, NULL, "/a/b");
	ck_assert_str_eq(events(), "/a/b ");
	mk(&dom0, NULL, "/a/b");
	rd(&dom0, NULL, "/a/b");
	rm(&dom0, NULL, "/a/no");
	set(&dom0, NULL, "/a/no", "n0");
	ck_assert_str_eq(events(), "");
	set(&dom0, NULL, "/a/b", "n0,r5"); /* access gained */
	ck_assert_str_eq(events(), "/a/b* ");
	wr(&dom0, NULL, "/a/b", "v");
	ck_assert_str_eq(events(), "/a/b* ");
	set(&dom0, NULL, "/a/b", "n0"); /* lost: one last event */
	ck_assert_str_eq(events(), "/a/b* ");
	wr(&dom0, NULL, "/a/b", "v");
	ck_assert_str_eq(events(), "/a/b ");
	set(&dom0, NULL, "/a", "n0,r5"); /* the parent can be read */
	events();
	rm(&dom0, NULL, "/a/b");
	ck_assert_str_eq(events(), "-/a/b* ");
	teardown();
}
END_TEST

START_TEST(test_txn_events)
{
	struct txn *t;

	setup();
	mk(&dom0, NULL, "/p/q");
	set(&dom0, NULL, "/p/q", "n0,r5");
	events();
	t = begin(&dom0);
	wr(&dom0, t, "/c", "1");
	rm(&dom0, t, "/p");
	wr(&dom0, t, "/a/b", "1");
	wr(&dom0, t, "/c", "2");
	ck_assert_str_eq(events(), "");
	ck_assert_int_eq(end(&dom0, t), 0);
	ck_assert_str_eq(events(), "/c -/p /a/b ");
	t = begin(&dom0);
	set(&dom0, t, "/c", "n0,r5");
	ck_assert_int_eq(store_end(&store, &dom0, t, false), 0);
	ck_assert_str_eq(events(), "");
	teardown();
}
END_TEST

/* A refused request inside leaves no trace, not even an event. */
START_TEST(test_txn_failed_request)
{
	struct txn *t;

	setup();
	mk(&dom0, NULL, "/home");
	set(&dom0, NULL, "/home", "n5");
	quota_account(&quota, GUEST)->limit[QUOTA_NODE_SIZE] = 3;
	quota_account(&quota, GUEST)->limit[QUOTA_NODES] = 2;
	wr(&guest, NULL, "/home/k", "old");
	events();
	t = begin(&guest);
	ck_assert_int_eq(wr(&guest, t, "/home/k", "long"), ENOSPC);
	ck_assert_int_eq(wr(&guest, t, "/home/n", ""), ENOSPC);
	ck_assert_int_eq(rm(&guest, t, "/elsewhere"), EACCES);
	ck_assert_int_eq(end(&guest, t), 0);
	ck_assert_str_eq(events(), "");
	ck_assert_str_eq(val(&guest, NULL, "/home/k"), "old");
	teardown();
}
END_TEST

START_TEST(test_txn_parallel_children)
{
	struct txn *t, *u, *v;

	setup();
	mk(&dom0, NULL, "/d");
	t = begin(&dom0);
	u = begin(&dom0);
	v = begin(&dom0);
	mk(&dom0, t, "/d/t");
	mk(&dom0, u, "/d/u");
	mk(&dom0, v, "/d/v");
	ls(&dom0, v, "/d");
	ck_assert_int_eq(end(&dom0, t), 0);
	ck_assert_int_eq(end(&dom0, u), 0);
	ck_assert_int_eq(end(&dom0, v), EAGAIN); /* it had listed them */
	ck_assert_int_eq(rd(&dom0, NULL, "/d/t"), 0);
	ck_assert_int_eq(rd(&dom0, NULL, "/d/u"), 0);
	teardown();
}
END_TEST

START_TEST(test_txn_parent_goes)
{
	struct txn *t;

	setup();
	mk(&dom0, NULL, "/d");
	t = begin(&dom0);
	mk(&dom0, t, "/d/t");
	rm(&dom0, NULL, "/d");
	ck_assert_int_eq(end(&dom0, t), EAGAIN);
	t = begin(&dom0);
	mk(&dom0, t, "/d/t");
	mk(&dom0, NULL, "/d"); /* made outside what was made inside */
	ck_assert_int_eq(end(&dom0, t), EAGAIN);
	t = begin(&dom0);
	mk(&dom0, t, "/d/t");
	set(&dom0, NULL, "/d", "n5"); /* the new node would have had other permissions */
	ck_assert_int_eq(end(&dom0, t), EAGAIN);
	teardown();
}
END_TEST

START_TEST(test_txn_special)
{
	struct txn *t;

	setup();
	t = begin(&dom0);
	set(&dom0, t, "@introduceDomain", "n0,r5");
	ck_assert_str_eq(perms(&dom0, t, "@introduceDomain"), "n0,r5");
	ck_assert_str_eq(perms(&dom0, NULL, "@introduceDomain"), "n0");
	ck_assert_int_eq(end(&dom0, t), 0);
	ck_assert_str_eq(perms(&guest, NULL, "@introduceDomain"), "n0,r5");
	ck_assert_str_eq(perms(&other, NULL, "@introduceDomain"), "(error)");
	t = begin(&dom0);
	set(&dom0, t, "@introduceDomain", "n0,r6");
	set(&dom0, NULL, "@introduceDomain", "n0");
	ck_assert_int_eq(end(&dom0, t), EAGAIN);
	ck_assert_int_eq(set(&guest, NULL, "@releaseDomain", "b5"), EACCES);
	ck_assert_int_eq(set(&dom0, NULL, "@noSuch", "n0"), ENOENT);
	teardown();
}
END_TEST

/* XSA-272: every way to make a node counts, and counts the same. */
START_TEST(test_quota_nodes)
{
	char path[64];
	int i;

	setup();
	mk(&dom0, NULL, "/home");
	set(&dom0, NULL, "/home", "n5");
	for (i = 1; i < 1000; i++) {
		snprintf(path, sizeof(path), "/home/%d", i);
		ck_assert_int_eq(i % 2 ? wr(&guest, NULL, path, "") : mk(&guest, NULL, path), 0);
	}
	ck_assert_int_eq(wr(&guest, NULL, "/home/x", ""), ENOSPC);
	ck_assert_int_eq(mk(&guest, NULL, "/home/x"), ENOSPC);
	ck_assert_int_eq(mk(&dom0, NULL, "/home/x"), 0); /* domain 0 may, and it counts */
	ck_assert_int_eq(rm(&guest, NULL, "/home/1"), 0);
	ck_assert_int_eq(wr(&guest, NULL, "/home/y", ""), ENOSPC);
	ck_assert_int_eq(rm(&guest, NULL, "/home/2"), 0);
	ck_assert_int_eq(mk(&guest, NULL, "/home/y/z"), ENOSPC);
	ck_assert_int_eq(mk(&guest, NULL, "/home/y"), 0);
	teardown();
}
END_TEST

START_TEST(test_quota_nodes_txn)
{
	struct txn *t, *u;

	setup();
	mk(&dom0, NULL, "/home");
	set(&dom0, NULL, "/home", "n5");
	guest.account->limit[QUOTA_NODES] = 3;
	t = begin(&guest);
	u = begin(&guest);
	mk(&guest, t, "/home/1/2");
	ck_assert_int_eq(mk(&guest, t, "/home/3"), ENOSPC);
	ck_assert_int_eq(mk(&guest, u, "/home/4"), 0);
	ck_assert_int_eq(end(&guest, t), 0);
	ck_assert_int_eq(end(&guest, u), ENOSPC); /* the commit cannot pass the limit either */
	ck_assert_int_eq(guest.account->nodes.nodes, 3);
	/* XSA-421: create and remove inside */
	t = begin(&guest);
	rm(&guest, t, "/home/1");
	for (int i = 0; i < 10; i++) {
		mk(&guest, t, "/home/a/b");
		rm(&guest, t, "/home/a");
	}
	ck_assert_int_eq(end(&guest, t), 0);
	ck_assert_int_eq(guest.account->nodes.nodes, 1);
	teardown();
}
END_TEST

START_TEST(test_quota_txn_nodes)
{
	struct txn *t;
	char path[32];

	setup();
	mk(&dom0, NULL, "/home");
	set(&dom0, NULL, "/home", "n5");
	guest.account->limit[QUOTA_TRANSACTION_NODES] = 10;
	t = begin(&guest);
	for (int i = 0; i < 10; i++) {
		snprintf(path, sizeof(path), "/home/%d", i);
		ck_assert_int_eq(rd(&guest, t, path), ENOENT);
		ck_assert_int_eq(rd(&guest, t, path), ENOENT);
	}
	ck_assert_int_eq(rd(&guest, t, "/home/x"), ENOSPC);
	ck_assert_int_eq(rd(&guest, t, "/home/9"), ENOENT);
	store_end(&store, &guest, t, false);
	teardown();
}
END_TEST

START_TEST(test_quota_txns_and_memory)
{
	struct txn *t[10], *more;
	char value[2049] = "";
	char path[32];
	int i, r = 0;

	setup();
	mk(&dom0, NULL, "/home");
	set(&dom0, NULL, "/home", "n5");
	for (i = 0; i < 10; i++)
		t[i] = begin(&guest);
	ck_assert_int_eq(store_begin(&store, &guest, 1, &more), ENOSPC);
	memset(value, 'v', 2048);
	for (i = 0; i < 10000 && !r; i++) {
		snprintf(path, sizeof(path), "/home/%d", i % 100);
		r = wr(&guest, t[i / 100 % 10], path, value);
	}
	ck_assert_int_eq(r, 0); /* the same nodes again cost nothing more */
	guest.account->limit[QUOTA_MEMORY] = 3 * 100 * 2048;
	ck_assert_int_eq(wr(&guest, t[0], "/home/x", value), ENOSPC);
	for (i = 0; i < 10; i++)
		store_end(&store, &guest, t[i], false);
	ck_assert_int_eq(guest.account->bytes, 0);
	ck_assert_uint_eq(guest.account->transactions, 0);
	ck_assert_int_eq(wr(&guest, NULL, "/home/x", value), 0);
	teardown();
}
END_TEST

START_TEST(test_repeatable)
{
	struct txn *t;

	setup();
	wr(&dom0, NULL, "/k", "old");
	t = begin(&dom0);
	wr(&dom0, NULL, "/k", "new");
	ck_assert_str_eq(val(&dom0, t, "/k"),
			 "old"); /* as it was at the start, so it cannot commit */
	ck_assert_int_eq(end(&dom0, t), EAGAIN);
	ck_assert_str_eq(val(&dom0, NULL, "/k"), "new");
	teardown();
}
END_TEST

/* A guest that leaves transactions open does not keep everything that ever was. */
START_TEST(test_old_versions)
{
	static char value[4000];
	char path[32];
	struct txn *t[10], *zero;
	size_t most = 0;

	setup();
	memset(value, 'v', sizeof(value) - 1);
	zero = begin(&dom0);
	for (int i = 0; i < 10; i++) {
		t[i] = begin(&guest);
		for (int k = 0; k < 4000; k++) { /* 16 MB each time */
			snprintf(path, sizeof(path), "/k/%d", k);
			wr(&dom0, NULL, path, value);
		}
		if (store.heap.bytes > most)
			most = store.heap.bytes;
	}
	/* of ten old versions a few are left, the youngest */
	ck_assert_uint_lt(most, (64u << 20) + 3 * (17u << 20) + (20u << 20));
	ck_assert(t[0]->lost && !t[9]->lost && !zero->lost);
	ck_assert_int_eq(end(&guest, t[0]), EAGAIN);
	ck_assert_int_eq(end(&guest, t[9]), 0);
	for (int i = 1; i < 9; i++)
		store_end(&store, &guest, t[i], false);
	store_end(&store, &dom0, zero, false);
	teardown();
}
END_TEST

UNIT_MAIN("xs-store", test_errors_hide, test_rm_errors, test_owner_of_new, test_set_perms,
	  test_void_entries, test_forget_domain, test_forget_owner_of_root, test_forget_during_txn,
	  test_target, test_fire, test_txn_events, test_txn_failed_request,
	  test_txn_parallel_children, test_txn_parent_goes, test_txn_special, test_quota_nodes,
	  test_quota_nodes_txn, test_quota_txn_nodes, test_quota_txns_and_memory, test_repeatable,
	  test_old_versions)
