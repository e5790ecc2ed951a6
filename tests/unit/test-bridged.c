/* SPDX-License-Identifier: MIT */
/* The real xenhost-bridged, spoken to over its sockets: who may do what, and what is left afterwards. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <xenhost/evtchn.h>
#include <xenhost/gnttab.h>
#include <xenhost/xenhost.h>

#include "common/bridge.h"
#include "common/bridge_client.h"
#include "common/xen.h"
#include "tests/support/bridged.h"
#include "tests/support/unit.h"

static bool readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

START_TEST(test_roles)
{
	struct bridge_client *tool = bridged_peer("tool"), *blk = bridged_peer("blkback"),
			     *vmm = bridged_peer("vmm");
	struct bridge_message m;

	ck_assert_uint_eq(bridge_client_welcome(tool)->domid, 0);
	ck_assert_uint_eq(bridge_client_welcome(blk)->domid, 32000);
	ck_assert_int_eq(peer_create(tool, "a"), -EPERM);
	ck_assert_str_ne(bridge_client_why(tool), "");
	ck_assert_int_eq(peer_create(blk, "a"), -EPERM);
	ck_assert_int_eq(peer_attach(tool, 1, &m), -EPERM);
	ck_assert_int_eq(peer_attach(vmm, 1, &m), -EPERM);
	ck_assert_int_eq(peer_port_alloc(tool, 0, 1, &m), -EPERM);
	ck_assert_int_eq(peer_port_alloc(vmm, 0, 32000, &m), -EINVAL); /* it has no domain yet */
	ck_assert_int_eq(peer_keep(tool, BRIDGE__KEEP__ACTION__PUT, "x", 0, NULL), -EPERM);
	ck_assert_int_eq(peer_create(vmm, "a"), 1);
	ck_assert_int_eq(peer_create(vmm, "b"), -EBUSY);
	bridge_client_close(tool);
	bridge_client_close(blk);
	bridge_client_close(vmm);
}
END_TEST

START_TEST(test_attach_gives_what_the_role_needs)
{
	struct bridge_client *store = bridged_peer("store"), *blk = bridged_peer("blkback"),
			     *vmm = bridged_peer("vmm");
	struct bridge_message m;

	ck_assert_int_eq(peer_attach(blk, 1, &m), -ESRCH);
	ck_assert_int_eq(peer_attach(blk, 32001, &m), -EPERM); /* no guest */
	ck_assert_int_eq(peer_create(vmm, "a"), 1);
	ck_assert_int_eq(peer_attach(store, 1, &m), 0);
	ck_assert_uint_eq(m.frame->attached->n_regions, 1);
	ck_assert_int_eq(m.frame->attached->regions[0]->kind, BRIDGE__REGION_KIND__STORE_RING);
	ck_assert_uint_eq(m.nr_fds, 1);
	bridge_message_fini(&m);
	ck_assert_int_eq(peer_attach(blk, 1, &m), 0);
	ck_assert_uint_eq(m.frame->attached->n_regions, 2);
	for (size_t i = 0; i < 2; i++)
		ck_assert_int_le(m.frame->attached->regions[i]->kind,
				 BRIDGE__REGION_KIND__GRANT_FRAMES);
	bridge_message_fini(&m);
	bridge_client_close(vmm);
	peer_expect_state(blk, 1, BRIDGE__DOMAIN_STATE__GONE); /* told without a watch */
	ck_assert_int_eq(peer_attach(blk, 1, &m), -ESRCH);
	bridge_client_close(store);
	bridge_client_close(blk);
}
END_TEST

START_TEST(test_watch)
{
	Bridge__DomainWatch watch = BRIDGE__DOMAIN_WATCH__INIT;
	Bridge__DomainControl control = BRIDGE__DOMAIN_CONTROL__INIT;
	bridge_frame f = peer_frame_of(BRIDGE__FRAME__BODY_DOMAIN_WATCH, &watch);
	struct bridge_client *tool = bridged_peer("tool"), *vmm;
	struct bridge_message m;

	ck_assert_int_eq(bridge_client_call(tool, &f, NULL, 0, BRIDGE__FRAME__BODY__NOT_SET, NULL),
			 0);
	peer_expect_info(tool, 0, BRIDGE__DOMAIN_STATE__RUNNING, BRIDGE_SNAPSHOT_FIRST);
	peer_expect_state(tool, 32000, BRIDGE__DOMAIN_STATE__RUNNING);
	peer_expect_info(tool, 32001, BRIDGE__DOMAIN_STATE__RUNNING, BRIDGE_SNAPSHOT_LAST);
	vmm = bridged_peer("vmm");
	ck_assert_int_eq(peer_create(vmm, "a"), 1);
	peer_expect_state(tool, 1, BRIDGE__DOMAIN_STATE__PAUSED);
	f = peer_frame_of(BRIDGE__FRAME__BODY_DOMAIN_CONTROL, &control);
	control.domid = 1;
	ck_assert_int_eq(bridge_client_call(tool, &f, NULL, 0, BRIDGE__FRAME__BODY__NOT_SET, NULL),
			 -EINVAL);
	control.action = BRIDGE__CONTROL_ACTION__UNPAUSE;
	ck_assert_int_eq(bridge_client_call(tool, &f, NULL, 0, BRIDGE__FRAME__BODY__NOT_SET, NULL),
			 0);
	peer_next_event(vmm, &m);
	ck_assert_int_eq(m.frame->body_case, BRIDGE__FRAME__BODY_DOMAIN_CONTROL);
	ck_assert_int_eq(m.frame->domain_control->action, BRIDGE__CONTROL_ACTION__UNPAUSE);
	bridge_message_fini(&m);
	control.domid = 32000; /* has no owner */
	ck_assert_int_eq(bridge_client_call(tool, &f, NULL, 0, BRIDGE__FRAME__BODY__NOT_SET, NULL),
			 -ESRCH);
	bridge_client_close(vmm);
	peer_expect_state(tool, 1, BRIDGE__DOMAIN_STATE__GONE);
	bridge_client_close(tool);
}
END_TEST

/* a service that comes back finds its port, its kick and its deposits */
START_TEST(test_service_comes_back)
{
	struct bridge_client *blk = bridged_peer("blkback"), *vmm = bridged_peer("vmm");
	struct bridge_message guest, service;
	uint64_t count;
	uint32_t port;
	char byte;
	int fd;

	ck_assert_int_eq(peer_create(vmm, "a"), 1);
	ck_assert_int_eq(peer_port_alloc(vmm, 5, 32000, &guest), 0);
	ck_assert_uint_eq(guest.frame->port->port, 5);
	ck_assert_int_eq(peer_port_bind(blk, 1, 6, &service), -EINVAL);
	ck_assert_int_eq(peer_port_bind(blk, 1, 5, &service), 0);
	port = service.frame->port->port;
	ck_assert(readable(service.fds[0])); /* pending from the start */
	ck_assert_int_eq(read(service.fds[0], &count, sizeof(count)), sizeof(count));
	bridge_message_fini(&service);
	fd = peer_memory(4096);
	ck_assert_int_eq(pwrite(fd, "j", 1, 0), 1);
	ck_assert_int_eq(peer_keep(blk, BRIDGE__KEEP__ACTION__PUT, "journal", fd, NULL), 0);
	close(fd);
	bridge_client_close(blk);

	count = 1;
	ck_assert_int_eq(write(guest.fds[1], &count, sizeof(count)), sizeof(count));
	blk = bridged_peer("blkback");
	ck_assert_int_eq(peer_port_bind(blk, 1, 5, &service), 0);
	ck_assert_uint_eq(service.frame->port->port, port);
	ck_assert_int_eq(read(service.fds[0], &count, sizeof(count)), sizeof(count));
	ck_assert_uint_eq(count, 2); /* the kick, and the new binding */
	count = 1;
	ck_assert_int_eq(write(service.fds[1], &count, sizeof(count)), sizeof(count));
	ck_assert(readable(guest.fds[0]));
	bridge_message_fini(&service);
	ck_assert_int_eq(peer_keep(blk, BRIDGE__KEEP__ACTION__GET, "journal", -1, &service), 0);
	ck_assert_int_eq(pread(service.fds[0], &byte, 1, 0), 1);
	ck_assert_int_eq(byte, 'j');
	bridge_message_fini(&service);
	ck_assert_int_eq(peer_keep(blk, BRIDGE__KEEP__ACTION__DROP, "journal", -1, NULL), 0);
	ck_assert_int_eq(peer_keep(blk, BRIDGE__KEEP__ACTION__GET, "journal", -1, &service),
			 -ENOENT);
	bridge_message_fini(&guest);
	bridge_client_close(vmm);
	bridge_client_close(blk);
}
END_TEST

START_TEST(test_ports_of_others)
{
	struct bridge_client *blk = bridged_peer("blkback"), *net = bridged_peer("netback"),
			     *vmm = bridged_peer("vmm");
	struct bridge_message m;

	ck_assert_int_eq(peer_create(vmm, "a"), 1);
	ck_assert_int_eq(peer_port_alloc(vmm, 0, 32000, &m), 0);
	bridge_message_fini(&m);
	ck_assert_int_eq(peer_port_bind(net, 1, 1, &m), -EPERM);
	ck_assert_int_eq(peer_port_bind(blk, 77, 1, &m), -ESRCH);
	ck_assert_int_eq(peer_port_alloc(vmm, 0, 77, &m), -ESRCH);
	ck_assert_int_eq(peer_port_alloc(vmm, 1, 32000, &m), -EEXIST);
	ck_assert_int_eq(peer_port_alloc(vmm, 4096, 32000, &m), -EINVAL);
	/* deposits are of the socket, too */
	ck_assert_int_eq(peer_keep(blk, BRIDGE__KEEP__ACTION__PUT, "x", 0, NULL), 0);
	ck_assert_int_eq(peer_keep(net, BRIDGE__KEEP__ACTION__GET, "x", -1, &m), -ENOENT);
	ck_assert_int_eq(peer_keep(net, BRIDGE__KEEP__ACTION__PUT, "", 0, NULL), -EINVAL);
	ck_assert_int_eq(peer_keep(net, BRIDGE__KEEP__ACTION__PUT, "x", -1, NULL), -EINVAL);
	bridge_client_close(blk);
	bridge_client_close(net);
	bridge_client_close(vmm);
}
END_TEST

/* what is no request ends the connection that sent it, and nothing else */
START_TEST(test_garbage)
{
	static char big[BRIDGE_MESSAGE_MAX + 1];
	struct bridge_client *tool = bridged_peer("tool");
	Bridge__DomainQuery query = BRIDGE__DOMAIN_QUERY__INIT;
	bridge_frame f = peer_frame_of(BRIDGE__FRAME__BODY_DOMAIN_QUERY, &query), *back;
	uint8_t buf[256];
	int fds[FDPASS_MAX], fd = bridged_raw_socket("vmm");
	ssize_t n;

	ck_assert_int_eq(send(fd, "\xff\xff\xff\xff", 4, 0), 4);
	bridged_expect_closed(fd);
	fd = bridged_raw_socket("tool");
	ck_assert_int_eq(send(fd, big, sizeof(big), 0), sizeof(big));
	bridged_expect_closed(fd);
	/* a good request before hello is answered, with a refusal */
	fd = bridged_raw_socket("tool");
	f.id = 3;
	n = bridge_wire_pack(&f, buf, sizeof(buf));
	for (int i = 0; i < FDPASS_MAX; i++)
		fds[i] = STDIN_FILENO;
	ck_assert_int_eq(fdpass_send(fd, buf, (size_t)n, fds, FDPASS_MAX), 0); /* and too many */
	n = recv(fd, buf, sizeof(buf), 0);
	ck_assert_int_gt(n, 0);
	ck_assert_int_eq(bridge_wire_unpack(buf, (size_t)n, 0, &back), 0);
	ck_assert_uint_eq(back->id, 3);
	ck_assert_int_eq(back->error, EPROTO);
	bridge_wire_free(back);
	close(fd);
	ck_assert_int_eq(
		bridge_client_call(tool, &f, NULL, 0, BRIDGE__FRAME__BODY_DOMAIN_INFO, NULL), 0);
	bridge_client_close(tool);
}
END_TEST

/* a peer that asks and never reads is dropped; nobody waits for it */
START_TEST(test_reader_that_does_not)
{
	Bridge__Hello hello = BRIDGE__HELLO__INIT;
	bridge_frame f = peer_frame_of(BRIDGE__FRAME__BODY_HELLO, &hello);
	struct bridge_client *tool = bridged_peer("tool");
	int fd = bridged_raw_socket("tool"), sent = 0;
	struct bridge_message m;
	uint8_t buf[256];
	long n;

	hello.version = BRIDGE_VERSION;
	f.id = 1;
	n = bridge_wire_pack(&f, buf, sizeof(buf));
	while (sent < 1000000 && send(fd, buf, (size_t)n, MSG_NOSIGNAL) == n)
		sent++;
	ck_assert_int_lt(sent, 1000000); /* it was dropped */
	close(fd);
	ck_assert_int_eq(peer_query(tool, 0, &m), 0);
	bridge_message_fini(&m);
	bridge_client_close(tool);
}
END_TEST

/* a message without bytes is the end of the connection; what came with it must not stay */
START_TEST(test_empty_message_with_descriptors)
{
	struct bridge_client *tool = bridged_peer("tool");
	unsigned int before = bridged_open_files(tool);
	int fds[FDPASS_MAX];

	for (int i = 0; i < FDPASS_MAX; i++)
		fds[i] = STDIN_FILENO;
	for (int i = 0; i < 10; i++) {
		int fd = bridged_raw_socket("tool");

		ck_assert_int_eq(fdpass_send(fd, "", 0, fds, FDPASS_MAX), 0);
		bridged_expect_closed(fd);
	}
	/* the last connection may still be closing */
	ck_assert_uint_lt(bridged_open_files(tool), before + FDPASS_MAX);
	bridge_client_close(tool);
}
END_TEST

/* states go forward only, and what is no change is told to nobody */
START_TEST(test_updates)
{
	Bridge__DomainWatch watch = BRIDGE__DOMAIN_WATCH__INIT;
	bridge_frame f = peer_frame_of(BRIDGE__FRAME__BODY_DOMAIN_WATCH, &watch);
	struct bridge_client *tool = bridged_peer("tool"), *vmm = bridged_peer("vmm");

	ck_assert_int_eq(peer_create(vmm, "a"), 1);
	ck_assert_int_eq(bridge_client_call(tool, &f, NULL, 0, BRIDGE__FRAME__BODY__NOT_SET, NULL),
			 0);
	for (uint32_t domid = 0; domid < 3; domid++)
		peer_expect_info(tool, domid ? 31999 + domid : 0, BRIDGE__DOMAIN_STATE__RUNNING,
				 domid ? 0 : BRIDGE_SNAPSHOT_FIRST);
	peer_expect_info(tool, 1, BRIDGE__DOMAIN_STATE__PAUSED, BRIDGE_SNAPSHOT_LAST);
	ck_assert_int_eq(peer_update(vmm, BRIDGE__DOMAIN_STATE__PAUSED, 1),
			 0); /* the port is new */
	peer_expect_state(tool, 1, BRIDGE__DOMAIN_STATE__PAUSED);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(peer_update(vmm, BRIDGE__DOMAIN_STATE__PAUSED, 1), 0);
	ck_assert_int_eq(peer_update(vmm, BRIDGE__DOMAIN_STATE__SHUTDOWN, 1), 0);
	peer_expect_state(tool, 1, BRIDGE__DOMAIN_STATE__SHUTDOWN);
	ck_assert_int_eq(peer_update(vmm, BRIDGE__DOMAIN_STATE__RUNNING, 1), -EINVAL);
	ck_assert_int_eq(peer_update(vmm, BRIDGE__DOMAIN_STATE__GONE, 1), -EINVAL);
	bridge_client_close(vmm);
	peer_expect_state(tool, 1, BRIDGE__DOMAIN_STATE__GONE);
	bridge_client_close(tool);
}
END_TEST

/* an owner cannot make events at will: each step back needs a tool that asked */
START_TEST(test_updates_back)
{
	struct bridge_client *tool = bridged_peer("tool"), *vmm = bridged_peer("vmm");
	const uint32_t soft = 5;

	ck_assert_int_eq(peer_create(vmm, "a"), 1);
	ck_assert_int_eq(peer_update_reason(vmm, BRIDGE__DOMAIN_STATE__RUNNING, 0), 0);
	ck_assert_int_eq(peer_update_reason(vmm, BRIDGE__DOMAIN_STATE__PAUSED, 0), -EINVAL);
	ck_assert_int_eq(peer_control(tool, 1, BRIDGE__CONTROL_ACTION__PAUSE), 0);
	ck_assert_int_eq(peer_update_reason(vmm, BRIDGE__DOMAIN_STATE__PAUSED, 0), 0);
	ck_assert_int_eq(peer_update_reason(vmm, BRIDGE__DOMAIN_STATE__RUNNING, 0), 0);
	ck_assert_int_eq(peer_update_reason(vmm, BRIDGE__DOMAIN_STATE__PAUSED, 0), -EINVAL);
	ck_assert_int_eq(peer_update_reason(vmm, BRIDGE__DOMAIN_STATE__SHUTDOWN, soft), 0);
	ck_assert_int_eq(peer_update_reason(vmm, BRIDGE__DOMAIN_STATE__RUNNING, 0), -EINVAL);
	ck_assert_int_eq(peer_control(tool, 1, BRIDGE__CONTROL_ACTION__UNPAUSE), 0);
	ck_assert_int_eq(peer_update_reason(vmm, BRIDGE__DOMAIN_STATE__RUNNING, 0), 0);
	ck_assert_int_eq(peer_update_reason(vmm, BRIDGE__DOMAIN_STATE__SHUTDOWN, 0), 0);
	ck_assert_int_eq(peer_control(tool, 1, BRIDGE__CONTROL_ACTION__UNPAUSE), 0);
	ck_assert_int_eq(peer_update_reason(vmm, BRIDGE__DOMAIN_STATE__RUNNING, 0), -EINVAL);
	bridge_client_close(vmm);
	bridge_client_close(tool);
}
END_TEST

START_TEST(test_port_limit)
{
	struct bridge_client *vmm = bridged_peer("vmm");
	struct bridge_message m;

	ck_assert_int_eq(peer_create(vmm, "a"), 1);
	for (int i = 0; i < 1024; i++) {
		ck_assert_int_eq(peer_port_alloc(vmm, 0, 32000, &m), 0);
		bridge_message_fini(&m);
	}
	ck_assert_int_eq(peer_port_alloc(vmm, 0, 32000, &m), -ENOSPC);
	bridge_client_close(vmm);
}
END_TEST

/* two devices of one guest name the same port: the second must not get the first one's */
START_TEST(test_port_held_once)
{
	struct bridge_client *vmm = bridged_peer("vmm");
	xenhost_port_t *first, *second;
	struct bridge_message m;
	xenhost_t *host;

	host = bridged_host("blkback");
	ck_assert_int_eq(peer_create(vmm, "a"), 1);
	ck_assert_int_eq(peer_port_alloc(vmm, 3, 32000, &m), 0);
	bridge_message_fini(&m);
	ck_assert_int_eq(xenhost_port_bind(host, 1, 3, &first), 0);
	ck_assert_int_eq(xenhost_port_bind(host, 1, 3, &second), -EBUSY);
	ck_assert_int_eq(xenhost_port_notify(first), 0);
	xenhost_port_close(first);
	ck_assert_int_eq(xenhost_port_bind(host, 1, 3, &second), 0);
	xenhost_port_close(second);
	xenhost_close(host);
	bridge_client_close(vmm);
}
END_TEST

/* as a vmm that was taken over can leave them: the next write waits for ever */
static void abuse(int fd)
{
	ck_assert_int_eq(fcntl(fd, F_SETFL, 0), 0);
	ck_assert_int_eq(eventfd_write(fd, UINT64_MAX - 1), 0);
}

/* neither bridged nor the service waits for a guest that abuses its eventfds, and other guests are served */
START_TEST(test_hostile_eventfds)
{
	struct bridge_client *bad = bridged_peer("vmm"), *good = bridged_peer("vmm");
	xenhost_t *host = bridged_host("blkback");
	struct bridge_message theirs, others;
	xenhost_port_t *port, *other;

	ck_assert_int_eq(peer_create(bad, "bad"), 1);
	ck_assert_int_eq(peer_create(good, "good"), 2);
	ck_assert_int_eq(peer_port_alloc(bad, 3, 32000, &theirs), 0);
	ck_assert_int_eq(peer_port_alloc(good, 3, 32000, &others), 0);
	abuse(theirs.fds[1]); /* what bridged makes pending */
	ck_assert_int_eq(xenhost_port_bind(host, 1, 3, &port), 0);
	ck_assert_int_eq(xenhost_port_ack(port), 1);
	ck_assert_int_eq(xenhost_port_ack(port), 0); /* a read would wait for ever */
	abuse(theirs.fds[1]);
	xenhost_port_close(port);
	ck_assert_int_eq(xenhost_port_bind(host, 1, 3, &port), 0);
	abuse(theirs.fds[0]); /* what the service writes to */
	ck_assert_int_eq(xenhost_port_notify(port), -EPIPE);
	ck_assert_int_eq(xenhost_port_notify(port), -EPIPE);

	ck_assert_int_eq(xenhost_port_bind(host, 2, 3, &other), 0);
	ck_assert_int_eq(xenhost_port_notify(other), 0);
	ck_assert(readable(others.fds[0]));
	xenhost_port_close(other);
	xenhost_port_close(port);
	xenhost_close(host);
	bridge_message_fini(&theirs);
	bridge_message_fini(&others);
	bridge_client_close(bad);
	bridge_client_close(good);
}
END_TEST

/* for a client without a free descriptor a port is not made, and the connection goes on */
START_TEST(test_no_descriptors)
{
	struct bridge_client *vmm = bridged_peer("vmm"), *tool = bridged_peer("tool");
	xenhost_t *host = bridged_host("blkback");
	const uint32_t gref = 8;
	struct rlimit before, now;
	xenhost_port_t *port;
	xenhost_map_t *map;
	struct bridge_message m;
	int next;

	ck_assert_int_eq(peer_create(vmm, "a"), 1);
	ck_assert_int_eq(peer_port_alloc(vmm, 3, 32000, &m), 0);
	bridge_message_fini(&m);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	now = before;
	next = dup(0);
	ck_assert_int_ge(next, 0);
	now.rlim_cur = (rlim_t)next; /* all below it are taken */
	close(next);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &now), 0);
	ck_assert_int_eq(xenhost_port_bind(host, 1, 3, &port), -EMFILE);
	ck_assert_int_eq(xenhost_port_alloc(host, 1, &port), -EMFILE);
	ck_assert_int_eq(xenhost_map_grants(host, 1, &gref, 1, XENHOST_READ, &map), -EMFILE);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	ck_assert_int_eq(peer_port_query(tool, 32000, 0, &m), 0);
	ck_assert_uint_eq(m.frame->port_list->n_ports, 0);
	bridge_message_fini(&m);
	ck_assert_int_eq(xenhost_port_bind(host, 1, 3, &port), 0);
	ck_assert_int_eq(xenhost_map_grants(host, 1, &gref, 1, XENHOST_READ, &map), -EPERM);
	xenhost_port_close(port);
	xenhost_close(host);
	bridge_client_close(vmm);
	bridge_client_close(tool);
}
END_TEST

/* one run directory has one bridged */
START_TEST(test_second_instance)
{
	char command[256];

	snprintf(command, sizeof(command),
		 "%s/hypercall-bridge/bridged/xenhost-bridged --rundir %s", TOP_BUILDDIR,
		 bridged_rundir);
	ck_assert_int_eq(WEXITSTATUS(system(command)), 1);
}
END_TEST

UNIT_MAIN_WITH("bridged", bridged_setup, bridged_teardown, test_roles,
	       test_attach_gives_what_the_role_needs, test_watch, test_service_comes_back,
	       test_ports_of_others, test_garbage, test_reader_that_does_not,
	       test_empty_message_with_descriptors, test_updates, test_updates_back,
	       test_port_limit, test_port_held_once, test_hostile_eventfds, test_no_descriptors,
	       test_second_instance)
