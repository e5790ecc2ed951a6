/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/bridge.h"
#include "hypercall-bridge/bridged/evtchn.h"
#include "tests/support/unit.h"

#define GUEST 5
#define SERVICE 32000

static struct port_table guest, service, other;

static void setup(void)
{
	port_table_init(&guest, NULL, GUEST, 100 + GUEST);
	port_table_init(&service, NULL, SERVICE, 100 + SERVICE);
	port_table_init(&other, NULL, SERVICE + 1, 101 + SERVICE);
}

static void teardown(void)
{
	port_table_destroy(&guest);
	port_table_destroy(&service);
}

static bool pending(const struct port *p)
{
	eventfd_t count;
	int fds[2];

	port_fds(p, fds);
	return eventfd_read(fds[0], &count) == 0;
}

static void notify(const struct port *p)
{
	int fds[2];

	port_fds(p, fds);
	ck_assert_int_eq(eventfd_write(fds[1], 1), 0);
}

START_TEST(test_pair)
{
	int offered = evtchn_alloc(&guest, 0, &service, 0);
	int bound;

	ck_assert_int_eq(offered, 1);
	bound = evtchn_bind(&service, &guest, (uint32_t)offered, 0);
	ck_assert_int_gt(bound, 0);
	ck_assert(pending(port_get(&service, (uint32_t)bound))); /* a new binding looks once */
	ck_assert(!pending(port_get(&service, (uint32_t)bound)));
	notify(port_get(&guest, (uint32_t)offered));
	ck_assert(pending(port_get(&service, (uint32_t)bound)));
	ck_assert(!pending(port_get(&guest, (uint32_t)offered)));
	notify(port_get(&service, (uint32_t)bound));
	ck_assert(pending(port_get(&guest, (uint32_t)offered)));
}
END_TEST

START_TEST(test_refusals)
{
	ck_assert_int_eq(evtchn_alloc(&guest, 7, &service, 0), 7);
	ck_assert_int_eq(evtchn_alloc(&guest, 7, &service, 0), -EEXIST);
	ck_assert_int_eq(evtchn_alloc(&guest, BRIDGE_PORTS_MAX, &service, 0), -EINVAL);
	ck_assert_int_eq(evtchn_bind(&service, &guest, 6, 0), -EINVAL);
	ck_assert_int_eq(evtchn_bind(&service, &guest, 0, 0), -EINVAL);
	ck_assert_int_eq(evtchn_bind(&service, &guest, 0xffffffff, 0), -EINVAL);
	ck_assert_int_eq(evtchn_bind(&other, &guest, 7, 0), -EPERM);
	ck_assert_int_eq(evtchn_close(&service, &guest, 1), -EINVAL);
}
END_TEST

START_TEST(test_bind_again_is_the_same_channel)
{
	int fds[2], again[2];
	int bound;

	ck_assert_int_eq(evtchn_alloc(&guest, 3, &service, 0), 3);
	bound = evtchn_bind(&service, &guest, 3, 0);
	port_fds(port_get(&service, (uint32_t)bound), fds);
	ck_assert(pending(port_get(&service, (uint32_t)bound)));
	ck_assert_int_eq(evtchn_bind(&service, &guest, 3, 0), bound);
	port_fds(port_get(&service, (uint32_t)bound), again);
	ck_assert_int_eq(fds[0], again[0]);
	ck_assert(pending(port_get(&service, (uint32_t)bound)));
	ck_assert_uint_eq(service.in_use, 1);
}
END_TEST

START_TEST(test_close_leaves_the_other_end_unbound)
{
	int guest_fds[2], again[2];
	int bound;

	ck_assert_int_eq(evtchn_alloc(&guest, 3, &service, 0), 3);
	bound = evtchn_bind(&service, &guest, 3, 0);
	port_fds(port_get(&guest, 3), guest_fds);
	ck_assert_int_eq(evtchn_close(&service, &guest, (uint32_t)bound), 0);
	ck_assert_int_eq(port_get(&guest, 3)->state, PORT_UNBOUND);
	ck_assert_ptr_null(port_get(&service, (uint32_t)bound));
	/* what the vmm has programmed into KVM for the guest's end stays good */
	bound = evtchn_bind(&service, &guest, 3, 0);
	ck_assert_int_gt(bound, 0);
	port_fds(port_get(&guest, 3), again);
	ck_assert_int_eq(guest_fds[0], again[0]);
	ck_assert_int_eq(guest_fds[1], again[1]);
}
END_TEST

START_TEST(test_dead_peer)
{
	int bound, fds[2];

	ck_assert_int_eq(evtchn_alloc(&guest, 3, &service, 0), 3);
	bound = evtchn_bind(&service, &guest, 3, 0);
	port_get(&service, (uint32_t)bound)->holder = &guest; /* some connection */
	port_table_destroy(&guest);
	evtchn_peer_gone(&service, GUEST);
	evtchn_reap(&service);
	/* the number is not given away under its user, and its eventfds are still there */
	ck_assert_int_eq(port_get(&service, (uint32_t)bound)->state, PORT_DEAD);
	port_fds(port_get(&service, (uint32_t)bound), fds);
	ck_assert_int_eq(eventfd_write(fds[1], 1), 0);
	ck_assert_int_eq(evtchn_alloc(&service, 0, &guest, 0), bound + 1);
	ck_assert_int_eq(evtchn_close(&service, NULL, (uint32_t)bound), 0);
	evtchn_peer_gone(&service, GUEST);
	evtchn_release(&service, &service); /* another one */
	evtchn_reap(&service);
	ck_assert_uint_eq(service.in_use, 0);
}
END_TEST

START_TEST(test_limit)
{
	for (uint32_t i = 1; i < BRIDGE_PORTS_MAX; i++)
		ck_assert_int_eq(evtchn_alloc(&guest, 0, &service, 0), (int)i);
	ck_assert_int_eq(evtchn_alloc(&guest, 0, &service, 0), -ENOSPC);
	ck_assert_int_eq(evtchn_close(&guest, NULL, 100), 0);
	ck_assert_int_eq(evtchn_alloc(&guest, 0, &service, 0), 100);
}
END_TEST

/* a guest may join a port of its own */
START_TEST(test_loop_to_self)
{
	int offered = evtchn_alloc(&guest, 15, &guest, 0);
	int bound = evtchn_bind(&guest, &guest, (uint32_t)offered, 16);

	ck_assert_int_eq(bound, 16);
	ck_assert_int_eq(evtchn_close(&guest, &guest, 15), 0);
	ck_assert_int_eq(port_get(&guest, 16)->state, PORT_UNBOUND);
}
END_TEST

/* who asks again, because the answer was lost, gets what it has */
START_TEST(test_key)
{
	int port = evtchn_alloc(&guest, 0, &service, 77);

	ck_assert_int_gt(port, 0);
	ck_assert_int_eq(evtchn_alloc(&guest, 0, &service, 77), port);
	ck_assert_int_eq(evtchn_alloc(&guest, (uint32_t)port, &service, 77), port);
	ck_assert_int_eq(evtchn_alloc(&guest, 9, &service, 77), -EEXIST);
	ck_assert_int_eq(evtchn_alloc(&guest, 0, &other, 77), port + 1);
	ck_assert_int_eq(evtchn_alloc(&guest, 0, &service, 78), port + 2);
	ck_assert_int_gt(evtchn_bind(&service, &guest, (uint32_t)port, 0), 0);
	ck_assert_int_eq(evtchn_alloc(&guest, 0, &service, 77), port);
	ck_assert_int_eq(evtchn_close(&guest, &service, (uint32_t)port), 0);
	ck_assert_int_ne(evtchn_alloc(&service, 0, &guest, 77), -EEXIST);
	ck_assert_int_eq(evtchn_alloc(&guest, 0, &service, 77), port); /* free again, a new one */
}
END_TEST

UNIT_MAIN_WITH("evtchn", setup, teardown, test_pair, test_refusals,
	       test_bind_again_is_the_same_channel, test_close_leaves_the_other_end_unbound,
	       test_dead_peer, test_limit, test_loop_to_self, test_key)
