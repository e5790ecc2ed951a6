/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "netbackd/mcast.h"

#define PRESENT (1ull << 63)
#define BROADCAST 0xffffffffffffull

static uint64_t number(const uint8_t *address)
{
	uint64_t n = 0;

	for (int i = 0; i < 6; i++)
		n = n << 8 | address[i];
	return n;
}

static int find(const struct mcast *m, uint64_t value)
{
	for (unsigned int i = 0; i < MCAST_MAX; i++)
		if (atomic_load_explicit(&m->list[i], memory_order_relaxed) == value)
			return (int)i;
	return -ENOENT;
}

void mcast_clear(struct mcast *m)
{
	for (unsigned int i = 0; i < MCAST_MAX; i++)
		atomic_store(&m->list[i], 0);
}

/* Two threads that add one address at once leave it twice; removing takes both. */
int mcast_add(struct mcast *m, const uint8_t *address)
{
	uint64_t value = number(address) | PRESENT;

	if (!(address[0] & 1))
		return -EINVAL;
	if (find(m, value) >= 0)
		return 0;
	for (unsigned int i = 0; i < MCAST_MAX; i++) {
		uint64_t none = 0;

		if (atomic_compare_exchange_strong(&m->list[i], &none, value))
			return 0;
	}
	return -ENOSPC;
}

int mcast_remove(struct mcast *m, const uint8_t *address)
{
	uint64_t value = number(address) | PRESENT;
	int r = -ENOENT;

	for (unsigned int i = 0; i < MCAST_MAX; i++) {
		uint64_t old = value;

		if (atomic_compare_exchange_strong(&m->list[i], &old, 0))
			r = 0;
	}
	return r;
}

bool mcast_wanted(const struct mcast *m, const uint8_t *address)
{
	uint64_t value = number(address);

	return !(address[0] & 1) || value == BROADCAST || find(m, value | PRESENT) >= 0;
}
