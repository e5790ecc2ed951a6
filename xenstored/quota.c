/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "xenstored/quota.h"

static const struct {
	const char *name;
	uint32_t guest, service;
} items[QUOTA_ITEMS] = {
#define X(item, name, guest, service) [QUOTA_##item] = { name, guest, service },
	QUOTA_TABLE(X)
#undef X
};

void quota_init(struct quota *q)
{
	*q = (struct quota){ 0 };
	for (size_t i = 0; i < QUOTA_ITEMS; i++) {
		q->limit[QUOTA_GUEST][i] = items[i].guest;
		q->limit[QUOTA_SERVICE][i] = items[i].service;
	}
}

void quota_fini(struct quota *q)
{
	struct account *a;

	for (uint32_t id = 0; (a = idmap_next(&q->accounts, &id)); id++)
		free(a);
	idmap_fini(&q->accounts);
}

void quota_set_kind(struct quota *q, struct account *a, enum quota_kind kind)
{
	memcpy(a->limit, q->limit[kind], sizeof(a->limit));
}

struct account *quota_known(const struct quota *q, uint16_t domid)
{
	return idmap_get(&q->accounts, domid);
}

struct account *quota_account(struct quota *q, uint16_t domid)
{
	struct account *a = quota_known(q, domid);

	if (a)
		return a;
	a = calloc(1, sizeof(*a));
	if (!a)
		return NULL;
	a->domid = domid;
	quota_set_kind(q, a, domid ? QUOTA_GUEST : QUOTA_CONTROL);
	if (idmap_set(&q->accounts, domid, a) < 0) {
		free(a);
		return NULL;
	}
	return a;
}

/* Something may still be counted, as for a connection that ends later: then only the limits start afresh. */
void quota_forget(struct quota *q, uint16_t domid)
{
	struct account *a = quota_known(q, domid);

	if (!a || !domid)
		return;
	if (a->nodes.nodes || a->nodes.bytes || a->watches || a->transactions || a->bytes) {
		a->refused = 0;
		quota_set_kind(q, a, QUOTA_GUEST);
		return;
	}
	idmap_clear(&q->accounts, domid);
	free(a);
}

static void refuse(struct quota *q, struct account *a, enum quota_item item, uint64_t value)
{
	if (a->refused & 1u << item)
		return;
	a->refused |= 1u << item;
	if (q->refused)
		q->refused(q->data, a, item, value);
}

static bool over(const struct account *a, enum quota_item item, uint64_t value)
{
	return a->limit[item] && value > a->limit[item];
}

int quota_check(struct quota *q, struct account *a, enum quota_item item, uint64_t value)
{
	if (over(a, item, value)) {
		refuse(q, a, item, value);
		return ENOSPC;
	}
	if (a->domid && value > q->max_seen[item])
		q->max_seen[item] = value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
	return 0;
}

uint64_t account_bytes(const struct account *a)
{
	int64_t n = a->bytes + a->nodes.bytes;

	return n > 0 ? (uint64_t)n : 0;
}

int quota_check_bytes(struct quota *q, struct account *a, int64_t more)
{
	int64_t n = (int64_t)account_bytes(a) + more;
	uint64_t value = n > 0 ? (uint64_t)n : 0;

	if (over(a, QUOTA_SOFT_MEMORY, value))
		refuse(q, a, QUOTA_SOFT_MEMORY, value);
	return quota_check(q, a, QUOTA_MEMORY, value);
}

uint64_t account_used(const struct account *a, enum quota_item item)
{
	switch (item) {
	case QUOTA_NODES:
		return a->nodes.nodes > 0 ? (uint64_t)a->nodes.nodes : 0;
	case QUOTA_WATCHES:
		return a->watches;
	case QUOTA_TRANSACTIONS:
		return a->transactions;
	case QUOTA_MEMORY:
		return account_bytes(a);
	default:
		return 0;
	}
}

const char *quota_name(enum quota_item item)
{
	return items[item].name;
}

int quota_item_parse(const char *name, size_t len)
{
	static const char alias[] = "permissions"; /* the document's name */

	for (int i = 0; i < QUOTA_ITEMS; i++)
		if (strlen(items[i].name) == len && !memcmp(items[i].name, name, len))
			return i;
	if (len == sizeof(alias) - 1 && !memcmp(name, alias, len))
		return QUOTA_NODE_PERMISSIONS;
	return -EINVAL;
}
