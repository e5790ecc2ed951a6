/* SPDX-License-Identifier: MIT */
/*
 * Three clients of one store, in one process and without sockets: domain 0 and two others. The input is
 * a row of requests: client, type, transaction, length, payload. After it the accounts must agree with
 * the store, and when the clients are gone nothing may be left.
 * Planted: counting only three of the nodes that one request creates was found in 1 s.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "tests/support/xs_client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CLIENTS 3

static const uint16_t domids[CLIENTS] = { 0, 32000, 32001 };

struct record {
	uint8_t client; /* 0..2; + 0x80: the bytes are no message but go in as they are; + 0x40: reads slowly */
	uint8_t type;
	uint8_t tx;
	uint8_t len;
};

static void send_record(struct xs_client *x, const struct record *r, const uint8_t *payload)
{
	char buf[WIRE_HEADER_SIZE + UINT8_MAX];
	const struct wire_header h = { r->type, 7, r->tx & 7u, r->len };

	x->room = r->client & 0x40 ? 40 : SIZE_MAX / 2;
	if (r->client & 0x80) {
		xs_client_send(x, payload, r->len);
		return;
	}
	memcpy(buf, &h, sizeof(h));
	memcpy(buf + sizeof(h), payload, r->len);
	xs_client_send(x, buf, sizeof(h) + r->len);
}

/* Its connection ends and it comes again, with nothing of what it had. */
static void come_again(struct server *s, struct xs_client *x, uint16_t domid)
{
	xs_client_close(x);
	if (domid) {
		store_forget_domain(&s->store, domid);
		domain_find(s, domid)->caller.account = quota_account(&s->quota, domid);
	}
	xs_client_open(x, s, domid);
}

static void run(struct server *s, struct xs_client *clients, const uint8_t *data, size_t size)
{
	struct record r;

	while (size >= sizeof(r)) {
		const size_t i = (data[0] & 0x3f) % CLIENTS;

		memcpy(&r, data, sizeof(r));
		data += sizeof(r);
		size -= sizeof(r);
		if (r.len > size)
			r.len = (uint8_t)size;
		if (r.type == 0xff || clients[i].ended)
			come_again(s, &clients[i], domids[i]);
		else
			send_record(&clients[i], &r, data);
		clients[i].nr_got = 0;
		data += r.len;
		size -= r.len;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct server server;
	struct xs_client clients[CLIENTS];
	char text[256];

	log_open("fuzz", (enum log_level)0);
	memset(&server, 0, offsetof(struct server, scratch));
	server.fixed_seed = 1;
	service_table_init(&server.services);
	if (server_open(&server) < 0)
		abort();
	for (size_t i = 0; i < CLIENTS; i++)
		xs_client_open(&clients[i], &server, domids[i]);
	run(&server, clients, data, size);
	store_check(&server.store, text, sizeof(text));
	if (text[0])
		abort();
	for (size_t i = 0; i < CLIENTS; i++)
		xs_client_close(&clients[i]);
	if (server.watches.watches.nr || server.watches.nodes.nr || !list_empty(&server.store.txns))
		abort();
	server_close(&server);
	if (server.store.heap.bytes)
		abort();
	return 0;
}
