/* SPDX-License-Identifier: MIT */
/* Guests and their rings, over the library's in-process host. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/unit.h"
#include "tests/support/xs_guest.h"

START_TEST(test_serve)
{
	setup();
	ck_assert(!introduced());
	serve();
	ck_assert(introduced());
	ck_assert_uint_eq(guest.page->server_features, FEATURES_ALL);
	SEND(&guest, WIRE_WRITE, "x\0value");
	SEND(&guest, WIRE_READ, "/local/domain/5/x\0");
	ck_assert_str_eq(got(&guest), "11:OK| 2:value ");
	ck_assert_str_eq(ASK(WIRE_READ, "/local/domain/5/x\0"), "2:value ");
	teardown();
}
END_TEST

/* A guest may have asked before it was introduced. */
START_TEST(test_asked_before)
{
	setup();
	SEND(&guest, WIRE_GET_DOMAIN_PATH, "5\0");
	ck_assert_int_eq(introduce(&guest), 0);
	ck_assert_str_eq(got(&guest), "10:/local/domain/5| ");
	teardown();
}
END_TEST

START_TEST(test_cannot_introduce)
{
	struct guest other;

	setup();
	ck_assert_int_eq(domain_introduce(&server, 77, 1), ENOENT);
	ck_assert_int_eq(domain_introduce(&server, 0, 1), EINVAL);
	ck_assert_int_eq(domain_introduce(&server, 32000, 1), EINVAL);
	ck_assert_int_ne(domain_introduce(&server, GUEST, 4000), 0); /* no such port */
	guest_new(&other, 6);
	fake_grant(other.d, 1, 2, 32000, false); /* granted to somebody else */
	ck_assert_int_ne(introduce(&other), 0);
	fake_grant(other.d, 1, 2, 0, true); /* read-only */
	ck_assert_int_ne(introduce(&other), 0);
	ck_assert(!introduced());
	ck_assert_uint_eq(fake_ports(domains_host(&server)), 0);
	ck_assert_int_eq(introduce(&guest), 0);
	teardown();
}
END_TEST

/* More than the ring holds, both ways. */
START_TEST(test_pieces)
{
	static char value[2000];
	const struct wire_header h = { WIRE_WRITE, 1, 0, 2 + sizeof(value) };

	setup();
	serve();
	memset(value, 'v', sizeof(value));
	put(&guest, &h, sizeof(h));
	put(&guest, "x", 2);
	for (size_t at = 0; at < sizeof(value); at += 500) {
		kick(&guest);
		put(&guest, value + at, 500);
	}
	kick(&guest);
	ck_assert_str_eq(got(&guest), "11:OK| ");
	SEND(&guest, WIRE_READ, "x\0");
	SEND(&guest, WIRE_READ, "x\0");
	ck_assert_uint_eq(strlen(got(&guest)), 2 * (2000 + 3));
	teardown();
}
END_TEST

START_TEST(test_introduce_again)
{
	setup();
	serve();
	SEND(&guest, WIRE_WATCH, "w\0t\0");
	SEND(&guest, WIRE_TRANSACTION_START, "");
	put(&guest, "half a request", 14);
	kick(&guest);
	ASK(WIRE_WATCH, "@introduceDomain\0i\0");
	ck_assert_int_eq(introduce(&guest), 0);
	ck_assert_uint_eq(guest.page->req_prod | guest.page->req_cons | guest.page->rsp_prod, 0);
	ASK(WIRE_WRITE, "/local/domain/5/w\0v");
	SEND(&guest, WIRE_READ, "w\0");
	ck_assert_str_eq(got(&guest), "2:v "); /* and no event */
	ck_assert_ptr_null(strstr(ASK(WIRE_READ, "/\0"), "introduce"));
	ck_assert_uint_eq(quota_known(&server.quota, GUEST)->transactions, 0);
	ck_assert_uint_eq(fake_ports(domains_host(&server)), 1);
	teardown();
}
END_TEST

/* A guest breaks the rules: it is not served any more, all else goes on, and its end is told. */
static void check_broken(uint32_t error)
{
	ck_assert_uint_eq(guest.page->error, error);
	ck_assert(introduced());
	ck_assert_uint_eq(fake_ports(domains_host(&server)), 0);
	ck_assert_uint_eq(quota_known(&server.quota, GUEST)->watches, 0);
	ASK(WIRE_WATCH, "@releaseDomain\0r\0001\0");
	fake_domain_end(guest.d);
	turn();
	ck_assert_str_eq(ASK(WIRE_READ, "/tool\0"), "15:@releaseDomain/5|r| 2: ");
	ck_assert(!introduced());
	ck_assert_str_eq(ASK(WIRE_READ, "/local/domain/5\0"), "16:ENOENT| ");
}

START_TEST(test_bad_request_index)
{
	setup();
	serve();
	SEND(&guest, WIRE_WATCH, "w\0t\0");
	guest.page->req_prod += 5000;
	kick(&guest);
	check_broken(XENSTORE_ERROR_RINGIDX);
	teardown();
}
END_TEST

START_TEST(test_bad_response_index)
{
	setup();
	serve();
	guest.page->rsp_cons += 5000;
	kick(&guest);
	check_broken(XENSTORE_ERROR_RINGIDX);
	teardown();
}
END_TEST

/* found when an event is to be written, not by a kick of its own */
START_TEST(test_bad_response_index_later)
{
	setup();
	serve();
	SEND(&guest, WIRE_WATCH, "w\0t\0");
	guest.page->rsp_cons += 5000;
	ASK(WIRE_WRITE, "/local/domain/5/w\0v");
	check_broken(XENSTORE_ERROR_RINGIDX);
	teardown();
}
END_TEST

START_TEST(test_too_long)
{
	const struct wire_header h = { WIRE_READ, 1, 0, 0xffffffff };

	setup();
	serve();
	put(&guest, &h, sizeof(h));
	kick(&guest);
	check_broken(XENSTORE_ERROR_PROTO);
	teardown();
}
END_TEST

START_TEST(test_served_after_being_broken)
{
	setup();
	serve();
	guest.page->req_prod += 5000;
	kick(&guest);
	ck_assert_uint_eq(guest.page->error, XENSTORE_ERROR_RINGIDX);
	ck_assert_int_eq(introduce(&guest), 0);
	ck_assert_uint_eq(guest.page->error, 0);
	SEND(&guest, WIRE_GET_DOMAIN_PATH, "1\0");
	ck_assert_str_eq(got(&guest), "10:/local/domain/1| ");
	teardown();
}
END_TEST

START_TEST(test_reconnect)
{
	setup();
	serve();
	SEND(&guest, WIRE_WATCH, "w\0t\0");
	put(&guest, "half a request", 14);
	guest.page->connection = XENSTORE_RECONNECT;
	kick(&guest);
	ck_assert_uint_eq(guest.page->connection, XENSTORE_CONNECTED);
	ck_assert_uint_eq(guest.page->req_prod, guest.page->req_cons);
	ck_assert_uint_eq(guest.page->rsp_prod, guest.page->rsp_cons);
	ASK(WIRE_WRITE, "/local/domain/5/w\0v");
	SEND(&guest, WIRE_READ, "w\0");
	ck_assert_str_eq(got(&guest), "2:v ");
	teardown();
}
END_TEST

START_TEST(test_fewer_features)
{
	setup();
	ck_assert_str_eq(ASK(WIRE_SET_FEATURE, "5\000016\0"), "16:EINVAL| ");
	ck_assert_str_eq(ASK(WIRE_SET_FEATURE, "5\0000\0"), "24:OK| ");
	serve();
	ck_assert_str_eq(ASK(WIRE_SET_FEATURE, "5\0001\0"), "16:EBUSY| ");
	ck_assert_uint_eq(guest.page->server_features, 0);
	SEND(&guest, WIRE_WATCH, "w\0t\0001\0");
	SEND(&guest, WIRE_SET_PERMS, "/local/domain/5\0n5\0r32757\0");
	ck_assert_str_eq(got(&guest), "16:EINVAL| 16:EINVAL| ");
	guest.page->connection = XENSTORE_RECONNECT;
	guest.page->req_prod += 5000;
	kick(&guest);
	ck_assert_uint_eq(guest.page->error, 0); /* it does not know the field */
	ck_assert_uint_eq(guest.page->connection, XENSTORE_RECONNECT);
	teardown();
}
END_TEST

START_TEST(test_release)
{
	setup();
	serve();
	SEND(&guest, WIRE_WRITE, "x\0v");
	ASK(WIRE_WATCH, "@releaseDomain\0r\0");
	ck_assert_str_eq(ASK(WIRE_RELEASE, "5\0"), "15:@releaseDomain|r| 9:OK| ");
	ck_assert_str_eq(ASK(WIRE_RELEASE, "5\0"), "16:ENOENT| ");
	ck_assert_str_eq(ASK(WIRE_RESUME, "5\0"), "16:ENOENT| ");
	ck_assert_uint_eq(fake_ports(domains_host(&server)), 0);
	ck_assert_str_eq(ASK(WIRE_READ, "/local/domain/5\0"), "16:ENOENT| ");
	ck_assert(domain_exists(&server, GUEST)); /* the host still has it */
	ck_assert_int_eq(introduce(&guest), 0);
	fake_domain_end(guest.d);
	turn();
	ck_assert_ptr_null(domain_find(&server, GUEST));
	teardown();
}
END_TEST

/* The same domid again: another domain, with nothing of the first. */
START_TEST(test_domid_again)
{
	setup();
	serve();
	ASK(WIRE_WRITE, "/k\0v");
	ASK(WIRE_SET_PERMS, "/k\0n0\0r5\0");
	ASK(WIRE_SET_QUOTA, "5\0nodes\0007\0");
	SEND(&guest, WIRE_READ, "/k\0");
	ck_assert_str_eq(got(&guest), "2:v ");
	fake_domain_end(guest.d); /* both changes arrive together */
	guest_new(&guest, GUEST);
	turn();
	ck_assert_int_eq(introduce(&guest), 0);
	SEND(&guest, WIRE_READ, "/k\0");
	ck_assert_str_eq(got(&guest), "16:EACCES| ");
	ck_assert_str_eq(ASK(WIRE_GET_QUOTA, "5\0nodes\0"), "25:1000| ");
	teardown();
}
END_TEST

/* XSA-233: in any order. */
START_TEST(test_target)
{
	struct guest other;

	for (int order = 0; order < 2; order++) {
		setup();
		serve();
		guest_new(&other, 6);
		ck_assert_str_eq(ASK(WIRE_SET_TARGET, "6\0005\0"), "16:ENOENT| ");
		ck_assert_int_eq(introduce(&other), 0);
		ck_assert_str_eq(ASK(WIRE_SET_TARGET, "6\0005\0"), "19:OK| ");
		SEND(&other, WIRE_WRITE, "/local/domain/5/x\0v");
		ck_assert_str_eq(got(&other), "11:OK| ");
		fake_domain_end(order ? other.d : guest.d);
		turn();
		if (!order) {
			SEND(&other, WIRE_READ, "/local/domain/5/x\0");
			ck_assert_str_eq(got(&other), "16:EACCES| ");
		}
		fake_domain_end(order ? guest.d : other.d);
		turn();
		teardown();
	}
}
END_TEST

/* Never reads: bounded memory, and others go on. */
START_TEST(test_stuck)
{
	setup();
	serve();
	SEND(&guest, WIRE_WATCH, "/\0t\0");
	ASK(WIRE_SET_PERMS, "/local/domain/5\0b5\0");
	for (int i = 0; i < 100; i++)
		if (guest.page->req_prod - guest.page->req_cons < 900)
			SEND(&guest, WIRE_GET_DOMAIN_PATH, "5\0");
	for (int i = 0; i < 20000; i++) {
		char payload[64];
		const int n = sprintf(payload, "/local/domain/5/event%d", i);

		ask(WIRE_WRITE, payload, (size_t)n + 1);
	}
	ck_assert_uint_lt(domain_find(&server, GUEST)->conn->out.len, 100000);
	ck_assert_uint_eq(domain_find(&server, GUEST)->conn->unread, 20);
	ck_assert_ptr_nonnull(strstr(got(&guest), "15:/|t| ")); /* at the end: look at everything */
	SEND(&guest, WIRE_GET_DOMAIN_PATH, "1\0");
	ck_assert_str_eq(got(&guest), "10:/local/domain/1| ");
	teardown();
}
END_TEST

UNIT_MAIN("xs-domain", test_serve, test_asked_before, test_cannot_introduce, test_pieces,
	  test_introduce_again, test_bad_request_index, test_bad_response_index,
	  test_bad_response_index_later, test_too_long, test_served_after_being_broken,
	  test_reconnect, test_fewer_features, test_release, test_domid_again, test_target,
	  test_stuck)
