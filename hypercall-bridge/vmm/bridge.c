/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/bridge.h"
#include "common/bridge_client.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "hypercall-bridge/vmm/bridge.h"
#include "hypercall-bridge/vmm/mem.h"

struct bridge {
	pthread_mutex_t lock; /* of client */
	struct bridge_client *client;
};

int bridge_open(const char *path, struct bridge **ret)
{
	struct bridge *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return -ENOMEM;
	r = bridge_client_open(path, "xenhost-vmm", &b->client);
	if (r < 0) {
		log_error(
			"cannot reach xenhost-bridged at %s: %s; is it running with this run directory?",
			path, strerror(-r));
		free(b);
		return r;
	}
	pthread_mutex_init(&b->lock, NULL);
	*ret = b;
	return 0;
}

struct bridge *bridge_close(struct bridge *b)
{
	if (!b)
		return NULL;
	bridge_client_close(b->client);
	pthread_mutex_destroy(&b->lock);
	free(b);
	return NULL;
}

void bridge_closep(struct bridge **b)
{
	bridge_close(*b);
}

static int call(struct bridge *b, bridge_frame *frame, const int *fds, size_t nr_fds,
		Bridge__Frame__BodyCase expect, struct bridge_message *ret_answer)
{
	int r;

	pthread_mutex_lock(&b->lock);
	r = bridge_client_call(b->client, frame, fds, nr_fds, expect, ret_answer);
	pthread_mutex_unlock(&b->lock);
	return r;
}

static int fill_region(Bridge__Region *to, const struct mem_region *from)
{
	bridge__region__init(to);
	to->gpa = from->gpa;
	to->size = from->size;
	to->offset = from->offset;
	to->fd = from->kind;
	switch (from->kind) {
	case MEM_KIND_RAM:
		to->kind = BRIDGE__REGION_KIND__RAM;
		return 1;
	case MEM_KIND_STORE:
		to->kind = BRIDGE__REGION_KIND__STORE_RING;
		return 1;
	case MEM_KIND_CONSOLE:
		to->kind = BRIDGE__REGION_KIND__CONSOLE_RING;
		return 1;
	default:
		return 0; /* stays with us */
	}
}

/* Everything services may be given. The grant frames have no place in the guest yet. */
static size_t fill_regions(Bridge__Region *regions, const struct mem *mem)
{
	struct mem_region grants = { .kind = MEM_KIND_GRANTS,
				     .size = mem->files[MEM_KIND_GRANTS].size };
	size_t n = 0;

	for (unsigned int i = 0; i < mem->nr_regions; i++)
		n += (size_t)fill_region(&regions[n], &mem->regions[i]);
	fill_region(&regions[n], &grants);
	regions[n].kind = BRIDGE__REGION_KIND__GRANT_FRAMES;
	return n + 1;
}

int bridge_create(struct bridge *b, const char *name, const struct mem *mem, uint16_t *ret_domid,
		  uint64_t *ret_unique_id)
{
	Bridge__DomainCreate create = BRIDGE__DOMAIN_CREATE__INIT;
	Bridge__Region regions[ARRAY_SIZE(mem->regions) + 1];
	Bridge__Region *pointers[ARRAY_SIZE(regions)];
	int fds[MEM_KIND_ACPI]; /* indexed by kind, in the order of the enum */
	int r;

	for (int i = 0; i < MEM_KIND_ACPI; i++)
		fds[i] = mem->files[i].fd;
	create.n_regions = fill_regions(regions, mem);
	for (size_t i = 0; i < create.n_regions; i++)
		pointers[i] = &regions[i];
	create.regions = pointers;
	create.name = (char *)(uintptr_t)name;
	create.store_gfn = MEM_STORE >> 12;
	create.console_gfn = MEM_CONSOLE >> 12;
	pthread_mutex_lock(&b->lock);
	r = bridge_client_create_domain(b->client, &create, fds, ARRAY_SIZE(fds), ret_domid,
					ret_unique_id);
	pthread_mutex_unlock(&b->lock);
	if (r < 0) {
		const char *why = bridge_client_why(b->client);

		log_error("xenhost-bridged refuses guest '%s': %s", name,
			  *why ? why : strerror(-r));
		return r;
	}
	return 0;
}

int bridge_update(struct bridge *b, Bridge__DomainState state, uint32_t reason, uint32_t store_port,
		  uint32_t console_port)
{
	Bridge__DomainUpdate update = BRIDGE__DOMAIN_UPDATE__INIT;
	bridge_frame frame = BRIDGE__FRAME__INIT;

	update.state = state;
	update.shutdown_reason = reason;
	update.store_port = store_port;
	update.console_port = console_port;
	frame.body_case = BRIDGE__FRAME__BODY_DOMAIN_UPDATE;
	frame.domain_update = &update;
	return call(b, &frame, NULL, 0, BRIDGE__FRAME__BODY__NOT_SET, NULL);
}

/* Takes the two descriptors of a port answer, which the wire code has counted. */
static int call_port(struct bridge *b, bridge_frame *frame, uint32_t port, int ret_fds[2])
{
	struct bridge_message answer;
	int r = call(b, frame, NULL, 0, BRIDGE__FRAME__BODY_PORT, &answer);

	if (r < 0)
		return r;
	if (answer.nr_fds == 2 && answer.frame->port->port == port) {
		for (int i = 0; i < 2; i++)
			ret_fds[i] = steal_fd(&answer.fds[i]);
		answer.nr_fds = 0;
	} else {
		r = -EPROTO;
	}
	bridge_message_fini(&answer);
	return r;
}

int bridge_port_alloc(struct bridge *b, uint32_t port, uint32_t remote_domid, int ret_fds[2])
{
	Bridge__PortAlloc alloc = BRIDGE__PORT_ALLOC__INIT;
	bridge_frame frame = BRIDGE__FRAME__INIT;

	alloc.port = port;
	alloc.remote_domid = remote_domid;
	frame.body_case = BRIDGE__FRAME__BODY_PORT_ALLOC;
	frame.port_alloc = &alloc;
	return call_port(b, &frame, port, ret_fds);
}

int bridge_port_bind(struct bridge *b, uint32_t port, uint32_t remote_domid, uint32_t remote_port,
		     int ret_fds[2])
{
	Bridge__PortBind bind = BRIDGE__PORT_BIND__INIT;
	bridge_frame frame = BRIDGE__FRAME__INIT;

	bind.port = port;
	bind.remote_domid = remote_domid;
	bind.remote_port = remote_port;
	frame.body_case = BRIDGE__FRAME__BODY_PORT_BIND;
	frame.port_bind = &bind;
	return call_port(b, &frame, port, ret_fds);
}

int bridge_port_close(struct bridge *b, uint32_t port)
{
	Bridge__PortClose close_port = BRIDGE__PORT_CLOSE__INIT;
	bridge_frame frame = BRIDGE__FRAME__INIT;

	close_port.port = port;
	frame.body_case = BRIDGE__FRAME__BODY_PORT_CLOSE;
	frame.port_close = &close_port;
	return call(b, &frame, NULL, 0, BRIDGE__FRAME__BODY__NOT_SET, NULL);
}

int bridge_fd(const struct bridge *b)
{
	return bridge_client_fd(b->client);
}

static void decode_control(const Bridge__DomainControl *c, struct bridge_event *ret)
{
	if (c->action == BRIDGE__CONTROL_ACTION__UNPAUSE)
		ret->kind = BRIDGE_EVENT_UNPAUSE;
	else if (c->action == BRIDGE__CONTROL_ACTION__PAUSE)
		ret->kind = BRIDGE_EVENT_PAUSE;
	else if (c->action == BRIDGE__CONTROL_ACTION__DESTROY)
		ret->kind = BRIDGE_EVENT_DESTROY;
}

static void decode_port(const Bridge__PortChanged *p, struct bridge_event *ret)
{
	ret->kind = BRIDGE_EVENT_PORT;
	ret->port = p->port;
	ret->remote_domid = p->remote_domid;
	ret->remote_port = p->remote_port;
	ret->bound = p->bound;
}

static void decode_dump(struct bridge_message *m, struct bridge_event *ret)
{
	if (m->nr_fds != 2)
		return;
	ret->kind = BRIDGE_EVENT_DUMP;
	ret->file = steal_fd(&m->fds[0]);
	ret->status = steal_fd(&m->fds[1]);
	m->nr_fds = 0;
}

int bridge_next_event(struct bridge *b, struct bridge_event *ret)
{
	struct bridge_event event = { .kind = BRIDGE_EVENT_OTHER };
	struct bridge_message m;
	int r;

	pthread_mutex_lock(&b->lock);
	r = bridge_client_event(b->client, &m);
	pthread_mutex_unlock(&b->lock);
	if (r <= 0)
		return r;
	if (m.frame->body_case == BRIDGE__FRAME__BODY_DOMAIN_CONTROL)
		decode_control(m.frame->domain_control, &event);
	else if (m.frame->body_case == BRIDGE__FRAME__BODY_PORT_CHANGED)
		decode_port(m.frame->port_changed, &event);
	else if (m.frame->body_case == BRIDGE__FRAME__BODY_DOMAIN_DUMP)
		decode_dump(&m, &event);
	bridge_message_fini(&m);
	*ret = event;
	return 1;
}
