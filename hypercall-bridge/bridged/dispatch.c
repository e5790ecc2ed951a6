/* SPDX-License-Identifier: MIT */
/*
 * An op gets the request and fills the answer. It returns 0 or a negative errno that goes to the peer as
 * an error answer, with `why` if it has more to say. Nothing a peer sends ends the daemon.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hypercall-bridge/bridged/dispatch.h"

#include "common/bridge.h"
#include "common/cleanup.h"
#include "common/fdpass.h"
#include "common/log.h"
#include "common/xen.h"
#include "hypercall-bridge/bridged/client.h"
#include "hypercall-bridge/bridged/inspect.h"
#include "hypercall-bridge/bridged/limits.h"
#include "hypercall-bridge/bridged/policy.h"
#include "hypercall-bridge/bridged/query.h"
#include "hypercall-bridge/bridged/server.h"

/* the bodies an answer can have, so that ops need no heap */
struct answer {
	bridge_frame frame;
	const char *why;
	int fds[FDPASS_MAX];
	size_t nr_fds;
	union {
		Bridge__Welcome welcome;
		Bridge__DomainCreated created;
		Bridge__DomainInfo info;
		Bridge__Port port;
		Bridge__Kept kept;
		Bridge__GrantSettled settled;
		struct inspect_grants grants;
		struct query_ports ports;
		struct query_results results;
		struct {
			Bridge__Attached attached;
			Bridge__Region regions[BRIDGE_REGIONS_MAX];
			Bridge__Region *list[BRIDGE_REGIONS_MAX];
		} memory;
	};
	char text[256];
};

typedef int (*op_fn)(struct client *c, const bridge_frame *req, const int *fds, size_t nr_fds,
		     struct answer *a);

/* --- events --- */

static void send_info(struct client *c, const struct domain *d, uint32_t snapshot)
{
	bridge_frame frame = BRIDGE__FRAME__INIT;
	Bridge__DomainInfo info;

	domain_to_wire(d, &info);
	info.snapshot = snapshot;
	frame.body_case = BRIDGE__FRAME__BODY_DOMAIN_INFO;
	frame.domain_info = &info;
	client_send(c, &frame, NULL, 0);
}

static bool is_attached(const struct client *c, const struct domain *d)
{
	for (unsigned int i = 0; i < c->nr_attached; i++)
		if (c->attached[i] == d->unique_id)
			return true;
	return false;
}

static void detach(struct client *c, const struct domain *d)
{
	for (unsigned int i = 0; i < c->nr_attached; i++)
		if (c->attached[i] == d->unique_id)
			c->attached[i] = c->attached[--c->nr_attached];
}

static bool may_reach(const struct client *c, const struct domain *d)
{
	return !c->only || c->only == d->unique_id;
}

/* Who reads too slowly is told the whole again instead of each change; but a guest that it holds is let go. */
static void tell_client(struct client *c, const struct domain *d)
{
	bool must = d->state == BRIDGE__DOMAIN_STATE__GONE && is_attached(c, d);

	if (!must && (!c->watches_domains || !may_reach(c, d)))
		return;
	if (!must && (c->resync || c->nr_queued >= LIMIT_QUEUED_NEWS))
		c->resync = true;
	else
		send_info(c, d, 0);
}

static void tell_domain(struct server *s, const struct domain *d)
{
	struct client *c;

	list_for_each(c, &s->clients, link)
		tell_client(c, d);
	if (d->state == BRIDGE__DOMAIN_STATE__GONE)
		list_for_each(c, &s->clients, link)
			detach(c, d);
}

/* only an owner has a port table of its own to keep in step */
static void tell_port(const struct domain *d, uint32_t number)
{
	Bridge__PortChanged changed = BRIDGE__PORT_CHANGED__INIT;
	bridge_frame frame = BRIDGE__FRAME__INIT;
	const struct port *p = port_get(&d->ports, number);

	if (!d->owner || !p)
		return;
	changed.port = number;
	changed.remote_domid = p->remote_domid;
	changed.remote_port = p->remote_port;
	changed.bound = p->state == PORT_INTERDOMAIN;
	frame.body_case = BRIDGE__FRAME__BODY_PORT_CHANGED;
	frame.port_changed = &changed;
	client_send(d->owner, &frame, NULL, 0);
}

static void tell_owner(const struct domain *d, Bridge__ControlAction action)
{
	Bridge__DomainControl control = BRIDGE__DOMAIN_CONTROL__INIT;
	bridge_frame frame = BRIDGE__FRAME__INIT;

	control.domid = d->domid;
	control.action = action;
	frame.body_case = BRIDGE__FRAME__BODY_DOMAIN_CONTROL;
	frame.domain_control = &control;
	client_send(d->owner, &frame, NULL, 0);
}

static void end_domain(struct server *s, struct domain *d)
{
	log_info("domain %u (%s) is gone", d->domid, d->name);
	d->owner = NULL;
	d->state = BRIDGE__DOMAIN_STATE__GONE;
	domain_end(&s->domains, d);
	tell_domain(s, d);
	domain_destroy(&s->domains, d);
}

/* --- ops --- */

/* the domain that a request is about. -ESRCH, -EPERM */
static int find_domain(const struct client *c, uint32_t domid, struct domain **ret_domain)
{
	struct domain *d = domain_get(&c->server->domains, domid);

	if (c->only && (!d || !may_reach(c, d)))
		return -EPERM;
	if (!d)
		return -ESRCH;
	*ret_domain = d;
	return 0;
}

/* --- policy: bridge.conf(5) --- */

/* may these two have to do with each other? Domain 0 with everybody. */
static int check_pair(const struct client *c, const struct domain *a, const struct domain *b,
		      const char **ret_why)
{
	const struct policy *p = c->server->policy;
	bool a_guest = a->kind == BRIDGE__DOMAIN_KIND__GUEST_DOMAIN;
	bool b_guest = b->kind == BRIDGE__DOMAIN_KIND__GUEST_DOMAIN;
	bool may = true;

	if (a_guest && b_guest)
		may = a == b || policy_may_join(p, a->name, b->name);
	else if (a_guest && b->kind == BRIDGE__DOMAIN_KIND__SERVICE_DOMAIN)
		may = policy_may_serve(p, b->name, a->name);
	else if (b_guest && a->kind == BRIDGE__DOMAIN_KIND__SERVICE_DOMAIN)
		may = policy_may_serve(p, a->name, b->name);
	if (may)
		return 0;
	*ret_why = "the policy (bridge.conf) forbids it";
	return -EPERM;
}

static int check_new_guest(const struct client *c, const Bridge__DomainCreate *req,
			   const char **ret_why)
{
	const struct policy *p = c->server->policy;
	const struct policy_guest *g = policy_of(p, req->name);
	uint64_t memory = 0;

	for (size_t i = 0; i < req->n_regions; i++)
		if (req->regions[i]->kind == BRIDGE__REGION_KIND__RAM)
			memory += req->regions[i]->size; /* each below 2^52, and there are few */
	if (c->server->domains.nr_guests >= p->domains || (g && memory > g->memory)) {
		*ret_why = "more than the policy (bridge.conf) allows";
		return -ENOSPC;
	}
	return 0;
}

static void store_path(const struct client *c, char *buf, size_t size)
{
	*buf = '\0';
	if (c->role == BRIDGE__ROLE__SERVICE)
		snprintf(buf, size, "%s/" STORE_DIR "/%s.sock", c->server->rundir, c->role_name);
	else if (c->role != BRIDGE__ROLE__OWNER)
		snprintf(buf, size, "%s/" STORE_SOCKET, c->server->rundir);
}

static int op_hello(struct client *c, const bridge_frame *req, const int *fds, size_t nr_fds,
		    struct answer *a)
{
	if (req->hello->version < BRIDGE_VERSION_OLDEST) {
		a->why = "this bridged speaks version 1 of the bridge protocol and none before";
		return -EPROTONOSUPPORT;
	}
	strncpy(c->name, req->hello->client, sizeof(c->name) - 1);
	c->greeted = true;
	a->frame.body_case = BRIDGE__FRAME__BODY_WELCOME;
	a->frame.welcome = &a->welcome;
	bridge__welcome__init(&a->welcome);
	store_path(c, a->text, sizeof(a->text));
	a->welcome.version =
		req->hello->version < BRIDGE_VERSION ? req->hello->version : BRIDGE_VERSION;
	a->welcome.role = c->role;
	a->welcome.domid = c->domain ? c->domain->domid : 0;
	a->welcome.unique_id = c->domain ? c->domain->unique_id : 0;
	a->welcome.store_path = a->text;
	a->welcome.instance = c->server->instance;
	a->welcome.kept = c->server->state != NULL;
	return 0;
}

static void own(struct client *c, struct domain *d, struct answer *a)
{
	d->owner = c;
	d->awaited = false;
	c->domain = d;
	bridge__domain_created__init(&a->created);
	a->created.domid = d->domid;
	a->created.unique_id = d->unique_id;
	a->frame.body_case = BRIDGE__FRAME__BODY_DOMAIN_CREATED;
	a->frame.domain_created = &a->created;
}

/* The secret says that it is the one this owner made, when its first answer was lost. */
static int op_domain_create(struct client *c, const bridge_frame *req, const int *fds,
			    size_t nr_fds, struct answer *a)
{
	struct domain *d = domain_by_name(&c->server->domains, req->domain_create->name);
	int r;

	if (d && !d->owner && domain_knows(d, &req->domain_create->secret)) {
		own(c, d, a);
		return 0;
	}
	r = check_new_guest(c, req->domain_create, &a->why);
	if (r == 0)
		r = domain_create(&c->server->domains, req->domain_create, fds, &d, &a->why);
	if (r < 0)
		return r;
	own(c, d, a);
	log_info("domain %u (%s) was made", d->domid, d->name);
	tell_domain(c->server, d);
	return 0;
}

static struct domain *by_unique_id(const struct server *s, uint64_t unique_id)
{
	struct domain *d;

	list_for_each(d, &s->domains.all, link)
		if (d->unique_id == unique_id)
			return d;
	return NULL;
}

static int op_domain_reattach(struct client *c, const bridge_frame *req, const int *fds,
			      size_t nr_fds, struct answer *a)
{
	struct domain *d = by_unique_id(c->server, req->domain_reattach->unique_id);

	if (!d)
		return -ESRCH;
	if (!domain_knows(d, &req->domain_reattach->secret)) {
		a->why = "this is not the secret of that domain";
		return -EACCES;
	}
	if (d->owner) {
		a->why = "the domain has its owner";
		return -EBUSY;
	}
	log_debug("the owner of domain %u (%s) is back", d->domid, d->name);
	own(c, d, a);
	return 0;
}

/* what it may have missed */
static void after_domain_reattach(struct client *c)
{
	struct domain *d = c->domain;

	for (uint32_t i = 1; i < d->ports.room; i++)
		tell_port(d, i);
	if ((d->control & 1u << BRIDGE__CONTROL_ACTION__UNPAUSE) &&
	    d->state == BRIDGE__DOMAIN_STATE__PAUSED)
		tell_owner(d, BRIDGE__CONTROL_ACTION__UNPAUSE);
	if ((d->control & 1u << BRIDGE__CONTROL_ACTION__PAUSE) &&
	    d->state == BRIDGE__DOMAIN_STATE__RUNNING) {
		d->may_go_back = true;
		tell_owner(d, BRIDGE__CONTROL_ACTION__PAUSE);
	}
	if (d->control & 1u << BRIDGE__CONTROL_ACTION__DESTROY)
		tell_owner(d, BRIDGE__CONTROL_ACTION__DESTROY);
}

/*
 * Back it goes only when a tool asked for that, once each time: a pause, or a soft reset. Each change is told
 * to all who watch, so an owner must not make them as it likes.
 */
static bool state_may_follow(struct domain *d, const Bridge__DomainUpdate *u)
{
	bool soft = d->state == BRIDGE__DOMAIN_STATE__SHUTDOWN &&
		    d->shutdown_reason == SHUTDOWN_soft_reset;
	bool paused = d->state == BRIDGE__DOMAIN_STATE__RUNNING &&
		      u->state == BRIDGE__DOMAIN_STATE__PAUSED;

	if (u->state < BRIDGE__DOMAIN_STATE__PAUSED || u->state > BRIDGE__DOMAIN_STATE__SHUTDOWN)
		return false;
	if (u->state >= d->state)
		return true;
	if (!d->may_go_back || (!soft && !paused))
		return false;
	d->may_go_back = false;
	return true;
}

static int op_domain_update(struct client *c, const bridge_frame *req, const int *fds,
			    size_t nr_fds, struct answer *a)
{
	const Bridge__DomainUpdate *u = req->domain_update;
	/* how the last kernel ended is known while the next one runs, too */
	const bool ends = u->state == BRIDGE__DOMAIN_STATE__SHUTDOWN;
	const uint32_t reason = ends ? u->shutdown_reason : c->domain->shutdown_reason;

	if (!state_may_follow(c->domain, u)) {
		a->why =
			"a domain goes from paused to running to shutdown, and back only when a tool asks";
		return -EINVAL;
	}
	/* each change is told to all who watch: a repeated one is none */
	if (u->state == c->domain->state && reason == c->domain->shutdown_reason &&
	    u->store_port == c->domain->store_port && u->console_port == c->domain->console_port)
		return 0;
	c->domain->state = u->state;
	c->domain->shutdown_reason = reason;
	c->domain->ended |= ends;
	c->domain->store_port = u->store_port;
	c->domain->console_port = u->console_port;
	domain_write(&c->server->domains, c->domain);
	tell_domain(c->server, c->domain);
	return 0;
}

static int query_gone(const struct client *c, const Bridge__DomainQuery *q, struct answer *a)
{
	const struct gone *g = gone_find(&c->server->domains.gone, q->domid, q->name);

	if (c->only && (!g || g->unique_id != c->only))
		return -EPERM;
	if (!g)
		return -ESRCH;
	gone_to_wire(g, &a->info);
	return 0;
}

static int op_domain_query(struct client *c, const bridge_frame *req, const int *fds, size_t nr_fds,
			   struct answer *a)
{
	const Bridge__DomainQuery *q = req->domain_query;
	const struct domain *named = *q->name ? domain_by_name(&c->server->domains, q->name) : NULL;
	struct domain *d;
	int r = c->only ? -EPERM : -ESRCH;

	if (named || !*q->name)
		r = find_domain(c, named ? named->domid : q->domid, &d);
	if (r == 0)
		domain_to_wire(d, &a->info);
	else if (q->gone)
		r = query_gone(c, q, a);
	if (r < 0)
		return r;
	a->frame.body_case = BRIDGE__FRAME__BODY_DOMAIN_INFO;
	a->frame.domain_info = &a->info;
	return 0;
}

/* The answer goes first, so that the peer knows the events that follow for what they are. */
static int op_domain_watch(struct client *c, const bridge_frame *req, const int *fds, size_t nr_fds,
			   struct answer *a)
{
	c->watches_domains = true;
	return 0;
}

static struct domain *next_reachable(const struct client *c, const struct domain *after)
{
	const struct list *all = &c->server->domains.all, *at = after ? &after->link : all;

	for (at = at->next; at != all; at = at->next) {
		struct domain *d = list_entry(at, struct domain, link);

		if (may_reach(c, d))
			return d;
	}
	return NULL;
}

static void after_domain_watch(struct client *c)
{
	struct domain *d = next_reachable(c, NULL), *next;
	uint32_t snapshot = BRIDGE_SNAPSHOT_FIRST;

	for (; d; d = next, snapshot = 0) {
		next = next_reachable(c, d);
		send_info(c, d, snapshot | (next ? 0 : BRIDGE_SNAPSHOT_LAST));
	}
}

void dispatch_idle(struct client *c)
{
	if (!c->resync)
		return;
	c->resync = false;
	after_domain_watch(c);
}

static int op_domain_control(struct client *c, const bridge_frame *req, const int *fds,
			     size_t nr_fds, struct answer *a)
{
	Bridge__ControlAction action = req->domain_control->action;
	struct domain *d;
	int r = find_domain(c, req->domain_control->domid, &d);

	if (r < 0)
		return r;
	if (d->kind != BRIDGE__DOMAIN_KIND__GUEST_DOMAIN)
		return -ESRCH;
	if (action != BRIDGE__CONTROL_ACTION__UNPAUSE && action != BRIDGE__CONTROL_ACTION__PAUSE &&
	    action != BRIDGE__CONTROL_ACTION__DESTROY)
		return -EINVAL;
	d->may_go_back = true;
	/* the last of these two counts */
	if (action != BRIDGE__CONTROL_ACTION__DESTROY)
		d->control &= ~(1u << BRIDGE__CONTROL_ACTION__PAUSE |
				1u << BRIDGE__CONTROL_ACTION__UNPAUSE);
	d->control |= 1u << action;
	domain_write(&c->server->domains, d);
	if (d->owner) /* else it is told when it comes back */
		tell_owner(d, action);
	return 0;
}

/* Both descriptors are the tool's own; what is done with them is between it and the owner. */
static int op_domain_dump(struct client *c, const bridge_frame *req, const int *fds, size_t nr_fds,
			  struct answer *a)
{
	Bridge__DomainDump dump = BRIDGE__DOMAIN_DUMP__INIT;
	bridge_frame frame = BRIDGE__FRAME__INIT;
	struct domain *d;
	int r = find_domain(c, req->domain_dump->domid, &d);

	if (r < 0)
		return r;
	if (nr_fds != 2)
		return -EINVAL;
	if (d->kind != BRIDGE__DOMAIN_KIND__GUEST_DOMAIN || !d->owner)
		return -ESRCH;
	dump.domid = d->domid;
	frame.body_case = BRIDGE__FRAME__BODY_DOMAIN_DUMP;
	frame.domain_dump = &dump;
	client_send(d->owner, &frame, fds, nr_fds);
	return 0;
}

static int remember_attached(struct client *c, const struct domain *d)
{
	uint64_t *more;

	if (is_attached(c, d))
		return 0;
	if (c->nr_attached >= LIMIT_ATTACHMENTS)
		return -ENOSPC;
	more = reallocarray(c->attached, c->nr_attached + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	c->attached = more;
	c->attached[c->nr_attached++] = d->unique_id;
	return 0;
}

/* xenstored gets the one page it needs, a back end what grants can name */
static bool region_for(const struct client *c, const struct memory_region *m)
{
	if (c->role == BRIDGE__ROLE__STORE)
		return m->kind == BRIDGE__REGION_KIND__STORE_RING;
	return m->kind == BRIDGE__REGION_KIND__RAM || m->kind == BRIDGE__REGION_KIND__GRANT_FRAMES;
}

static void add_region(struct answer *a, const struct memory_region *m)
{
	size_t n = a->memory.attached.n_regions++;
	Bridge__Region *r = &a->memory.regions[n];

	bridge__region__init(r);
	r->kind = m->kind;
	r->gpa = m->gpa;
	r->size = m->size;
	r->offset = m->offset;
	r->fd = (uint32_t)a->nr_fds;
	a->memory.list[n] = r;
	a->fds[a->nr_fds++] = m->fd;
}

static int op_attach(struct client *c, const bridge_frame *req, const int *fds, size_t nr_fds,
		     struct answer *a)
{
	struct domain *d;
	int r = find_domain(c, req->attach->domid, &d);

	if (r < 0)
		return r;
	if (d->kind != BRIDGE__DOMAIN_KIND__GUEST_DOMAIN)
		return -EPERM;
	r = check_pair(c, c->domain, d, &a->why);
	if (r == 0 && c->role == BRIDGE__ROLE__SERVICE &&
	    !policy_trusts(c->server->policy, c->role_name)) {
		a->why = "the policy (bridge.conf) trusts this service with no guest's memory";
		r = -EPERM;
	}
	if (r == 0)
		r = remember_attached(c, d);
	if (r < 0)
		return r;
	bridge__attached__init(&a->memory.attached);
	a->memory.attached.unique_id = d->unique_id;
	a->memory.attached.regions = a->memory.list;
	a->memory.attached.alone = inspect_alone(c, d);
	for (size_t i = 0; i < d->nr_regions; i++)
		if (region_for(c, &d->regions[i]))
			add_region(a, &d->regions[i]);
	a->frame.body_case = BRIDGE__FRAME__BODY_ATTACHED;
	a->frame.attached = &a->memory.attached;
	return 0;
}

static void answer_port(const struct client *c, uint32_t number, struct answer *a)
{
	struct port *port = port_get(&c->domain->ports, number);

	port->holder = c;
	bridge__port__init(&a->port);
	a->port.port = number;
	a->frame.body_case = BRIDGE__FRAME__BODY_PORT;
	a->frame.port = &a->port;
	port_fds(port, a->fds);
	a->nr_fds = 2;
}

static int check_port_room(const struct client *c)
{
	const struct policy_guest *g = policy_of(c->server->policy, c->domain->name);

	if (c->role != BRIDGE__ROLE__OWNER)
		return 0;
	if (c->domain->ports.in_use >= LIMIT_GUEST_PORTS ||
	    (g && c->domain->ports.in_use >= g->ports))
		return -ENOSPC;
	return 0;
}

static int op_port_alloc(struct client *c, const bridge_frame *req, const int *fds, size_t nr_fds,
			 struct answer *a)
{
	const Bridge__PortAlloc *p = req->port_alloc;
	struct domain *remote;
	int number = find_domain(c, p->remote_domid, &remote);

	if (number == 0)
		number = check_pair(c, c->domain, remote, &a->why);
	if (number == 0)
		number = check_port_room(c);
	if (number == 0)
		number = evtchn_alloc(&c->domain->ports, p->port, &remote->ports, p->key);
	if (number < 0)
		return number;
	answer_port(c, (uint32_t)number, a);
	return 0;
}

static int op_port_bind(struct client *c, const bridge_frame *req, const int *fds, size_t nr_fds,
			struct answer *a)
{
	const Bridge__PortBind *p = req->port_bind;
	struct domain *remote;
	int number = find_domain(c, p->remote_domid, &remote);

	if (number == 0)
		number = check_pair(c, c->domain, remote, &a->why);
	if (number == 0)
		number = check_port_room(c);
	if (number == 0)
		number = evtchn_bind(&c->domain->ports, &remote->ports, p->remote_port, p->port);
	if (number < 0)
		return number;
	answer_port(c, (uint32_t)number, a);
	tell_port(remote, p->remote_port);
	return 0;
}

static int op_port_close(struct client *c, const bridge_frame *req, const int *fds, size_t nr_fds,
			 struct answer *a)
{
	uint32_t number = req->port_close->port;
	const struct port *p = port_get(&c->domain->ports, number);
	struct domain *remote;
	uint32_t remote_port;
	int r;

	if (!p)
		return -EINVAL;
	remote = domain_get(&c->server->domains, p->remote_domid);
	if (c->only && (!remote || !may_reach(c, remote)))
		return -EPERM;
	remote_port = p->remote_port;
	r = evtchn_close(&c->domain->ports, remote ? &remote->ports : NULL, number);
	if (r == 0 && remote)
		tell_port(remote, remote_port);
	return r;
}

static int op_keep(struct client *c, const bridge_frame *req, const int *fds, size_t nr_fds,
		   struct answer *a)
{
	const Bridge__Keep *k = req->keep;
	int fd;

	if ((k->action == BRIDGE__KEEP__ACTION__PUT) != (nr_fds == 1)) {
		a->why = "one descriptor belongs to put, none to get and drop";
		return -EINVAL;
	}
	switch (k->action) {
	case BRIDGE__KEEP__ACTION__PUT:
		return keep_put(&c->server->kept, c->role_name, k->name, fds[0]);
	case BRIDGE__KEEP__ACTION__DROP:
		return keep_drop(&c->server->kept, c->role_name, k->name);
	case BRIDGE__KEEP__ACTION__GET:
		fd = keep_get(&c->server->kept, c->role_name, k->name);
		if (fd < 0)
			return fd;
		bridge__kept__init(&a->kept);
		a->frame.body_case = BRIDGE__FRAME__BODY_KEPT;
		a->frame.kept = &a->kept;
		a->fds[0] = fd;
		a->nr_fds = 1;
		return 0;
	default:
		return -EINVAL;
	}
}

/* --- for those who look on --- */

static int op_grant_query(struct client *c, const bridge_frame *req, const int *fds, size_t nr_fds,
			  struct answer *a)
{
	struct domain *d;
	int r = find_domain(c, req->grant_query->domid, &d);

	if (r < 0)
		return r;
	a->frame.body_case = BRIDGE__FRAME__BODY_GRANT_LIST;
	a->frame.grant_list = &a->grants.list;
	return inspect_grants(d, req->grant_query->from, &a->grants);
}

static int op_grant_settle(struct client *c, const bridge_frame *req, const int *fds, size_t nr_fds,
			   struct answer *a)
{
	struct domain *d;
	int n = find_domain(c, req->grant_settle->domid, &d);

	if (n < 0)
		return n;
	if (req->grant_settle->to_domid > BRIDGE_DOMID_SELF)
		return -EINVAL;
	n = inspect_settle(c->server, d, (uint16_t)req->grant_settle->to_domid);
	if (n == -EBUSY)
		a->why = "a process of that domain is attached, or may come back soon";
	if (n < 0)
		return n;
	log_info("domain %u: %d grants unmarked that domain %u had left in use", d->domid, n,
		 req->grant_settle->to_domid);
	bridge__grant_settled__init(&a->settled);
	a->settled.grants = (uint32_t)n;
	a->frame.body_case = BRIDGE__FRAME__BODY_GRANT_SETTLED;
	a->frame.grant_settled = &a->settled;
	return 0;
}

static int op_trace(struct client *c, const bridge_frame *req, const int *fds, size_t nr_fds,
		    struct answer *a)
{
	c->server->nr_tracers += !c->traces;
	c->traces = true;
	return 0;
}

/* Its domain must be there: it is the unique id that counts, as domids come back. */
static int op_restrict(struct client *c, const bridge_frame *req, const int *fds, size_t nr_fds,
		       struct answer *a)
{
	struct domain *d;
	int r = find_domain(c, req->restrict_to->domid, &d);

	if (r < 0)
		return r;
	c->only = d->unique_id;
	r = is_attached(c, d);
	c->nr_attached = 0;
	return r ? remember_attached(c, d) : 0;
}

static int op_hypercall(struct client *c, const bridge_frame *req, const int *fds, size_t nr_fds,
			struct answer *a)
{
	const Bridge__Hypercall *call = req->hypercall;
	bool self = call->domid == BRIDGE_DOMID_SELF;
	struct domain *d = c->domain;
	int r = self ? 0 : find_domain(c, call->domid, &d);

	if (r < 0)
		return r;
	if (!self && c->role == BRIDGE__ROLE__SERVICE && !is_attached(c, d))
		return -EPERM;
	a->frame.body_case = BRIDGE__FRAME__BODY_HYPERCALL_RESULT;
	a->frame.hypercall_result = &a->results.result;
	return query_hypercall(d, c->role, self || d == c->domain, call, &a->results);
}

static int op_port_query(struct client *c, const bridge_frame *req, const int *fds, size_t nr_fds,
			 struct answer *a)
{
	struct domain *d;
	int r = find_domain(c, req->port_query->domid, &d);

	if (r < 0)
		return r;
	query_ports(d, req->port_query->from, &a->ports);
	a->frame.body_case = BRIDGE__FRAME__BODY_PORT_LIST;
	a->frame.port_list = &a->ports.list;
	return 0;
}

/* --- the permit table --- */

#define R(role) (1u << BRIDGE__ROLE__##role)
#define ANYONE (R(TOOL) | R(STORE) | R(OWNER) | R(SERVICE))

/* what must have gone before */
enum need {
	NEED_HELLO = 0,
	NEED_DOMAIN = 1, /* an owner has none before it made it */
	NEED_NO_DOMAIN,
	NEED_NOTHING, /* hello itself */
	NEED_MAX,
};

/* of roles: also when the connection is restricted; the op itself asks find_domain() */
#define RESTRICTED (1u << 31)

/* who may ask, when; for what is not said here the answer is no */
static const struct {
	Bridge__Frame__BodyCase body;
	unsigned int roles;
	enum need need;
	op_fn op;
	void (*after)(struct client *c); /* when the answer was sent */
} ops[] = {
	{ BRIDGE__FRAME__BODY_HELLO, ANYONE, NEED_NOTHING, op_hello, NULL },
	{ BRIDGE__FRAME__BODY_DOMAIN_CREATE, R(OWNER), NEED_NO_DOMAIN, op_domain_create, NULL },
	{ BRIDGE__FRAME__BODY_DOMAIN_REATTACH, R(OWNER), NEED_NO_DOMAIN, op_domain_reattach,
	  after_domain_reattach },
	{ BRIDGE__FRAME__BODY_DOMAIN_UPDATE, R(OWNER), NEED_DOMAIN, op_domain_update, NULL },
	{ BRIDGE__FRAME__BODY_DOMAIN_QUERY, ANYONE | RESTRICTED, NEED_HELLO, op_domain_query,
	  NULL },
	{ BRIDGE__FRAME__BODY_DOMAIN_WATCH, R(TOOL) | R(STORE) | R(SERVICE) | RESTRICTED,
	  NEED_HELLO, op_domain_watch, after_domain_watch },
	{ BRIDGE__FRAME__BODY_DOMAIN_CONTROL, R(TOOL) | RESTRICTED, NEED_HELLO, op_domain_control,
	  NULL },
	{ BRIDGE__FRAME__BODY_DOMAIN_DUMP, R(TOOL) | RESTRICTED, NEED_HELLO, op_domain_dump, NULL },
	{ BRIDGE__FRAME__BODY_ATTACH, R(STORE) | R(SERVICE) | RESTRICTED, NEED_HELLO, op_attach,
	  NULL },
	{ BRIDGE__FRAME__BODY_PORT_ALLOC, R(STORE) | R(OWNER) | R(SERVICE) | RESTRICTED,
	  NEED_DOMAIN, op_port_alloc, NULL },
	{ BRIDGE__FRAME__BODY_PORT_BIND, R(STORE) | R(OWNER) | R(SERVICE) | RESTRICTED, NEED_DOMAIN,
	  op_port_bind, NULL },
	{ BRIDGE__FRAME__BODY_PORT_CLOSE, R(STORE) | R(OWNER) | R(SERVICE) | RESTRICTED,
	  NEED_DOMAIN, op_port_close, NULL },
	{ BRIDGE__FRAME__BODY_PORT_QUERY, R(TOOL) | RESTRICTED, NEED_HELLO, op_port_query, NULL },
	{ BRIDGE__FRAME__BODY_HYPERCALL, ANYONE | RESTRICTED, NEED_DOMAIN, op_hypercall, NULL },
	{ BRIDGE__FRAME__BODY_RESTRICT_TO, R(TOOL) | R(STORE) | R(SERVICE) | RESTRICTED, NEED_HELLO,
	  op_restrict, NULL },
	{ BRIDGE__FRAME__BODY_GRANT_QUERY, R(TOOL) | RESTRICTED, NEED_HELLO, op_grant_query, NULL },
	{ BRIDGE__FRAME__BODY_GRANT_SETTLE, R(TOOL) | RESTRICTED, NEED_HELLO, op_grant_settle,
	  NULL },
	{ BRIDGE__FRAME__BODY_TRACE, R(TOOL), NEED_HELLO, op_trace, NULL },
	{ BRIDGE__FRAME__BODY_KEEP, R(STORE) | R(SERVICE), NEED_HELLO, op_keep, NULL },
};

/* by what is needed, what it is called when it is not so */
static const struct {
	int error;
	const char *why;
} unmet[NEED_MAX] = {
	[NEED_HELLO] = { -EPROTO, "hello comes first, and once" },
	[NEED_DOMAIN] = { -EINVAL, "create the domain first" },
	[NEED_NO_DOMAIN] = { -EBUSY, "this connection owns a domain already" },
	[NEED_NOTHING] = { -EPROTO, "hello comes first, and once" },
};

static enum need check_need(const struct client *c, enum need need, bool *ret_met)
{
	*ret_met = c->greeted == (need != NEED_NOTHING);
	if (!*ret_met)
		return NEED_HELLO;
	if (need == NEED_DOMAIN)
		*ret_met = c->domain != NULL;
	else if (need == NEED_NO_DOMAIN)
		*ret_met = c->domain == NULL;
	return need;
}

static int find_op(const struct client *c, const bridge_frame *req, size_t *ret_i,
		   const char **ret_why)
{
	enum need missing;
	bool met;
	size_t i = 0;

	while (i < ARRAY_SIZE(ops) && ops[i].body != req->body_case)
		i++;
	if (i == ARRAY_SIZE(ops)) {
		*ret_why = "unknown request";
		return -EOPNOTSUPP;
	}
	if (!(ops[i].roles & (1u << c->role))) {
		*ret_why = "not permitted on this socket";
		return -EPERM;
	}
	missing = check_need(c, ops[i].need, &met);
	if (!met) {
		*ret_why = unmet[missing].why;
		return unmet[missing].error;
	}
	if (c->only && !(ops[i].roles & RESTRICTED)) {
		*ret_why = "this connection is restricted to one domain";
		return -EPERM;
	}
	*ret_i = i;
	return 0;
}

void dispatch_request(struct client *c, const bridge_frame *frame, const int *fds, size_t nr_fds)
{
	struct answer
		a; /* ops fill in what they use: it is 12 KiB, and all zero would be a tenth of an op */
	size_t i = 0;
	int r;

	bridge__frame__init(&a.frame);
	a.why = NULL;
	a.nr_fds = 0;
	r = find_op(c, frame, &i, &a.why);
	if (r == 0)
		r = ops[i].op(c, frame, fds, nr_fds, &a);
	if (r < 0) {
		a.frame.body_case = BRIDGE__FRAME__BODY__NOT_SET;
		a.frame.error = -r;
		a.nr_fds = 0;
		if (a.why)
			a.frame.why = (char *)(uintptr_t)a.why;
		log_debug("%s on %s.sock: request %d refused: %s (%s)", c->name, c->role_name,
			  frame->body_case, strerror(-r), a.frame.why);
	}
	a.frame.id = frame->id;
	client_send(c, &a.frame, a.fds, a.nr_fds);
	if (r == 0 && ops[i].after)
		ops[i].after(c);
}

void dispatch_client_gone(struct client *c)
{
	struct domain *d = c->domain;

	if (!d)
		return;
	c->domain = NULL;
	if (c->role == BRIDGE__ROLE__OWNER) {
		end_domain(c->server, d);
		return;
	}
	d->connections--;
	evtchn_release(&d->ports, c);
	if (!d->awaited)
		evtchn_reap(&d->ports);
}

void dispatch_end_waiting(struct server *s)
{
	struct domain *d, *tmp;

	list_for_each_safe(d, tmp, &s->domains.all, link) {
		bool was = d->awaited;

		d->awaited = false;
		if (!was)
			continue;
		if (d->kind != BRIDGE__DOMAIN_KIND__GUEST_DOMAIN) {
			evtchn_reap(&d->ports);
			continue;
		}
		log_warning("the owner of domain %u (%s) has not come back", d->domid, d->name);
		end_domain(s, d);
	}
}
