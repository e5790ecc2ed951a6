/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "common/xen.h"
#include "xenstored/ring.h"

_Static_assert(RING_BYTES == XENSTORE_RING_SIZE, "ring");
_Static_assert(RING_ERROR_PROTOCOL == XENSTORE_ERROR_PROTO, "errors");

typedef struct xenstore_domain_interface page_t;

static uint32_t load(const uint32_t *field)
{
	return __atomic_load_n(field, __ATOMIC_ACQUIRE);
}

static void store(uint32_t *field, uint32_t v)
{
	__atomic_store_n(field, v, __ATOMIC_RELEASE);
}

static size_t min(size_t a, size_t b)
{
	return a < b ? a : b;
}

int ring_peek(const void *page, void *buf, size_t len, uint32_t *ret_behind)
{
	const page_t *p = page;
	const uint32_t cons = load(&p->req_cons), have = load(&p->req_prod) - cons;
	const size_t at = MASK_XENSTORE_IDX(cons), n = min(have, len);
	const size_t first = min(n, RING_BYTES - at);

	if (have > RING_BYTES)
		return -EPROTO;
	memcpy(buf, p->req + at, first);
	memcpy((char *)buf + first, p->req, n - first);
	*ret_behind = cons + (uint32_t)n;
	return (int)n;
}

void ring_set_consumed(void *page, uint32_t position)
{
	store(&((page_t *)page)->req_cons, position);
}

uint32_t ring_consumed(const void *page)
{
	return load(&((const page_t *)page)->req_cons);
}

uint32_t ring_position(const void *page)
{
	return load(&((const page_t *)page)->rsp_prod);
}

int ring_read(void *page, void *buf, size_t len)
{
	uint32_t behind;
	const int n = ring_peek(page, buf, len, &behind);

	if (n > 0)
		ring_set_consumed(page, behind);
	return n;
}

int ring_write(void *page, const void *buf, size_t len)
{
	page_t *p = page;
	const uint32_t prod = load(&p->rsp_prod), used = prod - load(&p->rsp_cons);
	const size_t at = MASK_XENSTORE_IDX(prod), n = min(RING_BYTES - used, len);
	const size_t first = min(n, RING_BYTES - at);

	if (used > RING_BYTES)
		return -EPROTO;
	memcpy(p->rsp + at, buf, first);
	memcpy(p->rsp, (const char *)buf + first, n - first);
	store(&p->rsp_prod, prod + (uint32_t)n);
	return (int)n;
}

int ring_check(const void *page)
{
	const page_t *p = page;
	const uint32_t req = load(&p->req_prod) - load(&p->req_cons);
	const uint32_t rsp = load(&p->rsp_prod) - load(&p->rsp_cons);

	return req > RING_BYTES || rsp > RING_BYTES ? -EPROTO : 0;
}

void ring_reset(void *page)
{
	page_t *p = page;

	store(&p->req_cons, 0);
	store(&p->req_prod, 0);
	store(&p->rsp_cons, 0);
	store(&p->rsp_prod, 0);
	store(&p->error, RING_ERROR_NONE);
	store(&p->connection, XENSTORE_CONNECTED);
}

void ring_drain(void *page)
{
	page_t *p = page;

	store(&p->req_cons, load(&p->req_prod));
	store(&p->rsp_cons, load(&p->rsp_prod));
	store(&p->error, RING_ERROR_NONE);
}

bool ring_wants_reconnect(const void *page)
{
	return load(&((const page_t *)page)->connection) == XENSTORE_RECONNECT;
}

void ring_set_connected(void *page)
{
	store(&((page_t *)page)->connection, XENSTORE_CONNECTED);
}

void ring_set_features(void *page, uint32_t features)
{
	store(&((page_t *)page)->server_features, features);
}

void ring_set_error(void *page, uint32_t error)
{
	store(&((page_t *)page)->error, error);
}
