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

static struct port_table guest, service;

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
	int offered = evtchn_alloc(&guest, 0, SERVICE);
	int bound;

	ck_assert_int_eq(offered, 1);
	bound = evtchn_bind(&service, SERVICE, &guest, GUEST, (uint32_t)offered, 0);
	ck_assert_int_gt(bound, 0);
	ck_assert(pending(port_get(&service, (uint32_t)bound))); /* a new binding looks once */
	ck_assert(!pending(port_get(&service, (uint32_t)bound)));
	notify(port_get(&guest, (uint32_t)offered));
	ck_assert(pending(port_get(&service, (uint32_t)bound)));
	ck_assert(!pending(port_get(&guest, (uint32_t)offered)));
	notify(port_get(&service, (uint32_t)bound));
	ck_assert(pending(port_get(&guest, (uint32_t)offered)));
	port_table_fini(&guest);
	port_table_fini(&service);
}
END_TEST

START_TEST(test_refusals)
{
	ck_assert_int_eq(evtchn_alloc(&guest, 7, SERVICE), 7);
	ck_assert_int_eq(evtchn_alloc(&guest, 7, SERVICE), -EEXIST);
	ck_assert_int_eq(evtchn_alloc(&guest, BRIDGE_PORTS_MAX, SERVICE), -EINVAL);
	ck_assert_int_eq(evtchn_bind(&service, SERVICE, &guest, GUEST, 6, 0), -EINVAL);
	ck_assert_int_eq(evtchn_bind(&service, SERVICE, &guest, GUEST, 0, 0), -EINVAL);
	ck_assert_int_eq(evtchn_bind(&service, SERVICE, &guest, GUEST, 0xffffffff, 0), -EINVAL);
	ck_assert_int_eq(evtchn_bind(&service, SERVICE + 1, &guest, GUEST, 7, 0), -EPERM);
	ck_assert_int_eq(evtchn_close(&service, SERVICE, &guest, 1), -EINVAL);
	port_table_fini(&guest);
}
END_TEST

START_TEST(test_bind_again_is_the_same_channel)
{
	int fds[2], again[2];
	int bound;

	ck_assert_int_eq(evtchn_alloc(&guest, 3, SERVICE), 3);
	bound = evtchn_bind(&service, SERVICE, &guest, GUEST, 3, 0);
	port_fds(port_get(&service, (uint32_t)bound), fds);
	ck_assert(pending(port_get(&service, (uint32_t)bound)));
	ck_assert_int_eq(evtchn_bind(&service, SERVICE, &guest, GUEST, 3, 0), bound);
	port_fds(port_get(&service, (uint32_t)bound), again);
	ck_assert_int_eq(fds[0], again[0]);
	ck_assert(pending(port_get(&service, (uint32_t)bound)));
	ck_assert_uint_eq(service.in_use, 1);
	port_table_fini(&guest);
	port_table_fini(&service);
}
END_TEST

START_TEST(test_close_leaves_the_other_end_unbound)
{
	int guest_fds[2], again[2];
	int bound;

	ck_assert_int_eq(evtchn_alloc(&guest, 3, SERVICE), 3);
	bound = evtchn_bind(&service, SERVICE, &guest, GUEST, 3, 0);
	port_fds(port_get(&guest, 3), guest_fds);
	ck_assert_int_eq(evtchn_close(&service, SERVICE, &guest, (uint32_t)bound), 0);
	ck_assert_int_eq(port_get(&guest, 3)->state, PORT_UNBOUND);
	ck_assert_ptr_null(port_get(&service, (uint32_t)bound));
	/* what the vmm has programmed into KVM for the guest's end stays good */
	bound = evtchn_bind(&service, SERVICE, &guest, GUEST, 3, 0);
	ck_assert_int_gt(bound, 0);
	port_fds(port_get(&guest, 3), again);
	ck_assert_int_eq(guest_fds[0], again[0]);
	ck_assert_int_eq(guest_fds[1], again[1]);
	port_table_fini(&guest);
	port_table_fini(&service);
}
END_TEST

START_TEST(test_dead_peer)
{
	int bound, fds[2];

	ck_assert_int_eq(evtchn_alloc(&guest, 3, SERVICE), 3);
	bound = evtchn_bind(&service, SERVICE, &guest, GUEST, 3, 0);
	port_table_fini(&guest);
	evtchn_peer_gone(&service, GUEST);
	/* the number is not given away under its user, and its eventfds are still there */
	ck_assert_int_eq(port_get(&service, (uint32_t)bound)->state, PORT_DEAD);
	port_fds(port_get(&service, (uint32_t)bound), fds);
	ck_assert_int_eq(eventfd_write(fds[1], 1), 0);
	ck_assert_int_eq(evtchn_alloc(&service, 0, GUEST), bound + 1);
	ck_assert_int_eq(evtchn_close(&service, SERVICE, NULL, (uint32_t)bound), 0);
	evtchn_peer_gone(&service, GUEST);
	evtchn_reap(&service);
	ck_assert_uint_eq(service.in_use, 0);
	port_table_fini(&service);
}
END_TEST

START_TEST(test_limit)
{
	for (uint32_t i = 1; i < BRIDGE_PORTS_MAX; i++)
		ck_assert_int_eq(evtchn_alloc(&guest, 0, SERVICE), (int)i);
	ck_assert_int_eq(evtchn_alloc(&guest, 0, SERVICE), -ENOSPC);
	ck_assert_int_eq(evtchn_close(&guest, GUEST, NULL, 100), 0);
	ck_assert_int_eq(evtchn_alloc(&guest, 0, SERVICE), 100);
	port_table_fini(&guest);
}
END_TEST

/* a guest may join a port of its own */
START_TEST(test_loop_to_self)
{
	int offered = evtchn_alloc(&guest, 15, GUEST);
	int bound = evtchn_bind(&guest, GUEST, &guest, GUEST, (uint32_t)offered, 16);

	ck_assert_int_eq(bound, 16);
	ck_assert_int_eq(evtchn_close(&guest, GUEST, &guest, 15), 0);
	ck_assert_int_eq(port_get(&guest, 16)->state, PORT_UNBOUND);
	port_table_fini(&guest);
}
END_TEST

UNIT_MAIN("evtchn", test_pair, test_refusals, test_bind_again_is_the_same_channel,
	  test_close_leaves_the_other_end_unbound, test_dead_peer, test_limit, test_loop_to_self)
