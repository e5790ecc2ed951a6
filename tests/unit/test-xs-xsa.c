/* SPDX-License-Identifier: MIT */
/*
 * What went wrong in Xen's own daemons must not here: a test for each of their advisories (xsa_N) and for
 * what was found besides. The guest is hostile; domain 0 and other guests have to be served on.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/unit.h"
#include "tests/support/xs_guest.h"

#define ANSWER(want, type, payload) ck_assert_str_eq(ASK(type, payload), want)
#define GUEST_ANSWER(want, type, payload)            \
	do {                                         \
		SEND(&guest, type, payload);         \
		ck_assert_str_eq(got(&guest), want); \
	} while (0)

static void begin(void)
{
	setup();
	serve();
}

/* accounts agree with the store, domain 0 is served */
static void end(void)
{
	char text[256];

	store_check(&server.store, text, sizeof(text));
	ck_assert_str_eq(text, "");
	ANSWER("11:OK| ", WIRE_WRITE, "/still\0here");
	ANSWER("2:here ", WIRE_READ, "/still\0");
	teardown();
}

static void guest_ends(struct guest *g)
{
	fake_domain_end(g->d);
	turn();
}

static void serve_again(struct guest *g, uint16_t domid)
{
	guest_new(g, domid);
	ck_assert_int_eq(introduce(g), 0);
}

static uint64_t nodes_of(uint16_t domid)
{
	return (uint64_t)quota_known(&server.quota, domid)->nodes.nodes;
}

/* n0, n1, ... in the guest's home */
static const char *guest_node(uint32_t type, int i)
{
	char payload[64];
	const int n = snprintf(payload, sizeof(payload), "n%d", i);

	request(&guest, type, payload, (size_t)n + 1);
	return got(&guest);
}

/* more than the ring holds */
static void long_request(uint32_t type, const char *payload, size_t len)
{
	const struct wire_header h = { type, 1, 0, (uint32_t)len };

	put(&guest, &h, sizeof(h));
	for (size_t at = 0; at < len; at += 900) {
		kick(&guest);
		put(&guest, payload + at, len - at < 900 ? len - at : 900);
	}
	kick(&guest);
}

START_TEST(xsa_38_ring_indices)
{
	static const uint32_t bad[] = { 1025, 0x7fffffff, 0x80000000, 0xffffffff };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		begin();
		guest.page->req_prod = guest.page->req_cons + bad[i];
		kick(&guest);
		ck_assert_uint_eq(guest.page->error, 2);
		end();
	}
}
END_TEST

START_TEST(xsa_72_lengths)
{
	static const uint32_t bad[] = { 4097, 0x7fffffff, 0x80000000, 0xffffffff };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const struct wire_header h = { i & 1 ? 77 : WIRE_READ, 1, 0, bad[i] };

		begin();
		put(&guest, &h, sizeof(h));
		kick(&guest);
		ck_assert_uint_eq(guest.page->error, 3);
		end();
	}
	/* an answer that does not fit */
	begin();
	for (int i = 0; i < 300; i++) {
		char payload[64];
		const int n =
			snprintf(payload, sizeof(payload), "/big/a-name-of-twenty-bytes-%d", i);

		ask(WIRE_MKDIR, payload, (size_t)n + 1);
	}
	ANSWER("16:E2BIG| ", WIRE_DIRECTORY, "/big\0");
	end();
}
END_TEST

START_TEST(xsa_115_what_a_guest_may_not_know)
{
	begin();
	ANSWER("11:OK| ", WIRE_WRITE, "/secret/there\0v");
	GUEST_ANSWER("4:OK| 15:/secret/there|t| ", WIRE_WATCH, "/secret/there\0t\0");
	GUEST_ANSWER("4:OK| 15:/secret/not|t| ", WIRE_WATCH, "/secret/not\0t\0");
	ANSWER("11:OK| ", WIRE_WRITE, "/secret/there\0w");
	ANSWER("11:OK| ", WIRE_WRITE, "/secret/not\0w");
	ANSWER("13:OK| ", WIRE_RM, "/secret/not\0");
	GUEST_ANSWER("16:EACCES| ", WIRE_READ, "/secret/there\0");
	GUEST_ANSWER("16:EACCES| ", WIRE_READ, "/secret/not\0");
	GUEST_ANSWER("16:EACCES| ", WIRE_RM, "/secret/not\0");
	GUEST_ANSWER("16:EACCES| ", WIRE_IS_DOMAIN_INTRODUCED, "5\0");
	GUEST_ANSWER("16:EACCES| ", WIRE_GET_PERMS, "@introduceDomain\0");
	end();
}
END_TEST

START_TEST(xsa_206_writes_starve_a_transaction)
{
	int tries = 0;
	bool done = false;

	begin();
	ANSWER("14:OK| ", WIRE_SET_PERMS, "/local/domain/5\0n5\0");
	while (!done && tries++ < 20) {
		char id[16];
		struct wire_header h = { WIRE_READ, 1, 0, 18 };
		char buf[128];

		ck_assert_int_eq(sscanf(ASK(WIRE_TRANSACTION_START, "\0"), "6:%15[0-9]|", id), 1);
		h.tx_id = (uint32_t)atoi(id);
		memcpy(buf, &h, sizeof(h));
		memcpy(buf + sizeof(h), "/local/domain/5/x", 18);
		xs_client_send(&zero, buf, sizeof(h) + 18);
		SEND(&guest, WIRE_WRITE, "x\0again"); /* each time in the middle of it */
		h = (struct wire_header){ WIRE_TRANSACTION_END, 1, h.tx_id, 2 };
		memcpy(buf, &h, sizeof(h));
		memcpy(buf + sizeof(h), "T", 2);
		zero.nr_got = 0;
		xs_client_send(&zero, buf, sizeof(h) + 2);
		memcpy(&h, zero.got, sizeof(h));
		done = h.type == WIRE_TRANSACTION_END;
		zero.nr_got = 0;
		turn();
		got(&guest);
	}
	ck_assert_msg(done, "it lost %d times", tries);
	end();
}
END_TEST

START_TEST(xsa_233_targets_go)
{
	for (int order = 0; order < 4; order++) {
		struct guest other;

		begin();
		serve_again(&other, 6);
		ANSWER("19:OK| ", WIRE_SET_TARGET, "6\0005\0");
		if (order & 1)
			ANSWER("19:OK| ", WIRE_SET_TARGET, "5\0006\0");
		if (order & 2) {
			ANSWER("9:OK| ", WIRE_RELEASE, "5\0");
			ANSWER("9:OK| ", WIRE_RELEASE, "6\0");
		} else {
			ANSWER("9:OK| ", WIRE_RELEASE, "6\0");
			ANSWER("9:OK| ", WIRE_RELEASE, "5\0");
		}
		end();
	}
}
END_TEST

START_TEST(xsa_272_uncharged_nodes)
{
	int made = 0;

	begin();
	for (int i = 0; i < 1010; i++)
		made += !strncmp(guest_node(i & 1 ? WIRE_MKDIR : WIRE_WRITE, i), "1", 1) &&
			strstr(guest_node(WIRE_READ, i), "2:") != NULL;
	ck_assert_uint_eq(nodes_of(GUEST), 1000);
	ck_assert_int_eq(made, 999); /* and its home */
	end();
}
END_TEST

START_TEST(xsa_322_417_a_dead_domains_rights)
{
	begin();
	ANSWER("11:OK| ", WIRE_WRITE, "/k\0v");
	ANSWER("14:OK| ", WIRE_SET_PERMS, "/k\0n0\0r5\0");
	ANSWER("14:OK| ", WIRE_SET_PERMS, "@releaseDomain\0n0\0r5\0");
	GUEST_ANSWER("2:v ", WIRE_READ, "/k\0");
	guest_ends(&guest);
	/* what is given to one that is not there counts for nobody later */
	ANSWER("11:OK| ", WIRE_WRITE, "/later\0v");
	ANSWER("14:OK| ", WIRE_SET_PERMS, "/later\0n0\0r5\0");
	serve_again(&guest, GUEST);
	GUEST_ANSWER("16:EACCES| ", WIRE_READ, "/k\0");
	GUEST_ANSWER("16:EACCES| ", WIRE_READ, "/later\0");
	GUEST_ANSWER("16:EACCES| ", WIRE_GET_PERMS, "@releaseDomain\0");
	end();
}
END_TEST

/* 2048 bytes behind /local/domain/5/, whichever way the path is written */
START_TEST(xsa_323_length_of_relative_paths)
{
	static const char home[] = "/local/domain/5/";
	static char payload[4096];

	begin();
	for (size_t len = 2048; len <= 2049; len++)
		for (int absolute = 0; absolute < 2; absolute++) {
			const size_t base = absolute ? sizeof(home) - 1 : 0;

			memcpy(payload, home, base);
			memset(payload + base, 'p', len);
			payload[base + len] = 0;
			long_request(WIRE_READ, payload, base + len + 1);
			ck_assert_msg(
				!strncmp(got(&guest), len > 2048 ? "16:EINVAL" : "16:ENOENT", 9),
				"%zu bytes, absolute %d", len, absolute);
		}
	end();
}
END_TEST

/* The message would be too long for the guest: left out, and its stream goes on. */
START_TEST(xsa_324_overlong_event)
{
	static char payload[4096];
	const size_t token = 4000;

	begin();
	memcpy(payload, "w", 2);
	memset(payload + 2, 't', token);
	payload[2 + token] = 0;
	long_request(WIRE_WATCH, payload, token + 3);
	ck_assert_int_eq(strncmp(got(&guest), "4:OK| 15:w|ttt", 14), 0);
	memset(payload, 'p', 200);
	memcpy(payload, "/local/domain/5/w/", 18);
	ask(WIRE_WRITE, payload, 201 - 1); /* no NUL: EINVAL */
	payload[200] = 0;
	ask(WIRE_WRITE, payload, 201);
	GUEST_ANSWER("10:/local/domain/1| ", WIRE_GET_DOMAIN_PATH, "1\0");
	end();
}
END_TEST

START_TEST(xsa_325_entry_of_a_broken_guest)
{
	begin();
	ANSWER("4:OK| 15:@releaseDomain|r| ", WIRE_WATCH, "@releaseDomain\0r\0");
	guest.page->req_prod = guest.page->req_cons + 5000;
	kick(&guest);
	ANSWER("17:T| ", WIRE_IS_DOMAIN_INTRODUCED, "5\0");
	guest_ends(&guest);
	ck_assert_ptr_nonnull(
		strstr(ASK(WIRE_IS_DOMAIN_INTRODUCED, "5\0"), "15:@releaseDomain|r| "));
	end();
}
END_TEST

START_TEST(xsa_326_416_memory_of_one_that_does_not_read)
{
	static char value[2000];

	begin();
	memset(value, 'v', sizeof(value));
	ask(WIRE_WRITE, "/local/domain/5/x", 18);
	GUEST_ANSWER("4:OK| 15:/|t| ", WIRE_WATCH, "/\0t\0");
	for (int i = 0; i < 3000; i++) {
		if (guest.page->req_prod - guest.page->req_cons < 900)
			SEND(&guest, WIRE_READ, "x\0");
		ask(WIRE_WRITE, "/local/domain/5/x", 18);
	}
	ck_assert_uint_lt(domain_find(&server, GUEST)->conn->out.size, 300000);
	ck_assert_uint_lt(domain_find(&server, GUEST)->conn->in.size, 20000);
	/* transactions with many big nodes: an end to them, too */
	got(&guest);
	for (int t = 0; t < 20; t++)
		SEND(&guest, WIRE_TRANSACTION_START, "\0");
	got(&guest);
	ck_assert_uint_le(quota_known(&server.quota, GUEST)->transactions, 10);
	end();
}
END_TEST

START_TEST(xsa_330_reset_leaves_watches)
{
	begin();
	for (int i = 0; i < 300; i++) {
		GUEST_ANSWER("4:OK| 15:w|t| ", WIRE_WATCH, "w\0t\0");
		GUEST_ANSWER("21:OK| ", WIRE_RESET_WATCHES, "\0");
	}
	ck_assert_uint_eq(server.watches.watches.nr, 0);
	GUEST_ANSWER("4:OK| 15:w|t| ", WIRE_WATCH, "w\0t\0");
	ANSWER("11:OK| ", WIRE_WRITE, "/local/domain/5/w\0v");
	ck_assert_str_eq(got(&guest), "15:w|t| ");
	end();
}
END_TEST

START_TEST(xsa_352_nodes_given_away)
{
	begin();
	GUEST_ANSWER("11:OK| ", WIRE_WRITE, "x\0v");
	GUEST_ANSWER("16:EPERM| ", WIRE_SET_PERMS, "x\0n0\0");
	GUEST_ANSWER("16:EPERM| ", WIRE_SET_PERMS, "x\0n6\0r5\0");
	ck_assert_uint_eq(nodes_of(GUEST), 2);
	end();
}
END_TEST

START_TEST(xsa_353_the_root)
{
	begin();
	GUEST_ANSWER("16:EACCES| ", WIRE_READ, "/\0");
	GUEST_ANSWER("16:EACCES| ", WIRE_DIRECTORY, "/\0");
	GUEST_ANSWER("16:EACCES| ", WIRE_WRITE, "/\0v");
	GUEST_ANSWER("16:EACCES| ", WIRE_MKDIR, "/x\0");
	GUEST_ANSWER("16:EACCES| ", WIRE_SET_PERMS, "/\0n5\0");
	GUEST_ANSWER("16:EINVAL| ", WIRE_RM, "/\0");
	end();
}
END_TEST

/* 414: creation that fails half-way; 415, 421: in a transaction that commits afterwards */
START_TEST(xsa_414_415_421_failed_creation)
{
	begin();
	ANSWER("26:OK| ", WIRE_SET_QUOTA, "5\0nodes\0006\0");
	GUEST_ANSWER("16:ENOSPC| ", WIRE_WRITE, "a/b/c/d/e/f/g\0v");
	ck_assert_uint_eq(nodes_of(GUEST), 1);
	GUEST_ANSWER("6:1| ", WIRE_TRANSACTION_START, "\0");
	for (int i = 0; i < 2; i++) {
		const struct wire_header h[] = {
			{ WIRE_WRITE, 1, 1, 7 },
			{ WIRE_WRITE, 2, 1, 15 },
			{ WIRE_RM, 3, 1, 2 },
			{ WIRE_MKDIR, 4, 1, 2 },
		};

		put(&guest, &h[0], sizeof(h[0]));
		put(&guest, "a/b/c\0v", 7);
		put(&guest, &h[1], sizeof(h[1]));
		put(&guest, "x/b/c/d/e/f/g\0", 15);
		put(&guest, &h[2], sizeof(h[2]));
		put(&guest, "a", 2);
		put(&guest, &h[3], sizeof(h[3]));
		put(&guest, "a", 2);
		kick(&guest);
		ck_assert_str_eq(got(&guest), "11:OK| 16:ENOSPC| 13:OK| 12:OK| ");
	}
	{
		const struct wire_header h = { WIRE_TRANSACTION_END, 1, 1, 2 };

		put(&guest, &h, sizeof(h));
		put(&guest, "T", 2);
		kick(&guest);
		ck_assert_str_eq(got(&guest), "7:OK| ");
	}
	ck_assert_uint_eq(nodes_of(GUEST), 2);
	GUEST_ANSWER("1:a| ", WIRE_DIRECTORY, "/local/domain/5\0");
	end();
}
END_TEST

START_TEST(xsa_418_deep_trees)
{
	static char path[3072];

	begin();
	for (size_t i = 0; i < sizeof(path) - 2; i += 2)
		memcpy(path + i, "/d", 2);
	for (int i = 0; i < 3; i++) {
		ck_assert_str_eq(ask(WIRE_MKDIR, path, strlen(path) + 1), "12:OK| ");
		ANSWER("13:OK| ", WIRE_RM, "/d\0");
	}
	end();
}
END_TEST

START_TEST(xsa_419_nodes_outside_its_home)
{
	begin();
	ANSWER("12:OK| ", WIRE_MKDIR, "/shared/dir\0");
	ANSWER("14:OK| ", WIRE_SET_PERMS, "/shared/dir\0b0\0");
	GUEST_ANSWER("11:OK| ", WIRE_WRITE, "/shared/dir/his/deep\0v");
	ck_assert_uint_eq(nodes_of(GUEST), 3);
	guest_ends(&guest);
	ANSWER("16:ENOENT| ", WIRE_READ, "/shared/dir/his/deep\0");
	ANSWER("1: ", WIRE_DIRECTORY, "/shared/dir\0");
	ck_assert_uint_eq(nodes_of(GUEST), 0);
	end();
}
END_TEST

START_TEST(xsa_425_release_beside_work)
{
	struct guest other;

	begin();
	serve_again(&other, 6);
	SEND(&other, WIRE_WATCH, "@releaseDomain\0r\0");
	SEND(&guest, WIRE_WATCH, "/local/domain/5\0t\0");
	for (int i = 0; i < 10; i++) /* answers and events that nobody took */
		SEND(&guest, WIRE_GET_DOMAIN_PATH, "5\0");
	ANSWER("9:OK| ", WIRE_RELEASE, "5\0");
	ck_assert_ptr_nonnull(strstr(got(&other), "15:@releaseDomain|r| "));
	SEND(&other, WIRE_GET_DOMAIN_PATH, "6\0");
	ck_assert_str_eq(got(&other), "10:/local/domain/6| ");
	end();
}
END_TEST

START_TEST(xsa_481_path_of_a_domain_without_one)
{
	begin();
	for (int i = 0; i < 2; i++) {
		ANSWER("16:EINVAL| ", WIRE_READ, "/local/domain/\0");
		GUEST_ANSWER("16:EINVAL| ", WIRE_READ, "/local/domain/\0");
		GUEST_ANSWER("16:EINVAL| ", WIRE_WATCH, "/local/domain/\0t\0");
	}
	end();
}
END_TEST

START_TEST(xsa_483_count_of_a_used_domid)
{
	begin();
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 1005; i++)
			guest_node(WIRE_WRITE, i);
		ck_assert_uint_eq(nodes_of(GUEST), 1000);
		guest_ends(&guest);
		serve_again(&guest, GUEST);
		ASK(WIRE_MKDIR, "/local/domain/5\0");
		ASK(WIRE_SET_PERMS, "/local/domain/5\0n5\0");
		ck_assert_uint_eq(nodes_of(GUEST), 1);
	}
	end();
}
END_TEST

START_TEST(xsa_484_reset_inside_a_transaction)
{
	const struct wire_header reset = { WIRE_RESET_WATCHES, 1, 1, 1 };
	const struct wire_header finish = { WIRE_TRANSACTION_END, 2, 1, 2 };

	begin();
	GUEST_ANSWER("6:1| ", WIRE_TRANSACTION_START, "\0");
	put(&guest, &reset, sizeof(reset));
	put(&guest, "", 1);
	put(&guest, &finish, sizeof(finish));
	put(&guest, "T", 2);
	kick(&guest);
	ck_assert_str_eq(got(&guest), "21:OK| 16:ENOENT| ");
	ck_assert_uint_eq(quota_known(&server.quota, GUEST)->transactions, 0);
	end();
}
END_TEST

/* --- found besides, in one daemon or the other --- */

START_TEST(permissions_for_all_domains_by_domain_0)
{
	begin();
	ANSWER("11:OK| ", WIRE_WRITE, "/all\0v");
	ANSWER("14:OK| ", WIRE_SET_PERMS, "/all\0n0\0r32757\0");
	GUEST_ANSWER("2:v ", WIRE_READ, "/all\0");
	end();
}
END_TEST

START_TEST(half_a_request_before_introduce)
{
	begin();
	put(&guest, "half of it", 10);
	kick(&guest);
	ck_assert_int_eq(introduce(&guest), 0);
	GUEST_ANSWER("10:/local/domain/5| ", WIRE_GET_DOMAIN_PATH, "5\0");
	end();
}
END_TEST

START_TEST(what_would_wipe_the_store)
{
	begin();
	ANSWER("11:OK| ", WIRE_WRITE, "/k\0v");
	ANSWER("16:EINVAL| ", WIRE_RELEASE, "0\0");
	ANSWER("16:EINVAL| ", WIRE_RELEASE, "junk\0");
	ANSWER("16:EINVAL| ", WIRE_RM, "/\0");
	ANSWER("2:v ", WIRE_READ, "/k\0");
	end();
}
END_TEST

START_TEST(no_payload_at_all)
{
	begin();
	request(&guest, WIRE_GET_FEATURE, "", 0);
	ck_assert_str_eq(got(&guest), "23:15| ");
	request(&guest, WIRE_READ, "", 0);
	ck_assert_str_eq(got(&guest), "16:EINVAL| ");
	request(&guest, WIRE_TRANSACTION_START, "", 0);
	ck_assert_str_eq(got(&guest), "6:1| ");
	end();
}
END_TEST

UNIT_MAIN("xs-xsa", xsa_38_ring_indices, xsa_72_lengths, xsa_115_what_a_guest_may_not_know,
	  xsa_206_writes_starve_a_transaction, xsa_233_targets_go, xsa_272_uncharged_nodes,
	  xsa_322_417_a_dead_domains_rights, xsa_323_length_of_relative_paths,
	  xsa_324_overlong_event, xsa_325_entry_of_a_broken_guest,
	  xsa_326_416_memory_of_one_that_does_not_read, xsa_330_reset_leaves_watches,
	  xsa_352_nodes_given_away, xsa_353_the_root, xsa_414_415_421_failed_creation,
	  xsa_418_deep_trees, xsa_419_nodes_outside_its_home, xsa_425_release_beside_work,
	  xsa_481_path_of_a_domain_without_one, xsa_483_count_of_a_used_domid,
	  xsa_484_reset_inside_a_transaction, permissions_for_all_domains_by_domain_0,
	  half_a_request_before_introduce, what_would_wipe_the_store, no_payload_at_all)
