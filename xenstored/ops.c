/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "xenstored/conn.h"
#include "xenstored/control.h"
#include "xenstored/domain.h"
#include "xenstored/ops.h"
#include "xenstored/server.h"
#include "xenstored/state.h"

#define DOMID_SELF 32752u
#define PERMS_MAX (WIRE_PAYLOAD_MAX / 3) /* shortest: "n0" and its NUL */
#define NAMES_MAX (WIRE_PAYLOAD_MAX / 2)
#define LOST_MAX 2 /* transactions in a row; the next one is favoured */

static struct store *store_of(const struct request *rq)
{
	return &rq->c->server->store;
}

static const struct caller *caller_of(const struct request *rq)
{
	return &rq->c->domain->caller;
}

static int ack(const struct request *rq, int error)
{
	if (!error)
		conn_ack(rq->c, rq->h);
	return error;
}

static int reply_text(const struct request *rq, const char *text)
{
	conn_reply(rq->c, rq->h, text, strlen(text) + 1);
	return 0;
}

static int reply_number(const struct request *rq, uint64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, v);
	return reply_text(rq, text);
}

/* --- payloads --- */

/* exactly n strings into s; 0 or EINVAL */
static int want_strings(const struct request *rq, struct wire_string *s, int n)
{
	return wire_strings(rq->data, rq->len, s, (size_t)n) == n ? 0 : EINVAL;
}

struct path_arg {
	struct wire_path path;
	char buf[WIRE_PATH_MAX];
};

static int parse_path(const struct request *rq, const char *s, size_t len, bool special_ok,
		      struct path_arg *ret)
{
	const struct domain *d = rq->c->domain;
	const uint32_t rel_max = d->caller.account->limit[QUOTA_PATH_MAX];

	return -wire_path_parse(s, len, d->base, rel_max, special_ok, ret->buf, &ret->path);
}

/* the payload is one path and its NUL */
static int only_path(const struct request *rq, bool special_ok, struct path_arg *ret)
{
	struct wire_string s;
	int r = want_strings(rq, &s, 1);

	return r ? r : parse_path(rq, s.s, s.len, special_ok, ret);
}

static int only_domid(const struct request *rq, uint16_t *ret_domid)
{
	struct wire_string s;
	int r = want_strings(rq, &s, 1);

	return r ? r : -wire_domid(s.s, s.len, ret_domid);
}

/* --- nodes --- */

static int op_read(const struct request *rq)
{
	const struct node *n;
	struct path_arg p;
	int r = only_path(rq, false, &p);

	if (!r)
		r = store_read(store_of(rq), caller_of(rq), rq->t, &p.path, &n);
	if (!r)
		conn_reply(rq->c, rq->h, node_value(n), n->value_len);
	return r;
}

static int by_name(const void *a, const void *b)
{
	const struct node *x = *(struct node *const *)a, *y = *(struct node *const *)b;
	const size_t n = x->name_len < y->name_len ? x->name_len : y->name_len;
	const int r = memcmp(node_name(x), node_name(y), n);

	return r ? r : x->name_len - y->name_len;
}

static void sort_names(const struct node **kids, size_t nr)
{
	if (nr > 16) {
		qsort(kids, nr, sizeof(*kids), by_name);
		return;
	}
	for (size_t i = 1; i < nr; i++) {
		const struct node *kid = kids[i];
		size_t at = i;

		for (; at && by_name(&kids[at - 1], &kid) > 0; at--)
			kids[at] = kids[at - 1];
		kids[at] = kid;
	}
}

static char *put_name(char *out, const struct node *n)
{
	memcpy(out, node_name(n), n->name_len);
	out[n->name_len] = 0;
	return out + n->name_len + 1;
}

/* Sorted, so that people find things; the protocol promises no order. */
static void reply_names(const struct request *rq, const struct node *n)
{
	const struct node *kids[NAMES_MAX];
	struct tree_iter it;
	size_t nr = 0;
	char *out = conn_reply_room(rq->c, rq->h, node_kids_bytes(n));

	tree_iter_init(&it, n);
	while (nr < NAMES_MAX && (kids[nr] = tree_iter_next(&it)))
		nr++;
	sort_names(kids, nr);
	for (size_t i = 0; out && i < nr; i++)
		out = put_name(out, kids[i]);
}

static int op_directory(const struct request *rq)
{
	const struct node *n;
	struct path_arg p;
	int r = only_path(rq, false, &p);

	if (!r)
		r = store_list(store_of(rq), caller_of(rq), rq->t, &p.path, &n);
	if (!r && node_kids_bytes(n) > WIRE_PAYLOAD_MAX)
		r = E2BIG;
	if (!r)
		reply_names(rq, n);
	return r;
}

/* The generation, names from the offset on, and an empty name when these are the last. */
static void reply_part(const struct request *rq, const struct node *n, size_t offset)
{
	char buf[WIRE_PAYLOAD_MAX], *out = buf;
	const struct node *kid;
	struct tree_iter it;

	out += snprintf(buf, 24, "%" PRIu64,
			node_listed(n) > n->changed ? node_listed(n) : n->changed) +
	       1;
	tree_iter_seek(&it, n, offset);
	while ((kid = tree_iter_next(&it))) {
		if ((size_t)(buf + sizeof(buf) - out) < kid->name_len + 2u)
			break;
		out = put_name(out, kid);
	}
	if (!kid)
		*out++ = 0;
	conn_reply(rq->c, rq->h, buf, (size_t)(out - buf));
}

static int op_directory_part(const struct request *rq)
{
	struct wire_string s[2];
	const struct node *n;
	struct path_arg p;
	uint64_t offset;
	int r = want_strings(rq, s, 2);

	if (!r)
		r = parse_path(rq, s[0].s, s[0].len, false, &p);
	if (!r)
		r = -wire_number(s[1].s, s[1].len, UINT32_MAX, &offset);
	if (!r)
		r = store_list(store_of(rq), caller_of(rq), rq->t, &p.path, &n);
	if (!r)
		reply_part(rq, n, offset);
	return r;
}

static int op_write(const struct request *rq)
{
	const char *nul = rq->len ? memchr(rq->data, 0, rq->len) : NULL;
	struct path_arg p;
	size_t path_len;
	int r;

	if (!nul)
		return EINVAL;
	path_len = (size_t)(nul - rq->data);
	r = parse_path(rq, rq->data, path_len, false, &p);
	if (!r)
		r = store_write(store_of(rq), caller_of(rq), rq->t, &p.path, nul + 1,
				rq->len - path_len - 1);
	return ack(rq, r);
}

static int op_mkdir(const struct request *rq)
{
	struct path_arg p;
	int r = only_path(rq, false, &p);

	return ack(rq, r ? r : store_mkdir(store_of(rq), caller_of(rq), rq->t, &p.path));
}

static int op_rm(const struct request *rq)
{
	struct path_arg p;
	int r = only_path(rq, false, &p);

	return ack(rq, r ? r : store_rm(store_of(rq), caller_of(rq), rq->t, &p.path));
}

/* --- permissions --- */

static int op_get_perms(const struct request *rq)
{
	char buf[WIRE_PAYLOAD_MAX], *out = buf;
	const struct perms *perms;
	struct path_arg p;
	int r = only_path(rq, true, &p);

	if (!r)
		r = store_get_perms(store_of(rq), caller_of(rq), rq->t, &p.path, &perms);
	if (r)
		return r;
	for (size_t i = 0; i < perms->nr; i++) {
		char text[PERM_TEXT_MAX];
		size_t n = perm_format(&perms->list[i], text) + 1;

		if ((size_t)(buf + sizeof(buf) - out) < n)
			return E2BIG;
		memcpy(out, text, n);
		out += n;
	}
	conn_reply(rq->c, rq->h, buf, (size_t)(out - buf));
	return 0;
}

/* The control domain may name a domain that the host has just made. */
static void refresh_for(const struct request *rq, const struct perm *list, size_t nr)
{
	if (!caller_of(rq)->who.control)
		return;
	for (size_t i = 0; i < nr; i++)
		if (!domain_exists(rq->c->server, list[i].domid)) {
			domains_refresh(rq->c->server);
			return;
		}
}

static int parse_perms(const struct request *rq, const struct wire_string *s, size_t nr,
		       struct perm *list)
{
	for (size_t i = 0; i < nr; i++) {
		if (perm_parse(s[i].s, s[i].len, &list[i]) < 0)
			return EINVAL;
		if (list[i].domid == DOMID_ALL && !(rq->c->domain->features & FEATURE_ANY_DOMAIN))
			return EINVAL;
	}
	return 0;
}

static int op_set_perms(const struct request *rq)
{
	struct wire_string s[PERMS_MAX + 1];
	struct perm list[PERMS_MAX];
	struct path_arg p;
	int r, nr = wire_strings(rq->data, rq->len, s, ARRAY_SIZE(s));

	if (nr < 2)
		return EINVAL;
	r = parse_path(rq, s[0].s, s[0].len, true, &p);
	if (!r)
		r = parse_perms(rq, s + 1, (size_t)nr - 1, list);
	if (r)
		return r;
	refresh_for(rq, list, (size_t)nr - 1);
	return ack(rq, store_set_perms(store_of(rq), caller_of(rq), rq->t, &p.path, list,
				       (size_t)nr - 1));
}

/* --- watches --- */

static int parse_depth(const struct request *rq, const struct wire_string *s, int *ret_depth)
{
	uint64_t v;

	if (!(rq->c->domain->features & FEATURE_DEPTH) ||
	    wire_number(s->s, s->len, INT32_MAX, &v) < 0)
		return EINVAL;
	*ret_depth = (int)v;
	return 0;
}

static int watch_quota(const struct request *rq, size_t size)
{
	struct account *a = caller_of(rq)->account;
	struct quota *q = &rq->c->server->quota;
	int r = quota_check(q, a, QUOTA_WATCHES, a->watches + 1ull);

	return r ? r : quota_check_bytes(q, a, (int64_t)size);
}

static int add_watch(const struct request *rq, const struct wire_path *path,
		     const struct wire_string *token, int depth)
{
	struct server *s = rq->c->server;
	struct account *a = caller_of(rq)->account;
	const size_t size = watch_size(path->len, token->len);
	struct watch *w;
	int r = 0;

	if (!watch_find(&s->watches, &rq->c->watches, path, token->s, token->len))
		r = watch_quota(rq, size);
	if (!r)
		r = -watch_add(&s->watches, &rq->c->watches, path, token->s, token->len, depth, &w);
	if (r)
		return r;
	a->watches++;
	a->bytes += (int64_t)size;
	state_watch(rq->c, w);
	conn_ack(rq->c, rq->h);
	conn_event(rq->c, w, watch_path(w), w->path_len, true);
	return 0;
}

static int op_watch(const struct request *rq)
{
	int depth = WATCH_ANY_DEPTH, r = 0;
	struct wire_string s[3];
	struct path_arg p;
	const int nr = wire_strings(rq->data, rq->len, s, ARRAY_SIZE(s));

	if (nr < 2)
		return EINVAL;
	if (nr == 3)
		r = parse_depth(rq, &s[2], &depth);
	if (!r)
		r = parse_path(rq, s[0].s, s[0].len, true, &p);
	return r ? r : add_watch(rq, &p.path, &s[1], depth);
}

static int op_unwatch(const struct request *rq)
{
	struct wire_string s[2];
	struct path_arg p;
	struct watch *w;
	int r = want_strings(rq, s, 2);

	if (!r)
		r = parse_path(rq, s[0].s, s[0].len, true, &p);
	if (r)
		return r;
	w = watch_find(&rq->c->server->watches, &rq->c->watches, &p.path, s[1].s, s[1].len);
	if (!w)
		return ENOENT;
	state_unwatch(rq->c, w);
	conn_remove_watch(rq->c, w);
	return ack(rq, 0);
}

static int op_reset_watches(const struct request *rq)
{
	conn_drop_watches(rq->c);
	conn_drop_txns(rq->c);
	state_drop(rq->c);
	return ack(rq, 0);
}

/* --- transactions --- */

static int op_transaction_start(const struct request *rq)
{
	struct txn *t;
	int r;

	if (rq->t)
		return EBUSY;
	r = store_begin(store_of(rq), caller_of(rq), conn_new_txn_id(rq->c), &t);
	if (r)
		return r;
	list_append(&rq->c->txns, &t->of_owner);
	state_txn(rq->c, t->id, true);
	if (rq->c->lost_txns >= LOST_MAX && caller_of(rq)->who.control)
		server_favour(rq->c->server, rq->c);
	return reply_number(rq, t->id);
}

static int op_transaction_end(const struct request *rq)
{
	int r;

	if (rq->len != 2 || rq->data[1] || (rq->data[0] != 'T' && rq->data[0] != 'F'))
		return EINVAL;
	if (!rq->t)
		return ENOENT;
	state_txn(rq->c, rq->t->id, false);
	r = store_end(store_of(rq), caller_of(rq), rq->t, rq->data[0] == 'T');
	rq->c->lost_txns = r == EAGAIN ? rq->c->lost_txns + 1 : 0;
	server_unfavour(rq->c->server, rq->c);
	return ack(rq, r);
}

/* --- domains --- */

static int op_introduce(const struct request *rq)
{
	struct wire_string s[8]; /* what follows the port is for later protocols */
	uint16_t domid;
	uint64_t gfn, port;
	const int nr = wire_strings(rq->data, rq->len, s, ARRAY_SIZE(s));

	if (nr < 3 || wire_domid(s[0].s, s[0].len, &domid) < 0 ||
	    wire_number(s[1].s, s[1].len, UINT64_MAX, &gfn) < 0 ||
	    wire_number(s[2].s, s[2].len, UINT32_MAX, &port) < 0 || !port)
		return EINVAL;
	domains_refresh(rq->c->server);
	return ack(rq, domain_introduce(rq->c->server, domid, (uint32_t)port));
}

static int op_release(const struct request *rq)
{
	uint16_t domid;
	int r = only_domid(rq, &domid);

	return ack(rq, r ? r : domain_release(rq->c->server, domid));
}

static int op_resume(const struct request *rq)
{
	uint16_t domid;
	int r = only_domid(rq, &domid);

	return ack(rq, r ? r : domain_resume(rq->c->server, domid));
}

static int op_set_target(const struct request *rq)
{
	struct wire_string s[2];
	uint16_t domid, target;
	int r = want_strings(rq, s, 2);

	if (!r)
		r = -wire_domid(s[0].s, s[0].len, &domid);
	if (!r)
		r = -wire_domid(s[1].s, s[1].len, &target);
	return ack(rq, r ? r : domain_set_target(rq->c->server, domid, target));
}

static int op_get_domain_path(const struct request *rq)
{
	char text[32];
	uint16_t domid;
	int r = only_domid(rq, &domid);

	if (r)
		return r;
	snprintf(text, sizeof(text), "/local/domain/%u", domid);
	return reply_text(rq, text);
}

static int op_is_domain_introduced(const struct request *rq)
{
	const struct domain *d;
	uint16_t domid;
	int r = only_domid(rq, &domid);

	if (r)
		return r;
	d = domain_find(rq->c->server, domid);
	return reply_text(rq, domid == DOMID_SELF || (d && d->introduced) ? "T" : "F");
}

/* A domain for a privileged request about it: known, perhaps since now. */
static struct domain *domain_for(const struct request *rq, uint16_t domid)
{
	if (!domain_find(rq->c->server, domid))
		domains_refresh(rq->c->server);
	return domain_find(rq->c->server, domid);
}

static int op_get_feature(const struct request *rq)
{
	const struct domain *d = rq->c->domain;
	uint16_t domid;
	int r;

	if (rq->len) {
		if (!caller_of(rq)->who.control)
			return EACCES;
		r = only_domid(rq, &domid);
		if (r)
			return r;
		d = domain_for(rq, domid);
	}
	return d ? reply_number(rq, d->features) : ENOENT;
}

static int op_set_feature(const struct request *rq)
{
	struct wire_string s[2];
	struct domain *d;
	uint16_t domid;
	uint64_t v;
	int r = want_strings(rq, s, 2);

	if (!r)
		r = -wire_domid(s[0].s, s[0].len, &domid);
	if (!r)
		r = -wire_number(s[1].s, s[1].len, UINT32_MAX, &v);
	if (r)
		return r;
	d = domain_for(rq, domid);
	if (!d)
		return ENOENT;
	if (d->introduced)
		return EBUSY;
	if (v & ~(uint64_t)FEATURES_ALL)
		return EINVAL;
	d->features = (uint32_t)v;
	state_domain(rq->c->server, d);
	return ack(rq, 0);
}

static int reply_quota_names(const struct request *rq)
{
	char text[512];
	int n = 0;

	for (int i = 0; i < QUOTA_ITEMS; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%s%s", i ? " " : "",
			      quota_name((enum quota_item)i));
	return reply_text(rq, text);
}

/* The limits of the domain that s names, or those for new guests. */
static int quota_limits(const struct request *rq, const struct wire_string *s, bool has_domid,
			uint16_t *ret_domid, uint32_t **ret_limits)
{
	struct domain *d;
	uint16_t domid;

	if (!has_domid) {
		*ret_domid = JOURNAL_NEW_GUESTS;
		*ret_limits = rq->c->server->quota.limit[QUOTA_GUEST];
		return 0;
	}
	if (wire_domid(s->s, s->len, &domid) < 0)
		return EINVAL;
	d = domain_for(rq, domid);
	if (!d)
		return ENOENT;
	*ret_domid = domid;
	*ret_limits = d->caller.account->limit;
	return 0;
}

static int op_get_quota(const struct request *rq)
{
	struct wire_string s[2];
	uint32_t *limits;
	uint16_t domid;
	int r, item;
	const int nr = wire_strings(rq->data, rq->len, s, ARRAY_SIZE(s));

	if (nr < 0)
		return EINVAL;
	if (nr == 0)
		return reply_quota_names(rq);
	item = quota_item_parse(s[nr - 1].s, s[nr - 1].len);
	if (item < 0)
		return EINVAL;
	r = quota_limits(rq, s, nr == 2, &domid, &limits);
	return r ? r : reply_number(rq, limits[item]);
}

static int op_set_quota(const struct request *rq)
{
	struct wire_string s[3];
	uint32_t *limits;
	uint16_t domid;
	uint64_t v;
	int r, item;
	const int nr = wire_strings(rq->data, rq->len, s, ARRAY_SIZE(s));

	if (nr < 2)
		return EINVAL;
	item = quota_item_parse(s[nr - 2].s, s[nr - 2].len);
	if (item < 0 || wire_number(s[nr - 1].s, s[nr - 1].len, UINT32_MAX, &v) < 0)
		return EINVAL;
	r = quota_limits(rq, s, nr == 3, &domid, &limits);
	if (r)
		return r;
	limits[item] = (uint32_t)v;
	state_quota(rq->c->server, domid, (unsigned int)item, (uint32_t)v);
	return ack(rq, 0);
}

/* --- the table --- */

#define PRIVILEGED 1u /* control domain only */
#define IGNORE_TX 2u  /* the transaction id means nothing, known or not */

static const struct {
	const char *name;
	unsigned int flags;
	int (*handler)(const struct request *rq); /* 0: answered; else the errno to answer with */
} ops[WIRE_TYPE_COUNT] = {
	[WIRE_CONTROL] = { "CONTROL", PRIVILEGED, control_handle },
	[WIRE_DIRECTORY] = { "DIRECTORY", 0, op_directory },
	[WIRE_READ] = { "READ", 0, op_read },
	[WIRE_GET_PERMS] = { "GET_PERMS", 0, op_get_perms },
	[WIRE_WATCH] = { "WATCH", IGNORE_TX, op_watch },
	[WIRE_UNWATCH] = { "UNWATCH", IGNORE_TX, op_unwatch },
	[WIRE_TRANSACTION_START] = { "TRANSACTION_START", 0, op_transaction_start },
	[WIRE_TRANSACTION_END] = { "TRANSACTION_END", 0, op_transaction_end },
	[WIRE_INTRODUCE] = { "INTRODUCE", PRIVILEGED, op_introduce },
	[WIRE_RELEASE] = { "RELEASE", PRIVILEGED, op_release },
	[WIRE_GET_DOMAIN_PATH] = { "GET_DOMAIN_PATH", 0, op_get_domain_path },
	[WIRE_WRITE] = { "WRITE", 0, op_write },
	[WIRE_MKDIR] = { "MKDIR", 0, op_mkdir },
	[WIRE_RM] = { "RM", 0, op_rm },
	[WIRE_SET_PERMS] = { "SET_PERMS", 0, op_set_perms },
	[WIRE_IS_DOMAIN_INTRODUCED] = { "IS_DOMAIN_INTRODUCED", PRIVILEGED,
					op_is_domain_introduced },
	[WIRE_RESUME] = { "RESUME", PRIVILEGED, op_resume },
	[WIRE_SET_TARGET] = { "SET_TARGET", PRIVILEGED, op_set_target },
	[WIRE_RESET_WATCHES] = { "RESET_WATCHES", 0, op_reset_watches },
	[WIRE_DIRECTORY_PART] = { "DIRECTORY_PART", 0, op_directory_part },
	[WIRE_GET_FEATURE] = { "GET_FEATURE", 0, op_get_feature },
	[WIRE_SET_FEATURE] = { "SET_FEATURE", PRIVILEGED, op_set_feature },
	[WIRE_GET_QUOTA] = { "GET_QUOTA", PRIVILEGED, op_get_quota },
	[WIRE_SET_QUOTA] = { "SET_QUOTA", PRIVILEGED, op_set_quota },
};

static int dispatch(struct request *rq)
{
	const struct wire_header *h = rq->h;

	if (h->type >= WIRE_TYPE_COUNT || !ops[h->type].handler)
		return ENOSYS;
	if ((ops[h->type].flags & PRIVILEGED) && !caller_of(rq)->who.control)
		return EACCES;
	if (h->tx_id && !(ops[h->type].flags & IGNORE_TX)) {
		rq->t = conn_txn(rq->c, h->tx_id);
		if (!rq->t)
			return ENOENT;
	}
	return ops[h->type].handler(rq);
}

static void trace(const struct request *rq, int error)
{
	const uint32_t type = rq->h->type;
	const bool known = type < WIRE_TYPE_COUNT && ops[type].handler;
	const size_t n = rq->len ? strnlen(rq->data, rq->len < 200 ? rq->len : 200) : 0;
	char path[201];

	for (size_t i = 0; i < n; i++) /* a client's bytes do not get to the terminal as they are */
		path[i] = rq->data[i] >= ' ' && rq->data[i] < 127 ? rq->data[i] : '?';
	path[n] = 0;
	log_info("domain %u tx %u: %s %s: %s", rq->c->domain->domid, rq->h->tx_id,
		 known ? ops[type].name : "unknown type", path,
		 error ? wire_error_name(error) : "done");
}

void ops_handle(struct conn *c, const struct wire_header *h, const char *data)
{
	struct request rq = { c, h, data, h->len, NULL };
	const int error = dispatch(&rq);

	if (c->server->trace)
		trace(&rq, error);
	if (error)
		conn_error(c, h, error);
}
