/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/bridge.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "common/rundir.h"
#include "xenstored/conn.h"
#include "xenstored/domain.h"
#include "xenstored/live.h"
#include "xenstored/migrate.h"
#include "xenstored/server.h"
#include "xenstored/sock.h"
#include "xenstored/state.h"
#include "xenstored/transfer.h"

#define UNSETTLED_MAX 4 /* then it is done at once: who reads has work while we go on */
#define LOCK_FILE "xenstored.lock"

/* --- telling watchers --- */

struct firing {
	struct server *s;
	const struct change *change;
};

static bool may_see(const struct conn *c, const struct perms *p)
{
	return p && (perms_rights(p, &c->domain->caller.who) & PERM_READ);
}

static struct conn *conn_of(const struct watch *w)
{
	return list_entry(w->owner, struct conn, watches);
}

static void fire_one(void *data, struct watch *w)
{
	const struct change *ch = ((const struct firing *)data)->change;
	struct conn *c = conn_of(w);

	for (size_t i = 0; i < ARRAY_SIZE(ch->seen); i++)
		if (may_see(c, ch->seen[i])) {
			conn_event(c, w, ch->path, ch->len, false);
			return;
		}
}

/* A watch on something that went with a node further up hears of its own path. */
static void fire_gone(void *data, struct watch *w, const struct node *gone,
		      const struct node *parent)
{
	struct conn *c = conn_of(w);

	if (may_see(c, gone->perms) || may_see(c, parent->perms))
		conn_event(c, w, watch_path(w), w->path_len, false);
}

static void on_change(void *data, const struct change *ch)
{
	struct server *s = data;
	struct firing f = { s, ch };

	watch_match(&s->watches, ch->path, ch->len, fire_one, &f);
	if (ch->removed)
		watch_match_removed(&s->watches, &s->store.heap, ch->path, ch->len, ch->removed,
				    fire_gone, &f);
}

struct special_firing {
	const struct perms *perms;
	const char *path; /* with the domid */
	size_t len, plain_len;
	bool exact; /* watches of one domain, else of all */
};

static void fire_special_one(void *data, struct watch *w)
{
	const struct special_firing *f = data;

	if (f->exact != (w->path_len == f->len) || !may_see(conn_of(w), f->perms))
		return;
	conn_event(conn_of(w), w, f->path, w->depth > 0 ? f->len : w->path_len, false);
}

void server_fire_special(struct server *s, enum store_special which, uint16_t domid)
{
	struct special_firing f = { .perms = s->store.special[which] };
	char path[40];

	f.plain_len =
		(size_t)snprintf(path, sizeof(path), "%s",
				 which == STORE_RELEASE ? "@releaseDomain" : "@introduceDomain");
	f.len = f.plain_len +
		(size_t)snprintf(path + f.plain_len, sizeof(path) - f.plain_len, "/%u", domid);
	f.path = path;
	watch_match(&s->watches, path, f.plain_len, fire_special_one, &f);
	f.exact = true;
	watch_match(&s->watches, path, f.len, fire_special_one, &f);
}

static bool on_domain_exists(void *data, uint16_t domid)
{
	return domain_exists(data, domid);
}

static void on_refused(void *data, const struct account *a, enum quota_item item, uint64_t value)
{
	log_warning("domain %u: quota %s is %u, asked for %llu; further refusals are not logged",
		    a->domid, quota_name(item), a->limit[item], (unsigned long long)value);
}

/* --- the end of every callback --- */

static void free_conns(struct server *s)
{
	struct conn *c, *tmp;

	list_for_each_safe(c, tmp, &s->conns, of_server)
		c->ops->free(c);
}

void server_settle(struct server *s)
{
	live_go(s);
	transfer_settle(s);
	state_commit(s);
	while (!list_empty(&s->dirty)) {
		struct conn *c = list_entry(s->dirty.next, struct conn, of_dirty);

		list_remove(&c->of_dirty);
		if (!c->dead)
			conn_flush(c);
	}
	while (!list_empty(&s->ended)) {
		struct conn *c = list_entry(s->ended.next, struct conn, of_dirty);

		c->ops->free(c);
	}
	state_commit(s);
	state_settle(s);
}

static void on_settling(evutil_socket_t fd, short what, void *data)
{
	struct server *s = data;

	s->unsettled = 0;
	server_settle(s);
}

/* What is made active in a callback comes behind all that is active already. */
void server_settle_soon(struct server *s)
{
	if (s->base && !s->settling)
		s->settling = event_new(s->base, -1, 0, on_settling, s);
	if (!s->settling || ++s->unsettled >= UNSETTLED_MAX) {
		s->unsettled = 0;
		server_settle(s);
		return;
	}
	if (s->unsettled == 1)
		event_active(s->settling, EV_TIMEOUT, 0);
}

/* --- transactions that would starve --- */

#define FAVOUR_MS 50

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void end_favour(struct server *s)
{
	struct conn *c;

	s->favoured = NULL;
	s->favour_next = now_ms() + FAVOUR_MS;
	if (s->favour_end)
		event_del(s->favour_end);
	list_for_each(c, &s->conns, of_server)
		if (!c->reads)
			conn_mark(c);
}

static void on_favour_end(evutil_socket_t fd, short what, void *data)
{
	struct server *s = data;

	if (s->favoured)
		end_favour(s);
	server_settle(s);
}

void server_favour(struct server *s, struct conn *c)
{
	static const struct timeval longest = { 0, FAVOUR_MS * 1000 };

	if (s->favoured || now_ms() < s->favour_next)
		return;
	if (s->base && !s->favour_end)
		s->favour_end = evtimer_new(s->base, on_favour_end, s);
	if (s->base && (!s->favour_end || event_add(s->favour_end, &longest) < 0))
		return;
	s->favoured = c;
}

void server_unfavour(struct server *s, struct conn *c)
{
	if (s->favoured == c)
		end_favour(s);
}

bool server_holds(const struct server *s, const struct conn *c)
{
	if (live_going(s))
		return true;
	return s->favoured && s->favoured != c && !c->domain->caller.who.control;
}

/* --- start and stop --- */

static int start_store(struct server *s)
{
	const struct store_hooks hooks = { .fire = on_change,
					   .domain_exists = on_domain_exists,
					   .data = s };
	uint64_t seed = s->fixed_seed;
	int r;

	if (!seed && getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		return -EIO;
	quota_init(&s->quota);
	r = watch_set_init(&s->watches, seed);
	if (r == 0)
		r = store_init(&s->store, &s->quota, &hooks, seed);
	s->quota.refused = on_refused;
	s->quota.data = s;
	return r;
}

static int put_text(struct server *s, const struct caller *c, const char *base, const char *name,
		    const char *text)
{
	char path[64];
	const int n = snprintf(path, sizeof(path), "%s%s", base, name);
	const struct wire_path p = { path, (size_t)n, 0, false };

	return store_write(&s->store, c, NULL, &p, text, strlen(text));
}

/* The home of a domain that is there by configuration. */
static int make_home(struct server *s, const struct caller *c, const char *name,
		     const struct domain *d)
{
	struct perm owner[] = { { .domid = d->domid } };
	const struct wire_path home = { d->base, strlen(d->base) - 1, 0, false };
	char domid[8];
	int r = store_mkdir(&s->store, c, NULL, &home);

	snprintf(domid, sizeof(domid), "%u", d->domid);
	if (!r)
		r = store_set_perms(&s->store, c, NULL, &home, owner, ARRAY_SIZE(owner));
	if (!r)
		r = put_text(s, c, d->base, "name", name);
	return r ? r : put_text(s, c, d->base, "domid", domid);
}

/* Also after a restart, when a service is new. */
static bool has_home(struct server *s, const struct domain *d)
{
	return tree_get(&s->store.heap, s->store.root, d->base, strlen(d->base) - 1);
}

int server_first_nodes(struct server *s)
{
	const struct caller *c = &domain_find(s, 0)->caller;
	int r = 0;

	if (!s->generation && !tree_get(&s->store.heap, s->store.root, "/tool/xenstored", 15))
		r = put_text(s, c, "/tool/", "xenstored", "");

	if (!r && !has_home(s, domain_find(s, 0)))
		r = make_home(s, c, "Domain-0", domain_find(s, 0));
	for (unsigned int i = 0; !r && i < s->services.nr; i++) {
		const struct domain *d = domain_find(s, s->services.entries[i].domid);

		if (!has_home(s, d))
			r = make_home(s, c, s->services.entries[i].name, d);
	}
	if (r)
		log_error("cannot make the first nodes: %s", strerror(r));
	return -r;
}

static int start_sockets(struct server *s)
{
	int r = s->taking_over ? 0 : sock_take_activated(s);

	if (r == 0)
		r = sock_listen(s, STORE_SOCKET, domain_find(s, 0));
	if (r == 0 && s->xen_socket)
		r = sock_listen_shared(s, s->xen_socket, domain_find(s, 0));
	for (unsigned int i = 0; r == 0 && i < s->services.nr; i++) {
		const struct service *svc = &s->services.entries[i];
		char path[sizeof(STORE_DIR) + SERVICE_NAME_MAX + sizeof("/.sock")];

		snprintf(path, sizeof(path), "%s/%s.sock", STORE_DIR, svc->name);
		r = sock_listen(s, path, domain_find(s, svc->domid));
	}
	return r;
}

/* A predecessor's state counts, not a stream that this one was to begin with. */
static int begin(struct server *s)
{
	int r = domains_host(s) ? state_load(s, domains_host(s)) : 0;

	if (!s->import || r < 0)
		return r;
	if (r == 0)
		return migrate_load(s, s->import, s->import_len);
	log_warning("the kept state goes on; the migration stream is left out");
	return r;
}

static int take_over(struct server *s)
{
	int r;

	if (!s->taking_over)
		return begin(s);
	r = state_load_fd(s, s->take_over_fd);
	close(steal_fd(&s->take_over_fd));
	if (r < 0)
		log_error("cannot read the state of the program before: %s", strerror(-r));
	return r;
}

int server_open(struct server *s)
{
	int r;

	list_init(&s->conns);
	list_init(&s->dirty);
	list_init(&s->ended);
	list_init(&s->listeners);
	r = start_store(s);
	if (r < 0) {
		log_error("cannot make the store: %s", strerror(-r));
		return r;
	}
	r = domains_start(s);
	if (r == 0)
		r = take_over(s);
	if (r >= 0 && !(s->rehearsal && s->import)) /* that is compared with what it was made of */
		r = server_first_nodes(s);
	return r < 0 ? r : domains_follow(s);
}

void server_close(struct server *s)
{
	live_stop(s);
	transfer_stop(s);
	state_stop(s);
	free_conns(s);
	if (s->favour_end)
		event_free(s->favour_end);
	if (s->settling)
		event_free(s->settling);
	s->favour_end = s->settling = NULL;
	domains_stop(s);
	store_fini(&s->store);
	watch_set_fini(&s->watches);
	quota_fini(&s->quota);
}

int server_start(struct server *s)
{
	int r;

	r = rundir_make(s->rundir, STORE_DIR, 0755);
	if (r == 0 && !s->taking_over)
		r = rundir_lock(s->rundir, LOCK_FILE, "xenhost-xenstored", &s->lock_fd);
	if (r < 0)
		return r;
	r = server_open(s);
	if (r == 0)
		r = start_sockets(s);
	if (r < 0) {
		server_stop(s);
		return r;
	}
	sock_drop_unused(s);
	server_settle(s); /* answers that the program before us could not send */
	return 0;
}

int server_rehearse(struct server *s)
{
	int r;

	s->rehearsal = true;
	s->host_uri = NULL;
	r = server_open(s);
	server_stop(s);
	return r;
}

void server_stop(struct server *s)
{
	sock_close_all(s);
	server_close(s);
	if (s->lock_fd >= 0)
		close(steal_fd(&s->lock_fd));
}
