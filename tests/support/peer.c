/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/bridge.h"

#include "tests/support/peer.h"

struct bridge_client *peer_open(const char *rundir, const char *socket)
{
	struct bridge_client *c;
	char path[128];

	snprintf(path, sizeof(path), "%s/bridge/%s.sock", rundir, socket);
	ck_assert_int_eq(bridge_client_open(path, "test", &c), 0);
	return c;
}

bridge_frame peer_frame_of(Bridge__Frame__BodyCase body, void *message)
{
	bridge_frame f = BRIDGE__FRAME__INIT;

	f.body_case = body;
	f.hello = message; /* all members of the union are pointers */
	return f;
}

int peer_memory(off_t size)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, size), 0);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	return fd;
}

/* RAM, grant frames and a store ring */
struct request {
	Bridge__DomainCreate msg;
	Bridge__Region regions[3], *list[3];
	int fds[3];
};

static void fill_with(struct request *req, const char *name, const int fds[3])
{
	*req = (struct request){ .fds = { fds[0], fds[1], fds[2] } };
	bridge__domain_create__init(&req->msg);
	for (unsigned int i = 0; i < 3; i++) {
		bridge__region__init(&req->regions[i]);
		req->regions[i].kind = (Bridge__RegionKind)i;
		req->regions[i].gpa = i * 0x100000;
		req->regions[i].size = i == 0 ? RAM_SIZE : 4096;
		req->regions[i].fd = i;
		req->list[i] = &req->regions[i];
	}
	req->msg.name = (char *)(uintptr_t)name;
	req->msg.regions = req->list;
	req->msg.n_regions = 3;
}

static void fill(struct request *req, const char *name)
{
	const int fds[3] = { peer_memory(RAM_SIZE), peer_memory(4096), peer_memory(4096) };

	fill_with(req, name, fds);
}

int peer_create(struct bridge_client *c, const char *name)
{
	const int fds[3] = { peer_memory(RAM_SIZE), peer_memory(4096), peer_memory(4096) };

	return peer_create_with(c, name, fds);
}

int peer_create_with(struct bridge_client *c, const char *name, const int fds[3])
{
	struct bridge_message answer;
	struct request req;
	bridge_frame f;
	int r;

	fill_with(&req, name, fds);
	f = peer_frame_of(BRIDGE__FRAME__BODY_DOMAIN_CREATE, &req.msg);
	r = bridge_client_call(c, &f, req.fds, 3, BRIDGE__FRAME__BODY_DOMAIN_CREATED, &answer);
	if (r == 0) {
		r = (int)answer.frame->domain_created->domid;
		bridge_message_fini(&answer);
	}
	fdpass_close(req.fds, 3);
	return r;
}

int peer_own(struct bridge_client *c, const char *name, uint64_t *ret_unique_id)
{
	struct request req;
	uint16_t domid;
	int r;

	fill(&req, name);
	r = bridge_client_create_domain(c, &req.msg, req.fds, 3, &domid, ret_unique_id);
	fdpass_close(req.fds, 3);
	return r < 0 ? r : domid;
}

int peer_reattach(struct bridge_client *c, uint64_t unique_id, uint8_t *secret, size_t len)
{
	Bridge__DomainReattach msg = BRIDGE__DOMAIN_REATTACH__INIT;
	bridge_frame f = peer_frame_of(BRIDGE__FRAME__BODY_DOMAIN_REATTACH, &msg);

	msg.unique_id = unique_id;
	msg.secret = (ProtobufCBinaryData){ len, secret };
	return bridge_client_call(c, &f, NULL, 0, BRIDGE__FRAME__BODY_DOMAIN_CREATED, NULL);
}

int peer_watch(struct bridge_client *c)
{
	Bridge__DomainWatch msg = BRIDGE__DOMAIN_WATCH__INIT;
	bridge_frame f = peer_frame_of(BRIDGE__FRAME__BODY_DOMAIN_WATCH, &msg);

	return bridge_client_call(c, &f, NULL, 0, BRIDGE__FRAME__BODY__NOT_SET, NULL);
}

int peer_control(struct bridge_client *c, uint32_t domid, Bridge__ControlAction action)
{
	Bridge__DomainControl msg = BRIDGE__DOMAIN_CONTROL__INIT;
	bridge_frame f = peer_frame_of(BRIDGE__FRAME__BODY_DOMAIN_CONTROL, &msg);

	msg.domid = domid;
	msg.action = action;
	return bridge_client_call(c, &f, NULL, 0, BRIDGE__FRAME__BODY__NOT_SET, NULL);
}

static int query(struct bridge_client *c, uint32_t domid, bool gone,
		 struct bridge_message *ret_answer)
{
	Bridge__DomainQuery msg = BRIDGE__DOMAIN_QUERY__INIT;
	bridge_frame f = peer_frame_of(BRIDGE__FRAME__BODY_DOMAIN_QUERY, &msg);

	msg.domid = domid;
	msg.gone = gone;
	return bridge_client_call(c, &f, NULL, 0, BRIDGE__FRAME__BODY_DOMAIN_INFO, ret_answer);
}

int peer_query(struct bridge_client *c, uint32_t domid, struct bridge_message *ret_answer)
{
	return query(c, domid, false, ret_answer);
}

int peer_query_gone(struct bridge_client *c, uint32_t domid, struct bridge_message *ret_answer)
{
	return query(c, domid, true, ret_answer);
}

int peer_restrict(struct bridge_client *c, uint32_t domid)
{
	Bridge__Restrict msg = BRIDGE__RESTRICT__INIT;
	bridge_frame f = peer_frame_of(BRIDGE__FRAME__BODY_RESTRICT_TO, &msg);

	msg.domid = domid;
	return bridge_client_call(c, &f, NULL, 0, BRIDGE__FRAME__BODY__NOT_SET, NULL);
}

int peer_hypercall(struct bridge_client *c, uint32_t domid, uint32_t op, size_t nr_args,
		   uint64_t arg, struct bridge_message *ret_answer)
{
	Bridge__Hypercall msg = BRIDGE__HYPERCALL__INIT;
	bridge_frame f = peer_frame_of(BRIDGE__FRAME__BODY_HYPERCALL, &msg);
	uint64_t args[BRIDGE_VALUES_MAX] = { arg };

	msg.domid = domid;
	msg.op = op;
	msg.args = args;
	msg.n_args = nr_args;
	return bridge_client_call(c, &f, NULL, 0, BRIDGE__FRAME__BODY_HYPERCALL_RESULT, ret_answer);
}

int peer_port_query(struct bridge_client *c, uint32_t domid, uint32_t from,
		    struct bridge_message *ret_answer)
{
	Bridge__PortQuery msg = BRIDGE__PORT_QUERY__INIT;
	bridge_frame f = peer_frame_of(BRIDGE__FRAME__BODY_PORT_QUERY, &msg);

	msg.domid = domid;
	msg.from = from;
	return bridge_client_call(c, &f, NULL, 0, BRIDGE__FRAME__BODY_PORT_LIST, ret_answer);
}

int peer_port_close(struct bridge_client *c, uint32_t port)
{
	Bridge__PortClose msg = BRIDGE__PORT_CLOSE__INIT;
	bridge_frame f = peer_frame_of(BRIDGE__FRAME__BODY_PORT_CLOSE, &msg);

	msg.port = port;
	return bridge_client_call(c, &f, NULL, 0, BRIDGE__FRAME__BODY__NOT_SET, NULL);
}

int peer_attach(struct bridge_client *c, uint32_t domid, struct bridge_message *ret_answer)
{
	Bridge__Attach msg = BRIDGE__ATTACH__INIT;
	bridge_frame f = peer_frame_of(BRIDGE__FRAME__BODY_ATTACH, &msg);

	msg.domid = domid;
	return bridge_client_call(c, &f, NULL, 0, BRIDGE__FRAME__BODY_ATTACHED, ret_answer);
}

int peer_port_alloc(struct bridge_client *c, uint32_t port, uint32_t remote,
		    struct bridge_message *ret_answer)
{
	Bridge__PortAlloc msg = BRIDGE__PORT_ALLOC__INIT;
	bridge_frame f = peer_frame_of(BRIDGE__FRAME__BODY_PORT_ALLOC, &msg);

	msg.port = port;
	msg.remote_domid = remote;
	return bridge_client_call(c, &f, NULL, 0, BRIDGE__FRAME__BODY_PORT, ret_answer);
}

int peer_port_bind(struct bridge_client *c, uint32_t domid, uint32_t port,
		   struct bridge_message *ret_answer)
{
	Bridge__PortBind msg = BRIDGE__PORT_BIND__INIT;
	bridge_frame f = peer_frame_of(BRIDGE__FRAME__BODY_PORT_BIND, &msg);

	msg.remote_domid = domid;
	msg.remote_port = port;
	return bridge_client_call(c, &f, NULL, 0, BRIDGE__FRAME__BODY_PORT, ret_answer);
}

int peer_keep(struct bridge_client *c, Bridge__Keep__Action action, const char *name, int fd,
	      struct bridge_message *ret_answer)
{
	Bridge__Keep msg = BRIDGE__KEEP__INIT;
	bridge_frame f = peer_frame_of(BRIDGE__FRAME__BODY_KEEP, &msg);

	msg.action = action;
	msg.name = (char *)(uintptr_t)name;
	return bridge_client_call(c, &f, &fd, fd >= 0,
				  action == BRIDGE__KEEP__ACTION__GET
					  ? BRIDGE__FRAME__BODY_KEPT
					  : BRIDGE__FRAME__BODY__NOT_SET,
				  ret_answer);
}

/* the next event, waited for */
void peer_next_event(struct bridge_client *c, struct bridge_message *ret_event)
{
	struct pollfd p = { .fd = bridge_client_fd(c), .events = POLLIN };
	int r;

	while ((r = bridge_client_event(c, ret_event)) == 0)
		ck_assert_int_ge(poll(&p, 1, 30000), 1);
	ck_assert_int_eq(r, 1);
}

void peer_expect_info(struct bridge_client *c, uint32_t domid, Bridge__DomainState state,
		      uint32_t snapshot)
{
	struct bridge_message m;

	peer_next_event(c, &m);
	ck_assert_int_eq(m.frame->body_case, BRIDGE__FRAME__BODY_DOMAIN_INFO);
	ck_assert_uint_eq(m.frame->domain_info->domid, domid);
	ck_assert_int_eq(m.frame->domain_info->state, state);
	ck_assert_uint_eq(m.frame->domain_info->snapshot, snapshot);
	bridge_message_fini(&m);
}

void peer_expect_state(struct bridge_client *c, uint32_t domid, Bridge__DomainState state)
{
	peer_expect_info(c, domid, state, 0);
}

static int update(struct bridge_client *c, Bridge__DomainState state, uint32_t reason,
		  uint32_t store_port)
{
	Bridge__DomainUpdate msg = BRIDGE__DOMAIN_UPDATE__INIT;
	bridge_frame f = peer_frame_of(BRIDGE__FRAME__BODY_DOMAIN_UPDATE, &msg);

	msg.state = state;
	msg.shutdown_reason = reason;
	msg.store_port = store_port;
	return bridge_client_call(c, &f, NULL, 0, BRIDGE__FRAME__BODY__NOT_SET, NULL);
}

int peer_update(struct bridge_client *c, Bridge__DomainState state, uint32_t store_port)
{
	return update(c, state, 0, store_port);
}

int peer_update_reason(struct bridge_client *c, Bridge__DomainState state, uint32_t reason)
{
	return update(c, state, reason, 1);
}
