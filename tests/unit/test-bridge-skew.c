/* SPDX-License-Identifier: MIT */
/*
 * Versions that differ by one. A peer of the next version (more fields, more requests, a higher number) with
 * this bridged, and this library with a bridged of the next version and of the one before, which are played.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <xenhost/domain.h>
#include <xenhost/xenhost.h>

#include "common/bridge.h"
#include "tests/support/daemon.h"
#include "tests/support/peer.h"
#include "tests/support/tempdir.h"
#include "tests/support/unit.h"

static char rundir[TEMPDIR_SIZE];

static void setup(void)
{
	tempdir_make(rundir);
}

static void teardown(void)
{
	tempdir_remove(rundir);
}

/* a field of a later version: number, 5 bytes of text */
static size_t unknown_field(uint8_t *buf, unsigned int number)
{
	const uint32_t key = number << 3 | 2;
	size_t n = 0;

	buf[n++] = (uint8_t)(key | 0x80);
	buf[n++] = (uint8_t)(key >> 7 & 0x7f);
	buf[n++] = 5;
	memcpy(buf + n, "later", 5);
	return n + 5;
}

/* packs a frame whose message has an unknown field at its end, and one more of the frame */
static size_t pack_later(const bridge_frame *f, uint8_t *buf)
{
	uint8_t inner[512], plain[512];
	const ProtobufCFieldDescriptor *field =
		protobuf_c_message_descriptor_get_field(&bridge__frame__descriptor, f->body_case);
	size_t n = protobuf_c_message_pack((const ProtobufCMessage *)f->hello, inner), len = 0;
	bridge_frame head = *f;

	n += unknown_field(inner + n, 200);
	head.body_case = BRIDGE__FRAME__BODY__NOT_SET;
	len = (size_t)bridge_wire_pack(&head, plain, sizeof(plain));
	memcpy(buf, plain, len);
	buf[len++] = (uint8_t)((field->id << 3 | 2) | (field->id > 15 ? 0x80 : 0));
	if (field->id > 15)
		buf[len++] = (uint8_t)(field->id >> 4);
	buf[len++] = (uint8_t)((n & 0x7f) | (n > 127 ? 0x80 : 0));
	if (n > 127)
		buf[len++] = (uint8_t)(n >> 7);
	memcpy(buf + len, inner, n);
	len += n;
	return len + unknown_field(buf + len, 300);
}

/* --- a peer of the next version --- */

static int raw_socket(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static bridge_frame *ask(int fd, const uint8_t *buf, size_t len)
{
	uint8_t answer[1024];
	bridge_frame *frame;
	ssize_t n;

	ck_assert_int_eq(send(fd, buf, len, 0), (ssize_t)len);
	n = recv(fd, answer, sizeof(answer), 0);
	ck_assert_int_gt(n, 0);
	ck_assert_int_eq(bridge_wire_unpack(answer, (size_t)n, 0, &frame), 0);
	return frame;
}

static bridge_frame *hello(int fd, uint32_t version)
{
	Bridge__Hello msg = BRIDGE__HELLO__INIT;
	bridge_frame f = peer_frame_of(BRIDGE__FRAME__BODY_HELLO, &msg);
	uint8_t buf[1024];

	msg.version = version;
	msg.client = (char *)(uintptr_t) "skewed";
	f.id = 1;
	return ask(fd, buf, pack_later(&f, buf));
}

START_TEST(test_later_peer)
{
	Bridge__DomainQuery query = BRIDGE__DOMAIN_QUERY__INIT;
	bridge_frame f = peer_frame_of(BRIDGE__FRAME__BODY_DOMAIN_QUERY, &query), *answer;
	struct test_daemon bridged;
	uint8_t buf[1024];
	char path[128];
	size_t n;
	int fd;

	test_daemon_start(&bridged, TOP_BUILDDIR "/hypercall-bridge/bridged/xenhost-bridged",
			  rundir, (const char *const[]){ NULL });
	snprintf(path, sizeof(path), "%s/bridge/tool.sock", rundir);
	fd = raw_socket(path);
	answer = hello(fd, BRIDGE_VERSION + 1);
	ck_assert_int_eq(answer->body_case, BRIDGE__FRAME__BODY_WELCOME);
	ck_assert_uint_eq(answer->welcome->version, BRIDGE_VERSION);
	bridge_wire_free(answer);
	f.id = 2;
	answer = ask(fd, buf, pack_later(&f, buf));
	ck_assert_int_eq(answer->body_case, BRIDGE__FRAME__BODY_DOMAIN_INFO);
	bridge_wire_free(answer);
	/* a request that this version does not know */
	buf[0] = 1 << 3;
	buf[1] = 3;
	n = 2 + unknown_field(buf + 2, 250);
	answer = ask(fd, buf, n);
	ck_assert_uint_eq(answer->id, 3);
	ck_assert_int_eq(answer->error, EOPNOTSUPP);
	bridge_wire_free(answer);
	close(fd);
	fd = raw_socket(path); /* and a version that is spoken no more */
	answer = hello(fd, BRIDGE_VERSION_OLDEST - 1);
	ck_assert_int_eq(answer->error, EPROTONOSUPPORT);
	ck_assert_str_ne(answer->why, "");
	bridge_wire_free(answer);
	close(fd);
	test_daemon_end(&bridged);
}
END_TEST

/* --- a bridged of another version --- */

struct played {
	int listener;
	uint32_t version; /* in its welcome */
	pthread_t thread;
	bool later; /* adds fields and events; else it knows hello and query only */
};

static void reply(int fd, bridge_frame *f, bool later)
{
	uint8_t buf[1024];
	size_t n = later && f->body_case != BRIDGE__FRAME__BODY__NOT_SET
			   ? pack_later(f, buf)
			   : (size_t)bridge_wire_pack(f, buf, sizeof(buf));

	(void)!send(fd, buf, n, MSG_NOSIGNAL);
}

static void play_request(struct played *p, int fd, const bridge_frame *req)
{
	Bridge__Welcome welcome = BRIDGE__WELCOME__INIT;
	Bridge__DomainInfo info = BRIDGE__DOMAIN_INFO__INIT;
	bridge_frame f = BRIDGE__FRAME__INIT;
	uint8_t event[64];

	switch (req->body_case) {
	case BRIDGE__FRAME__BODY_HELLO:
		welcome.version = p->version;
		welcome.role = BRIDGE__ROLE__TOOL;
		f = peer_frame_of(BRIDGE__FRAME__BODY_WELCOME, &welcome);
		break;
	case BRIDGE__FRAME__BODY_DOMAIN_QUERY:
		info.domid = 7;
		info.state =
			p->later ? 9 : BRIDGE__DOMAIN_STATE__RUNNING; /* a state of the future */
		info.name = (char *)(uintptr_t) "seven";
		f = peer_frame_of(BRIDGE__FRAME__BODY_DOMAIN_INFO, &info);
		if (p->later) /* an event that nobody knows yet, before the answer */
			(void)!send(fd, event, unknown_field(event, 250), MSG_NOSIGNAL);
		break;
	default:
		f.error = EOPNOTSUPP;
	}
	f.id = req->id;
	reply(fd, &f, p->later);
}

static void *play(void *data)
{
	struct played *p = data;
	int fd = accept(p->listener, NULL, NULL);
	uint8_t buf[1024];
	bridge_frame *req;
	ssize_t n;

	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0) {
		if (bridge_wire_unpack(buf, (size_t)n, 0, &req) < 0)
			break;
		play_request(p, fd, req);
		bridge_wire_free(req);
	}
	close(fd);
	return NULL;
}

static int open_played(struct played *p, uint32_t version, bool later, xenhost_t **ret_host)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char uri[160];

	*p = (struct played){ .version = version, .later = later };
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/played-%u-%d.sock", rundir, version,
		 later);
	p->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(p->listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	ck_assert_int_eq(listen(p->listener, 1), 0);
	ck_assert_int_eq(pthread_create(&p->thread, NULL, play, p), 0);
	snprintf(uri, sizeof(uri), "bridge:%s", addr.sun_path);
	return xenhost_open(uri, 0, ret_host);
}

static void end_played(struct played *p)
{
	pthread_join(p->thread, NULL);
	close(p->listener);
}

START_TEST(test_later_bridged)
{
	struct xenhost_domain_info info;
	struct played p;
	xenhost_t *host;

	/* it answers with our version, as it must */
	ck_assert_int_eq(open_played(&p, BRIDGE_VERSION, true, &host), 0);
	ck_assert_int_eq(xenhost_domain_info(host, 7, &info), 0);
	ck_assert_str_eq(info.name, "seven");
	ck_assert_uint_eq(info.state, 9);
	ck_assert_int_ge(xenhost_process(host), 0); /* the event is none for us */
	xenhost_close(host);
	end_played(&p);
	/* one that insists on its own is not spoken to */
	ck_assert_int_eq(open_played(&p, BRIDGE_VERSION + 1, true, &host), -EPROTONOSUPPORT);
	end_played(&p);
	ck_assert_int_eq(open_played(&p, BRIDGE_VERSION_OLDEST - 1, false, &host),
			 -EPROTONOSUPPORT);
	end_played(&p);
}
END_TEST

/* one from before Restrict, Hypercall and `kept`: what it does not know, the library does without */
START_TEST(test_earlier_bridged)
{
	struct xenhost_domain_info info;
	struct played p;
	xenhost_t *host;

	ck_assert_int_eq(open_played(&p, BRIDGE_VERSION, false, &host), 0);
	ck_assert_int_eq(xenhost_domain_info(host, 7, &info), 0);
	ck_assert_int_eq(xenhost_domain_unpause(host, 7), -EOPNOTSUPP);
	ck_assert_int_eq(xenhost_restrict(host, 7), 0);
	ck_assert_int_eq(xenhost_domain_unpause(host, 8), -EPERM);
	xenhost_close(host);
	end_played(&p);
}
END_TEST

UNIT_MAIN_WITH("bridge-skew", setup, teardown, test_later_peer, test_later_bridged,
	       test_earlier_bridged)
