/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include <xenhost/domain.h>
#include <xenhost/evtchn.h>
#include <xenhost/gnttab.h>
#include <xenhost/xenhost.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "xenstored/conn.h"
#include "xenstored/domain.h"
#include "xenstored/idmap.h"
#include "xenstored/ring.h"
#include "xenstored/server.h"
#include "xenstored/state.h"

#define GREF_RING 1u
#define PIECES_MAX \
	64 /* rings full of requests that one guest gets served before others have their turn */

struct domains {
	struct idmap by_domid;
	struct list all;
	xenhost_t *host; /* or NULL */
	struct event *host_event;
	struct event *again;	 /* looks for a new host when the old one is lost for good */
	unsigned int nr_targets; /* domains with a target */
};

/* a guest's connection */
struct ring_conn {
	struct conn conn;
	xenhost_map_t *map;
	xenhost_port_t *port;
	struct event *event;
	uint32_t restored_at;	  /* position that conn.out began at, of a predecessor's */
	enum journal_reset reset; /* of the page, was under way */
};

static void on_port(evutil_socket_t fd, short what, void *data);

/* --- the table --- */

struct domain *domain_find(struct server *s, uint16_t domid)
{
	return idmap_get(&s->domains->by_domid, domid);
}

bool domain_exists(struct server *s, uint16_t domid)
{
	const struct domain *d = domain_find(s, domid);

	return d && (d->fixed || d->exists || d->introduced);
}

void domain_put_target(struct server *s, struct domain *d, uint16_t target)
{
	s->domains->nr_targets += (target != DOMID_NONE) - (d->caller.who.target != DOMID_NONE);
	d->caller.who.target = target;
}

static void start_afresh(struct server *s, struct domain *d)
{
	d->introduced = d->shut = false;
	d->features = FEATURES_ALL;
	domain_put_target(s, d, DOMID_NONE);
	d->caller.account = quota_account(&s->quota, d->domid);
}

/* NULL: out of memory */
static struct domain *domain_new(struct server *s, uint16_t domid)
{
	struct domain *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->domid = domid;
	d->caller.who = (struct perm_who){ domid, DOMID_NONE, domid == 0 };
	snprintf(d->base, sizeof(d->base), "/local/domain/%u/", domid);
	start_afresh(s, d);
	if (!d->caller.account || idmap_set(&s->domains->by_domid, domid, d) < 0) {
		free(d);
		return NULL;
	}
	list_append(&s->domains->all, &d->of_domains);
	return d;
}

static void domain_free(struct server *s, struct domain *d)
{
	idmap_clear(&s->domains->by_domid, d->domid);
	list_remove(&d->of_domains);
	free(d);
}

static int add_fixed(struct server *s, uint16_t domid, enum quota_kind kind)
{
	struct domain *d = domain_new(s, domid);

	if (!d)
		return -ENOMEM;
	d->fixed = d->introduced = true;
	quota_set_kind(&s->quota, d->caller.account, kind);
	return 0;
}

static void forget_target(struct server *s, uint16_t target)
{
	struct domain *d;

	if (!s->domains->nr_targets)
		return;
	list_for_each(d, &s->domains->all, of_domains) {
		if (d->caller.who.target != target)
			continue;
		domain_put_target(s, d, DOMID_NONE);
		state_domain(s, d);
	}
}

/* Its connection, nodes and permissions go; who waits for that is told. The entry stays, as new. */
static void domain_clear(struct server *s, struct domain *d)
{
	const bool was_introduced = d->introduced;

	if (d->conn)
		conn_end(d->conn, 0);
	forget_target(s, d->domid);
	store_forget_domain(&s->store, d->domid);
	state_domain_gone(s, d->domid);
	start_afresh(s, d);
	state_domain(s, d);
	if (was_introduced)
		server_fire_special(s, STORE_RELEASE, d->domid);
}

/* --- rings --- */

static struct ring_conn *ring_of(struct conn *c)
{
	return list_entry(c, struct ring_conn, conn);
}

static void *page_of(const struct ring_conn *rc)
{
	return xenhost_map_addr(rc->map);
}

static void notify(struct ring_conn *rc)
{
	const int r = xenhost_port_notify(rc->port);

	if (r < 0)
		log_warning("domain %u: cannot notify its store ring: %s", rc->conn.domain->domid,
			    strerror(-r));
}

static ssize_t ring_conn_write(struct conn *c, const void *data, size_t len)
{
	struct ring_conn *rc = ring_of(c);
	const int n = ring_write(page_of(rc), data, len);

	if (n < 0)
		return -ERANGE;
	if (n > 0)
		notify(rc);
	return n;
}

/* The guest kicks when it has read, so there is nothing to arm; requests that waited are looked for again. */
static void ring_conn_wait(struct conn *c, bool for_room, bool read)
{
	if (read)
		event_active(ring_of(c)->event, EV_READ, 0);
}

static void ring_close(struct ring_conn *rc)
{
	if (rc->event)
		event_free(rc->event);
	rc->event = NULL;
	rc->port = xenhost_port_close(rc->port);
	rc->map = xenhost_unmap(rc->map);
}

static void ring_conn_ended(struct conn *c, int error)
{
	struct ring_conn *rc = ring_of(c);
	const uint32_t code = error == -EPROTO	 ? RING_ERROR_PROTOCOL
			      : error == -ERANGE ? RING_ERROR_INDEX
						 : RING_ERROR_COMM;

	if (error) {
		log_warning(
			"domain %u broke the protocol of the store ring (%s); it is not served any more",
			c->domain->domid,
			error == -EPROTO   ? "message too long"
			: error == -ERANGE ? "impossible index"
					   : strerror(-error));
		if (c->domain->features & FEATURE_ERROR)
			ring_set_error(page_of(rc), code);
		notify(rc);
	}
	state_ring_end(c);
	ring_close(rc);
	c->domain->conn = NULL;
}

static uint32_t ring_conn_position(const struct conn *c)
{
	return ring_position(page_of(list_entry(c, struct ring_conn, conn)));
}

static void ring_conn_free(struct conn *c)
{
	struct ring_conn *rc = ring_of(c);

	if (!c->dead)
		c->domain->conn = NULL;
	ring_close(rc);
	conn_fini(c);
	free(rc);
}

static const struct conn_ops ring_ops = {
	.write = ring_conn_write,
	.wait = ring_conn_wait,
	.ended = ring_conn_ended,
	.free = ring_conn_free,
	.position = ring_conn_position,
};

/*
 * Both sides forget what was under way. A successor that finds this begun does it again; it is done
 * when the journal knows the new indices.
 */
static void reset_page(struct ring_conn *rc, enum journal_reset how)
{
	struct conn *c = &rc->conn;

	conn_reset(c);
	state_ring(c, ring_position(page_of(rc)), how);
	state_commit(c->server);
	if (how == JOURNAL_RESET)
		ring_reset(page_of(rc));
	else
		ring_drain(page_of(rc));
	c->consumed = ring_consumed(page_of(rc));
	state_ring(c, ring_position(page_of(rc)), JOURNAL_NO_RESET);
	state_commit(c->server);
}

static void reconnect(struct ring_conn *rc)
{
	reset_page(rc, JOURNAL_DRAIN);
	ring_set_connected(page_of(rc));
	notify(rc);
}

/* Takes requests out of the ring, as many as may be answered now. */
static void ring_pump(struct ring_conn *rc)
{
	struct conn *c = &rc->conn;
	char *buf = c->server->scratch;
	int n = 0, pieces = 0;
	uint32_t behind;

	while (conn_wants_input(c) && pieces < PIECES_MAX) {
		n = ring_peek(page_of(rc), buf, RING_BYTES, &behind);
		if (n <= 0)
			break;
		pieces++;
		c->consumed = behind;
		conn_input(c, buf, (size_t)n);
		if (c->dead)
			return;
		state_touch(c);
		state_commit(c->server);
		ring_set_consumed(page_of(rc), c->consumed);
	}
	if (c->dead)
		return;
	if (n < 0) {
		conn_end(c, -ERANGE);
		return;
	}
	if (pieces)
		notify(rc);
	if (pieces == PIECES_MAX)
		event_active(rc->event, EV_READ, 0);
}

static void ring_poll(struct ring_conn *rc)
{
	struct conn *c = &rc->conn;

	if (ring_check(page_of(rc)) < 0) {
		conn_end(c, -ERANGE);
		return;
	}
	if ((c->domain->features & FEATURE_RECONNECT) && ring_wants_reconnect(page_of(rc)))
		reconnect(rc);
	ring_pump(rc);
	conn_mark(c); /* it may have made room for answers */
}

static void on_port(evutil_socket_t fd, short what, void *data)
{
	struct ring_conn *rc = data;
	struct server *s = rc->conn.server;

	xenhost_port_ack(rc->port);
	ring_poll(rc);
	server_settle(s);
}

static int ring_bind(struct server *s, struct ring_conn *rc, uint32_t port)
{
	int r;

	if (rc->event)
		event_free(rc->event);
	rc->event = NULL;
	rc->port = xenhost_port_close(rc->port);
	r = xenhost_port_bind(s->domains->host, rc->conn.domain->domid, port, &rc->port);
	if (r < 0)
		return r;
	rc->event =
		event_new(s->base, xenhost_port_fd(rc->port), EV_READ | EV_PERSIST, on_port, rc);
	return rc->event && event_add(rc->event, NULL) == 0 ? 0 : -ENOMEM;
}

static int ring_open(struct server *s, struct ring_conn *rc, uint32_t port)
{
	static const uint32_t gref = GREF_RING;
	int r = xenhost_map_grants(s->domains->host, rc->conn.domain->domid, &gref, 1,
				   XENHOST_READ | XENHOST_WRITE, &rc->map);

	return r < 0 ? r : ring_bind(s, rc, port);
}

/* --- operations of the control domain --- */

static int refused(const struct domain *d, const char *what, int r)
{
	log_warning("INTRODUCE of domain %u failed: %s: %s", d->domid, what, strerror(-r));
	return r == -ESRCH ? ENOENT : -r;
}

/* A ring for a domain that has none, in whatever state the guest left it. */
static int serve(struct server *s, struct domain *d, uint32_t port)
{
	struct ring_conn *rc = calloc(1, sizeof(*rc));
	int r;

	if (!rc)
		return ENOMEM;
	conn_init(&rc->conn, s, d, &ring_ops);
	d->conn = &rc->conn;
	rc->conn.kept = true;
	r = ring_open(s, rc, port);
	if (r < 0) {
		ring_conn_free(&rc->conn);
		return refused(d, "its store ring cannot be reached", r);
	}
	ring_set_features(page_of(rc), d->features);
	rc->conn.consumed = ring_consumed(page_of(rc));
	return 0;
}

/* Once more: whatever was under way is forgotten, on both sides. */
static int serve_again(struct server *s, struct domain *d, uint32_t port)
{
	struct ring_conn *rc;
	int r;

	if (!d->conn) {
		r = serve(s, d, port);
		if (r)
			return r;
	}
	rc = ring_of(d->conn);
	d->port = port;
	state_domain(s, d);
	r = ring_bind(s, rc, port);
	if (r < 0) {
		conn_end(d->conn, -EIO);
		return refused(d, "its port cannot be bound", r);
	}
	reset_page(rc, JOURNAL_RESET);
	ring_set_features(page_of(rc), d->features);
	notify(rc);
	return 0;
}

int domain_introduce(struct server *s, uint16_t domid, uint32_t port)
{
	struct domain *d = domain_find(s, domid);
	const bool is_new = !d;
	int r;

	if (d && d->fixed)
		return EINVAL;
	if (!s->domains->host) {
		log_warning("INTRODUCE of domain %u refused: this store runs without a host",
			    domid);
		return ENOENT;
	}
	if (d && d->introduced)
		return serve_again(s, d, port);
	if (!d)
		d = domain_new(s, domid);
	if (!d)
		return ENOMEM;
	r = serve(s, d, port);
	if (r && is_new)
		domain_free(s, d);
	if (r)
		return r;
	d->introduced = true;
	d->port = port;
	state_domain(s, d);
	state_ring(d->conn, ring_conn_position(d->conn), JOURNAL_NO_RESET);
	server_fire_special(s, STORE_INTRODUCE, domid);
	event_active(ring_of(d->conn)->event, EV_READ, 0); /* it may have asked already */
	return 0;
}

int domain_release(struct server *s, uint16_t domid)
{
	struct domain *d = domain_find(s, domid);

	if (d && d->fixed)
		return EINVAL;
	if (!d || !d->introduced)
		return ENOENT;
	domain_clear(s, d);
	if (!d->exists || !d->caller.account) {
		state_domain_gone(s, domid);
		domain_free(s, d);
	}
	return 0;
}

int domain_resume(struct server *s, uint16_t domid)
{
	struct domain *d = domain_find(s, domid);

	if (d && d->fixed)
		return EINVAL;
	if (!d || !d->introduced)
		return ENOENT;
	d->shut = false;
	state_domain(s, d);
	return 0;
}

int domain_set_target(struct server *s, uint16_t domid, uint16_t target)
{
	struct domain *d = domain_find(s, domid), *t = domain_find(s, target);

	if (!d || !d->introduced || !t || !t->introduced)
		return ENOENT;
	domain_put_target(s, d, target);
	state_domain(s, d);
	return 0;
}

/* --- the host --- */

static void on_again(evutil_socket_t fd, short what, void *data);
static void resume_rings(struct server *s);

static void domain_gone(struct server *s, struct domain *d)
{
	domain_clear(s, d);
	state_domain_gone(s, d->domid);
	domain_free(s, d);
}

static void domain_shut(struct server *s, struct domain *d)
{
	if (d->shut || !d->introduced)
		return;
	d->shut = true;
	state_domain(s, d);
	server_fire_special(s, STORE_RELEASE, d->domid);
}

static void on_domain(xenhost_t *host, const struct xenhost_domain_info *info, void *data)
{
	struct server *s = data;
	struct domain *d = domain_find(s, info->domid);
	bool is_news;

	if (d && d->fixed)
		return;
	if (d && d->exists && d->unique_id && d->unique_id != info->unique_id) {
		if (info->state == XENHOST_DOMAIN_GONE)
			return; /* of one that had this domid before */
		domain_gone(s, d);
		d = NULL;
	}
	if (info->state == XENHOST_DOMAIN_GONE) {
		if (d)
			domain_gone(s, d);
		return;
	}
	if (!d)
		d = domain_new(s, info->domid);
	if (!d) {
		log_warning("no memory for domain %u", info->domid);
		return;
	}
	is_news = !d->exists || d->unique_id != info->unique_id;
	d->exists = d->told = true;
	d->unique_id = info->unique_id;
	if (is_news)
		state_domain(s, d);
	if (info->state == XENHOST_DOMAIN_SHUTDOWN) {
		domain_shut(s, d);
	} else if (d->shut) { /* it went on after a soft reset */
		d->shut = false;
		state_domain(s, d);
	}
}

static void look_again(struct server *s)
{
	static const struct timeval second = { 1, 0 };

	if (s->domains->again)
		event_add(s->domains->again, &second);
}

/*
 * One that keeps what it has is away for a moment at most, and the library sees to that; this one will not
 * come back. What may come is another one in its place.
 */
static void lost_host(struct server *s, int error)
{
	log_error("lost the host %s: %s; guests are served on, but changes of domains are not seen "
		  "until there is another one",
		  s->host_uri, strerror(-error));
	event_del(s->domains->host_event);
	look_again(s);
}

xenhost_t *domains_host(struct server *s)
{
	return s->domains->host;
}

void domains_refresh(struct server *s)
{
	const int r = s->domains->host ? xenhost_process(s->domains->host) : 0;

	if (r < 0 && event_pending(s->domains->host_event, EV_READ, NULL))
		lost_host(s, r);
}

static void on_host(evutil_socket_t fd, short what, void *data)
{
	struct server *s = data;

	domains_refresh(s);
	server_settle(s);
}

/* Those that went while no daemon was there. */
static void drop_unseen(struct server *s)
{
	struct domain *d, *tmp;

	list_for_each_safe(d, tmp, &s->domains->all, of_domains) {
		struct xenhost_domain_info info;

		if (d->fixed || !d->exists || d->told)
			continue;
		if (xenhost_domain_info(s->domains->host, d->domid, &info) == 0 &&
		    (!d->unique_id || info.unique_id == d->unique_id))
			continue; /* the host has not come to it yet */
		domain_gone(s, d);
	}
}

static int follow_host(struct server *s)
{
	struct domains *ds = s->domains;
	int r = xenhost_domain_watch(ds->host, on_domain, s);

	if (r < 0)
		return r;
	ds->host_event =
		event_new(s->base, xenhost_get_fd(ds->host), EV_READ | EV_PERSIST, on_host, s);
	if (!ds->again)
		ds->again = evtimer_new(s->base, on_again, s);
	if (!ds->host_event || event_add(ds->host_event, NULL) < 0)
		return -ENOMEM;
	domains_refresh(s);
	return 0;
}

/* --- another host in place of a lost one --- */

/* The connection stays as it is, to be resumed as after a restart. */
static void let_go_of_rings(struct server *s)
{
	struct domain *d;

	list_for_each(d, &s->domains->all, of_domains) {
		d->told = false;
		if (!d->conn)
			continue;
		ring_of(d->conn)->restored_at = ring_conn_position(d->conn);
		ring_of(d->conn)->reset = JOURNAL_NO_RESET;
		ring_close(ring_of(d->conn));
	}
}

static void on_again(evutil_socket_t fd, short what, void *data)
{
	struct server *s = data;
	struct domains *ds = s->domains;
	xenhost_t *host;
	int r = xenhost_open(s->host_uri, 0, &host);

	if (r < 0) {
		look_again(s);
		return;
	}
	state_commit(s);
	let_go_of_rings(s);
	event_free(ds->host_event);
	ds->host_event = NULL;
	xenhost_close(ds->host);
	ds->host = host;
	log_info("another host is at %s", s->host_uri);
	resume_rings(s);
	state_move(s, host);
	r = follow_host(s);
	if (r == 0)
		drop_unseen(s);
	if (r < 0)
		log_error("cannot follow the host %s: %s; its domains are not seen", s->host_uri,
			  strerror(-r));
	server_settle(s);
}

/* --- after a predecessor --- */

struct list *domains_all(struct server *s)
{
	return &s->domains->all;
}

struct domain *domain_restore(struct server *s, uint16_t domid)
{
	return domain_new(s, domid);
}

void domain_unrestore(struct server *s, struct domain *d)
{
	if (d->conn)
		ring_conn_free(d->conn);
	domain_put_target(s, d, DOMID_NONE);
	domain_free(s, d);
}

int domain_restore_ring(struct server *s, struct domain *d, uint32_t rsp_prod,
			enum journal_reset reset)
{
	struct ring_conn *rc = d->conn ? ring_of(d->conn) : calloc(1, sizeof(*rc));

	if (!rc)
		return -ENOMEM;
	if (!d->conn) {
		conn_init(&rc->conn, s, d, &ring_ops);
		rc->conn.kept = true;
		d->conn = &rc->conn;
	}
	rc->restored_at = rsp_prod;
	rc->reset = reset;
	return 0;
}

/* The page goes on where the journal ends; what of the output had left already is seen by its index. */
static int resume_page(struct ring_conn *rc)
{
	struct conn *c = &rc->conn;
	const uint32_t left = ring_position(page_of(rc)) - rc->restored_at;

	if (rc->reset == JOURNAL_RESET)
		ring_reset(page_of(rc));
	else if (rc->reset == JOURNAL_DRAIN)
		ring_drain(page_of(rc));
	ring_set_features(page_of(rc), c->domain->features);
	if (rc->reset) {
		c->consumed = ring_consumed(page_of(rc));
		return 0;
	}
	if (left > c->out.len)
		return -ERANGE;
	buf_consume(&c->out, left);
	ring_set_consumed(page_of(rc), c->consumed);
	return 0;
}

static void resume_ring(struct server *s, struct domain *d)
{
	struct ring_conn *rc = ring_of(d->conn);
	int r = ring_open(s, rc, d->port);

	if (r < 0) {
		log_warning("domain %u: its store ring cannot be reached again: %s", d->domid,
			    strerror(-r));
		ring_conn_free(&rc->conn);
		return;
	}
	r = resume_page(rc);
	if (r < 0) {
		conn_end(&rc->conn, r);
		return;
	}
	conn_mark(&rc->conn);
	event_active(rc->event, EV_READ, 0);
	notify(rc);
}

static void resume_rings(struct server *s)
{
	struct domain *d;

	list_for_each(d, &s->domains->all, of_domains)
		if (d->conn && !ring_of(d->conn)->map)
			resume_ring(s, d);
}

int domains_adopt(struct server *s)
{
	if (!s->domains->host)
		return 0;
	resume_rings(s);
	drop_unseen(s);
	return state_renew(s);
}

int domains_follow(struct server *s)
{
	int r;

	if (!s->domains->host)
		return 0;
	resume_rings(s);
	r = state_start(s, s->domains->host);
	if (r == 0)
		r = follow_host(s);
	if (r == 0)
		drop_unseen(s);
	if (r < 0)
		log_error("cannot follow the host %s: %s", s->host_uri, strerror(-r));
	return r;
}

int domains_start(struct server *s)
{
	struct domains *ds = calloc(1, sizeof(*ds));
	int r;

	s->domains = ds;
	if (!ds) {
		log_error("no memory for the table of domains");
		return -ENOMEM;
	}
	list_init(&ds->all);
	r = add_fixed(s, 0, QUOTA_CONTROL);
	for (unsigned int i = 0; r == 0 && i < s->services.nr; i++)
		r = add_fixed(s, s->services.entries[i].domid, QUOTA_SERVICE);
	if (r < 0)
		log_error("no memory for the first domains");
	if (r < 0 || !s->host_uri)
		return r;
	r = xenhost_open(s->host_uri, 0, &ds->host);
	if (r < 0)
		log_error(
			"cannot reach the host %s: %s; start xenhost-bridged, or run with --host none",
			s->host_uri, strerror(-r));
	return r;
}

void domains_stop(struct server *s)
{
	struct domains *ds = s->domains;
	struct domain *d, *tmp;

	if (!ds)
		return;
	if (ds->host_event)
		event_free(ds->host_event);
	if (ds->again)
		event_free(ds->again);
	ds->host = ds->host ? xenhost_close(ds->host) : NULL;
	list_for_each_safe(d, tmp, &ds->all, of_domains)
		domain_free(s, d);
	idmap_fini(&ds->by_domid);
	free(ds);
	s->domains = NULL;
}
