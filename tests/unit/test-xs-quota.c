/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "tests/support/unit.h"
#include "xenstored/quota.h"

static unsigned int told;

static void on_refused(void *data, const struct account *a, enum quota_item item, uint64_t value)
{
	told++;
}

static void setup(struct quota *q)
{
	quota_init(q);
	q->refused = on_refused;
	told = 0;
}

/* A limit of N lets N pass and refuses N + 1, for every item. */
START_TEST(test_exact)
{
	struct quota q;
	struct account *a;

	setup(&q);
	a = quota_account(&q, 5);
	for (int i = 0; i < QUOTA_ITEMS; i++) {
		const enum quota_item item = (enum quota_item)i;

		ck_assert_int_eq(quota_check(&q, a, item, a->limit[i]), 0);
		ck_assert_int_eq(quota_check(&q, a, item, a->limit[i] + 1ull), ENOSPC);
	}
	quota_fini(&q);
}
END_TEST

START_TEST(test_defaults)
{
	struct quota q;

	setup(&q);
	ck_assert_uint_eq(quota_account(&q, 5)->limit[QUOTA_NODES], 1000);
	ck_assert_uint_eq(quota_account(&q, 5)->limit[QUOTA_WATCHES], 128);
	ck_assert_uint_eq(quota_account(&q, 5)->limit[QUOTA_TRANSACTIONS], 10);
	ck_assert_uint_eq(quota_account(&q, 0)->limit[QUOTA_NODES], 0);
	ck_assert_int_eq(quota_check(&q, quota_account(&q, 0), QUOTA_NODES, UINT64_MAX), 0);
	ck_assert_int_eq(quota_check_bytes(&q, quota_account(&q, 0), INT64_MAX), 0);
	quota_fini(&q);
}
END_TEST

START_TEST(test_changed_limits)
{
	struct quota q;
	struct account *old, *new;

	setup(&q);
	old = quota_account(&q, 5);
	q.limit[QUOTA_GUEST][QUOTA_NODES] = 7;
	new = quota_account(&q, 6);
	ck_assert_uint_eq(old->limit[QUOTA_NODES], 1000);
	ck_assert_uint_eq(new->limit[QUOTA_NODES], 7);
	quota_set_kind(&q, new, QUOTA_SERVICE);
	ck_assert_uint_gt(new->limit[QUOTA_NODES], 1000);
	quota_fini(&q);
}
END_TEST

START_TEST(test_told_once)
{
	struct quota q;
	struct account *a;

	setup(&q);
	a = quota_account(&q, 5);
	for (int i = 0; i < 3; i++)
		quota_check(&q, a, QUOTA_NODES, 5000);
	ck_assert_uint_eq(told, 1);
	quota_check(&q, a, QUOTA_WATCHES, 5000);
	ck_assert_uint_eq(told, 2);
	quota_forget(&q, 5);
	quota_check(&q, quota_account(&q, 5), QUOTA_NODES, 5000);
	ck_assert_uint_eq(told, 3);
	quota_fini(&q);
}
END_TEST

START_TEST(test_bytes)
{
	struct quota q;
	struct account *a;

	setup(&q);
	a = quota_account(&q, 5);
	a->limit[QUOTA_MEMORY] = 100;
	a->limit[QUOTA_SOFT_MEMORY] = 50;
	a->nodes.bytes = 40;
	a->bytes = 10;
	ck_assert_int_eq(quota_check_bytes(&q, a, 0), 0);
	ck_assert_uint_eq(told, 0);
	ck_assert_int_eq(quota_check_bytes(&q, a, 50), 0); /* over the soft limit: told, allowed */
	ck_assert_uint_eq(told, 1);
	ck_assert_int_eq(quota_check_bytes(&q, a, 51), ENOSPC);
	ck_assert_int_eq(quota_check_bytes(&q, a, -1000), 0);
	ck_assert_uint_eq(account_used(a, QUOTA_MEMORY), 50);
	quota_fini(&q);
}
END_TEST

/* XSA-483: what is still counted stays counted, what is not starts afresh. */
START_TEST(test_forget)
{
	struct quota q;

	setup(&q);
	quota_account(&q, 5)->limit[QUOTA_NODES] = 3;
	quota_forget(&q, 5);
	ck_assert_ptr_null(quota_known(&q, 5));
	quota_account(&q, 5)->nodes.nodes = 2;
	quota_account(&q, 5)->limit[QUOTA_NODES] = 3;
	quota_forget(&q, 5);
	ck_assert_int_eq(quota_known(&q, 5)->nodes.nodes, 2);
	ck_assert_uint_eq(quota_known(&q, 5)->limit[QUOTA_NODES], 1000);
	quota_account(&q, 0);
	quota_forget(&q, 0);
	ck_assert_ptr_nonnull(quota_known(&q, 0));
	quota_fini(&q);
}
END_TEST

START_TEST(test_names)
{
	for (int i = 0; i < QUOTA_ITEMS; i++) {
		const char *name = quota_name((enum quota_item)i);

		ck_assert_int_eq(quota_item_parse(name, strlen(name)), i);
		ck_assert_int_eq(quota_item_parse(name, strlen(name) - 1), -EINVAL);
	}
	ck_assert_int_eq(quota_item_parse("permissions", 11), QUOTA_NODE_PERMISSIONS);
	ck_assert_int_eq(quota_item_parse("", 0), -EINVAL);
}
END_TEST

UNIT_MAIN("xs-quota", test_exact, test_defaults, test_changed_limits, test_told_once, test_bytes,
	  test_forget, test_names)
