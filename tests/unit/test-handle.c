/* SPDX-License-Identifier: MIT */
/* What concerns the handle as a whole: rights given up, tracing, hypercalls, grants page by page, libevent. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <xenhost/domain.h>
#include <xenhost/event.h>
#include <xenhost/evtchn.h>
#include <xenhost/gnttab.h>
#include <xenhost/hypercall.h>
#include <xenhost/transport.h>

#include "libxenhost/transport_fake.h"
#include "tests/support/unit.h"

#define RW (XENHOST_READ | XENHOST_WRITE)

static xenhost_t *host;
static struct fake_domain *one, *two;

static void setup(void)
{
	ck_assert_int_eq(xenhost_open("fake:,domid=32000", 0, &host), 0);
	ck_assert_int_eq(fake_domain_new(host, 1, 8, &one), 0);
	ck_assert_int_eq(fake_domain_new(host, 2, 8, &two), 0);
	fake_grant(one, 10, 3, 32000, false);
	fake_grant(one, 11, 4, 32000, true);
	fake_grant(one, 12, 99, 32000, false);
	fake_grant(two, 10, 3, 32000, false);
}

static void teardown(void)
{
	xenhost_close(host);
}

START_TEST(translate)
{
	struct xenhost_page page = { 0 }, again;

	ck_assert_int_eq(xenhost_translate_gref(host, 1, 10, RW, &page), 0);
	memcpy(page.addr, "hello", 6);
	ck_assert_str_eq(fake_page(one, 3), "hello");
	ck_assert_int_eq(fake_revoke(one, 10), -EBUSY);
	ck_assert_int_eq(xenhost_translate_gref(host, 1, 10, XENHOST_READ, &again), 0);
	ck_assert_int_eq(xenhost_put_gref(host, &page), 0);
	ck_assert_ptr_null(page.addr);
	ck_assert_int_eq(xenhost_put_gref(host, &page), -EINVAL);
	ck_assert_int_eq(fake_revoke(one, 10), -EBUSY);
	ck_assert_str_eq(again.addr, "hello");
	/* its guest goes away: the memory stays until put */
	fake_domain_end(one);
	ck_assert_str_eq(again.addr, "hello");
	ck_assert_int_eq(xenhost_put_gref(host, &again), 0);
	ck_assert_int_eq(xenhost_translate_gref(host, 1, 10, RW, &page), -ESRCH);
}
END_TEST

START_TEST(translate_refuses)
{
	struct xenhost_page page = { .addr = &page };

	ck_assert_int_eq(xenhost_translate_gref(host, 1, 11, RW, &page), -EACCES);
	ck_assert_int_eq(xenhost_translate_gref(host, 1, 12, RW, &page), -EFAULT);
	ck_assert_int_eq(xenhost_translate_gref(host, 1, 13, RW, &page), -EPERM);
	ck_assert_int_eq(xenhost_translate_gref(host, 1, 99999, RW, &page), -EINVAL);
	ck_assert_int_eq(xenhost_translate_gref(host, 1, 10, 0, &page), -EINVAL);
	ck_assert_int_eq(xenhost_translate_gref(host, 1, 10, RW, NULL), -EINVAL);
	ck_assert_ptr_eq(page.addr, &page);
}
END_TEST

START_TEST(copy)
{
	char in[16] = "0123456789", out[2][16] = { "" };
	struct xenhost_copy to[] = {
		{ in, 10, 4090, 6, 1 },	 { in, 11, 0, 4, 1 }, { in, 10, 4090, 7, 1 },
		{ in + 6, 10, 0, 4, 1 }, { in, 13, 0, 4, 1 }, { NULL, 10, 0, 4, 1 },
	};
	struct xenhost_copy from[] = { { out[0], 10, 4090, 6, 1 }, { out[1], 11, 8, 4, 1 } };

	memcpy((char *)fake_page(one, 4) + 8, "abcd", 4);
	ck_assert_int_eq(xenhost_grant_copy(host, 1, to, 6, XENHOST_WRITE), -EACCES);
	ck_assert_int_eq(to[0].status, 0);
	ck_assert_int_eq(to[1].status, -EACCES);
	ck_assert_int_eq(to[2].status, -EINVAL);
	ck_assert_int_eq(to[3].status, 0); /* those behind a bad one as well */
	ck_assert_int_eq(to[4].status, -EPERM);
	ck_assert_int_eq(to[5].status, -EINVAL);
	ck_assert_mem_eq((char *)fake_page(one, 3) + 4090, "012345", 6);
	ck_assert_mem_eq(fake_page(one, 3), "6789", 5);
	ck_assert_int_eq(xenhost_grant_copy(host, 1, from, 2, XENHOST_READ), 0);
	ck_assert_str_eq(out[0], "012345");
	ck_assert_str_eq(out[1], "abcd");
	ck_assert_int_eq(fake_revoke(one, 10), 0); /* nothing is held */
	ck_assert_int_eq(xenhost_grant_copy(host, 1, from, 2, RW), -EINVAL);
	ck_assert_int_eq(xenhost_grant_copy(host, 1, from, 0, XENHOST_READ), -EINVAL);
	ck_assert_int_eq(xenhost_grant_copy(host, 1, from, 513, XENHOST_READ), -EINVAL);
}
END_TEST

START_TEST(hypercalls)
{
	uint64_t in[2] = { 0 }, out[4] = { 7, 7, 7, 7 };
	struct fake_end end;
	xenhost_port_t *port;

	ck_assert_int_eq(xenhost_hypercall(host, XENHOST_HYPERCALL_VERSION, NULL, 0, out, 2), 0);
	ck_assert(out[0] == 4 && out[1] == 17 && out[2] == 7);
	ck_assert_int_eq(fake_port_offer(one, &end), 0);
	ck_assert_int_eq(xenhost_port_bind(host, 1, end.port, &port), 0);
	in[0] = xenhost_port_number(port);
	ck_assert_int_eq(xenhost_hypercall(host, XENHOST_HYPERCALL_EVTCHN_STATUS, in, 1, out, 3),
			 0);
	ck_assert(out[0] == 2 && out[1] == 1 && out[2] == end.port);
	in[0] = UINT64_MAX;
	ck_assert_int_eq(xenhost_hypercall(host, XENHOST_HYPERCALL_EVTCHN_STATUS, in, 1, out, 3),
			 -EINVAL);
	ck_assert_uint_eq(out[0], 2);
	/* by the table: counts, names, what this transport has */
	ck_assert_int_eq(xenhost_hypercall(host, XENHOST_HYPERCALL_EVTCHN_STATUS, in, 2, out, 3),
			 -EINVAL);
	ck_assert_int_eq(xenhost_hypercall(host, XENHOST_HYPERCALL_EVTCHN_STATUS, in, 1, out, 4),
			 -EINVAL);
	ck_assert_int_eq(xenhost_hypercall(host, XENHOST_HYPERCALL_VERSION, NULL, 1, out, 2),
			 -EINVAL);
	ck_assert_int_eq(xenhost_hypercall(host, 0, in, 0, out, 0), -ENOSYS);
	ck_assert_int_eq(xenhost_hypercall(host, 6, in, 0, out, 0), -ENOSYS);
	ck_assert_int_eq(xenhost_hypercall(host, UINT32_MAX, in, 0, out, 0), -ENOSYS);
	ck_assert_int_eq(xenhost_hypercall(host, XENHOST_HYPERCALL_HVM_PARAM, in, 1, out, 1),
			 -EOPNOTSUPP);
	xenhost_port_close(port);
}
END_TEST

START_TEST(restricted)
{
	struct xenhost_seg seg = { .gref = 10, .len = 1 };
	uint32_t gref = 10;
	struct iovec iov;
	xenhost_port_t *port;
	xenhost_share_t *share;
	xenhost_map_t *map, *before;
	struct fake_end end;

	ck_assert_int_eq(xenhost_map_grants(host, 2, &gref, 1, RW, &before), 0);
	ck_assert_int_eq(xenhost_restrict(host, 1), 0);
	ck_assert_int_eq(xenhost_restrict(host, 1), 0);
	ck_assert_int_eq(xenhost_restrict(host, 2), -EPERM);
	ck_assert_int_eq(xenhost_map_grants(host, 2, &gref, 1, RW, &map), -EPERM);
	ck_assert_int_eq(xenhost_io_begin(host, 2, &seg, 1, RW, &iov), -EPERM);
	ck_assert_int_eq(xenhost_grant_copy(host, 2, &(struct xenhost_copy){ NULL, 10, 0, 1, 0 }, 1,
					    XENHOST_READ),
			 -EPERM);
	ck_assert_int_eq(xenhost_port_alloc(host, 2, &port), -EPERM);
	ck_assert_int_eq(fake_port_offer(two, &end), 0);
	ck_assert_int_eq(xenhost_port_bind(host, 2, end.port, &port), -EPERM);
	ck_assert_int_eq(xenhost_share(host, 2, 1, XENHOST_READ, &share), -EPERM);
	ck_assert_int_eq(xenhost_domain_destroy(host, 2), -EPERM);
	ck_assert_int_eq(xenhost_domain_unpause(host, 2), -EPERM);
	ck_assert_int_eq(xenhost_domain_pause(host, 2), -EPERM);
	/* what was in use can be given back; the one that is left works */
	xenhost_unmap(before);
	ck_assert_int_eq(xenhost_map_grants(host, 1, &gref, 1, RW, &map), 0);
	xenhost_unmap(map);
	ck_assert_int_eq(xenhost_port_alloc(host, 1, &port), 0);
	xenhost_port_close(port);
}
END_TEST

static struct {
	int n;
	char topic[16], line[512];
} traced;

static void on_line(xenhost_t *h, const char *topic, const char *line, void *data)
{
	ck_assert_ptr_eq(data, &traced);
	ck_assert_ptr_eq(h, host);
	traced.n++;
	snprintf(traced.topic, sizeof(traced.topic), "%s", topic);
	snprintf(traced.line, sizeof(traced.line), "%s", line);
}

START_TEST(tracing)
{
	xenhost_port_t *port;
	struct xenhost_page page;

	ck_assert_int_eq(xenhost_set_log(host, 64, on_line, &traced), -EINVAL);
	ck_assert_int_eq(xenhost_set_log(host, XENHOST_LOG_PORT, NULL, &traced), -EINVAL);
	ck_assert_int_eq(xenhost_set_log(host, XENHOST_LOG_PORT, on_line, &traced), 0);
	ck_assert_int_eq(xenhost_port_bind(host, 1, 77, &port), -EINVAL);
	ck_assert_int_eq(traced.n, 1);
	ck_assert_str_eq(traced.topic, "port");
	ck_assert_str_eq(traced.line, "bind domain 1 port 77: -22");
	ck_assert_int_eq(xenhost_translate_gref(host, 1, 10, RW, &page), 0);
	ck_assert_int_eq(traced.n, 1);
	xenhost_put_gref(host, &page);
	ck_assert_int_eq(xenhost_set_log(host, 0, NULL, NULL), 0);
	ck_assert_int_eq(xenhost_port_bind(host, 1, 77, &port), -EINVAL);
	ck_assert_int_eq(traced.n, 1);
}
END_TEST

/* XENHOST_DEBUG: of the topics asked for, to stderr, and only there */
START_TEST(tracing_by_environment)
{
	char buf[512] = "";
	xenhost_t *other;
	xenhost_port_t *port;
	int fds[2], saved = dup(2);

	ck_assert_int_eq(pipe(fds), 0);
	dup2(fds[1], 2);
	setenv("XENHOST_DEBUG", "grant,port,nonsense", 1);
	ck_assert_int_eq(xenhost_open("fake:", 0, &other), 0);
	unsetenv("XENHOST_DEBUG");
	ck_assert_int_eq(xenhost_port_bind(other, 3, 77, &port), -ESRCH);
	ck_assert_int_eq(xenhost_port_bind(host, 3, 77, &port), -ESRCH); /* opened before */
	dup2(saved, 2);
	close(saved);
	close(fds[1]);
	ck_assert_int_gt(read(fds[0], buf, sizeof(buf) - 1), 0);
	close(fds[0]);
	ck_assert_str_eq(buf, "xenhost fake: port: bind domain 3 port 77: -3\n");
	xenhost_close(other);
}
END_TEST

/* --- libevent --- */

static struct {
	struct event_base *base;
	int domains, error;
} loop;

static void on_domain(xenhost_t *h, const struct xenhost_domain_info *info, void *data)
{
	if (++loop.domains == 3)
		event_base_loopbreak(loop.base);
}

static void on_lost(xenhost_t *h, int error, void *data)
{
	ck_assert_ptr_eq(data, &loop);
	loop.error = error;
}

static int lost_open(xenhost_t *h, const char *address, void **ret_state)
{
	static int fd;

	fd = eventfd(1, EFD_CLOEXEC);
	*ret_state = &fd;
	return fd < 0 ? -errno : 0;
}

static void lost_close(void *state)
{
	close(*(int *)state);
}

static uint16_t lost_domid(void *state)
{
	return 0;
}

static int lost_get_fd(void *state)
{
	return *(int *)state;
}

static int lost_process(void *state)
{
	return -ECONNRESET;
}

START_TEST(libevent)
{
	struct xenhost_event e;
	struct fake_domain *three;

	loop.base = event_base_new();
	ck_assert_ptr_nonnull(loop.base);
	ck_assert_int_eq(xenhost_domain_watch(host, on_domain, NULL), 0);
	ck_assert_int_eq(xenhost_event_init(&e, loop.base, host, on_lost, &loop), 0);
	ck_assert_int_eq(fake_domain_new(host, 3, 1, &three), 0);
	ck_assert_int_eq(event_base_dispatch(loop.base), 0);
	ck_assert_int_eq(loop.domains, 3);
	xenhost_event_fini(&e);
	xenhost_event_fini(&e);
	event_base_free(loop.base);
}
END_TEST

/* a lost host leaves the loop, which then has nothing left to wait for */
START_TEST(libevent_lost)
{
	static const struct xenhost_transport_ops lost_ops = {
		.size = sizeof(lost_ops),
		.scheme = "lost",
		.open = lost_open,
		.close = lost_close,
		.domid = lost_domid,
		.get_fd = lost_get_fd,
		.process = lost_process,
	};
	struct xenhost_event e;
	xenhost_t *lost;

	loop.base = event_base_new();
	ck_assert_int_eq(xenhost_register_transport(&lost_ops), 0);
	ck_assert_int_eq(xenhost_open("lost:", 0, &lost), 0);
	ck_assert_int_eq(xenhost_event_init(&e, loop.base, lost, on_lost, &loop), 0);
	ck_assert_int_eq(event_base_dispatch(loop.base), 1);
	ck_assert_int_eq(loop.error, -ECONNRESET);
	xenhost_event_fini(&e);
	xenhost_close(lost);
	event_base_free(loop.base);
}
END_TEST

static int old_open(xenhost_t *h, const char *address, void **ret_state)
{
	*ret_state = h;
	return 0;
}

static void old_close(void *state)
{
}

static uint16_t old_domid(void *state)
{
	return 77;
}

static int never(void *state, void *share)
{
	abort();
}

/* a program built when the table was shorter: what is behind its end is not looked at */
START_TEST(older_transport)
{
	const struct xenhost_transport_ops full = {
		.size = offsetof(struct xenhost_transport_ops, get_fd),
		.scheme = "old",
		.open = old_open,
		.close = old_close,
		.domid = old_domid,
		.unshare = never,
	};
	struct xenhost_transport_ops wrong = full;
	struct xenhost_domain_info info;
	struct xenhost_page page;
	xenhost_t *old;

	ck_assert_int_eq(xenhost_register_transport(&full), 0);
	ck_assert_int_eq(xenhost_register_transport(&full), -EEXIST);
	ck_assert_int_eq(xenhost_open("old:", 0, &old), 0);
	ck_assert_uint_eq(xenhost_domid(old), 77);
	ck_assert_int_eq(xenhost_domain_info(old, 1, &info), -EOPNOTSUPP);
	ck_assert_int_eq(xenhost_translate_gref(old, 1, 8, RW, &page), -EOPNOTSUPP);
	ck_assert_int_eq(xenhost_grants_settle(old, 1), -EOPNOTSUPP);
	xenhost_close(old);

	wrong.scheme = "wrong";
	wrong.size--;
	ck_assert_int_eq(xenhost_register_transport(&wrong), -EINVAL);
	wrong.size = sizeof(wrong); /* now unshare is there, and share is not */
	ck_assert_int_eq(xenhost_register_transport(&wrong), -EINVAL);
	wrong.unshare = NULL;
	wrong.domid = NULL;
	ck_assert_int_eq(xenhost_register_transport(&wrong), -EINVAL);
	ck_assert_int_eq(xenhost_open("wrong:", 0, &old), -EPROTONOSUPPORT);
	wrong.domid = old_domid;
	wrong.size = sizeof(wrong) + 64; /* a newer one */
	ck_assert_int_eq(xenhost_register_transport(&wrong), 0);
	ck_assert_int_eq(xenhost_open("old:", 2, &old), -EINVAL); /* no such flag */
}
END_TEST

UNIT_MAIN_WITH("handle", setup, teardown, translate, translate_refuses, copy, hypercalls,
	       restricted, tracing, tracing_by_environment, libevent, libevent_lost,
	       older_transport)
