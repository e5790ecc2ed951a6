/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>

#include "common/xen.h"
#include "hypercall-bridge/vmm/conring.h"

static uint32_t load(const XENCONS_RING_IDX *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

int conring_peek(const void *page, char *buf, size_t size)
{
	const struct xencons_interface *ring = page;
	uint32_t cons = load(&ring->out_cons);
	uint32_t level = load(&ring->out_prod) - cons;
	size_t n = 0;

	if (level > sizeof(ring->out))
		return -EPROTO;
	for (; n < level && n < size; n++)
		buf[n] = ring->out[(cons + n) % sizeof(ring->out)];
	return (int)n;
}

void conring_consume(void *page, size_t len)
{
	struct xencons_interface *ring = page;

	/* full barrier: the guest may only reuse what was read */
	__atomic_fetch_add(&ring->out_cons, (uint32_t)len, __ATOMIC_SEQ_CST);
}

int conring_put(void *page, const char *buf, size_t len)
{
	struct xencons_interface *ring = page;
	uint32_t prod = load(&ring->in_prod);
	uint32_t level = prod - load(&ring->in_cons);
	size_t n = 0;

	if (level > sizeof(ring->in))
		return -EPROTO;
	for (; n < len && level + n < sizeof(ring->in); n++)
		ring->in[(prod + n) % sizeof(ring->in)] = buf[n];
	__atomic_store_n(&ring->in_prod, prod + (uint32_t)n, __ATOMIC_RELEASE);
	return (int)n;
}
