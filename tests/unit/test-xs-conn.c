/* SPDX-License-Identifier: MIT */
/* Connections: pieces, pipelines, slow readers, events. Over no socket: see tests/support/xs_client.h. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "tests/support/unit.h"
#include "tests/support/xs_client.h"

#define SERVICE 32000

static struct server server;
static struct xs_client zero, service, watcher;

static void setup(void)
{
	log_open("test", LOG_LEVEL_ERROR);
	service_table_init(&server.services);
	ck_assert_int_eq(server_open(&server), 0);
	xs_client_open(&zero, &server, 0);
	xs_client_open(&service, &server, SERVICE);
	xs_client_open(&watcher, &server, 0);
}

static void teardown(void)
{
	xs_client_close(&zero);
	xs_client_close(&service);
	xs_client_close(&watcher);
	ck_assert_uint_eq(server.watches.watches.nr, 0);
	ck_assert(list_empty(&server.store.txns));
	ck_assert(list_empty(&server.conns));
	server_close(&server);
	memset(&server, 0, sizeof(server));
}

static size_t message(char *buf, uint32_t type, uint32_t tx, const char *payload, size_t len)
{
	const struct wire_header h = { type, 1, tx, (uint32_t)len };

	memcpy(buf, &h, sizeof(h));
	memcpy(buf + sizeof(h), payload, len);
	return sizeof(h) + len;
}

static void send(struct xs_client *x, uint32_t type, const char *payload, size_t len)
{
	char buf[WIRE_HEADER_SIZE + WIRE_PAYLOAD_MAX];

	xs_client_send(x, buf, message(buf, type, 0, payload, len));
}

#define SEND(x, type, payload) send(x, type, payload, sizeof(payload) - 1)

/* What arrived, as "type:payload " with '|' for NUL; forgets it. */
static const char *got(struct xs_client *x)
{
	static char text[1 << 16];
	size_t at = 0, n = 0;

	while (at < x->nr_got) {
		struct wire_header h;

		ck_assert_uint_ge(x->nr_got - at, sizeof(h));
		memcpy(&h, x->got + at, sizeof(h));
		at += sizeof(h);
		ck_assert_uint_ge(x->nr_got - at, h.len);
		n += (size_t)sprintf(text + n, "%u:", h.type);
		for (uint32_t i = 0; i < h.len; i++)
			text[n++] = x->got[at + i] ? x->got[at + i] : '|';
		at += h.len;
		text[n++] = ' ';
	}
	text[n] = 0;
	x->nr_got = 0;
	return text;
}

START_TEST(test_pieces)
{
	char buf[64];
	const size_t n = message(buf, WIRE_WRITE, 0, "/k\0value", 8);

	setup();
	for (size_t i = 0; i < n; i++) {
		ck_assert_str_eq(got(&zero), "");
		xs_client_send(&zero, buf + i, 1);
	}
	ck_assert_str_eq(got(&zero), "11:OK| ");
	SEND(&zero, WIRE_READ, "/k\0");
	ck_assert_str_eq(got(&zero), "2:value ");
	teardown();
}
END_TEST

/* A complete request and half of the next. */
START_TEST(test_one_and_a_half)
{
	char buf[128];
	size_t n = message(buf, WIRE_MKDIR, 0, "/a\0", 3);

	setup();
	n += message(buf + n, WIRE_MKDIR, 0, "/b\0", 3);
	xs_client_send(&zero, buf, n - 2);
	ck_assert_str_eq(got(&zero), "12:OK| ");
	xs_client_send(&zero, buf + n - 2, 2);
	ck_assert_str_eq(got(&zero), "12:OK| ");
	teardown();
}
END_TEST

START_TEST(test_pipeline)
{
	char buf[256];
	size_t n = message(buf, WIRE_WRITE, 0, "/k\0001", 4);

	setup();
	n += message(buf + n, WIRE_READ, 0, "/k\0", 3);
	n += message(buf + n, WIRE_RM, 0, "/k\0", 3);
	n += message(buf + n, WIRE_READ, 0, "/k\0", 3);
	n += message(buf + n, 999, 0, "x", 1);
	n += message(buf + n, WIRE_GET_DOMAIN_PATH, 0, "7\0", 2);
	xs_client_send(&zero, buf, n);
	ck_assert_str_eq(got(&zero),
			 "11:OK| 2:1 13:OK| 16:ENOENT| 16:ENOSYS| 10:/local/domain/7| ");
	teardown();
}
END_TEST

START_TEST(test_impossible)
{
	const struct wire_header h = { 999, 1, 0, WIRE_PAYLOAD_MAX + 1 };

	setup();
	SEND(&service, WIRE_WATCH, "x\0t\0");
	xs_client_send(&service, &h, sizeof(h));
	ck_assert(service.ended && service.freed);
	ck_assert_int_eq(service.error, -EPROTO);
	ck_assert_uint_eq(server.watches.watches.nr, 0);
	SEND(&zero, WIRE_MKDIR, "/still\0");
	ck_assert_str_eq(got(&zero), "12:OK| ");
	teardown();
}
END_TEST

START_TEST(test_watch_order)
{
	setup();
	SEND(&zero, WIRE_MKDIR, "/k\0");
	got(&zero);
	SEND(&zero, WIRE_WATCH, "/k\0t\0");
	ck_assert_str_eq(got(&zero), "4:OK| 15:/k|t| ");
	SEND(&zero, WIRE_WRITE, "/k\0v");
	ck_assert_str_eq(got(&zero), "15:/k|t| 11:OK| ");
	SEND(&zero, WIRE_WATCH, "/k\0t\0");
	ck_assert_str_eq(got(&zero), "16:EEXIST| ");
	SEND(&zero, WIRE_UNWATCH, "/k\0t\0");
	SEND(&zero, WIRE_WRITE, "/k\0v");
	ck_assert_str_eq(got(&zero), "5:OK| 11:OK| ");
	teardown();
}
END_TEST

START_TEST(test_relative)
{
	setup();
	SEND(&service, WIRE_WATCH, "d\0t\0");
	ck_assert_str_eq(got(&service), "4:OK| 15:d|t| ");
	SEND(&service, WIRE_WATCH, "/local/domain/32000/d\0t\0");
	ck_assert_str_eq(got(&service), "16:EEXIST| ");
	SEND(&zero, WIRE_WRITE, "/local/domain/32000/d/x\0v");
	ck_assert_str_eq(got(&service), "15:d/x|t| ");
	teardown();
}
END_TEST

/* Equal events that wait are one; when it was read, the next is a new one. */
START_TEST(test_merge)
{
	setup();
	SEND(&watcher, WIRE_WATCH, "/k\0t\0");
	got(&watcher);
	watcher.room = 0;
	for (int i = 0; i < 1000; i++) {
		SEND(&zero, WIRE_WRITE, "/k\0v");
		SEND(&zero, WIRE_WRITE, "/k/x\0v");
	}
	watcher.room = 1 << 20;
	conn_mark(&watcher.conn);
	server_settle(&server);
	ck_assert_str_eq(got(&watcher), "15:/k|t| 15:/k/x|t| ");
	SEND(&zero, WIRE_WRITE, "/k\0v");
	ck_assert_str_eq(got(&watcher), "15:/k|t| ");
	teardown();
}
END_TEST

/* An event of which a part has left cannot stand for a later one. */
START_TEST(test_merge_not_into_sent)
{
	setup();
	SEND(&watcher, WIRE_WATCH, "/k\0t\0");
	got(&watcher);
	watcher.room = 5;
	SEND(&zero, WIRE_WRITE, "/k\0v");
	SEND(&zero, WIRE_WRITE, "/k\0v");
	SEND(&zero, WIRE_WRITE, "/k\0v");
	watcher.room = 1 << 20;
	conn_mark(&watcher.conn);
	server_settle(&server);
	ck_assert_str_eq(got(&watcher), "15:/k|t| 15:/k|t| ");
	teardown();
}
END_TEST

/* The event that answers a new watch comes after its answer, even if an equal one waits. */
START_TEST(test_first_event_not_merged)
{
	char buf[256];
	size_t n = message(buf, WIRE_WATCH, 0, "/k\0t\0", 5);

	setup();
	n += message(buf + n, WIRE_UNWATCH, 0, "/k\0t\0", 5);
	n += message(buf + n, WIRE_WATCH, 0, "/k\0t\0", 5);
	n += message(buf + n, WIRE_WRITE, 0, "/k\0v", 4);
	xs_client_send(&zero, buf, n);
	ck_assert_str_eq(got(&zero), "4:OK| 15:/k|t| 5:OK| 4:OK| 15:/k|t| 11:OK| ");
	teardown();
}
END_TEST

/* A reader that stops: others go on, memory stays bounded, and at the end it knows where to look. */
START_TEST(test_stuck_reader)
{
	size_t max_out = 0;
	char payload[64];

	setup();
	SEND(&watcher, WIRE_WATCH, "/d\0t\0");
	got(&watcher);
	watcher.room = 0;
	for (int i = 0; i < 60000; i++) {
		const int len = sprintf(payload, "/d/some-name-%d", i) + 1;

		send(&zero, WIRE_WRITE, payload, (size_t)len);
		if (watcher.conn.out.len > max_out)
			max_out = watcher.conn.out.len;
		zero.nr_got = 0;
	}
	ck_assert_uint_gt(max_out, 1000000);
	ck_assert_uint_lt(max_out, 1100000);
	watcher.room = SIZE_MAX / 2;
	conn_mark(&watcher.conn);
	server_settle(&server);
	ck_assert(
		!memcmp(watcher.got + watcher.nr_got - 5, "/d\0t\0", 5)); /* something below here */
	ck_assert_uint_eq(watcher.conn.out.len, 0);
	watcher.nr_got = 0;
	SEND(&zero, WIRE_WRITE, "/d/after\0");
	ck_assert_str_eq(got(&watcher), "15:/d/after|t| ");
	teardown();
}
END_TEST

/* One that sends and does not read: its requests wait, then all are answered. */
START_TEST(test_requests_wait)
{
	static char buf[1000 * 32];
	size_t n = 0, answers = 0;
	char value[2002] = "k";

	setup();
	service.conn.domain->caller.account->limit[QUOTA_OUTSTANDING] = 0;
	send(&service, WIRE_WRITE, value, sizeof(value));
	got(&service);
	service.room = 0;
	for (int i = 0; i < 1000; i++)
		n += message(buf + n, WIRE_READ, 0, "k\0", 2);
	xs_client_send(&service, buf, n);
	ck_assert(!service.reads);
	ck_assert_uint_gt(service.conn.in.len, 0);
	ck_assert_uint_lt(service.conn.out.len, 1100 * 1024);
	while (service.conn.out.len) {
		service.room = 100000;
		conn_mark(&service.conn);
		server_settle(&server);
	}
	ck_assert(service.reads);
	for (size_t at = 0; at < service.nr_got; answers++) {
		struct wire_header h;

		memcpy(&h, service.got + at, sizeof(h));
		ck_assert_uint_eq(h.len, 2000);
		at += sizeof(h) + h.len;
	}
	ck_assert_uint_eq(answers, 1000);
	teardown();
}
END_TEST

/* Outstanding requests of an unprivileged domain: so many answers may wait. */
START_TEST(test_outstanding)
{
	static char buf[100 * 32];
	size_t n = 0;

	setup();
	service.conn.domain->caller.account->limit[QUOTA_OUTSTANDING] = 20;
	service.room = 0;
	for (int i = 0; i < 100; i++)
		n += message(buf + n, WIRE_READ, 0, "no\0", 3);
	xs_client_send(&service, buf, n);
	ck_assert_uint_eq(service.conn.unread, 20);
	ck_assert_uint_eq(service.conn.in.len, 80 * (WIRE_HEADER_SIZE + 3));
	service.room = SIZE_MAX / 2;
	conn_mark(&service.conn);
	server_settle(&server);
	ck_assert_uint_eq(service.conn.in.len, 0);
	ck_assert_uint_eq(service.nr_got, 100 * (WIRE_HEADER_SIZE + sizeof("ENOENT")));
	teardown();
}
END_TEST

START_TEST(test_privilege)
{
	static const uint32_t types[] = { WIRE_CONTROL,	    WIRE_INTRODUCE,
					  WIRE_RELEASE,	    WIRE_IS_DOMAIN_INTRODUCED,
					  WIRE_RESUME,	    WIRE_SET_TARGET,
					  WIRE_SET_FEATURE, WIRE_GET_QUOTA,
					  WIRE_SET_QUOTA };

	setup();
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		send(&service, types[i], "junk", 4);
		ck_assert_str_eq(got(&service), "16:EACCES| ");
	}
	SEND(&service, WIRE_GET_FEATURE, "");
	ck_assert_str_eq(got(&service), "23:15| ");
	SEND(&service, WIRE_GET_FEATURE, "0\0");
	ck_assert_str_eq(got(&service), "16:EACCES| ");
	SEND(&zero, WIRE_RELEASE, "32000\0");
	ck_assert_str_eq(got(&zero), "16:EINVAL| ");
	teardown();
}
END_TEST

START_TEST(test_service_home)
{
	setup();
	SEND(&service, WIRE_READ, "name\0");
	ck_assert_str_eq(got(&service), "2:blkback ");
	SEND(&service, WIRE_READ, "domid\0");
	ck_assert_str_eq(got(&service), "2:32000 ");
	SEND(&service, WIRE_WRITE, "backend/vbd/x\0001");
	ck_assert_str_eq(got(&service), "11:OK| ");
	SEND(&service, WIRE_WRITE, "/local/domain/0/x\0001");
	ck_assert_str_eq(got(&service), "16:EACCES| ");
	SEND(&service, WIRE_READ, "/local/domain/32001/name\0");
	ck_assert_str_eq(got(&service), "16:EACCES| ");
	teardown();
}
END_TEST

START_TEST(test_watch_quota)
{
	char payload[64];

	setup();
	service.conn.domain->caller.account->limit[QUOTA_WATCHES] = 2;
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 3; i++) {
			const int len = sprintf(payload, "x%ct%d%c", 0, i, 0);

			send(&service, WIRE_WATCH, payload, (size_t)len);
		}
		ck_assert_str_eq(got(&service), "4:OK| 15:x|t0| 4:OK| 15:x|t1| 16:ENOSPC| ");
		SEND(&service, WIRE_RESET_WATCHES, ""); /* XSA-330 */
		ck_assert_str_eq(got(&service), "21:OK| ");
	}
	ck_assert_int_eq(service.conn.domain->caller.account->bytes, 0);
	teardown();
}
END_TEST

START_TEST(test_special_events)
{
	setup();
	SEND(&zero, WIRE_WATCH, "@releaseDomain\0t\0");
	SEND(&zero, WIRE_WATCH, "@releaseDomain\0d\0001\0");
	SEND(&zero, WIRE_WATCH, "@releaseDomain\0z\0000\0");
	SEND(&zero, WIRE_WATCH, "@releaseDomain/7\0x\0");
	SEND(&zero, WIRE_WATCH, "/\0root\0");
	SEND(&service, WIRE_WATCH, "@introduceDomain\0i\0");
	got(&zero);
	got(&service);
	server_fire_special(&server, STORE_RELEASE, 7);
	server_fire_special(&server, STORE_RELEASE, 77);
	server_fire_special(&server, STORE_INTRODUCE, 7);
	server_settle(&server);
	/* the plain ones are equal while they wait */
	ck_assert_str_eq(got(&zero),
			 "15:@releaseDomain|t| 15:@releaseDomain/7|d| 15:@releaseDomain|z| "
			 "15:@releaseDomain/7|x| 15:@releaseDomain/77|d| ");
	ck_assert_str_eq(got(&service), ""); /* may not see who comes */
	teardown();
}
END_TEST

START_TEST(test_long_event)
{
	static char payload[WIRE_PAYLOAD_MAX];

	setup();
	memset(payload, 'T', sizeof(payload));
	memcpy(payload, "/k", 3);
	payload[sizeof(payload) - 1] = 0;
	send(&zero, WIRE_WATCH, payload, sizeof(payload));
	zero.nr_got = 0;
	SEND(&zero, WIRE_WRITE, "/k/x\0v");
	ck_assert_str_eq(got(&zero), "11:OK| "); /* XSA-324: it would not fit, so it is not sent */
	SEND(&zero, WIRE_WRITE, "/k\0v");
	ck_assert_uint_eq(zero.nr_got, WIRE_HEADER_SIZE + WIRE_PAYLOAD_MAX + WIRE_HEADER_SIZE + 3);
	zero.nr_got = 0;
	teardown();
}
END_TEST

START_TEST(test_txn_ids)
{
	char buf[64];

	setup();
	SEND(&zero, WIRE_TRANSACTION_START, "");
	ck_assert_str_eq(got(&zero), "6:1| ");
	xs_client_send(&watcher, buf, message(buf, WIRE_READ, 1, "/\0", 2)); /* another's */
	ck_assert_str_eq(got(&watcher), "16:ENOENT| ");
	xs_client_send(&zero, buf, message(buf, WIRE_TRANSACTION_START, 1, "", 0));
	ck_assert_str_eq(got(&zero), "16:EBUSY| ");
	xs_client_send(&zero, buf, message(buf, WIRE_TRANSACTION_END, 1, "X\0", 2));
	ck_assert_str_eq(got(&zero), "16:EINVAL| ");
	xs_client_send(&zero, buf, message(buf, WIRE_RESET_WATCHES, 1, "", 0)); /* XSA-484 */
	ck_assert_str_eq(got(&zero), "21:OK| ");
	xs_client_send(&zero, buf, message(buf, WIRE_TRANSACTION_END, 1, "T\0", 2));
	ck_assert_str_eq(got(&zero), "16:ENOENT| ");
	zero.conn.last_txn = UINT32_MAX;
	SEND(&zero, WIRE_TRANSACTION_START, "");
	ck_assert_str_eq(got(&zero), "6:1| "); /* never 0 */
	teardown();
}
END_TEST

static int lose_once(struct xs_client *x)
{
	char buf[64];
	unsigned int tx;

	SEND(x, WIRE_TRANSACTION_START, "");
	ck_assert_int_eq(sscanf(got(x), "6:%u", &tx), 1);
	xs_client_send(x, buf, message(buf, WIRE_READ, tx, "/local/domain/32000/k\0", 22));
	SEND(&service, WIRE_WRITE, "k\0x");
	xs_client_send(x, buf, message(buf, WIRE_TRANSACTION_END, tx, "T\0", 2));
	return strstr(got(x), "EAGAIN") ? EAGAIN : 0;
}

/* XSA-206: who lost some times gets its turn, and the others wait no longer than that. */
START_TEST(test_favour)
{
	setup();
	SEND(&service, WIRE_WRITE, "k\0x");
	ck_assert_int_eq(lose_once(&zero), EAGAIN);
	ck_assert_int_eq(lose_once(&zero), EAGAIN);
	got(&service);
	ck_assert_int_eq(lose_once(&zero), 0);
	ck_assert_str_eq(got(&service), "11:OK| "); /* it had to wait, and was answered after it */
	ck_assert_int_eq(lose_once(&zero), EAGAIN);
	teardown();
}
END_TEST

/* The favoured one goes away. */
START_TEST(test_favour_ends)
{
	setup();
	SEND(&service, WIRE_WRITE, "k\0x");
	ck_assert_int_eq(lose_once(&zero), EAGAIN);
	ck_assert_int_eq(lose_once(&zero), EAGAIN);
	got(&service);
	SEND(&zero, WIRE_TRANSACTION_START, "");
	SEND(&service, WIRE_WRITE, "k\0x");
	ck_assert_str_eq(got(&service), "");
	SEND(&watcher, WIRE_READ, "/local/domain/32000/k\0");
	ck_assert_str_eq(got(&watcher), "2:x ");
	xs_client_close(&zero);
	ck_assert_str_eq(got(&service), "11:OK| ");
	teardown();
}
END_TEST

UNIT_MAIN("xs-conn", test_pieces, test_one_and_a_half, test_pipeline, test_impossible,
	  test_watch_order, test_relative, test_merge, test_merge_not_into_sent,
	  test_first_event_not_merged, test_stuck_reader, test_requests_wait, test_outstanding,
	  test_privilege, test_service_home, test_watch_quota, test_special_events, test_long_event,
	  test_txn_ids, test_favour, test_favour_ends)
