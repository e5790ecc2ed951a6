/* SPDX-License-Identifier: MIT */
/*
 * A hostile page: four indices and what we do with them from the input. Copies stay inside of the page
 * and of the buffer, no more than a ring is moved, impossible indices move nothing.
 * Planted: a larger bound on what a request ring can hold was found in 1 s.
 */
#include "config.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/xen.h"
#include "xenstored/ring.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void try_read(struct xenstore_domain_interface *p, size_t len)
{
	const uint32_t cons = p->req_cons, have = p->req_prod - cons;
	char *buf = malloc(len ? len : 1);
	const int n = ring_read(p, buf, len);

	check(n == -EPROTO || ((size_t)n <= len && (uint32_t)n <= have && have <= RING_BYTES));
	check(p->req_cons == cons + (n > 0 ? (uint32_t)n : 0));
	for (int i = 0; i < n; i++)
		check(buf[i] == p->req[(cons + (uint32_t)i) % RING_BYTES]);
	free(buf);
}

static void try_write(struct xenstore_domain_interface *p, size_t len)
{
	const uint32_t prod = p->rsp_prod, used = prod - p->rsp_cons;
	char *buf = malloc(len ? len : 1);
	int n;

	memset(buf, 'w', len);
	n = ring_write(p, buf, len);
	check(n == -EPROTO || ((size_t)n <= len && (uint32_t)n <= RING_BYTES - used));
	check(p->rsp_prod == prod + (n > 0 ? (uint32_t)n : 0));
	for (int i = 0; i < n; i++)
		check(p->rsp[(prod + (uint32_t)i) % RING_BYTES] == 'w');
	free(buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static _Alignas(4096) char page[XEN_PAGE_SIZE];
	struct xenstore_domain_interface *p = (void *)page;
	struct {
		uint32_t indices[4];
		uint16_t len;
	} in = { 0 };

	memcpy(&in, data, size < sizeof(in) ? size : sizeof(in));
	for (size_t i = 0; i < RING_BYTES; i++)
		p->req[i] = (char)i;
	p->req_cons = in.indices[0];
	p->req_prod = in.indices[1];
	p->rsp_cons = in.indices[2];
	p->rsp_prod = in.indices[3];
	if (ring_check(p) == 0)
		check(p->req_prod - p->req_cons <= RING_BYTES &&
		      p->rsp_prod - p->rsp_cons <= RING_BYTES);
	try_read(p, in.len % 3000);
	try_write(p, in.len % 3000);
	if (in.len & 1)
		ring_drain(p);
	else
		ring_reset(p);
	check(ring_check(p) == 0);
	ring_set_error(p, in.len);
	ring_set_features(p, in.len);
	if (ring_wants_reconnect(p))
		ring_set_connected(p);
	check(page[sizeof(page) - 1] == 0 && page[sizeof(*p)] == 0);
	return 0;
}
