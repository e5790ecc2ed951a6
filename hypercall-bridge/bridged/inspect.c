/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <poll.h>

#include "hypercall-bridge/bridged/inspect.h"

#include "hypercall-bridge/bridged/client.h"
#include "hypercall-bridge/bridged/gnttab.h"
#include "hypercall-bridge/bridged/limits.h"
#include "hypercall-bridge/bridged/server.h"

static const struct memory_region *grant_frames(const struct domain *d)
{
	for (size_t i = 0; i < d->nr_regions; i++)
		if (d->regions[i].kind == BRIDGE__REGION_KIND__GRANT_FRAMES)
			return &d->regions[i];
	return NULL;
}

int inspect_grants(const struct domain *d, uint32_t from, struct inspect_grants *ret_grants)
{
	const struct memory_region *m = grant_frames(d);
	struct gnttab_grant grants[BRIDGE_GRANT_LIST_MAX];
	uint32_t next = 0;
	int n = 0;

	if (m)
		n = gnttab_list(m->fd, (off_t)m->offset, m->size, from, grants,
				BRIDGE_GRANT_LIST_MAX, &next);
	if (n < 0)
		return n;
	bridge__grant_list__init(&ret_grants->list);
	for (int i = 0; i < n; i++) {
		Bridge__GrantInfo *info = &ret_grants->infos[i];

		bridge__grant_info__init(info);
		info->gref = grants[i].gref;
		info->flags = grants[i].flags;
		info->domid = grants[i].domid;
		info->frame = grants[i].frame;
		ret_grants->pointers[i] = info;
	}
	ret_grants->list.grants = ret_grants->pointers;
	ret_grants->list.n_grants = (size_t)n;
	ret_grants->list.next = next;
	return 0;
}

/* the other end is not closed, as far as the kernel knows: the loop may not have come by yet */
static bool alive(const struct client *c)
{
	struct pollfd p = { .fd = c->fd };

	return !c->dropped && (poll(&p, 1, 0) <= 0 || !(p.revents & (POLLHUP | POLLERR)));
}

static bool is_attached(const struct client *c, const struct domain *d)
{
	for (unsigned int i = 0; i < c->nr_attached; i++)
		if (c->attached[i] == d->unique_id)
			return true;
	return false;
}

static bool attached_as(const struct server *s, const struct domain *d, uint16_t domid,
			const struct client *but)
{
	const struct client *c;

	list_for_each(c, &s->clients, link)
		if (c != but && c->domain && c->domain->domid == domid && is_attached(c, d) &&
		    alive(c))
			return true;
	return false;
}

bool inspect_alone(const struct client *c, const struct domain *d)
{
	return !c->domain->awaited && !attached_as(c->server, d, c->domain->domid, c);
}

int inspect_settle(const struct server *s, const struct domain *d, uint16_t to_domid)
{
	const struct domain *to = domain_get(&s->domains, to_domid);
	const struct memory_region *m = grant_frames(d);

	if ((to && to->awaited) || attached_as(s, d, to_domid, NULL))
		return -EBUSY;
	return m ? gnttab_settle(m->fd, (off_t)m->offset, m->size, to_domid) : 0;
}

static void send_line(struct client *tracer, const struct client *c, Bridge__TraceLine *line)
{
	bridge_frame frame = BRIDGE__FRAME__INIT;

	if (tracer->nr_queued >= LIMIT_TRACE_QUEUE) {
		tracer->trace_lost++;
		return;
	}
	line->lost = tracer->trace_lost;
	tracer->trace_lost = 0;
	frame.body_case = BRIDGE__FRAME__BODY_TRACE_LINE;
	frame.trace_line = line;
	client_send_quietly(tracer, &frame);
}

void inspect_message(struct client *c, const bridge_frame *frame, size_t nr_fds, bool from_peer)
{
	Bridge__TraceLine line = BRIDGE__TRACE_LINE__INIT;
	struct client *tracer;

	line.connection = c->number;
	line.socket = (char *)(uintptr_t)c->role_name;
	line.client = c->name;
	line.from_peer = from_peer;
	line.body = frame->body_case;
	line.id = frame->id;
	line.error = frame->error;
	line.descriptors = (uint32_t)nr_fds;
	list_for_each(tracer, &c->server->clients, link)
		if (tracer->traces && tracer != c)
			send_line(tracer, c, &line);
}
