/* SPDX-License-Identifier: MIT */
/*
 * "bridge:SOCKET": a connection to xenhost-bridged, for back ends of KVM and loopback guests.
 *
 * Owns the connection (client, under client_lock: a data path thread may have to attach) and the memory
 * of the guests we reached. A guest is attached when it is first needed and dropped when bridged says that
 * it is gone; direct_memory.c keeps its memory as long as it is in use.
 * Lock order: client_lock before those of guests.
 *
 * A bridged that keeps its tables may be killed and started again: bridge_client.c connects again, and
 * resume() says what we have. Nothing changes for users of ports and memory, which do not pass bridged.
 * What is no more (a guest ended meanwhile) is found out there: its port stays as it is, with nobody at
 * the other end, and is forgotten when it is closed.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/un.h>
#include <unistd.h>

#include <xenhost/hypercall.h>

#include "libxenhost/direct.h"
#include "libxenhost/internal.h"
#include "libxenhost/notify.h"
#include "libxenhost/stream.h"

#include "common/bridge.h"
#include "common/bridge_client.h"
#include "common/cleanup.h"

/* a port of ours, and how we got it */
struct held {
	bool used;
	bool offered; /* else bound */
	bool lost;    /* bridged knows it no more */
	uint16_t remote_domid;
	uint32_t remote_port; /* bound */
	uint64_t key;	      /* offered */
	struct notify *notify;
};

struct bridge {
	xenhost_t *host;
	pthread_mutex_t client_lock;
	struct bridge_client *client;
	struct held *held; /* by number, under client_lock */
	uint32_t nr_held;
	bool watching;
	struct direct_guests guests;
	bool restricted;
	uint16_t only_domid;
};

static int call_with_fds(struct bridge *b, bridge_frame *frame, const int *fds, size_t nr_fds,
			 Bridge__Frame__BodyCase expect, struct bridge_message *ret_answer)
{
	int r;

	pthread_mutex_lock(&b->client_lock);
	r = bridge_client_call(b->client, frame, fds, nr_fds, expect, ret_answer);
	pthread_mutex_unlock(&b->client_lock);
	return r;
}

static int call(struct bridge *b, bridge_frame *frame, Bridge__Frame__BodyCase expect,
		struct bridge_message *ret_answer)
{
	return call_with_fds(b, frame, NULL, 0, expect, ret_answer);
}

/* --- guests --- */

static int add_guest(struct bridge *b, uint16_t domid, const struct bridge_message *m)
{
	const Bridge__Attached *attached = m->frame->attached;
	struct direct_region regions[BRIDGE_REGIONS_MAX];

	for (size_t i = 0; i < attached->n_regions; i++) {
		const Bridge__Region *r = attached->regions[i];

		regions[i] = (struct direct_region){
			.kind = (enum direct_kind)r->kind,
			.gpa = r->gpa,
			.size = r->size,
			.offset = r->offset,
			.fd = m->fds[r->fd],
		};
	}
	return direct_guests_add(&b->guests, domid, attached->unique_id, regions,
				 attached->n_regions);
}

static int ask_for_guest(struct bridge *b, uint16_t domid, struct bridge_message *ret_answer)
{
	Bridge__Attach attach = BRIDGE__ATTACH__INIT;
	bridge_frame frame = BRIDGE__FRAME__INIT;

	attach.domid = domid;
	frame.body_case = BRIDGE__FRAME__BODY_ATTACH;
	frame.attach = &attach;
	return bridge_client_call(b->client, &frame, NULL, 0, BRIDGE__FRAME__BODY_ATTACHED,
				  ret_answer);
}

static int attach_locked(struct bridge *b, uint16_t domid)
{
	struct bridge_message answer;
	int r = ask_for_guest(b, domid, &answer);

	if (r < 0)
		return r;
	r = add_guest(b, domid, &answer);
	if (r == 0 && answer.frame->attached->alone && !(b->host->flags & XENHOST_OPEN_KEEP_MARKS))
		r = direct_settle(&b->guests, domid);
	bridge_message_fini(&answer);
	if (r > 0)
		xh_trace(b->host, XENHOST_LOG_GRANT, "domain %u: %d grants left in use, settled",
			 domid, r);
	return r > 0 || r == -EEXIST ? 0 : r; /* another thread was faster */
}

/* for direct_memory.c, when a guest is needed that is not there */
static int attach(void *data, uint16_t domid)
{
	struct bridge *b = data;
	int r;

	pthread_mutex_lock(&b->client_lock);
	r = attach_locked(b, domid);
	pthread_mutex_unlock(&b->client_lock);
	return r;
}

/* --- open and close --- */

static void bridge_close(void *state)
{
	struct bridge *b = state;

	direct_guests_fini(&b->guests);
	bridge_client_close(b->client);
	for (uint32_t i = 0; i < b->nr_held; i++)
		notify_free(b->held[i].notify);
	free(b->held);
	pthread_mutex_destroy(&b->client_lock);
	free(b);
}

static int watch_domains(struct bridge_client *client)
{
	Bridge__DomainWatch watch = BRIDGE__DOMAIN_WATCH__INIT;
	bridge_frame frame = BRIDGE__FRAME__INIT;

	frame.body_case = BRIDGE__FRAME__BODY_DOMAIN_WATCH;
	frame.domain_watch = &watch;
	return bridge_client_call(client, &frame, NULL, 0, BRIDGE__FRAME__BODY__NOT_SET, NULL);
}

/* --- after bridged was lost; under client_lock, as all calls --- */

/* is the guest that we hold there still? */
static bool resume_guest(void *data, uint16_t domid, uint64_t unique_id)
{
	Bridge__Attach msg = BRIDGE__ATTACH__INIT;
	bridge_frame frame = BRIDGE__FRAME__INIT;
	struct bridge_message answer;
	bool there;
	int r;

	msg.domid = domid;
	frame.body_case = BRIDGE__FRAME__BODY_ATTACH;
	frame.attach = &msg;
	r = bridge_client_call(data, &frame, NULL, 0, BRIDGE__FRAME__BODY_ATTACHED, &answer);
	if (r < 0)
		return r != -ESRCH && r != -EPERM;
	there = answer.frame->attached->unique_id == unique_id;
	bridge_message_fini(&answer);
	return there;
}

/* The eventfds are those that we have: the answer's copies are not needed. */
static void resume_port(struct bridge_client *client, uint32_t port, struct held *h)
{
	Bridge__PortAlloc alloc = BRIDGE__PORT_ALLOC__INIT;
	Bridge__PortBind bind = BRIDGE__PORT_BIND__INIT;
	bridge_frame frame = BRIDGE__FRAME__INIT;
	struct bridge_message answer;
	int r;

	bind.port = alloc.port = port;
	bind.remote_domid = alloc.remote_domid = h->remote_domid;
	bind.remote_port = h->remote_port;
	alloc.key = h->key;
	frame.body_case =
		h->offered ? BRIDGE__FRAME__BODY_PORT_ALLOC : BRIDGE__FRAME__BODY_PORT_BIND;
	if (h->offered)
		frame.port_alloc = &alloc;
	else
		frame.port_bind = &bind;
	r = bridge_client_call(client, &frame, NULL, 0, BRIDGE__FRAME__BODY_PORT, &answer);
	if (r == 0)
		bridge_message_fini(&answer);
	else if (r != -ENOTCONN && r != -ECONNRESET)
		h->lost = true;
}

/* on the wire, too: what takes over this process cannot ask for more */
static int send_restrict(struct bridge_client *client, uint16_t domid)
{
	Bridge__Restrict msg = BRIDGE__RESTRICT__INIT;
	bridge_frame frame = BRIDGE__FRAME__INIT;

	msg.domid = domid;
	frame.body_case = BRIDGE__FRAME__BODY_RESTRICT_TO;
	frame.restrict_to = &msg;
	return bridge_client_call(client, &frame, NULL, 0, BRIDGE__FRAME__BODY__NOT_SET, NULL);
}

static int resume(struct bridge_client *client, void *data)
{
	struct bridge *b = data;
	int r = 0;

	if (b->restricted)
		r = send_restrict(client, b->only_domid);
	if (r == 0 && b->watching)
		r = watch_domains(client);
	if (r < 0)
		return r;
	direct_guests_keep(&b->guests, resume_guest, client);
	for (uint32_t i = 1; i < b->nr_held; i++)
		if (b->held[i].used && !b->held[i].lost)
			resume_port(client, i, &b->held[i]);
	xh_trace(b->host, XENHOST_LOG_DOMAIN, "bridged is back");
	return 0;
}

static int default_path(char *buf, size_t size)
{
	const char *rundir = getenv("XENHOST_RUNDIR");
	int n = snprintf(buf, size, "%s/" BRIDGE_SOCKET_TOOL,
			 rundir && *rundir ? rundir : XENHOST_RUNSTATEDIR);

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

static int bridge_open(xenhost_t *host, const char *address, void **ret_state)
{
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	struct bridge *b;
	int r = 0;

	if (!*address) {
		r = default_path(path, sizeof(path));
		address = path;
	}
	if (r < 0)
		return r;
	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->host = host;
	direct_guests_init(&b->guests, 0, attach, b);
	pthread_mutex_init(&b->client_lock, NULL);
	r = bridge_client_open(address, program_invocation_short_name, &b->client);
	if (r < 0) {
		bridge_close(b);
		return r;
	}
	b->guests.domid = (uint16_t)bridge_client_welcome(b->client)->domid;
	bridge_client_set_resume(b->client, resume, b);
	*ret_state = b;
	return 0;
}

static uint16_t bridge_domid(void *state)
{
	struct bridge *b = state;

	return (uint16_t)bridge_client_welcome(b->client)->domid;
}

static int bridge_store_connect(void *state)
{
	const char *path = bridge_client_welcome(((struct bridge *)state)->client)->store_path;

	return *path ? xh_stream_connect(path) : -EOPNOTSUPP;
}

/* --- domains --- */

static void info_from_wire(const Bridge__DomainInfo *w, struct xenhost_domain_info *info)
{
	/* an older bridged does not say it */
	const bool ended = w->ended || w->state == BRIDGE__DOMAIN_STATE__SHUTDOWN;

	*info = (struct xenhost_domain_info){
		.domid = (uint16_t)w->domid,
		.kind = (uint8_t)w->kind,
		.state = (uint8_t)w->state,
		.shutdown_reason = w->shutdown_reason,
		.unique_id = w->unique_id,
		.memory_bytes = w->memory_bytes,
		.store_gfn = w->store_gfn,
		.console_gfn = w->console_gfn,
		.store_port = w->store_port,
		.console_port = w->console_port,
		.flags = ended ? XENHOST_DOMAIN_F_ENDED : 0,
	};
	strncpy(info->name, w->name, sizeof(info->name) - 1);
}

static int query_domain(struct bridge *b, uint16_t domid, const char *name, bool gone,
			struct xenhost_domain_info *ret_info)
{
	Bridge__DomainQuery query = BRIDGE__DOMAIN_QUERY__INIT;
	bridge_frame frame = BRIDGE__FRAME__INIT;
	struct bridge_message answer;
	int r;

	query.domid = domid;
	query.gone = gone;
	if (name)
		query.name = (char *)(uintptr_t)name;
	frame.body_case = BRIDGE__FRAME__BODY_DOMAIN_QUERY;
	frame.domain_query = &query;
	r = call(b, &frame, BRIDGE__FRAME__BODY_DOMAIN_INFO, &answer);
	if (r < 0)
		return r;
	info_from_wire(answer.frame->domain_info, ret_info);
	bridge_message_fini(&answer);
	return 0;
}

static int bridge_domain_info(void *state, uint16_t domid, const char *name,
			      struct xenhost_domain_info *ret_info)
{
	return query_domain(state, domid, name, false, ret_info);
}

static int bridge_domain_ended(void *state, uint16_t domid, struct xenhost_domain_info *ret_info)
{
	return query_domain(state, domid, NULL, true, ret_info);
}

static int bridge_domain_watch(void *state)
{
	struct bridge *b = state;
	int r;

	pthread_mutex_lock(&b->client_lock);
	r = watch_domains(b->client);
	b->watching = r == 0;
	pthread_mutex_unlock(&b->client_lock);
	return r;
}

static int bridge_domain_control(void *state, uint16_t domid, int action)
{
	static const Bridge__ControlAction actions[] = {
		BRIDGE__CONTROL_ACTION__UNPAUSE,
		BRIDGE__CONTROL_ACTION__DESTROY,
		BRIDGE__CONTROL_ACTION__PAUSE,
	};
	Bridge__DomainControl control = BRIDGE__DOMAIN_CONTROL__INIT;
	bridge_frame frame = BRIDGE__FRAME__INIT;

	control.domid = domid;
	control.action = actions[action];
	frame.body_case = BRIDGE__FRAME__BODY_DOMAIN_CONTROL;
	frame.domain_control = &control;
	return call(state, &frame, BRIDGE__FRAME__BODY__NOT_SET, NULL);
}

static void domain_event(struct bridge *b, const Bridge__DomainInfo *wire)
{
	struct xenhost_domain_info info;

	info_from_wire(wire, &info);
	if (wire->snapshot & BRIDGE_SNAPSHOT_FIRST)
		xh_domains_snapshot(b->host);
	if (wire->snapshot & BRIDGE_SNAPSHOT_LAST)
		info.flags |= XENHOST_DOMAIN_F_SNAPSHOT_END;
	if (info.state == XENHOST_DOMAIN_GONE)
		direct_guests_drop(&b->guests, info.unique_id);
	xenhost_transport_domain(b->host, &info);
}

static int bridge_get_fd(void *state)
{
	struct bridge *b = state;
	int fd;

	pthread_mutex_lock(&b->client_lock);
	fd = bridge_client_fd(b->client);
	pthread_mutex_unlock(&b->client_lock);
	return fd;
}

static int next_event(struct bridge *b, struct bridge_message *ret_event)
{
	int r;

	pthread_mutex_lock(&b->client_lock);
	r = bridge_client_event(b->client, ret_event);
	pthread_mutex_unlock(&b->client_lock);
	return r;
}

/* bounded, so that a busy bridge cannot keep the caller's loop from its other work */
static int bridge_process(void *state)
{
	struct bridge *b = state;
	int n = 0;

	while (n < 256) {
		struct bridge_message event;
		int r = next_event(b, &event);

		if (r < 0)
			return r;
		if (r == 0)
			break;
		if (event.frame->body_case == BRIDGE__FRAME__BODY_DOMAIN_INFO)
			domain_event(b, event.frame->domain_info);
		bridge_message_fini(&event);
		n++;
	}
	return n;
}

/* --- ports --- */

/*
 * Binding a channel again gives its number again: right after a restart, wrong for a second user of ours,
 * whose close would take the port from the first. So what we hold is noted.
 */
static int hold_port(struct bridge *b, uint32_t port, const struct held *h)
{
	struct held *more;

	if (port >= BRIDGE_PORTS_MAX)
		return -EPROTO;
	if (port >= b->nr_held) {
		uint32_t nr = port < 64 ? 64 : BRIDGE_PORTS_MAX;

		more = reallocarray(b->held, nr, sizeof(*more));
		if (!more)
			return -ENOMEM;
		memset(more + b->nr_held, 0, (nr - b->nr_held) * sizeof(*more));
		b->held = more;
		b->nr_held = nr;
	}
	if (b->held[port].used)
		return -EBUSY;
	b->held[port] = *h;
	return 0;
}

/* Before bridged makes a port whose descriptors could not be taken, and nobody would know its number. */
static int need_two_fds(void)
{
	_cleanup_close_ int one = eventfd(0, EFD_CLOEXEC);
	_cleanup_close_ int two = eventfd(0, EFD_CLOEXEC);

	return one < 0 || two < 0 ? -EMFILE : 0;
}

static void fill_in(struct bridge_message *answer, struct held *h, struct xenhost_port_fds *ret)
{
	*ret = (struct xenhost_port_fds){
		.port = answer->frame->port->port,
		.wait_fd = steal_fd(&answer->fds[0]),
		.notify_fd = steal_fd(&answer->fds[1]),
		.priv = h->notify,
	};
	notify_set_fd(h->notify, ret->notify_fd);
}

/* h->key is filled in by the call */
static int port_call_locked(struct bridge *b, bridge_frame *frame, struct held *h,
			    struct xenhost_port_fds *ret)
{
	struct bridge_message answer;
	int r = bridge_client_call(b->client, frame, NULL, 0, BRIDGE__FRAME__BODY_PORT, &answer);

	if (r < 0)
		return r;
	if (h->offered)
		h->key = frame->port_alloc->key;
	r = hold_port(b, answer.frame->port->port, h);
	if (r == 0)
		fill_in(&answer, h, ret);
	bridge_message_fini(&answer);
	return r;
}

static int port_call(struct bridge *b, bridge_frame *frame, struct held *h,
		     struct xenhost_port_fds *ret)
{
	int r = need_two_fds();

	if (r == 0)
		r = notify_new(b, h->remote_domid, &h->notify);
	if (r < 0)
		return r;
	pthread_mutex_lock(&b->client_lock);
	r = port_call_locked(b, frame, h, ret);
	pthread_mutex_unlock(&b->client_lock);
	if (r < 0)
		notify_free(h->notify);
	return r;
}

static int bridge_port_bind(void *state, uint16_t domid, uint32_t remote_port,
			    struct xenhost_port_fds *ret)
{
	struct held h = { .used = true, .remote_domid = domid, .remote_port = remote_port };
	Bridge__PortBind bind = BRIDGE__PORT_BIND__INIT;
	bridge_frame frame = BRIDGE__FRAME__INIT;

	bind.remote_domid = domid;
	bind.remote_port = remote_port;
	frame.body_case = BRIDGE__FRAME__BODY_PORT_BIND;
	frame.port_bind = &bind;
	return port_call(state, &frame, &h, ret);
}

static int bridge_port_alloc(void *state, uint16_t domid, struct xenhost_port_fds *ret)
{
	struct held h = { .used = true, .offered = true, .remote_domid = domid };
	Bridge__PortAlloc alloc = BRIDGE__PORT_ALLOC__INIT;
	bridge_frame frame = BRIDGE__FRAME__INIT;

	alloc.remote_domid = domid;
	frame.body_case = BRIDGE__FRAME__BODY_PORT_ALLOC;
	frame.port_alloc = &alloc;
	return port_call(state, &frame, &h, ret);
}

static int bridge_port_close(void *state, uint32_t port)
{
	Bridge__PortClose msg = BRIDGE__PORT_CLOSE__INIT;
	bridge_frame frame = BRIDGE__FRAME__INIT;
	struct bridge *b = state;
	struct held h = { 0 };

	pthread_mutex_lock(&b->client_lock);
	if (port < b->nr_held) {
		h = b->held[port];
		b->held[port] = (struct held){ 0 };
	}
	pthread_mutex_unlock(&b->client_lock);
	notify_free(h.notify);
	if (h.lost) /* it may be the number of another port by now */
		return 0;
	msg.port = port;
	frame.body_case = BRIDGE__FRAME__BODY_PORT_CLOSE;
	frame.port_close = &msg;
	return call(state, &frame, BRIDGE__FRAME__BODY__NOT_SET, NULL);
}

/* The peer shares the eventfd and could make it block: RWF_NOWAIT does not depend on its flags. */
static int bridge_port_ack(void *state, const struct xenhost_port_fds *port)
{
	uint64_t count;
	struct iovec iov = { &count, sizeof(count) };

	if (preadv2(port->wait_fd, &iov, 1, -1, RWF_NOWAIT) == sizeof(count))
		return 1;
	return errno == EAGAIN ? 0 : -errno;
}

static int bridge_port_notify(void *state, const struct xenhost_port_fds *port)
{
	return notify_send(port->priv);
}

/* --- grants --- */

static int bridge_map(void *state, uint16_t domid, const uint32_t *grefs, size_t n,
		      unsigned int prot, void **ret_addr, void **ret_map)
{
	struct direct_map *map;
	int r = direct_map_new(&((struct bridge *)state)->guests, domid, grefs, n, prot, ret_addr,
			       &map);

	if (r == 0)
		*ret_map = map;
	return r;
}

static void bridge_unmap(void *state, void *map)
{
	direct_map_free(map);
}

static int bridge_io_begin(void *state, uint16_t domid, struct xenhost_seg *segs, size_t n,
			   unsigned int prot, struct iovec *iov)
{
	return direct_io_begin(&((struct bridge *)state)->guests, domid, segs, n, prot, iov);
}

static int bridge_io_end(void *state, uint16_t domid, struct xenhost_seg *segs, size_t n,
			 unsigned int prot, struct iovec *iov)
{
	direct_io_end(segs, n, prot);
	return 0;
}

static int bridge_translate(void *state, uint16_t domid, uint32_t gref, unsigned int prot,
			    struct xenhost_page *ret_page)
{
	return direct_translate(&((struct bridge *)state)->guests, domid, gref, prot, ret_page);
}

static int bridge_put(void *state, struct xenhost_page *page)
{
	direct_put(page);
	return 0;
}

/* bridged knows who else is there now */
static int bridge_settle(void *state, uint16_t domid)
{
	struct bridge *b = state;
	struct bridge_message answer;
	bool alone;
	int r;

	pthread_mutex_lock(&b->client_lock);
	r = ask_for_guest(b, domid, &answer);
	pthread_mutex_unlock(&b->client_lock);
	if (r < 0)
		return r;
	alone = answer.frame->attached->alone;
	bridge_message_fini(&answer);
	return alone ? direct_settle(&b->guests, domid) : -EBUSY;
}

/* --- deposits --- */

static int keep(struct bridge *b, Bridge__Keep__Action action, const char *name, int fd,
		struct bridge_message *ret_answer)
{
	bool get = action == BRIDGE__KEEP__ACTION__GET;
	Bridge__Keep msg = BRIDGE__KEEP__INIT;
	bridge_frame frame = BRIDGE__FRAME__INIT;

	msg.action = action;
	msg.name = (char *)(uintptr_t)name;
	frame.body_case = BRIDGE__FRAME__BODY_KEEP;
	frame.keep = &msg;
	return call_with_fds(b, &frame, &fd, fd >= 0,
			     get ? BRIDGE__FRAME__BODY_KEPT : BRIDGE__FRAME__BODY__NOT_SET,
			     ret_answer);
}

static int bridge_keep_put(void *state, const char *name, int fd)
{
	return keep(state, BRIDGE__KEEP__ACTION__PUT, name, fd, NULL);
}

static int bridge_keep_get(void *state, const char *name, int *ret_fd)
{
	struct bridge_message answer;
	int r = keep(state, BRIDGE__KEEP__ACTION__GET, name, -1, &answer);

	if (r < 0)
		return r;
	*ret_fd = steal_fd(&answer.fds[0]);
	bridge_message_fini(&answer);
	return 0;
}

static int bridge_keep_drop(void *state, const char *name)
{
	return keep(state, BRIDGE__KEEP__ACTION__DROP, name, -1, NULL);
}

/* --- hypercalls --- */

_Static_assert(BRIDGE_HYPERCALL_VERSION == XENHOST_HYPERCALL_VERSION &&
		       BRIDGE_HYPERCALL_EVTCHN_STATUS == XENHOST_HYPERCALL_EVTCHN_STATUS &&
		       BRIDGE_HYPERCALL_GRANT_SIZE == XENHOST_HYPERCALL_GRANT_SIZE &&
		       BRIDGE_HYPERCALL_HVM_PARAM == XENHOST_HYPERCALL_HVM_PARAM &&
		       BRIDGE_HYPERCALL_SHUTDOWN == XENHOST_HYPERCALL_SHUTDOWN &&
		       BRIDGE_VALUES_MAX == XENHOST_HYPERCALL_VALUES_MAX,
	       "ops have the same numbers on the wire");

static int bridge_hypercall(void *state, unsigned int op, const uint64_t *args, uint64_t *results)
{
	Bridge__Hypercall msg = BRIDGE__HYPERCALL__INIT;
	bridge_frame frame = BRIDGE__FRAME__INIT;
	struct bridge_message answer;
	const Bridge__HypercallResult *got;
	size_t nr_results;
	int r;

	msg.domid = BRIDGE_DOMID_SELF;
	msg.op = op;
	msg.args = (uint64_t *)(uintptr_t)args;
	xh_hypercall_shape(op, &msg.n_args, &nr_results);
	frame.body_case = BRIDGE__FRAME__BODY_HYPERCALL;
	frame.hypercall = &msg;
	r = call(state, &frame, BRIDGE__FRAME__BODY_HYPERCALL_RESULT, &answer);
	if (r < 0)
		return r;
	got = answer.frame->hypercall_result;
	if (got->n_results == nr_results)
		memcpy(results, got->results, nr_results * sizeof(*results));
	else
		r = -EPROTO;
	bridge_message_fini(&answer);
	return r;
}

/* Memory of others is unmapped as soon as no I/O uses it; xenhost_restrict() keeps it from coming back. */
static int bridge_restrict_to(void *state, uint16_t domid)
{
	struct bridge *b = state;
	int r;

	pthread_mutex_lock(&b->client_lock);
	r = send_restrict(b->client, domid);
	b->restricted = r == 0;
	b->only_domid = domid;
	pthread_mutex_unlock(&b->client_lock);
	if (r < 0 && r != -EOPNOTSUPP) /* an older bridged: then the library alone keeps to it */
		return r;
	direct_guests_drop_others(&b->guests, domid);
	return 0;
}

const struct xenhost_transport_ops xh_transport_bridge = {
	.size = sizeof(struct xenhost_transport_ops),
	.scheme = "bridge",
	.features = XENHOST_F_MAP | XENHOST_F_DIRECT | XENHOST_F_DOMAINS,
	.open = bridge_open,
	.close = bridge_close,
	.domid = bridge_domid,
	.get_fd = bridge_get_fd,
	.process = bridge_process,
	.store_connect = bridge_store_connect,
	.domain_info = bridge_domain_info,
	.domain_watch = bridge_domain_watch,
	.domain_control = bridge_domain_control,
	.port_bind = bridge_port_bind,
	.port_alloc = bridge_port_alloc,
	.port_close = bridge_port_close,
	.port_ack = bridge_port_ack,
	.port_notify = bridge_port_notify,
	.map = bridge_map,
	.unmap = bridge_unmap,
	.io_begin = bridge_io_begin,
	.io_end = bridge_io_end,
	.translate = bridge_translate,
	.put = bridge_put,
	.settle = bridge_settle,
	.domain_ended = bridge_domain_ended,
	.keep_put = bridge_keep_put,
	.keep_get = bridge_keep_get,
	.keep_drop = bridge_keep_drop,
	.hypercall = bridge_hypercall,
	.restrict_to = bridge_restrict_to,
};
