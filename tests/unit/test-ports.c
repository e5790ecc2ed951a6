/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>

#include "common/xen.h"
#include "hypercall-bridge/guest/ports.h"
#include "tests/support/unit.h"

static struct ports p;

static void setup(void)
{
	ports_init(&p, 4);
}

static void teardown(void)
{
}

START_TEST(lowest_free_number)
{
	ck_assert_int_eq(ports_open_unbound(&p, 0, 7), 1);
	ck_assert_int_eq(ports_open_ipi(&p, 3), 2);
	ck_assert_int_eq(ports_open_interdomain(&p, 0, 7, 9), 3);
	ck_assert_int_eq(ports_close(&p, 2, NULL), 0);
	ck_assert_int_eq(ports_open_unbound(&p, 0, 7), 2);
	ck_assert_uint_eq(ports_get(&p, 3)->remote_port, 9);
	ck_assert_uint_eq(ports_get(&p, 3)->remote_domid, 7);
}
END_TEST

START_TEST(wanted_number)
{
	ck_assert_int_eq(ports_open_unbound(&p, 5, 0), 5);
	ck_assert_int_eq(ports_open_unbound(&p, 5, 0), -EBUSY);
	ck_assert_int_eq(ports_open_unbound(&p, PORTS_MAX, 0), -EINVAL);
	ck_assert_int_eq(ports_open_unbound(&p, UINT32_MAX, 0), -EINVAL);
}
END_TEST

/* every number but 0 can be had, and not one more; also with the smaller 32-bit limit */
START_TEST(all_of_them)
{
	static const uint32_t limits[] = { PORTS_MAX, PORTS_MAX_32 };

	for (int k = 0; k < 2; k++) {
		ports_init(&p, 1);
		p.limit = limits[k];
		for (uint32_t i = 1; i < limits[k]; i++)
			ck_assert_int_eq(ports_open_ipi(&p, 0), (int)i);
		ck_assert_int_eq(ports_open_ipi(&p, 0), -ENOSPC);
		ck_assert_int_eq(ports_open_unbound(&p, 0, 1), -ENOSPC);
		ck_assert_int_eq(ports_open_virq(&p, VIRQ_TIMER, 0), -ENOSPC);
		ck_assert_uint_eq(ports_of_virq(&p, VIRQ_TIMER, 0), 0);
	}
}
END_TEST

START_TEST(no_such_port)
{
	static const uint32_t numbers[] = { 0, 1, PORTS_MAX, UINT32_MAX };

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		ck_assert_ptr_null(ports_get(&p, numbers[i]));
		ck_assert_int_eq(ports_close(&p, numbers[i], NULL), -EINVAL);
		ck_assert_int_eq(ports_bind_vcpu(&p, numbers[i], 0), -EINVAL);
		ports_set_bound(&p, numbers[i], true);
		ports_peer_joined(&p, numbers[i], 1, 1);
		ports_peer_left(&p, numbers[i]);
	}
	ck_assert_ptr_null(ports_get(&p, 1));
}
END_TEST

START_TEST(virqs)
{
	int timer0 = ports_open_virq(&p, VIRQ_TIMER, 0);
	int timer3 = ports_open_virq(&p, VIRQ_TIMER, 3);

	ck_assert_int_gt(timer0, 0);
	ck_assert_int_gt(timer3, 0);
	ck_assert_int_eq(ports_open_virq(&p, VIRQ_TIMER, 3), -EEXIST);
	ck_assert_int_eq(ports_open_virq(&p, VIRQ_TIMER, 4), -ENOENT);
	ck_assert_int_eq(ports_open_virq(&p, PORTS_VIRQS_MAX, 0), -EINVAL);
	ck_assert_int_eq(ports_open_virq(&p, VIRQ_ARGO, 1), -EINVAL);
	ck_assert_uint_eq(ports_of_virq(&p, VIRQ_TIMER, 3), (uint32_t)timer3);
	ck_assert_uint_eq(ports_of_virq(&p, VIRQ_TIMER, 99), 0);
	ck_assert_uint_eq(ports_of_virq(&p, 99, 0), 0);
	ports_close(&p, (uint32_t)timer3, NULL);
	ck_assert_uint_eq(ports_of_virq(&p, VIRQ_TIMER, 3), 0);
	ck_assert_int_gt(ports_open_virq(&p, VIRQ_TIMER, 3), 0);
}
END_TEST

/* a global VIRQ that was moved must be free again after its port was closed */
START_TEST(moved_global_virq)
{
	int port = ports_open_virq(&p, VIRQ_ARGO, 0);

	ck_assert_int_eq(ports_bind_vcpu(&p, (uint32_t)port, 2), 0);
	ck_assert_int_eq(ports_close(&p, (uint32_t)port, NULL), 0);
	ck_assert_int_gt(ports_open_virq(&p, VIRQ_ARGO, 0), 0);
}
END_TEST

START_TEST(who_may_move)
{
	uint32_t ipi = (uint32_t)ports_open_ipi(&p, 1);
	uint32_t timer = (uint32_t)ports_open_virq(&p, VIRQ_TIMER, 1);
	uint32_t unbound = (uint32_t)ports_open_unbound(&p, 0, 0);

	ck_assert_int_eq(ports_bind_vcpu(&p, ipi, 0), -EINVAL);
	ck_assert_int_eq(ports_bind_vcpu(&p, timer, 0), -EINVAL);
	ck_assert_int_eq(ports_bind_vcpu(&p, unbound, 3), 0);
	ck_assert_int_eq(ports_bind_vcpu(&p, unbound, 4), -ENOENT);
	ck_assert_uint_eq(ports_get(&p, unbound)->vcpu, 3);
	ck_assert_uint_eq(ports_get(&p, ipi)->vcpu, 1);
}
END_TEST

START_TEST(peers)
{
	uint32_t ipi = (uint32_t)ports_open_ipi(&p, 0);
	uint32_t port = (uint32_t)ports_open_unbound(&p, 0, 32000);

	ports_peer_joined(&p, port, 32000, 11);
	ck_assert_uint_eq(ports_get(&p, port)->state, EVTCHNSTAT_interdomain);
	ck_assert_uint_eq(ports_get(&p, port)->remote_port, 11);
	ports_peer_left(&p, port);
	ck_assert_uint_eq(ports_get(&p, port)->state, EVTCHNSTAT_unbound);
	ports_peer_joined(&p, ipi, 32000, 11);
	ports_peer_left(&p, ipi);
	ck_assert_uint_eq(ports_get(&p, ipi)->state, EVTCHNSTAT_ipi);
}
END_TEST

START_TEST(close_tells_what_it_was)
{
	uint32_t port = (uint32_t)ports_open_interdomain(&p, 0, 5, 6);
	struct port old = { 0 };

	ports_set_bound(&p, port, true);
	ck_assert_int_eq(ports_close(&p, port, &old), 0);
	ck_assert(old.bound && old.remote_domid == 5 && old.remote_port == 6);
	ck_assert_int_eq(ports_open_ipi(&p, 0), (int)port);
	ck_assert(!ports_get(&p, port)->bound);
}
END_TEST

UNIT_MAIN_WITH("ports", setup, teardown, lowest_free_number, wanted_number, all_of_them,
	       no_such_port, virqs, moved_global_virq, who_may_move, peers, close_tells_what_it_was)
