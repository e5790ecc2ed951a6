/* SPDX-License-Identifier: MIT */
/*
 * A loopback guest lives by hypercalls, answered by what answers those of the vmm's guests: its ports in the table
 * there, bridged's other end of them, pending and mask bits, and its end, each as the other side sees it.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include <xenhost/domain.h>
#include <xenhost/evtchn.h>
#include <xenhost/hypercall.h>

#include "common/cleanup.h"
#include "common/xen.h"
#include "loopguest/guest.h"
#include "tests/support/set.h"
#include "tests/support/unit.h"

static struct set set;
static struct guest *g;
static xenhost_t *service;

static void setup(void)
{
	char uri[128];

	snprintf(uri, sizeof(uri), "bridge:%s/bridge/blkback.sock", set.rundir);
	ck_assert_int_eq(guest_new(set.rundir, "calls", 8, &g), 0);
	ck_assert_int_eq(xenhost_open(uri, 0, &service), 0);
}

static void teardown(void)
{
	xenhost_close(service);
	guest_free(g);
}

#define CALL(nr, op, arg) guest_hypercall(g, nr, op, &(arg), sizeof(arg))
#define EVTCHN(op, arg) CALL(__HYPERVISOR_event_channel_op, op, arg)

static struct evtchn_status status_of(uint32_t port)
{
	struct evtchn_status arg = { .dom = DOMID_SELF, .port = port };

	ck_assert_int_eq(guest_process(g), 0);
	ck_assert_int_eq(EVTCHN(EVTCHNOP_status, arg), 0);
	return arg;
}

/* until bridged's news of the port have come */
static struct evtchn_status status_when(uint32_t port, uint32_t status)
{
	struct evtchn_status arg = status_of(port);

	while (arg.status != status) {
		struct pollfd p = { .fd = guest_fd(g), .events = POLLIN };

		ck_assert_int_eq(poll(&p, 1, 30000), 1);
		arg = status_of(port);
	}
	return arg;
}

static uint32_t offer(uint16_t domid)
{
	struct evtchn_alloc_unbound arg = { .dom = DOMID_SELF, .remote_dom = domid };

	ck_assert_int_eq(EVTCHN(EVTCHNOP_alloc_unbound, arg), 0);
	ck_assert_uint_gt(arg.port, 0);
	return arg.port;
}

static bool bit(uint32_t port, size_t array)
{
	const uint8_t *bytes = (const uint8_t *)guest_shared_info(g) + array;

	return bytes[port / 8] & 1u << port % 8;
}

static bool pending(uint32_t port)
{
	return bit(port, offsetof(struct shared_info, evtchn_pending));
}

static void mask(uint32_t port)
{
	struct shared_info *s = guest_shared_info(g);

	__atomic_fetch_or(&s->evtchn_mask[port / 64], 1ul << port % 64, __ATOMIC_SEQ_CST);
}

static void expect_event(xenhost_port_t *port)
{
	struct pollfd p = { .fd = xenhost_port_fd(port), .events = POLLIN };

	ck_assert_int_eq(poll(&p, 1, 30000), 1);
	ck_assert_int_eq(xenhost_port_ack(port), 1);
}

START_TEST(test_what_it_is)
{
	struct xen_hvm_param param = { .domid = DOMID_SELF, .index = HVM_PARAM_STORE_EVTCHN };
	struct gnttab_query_size table = { .dom = DOMID_SELF };
	struct xen_feature_info features = { 0 };
	struct xenhost_domain_info info;
	domid_t self = DOMID_SELF;
	uint64_t version[2];

	ck_assert_int_eq(guest_hypercall(g, __HYPERVISOR_xen_version, XENVER_version, NULL, 0),
			 0x40011);
	ck_assert_int_eq(CALL(__HYPERVISOR_xen_version, XENVER_get_features, features), 0);
	ck_assert(features.submap & 1u << XENFEAT_auto_translated_physmap);
	ck_assert_int_eq(CALL(__HYPERVISOR_memory_op, XENMEM_current_reservation, self), 8);
	ck_assert_int_eq(CALL(__HYPERVISOR_grant_table_op, GNTTABOP_query_size, table), 0);
	ck_assert_int_eq(table.status, GNTST_okay);
	ck_assert_uint_eq(table.nr_frames, 32); /* mapped when it began */
	ck_assert_int_eq(CALL(__HYPERVISOR_hvm_op, HVMOP_get_param, param), 0);
	ck_assert_uint_eq(param.value, guest_store_port(g));
	/* what bridged was told */
	ck_assert_int_eq(xenhost_domain_info(service, guest_domid(g), &info), 0);
	ck_assert_uint_eq(info.store_port, guest_store_port(g));
	ck_assert_int_eq(info.state, XENHOST_DOMAIN_RUNNING);
	/* and services hear the same version */
	ck_assert_int_eq(xenhost_hypercall(service, XENHOST_HYPERCALL_VERSION, NULL, 0, version, 2),
			 0);
	ck_assert_uint_eq(version[0] << 16 | version[1], 0x40011);
}
END_TEST

START_TEST(test_offered_port)
{
	uint32_t number = offer(SET_BLKBACK);
	struct evtchn_close closing = { .port = number };
	struct evtchn_send sending = { .port = number };
	struct evtchn_status status = status_of(number);
	xenhost_port_t *port;

	ck_assert_uint_eq(status.status, EVTCHNSTAT_unbound);
	ck_assert_uint_eq(status.u.unbound.dom, SET_BLKBACK);
	ck_assert_int_eq(xenhost_port_bind(service, guest_domid(g), number, &port), 0);
	status = status_when(number, EVTCHNSTAT_interdomain);
	ck_assert_uint_eq(status.u.interdomain.dom, SET_BLKBACK);
	ck_assert_uint_eq(status.u.interdomain.port, xenhost_port_number(port));
	(void)xenhost_port_ack(port); /* of being bound */
	ck_assert_int_eq(EVTCHN(EVTCHNOP_send, sending), 0);
	expect_event(port);
	xenhost_port_close(port);
	status = status_when(number, EVTCHNSTAT_unbound); /* for the next one */
	ck_assert_int_eq(EVTCHN(EVTCHNOP_close, closing), 0);
	ck_assert_uint_eq(status_of(number).status, EVTCHNSTAT_closed);
	ck_assert_int_eq(xenhost_port_bind(service, guest_domid(g), number, &port), -EINVAL);
}
END_TEST

/* masked events wait, and are there when unmasked */
START_TEST(test_pending_and_mask)
{
	uint32_t number = offer(SET_BLKBACK);
	struct evtchn_unmask unmasking = { .port = number };
	struct vcpu_info *vcpu = guest_shared_info(g);
	xenhost_port_t *port;

	ck_assert_int_eq(xenhost_port_bind(service, guest_domid(g), number, &port), 0);
	(void)guest_deliver(g, number); /* of being bound */
	memset(guest_shared_info(g), 0, XEN_PAGE_SIZE);
	mask(number);
	ck_assert_int_eq(xenhost_port_notify(port), 0);
	ck_assert_int_eq(guest_deliver(g, number), 0);
	ck_assert(pending(number) && !vcpu->evtchn_upcall_pending);
	ck_assert_int_eq(EVTCHN(EVTCHNOP_unmask, unmasking), 0);
	ck_assert(pending(number) && vcpu->evtchn_upcall_pending);
	ck_assert_uint_eq(vcpu->evtchn_pending_sel, 1ul << number / 64);
	memset(guest_shared_info(g), 0, XEN_PAGE_SIZE);
	ck_assert_int_eq(xenhost_port_notify(port), 0);
	ck_assert_int_eq(guest_deliver(g, number), 1);
	ck_assert_int_eq(guest_deliver(g, number), 0); /* once */
	xenhost_port_close(port);
}
END_TEST

START_TEST(test_bound_port)
{
	struct evtchn_bind_interdomain arg = { .remote_dom = SET_BLKBACK };
	struct evtchn_send sending;
	xenhost_port_t *port;

	ck_assert_int_eq(xenhost_port_alloc(service, guest_domid(g), &port), 0);
	arg.remote_port = xenhost_port_number(port);
	ck_assert_int_eq(EVTCHN(EVTCHNOP_bind_interdomain, arg), 0);
	ck_assert_uint_eq(status_of(arg.local_port).status, EVTCHNSTAT_interdomain);
	ck_assert_int_eq(guest_deliver(g, arg.local_port), 1); /* of being bound */
	sending.port = arg.local_port;
	ck_assert_int_eq(EVTCHN(EVTCHNOP_send, sending), 0);
	expect_event(port);
	arg.remote_port = xenhost_port_number(port); /* taken: it is ours already */
	arg.remote_dom = SET_NETBACK;
	ck_assert_int_eq(EVTCHN(EVTCHNOP_bind_interdomain, arg), -EINVAL);
	xenhost_port_close(port);
}
END_TEST

/* the guest's own: bridged knows nothing of them */
START_TEST(test_own_ports)
{
	struct evtchn_bind_ipi ipi = { .vcpu = 0 }, nobody = { .vcpu = 1 };
	struct evtchn_bind_virq virq = { .virq = VIRQ_DEBUG };
	struct evtchn_send sending;
	struct evtchn_reset reset = { .dom = DOMID_SELF };

	ck_assert_int_eq(EVTCHN(EVTCHNOP_bind_ipi, nobody), -ENOENT);
	ck_assert_int_eq(EVTCHN(EVTCHNOP_bind_ipi, ipi), 0);
	sending.port = ipi.port;
	ck_assert_int_eq(EVTCHN(EVTCHNOP_send, sending), 0);
	ck_assert_int_eq(guest_deliver(g, ipi.port), 1);
	ck_assert_int_eq(EVTCHN(EVTCHNOP_bind_virq, virq), 0);
	ck_assert_int_eq(EVTCHN(EVTCHNOP_bind_virq, virq), -EEXIST);
	ck_assert_int_eq(guest_deliver(g, virq.port), 0);
	ck_assert_int_eq(EVTCHN(EVTCHNOP_reset, reset), 0);
	ck_assert_uint_eq(status_of(ipi.port).status, EVTCHNSTAT_closed);
	ck_assert_int_eq(guest_deliver(g, ipi.port), -EINVAL);
}
END_TEST

START_TEST(test_refused)
{
	struct evtchn_bind_interdomain bind = { .remote_dom = SET_BLKBACK, .remote_port = 99 };
	struct evtchn_alloc_unbound other = { .dom = 0, .remote_dom = 0 };
	struct xen_add_to_physmap map = { .domid = DOMID_SELF,
					  .space = XENMAPSPACE_grant_table,
					  .gpfn = 3 };
	struct evtchn_close closing = { .port = 77 };
	struct evtchn_send sending = { .port = 77 };

	ck_assert_int_eq(EVTCHN(EVTCHNOP_bind_interdomain, bind), -EINVAL);
	bind.remote_dom = 4711;
	ck_assert_int_eq(EVTCHN(EVTCHNOP_bind_interdomain, bind), -ESRCH);
	ck_assert_int_eq(EVTCHN(EVTCHNOP_alloc_unbound, other), -EPERM);
	ck_assert_int_eq(EVTCHN(EVTCHNOP_close, closing), -EINVAL);
	ck_assert_int_eq(EVTCHN(EVTCHNOP_send, sending), -EINVAL);
	ck_assert_int_eq(CALL(__HYPERVISOR_memory_op, XENMEM_add_to_physmap, map), -EBUSY);
	map.idx = 32;
	ck_assert_int_eq(CALL(__HYPERVISOR_memory_op, XENMEM_add_to_physmap, map), -EINVAL);
	map.space = XENMAPSPACE_shared_info;
	map.idx = 0;
	map.gpfn = 8; /* behind its memory */
	ck_assert_int_eq(CALL(__HYPERVISOR_memory_op, XENMEM_add_to_physmap, map), -EINVAL);
	ck_assert_int_eq(guest_hypercall(g, 33, 0, NULL, 0), -ENOSYS);
}
END_TEST

START_TEST(test_shutdown)
{
	struct sched_shutdown arg = { .reason = SHUTDOWN_crash };
	struct xenhost_domain_info info;

	ck_assert_int_eq(CALL(__HYPERVISOR_sched_op, SCHEDOP_shutdown, arg), 0);
	ck_assert_int_eq(xenhost_domain_info(service, guest_domid(g), &info), 0);
	ck_assert_int_eq(info.state, XENHOST_DOMAIN_SHUTDOWN);
	ck_assert_uint_eq(info.shutdown_reason, SHUTDOWN_crash);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		test_what_it_is, test_offered_port, test_pending_and_mask, test_bound_port,
		test_own_ports,	 test_refused,	    test_shutdown,
	};
	int r = 1;

	if (set_start(&set) == 0)
		r = unit_run("loopguest-hypercalls", setup, teardown, tests, ARRAY_SIZE(tests));
	return set_stop(&set) < 0 ? 1 : r;
}
