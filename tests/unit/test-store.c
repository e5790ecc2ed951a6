/* SPDX-License-Identifier: MIT */
/*
 * The Xenstore client against a server that misbehaves, which a real one cannot be made to do: a
 * thread per test plays it, request by request. test-store-daemon.c has the real xenstored.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <xenhost/store.h>

#include "common/xen.h"
#include "tests/support/unit.h"
#include "tests/support/tempdir.h"

static char dir[TEMPDIR_SIZE];
static int listener, conn;
static pthread_t thread;
static xenhost_t *host;

/* --- the server's side; runs in a thread --- */

struct request {
	struct xsd_sockmsg header;
	char payload[4097];
};

static void receive_all(void *buf, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = read(conn, (char *)buf + done, len - done);

		ck_assert_int_gt(n, 0);
		done += (size_t)n;
	}
}

static void send_all(const void *buf, size_t len)
{
	ck_assert_int_eq(send(conn, buf, len, MSG_NOSIGNAL), (ssize_t)len);
}

static void get_request(struct request *req, uint32_t type)
{
	memset(req, 0, sizeof(*req));
	receive_all(&req->header, sizeof(req->header));
	ck_assert_uint_le(req->header.len, 4096);
	receive_all(req->payload, req->header.len);
	ck_assert_uint_eq(req->header.type, type);
}

static void answer(const struct request *req, uint32_t type, const char *payload, size_t len)
{
	struct xsd_sockmsg header = { type, req->header.req_id, req->header.tx_id, (uint32_t)len };

	send_all(&header, sizeof(header));
	send_all(payload, len);
}

static void answer_ok(const struct request *req)
{
	answer(req, req->header.type, "OK", 3);
}

static void event(const char *path, const char *token)
{
	struct xsd_sockmsg header = { XS_WATCH_EVENT, 0, 0,
				      (uint32_t)(strlen(path) + strlen(token) + 2) };

	send_all(&header, sizeof(header));
	send_all(path, strlen(path) + 1);
	send_all(token, strlen(token) + 1);
}

static const char *token_of(const struct request *watch)
{
	return watch->payload + strlen(watch->payload) + 1;
}

static pthread_mutex_t stage_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t stage_cond = PTHREAD_COND_INITIALIZER;
static int stage;

static void set_stage(int n)
{
	pthread_mutex_lock(&stage_lock);
	stage = n;
	pthread_cond_broadcast(&stage_cond);
	pthread_mutex_unlock(&stage_lock);
}

static void wait_stage(int n)
{
	pthread_mutex_lock(&stage_lock);
	while (stage < n)
		pthread_cond_wait(&stage_cond, &stage_lock);
	pthread_mutex_unlock(&stage_lock);
}

/* accepts the client, then plays the test's part */
static void *serve(void *data)
{
	void (*play)(void);

	memcpy(&play, &data, sizeof(play));
	conn = accept(listener, NULL, NULL);
	ck_assert_int_ge(conn, 0);
	play();
	return NULL;
}

static void start_server(void (*play)(void))
{
	void *data;

	memcpy(&data, &play, sizeof(data));
	ck_assert_int_eq(pthread_create(&thread, NULL, serve, data), 0);
}

static void end_server(void)
{
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	close(conn);
}

/* --- the client's side --- */

static void setup(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char uri[128];

	tempdir_make(dir);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/store.sock", dir);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(listener, 0);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	ck_assert_int_eq(listen(listener, 4), 0);
	snprintf(uri, sizeof(uri), "fake:%s", addr.sun_path);
	ck_assert_int_eq(xenhost_open(uri, 0, &host), 0);
}

static void teardown(void)
{
	xenhost_close(host);
	close(listener);
	tempdir_remove(dir);
}

static bool readable(void)
{
	struct pollfd p = { .fd = xenhost_get_fd(host), .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static void wait_readable(void)
{
	struct pollfd p = { .fd = xenhost_get_fd(host), .events = POLLIN };

	ck_assert_int_eq(poll(&p, 1, 10000), 1);
}

/* processes until n callbacks have run */
static void process_n(int n)
{
	while (n > 0) {
		int r;

		wait_readable();
		r = xenhost_process(host);
		ck_assert_int_ge(r, 0);
		n -= r;
	}
	ck_assert_int_eq(n, 0);
}

static void same_payload(const struct request *req, const char *payload, size_t len)
{
	ck_assert_uint_eq(req->header.len, len);
	ck_assert_mem_eq(req->payload, payload, len);
}

/* text without the NUL that C adds */
#define SAME_PAYLOAD(req, text) same_payload(req, text, sizeof(text) - 1)

/* --- requests and answers --- */

static void play_values(void)
{
	struct request req;

	get_request(&req, XS_WRITE);
	SAME_PAYLOAD(&req, "/a\0value");
	ck_assert_uint_eq(req.header.tx_id, 0);
	answer_ok(&req);
	get_request(&req, XS_READ);
	SAME_PAYLOAD(&req, "/a\0");
	answer(&req, XS_READ, "va\0ue", 5);
	get_request(&req, XS_READ);
	answer(&req, XS_READ, "", 0);
	get_request(&req, XS_SET_PERMS);
	SAME_PAYLOAD(&req, "/a\0n5\0r65535\0");
	answer_ok(&req);
	get_request(&req, XS_INTRODUCE);
	SAME_PAYLOAD(&req, "7\0"
			   "1048572\0"
			   "3\0");
	answer_ok(&req);
	get_request(&req, XS_RELEASE);
	SAME_PAYLOAD(&req, "7\0");
	answer_ok(&req);
}

START_TEST(values)
{
	const struct xenhost_perm perms[] = { { 'n', 5 }, { 'r', 65535 } };
	char *value;
	size_t len;

	start_server(play_values);
	ck_assert_int_eq(xenhost_store_printf(host, 0, "/a", "%s", "value"), 0);
	ck_assert_int_eq(xenhost_store_read(host, 0, "/a", &value, &len), 0);
	ck_assert_uint_eq(len, 5);
	ck_assert_mem_eq(value, "va\0ue", 6);
	free(value);
	ck_assert_int_eq(xenhost_store_read(host, 0, "/a", &value, NULL), 0);
	ck_assert_str_eq(value, "");
	free(value);
	ck_assert_int_eq(xenhost_store_set_perms(host, 0, "/a", perms, 2), 0);
	ck_assert_int_eq(xenhost_store_introduce(host, 7, 1048572, 3), 0);
	ck_assert_int_eq(xenhost_store_release(host, 7), 0);
	end_server();
}
END_TEST

static void play_errors(void)
{
	struct request req;

	get_request(&req, XS_READ);
	answer(&req, XS_ERROR, "ENOENT", 7);
	get_request(&req, XS_READ);
	answer(&req, XS_ERROR, "EQUOTA", 7);
	get_request(&req, XS_READ);
	answer(&req, XS_ERROR, "", 0);
	get_request(&req, XS_READ);
	answer(&req, XS_READ, "12x", 3);
	get_request(&req, XS_READ);
	answer(&req, XS_READ, "256", 3);
	get_request(&req, XS_READ);
	answer(&req, XS_READ, "255", 3);
}

START_TEST(errors)
{
	char *value = NULL;
	uint64_t v = 77;

	start_server(play_errors);
	ck_assert_int_eq(xenhost_store_read(host, 0, "/a", &value, NULL), -ENOENT);
	ck_assert_int_eq(xenhost_store_read(host, 0, "/a", &value, NULL), -EINVAL);
	ck_assert_int_eq(xenhost_store_read(host, 0, "/a", &value, NULL), -EINVAL);
	ck_assert_ptr_null(value);
	ck_assert_int_eq(xenhost_store_read_u64(host, 0, "/a", 255, &v), -EINVAL);
	ck_assert_int_eq(xenhost_store_read_u64(host, 0, "/a", 255, &v), -ERANGE);
	ck_assert_uint_eq(v, 77);
	ck_assert_int_eq(xenhost_store_read_u64(host, 0, "/a", 255, &v), 0);
	ck_assert_uint_eq(v, 255);
	end_server();
}
END_TEST

static void play_nothing(void)
{
}

START_TEST(bad_arguments)
{
	static char big[4097];
	struct xenhost_perm bad = { 'x', 0 };
	char *value, **names;
	xenhost_watch_t *watch;

	start_server(play_nothing);
	ck_assert_int_eq(xenhost_store_read(NULL, 0, "/a", &value, NULL), -EINVAL);
	ck_assert_int_eq(xenhost_store_read(host, 0, NULL, &value, NULL), -EINVAL);
	ck_assert_int_eq(xenhost_store_read(host, 0, "/a", NULL, NULL), -EINVAL);
	ck_assert_int_eq(xenhost_store_write(host, 0, "/a", NULL, 1), -EINVAL);
	ck_assert_int_eq(xenhost_store_list(host, 0, "/a", NULL), -EINVAL);
	ck_assert_int_eq(xenhost_store_set_perms(host, 0, "/a", &bad, 1), -EINVAL);
	ck_assert_int_eq(xenhost_store_set_perms(host, 0, "/a", &bad, 0), -EINVAL);
	ck_assert_int_eq(xenhost_txn_end(host, 0, 1), -EINVAL);
	ck_assert_int_eq(xenhost_watch(host, "/a", NULL, NULL, &watch), -EINVAL);
	ck_assert_int_eq(xenhost_store_set_timeout(host, -2), -EINVAL);
	ck_assert_ptr_null(xenhost_unwatch(NULL));
	/* 4096 bytes with the path and its NUL, not more; nothing is sent */
	ck_assert_int_eq(xenhost_store_write(host, 0, "/a", big, 4094), -E2BIG);
	ck_assert_int_eq(xenhost_store_write(host, 0, "/a", big, SIZE_MAX), -E2BIG);
	memset(big, 'x', 4096);
	ck_assert_int_eq(xenhost_store_list(host, 0, big, &names), -E2BIG);
	ck_assert_int_eq(xenhost_store_printf(host, 0, "/a", "%s", big), -E2BIG);
	end_server();
}
END_TEST

START_TEST(no_daemon)
{
	char path[128], *value;

	/* nobody there: an error, and a new try with each call */
	snprintf(path, sizeof(path), "%s/store.sock", dir);
	unlink(path);
	ck_assert_int_eq(xenhost_store_read(host, 0, "/a", &value, NULL), -ENOENT);
	ck_assert_int_eq(xenhost_store_read(host, 0, "/a", &value, NULL), -ENOENT);
	ck_assert_int_eq(xenhost_process(host), 0);
}
END_TEST

/* --- answers that cannot be: the connection ends --- */

static void play_wrong_id(void)
{
	struct request req;

	get_request(&req, XS_READ);
	req.header.req_id++;
	answer(&req, XS_READ, "x", 1);
}

static void play_wrong_type(void)
{
	struct request req;

	get_request(&req, XS_READ);
	answer(&req, XS_WRITE, "OK", 3);
}

static void play_oversize(void)
{
	struct request req;

	get_request(&req, XS_READ);
	send_all(&(struct xsd_sockmsg){ XS_READ, req.header.req_id, 0, 4097 }, 16);
}

static void play_hugely_oversize(void)
{
	struct request req;

	get_request(&req, XS_READ);
	send_all(&(struct xsd_sockmsg){ XS_READ, req.header.req_id, 0, UINT32_MAX }, 16);
}

static void play_bad_event(void)
{
	struct request req;

	get_request(&req, XS_READ);
	send_all(&(struct xsd_sockmsg){ XS_WATCH_EVENT, 0, 0, 4 }, 16);
	send_all("/a\0t", 4);
}

static void play_half_answer(void)
{
	struct request req;

	get_request(&req, XS_READ);
	send_all(&(struct xsd_sockmsg){ XS_READ, req.header.req_id, 0, 5 }, 16);
	send_all("abc", 3);
	shutdown(conn, SHUT_RDWR);
}

static const struct {
	void (*play)(void);
	int error;
} broken_servers[] = {
	{ play_wrong_id, -EPROTO },  { play_wrong_type, -EPROTO },
	{ play_oversize, -EPROTO },  { play_hugely_oversize, -EPROTO },
	{ play_bad_event, -EPROTO }, { play_half_answer, -ECONNRESET },
};

START_TEST(broken_server)
{
	char *value = NULL;

	for (size_t i = 0; i < sizeof(broken_servers) / sizeof(broken_servers[0]); i++) {
		if (i) {
			xenhost_close(host);
			tempdir_remove(dir);
			close(listener);
			setup();
		}
		start_server(broken_servers[i].play);
		ck_assert_int_eq(xenhost_store_read(host, 0, "/a", &value, NULL),
				 broken_servers[i].error);
		ck_assert_int_eq(xenhost_store_read(host, 0, "/a", &value, NULL), -ENOTCONN);
		end_server();
	}
}
END_TEST

static void play_malformed(void)
{
	struct request req;

	get_request(&req, XS_MKDIR);
	answer(&req, XS_MKDIR, "OK", 2);
}

START_TEST(malformed_ack)
{
	start_server(play_malformed);
	ck_assert_int_eq(xenhost_store_mkdir(host, 0, "/a"), -EPROTO);
	ck_assert_int_eq(xenhost_store_mkdir(host, 0, "/a"), -ENOTCONN);
	end_server();
}
END_TEST

static void play_bad_txn_id(void)
{
	struct request req;

	get_request(&req, XS_TRANSACTION_START);
	answer(&req, XS_TRANSACTION_START, "0", 2);
}

START_TEST(malformed_txn_id)
{
	xenhost_txn_t txn;

	start_server(play_bad_txn_id);
	ck_assert_int_eq(xenhost_txn_begin(host, &txn), -EPROTO);
	end_server();
}
END_TEST

static void play_bad_perms(void)
{
	struct request req;

	get_request(&req, XS_GET_PERMS);
	answer(&req, XS_GET_PERMS, "n0\0x1", 6);
}

START_TEST(malformed_perms)
{
	struct xenhost_perm perms[2] = { { 'w', 9 }, { 'w', 9 } };

	start_server(play_bad_perms);
	ck_assert_int_eq(xenhost_store_get_perms(host, 0, "/a", perms, 2), -EPROTO);
	ck_assert_int_eq(perms[0].letter, 'w');
	end_server();
}
END_TEST

static void play_vanish(void)
{
	struct request req;

	get_request(&req, XS_MKDIR);
	answer_ok(&req);
	shutdown(conn, SHUT_RDWR);
}

/* lost while nobody calls */
START_TEST(server_vanishes)
{
	start_server(play_vanish);
	ck_assert_int_eq(xenhost_store_mkdir(host, 0, "/a"), 0);
	wait_readable();
	ck_assert_int_eq(xenhost_process(host), 0);
	ck_assert_int_eq(xenhost_store_mkdir(host, 0, "/a"), -ENOTCONN);
	end_server();
}
END_TEST

/* --- pieces and deadlines --- */

static void play_pieces(void)
{
	struct request req;
	struct {
		struct xsd_sockmsg header;
		char payload[5];
	} msg = { { XS_READ, 0, 0, 5 }, "whole" };

	get_request(&req, XS_READ);
	msg.header.req_id = req.header.req_id;
	for (size_t i = 0; i < 21; i++)
		send_all((char *)&msg + i, 1);
}

START_TEST(answer_in_pieces)
{
	char *value;

	start_server(play_pieces);
	ck_assert_int_eq(xenhost_store_read(host, 0, "/a", &value, NULL), 0);
	ck_assert_str_eq(value, "whole");
	free(value);
	end_server();
}
END_TEST

static void play_late(void)
{
	struct request start, read;

	get_request(&start, XS_TRANSACTION_START);
	/* not before the client has given up and asks something else */
	get_request(&read, XS_READ);
	answer(&start, XS_TRANSACTION_START, "55", 3);
	answer(&read, XS_READ, "x", 1);
	/* nobody knows of the transaction, so it is dropped */
	get_request(&read, XS_TRANSACTION_END);
	ck_assert_uint_eq(read.header.tx_id, 55);
	SAME_PAYLOAD(&read, "F\0");
	answer_ok(&read);
}

START_TEST(late_answer)
{
	xenhost_txn_t txn = 0;
	char *value;

	start_server(play_late);
	ck_assert_int_eq(xenhost_store_set_timeout(host, 20), 0);
	ck_assert_int_eq(xenhost_txn_begin(host, &txn), -ETIMEDOUT);
	ck_assert_uint_eq(txn, 0);
	ck_assert_int_eq(xenhost_store_set_timeout(host, -1), 0);
	ck_assert_int_eq(xenhost_store_read(host, 0, "/a", &value, NULL), 0);
	ck_assert_str_eq(value, "x");
	free(value);
	end_server();
}
END_TEST

/* --- transactions --- */

static void play_races(void)
{
	struct request req;

	for (int i = 0; i < 64; i++) {
		get_request(&req, XS_TRANSACTION_START);
		answer(&req, XS_TRANSACTION_START, "9", 2);
		get_request(&req, XS_TRANSACTION_END);
		ck_assert_uint_eq(req.header.tx_id, 9);
		SAME_PAYLOAD(&req, "T\0");
		answer(&req, XS_ERROR, "EAGAIN", 7);
	}
	get_request(&req, XS_TRANSACTION_START);
	answer(&req, XS_TRANSACTION_START, "9", 2);
	get_request(&req, XS_TRANSACTION_END);
	SAME_PAYLOAD(&req, "F\0");
	answer_ok(&req);
}

static int count_tries(xenhost_t *h, xenhost_txn_t txn, void *data)
{
	(*(int *)data)++;
	return 0;
}

static int refuse(xenhost_t *h, xenhost_txn_t txn, void *data)
{
	return -EAGAIN; /* of fn itself: not a lost race */
}

START_TEST(lost_races)
{
	int tries = 0;

	start_server(play_races);
	ck_assert_int_eq(xenhost_txn_run(host, count_tries, &tries), -EAGAIN);
	ck_assert_int_eq(tries, 64);
	ck_assert_int_eq(xenhost_txn_run(host, refuse, NULL), -EAGAIN);
	end_server();
}
END_TEST

/* --- directories --- */

static void play_directories(void)
{
	struct request req;

	get_request(&req, XS_DIRECTORY);
	answer(&req, XS_DIRECTORY, "", 0);
	get_request(&req, XS_DIRECTORY);
	answer(&req, XS_DIRECTORY, "a\0bc", 5);
	/* too large: in pages, the first time with a change in between */
	get_request(&req, XS_DIRECTORY);
	answer(&req, XS_ERROR, "E2BIG", 6);
	get_request(&req, XS_DIRECTORY_PART);
	SAME_PAYLOAD(&req, "/d\0"
			   "0\0");
	answer(&req, XS_DIRECTORY_PART, "7\0aa\0b", 7);
	get_request(&req, XS_DIRECTORY_PART);
	SAME_PAYLOAD(&req, "/d\0"
			   "5\0");
	answer(&req, XS_DIRECTORY_PART, "8\0c\0", 5);
	get_request(&req, XS_DIRECTORY_PART);
	SAME_PAYLOAD(&req, "/d\0"
			   "0\0");
	answer(&req, XS_DIRECTORY_PART, "8\0aa\0b", 7);
	get_request(&req, XS_DIRECTORY_PART);
	answer(&req, XS_DIRECTORY_PART, "8\0c\0d\0", 7);
	get_request(&req, XS_DIRECTORY);
	answer(&req, XS_DIRECTORY, "a\0b", 3);
}

START_TEST(directories)
{
	char **names;

	start_server(play_directories);
	ck_assert_int_eq(xenhost_store_list(host, 0, "/d", &names), 0);
	ck_assert_ptr_null(names[0]);
	free(names);
	ck_assert_int_eq(xenhost_store_list(host, 0, "/d", &names), 2);
	ck_assert_str_eq(names[0], "a");
	ck_assert_str_eq(names[1], "bc");
	ck_assert_ptr_null(names[2]);
	free(names);
	ck_assert_int_eq(xenhost_store_list(host, 0, "/d", &names), 4);
	ck_assert_str_eq(names[0], "aa");
	ck_assert_str_eq(names[3], "d");
	free(names);
	ck_assert_int_eq(xenhost_store_list(host, 0, "/d", &names), -EPROTO);
	end_server();
}
END_TEST

/* --- watches --- */

struct seen {
	int n;
	char last[64];
	xenhost_watch_t *watch;
};

static void see(xenhost_t *h, const char *path, void *data)
{
	struct seen *seen = data;

	seen->n++;
	snprintf(seen->last, sizeof(seen->last), "%s", path);
}

static void watch(const char *path, void (*fn)(xenhost_t *h, const char *path, void *data),
		  struct seen *seen)
{
	ck_assert_int_eq(xenhost_watch(host, path, fn, seen, &seen->watch), 0);
}

static void play_event_in_call(void)
{
	struct request req, read;

	get_request(&req, XS_WATCH);
	answer_ok(&req);
	event("/w", token_of(&req));
	get_request(&read, XS_READ);
	event("/w/x", token_of(&req));
	event("/w/x", token_of(&req));
	event("/w/y", token_of(&req));
	event("/w", token_of(&req));
	answer(&read, XS_READ, "x", 1);
	wait_stage(1);
}

/* events that a blocking call meets are kept, the handle is readable, and equal ones are one */
START_TEST(event_in_call)
{
	struct seen seen = { 0 };
	char *value;

	start_server(play_event_in_call);
	watch("/w", see, &seen);
	ck_assert_int_eq(xenhost_store_read(host, 0, "/a", &value, NULL), 0);
	free(value);
	ck_assert_int_eq(seen.n, 0);
	ck_assert(readable());
	ck_assert_int_eq(xenhost_process(host), 3);
	ck_assert_int_eq(seen.n, 3);
	ck_assert_str_eq(seen.last, "/w/y");
	set_stage(1);
	end_server();
}
END_TEST

static void play_many(void)
{
	struct request req, read;
	char path[32];

	get_request(&req, XS_WATCH);
	answer_ok(&req);
	get_request(&read, XS_READ);
	for (int i = 0; i < 1000; i++) {
		snprintf(path, sizeof(path), "/w/%d", i);
		event(path, token_of(&req));
	}
	answer(&read, XS_READ, "x", 1);
	wait_stage(1);
}

/* a flood costs bounded memory and loses nothing: one event says that anything may have changed */
START_TEST(flood_collapses)
{
	struct seen seen = { 0 };
	char *value;

	start_server(play_many);
	watch("/w", see, &seen);
	ck_assert_int_eq(xenhost_store_read(host, 0, "/a", &value, NULL), 0);
	free(value);
	ck_assert_int_eq(xenhost_process(host), 1);
	ck_assert_int_eq(seen.n, 1);
	ck_assert_str_eq(seen.last, "/w");
	ck_assert(!readable());
	ck_assert_int_eq(xenhost_process(host), 0);
	set_stage(1);
	end_server();
}
END_TEST

static void unwatch_self(xenhost_t *h, const char *path, void *data)
{
	see(h, path, data);
	xenhost_unwatch(((struct seen *)data)->watch);
	/* the path is still good here */
	ck_assert_str_eq(path, ((struct seen *)data)->last);
}

static void play_unwatch(void)
{
	struct request watch1, watch2, req;

	get_request(&watch1, XS_WATCH);
	answer_ok(&watch1);
	get_request(&watch2, XS_WATCH);
	ck_assert_str_ne(token_of(&watch1), token_of(&watch2));
	event("/w/1", token_of(&watch1));
	event("/w/2", token_of(&watch1));
	event("/w/3", token_of(&watch2));
	answer_ok(&watch2);
	get_request(&req, XS_UNWATCH);
	ck_assert_uint_eq(req.header.len, watch1.header.len);
	ck_assert_mem_eq(req.payload, watch1.payload, watch1.header.len);
	/* an event that was on its way, and one that nobody asked for */
	event("/w/4", token_of(&watch1));
	event("/w/5", "0-999");
	event("/w/5", "4294967295-1");
	event("/w/5", "junk");
	event("/w/6", token_of(&watch2));
	answer_ok(&req);
	/* the place is used again, the token is not */
	get_request(&req, XS_WATCH);
	ck_assert_str_ne(token_of(&watch1), token_of(&req));
	event("/w/7", token_of(&watch1));
	answer_ok(&req);
	wait_stage(1);
}

START_TEST(unwatch_in_callback)
{
	struct seen one = { 0 }, two = { 0 }, three = { 0 };

	start_server(play_unwatch);
	watch("/w", unwatch_self, &one);
	watch("/w", see, &two);
	process_n(3); /* /w/1 to the first, which ends itself; /w/3 and /w/6 to the second */
	ck_assert_int_eq(one.n, 1);
	ck_assert_int_eq(two.n, 2);
	ck_assert_str_eq(two.last, "/w/6");
	watch("/w", see, &three);
	ck_assert_int_eq(xenhost_process(host), 0);
	ck_assert_int_eq(three.n, 0);
	set_stage(1);
	end_server();
}
END_TEST

static void unwatch_other(xenhost_t *h, const char *path, void *data)
{
	struct seen *other = data;

	other->watch = xenhost_unwatch(other->watch);
}

static void play_two_events(void)
{
	struct request watch1, watch2, req;

	get_request(&watch1, XS_WATCH);
	answer_ok(&watch1);
	get_request(&watch2, XS_WATCH);
	event("/w", token_of(&watch1));
	event("/w", token_of(&watch2));
	answer_ok(&watch2);
	get_request(&req, XS_UNWATCH);
	answer_ok(&req);
	wait_stage(1);
}

/* a queued event dies with its watch */
START_TEST(unwatch_other_in_callback)
{
	struct seen two = { 0 };
	xenhost_watch_t *first;

	start_server(play_two_events);
	ck_assert_int_eq(xenhost_watch(host, "/w", unwatch_other, &two, &first), 0);
	watch("/w", see, &two);
	process_n(1);
	ck_assert_int_eq(two.n, 0);
	set_stage(1);
	end_server();
}
END_TEST

static void read_and_process(xenhost_t *h, const char *path, void *data)
{
	char *value;

	see(h, path, data);
	ck_assert_int_eq(xenhost_store_read(h, 0, "/a", &value, NULL), 0);
	free(value);
	ck_assert_int_eq(xenhost_process(h), 0); /* does not nest */
}

static void play_call_in_callback(void)
{
	struct request watch1, req;

	get_request(&watch1, XS_WATCH);
	answer_ok(&watch1);
	event("/w", token_of(&watch1));
	for (int i = 0; i < 3; i++) {
		get_request(&req, XS_READ);
		if (i < 2)
			event("/w", token_of(&watch1));
		answer(&req, XS_READ, "x", 1);
	}
	wait_stage(1);
}

/* callbacks that make work for themselves: each process ends, and the handle stays readable */
START_TEST(call_in_callback)
{
	struct seen seen = { 0 };

	start_server(play_call_in_callback);
	watch("/w", read_and_process, &seen);
	for (int i = 1; i <= 3; i++) {
		process_n(1);
		ck_assert_int_eq(seen.n, i);
	}
	ck_assert(!readable());
	set_stage(1);
	end_server();
}
END_TEST

/* the next connection of the client, with the same watch on it */
static void accept_again(struct request *watch)
{
	struct request again;

	shutdown(conn, SHUT_RDWR);
	close(conn);
	conn = accept(listener, NULL, NULL);
	ck_assert_int_ge(conn, 0);
	get_request(&again, XS_WATCH);
	ck_assert_uint_eq(again.header.len, watch->header.len);
	ck_assert_mem_eq(again.payload, watch->payload, watch->header.len);
	*watch = again;
}

static void play_refuse_again(void)
{
	struct request watch;

	get_request(&watch, XS_WATCH);
	answer_ok(&watch);
	event("/w", token_of(&watch));
	wait_stage(1);
	accept_again(&watch);
	answer(&watch, XS_ERROR, "ENOSPC", 7);
	wait_stage(2);
	/* dies at once */
	accept_again(&watch);
	accept_again(&watch);
	answer_ok(&watch);
	event("/w", token_of(&watch));
	wait_stage(3);
}

/* a new daemon that refuses a watch: its owner looks all the same, and it is tried again with the next */
START_TEST(refused_again)
{
	struct seen seen = { 0 };

	start_server(play_refuse_again);
	watch("/w", see, &seen);
	for (int i = 1; i <= 3; i++) {
		process_n(1);
		ck_assert_int_eq(seen.n, i);
		ck_assert_str_eq(seen.last, "/w");
		set_stage(i);
	}
	end_server();
}
END_TEST

static void play_refuse_watch(void)
{
	struct request req;

	get_request(&req, XS_WATCH);
	event("/w", token_of(&req));
	answer(&req, XS_ERROR, "ENOSPC", 7);
	wait_stage(1);
}

START_TEST(refused_watch)
{
	struct seen seen = { 0 };

	start_server(play_refuse_watch);
	ck_assert_int_eq(xenhost_watch(host, "/w", see, &seen, &seen.watch), -ENOSPC);
	ck_assert_ptr_null(seen.watch);
	ck_assert_int_eq(xenhost_process(host), 0);
	set_stage(1);
	end_server();
}
END_TEST

UNIT_MAIN_WITH("store", setup, teardown, values, errors, bad_arguments, no_daemon, broken_server,
	       malformed_ack, malformed_txn_id, malformed_perms, server_vanishes, answer_in_pieces,
	       late_answer, lost_races, directories, event_in_call, flood_collapses,
	       unwatch_in_callback, unwatch_other_in_callback, call_in_callback, refused_watch,
	       refused_again)
