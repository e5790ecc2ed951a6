/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "xenstored/conn.h"
#include "xenstored/control.h"
#include "xenstored/domain.h"
#include "xenstored/live.h"
#include "xenstored/ops.h"
#include "xenstored/server.h"
#include "xenstored/sock.h"
#include "xenstored/state.h"
#include "xenstored/stream_wire.h"
#include "xenstored/transfer.h"

#define ARGS_MAX 8

/* one command: args[0] is its name */
struct command {
	const struct request *rq;
	struct server *s;
	const struct wire_string *args;
	int nr;
};

/* an answer of several lines; what does not fit is cut */
struct text {
	char buf[WIRE_PAYLOAD_MAX];
	size_t len;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *t, const char *fmt, ...)
{
	const size_t room = sizeof(t->buf) - t->len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->buf + t->len, room, fmt, ap);
	va_end(ap);
	if (n > 0)
		t->len += (size_t)n < room ? (size_t)n : room - 1;
}

static int reply(const struct command *cmd, const struct text *t)
{
	conn_reply(cmd->rq->c, cmd->rq->h, t->buf, t->len + 1);
	return 0;
}

static int ok(const struct command *cmd)
{
	conn_ack(cmd->rq->c, cmd->rq->h);
	return 0;
}

static bool arg_is(const struct command *cmd, int i, const char *s)
{
	return i < cmd->nr && !strcmp(cmd->args[i].s, s);
}

static int do_check(const struct command *cmd)
{
	struct text t = { .len = 0 };

	store_check(&cmd->s->store, t.buf, sizeof(t.buf));
	if (!t.buf[0])
		return ok(cmd);
	log_error("check: %s", t.buf);
	t.len = strlen(t.buf);
	return reply(cmd, &t);
}

static int do_log(const struct command *cmd)
{
	struct text t = { .len = 0 };

	if (cmd->nr > 2)
		return EINVAL;
	if (cmd->nr == 1) {
		add(&t, "requests: %s\n", cmd->s->trace ? "on" : "off");
		return reply(cmd, &t);
	}
	if (!arg_is(cmd, 1, "on") && !arg_is(cmd, 1, "off"))
		return EINVAL;
	cmd->s->trace = arg_is(cmd, 1, "on");
	return ok(cmd);
}

static int do_print(const struct command *cmd)
{
	if (cmd->nr != 2)
		return EINVAL;
	for (const char *c = cmd->args[1].s; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			return EINVAL; /* no lines that look like ours */
	log_info("control: %s", cmd->args[1].s);
	return ok(cmd);
}

static void add_limits(struct text *t, const uint32_t *limits)
{
	for (int i = 0; i < QUOTA_ITEMS; i++)
		add(t, "%-17s: %8u\n", quota_name((enum quota_item)i), limits[i]);
}

static int quota_domain(const struct command *cmd)
{
	struct text t = { .len = 0 };
	const struct account *a;
	struct domain *d;
	uint16_t domid;

	if (wire_domid(cmd->args[1].s, cmd->args[1].len, &domid) < 0)
		return EINVAL;
	d = domain_find(cmd->s, domid);
	if (!d)
		return ENOENT;
	a = d->caller.account;
	add(&t, "Domain %u:\n", domid);
	for (int i = 0; i < QUOTA_ITEMS; i++) {
		add(&t, "%-17s: %8" PRIu64, quota_name((enum quota_item)i),
		    account_used(a, (enum quota_item)i));
		if (a->limit[i])
			add(&t, " of %u\n", a->limit[i]);
		else
			add(&t, "\n");
	}
	return reply(cmd, &t);
}

static int quota_max(const struct command *cmd)
{
	struct text t = { .len = 0 };

	if (cmd->nr > 3 || (cmd->nr == 3 && !arg_is(cmd, 2, "-r")))
		return EINVAL;
	add(&t, "Max. seen accounting values:\n");
	add_limits(&t, cmd->s->quota.max_seen);
	if (cmd->nr == 3)
		memset(cmd->s->quota.max_seen, 0, sizeof(cmd->s->quota.max_seen));
	return reply(cmd, &t);
}

/* soft: quota-soft, which has one item under its plain name */
static int quota_set(const struct command *cmd, bool soft)
{
	uint64_t v;
	int item;

	if (cmd->nr != 4)
		return EINVAL;
	item = quota_item_parse(cmd->args[2].s, cmd->args[2].len);
	if (soft)
		item = item == QUOTA_MEMORY ? QUOTA_SOFT_MEMORY : -EINVAL;
	if (item < 0 || wire_number(cmd->args[3].s, cmd->args[3].len, UINT32_MAX, &v) < 0 || !v)
		return EINVAL;
	cmd->s->quota.limit[QUOTA_GUEST][item] = (uint32_t)v;
	state_quota(cmd->s, JOURNAL_NEW_GUESTS, (unsigned int)item, (uint32_t)v);
	return ok(cmd);
}

static int do_quota(const struct command *cmd)
{
	struct text t = { .len = 0 };

	if (arg_is(cmd, 1, "set"))
		return quota_set(cmd, false);
	if (arg_is(cmd, 1, "max"))
		return quota_max(cmd);
	if (cmd->nr == 2)
		return quota_domain(cmd);
	if (cmd->nr != 1)
		return EINVAL;
	add(&t, "Quota of new guests (0: none):\n");
	add_limits(&t, cmd->s->quota.limit[QUOTA_GUEST]);
	return reply(cmd, &t);
}

static int do_quota_soft(const struct command *cmd)
{
	struct text t = { .len = 0 };

	if (arg_is(cmd, 1, "set"))
		return quota_set(cmd, true);
	if (cmd->nr != 1)
		return EINVAL;
	add(&t, "%-17s: %8u\n", quota_name(QUOTA_MEMORY),
	    cmd->s->quota.limit[QUOTA_GUEST][QUOTA_SOFT_MEMORY]);
	return reply(cmd, &t);
}

static int do_memreport(const struct command *cmd)
{
	const struct server *s = cmd->s;
	size_t conns = 0, in = 0, out = 0, txns = 0;
	struct text t = { .len = 0 };
	struct conn *c;
	struct txn *x;

	if (cmd->nr != 1)
		return EINVAL;
	list_for_each(c, &s->conns, of_server) {
		conns++;
		in += c->in.size;
		out += c->out.size;
	}
	list_for_each(x, &s->store.txns, of_store)
		txns++;
	add(&t, "nodes:        %zu bytes\n", s->store.heap.bytes);
	add(&t, "watches:      %zu\n", s->watches.watches.nr);
	add(&t, "transactions: %zu open\n", txns);
	add(&t, "connections:  %zu, %zu bytes unfinished input, %zu bytes unread output\n", conns,
	    in, out);
	return reply(cmd, &t);
}

/* -s [-t SECONDS] [-F] [-v VERSION]: nothing has to be waited for, so nothing of that changes anything. */
static bool good_start_options(const struct command *cmd)
{
	for (int i = 2; i < cmd->nr; i++) {
		uint64_t v;

		if (arg_is(cmd, i, "-F"))
			continue;
		if ((!arg_is(cmd, i, "-t") && !arg_is(cmd, i, "-v")) || ++i == cmd->nr ||
		    wire_number(cmd->args[i].s, cmd->args[i].len, UINT32_MAX, &v) < 0)
			return false;
	}
	return true;
}

static int do_live_update(const struct command *cmd)
{
	struct conn *c = cmd->rq->c;
	struct text t = { .len = 0 };
	bool answered = false;
	const char *answer;

	if (arg_is(cmd, 1, "-a") && cmd->nr == 2)
		answer = live_abort(cmd->s, c);
	else if (arg_is(cmd, 1, "-f") && cmd->nr == 3)
		answer = live_program(cmd->s, c, cmd->args[2].s);
	else if (arg_is(cmd, 1, "-c") && cmd->nr == 3)
		answer = live_arguments(cmd->s, c, cmd->args[2].s);
	else if (arg_is(cmd, 1, "-s") && good_start_options(cmd))
		answer = live_start(cmd->s, c, cmd->rq->h, &answered);
	else
		return EINVAL;
	if (answered)
		return 0;
	if (!answer)
		return ok(cmd);
	add(&t, "%s", answer);
	return reply(cmd, &t);
}

/* put is no string: control_handle() sees to it */
static int do_stream(const struct command *cmd)
{
	struct text t = { .len = 0 };
	struct conn *c = cmd->rq->c;
	uint64_t v = STREAM_VERSION_MAX;
	const char *piece = NULL;
	size_t len = 0;
	int r;

	if (cmd->nr == 3 && wire_number(cmd->args[2].s, cmd->args[2].len, INT64_MAX, &v) < 0)
		return EINVAL;
	if (arg_is(cmd, 1, "get") && cmd->nr == 3) {
		r = transfer_get(cmd->s, c, v, &piece, &len);
		if (!r)
			conn_reply(c, cmd->rq->h, piece, len);
		return r;
	}
	if (arg_is(cmd, 1, "out") && cmd->nr <= 3 && v && v <= STREAM_VERSION_MAX)
		r = transfer_out(cmd->s, c, (uint32_t)v, t.buf, sizeof(t.buf));
	else if (arg_is(cmd, 1, "in") && cmd->nr == 2)
		r = transfer_in(cmd->s, c, t.buf, sizeof(t.buf));
	else
		return EINVAL;
	if (r)
		return r;
	t.len = strlen(t.buf);
	return t.len ? reply(cmd, &t) : ok(cmd);
}

static int stream_put(const struct request *rq, size_t at)
{
	const int r = transfer_put(rq->c->server, rq->c, rq->data + at, rq->len - at);

	if (!r)
		conn_ack(rq->c, rq->h);
	return r;
}

/* A line for each connection behind that number, as many as fit. */
static int do_top(const struct command *cmd)
{
	struct text t = { .len = 0 };
	const struct conn *c;
	uint64_t behind = 0;

	if (cmd->nr > 2 || (cmd->nr == 2 && wire_number(cmd->args[1].s, cmd->args[1].len,
							UINT64_MAX / 2, &behind) < 0))
		return EINVAL;
	list_for_each(c, &cmd->s->conns, of_server) {
		unsigned int txns = 0;
		const struct txn *x;

		if (c->dead || c->number <= behind)
			continue;
		if (t.len + 160 > sizeof(t.buf))
			break;
		list_for_each(x, &c->txns, of_owner)
			txns++;
		add(&t, "%" PRIu64 " %u %d %" PRIu64 " %" PRIu64 " %zu %u %u\n", c->number,
		    c->domain->domid, sock_pid(c), c->nr_requests, c->nr_events, c->out.len,
		    c->watches.nr, txns);
	}
	return reply(cmd, &t);
}

static int do_help(const struct command *cmd);

static const struct {
	const char *name, *args, *help;
	int (*fn)(const struct command *cmd);
} commands[] = {
	{ "check", "", "count the store and compare with the accounts", do_check },
	{ "help", "", "this text", do_help },
	{ "live-update", "-f <file>|-c <args>|-s|-a", "another program in place of this one",
	  do_live_update },
	{ "log", "[on|off]", "log every request", do_log },
	{ "memreport", "", "memory in use", do_memreport },
	{ "print", "<text>", "write a line to the log", do_print },
	{ "quota", "[<domid>|set <name> <value>|max [-r]]", "limits of new guests, use of a domain",
	  do_quota },
	{ "quota-soft", "[set memory <value>]", "limit that is only reported", do_quota_soft },
	{ "stream", "out [<version>]|get <offset>|put <bytes>|in", "migration stream, in pieces",
	  do_stream },
	{ "top", "[<number>]",
	  "connections behind that: number domain process requests events unread watches txns",
	  do_top },
};

static int do_help(const struct command *cmd)
{
	struct text t = { .len = 0 };

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		add(&t, "%-10s %-38s %s\n", commands[i].name, commands[i].args, commands[i].help);
	return reply(cmd, &t);
}

int control_handle(const struct request *rq)
{
	static const char put[] = "stream\0put"; /* and a NUL */
	struct wire_string args[ARGS_MAX];
	const int nr = wire_strings(rq->data, rq->len, args, ARRAY_SIZE(args));
	const struct command cmd = { rq, rq->c->server, args, nr };

	if (rq->len > sizeof(put) && !memcmp(rq->data, put, sizeof(put)))
		return stream_put(rq, sizeof(put));
	if (nr < 1)
		return EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (arg_is(&cmd, 0, commands[i].name))
			return commands[i].fn(&cmd);
	return EINVAL;
}
