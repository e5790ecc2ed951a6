/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xenhost/keep.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "xenstored/conn.h"
#include "xenstored/domain.h"
#include "xenstored/journal.h"
#include "xenstored/server.h"
#include "xenstored/sock.h"
#include "xenstored/state.h"

/* --- nodes --- */

/* Equal lists are one list where that is easily seen. NULL: out of memory */
static struct perms *perms_at(const struct tree_pos *pos, const struct journal_part *p)
{
	struct perms *near = pos->node->perms;

	if (near->nr * sizeof(near->list[0]) == p->len && !memcmp(near->list, p->data, p->len))
		return perms_get(near);
	return perms_new(p->data, p->len / sizeof(struct perm));
}

static int load_node(struct server *s, const struct journal_record *r)
{
	struct store *st = &s->store;
	const struct journal_part *path = &r->part[0], *value = &r->part[2];
	_cleanup_(perms_putp) struct perms *perms = NULL;
	struct tree_pos pos;
	int res;

	tree_find(&st->heap, &st->root, path->data, path->len, &pos);
	perms = perms_at(&pos, &r->part[1]);
	if (!perms)
		return -ENOMEM;
	if (!pos.found)
		return tree_create(&st->heap, &st->root, &pos, path->data, path->len, perms,
				   value->data, value->len, ++st->stamp);
	res = tree_write(&st->heap, &st->root, &pos, path->data, path->len, value->data, value->len,
			 ++st->stamp);
	if (res < 0)
		return res;
	tree_find(&st->heap, &st->root, path->data, path->len,
		  &pos); /* the write may have moved it */
	if (perms == pos.node->perms)
		return 0;
	return tree_set_perms(&st->heap, &st->root, &pos, path->data, path->len, perms,
			      ++st->stamp);
}

static int load_gone(struct server *s, const struct journal_record *r)
{
	struct store *st = &s->store;
	const struct journal_part *path = &r->part[0];
	struct tree_pos pos;
	struct node *gone;
	int res;

	if (path->len == 1)
		return -EPROTO;
	tree_find(&st->heap, &st->root, path->data, path->len, &pos);
	if (!pos.found)
		return 0;
	res = tree_remove(&st->heap, &st->root, &pos, path->data, path->len, ++st->stamp, &gone);
	if (res == 0)
		node_put(&st->heap, gone);
	return res;
}

static int load_special(struct server *s, const struct journal_record *r)
{
	struct perms *p = perms_new(r->part[1].data, r->part[1].len / sizeof(struct perm));

	if (!p)
		return -ENOMEM;
	perms_put(s->store.special[r->n[0]]);
	s->store.special[r->n[0]] = p;
	return 0;
}

static int load_quota(struct server *s, const struct journal_record *r)
{
	struct account *a;

	if (r->domid == JOURNAL_NEW_GUESTS) {
		s->quota.limit[QUOTA_GUEST][r->n[0]] = r->n[1];
		return 0;
	}
	a = quota_account(&s->quota, r->domid);
	if (!a)
		return -ENOMEM;
	a->limit[r->n[0]] = r->n[1];
	return 0;
}

/* --- domains and their connections --- */

static int load_domain(struct server *s, const struct journal_record *r)
{
	struct domain *d = domain_find(s, r->domid);

	if (!d)
		d = domain_restore(s, r->domid);
	if (!d)
		return -ENOMEM;
	if (d->fixed) /* by now a service has this id: it begins as a new domain */
		return 0;
	d->exists = r->flags & JOURNAL_EXISTS;
	d->introduced = r->flags & JOURNAL_INTRODUCED;
	d->shut = r->flags & JOURNAL_SHUT;
	d->port = r->n[0];
	d->features = r->n[1];
	d->unique_id = r->id;
	domain_put_target(s, d, (uint16_t)r->n[2]);
	return 0;
}

static int load_domain_gone(struct server *s, const struct journal_record *r)
{
	struct domain *d = domain_find(s, r->domid);

	if (d && !d->fixed)
		domain_unrestore(s, d);
	quota_forget(&s->quota, r->domid);
	return 0;
}

static struct conn *conn_for(struct server *s, const struct journal_record *r)
{
	struct domain *d = domain_find(s, r->domid);

	if (r->id)
		return sock_find(s, r->id);
	return d && !d->fixed ? d->conn : NULL;
}

static int put_bytes(struct buf *b, const struct journal_part *p)
{
	char *to = p->len ? buf_add(b, p->len) : NULL;

	if (to)
		memcpy(to, p->data, p->len);
	return to || !p->len ? 0 : -ENOMEM;
}

static int load_ring(struct server *s, const struct journal_record *r)
{
	struct domain *d = domain_find(s, r->domid);
	int res;

	if (!d || d->fixed)
		return 0;
	res = domain_restore_ring(s, d, r->n[1], (enum journal_reset)r->n[2]);
	if (res < 0)
		return res;
	conn_reset(d->conn);
	d->conn->consumed = r->n[0];
	res = put_bytes(&d->conn->in, &r->part[0]);
	return res < 0 ? res : put_bytes(&d->conn->out, &r->part[1]);
}

static int load_ring_io(struct server *s, const struct journal_record *r)
{
	struct conn *c = conn_for(s, r);
	int res;

	if (!c)
		return 0;
	c->consumed = r->n[0];
	buf_fini(&c->in);
	res = put_bytes(&c->in, &r->part[0]);
	return res < 0 ? res : put_bytes(&c->out, &r->part[1]);
}

static int load_ring_end(struct server *s, const struct journal_record *r)
{
	struct conn *c = conn_for(s, r);

	if (c)
		c->ops->free(c);
	return 0;
}

static struct wire_path path_of(const struct journal_record *r)
{
	const char *path = r->part[0].data;

	return (struct wire_path){ path, r->part[0].len, r->n[1], path[0] == '@' };
}

static int load_watch(struct server *s, const struct journal_record *r)
{
	const struct wire_path path = path_of(r);
	struct conn *c = conn_for(s, r);
	struct watch *w;
	int res;

	if (!c)
		return 0;
	res = watch_add(&s->watches, &c->watches, &path, r->part[1].data, r->part[1].len,
			(int)r->n[0], &w);
	if (res < 0)
		return res == -EEXIST ? 0 : res;
	c->domain->caller.account->watches++;
	c->domain->caller.account->bytes += (int64_t)watch_size(w->path_len, w->token_len);
	return 0;
}

static int load_unwatch(struct server *s, const struct journal_record *r)
{
	const struct wire_path path = path_of(r);
	struct conn *c = conn_for(s, r);
	struct watch *w = NULL;

	if (c)
		w = watch_find(&s->watches, &c->watches, &path, r->part[1].data, r->part[1].len);
	if (w)
		conn_remove_watch(c, w);
	return 0;
}

static int load_drop(struct server *s, const struct journal_record *r)
{
	struct conn *c = conn_for(s, r);

	if (!c)
		return 0;
	conn_drop_watches(c);
	conn_drop_txns(c);
	return 0;
}

/* What it did is not known any more: it sees the present version and can only fail with EAGAIN. */
static int load_txn_start(struct server *s, const struct journal_record *r)
{
	struct conn *c = conn_for(s, r);
	struct txn *t;

	if (!c || conn_txn(c, r->n[0]))
		return 0;
	if (store_begin(&s->store, &c->domain->caller, r->n[0], &t))
		return 0; /* its end will be answered with ENOENT */
	t->lost = true;
	list_append(&c->txns, &t->of_owner);
	c->last_txn = r->n[0];
	return 0;
}

static int load_txn_end(struct server *s, const struct journal_record *r)
{
	struct conn *c = conn_for(s, r);
	struct txn *t = c ? conn_txn(c, r->n[0]) : NULL;

	if (t)
		store_end(&s->store, &c->domain->caller, t, false);
	return 0;
}

/* --- what comes from a process that this program replaces --- */

static bool is_socket(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

static int load_lock(struct server *s, const struct journal_record *r)
{
	if (s->lock_fd >= 0 || s->rehearsal)
		return 0;
	s->lock_fd = (int)r->n[0];
	return fcntl(s->lock_fd, F_SETFD, FD_CLOEXEC) < 0 ? -errno : 0;
}

/* Nobody serves a domain that is not configured any more: its sockets are closed. */
static int load_listen(struct server *s, const struct journal_record *r)
{
	struct domain *d = domain_find(s, r->domid);
	const int fd = s->rehearsal ? -1 : (int)r->n[0];

	if (fd >= 0 && !is_socket(fd))
		return -EBADF;
	if (!d || !d->fixed)
		d = domain_find(s, 0);
	return sock_restore_listener(s, d, r->part[0].data, r->part[0].len, fd, r->n[1]);
}

static int load_socket(struct server *s, const struct journal_record *r)
{
	struct domain *d = domain_find(s, r->domid);
	const int fd = s->rehearsal ? -1 : (int)r->n[0];
	struct conn *c;
	int res;

	if (fd >= 0 && !is_socket(fd))
		return -EBADF;
	if (!d || !d->fixed) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	res = sock_restore(s, d, r->id, fd, &c);
	if (res < 0)
		return res;
	c->last_txn = r->n[1];
	c->unread = r->n[2];
	res = put_bytes(&c->in, &r->part[0]);
	return res < 0 ? res : put_bytes(&c->out, &r->part[1]);
}

static int load_txn_more(struct server *s, const struct journal_record *r)
{
	struct conn *c = conn_for(s, r);

	return c ? state_txn_load(s, c, r) : 0;
}

static int (*const loaders[JOURNAL_TYPES])(struct server *s, const struct journal_record *r) = {
	[JOURNAL_NODE] = load_node,
	[JOURNAL_GONE] = load_gone,
	[JOURNAL_SPECIAL] = load_special,
	[JOURNAL_DOMAIN] = load_domain,
	[JOURNAL_DOMAIN_GONE] = load_domain_gone,
	[JOURNAL_QUOTA] = load_quota,
	[JOURNAL_RING] = load_ring,
	[JOURNAL_RING_IO] = load_ring_io,
	[JOURNAL_RING_END] = load_ring_end,
	[JOURNAL_WATCH] = load_watch,
	[JOURNAL_UNWATCH] = load_unwatch,
	[JOURNAL_DROP] = load_drop,
	[JOURNAL_TXN_START] = load_txn_start,
	[JOURNAL_TXN_END] = load_txn_end,
	[JOURNAL_LOCK] = load_lock,
	[JOURNAL_LISTEN] = load_listen,
	[JOURNAL_SOCKET] = load_socket,
	[JOURNAL_TXN_KEEP] = load_txn_more,
	[JOURNAL_TXN_TOUCH] = load_txn_more,
	[JOURNAL_TXN_TALLY] = load_txn_more,
	[JOURNAL_TXN_SPECIAL] = load_txn_more,
};

/* --- all of it --- */

static void count(void *data, const struct node *n)
{
	struct account *a = quota_account(data, perms_owner(n->perms));

	if (!a)
		return;
	a->nodes.nodes++;
	a->nodes.bytes += (int64_t)node_size(n);
}

/* The old versions that lost transactions held while records were read go; they see the present one. */
static void renew_txns(struct server *s)
{
	struct txn *t;

	list_for_each(t, &s->store.txns, of_store)
		if (t->lost)
			txn_give_up(&s->store.heap, t, s->store.root);
}

static int load_records(struct server *s, struct journal_view *v, bool strict, size_t *ret_nr)
{
	struct journal_record r;
	size_t at = 0;
	int res;

	while ((res = journal_view_next(v, &at, &r)) > 0) {
		res = loaders[r.type](s, &r);
		if (res < 0)
			break;
		(*ret_nr)++;
	}
	if (res != -EPROTO || strict)
		return res;
	log_error("the kept state is damaged behind %zu of %zu bytes; what follows is dropped", at,
		  v->end);
	return 0;
}

static int load_fd(struct server *s, int fd, bool strict)
{
	struct journal_view v = { 0 };
	size_t nr = 0;
	int r = journal_view_open(fd, &v);

	if (r < 0)
		return r;
	s->generation = v.generation + 1;
	s->store.stamp = s->generation << 40; /* beyond all that clients have seen */
	quota_account(&s->quota, 0)->nodes = (struct tally){ 0 };
	r = load_records(s, &v, strict, &nr);
	journal_view_close(&v);
	if (r < 0)
		return r;
	renew_txns(s);
	tree_each(s->store.root, count, &s->quota);
	if (!s->rehearsal)
		log_info("took over the predecessor's state: %zu records", nr);
	return 1;
}

int state_load_fd(struct server *s, int fd)
{
	return load_fd(s, fd, true);
}

int state_load(struct server *s, struct xenhost *host)
{
	_cleanup_close_ int fd = -1;
	int r = xenhost_keep_get(host, STATE_DEPOSIT, &fd);

	if (r == -ENOENT || r == -EOPNOTSUPP)
		return 0;
	if (r == 0)
		r = load_fd(s, fd, false);
	if (r == -EPROTONOSUPPORT) {
		log_error(
			"the kept state was written by another version of this program, which this "
			"one cannot read; starting with an empty store");
		return 0;
	}
	if (r == -EPROTO) {
		log_error("the kept state is not readable; starting with an empty store");
		return 0;
	}
	if (r < 0)
		log_error("cannot take over the predecessor's state: %s", strerror(-r));
	return r;
}
