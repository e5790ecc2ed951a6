/* SPDX-License-Identifier: MIT */
/*
 * A whole Xenstore in one process, over the library's in-process host: domain 0 as a client, and guests that
 * are played on their rings. One set of them per program.
 */
#ifndef TESTS_SUPPORT_XS_GUEST_H
#define TESTS_SUPPORT_XS_GUEST_H

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <check.h>
#include <event2/event.h>

#include "common/log.h"
#include "common/xen.h"
#include "libxenhost/transport_fake.h"
#include "tests/support/xs_client.h"

#define GUEST 5

static struct server server;
static struct xs_client zero;

struct guest {
	uint16_t domid;
	struct fake_domain *d;
	struct fake_end port;
	struct xenstore_domain_interface *page;
};

static struct guest guest;

/* lets the daemon do all there is to do */
static inline void turn(void)
{
	for (int i = 0; i < 6; i++)
		ck_assert_int_ge(event_base_loop(server.base, EVLOOP_NONBLOCK), 0);
	server_settle(&server);
}

/* a guest that the host knows and the store does not yet */
static inline void guest_new(struct guest *g, uint16_t domid)
{
	g->domid = domid;
	ck_assert_int_eq(fake_domain_new(domains_host(&server), domid, 4, &g->d), 0);
	fake_grant(g->d, 1, 2, 0, false);
	g->page = fake_page(g->d, 2);
	ck_assert_int_eq(fake_port_offer(g->d, &g->port), 0);
}

static inline int introduce(const struct guest *g)
{
	const int r = domain_introduce(&server, g->domid, g->port.port);

	turn();
	return r;
}

static inline void setup(void)
{
	log_open("test", (enum log_level)0);
	service_table_init(&server.services);
	server.base = event_base_new();
	server.host_uri = "fake:";
	ck_assert_int_eq(server_open(&server), 0);
	xs_client_open(&zero, &server, 0);
	guest_new(&guest, GUEST);
}

static inline void teardown(void)
{
	xs_client_close(&zero);
	server_close(&server);
	event_base_free(server.base);
	memset(&server, 0, sizeof(server));
}

static inline void kick(const struct guest *g)
{
	const uint64_t one = 1;

	ck_assert_int_eq(write(g->port.notify_fd, &one, sizeof(one)), sizeof(one));
	turn();
}

/* puts bytes where the guest's driver would; there is room */
static inline void put(struct guest *g, const void *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		g->page->req[MASK_XENSTORE_IDX(g->page->req_prod + i)] = ((const char *)data)[i];
	g->page->req_prod += (uint32_t)len;
}

static inline void request(struct guest *g, uint32_t type, const char *payload, size_t len)
{
	const struct wire_header h = { type, 1, 0, (uint32_t)len };

	put(g, &h, sizeof(h));
	put(g, payload, len);
	kick(g);
}

#define SEND(g, type, payload) request(g, type, payload, sizeof(payload) - 1)

/* all that comes, also what comes in pieces; "type:payload ", '|' for NUL */
static inline const char *got(struct guest *g)
{
	static char bytes[1 << 18], text[1 << 19];
	size_t n = 0, at = 0, out = 0;

	while (g->page->rsp_prod != g->page->rsp_cons) {
		while (g->page->rsp_prod != g->page->rsp_cons)
			bytes[n++] = g->page->rsp[MASK_XENSTORE_IDX(g->page->rsp_cons++)];
		kick(g);
	}
	while (at < n) {
		struct wire_header h;

		memcpy(&h, bytes + at, sizeof(h));
		at += sizeof(h);
		out += (size_t)sprintf(text + out, "%u:", h.type);
		for (uint32_t i = 0; i < h.len; i++, at++)
			text[out++] = bytes[at] ? bytes[at] : '|';
		text[out++] = ' ';
	}
	text[out] = 0;
	return text;
}

/* a request of domain 0: its answer and events in the same form */
static inline const char *ask(uint32_t type, const char *payload, size_t len)
{
	static char text[16384];
	struct wire_header h = { type, 1, 0, (uint32_t)len };
	char buf[WIRE_HEADER_SIZE + WIRE_PAYLOAD_MAX];
	size_t out = 0;

	memcpy(buf, &h, sizeof(h));
	memcpy(buf + sizeof(h), payload, len);
	xs_client_send(&zero, buf, sizeof(h) + len);
	for (size_t at = 0; at < zero.nr_got;) {
		memcpy(&h, zero.got + at, sizeof(h));
		at += sizeof(h);
		out += (size_t)sprintf(text + out, "%u:", h.type);
		for (uint32_t i = 0; i < h.len; i++, at++)
			text[out++] = zero.got[at] ? zero.got[at] : '|';
		text[out++] = ' ';
	}
	text[out] = 0;
	zero.nr_got = 0;
	return text;
}

#define ASK(type, payload) ask(type, payload, sizeof(payload) - 1)

static inline void serve(void)
{
	ck_assert_int_eq(introduce(&guest), 0);
	ASK(WIRE_MKDIR, "/local/domain/5\0");
	ASK(WIRE_SET_PERMS, "/local/domain/5\0n5\0");
}

static inline bool introduced(void)
{
	return !strcmp(ASK(WIRE_IS_DOMAIN_INTRODUCED, "5\0"), "17:T| ");
}

#endif
