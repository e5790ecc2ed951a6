/* SPDX-License-Identifier: MIT */
/*
 * Errors that the pages of section 3 list and that no other test produces: hosts and stores that do not
 * answer, hang up or refuse are played by a thread, tables are filled up, descriptors run out.
 * tests/ERRORS.tsv says which test produces which error.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <xenhost/domain.h>
#include <xenhost/frontend.h>
#include <xenhost/hypercall.h>
#include <xenhost/keep.h>
#include <xenhost/transport.h>

#include "common/bridge.h"
#include "common/xen.h"
#include "libxenhost/stream.h"
#include "libxenhost/transport_fake.h"
#include "tests/support/bridged.h"
#include "tests/support/unit.h"

#define US 32000
#define RW (XENHOST_READ | XENHOST_WRITE)
#define BACK "/local/domain/32000/backend/test/5/0"
#define FRONT "/local/domain/5/device/test/0"

/* --- one who is played: a listener, and a thread for each connection --- */

enum mood {
	POLITE,
	REFUSES,   /* answers with an error */
	HANGS_UP,  /* at a request */
	IS_SILENT, /* answers nothing any more */
	IS_MUTE,   /* not even hello */
	RAVES,	   /* answers nonsense */
};

struct played {
	int listener;
	void *(*serve)(void *conn);
	pthread_t thread;
	_Atomic int mood;
	_Atomic int refusal;	   /* errno, of a host */
	const char *_Atomic words; /* the same, of a store */
};

struct conn {
	struct played *p;
	int fd;
};

static struct played host_played, store_played;

static void *accept_all(void *data)
{
	struct played *p = data;
	int fd;

	while ((fd = accept(p->listener, NULL, NULL)) >= 0) {
		struct conn *c = malloc(sizeof(*c));
		pthread_t thread;

		ck_assert_ptr_nonnull(c);
		*c = (struct conn){ p, fd };
		ck_assert_int_eq(pthread_create(&thread, NULL, p->serve, c), 0);
		ck_assert_int_eq(pthread_detach(thread), 0);
	}
	return NULL;
}

static void play(struct played *p, int type, const char *name, void *(*serve)(void *conn))
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%s", bridged_rundir, name);
	p->serve = serve;
	p->listener = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(p->listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	ck_assert_int_eq(listen(p->listener, 8), 0);
	ck_assert_int_eq(pthread_create(&p->thread, NULL, accept_all, p), 0);
}

static void end_play(struct played *p)
{
	shutdown(p->listener, SHUT_RDWR);
	pthread_join(p->thread, NULL);
	close(p->listener);
}

static void answer_host(struct conn *c, const bridge_frame *req)
{
	Bridge__Welcome welcome = BRIDGE__WELCOME__INIT;
	bridge_frame f = BRIDGE__FRAME__INIT;
	uint8_t buf[256];

	welcome.version = BRIDGE_VERSION;
	welcome.role = BRIDGE__ROLE__SERVICE;
	welcome.domid = US;
	if (req->body_case == BRIDGE__FRAME__BODY_HELLO)
		f = peer_frame_of(BRIDGE__FRAME__BODY_WELCOME, &welcome);
	else
		f.error = c->p->refusal;
	f.id = req->id;
	(void)!send(c->fd, buf, (size_t)bridge_wire_pack(&f, buf, sizeof(buf)), MSG_NOSIGNAL);
}

static void *serve_host(void *data)
{
	struct conn *c = data;
	uint8_t buf[1024];
	bridge_frame *req;
	ssize_t n;

	while ((n = recv(c->fd, buf, sizeof(buf), 0)) > 0) {
		int mood = c->p->mood;
		bool hello;

		ck_assert_int_eq(bridge_wire_unpack(buf, (size_t)n, 0, &req), 0);
		hello = req->body_case == BRIDGE__FRAME__BODY_HELLO && mood != IS_MUTE;
		if (hello || mood == REFUSES)
			answer_host(c, req);
		bridge_wire_free(req);
		if (!hello && mood == HANGS_UP)
			break;
	}
	close(c->fd);
	free(c);
	return NULL;
}

static bool read_all(int fd, void *buf, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = read(fd, (char *)buf + done, len - done);

		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

static void *serve_store(void *data)
{
	struct conn *c = data;
	struct xsd_sockmsg h;
	char payload[4096];

	while (read_all(c->fd, &h, sizeof(h)) && read_all(c->fd, payload, h.len)) {
		const char *words = c->p->mood == REFUSES ? c->p->words : "OK";
		struct {
			struct xsd_sockmsg header;
			char text[32];
		} answer = { h, "" };

		if (c->p->mood == HANGS_UP)
			break;
		if (c->p->mood == IS_SILENT)
			continue;
		answer.header.type = c->p->mood == POLITE ? h.type : XS_ERROR;
		if (c->p->mood == RAVES)
			answer.header.type = 4711;
		answer.header.len = (uint32_t)strlen(words) + 1;
		strcpy(answer.text, words);
		(void)!send(c->fd, &answer, sizeof(h) + answer.header.len, MSG_NOSIGNAL);
	}
	close(c->fd);
	free(c);
	return NULL;
}

static void setup(void)
{
	tempdir_make(bridged_rundir);
	play(&host_played, SOCK_SEQPACKET, "host.sock", serve_host);
	play(&store_played, SOCK_STREAM, "store.sock", serve_store);
}

static void teardown(void)
{
	end_play(&host_played);
	end_play(&store_played);
	tempdir_remove(bridged_rundir);
}

static int open_played_host(xenhost_t **ret_host)
{
	char uri[128];

	snprintf(uri, sizeof(uri), "bridge:%s/host.sock", bridged_rundir);
	return xenhost_open(uri, 0, ret_host);
}

/* a handle whose store is played; deadline 100 ms for the silent one alone */
static xenhost_t *open_played_store(enum mood mood, const char *words)
{
	xenhost_t *host;
	char uri[128];

	store_played.words = words;
	store_played.mood = mood;
	snprintf(uri, sizeof(uri), "fake:%s/store.sock,domid=%d", bridged_rundir, US);
	ck_assert_int_eq(xenhost_open(uri, 0, &host), 0);
	if (mood == IS_SILENT)
		ck_assert_int_eq(xenhost_store_set_timeout(host, 100), 0);
	return host;
}

/* --- the calls, each as one that can be made without anything there --- */

static int info_of(xenhost_t *host)
{
	struct xenhost_domain_info info;

	return xenhost_domain_info(host, 5, &info);
}

static int bind_of(xenhost_t *host)
{
	xenhost_port_t *port;

	return xenhost_port_bind(host, 5, 1, &port);
}

static int map_of(xenhost_t *host)
{
	const uint32_t gref = 8;
	xenhost_map_t *map;

	return xenhost_map_grants(host, 5, &gref, 1, RW, &map);
}

static int version_of(xenhost_t *host)
{
	uint64_t version[2];

	return xenhost_hypercall(host, XENHOST_HYPERCALL_VERSION, NULL, 0, version, 2);
}

static int keep_of(xenhost_t *host)
{
	return xenhost_keep_put(host, "name", STDIN_FILENO);
}

static int read_of(xenhost_t *host)
{
	char *value;

	return xenhost_store_read(host, 0, "/a", &value, NULL);
}

static int nothing(xenhost_device_t *dev)
{
	return 0;
}

static void no_end(xenhost_device_t *dev)
{
}

static const struct xenhost_backend_ops back_ops = {
	.size = sizeof(back_ops),
	.type = "test",
	.probe = nothing,
	.connect = nothing,
	.disconnect = no_end,
	.remove = no_end,
};

static int backend_of(xenhost_t *host)
{
	xenhost_backend_t *backend;

	return xenhost_backend_new(host, &back_ops, NULL, &backend);
}

static int front_nothing(xenhost_frontend_t *front)
{
	return 0;
}

static void front_end(xenhost_frontend_t *front)
{
}

static const struct xenhost_frontend_ops front_ops = {
	.size = sizeof(front_ops),
	.setup = front_nothing,
	.connected = front_nothing,
	.closed = front_end,
};

static int frontend_of(xenhost_t *host)
{
	xenhost_frontend_t *front;

	return xenhost_frontend_new(host, FRONT, &front_ops, NULL, &front);
}

/* --- hosts --- */

static int (*const host_calls[])(xenhost_t *host) = { info_of, bind_of, map_of, version_of,
						      keep_of };
#define NR_HOST_CALLS (sizeof(host_calls) / sizeof(host_calls[0]))

/* the host ends while it is asked; afterwards there is none, which xenhost_process() says as well */
START_TEST(host_hangs_up)
{
	host_played.mood = HANGS_UP;
	for (size_t i = 0; i < NR_HOST_CALLS; i++) {
		xenhost_t *host;

		ck_assert_int_eq(open_played_host(&host), 0);
		ck_assert_msg(host_calls[i](host) == -ECONNRESET, "call %zu", i);
		ck_assert_msg(host_calls[i](host) == -ENOTCONN, "call %zu again", i);
		ck_assert_int_eq(xenhost_process(host), -ECONNRESET);
		xenhost_close(host);
	}
}
END_TEST

struct waiting {
	xenhost_t *host; /* NULL: open one */
	int (*call)(xenhost_t *host);
	pthread_t thread;
	int r;
};

static void *wait_for_answer(void *data)
{
	struct waiting *w = data;

	w->r = w->host ? w->call(w->host) : open_played_host(&w->host);
	return NULL;
}

/* All at once, because each waits for its 10 s. */
START_TEST(host_is_silent)
{
	struct waiting waits[NR_HOST_CALLS + 1] = { 0 };

	host_played.mood = IS_SILENT;
	for (size_t i = 0; i < NR_HOST_CALLS; i++) {
		waits[i].call = host_calls[i];
		ck_assert_int_eq(open_played_host(&waits[i].host), 0);
	}
	host_played.mood = IS_MUTE;
	for (size_t i = 0; i <= NR_HOST_CALLS; i++)
		ck_assert_int_eq(pthread_create(&waits[i].thread, NULL, wait_for_answer, &waits[i]),
				 0);
	for (size_t i = 0; i <= NR_HOST_CALLS; i++) {
		pthread_join(waits[i].thread, NULL);
		ck_assert_msg(waits[i].r == -ETIMEDOUT, "call %zu: %d", i, waits[i].r);
		xenhost_close(waits[i].host);
	}
}
END_TEST

/* what the host says arrives as it was said */
START_TEST(host_refuses)
{
	xenhost_t *host;

	host_played.mood = REFUSES;
	ck_assert_int_eq(open_played_host(&host), 0);
	host_played.refusal = ENOSPC;
	ck_assert_int_eq(bind_of(host), -ENOSPC);
	ck_assert_int_eq(keep_of(host), -ENOSPC);
	host_played.refusal = 4711; /* no error at all */
	ck_assert_int_eq(bind_of(host), -EPROTO);
	xenhost_close(host);
}
END_TEST

START_TEST(nobody_there)
{
	xenhost_t *host;
	char uri[256], *end;

	snprintf(uri, sizeof(uri), "bridge:%s/none", bridged_rundir);
	ck_assert_int_eq(xenhost_open(uri, 0, &host), -ENOENT);
	end = uri + strlen(uri);
	memset(end, 'x', 128);
	end[128] = '\0';
	ck_assert_int_eq(xenhost_open(uri, 0, &host), -ENAMETOOLONG);
	/* a socket that its owner has left behind */
	end_play(&host_played);
	ck_assert_int_eq(open_played_host(&host), -ECONNREFUSED);
	snprintf(uri, sizeof(uri), "%s/host.sock", bridged_rundir);
	ck_assert_int_eq(unlink(uri), 0);
	play(&host_played, SOCK_SEQPACKET, "host.sock", serve_host);
}
END_TEST

/* --- stores --- */

static void expect_refusal(const char *words, int error)
{
	xenhost_t *host = open_played_store(REFUSES, words);

	ck_assert_int_eq(read_of(host), error);
	ck_assert_int_eq(backend_of(host), error);
	ck_assert_int_eq(frontend_of(host), error);
	xenhost_close(host);
}

START_TEST(store_refuses)
{
	expect_refusal("ENOENT", -ENOENT);
	expect_refusal("EACCES", -EACCES);
	expect_refusal("EEXIST", -EEXIST);
	expect_refusal("ENOSPC", -ENOSPC);
	expect_refusal("EROFS", -EROFS);
	expect_refusal("EAGAIN", -EAGAIN);
}
END_TEST

static void expect_lost(enum mood mood, int (*call)(xenhost_t *host), int error)
{
	xenhost_t *host = open_played_store(mood, "OK");

	ck_assert_int_eq(call(host), error);
	ck_assert_int_eq(call(host), -ENOTCONN); /* at once: no deadline passes */
	xenhost_close(host);
}

START_TEST(store_is_lost)
{
	int (*const calls[])(xenhost_t * host) = { read_of, backend_of, frontend_of };

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		expect_lost(HANGS_UP, calls[i], -ECONNRESET);
		expect_lost(RAVES, calls[i], -EPROTO);
	}
}
END_TEST

START_TEST(store_is_silent)
{
	int (*const calls[])(xenhost_t * host) = { read_of, backend_of, frontend_of };

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		xenhost_t *host = open_played_store(IS_SILENT, "OK");

		ck_assert_int_eq(calls[i](host), -ETIMEDOUT);
		xenhost_close(host);
	}
}
END_TEST

/* --- transports --- */

static int bare_open(xenhost_t *host, const char *address, void **ret_state)
{
	*ret_state = host;
	return 0;
}

static void bare_close(void *state)
{
}

static uint16_t bare_domid(void *state)
{
	return US;
}

static const struct xenhost_transport_ops bare_ops = {
	.size = sizeof(bare_ops),
	.scheme = "bare",
	.open = bare_open,
	.close = bare_close,
	.domid = bare_domid,
};

/* one that can do nothing: each page has its error for that */
START_TEST(bare_transport)
{
	xenhost_share_t *share;
	xenhost_t *host;

	ck_assert_int_eq(xenhost_register_transport(&bare_ops), 0);
	ck_assert_int_eq(xenhost_open("bare:", 0, &host), 0);
	for (size_t i = 0; i < NR_HOST_CALLS; i++)
		ck_assert_msg(host_calls[i](host) == -EOPNOTSUPP, "call %zu", i);
	ck_assert_int_eq(read_of(host), -EOPNOTSUPP);
	ck_assert_int_eq(frontend_of(host), -EOPNOTSUPP);
	ck_assert_int_eq(xenhost_share(host, 1, 1, RW, &share), -EOPNOTSUPP);
	xenhost_close(host);
}
END_TEST

START_TEST(too_many_transports)
{
	struct xenhost_transport_ops ops = bare_ops;
	static char names[32][16];
	int r = 0, n = 0;

	for (; r == 0 && n < 32; n++) {
		snprintf(names[n], sizeof(names[n]), "bare%d", n);
		ops.scheme = names[n];
		r = xenhost_register_transport(&ops);
	}
	ck_assert_int_eq(r, -ENOSPC);
	ck_assert_int_gt(n, 8);
	ck_assert_int_eq(xenhost_register_transport(&ops), -ENOSPC);
}
END_TEST

/* --- no thread: pthread_create() is led here by the linker --- */

static atomic_bool no_threads;

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *data);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *data);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *data)
{
	return no_threads ? EAGAIN : __real_pthread_create(thread, attr, fn, data);
}

START_TEST(no_thread)
{
	xenhost_t *host;

	host_played.mood = REFUSES;
	host_played.refusal = EPERM;
	ck_assert_int_eq(open_played_host(&host), 0);
	no_threads = true;
	ck_assert_int_eq(bind_of(host), -EAGAIN);
	no_threads = false;
	ck_assert_int_eq(bind_of(host), -EPERM);
	xenhost_close(host);
}
END_TEST

/* --- tables that are full, descriptors that run out --- */

START_TEST(one_grant_too_often)
{
	struct xenhost_page *pages = calloc(0x1000, sizeof(*pages));
	struct fake_domain *guest;
	xenhost_t *host;
	int n = 0, r;

	ck_assert_ptr_nonnull(pages);
	ck_assert_int_eq(xenhost_open("fake:,domid=32000", 0, &host), 0);
	ck_assert_int_eq(fake_domain_new(host, 1, 4, &guest), 0);
	fake_grant(guest, 8, 0, US, false);
	do
		r = xenhost_translate_gref(host, 1, 8, XENHOST_READ, &pages[n]);
	while (r == 0 && ++n < 0x1000);
	ck_assert_int_eq(r, -EBUSY);
	ck_assert_int_eq(n, 0xfff);
	ck_assert_int_eq(xenhost_put_gref(host, &pages[--n]), 0);
	ck_assert_int_eq(xenhost_translate_gref(host, 1, 8, XENHOST_READ, &pages[n]), 0);
	for (; n >= 0; n--)
		ck_assert_int_eq(xenhost_put_gref(host, &pages[n]), 0);
	ck_assert_int_eq(fake_revoke(guest, 8), 0);
	xenhost_close(host);
	free(pages);
}
END_TEST

UNIT_MAIN_WITH("errors", setup, teardown, host_hangs_up, host_is_silent, host_refuses, nobody_there,
	       store_refuses, store_is_lost, store_is_silent, bare_transport, too_many_transports,
	       no_thread, one_grant_too_often)
