/* SPDX-License-Identifier: MIT */
/* Two hosts in one process with equal domids, ports and grefs: nothing of one reaches the other. */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include <xenhost/domain.h>
#include <xenhost/evtchn.h>
#include <xenhost/gnttab.h>
#include <xenhost/store.h>

#include "libxenhost/transport_fake.h"
#include "tests/support/unit.h"

#define GUEST 7
#define US 32000

struct side {
	xenhost_t *host;
	struct fake_domain *guest;
	struct fake_end end;
	xenhost_port_t *port;
	int seen_running, seen_gone;
};

static struct side sides[2];

static void setup(void)
{
	memset(sides, 0, sizeof(sides));
	for (int i = 0; i < 2; i++) {
		struct side *s = &sides[i];

		ck_assert_int_eq(xenhost_open("fake:,domid=32000", 0, &s->host), 0);
		ck_assert_uint_eq(xenhost_domid(s->host), US);
		ck_assert_int_eq(fake_domain_new(s->host, GUEST, 4, &s->guest), 0);
		ck_assert_int_eq(fake_domain_new(s->host, GUEST, 4, &s->guest), -EEXIST);
		ck_assert_int_eq(fake_port_offer(s->guest, &s->end), 0);
		ck_assert_int_eq(xenhost_port_bind(s->host, GUEST, s->end.port, &s->port), 0);
		ck_assert_int_eq(xenhost_port_ack(s->port), 1);
	}
}

static void teardown(void)
{
	for (int i = 0; i < 2; i++) {
		xenhost_port_close(sides[i].port);
		xenhost_close(sides[i].host);
	}
}

START_TEST(ports)
{
	ck_assert_uint_eq(sides[0].end.port, sides[1].end.port);
	ck_assert_uint_eq(xenhost_port_number(sides[0].port), xenhost_port_number(sides[1].port));
	ck_assert_int_eq(write(sides[1].end.notify_fd, &(uint64_t){ 1 }, 8), 8);
	ck_assert_int_eq(xenhost_port_ack(sides[0].port), 0);
	ck_assert_int_eq(xenhost_port_ack(sides[1].port), 1);
	ck_assert_int_eq(xenhost_port_ack(sides[1].port), 0);
}
END_TEST

/* as after a restart: the guest's end is still there, and pending for whoever binds it */
START_TEST(binds_again)
{
	uint32_t number = sides[0].end.port;

	xenhost_port_close(sides[0].port);
	ck_assert_int_eq(xenhost_port_bind(sides[0].host, GUEST, number, &sides[0].port), 0);
	ck_assert_int_eq(xenhost_port_ack(sides[0].port), 1);
	ck_assert_int_eq(xenhost_port_bind(sides[0].host, GUEST, number + 1, &sides[0].port),
			 -EINVAL);
	ck_assert_int_eq(xenhost_port_bind(sides[0].host, GUEST + 1, number, &sides[0].port),
			 -ESRCH);
}
END_TEST

START_TEST(offers)
{
	xenhost_port_t *port;
	struct fake_end end;

	ck_assert_int_eq(xenhost_port_alloc(sides[0].host, GUEST, &port), 0);
	ck_assert_int_eq(fake_port_join(sides[1].guest, xenhost_port_number(port), &end), -EINVAL);
	ck_assert_int_eq(fake_port_join(sides[0].guest, xenhost_port_number(port), &end), 0);
	ck_assert_int_eq(fake_port_join(sides[0].guest, xenhost_port_number(port), &end), -EINVAL);
	ck_assert_int_eq(write(end.notify_fd, &(uint64_t){ 1 }, 8), 8);
	ck_assert_int_eq(xenhost_port_ack(port), 1);
	xenhost_port_close(port);
}
END_TEST

START_TEST(grants)
{
	struct xenhost_seg seg = { .gref = 20, .offset = 8, .len = 16 };
	struct iovec iov;

	for (int i = 0; i < 2; i++) {
		memset(fake_page(sides[i].guest, 2), 'a' + i, 4096);
		fake_grant(sides[i].guest, 20, 2, US, false);
	}
	ck_assert_int_eq(fake_revoke(sides[1].guest, 20), 0);
	ck_assert_int_eq(xenhost_io_begin(sides[1].host, GUEST, &seg, 1, XENHOST_READ, &iov),
			 -EPERM);
	ck_assert_int_eq(xenhost_io_begin(sides[0].host, GUEST, &seg, 1, XENHOST_READ, &iov), 0);
	ck_assert_uint_eq(iov.iov_len, 16);
	ck_assert_int_eq(*(char *)iov.iov_base, 'a');
	ck_assert_int_eq(fake_revoke(sides[0].guest, 20), -EBUSY);
	ck_assert_int_eq(xenhost_io_end(sides[0].host, GUEST, &seg, 1, XENHOST_READ, &iov), 0);
	ck_assert_int_eq(fake_revoke(sides[0].guest, 20), 0);
}
END_TEST

static void on_domain(xenhost_t *host, const struct xenhost_domain_info *info, void *data)
{
	struct side *s = data;

	ck_assert_ptr_eq(host, s->host);
	ck_assert_uint_eq(info->domid, GUEST);
	if (info->state == XENHOST_DOMAIN_RUNNING) {
		ck_assert_uint_eq(info->flags, XENHOST_DOMAIN_F_SNAPSHOT_END);
		s->seen_running++;
	} else
		s->seen_gone++;
}

static bool readable(xenhost_t *host)
{
	struct pollfd p = { .fd = xenhost_get_fd(host), .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

START_TEST(domains)
{
	struct xenhost_domain_info info;

	for (int i = 0; i < 2; i++) {
		struct side *s = &sides[i];

		ck_assert_int_eq(xenhost_domain_watch(s->host, on_domain, s), 0);
		ck_assert(readable(s->host));
		ck_assert_int_eq(xenhost_process(s->host), 1);
		ck_assert(!readable(s->host));
		ck_assert_int_eq(s->seen_running, 1);
	}
	ck_assert_int_eq(xenhost_domain_by_name(sides[0].host, "fake-7", &info), 0);
	fake_domain_end(sides[0].guest);
	ck_assert_int_eq(xenhost_process(sides[0].host), 1);
	ck_assert_int_eq(xenhost_process(sides[1].host), 0);
	ck_assert_int_eq(sides[0].seen_gone, 1);
	ck_assert_int_eq(xenhost_domain_info(sides[0].host, GUEST, &info), -ESRCH);
	ck_assert_int_eq(xenhost_domain_info(sides[1].host, GUEST, &info), 0);
}
END_TEST

START_TEST(no_store)
{
	char *value;
	xenhost_t *host;

	ck_assert_int_eq(xenhost_store_read(sides[0].host, 0, "/", &value, NULL), -EOPNOTSUPP);
	ck_assert_int_eq(xenhost_process(sides[0].host), 0);
	ck_assert_int_eq(xenhost_open("fake:,domid=x", 0, &host), -EINVAL);
	ck_assert_int_eq(xenhost_open("fake:,domid=65536", 0, &host), -EINVAL);
}
END_TEST

UNIT_MAIN_WITH("fake", setup, teardown, ports, binds_again, offers, grants, domains, no_store)
