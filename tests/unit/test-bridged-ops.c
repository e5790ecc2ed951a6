/* SPDX-License-Identifier: MIT */
/* The real xenhost-bridged: the permit table, restricted connections, hypercalls, and requests that are wrong. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <xenhost/hypercall.h>
#include <xenhost/xenhost.h>

#include "common/bridge.h"
#include "common/xen.h"
#include "tests/support/bridged.h"
#include "tests/support/unit.h"

/* --- the permit table, as PROTOCOL.bridge.md has it --- */

static const struct {
	Bridge__Frame__BodyCase body;
	const char *roles; /* tool, store, owner, service: those that may */
} permits[] = {
	{ BRIDGE__FRAME__BODY_DOMAIN_CREATE, "o" },
	{ BRIDGE__FRAME__BODY_DOMAIN_REATTACH, "o" },
	{ BRIDGE__FRAME__BODY_DOMAIN_UPDATE, "o" },
	{ BRIDGE__FRAME__BODY_DOMAIN_QUERY, "tsov" },
	{ BRIDGE__FRAME__BODY_DOMAIN_WATCH, "tsv" },
	{ BRIDGE__FRAME__BODY_DOMAIN_CONTROL, "t" },
	{ BRIDGE__FRAME__BODY_DOMAIN_DUMP, "t" },
	{ BRIDGE__FRAME__BODY_ATTACH, "sv" },
	{ BRIDGE__FRAME__BODY_PORT_ALLOC, "sov" },
	{ BRIDGE__FRAME__BODY_PORT_BIND, "sov" },
	{ BRIDGE__FRAME__BODY_PORT_CLOSE, "sov" },
	{ BRIDGE__FRAME__BODY_PORT_QUERY, "t" },
	{ BRIDGE__FRAME__BODY_HYPERCALL, "tsov" },
	{ BRIDGE__FRAME__BODY_RESTRICT_TO, "tsv" },
	{ BRIDGE__FRAME__BODY_KEEP, "sv" },
	/* answers and events are no requests */
	{ BRIDGE__FRAME__BODY_WELCOME, "" },
	{ BRIDGE__FRAME__BODY_PORT_CHANGED, "" },
	{ BRIDGE__FRAME__BODY__NOT_SET, "" },
};

/* an empty message of that kind, as any field number that there is */
static int ask(struct bridge_client *c, Bridge__Frame__BodyCase body)
{
	union {
		ProtobufCMessage base;
		uint8_t room[512];
	} msg = { 0 };
	bridge_frame f = BRIDGE__FRAME__INIT;

	if (body != BRIDGE__FRAME__BODY__NOT_SET) {
		const ProtobufCFieldDescriptor *field =
			protobuf_c_message_descriptor_get_field(&bridge__frame__descriptor, body);
		const ProtobufCMessageDescriptor *type = field->descriptor;

		ck_assert_uint_le(type->sizeof_message, sizeof(msg));
		type->message_init(&msg.base);
		f = peer_frame_of(body, &msg);
	}
	return bridge_client_call(c, &f, NULL, 0, BRIDGE__FRAME__BODY__NOT_SET, NULL);
}

static bool refused(int r, const char *why)
{
	return (r == -EPERM && !strcmp(why, "not permitted on this socket")) || r == -EOPNOTSUPP;
}

START_TEST(test_permits)
{
	static const char *const sockets[] = { "tool", "store", "vmm", "blkback" };

	for (size_t i = 0; i < sizeof(permits) / sizeof(permits[0]); i++)
		for (int role = 0; role < 4; role++) {
			struct bridge_client *c = bridged_peer(sockets[role]);
			int r = ask(c, permits[i].body);
			bool may = strchr(permits[i].roles, "tsov"[role]) != NULL;

			ck_assert_msg(refused(r, bridge_client_why(c)) == !may,
				      "field %d on %s.sock: %d %s", permits[i].body, sockets[role],
				      r, bridge_client_why(c));
			bridge_client_close(c);
		}
}
END_TEST

START_TEST(test_order)
{
	struct bridge_client *vmm = bridged_peer("vmm");
	uint64_t id;

	ck_assert_int_eq(ask(vmm, BRIDGE__FRAME__BODY_HELLO), -EPROTO); /* a second one */
	ck_assert_int_eq(peer_update(vmm, BRIDGE__DOMAIN_STATE__RUNNING, 0), -EINVAL);
	ck_assert_int_eq(ask(vmm, BRIDGE__FRAME__BODY_HYPERCALL), -EINVAL);
	ck_assert_int_eq(peer_own(vmm, "a", &id), 1);
	ck_assert_int_eq(ask(vmm, BRIDGE__FRAME__BODY_DOMAIN_REATTACH), -EBUSY);
	ck_assert_int_eq(peer_own(vmm, "b", &id), -EBUSY);
	bridge_client_close(vmm);
}
END_TEST

/* --- restricted --- */

START_TEST(test_restrict)
{
	struct bridge_client *a = bridged_peer("vmm"), *b = bridged_peer("vmm"),
			     *blk = bridged_peer("blkback");
	struct bridge_message m;
	uint32_t other;
	uint64_t id;

	ck_assert_int_eq(peer_restrict(blk, 1), -ESRCH);
	ck_assert_int_eq(peer_own(a, "a", &id), 1);
	ck_assert_int_eq(peer_own(b, "b", &id), 2);
	ck_assert_int_eq(peer_port_alloc(a, 3, 32000, &m), 0);
	bridge_message_fini(&m);
	ck_assert_int_eq(peer_port_alloc(b, 3, 32000, &m), 0);
	bridge_message_fini(&m);
	ck_assert_int_eq(peer_port_alloc(b, 4, 32000, &m), 0);
	bridge_message_fini(&m);
	ck_assert_int_eq(peer_attach(blk, 2, &m), 0);
	bridge_message_fini(&m);
	ck_assert_int_eq(peer_port_bind(blk, 2, 4, &m), 0);
	other = m.frame->port->port;
	bridge_message_fini(&m);

	ck_assert_int_eq(peer_restrict(blk, 1), 0);
	ck_assert_int_eq(peer_restrict(blk, 1), 0);
	ck_assert_int_eq(peer_restrict(blk, 2), -EPERM);
	ck_assert_int_eq(peer_attach(blk, 2, &m), -EPERM);
	ck_assert_int_eq(peer_port_bind(blk, 2, 3, &m), -EPERM);
	ck_assert_int_eq(peer_port_alloc(blk, 0, 2, &m), -EPERM);
	ck_assert_int_eq(peer_port_close(blk, other), -EPERM);
	ck_assert_int_eq(peer_query(blk, 2, &m), -EPERM);
	ck_assert_int_eq(peer_query(blk, 77, &m), -EPERM); /* nor is it told who there is */
	ck_assert_int_eq(peer_hypercall(blk, 2, BRIDGE_HYPERCALL_GRANT_SIZE, 0, 0, &m), -EPERM);
	ck_assert_int_eq(peer_keep(blk, BRIDGE__KEEP__ACTION__GET, "x", -1, &m), -EPERM);
	ck_assert_int_eq(peer_attach(blk, 1, &m), 0);
	bridge_message_fini(&m);
	ck_assert_int_eq(peer_port_bind(blk, 1, 3, &m), 0);
	bridge_message_fini(&m);
	ck_assert_int_eq(peer_watch(blk), 0);
	peer_expect_info(blk, 1, BRIDGE__DOMAIN_STATE__PAUSED, 3); /* all that there is for it */
	bridge_client_close(b);
	bridge_client_close(a);
	peer_expect_state(blk, 1, BRIDGE__DOMAIN_STATE__GONE); /* and not the other one */
	ck_assert_int_eq(peer_query(blk, 1, &m), -EPERM);
	bridge_client_close(blk);
}
END_TEST

/* --- hypercalls and ports --- */

static void expect_values(struct bridge_client *c, uint32_t domid, uint32_t op, size_t nr_args,
			  uint64_t arg, size_t n, uint64_t a, uint64_t b, uint64_t d)
{
	const uint64_t expected[] = { a, b, d };
	struct bridge_message m;

	ck_assert_int_eq(peer_hypercall(c, domid, op, nr_args, arg, &m), 0);
	ck_assert_uint_eq(m.frame->hypercall_result->n_results, n);
	for (size_t i = 0; i < n; i++)
		ck_assert_uint_eq(m.frame->hypercall_result->results[i], expected[i]);
	bridge_message_fini(&m);
}

START_TEST(test_hypercalls)
{
	struct bridge_client *vmm = bridged_peer("vmm"), *blk = bridged_peer("blkback"),
			     *tool = bridged_peer("tool");
	const uint32_t self = BRIDGE_DOMID_SELF;
	struct bridge_message m;
	uint64_t id;

	ck_assert_int_eq(peer_own(vmm, "a", &id), 1);
	ck_assert_int_eq(peer_port_alloc(vmm, 3, 32000, &m), 0);
	bridge_message_fini(&m);
	ck_assert_int_eq(peer_update(vmm, BRIDGE__DOMAIN_STATE__PAUSED, 3), 0);
	expect_values(blk, self, BRIDGE_HYPERCALL_VERSION, 0, 0, 2, 4, 17, 0);
	expect_values(vmm, self, BRIDGE_HYPERCALL_EVTCHN_STATUS, 1, 3, 3, EVTCHNSTAT_unbound, 32000,
		      0);
	ck_assert_int_eq(peer_port_bind(blk, 1, 3, &m), 0);
	expect_values(tool, 1, BRIDGE_HYPERCALL_EVTCHN_STATUS, 1, 3, 3, EVTCHNSTAT_interdomain,
		      32000, m.frame->port->port);
	expect_values(blk, self, BRIDGE_HYPERCALL_EVTCHN_STATUS, 1, m.frame->port->port, 3,
		      EVTCHNSTAT_interdomain, 1, 3);
	bridge_message_fini(&m);
	expect_values(vmm, self, BRIDGE_HYPERCALL_EVTCHN_STATUS, 1, 9, 3, EVTCHNSTAT_closed, 0, 0);
	expect_values(vmm, self, BRIDGE_HYPERCALL_GRANT_SIZE, 0, 0, 2, 1, 64, 0);
	expect_values(tool, 1, BRIDGE_HYPERCALL_HVM_PARAM, 1, HVM_PARAM_STORE_EVTCHN, 1, 3, 0, 0);

	ck_assert_int_eq(peer_hypercall(blk, 1, BRIDGE_HYPERCALL_GRANT_SIZE, 0, 0, &m), -EPERM);
	ck_assert_int_eq(peer_attach(blk, 1, &m), 0);
	bridge_message_fini(&m);
	expect_values(blk, 1, BRIDGE_HYPERCALL_GRANT_SIZE, 0, 0, 2, 1, 64, 0);
	ck_assert_int_eq(peer_hypercall(blk, 1, BRIDGE_HYPERCALL_EVTCHN_STATUS, 1, 3, &m), -EPERM);
	ck_assert_int_eq(peer_hypercall(blk, self, BRIDGE_HYPERCALL_HVM_PARAM, 1, 1, &m), -EINVAL);
	ck_assert_int_eq(peer_hypercall(tool, 1, BRIDGE_HYPERCALL_HVM_PARAM, 1, 99, &m), -EINVAL);
	ck_assert_int_eq(peer_hypercall(tool, 1, BRIDGE_HYPERCALL_HVM_PARAM, 0, 0, &m), -EINVAL);
	ck_assert_int_eq(peer_hypercall(vmm, self, BRIDGE_HYPERCALL_EVTCHN_STATUS, 1, 0, &m),
			 -EINVAL);
	ck_assert_int_eq(
		peer_hypercall(vmm, self, BRIDGE_HYPERCALL_EVTCHN_STATUS, 1, 1ull << 40, &m),
		-EINVAL);
	ck_assert_int_eq(peer_hypercall(vmm, self, BRIDGE_HYPERCALL_SHUTDOWN, 1, 0, &m), -EPERM);
	ck_assert_int_eq(peer_hypercall(vmm, self, 0, 0, 0, &m), -ENOSYS);
	ck_assert_int_eq(peer_hypercall(vmm, self, 6, 0, 0, &m), -ENOSYS);
	ck_assert_int_eq(peer_hypercall(vmm, self, ~0u, 0, 0, &m), -ENOSYS);
	ck_assert_int_eq(peer_hypercall(tool, 77, BRIDGE_HYPERCALL_GRANT_SIZE, 0, 0, &m), -ESRCH);
	bridge_client_close(vmm);
	bridge_client_close(blk);
	bridge_client_close(tool);
}
END_TEST

START_TEST(test_library_hypercall)
{
	uint64_t values[3], port = 1;
	xenhost_t *host;

	host = bridged_host("blkback");
	ck_assert_int_eq(xenhost_hypercall(host, XENHOST_HYPERCALL_VERSION, NULL, 0, values, 2), 0);
	ck_assert_uint_eq(values[0], 4);
	ck_assert_int_eq(
		xenhost_hypercall(host, XENHOST_HYPERCALL_EVTCHN_STATUS, &port, 1, values, 3), 0);
	ck_assert_uint_eq(values[0], EVTCHNSTAT_closed);
	ck_assert_int_eq(xenhost_hypercall(host, XENHOST_HYPERCALL_SHUTDOWN, &port, 1, NULL, 0),
			 -EPERM);
	xenhost_close(host);
}
END_TEST

START_TEST(test_port_list)
{
	struct bridge_client *vmm = bridged_peer("vmm"), *tool = bridged_peer("tool");
	unsigned int seen = 0, answers = 0;
	struct bridge_message m;
	uint32_t from = 0;
	uint64_t id;

	ck_assert_int_eq(peer_own(vmm, "a", &id), 1);
	for (int i = 0; i < BRIDGE_PORT_LIST_MAX + 10; i++) {
		ck_assert_int_eq(peer_port_alloc(vmm, 0, 32000, &m), 0);
		bridge_message_fini(&m);
	}
	do {
		ck_assert_int_eq(peer_port_query(tool, 1, from, &m), 0);
		for (size_t i = 0; i < m.frame->port_list->n_ports; i++) {
			ck_assert_uint_eq(m.frame->port_list->ports[i]->port, ++seen);
			ck_assert_int_eq(m.frame->port_list->ports[i]->state,
					 BRIDGE__PORT_INFO__STATE__UNBOUND);
		}
		from = m.frame->port_list->next;
		answers++;
		bridge_message_fini(&m);
	} while (from);
	ck_assert_uint_eq(seen, BRIDGE_PORT_LIST_MAX + 10);
	ck_assert_uint_eq(answers, 2);
	ck_assert_int_eq(peer_port_query(tool, 1, ~0u, &m), 0);
	ck_assert_uint_eq(m.frame->port_list->n_ports, 0);
	bridge_message_fini(&m);
	ck_assert_int_eq(peer_port_query(tool, 2, 0, &m), -ESRCH);
	bridge_client_close(vmm);
	bridge_client_close(tool);
}
END_TEST

/* --- watchers that do not read --- */

START_TEST(test_slow_watcher)
{
	struct bridge_client *vmm = bridged_peer("vmm"), *tool = bridged_peer("tool"),
			     *other = bridged_peer("tool"), *c;
	Bridge__DomainState last = BRIDGE__DOMAIN_STATE__GONE;
	struct bridge_message m;
	unsigned int events = 0;
	bool end = false;
	uint64_t id;

	ck_assert_int_eq(peer_own(vmm, "a", &id), 1);
	ck_assert_int_eq(peer_watch(tool), 0);
	for (int i = 0; i < 2000; i++) {
		ck_assert_int_eq(peer_update(vmm, BRIDGE__DOMAIN_STATE__RUNNING, 1), 0);
		ck_assert_int_eq(peer_control(other, 1, BRIDGE__CONTROL_ACTION__PAUSE), 0);
		peer_next_event(vmm, &m);
		bridge_message_fini(&m);
		ck_assert_int_eq(peer_update(vmm, BRIDGE__DOMAIN_STATE__PAUSED, 1), 0);
	}
	ck_assert_int_eq(peer_update(vmm, BRIDGE__DOMAIN_STATE__RUNNING, 1), 0);
	bridge_client_close(other);
	c = bridged_peer("vmm");
	ck_assert_int_eq(peer_own(c, "comes and goes", &id), 2);
	bridge_client_close(c);
	while (!end || last != BRIDGE__DOMAIN_STATE__RUNNING) {
		peer_next_event(tool, &m);
		events++;
		ck_assert_uint_ne(m.frame->domain_info->domid, 2); /* it was over in between */
		if (m.frame->domain_info->domid == 1)
			last = m.frame->domain_info->state;
		end = events > 4 && m.frame->domain_info->snapshot & BRIDGE_SNAPSHOT_LAST;
		bridge_message_fini(&m);
	}
	ck_assert_uint_lt(events, 4000);
	bridge_client_close(vmm);
	peer_expect_state(tool, 1, BRIDGE__DOMAIN_STATE__GONE); /* it is up to date again */
	bridge_client_close(tool);
}
END_TEST

/* --- guests that have gone --- */

static void expect_end(const struct bridge_message *m, uint64_t id, Bridge__DomainState state,
		       bool ended, uint32_t reason)
{
	const Bridge__DomainInfo *info = m->frame->domain_info;

	ck_assert_uint_eq(info->unique_id, id);
	ck_assert_int_eq(info->state, state);
	ck_assert_int_eq(info->ended, ended);
	ck_assert_uint_eq(info->shutdown_reason, reason);
}

/* Who is told of an end may ask how it was when the guest is gone and another one has its name. */
START_TEST(test_gone)
{
	struct bridge_client *tool = bridged_peer("tool"), *vmm = bridged_peer("vmm");
	struct bridge_client *next = bridged_peer("vmm");
	struct bridge_message m;
	uint64_t id, next_id;

	ck_assert_int_eq(peer_own(vmm, "a", &id), 1);
	ck_assert_int_eq(peer_watch(tool), 0);
	peer_expect_info(tool, 0, BRIDGE__DOMAIN_STATE__RUNNING, BRIDGE_SNAPSHOT_FIRST);
	for (uint32_t service = 32000; service < 32002; service++)
		peer_expect_state(tool, service, BRIDGE__DOMAIN_STATE__RUNNING);
	peer_expect_info(tool, 1, BRIDGE__DOMAIN_STATE__PAUSED, BRIDGE_SNAPSHOT_LAST);
	ck_assert_int_eq(peer_query_gone(tool, 2, &m), -ESRCH);
	ck_assert_int_eq(peer_query_gone(tool, 1, &m), 0);
	expect_end(&m, id, BRIDGE__DOMAIN_STATE__PAUSED, false, 0);
	bridge_message_fini(&m);
	ck_assert_int_eq(peer_update_reason(vmm, BRIDGE__DOMAIN_STATE__RUNNING, 0), 0);
	ck_assert_int_eq(peer_update_reason(vmm, BRIDGE__DOMAIN_STATE__SHUTDOWN, SHUTDOWN_reboot),
			 0);
	bridge_client_close(vmm);
	peer_expect_state(tool, 1, BRIDGE__DOMAIN_STATE__RUNNING);
	peer_expect_state(tool, 1, BRIDGE__DOMAIN_STATE__SHUTDOWN);
	peer_next_event(tool, &m);
	expect_end(&m, id, BRIDGE__DOMAIN_STATE__GONE, true, SHUTDOWN_reboot);
	bridge_message_fini(&m);
	ck_assert_int_eq(peer_own(next, "a", &next_id), 2);
	ck_assert_int_eq(peer_query(tool, 1, &m), -ESRCH);
	ck_assert_int_eq(peer_query_gone(tool, 1, &m), 0);
	expect_end(&m, id, BRIDGE__DOMAIN_STATE__GONE, true, SHUTDOWN_reboot);
	ck_assert_str_eq(m.frame->domain_info->name, "a");
	bridge_message_fini(&m);
	bridge_client_close(next); /* ended while it was paused */
	peer_expect_state(tool, 2, BRIDGE__DOMAIN_STATE__PAUSED);
	peer_expect_state(tool, 2, BRIDGE__DOMAIN_STATE__GONE);
	ck_assert_int_eq(peer_query_gone(tool, 2, &m), 0);
	expect_end(&m, next_id, BRIDGE__DOMAIN_STATE__GONE, false, 0);
	bridge_message_fini(&m);
	bridge_client_close(tool);
}
END_TEST

/* a soft reset: the reason is known while the next kernel runs */
START_TEST(test_ended_and_runs)
{
	struct bridge_client *tool = bridged_peer("tool"), *vmm = bridged_peer("vmm");
	struct bridge_message m;
	uint64_t id;

	ck_assert_int_eq(peer_own(vmm, "a", &id), 1);
	ck_assert_int_eq(
		peer_update_reason(vmm, BRIDGE__DOMAIN_STATE__SHUTDOWN, SHUTDOWN_soft_reset), 0);
	ck_assert_int_eq(peer_control(tool, 1, BRIDGE__CONTROL_ACTION__UNPAUSE), 0);
	ck_assert_int_eq(peer_update_reason(vmm, BRIDGE__DOMAIN_STATE__RUNNING, 0), 0);
	ck_assert_int_eq(peer_query(tool, 1, &m), 0);
	expect_end(&m, id, BRIDGE__DOMAIN_STATE__RUNNING, true, SHUTDOWN_soft_reset);
	bridge_message_fini(&m);
	bridge_client_close(vmm);
	bridge_client_close(tool);
}
END_TEST

/* who is restricted to a guest is told of its end, and of no other's */
START_TEST(test_gone_restricted)
{
	struct bridge_client *blk = bridged_peer("blkback"), *tool = bridged_peer("tool");
	struct bridge_client *a = bridged_peer("vmm"), *b = bridged_peer("vmm");
	struct bridge_message m;
	uint64_t id, other;

	ck_assert_int_eq(peer_own(a, "a", &id), 1);
	ck_assert_int_eq(peer_own(b, "b", &other), 2);
	ck_assert_int_eq(peer_restrict(blk, 1), 0);
	ck_assert_int_eq(peer_watch(tool), 0);
	bridge_client_close(a);
	bridge_client_close(b);
	for (unsigned int gone = 0; gone < 2;) {
		peer_next_event(tool, &m);
		gone += m.frame->domain_info->state == BRIDGE__DOMAIN_STATE__GONE;
		bridge_message_fini(&m);
	}
	ck_assert_int_eq(peer_query_gone(blk, 1, &m), 0);
	expect_end(&m, id, BRIDGE__DOMAIN_STATE__GONE, false, 0);
	bridge_message_fini(&m);
	ck_assert_int_eq(peer_query_gone(blk, 2, &m), -EPERM);
	ck_assert_int_eq(peer_query_gone(blk, 3, &m), -EPERM);
	bridge_client_close(blk);
	bridge_client_close(tool);
}
END_TEST

/* --- memory that is none --- */

static int plain_file(void)
{
	char path[] = "/tmp/xenhost-test-XXXXXX";
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	unlink(path);
	ck_assert_int_eq(ftruncate(fd, RAM_SIZE), 0);
	return fd;
}

static int a_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0);
}

static int an_eventfd(void)
{
	return eventfd(0, EFD_CLOEXEC);
}

static int a_folder(void)
{
	return open("/", O_RDONLY | O_DIRECTORY);
}

static int memfd(unsigned int flags, off_t size, int seals)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);

	ck_assert_int_eq(ftruncate(fd, size), 0);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static int unsealed(void)
{
	return memfd(0, RAM_SIZE, F_SEAL_GROW);
}

static int shrunk(void)
{
	return memfd(0, RAM_SIZE - 4096, F_SEAL_SHRINK);
}

static int not_writable(void)
{
	return memfd(0, RAM_SIZE, F_SEAL_SHRINK | F_SEAL_WRITE);
}

static int not_for_others(void)
{
	return memfd(0, RAM_SIZE, F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE);
}

static int for_reading(void)
{
	int fd = memfd(0, RAM_SIZE, F_SEAL_SHRINK), ro;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ro = open(path, O_RDONLY | O_CLOEXEC);
	close(fd);
	return ro;
}

static int (*const wrong[])(void) = {
	plain_file, a_socket,	  an_eventfd,	  a_folder,    unsealed,
	shrunk,	    not_writable, not_for_others, for_reading,
};

/* each in each place; the connection goes on, and bridged has no descriptor more than before */
START_TEST(test_wrong_memory)
{
	struct bridge_client *vmm = bridged_peer("vmm");
	struct bridge_message m;
	unsigned int before;
	uint64_t id;

	before = bridged_open_files(vmm);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		for (int place = 0; place < 3; place++) {
			int fds[3] = { peer_memory(RAM_SIZE), peer_memory(4096),
				       peer_memory(4096) };

			if (place > 0 && wrong[i] == shrunk)
				continue; /* large enough for those */
			close(fds[place]);
			fds[place] = wrong[i]();
			ck_assert_int_ge(fds[place], 0);
			ck_assert_msg(peer_create_with(vmm, "a", fds) == -EINVAL, "%zu in %d", i,
				      place);
			ck_assert_str_ne(bridge_client_why(vmm), "");
		}
	ck_assert_int_eq(peer_query(vmm, 1, &m), -ESRCH);
	ck_assert_uint_eq(bridged_open_files(vmm), before);
	ck_assert_int_eq(peer_own(vmm, "a", &id), 1);
	ck_assert_uint_eq(bridged_open_files(vmm), before + 3);
	bridge_client_close(vmm);
}
END_TEST

/* holes are memory that is not there yet */
START_TEST(test_punched_memory)
{
	struct bridge_client *vmm = bridged_peer("vmm"), *blk = bridged_peer("blkback");
	int fds[3] = { peer_memory(RAM_SIZE), peer_memory(4096), peer_memory(4096) };
	int ram = dup(fds[0]);
	struct bridge_message m;
	char *page;

	ck_assert_int_eq(peer_create_with(vmm, "a", fds), 1);
	ck_assert_int_eq(fallocate(ram, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, RAM_SIZE),
			 0);
	ck_assert_int_eq(ftruncate(ram, 0), -1); /* but the end stays where it is */
	ck_assert_int_eq(peer_attach(blk, 1, &m), 0);
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED,
		    m.fds[m.frame->attached->regions[0]->fd], 0);
	ck_assert_ptr_ne(page, MAP_FAILED);
	page[0] = 1;
	munmap(page, 4096);
	bridge_message_fini(&m);
	close(ram);
	bridge_client_close(vmm);
	bridge_client_close(blk);
}
END_TEST

/* --- messages that are wrong, byte by byte --- */

static size_t pack_create(uint8_t *buf, size_t size, uint32_t fd_index, unsigned int nr_regions)
{
	Bridge__DomainCreate msg = BRIDGE__DOMAIN_CREATE__INIT;
	bridge_frame f = peer_frame_of(BRIDGE__FRAME__BODY_DOMAIN_CREATE, &msg);
	Bridge__Region region = BRIDGE__REGION__INIT, *list[32];
	long n;

	region.size = 4096;
	region.fd = fd_index;
	for (unsigned int i = 0; i < 32; i++)
		list[i] = &region;
	msg.name = (char *)(uintptr_t) "a";
	msg.regions = list;
	msg.n_regions = nr_regions;
	f.id = 1;
	n = bridge_wire_pack(&f, buf, size);
	ck_assert_int_gt(n, 0);
	return (size_t)n;
}

/* every way to cut it off: never an answer that is none, never the end of bridged */
START_TEST(test_truncated)
{
	struct bridge_client *tool = bridged_peer("tool");
	struct bridge_message m;
	uint8_t buf[1024];
	size_t n = pack_create(buf, sizeof(buf), 0, 3);

	for (size_t len = 1; len < n; len++) {
		int fd = bridged_raw_socket("vmm"), mem = peer_memory(4096);
		uint8_t answer[1024];
		bridge_frame *frame;
		ssize_t got;

		ck_assert_int_eq(fdpass_send(fd, buf, len, &mem, 1), 0);
		got = recv(fd, answer, sizeof(answer), 0);
		if (got > 0) { /* it was cut between two fields: before hello it is refused */
			ck_assert_int_eq(bridge_wire_unpack(answer, (size_t)got, 0, &frame), 0);
			ck_assert_int_ne(frame->error, 0);
			bridge_wire_free(frame);
		}
		close(mem);
		close(fd);
	}
	ck_assert_int_eq(peer_query(tool, 0, &m), 0);
	bridge_message_fini(&m);
	bridge_client_close(tool);
}
END_TEST

START_TEST(test_descriptors_that_do_not_fit)
{
	struct bridge_client *tool = bridged_peer("tool");
	int fds[FDPASS_MAX], fd;
	uint8_t buf[1024];
	unsigned int before;
	size_t n;

	before = bridged_open_files(tool);
	fd = bridged_raw_socket("vmm"); /* fewer than announced */
	n = pack_create(buf, sizeof(buf), 1, 1);
	fds[0] = peer_memory(4096);
	ck_assert_int_eq(fdpass_send(fd, buf, n, fds, 1), 0);
	bridged_expect_closed(fd);
	fd = bridged_raw_socket("vmm"); /* more pieces than there may be */
	n = pack_create(buf, sizeof(buf), 0, BRIDGE_REGIONS_MAX + 1);
	ck_assert_int_eq(fdpass_send(fd, buf, n, fds, 1), 0);
	bridged_expect_closed(fd);
	close(fds[0]);
	for (int i = 0; i < FDPASS_MAX; i++) /* more than announced: they are not kept */
		fds[i] = STDIN_FILENO;
	for (int i = 0; i < 20; i++) {
		Bridge__DomainQuery query = BRIDGE__DOMAIN_QUERY__INIT;
		bridge_frame f = peer_frame_of(BRIDGE__FRAME__BODY_DOMAIN_QUERY, &query);

		ck_assert_int_eq(bridge_client_call(tool, &f, fds, FDPASS_MAX,
						    BRIDGE__FRAME__BODY_DOMAIN_INFO, NULL),
				 0);
	}
	ck_assert_uint_le(bridged_open_files(tool),
			  before + 1); /* a connection that is just closing */
	bridge_client_close(tool);
}
END_TEST

/* a domid that is used again is another domain: nothing of the first one belongs to it */
START_TEST(test_used_again)
{
	struct bridge_client *vmm = bridged_peer("vmm"), *blk = bridged_peer("blkback"),
			     *tool = bridged_peer("tool");
	struct bridge_message m;
	uint64_t first, second;

	ck_assert_int_eq(peer_own(vmm, "a", &first), 1);
	ck_assert_int_eq(peer_port_alloc(vmm, 3, 32000, &m), 0);
	bridge_message_fini(&m);
	ck_assert_int_eq(peer_watch(blk), 0);
	for (int i = 0; i < 4; i++) {
		peer_next_event(blk, &m);
		bridge_message_fini(&m);
	}
	bridge_client_close(vmm);
	peer_expect_state(blk, 1, BRIDGE__DOMAIN_STATE__GONE);
	vmm = bridged_peer("vmm");
	ck_assert_int_eq(peer_own(vmm, "a", &second), 2); /* as late as possible */
	ck_assert_uint_ne(first, second);
	ck_assert_int_eq(peer_port_bind(blk, 2, 3, &m), -EINVAL);
	ck_assert_int_eq(peer_port_bind(blk, 1, 3, &m), -ESRCH);
	bridge_client_close(vmm);
	bridge_client_close(blk);
	bridge_client_close(tool);
}
END_TEST

/* --- bridge.conf --- */

static void restart_with_policy(const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/bridge.conf", bridged_rundir);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
	bridged_restart((const char *const[]){ "--policy", path, NULL });
}

START_TEST(test_policy)
{
	struct bridge_client *web, *db, *more, *blk, *net;
	struct bridge_message m;
	uint64_t id;

	restart_with_policy("[service blkback]\nguests = web*\n[service netback]\ntrusted = no\n"
			    "[guest web*]\nports = 2\npeers =\n[guest big]\nmemory = 4K\n"
			    "[limits]\ndomains = 2\n");
	web = bridged_peer("vmm");
	db = bridged_peer("vmm");
	more = bridged_peer("vmm");
	blk = bridged_peer("blkback");
	net = bridged_peer("netback");
	ck_assert_int_eq(peer_own(web, "web1", &id), 1);
	ck_assert_int_eq(peer_own(db, "big", &id), -ENOSPC);
	ck_assert_int_eq(peer_own(db, "db", &id), 2);
	ck_assert_int_eq(peer_own(more, "other", &id), -ENOSPC);

	ck_assert_int_eq(peer_attach(blk, 1, &m), 0);
	bridge_message_fini(&m);
	ck_assert_int_eq(peer_attach(blk, 2, &m), -EPERM);
	ck_assert_str_ne(bridge_client_why(blk), "");
	ck_assert_int_eq(peer_attach(net, 1, &m), -EPERM); /* not trusted with memory */
	ck_assert_int_eq(peer_port_alloc(web, 1, 32001, &m), 0);
	bridge_message_fini(&m);
	ck_assert_int_eq(peer_port_bind(net, 1, 1, &m), 0); /* but with ports */
	bridge_message_fini(&m);
	ck_assert_int_eq(peer_port_alloc(db, 1, 32000, &m), -EPERM);
	ck_assert_int_eq(peer_port_alloc(blk, 0, 2, &m), -EPERM);
	ck_assert_int_eq(peer_port_alloc(db, 1, 1, &m), -EPERM); /* web* has no peers */
	ck_assert_int_eq(peer_port_alloc(web, 2, 0, &m), 0);	 /* domain 0 is for all */
	bridge_message_fini(&m);
	ck_assert_int_eq(peer_port_alloc(web, 3, 0, &m), -ENOSPC);
	bridge_client_close(web);
	bridge_client_close(db);
	bridge_client_close(more);
	bridge_client_close(blk);
	bridge_client_close(net);
}
END_TEST

/* a policy with a mistake is none: better no bridged than one that permits too much */
START_TEST(test_broken_policy)
{
	char command[512];
	FILE *f;

	snprintf(command, sizeof(command), "%s/bridge.conf", bridged_rundir);
	f = fopen(command, "w");
	ck_assert_int_ge(fputs("[guest a]\nsevrices = blkback\n", f), 0);
	fclose(f);
	snprintf(
		command, sizeof(command),
		"%s/hypercall-bridge/bridged/xenhost-bridged --rundir %s/2 --policy %s/bridge.conf 2>&1 "
		"| grep -q 'bridge.conf, line 2: '",
		TOP_BUILDDIR, bridged_rundir, bridged_rundir);
	ck_assert_int_eq(system(command), 0);
}
END_TEST

UNIT_MAIN_WITH("bridged-ops", bridged_setup, bridged_teardown, test_permits, test_order,
	       test_restrict, test_hypercalls, test_library_hypercall, test_port_list,
	       test_slow_watcher, test_gone, test_ended_and_runs, test_gone_restricted,
	       test_wrong_memory, test_punched_memory, test_truncated,
	       test_descriptors_that_do_not_fit, test_used_again, test_policy, test_broken_policy)
