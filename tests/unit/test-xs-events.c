/* SPDX-License-Identifier: MIT */
/*
 * Random requests of eight clients that come and go, each with watches: who is told what, against the
 * rules read off the whole store before and after each request. No transactions: test-xs-model.c has
 * what is fired then.
 *
 * XS_EVENTS_SEEDS: how many runs, XS_EVENTS_SEED: the first one's seed (as a failure prints it).
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "tests/support/unit.h"
#include "tests/support/xs_client.h"

#define KIDS 3
#define PATHS 40 /* 1 + 3 + 9 + 27 */
#define CLIENTS 8
#define WATCHES 6 /* of one client */
#define STEPS 3000

struct expectation {
	int path;  /* -1: no watch here */
	int depth; /* -1: any */
	unsigned int token;
};

static const uint16_t domids[CLIENTS] = { 0, 32000, 32001, 0, 32000, 32001, 0, 32000 };

static struct server server;
static struct xs_client clients[CLIENTS];
static struct expectation watches[CLIENTS][WATCHES];
static char paths[PATHS][16];
static unsigned int last_token;
static uint64_t rng;
static char what[128];

static unsigned int rnd(unsigned int n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (unsigned int)(rng >> 33) % n;
}

static int up(int id)
{
	return (id - 1) / KIDS;
}

/* how far id is below top, -1 if it is not */
static int below(int id, int top)
{
	int n = 0;

	for (; id > top; n++)
		id = up(id);
	return id == top ? n : -1;
}

static void make_paths(void)
{
	strcpy(paths[0], "/");
	for (int i = 1; i < PATHS; i++)
		sprintf(stpcpy(paths[i], i > KIDS ? paths[up(i)] : ""), "/%c",
			'a' + (i - 1) % KIDS);
}

static const struct node *node_in(struct node *version, int id)
{
	return tree_get(&server.store.heap, version, paths[id], strlen(paths[id]));
}

/* may the client know of that node in this version of the store? */
static bool sees(struct node *version, int id, int c)
{
	const struct perm_who *who = &clients[c].conn.domain->caller.who;
	const struct node *n = node_in(version, id);

	return n && ((perms_rights(n->perms, who) & PERM_READ) ||
		     (id && (perms_rights(node_in(version, up(id))->perms, who) & PERM_READ)));
}

/* the event that one watch should give for a change, -1: none */
static int expected(const struct expectation *w, int c, int id, struct node *old, bool removed)
{
	const int n = below(id, w->path);

	if (n >= 0 && (w->depth < 0 || n <= w->depth))
		return sees(old, id, c) || sees(server.store.root, id, c) ? id : -1;
	if (removed && n < 0 && below(w->path, id) > 0 && sees(old, w->path, c))
		return w->path;
	return -1;
}

static void request(int c, uint32_t type, const char *payload, size_t len)
{
	const struct wire_header h = { type, 1, 0, (uint32_t)len };
	char buf[WIRE_HEADER_SIZE + 256];

	memcpy(buf, &h, sizeof(h));
	memcpy(buf + sizeof(h), payload, len);
	xs_client_send(&clients[c], buf, sizeof(h) + len);
}

/* Takes the next message of a client; its payload, or NULL. */
static const char *take(int c, size_t *at, uint32_t *ret_type)
{
	struct wire_header h;
	const char *payload;

	if (*at == clients[c].nr_got)
		return NULL;
	memcpy(&h, clients[c].got + *at, sizeof(h));
	payload = clients[c].got + *at + sizeof(h);
	*at += sizeof(h) + h.len;
	*ret_type = h.type;
	return payload;
}

static struct expectation *by_token(int c, unsigned int token)
{
	for (int i = 0; i < WATCHES; i++)
		if (watches[c][i].path >= 0 && watches[c][i].token == token)
			return &watches[c][i];
	return NULL;
}

/* What a client got: each event was expected, and all that were. */
static void check_client(int c, int id, struct node *old, bool removed)
{
	const char *payload;
	size_t at = 0;
	uint32_t type;
	int due = 0;

	for (int i = 0; i < WATCHES; i++)
		due += watches[c][i].path >= 0 && id >= 0 &&
		       expected(&watches[c][i], c, id, old, removed) >= 0;
	while ((payload = take(c, &at, &type))) {
		const struct expectation *w;

		if (type != WIRE_WATCH_EVENT)
			continue;
		w = by_token(c, (unsigned int)atoi(payload + strlen(payload) + 1));
		ck_assert_msg(w && id >= 0, "%s: client %d got %s", what, c, payload);
		ck_assert_msg(expected(w, c, id, old, removed) >= 0 &&
				      !strcmp(payload, paths[expected(w, c, id, old, removed)]),
			      "%s: client %d, watch of %s, got %s", what, c, paths[w->path],
			      payload);
		due--;
	}
	ck_assert_msg(due == 0, "%s: client %d lacks %d events", what, c, due);
	clients[c].nr_got = 0;
}

/* the answer to the request that client c has just sent */
static bool was_done(int c)
{
	const char *payload;
	size_t at = 0;
	uint32_t type;

	while ((payload = take(c, &at, &type)))
		if (type != WIRE_WATCH_EVENT)
			return type != WIRE_ERROR;
	ck_abort_msg("%s: no answer", what);
	return false;
}

static size_t random_perms(char *out)
{
	static const char letters[] = "nrwb";
	const int nr = 1 + (int)rnd(3);
	size_t n = 0;

	for (int i = 0; i < nr; i++)
		n += (size_t)sprintf(out + n, "%c%u", letters[rnd(4)], domids[rnd(3)]) + 1;
	return n;
}

static void change(int c)
{
	static const uint32_t types[] = { WIRE_WRITE, WIRE_MKDIR, WIRE_RM, WIRE_SET_PERMS };
	const uint32_t type = types[rnd(4)];
	const int id = (int)rnd(PATHS);
	struct node *old = node_get(server.store.root);
	const bool there = node_in(old, id) != NULL;
	char payload[64];
	size_t n = (size_t)sprintf(payload, "%s", paths[id]) + 1;
	bool fires;

	if (type == WIRE_SET_PERMS)
		n += random_perms(payload + n);
	snprintf(what + strlen(what), sizeof(what) - strlen(what), "client %d type %u %s", c, type,
		 paths[id]);
	request(c, type, payload, n);
	fires = was_done(c) && (type == WIRE_WRITE || type == WIRE_SET_PERMS ||
				(type == WIRE_MKDIR ? !there : there));
	for (int i = 0; i < CLIENTS; i++)
		check_client(i, fires ? id : -1, old, type == WIRE_RM);
	node_put(&server.store.heap, old);
}

static void watch(int c)
{
	struct expectation *w = &watches[c][rnd(WATCHES)];
	char payload[64];
	int n;

	if (w->path >= 0) {
		n = sprintf(payload, "%s%c%u", paths[w->path], 0, w->token);
		request(c, WIRE_UNWATCH, payload, (size_t)n + 1);
		w->path = -1;
	} else {
		*w = (struct expectation){ (int)rnd(PATHS), (int)rnd(5) - 1, ++last_token };
		n = sprintf(payload, "%s%c%u", paths[w->path], 0, w->token);
		if (w->depth >= 0)
			n += sprintf(payload + n + 1, "%d", w->depth) + 1;
		request(c, WIRE_WATCH, payload, (size_t)n + 1);
	}
	ck_assert_msg(was_done(c), "%s", what);
	clients[c].nr_got = 0;
}

static void come_again(int c)
{
	xs_client_close(&clients[c]);
	xs_client_open(&clients[c], &server, domids[c]);
	for (int i = 0; i < WATCHES; i++)
		watches[c][i].path = -1;
}

static void run(uint64_t seed)
{
	char text[256];

	rng = seed * 0x9e3779b97f4a7c15 + 1;
	server.fixed_seed = seed;
	service_table_init(&server.services);
	ck_assert_int_eq(server_open(&server), 0);
	memset(watches, 0xff, sizeof(watches));
	for (int c = 0; c < CLIENTS; c++)
		xs_client_open(&clients[c], &server, domids[c]);
	for (int i = 0; i < STEPS; i++) {
		const int c = (int)rnd(CLIENTS);
		const unsigned int kind = rnd(100);

		snprintf(what, sizeof(what), "seed %llu step %d: ", (unsigned long long)seed, i);
		if (kind < 1)
			come_again(c);
		else if (kind < 20)
			watch(c);
		else
			change(c);
	}
	store_check(&server.store, text, sizeof(text));
	ck_assert_str_eq(text, "");
	for (int c = 0; c < CLIENTS; c++)
		xs_client_close(&clients[c]);
	ck_assert_uint_eq(server.watches.nodes.nr, 0);
	ck_assert_int_eq(quota_known(&server.quota, 32000)->bytes, 0);
	server_close(&server);
	memset(&server, 0, sizeof(server));
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *s = getenv(name);

	return s ? strtoull(s, NULL, 10) : otherwise;
}

START_TEST(test_random)
{
	const uint64_t first = setting("XS_EVENTS_SEED", 1), n = setting("XS_EVENTS_SEEDS", 20);

	log_open("test", (enum log_level)0);
	make_paths();
	for (uint64_t seed = first; seed < first + n; seed++)
		run(seed);
}
END_TEST

UNIT_MAIN("xs-events", test_random)
