/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bridge.h"
#include "common/log.h"
#include "tools/bridge_tool.h"
#include "tools/connect.h"

static int set_rundir(void *data, const char *value)
{
	((struct bridge_tool *)data)->rundir = value;
	return 0;
}

static int set_json(void *data, const char *value)
{
	((struct bridge_tool *)data)->json = true;
	return 0;
}

const struct option_spec bridge_tool_specs[] = {
	{ "json", NULL, "print JSON, for scripts", set_json },
	{ "rundir", "DIR", "run directory of xenhost-bridged (default: the system's)", set_rundir },
	{ NULL, NULL, NULL, NULL },
};

int bridge_tool_open(struct bridge_tool *t)
{
	char path[256];
	int r = connect_host(t->rundir, &t->host);

	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "%s/" BRIDGE_SOCKET_TOOL, connect_rundir(t->rundir));
	r = bridge_client_open(path, "xenhost", &t->client);
	if (r < 0)
		log_error("cannot reach xenhost-bridged at %s: %s", path, strerror(-r));
	return r;
}

void bridge_tool_close(struct bridge_tool *t)
{
	bridge_client_close(t->client);
	xenhost_close(t->host);
}

int bridge_tool_domain(struct bridge_tool *t, const char *which,
		       struct xenhost_domain_info *ret_info)
{
	unsigned long long domid;
	int r;

	if (options_number(which, 0, 32767, &domid) == 0)
		r = xenhost_domain_info(t->host, (uint16_t)domid, ret_info);
	else
		r = xenhost_domain_by_name(t->host, which, ret_info);
	if (r < 0)
		connect_no_domain("domain", which, r);
	return r;
}

struct snapshot {
	struct xenhost_domain_info *infos;
	size_t n;
	bool full; /* of memory */
};

static void on_domain(xenhost_t *host, const struct xenhost_domain_info *info, void *data)
{
	struct snapshot *s = data;
	struct xenhost_domain_info *more;

	if (info->state == XENHOST_DOMAIN_GONE)
		return;
	more = reallocarray(s->infos, s->n + 1, sizeof(*more));
	if (!more) {
		s->full = true;
		return;
	}
	s->infos = more;
	s->infos[s->n++] = *info;
}

/* The snapshot is queued by bridged before it answers anything that we ask later: our own domain. */
static int take_snapshot(struct bridge_tool *t, struct snapshot *s)
{
	struct xenhost_domain_info self;
	int r = xenhost_domain_watch(t->host, on_domain, s);

	if (r == 0)
		r = xenhost_domain_info(t->host, xenhost_domid(t->host), &self);
	if (r < 0)
		return r;
	do
		r = xenhost_process(t->host);
	while (r > 0);
	(void)xenhost_domain_watch(t->host, NULL, NULL);
	return s->full ? -ENOMEM : r;
}

static int list_domain(struct bridge_tool *t, const struct bridge_tool_list *list,
		       const struct xenhost_domain_info *info)
{
	uint32_t next = 0, at;
	int r;

	if (list->guests_only && info->kind != XENHOST_DOMAIN_GUEST)
		return 0;
	do {
		at = next;
		r = list->part(t, info, &next);
	} while (r == 0 && next > at);
	return r;
}

static int list_all(struct bridge_tool *t, const struct bridge_tool_list *list)
{
	struct snapshot s = { 0 };
	int r = take_snapshot(t, &s);

	if (r < 0)
		log_error("cannot list the domains: %s", strerror(-r));
	for (size_t i = 0; i < s.n && r >= 0; i++)
		r = list_domain(t, list, &s.infos[i]);
	free(s.infos);
	return r < 0 ? r : 0;
}

int bridge_tool_list(struct bridge_tool *t, const struct bridge_tool_list *list, const char *which)
{
	struct xenhost_domain_info info;
	int r = which ? bridge_tool_domain(t, which, &info) : 0;

	if (r < 0)
		return r;
	if (!t->json)
		fputs(list->heading, stdout);
	r = which ? list_domain(t, list, &info) : list_all(t, list);
	if (t->json)
		printf(t->printed ? "]\n" : "[]\n");
	return r;
}

const char *bridge_tool_name(struct bridge_tool *t, uint16_t domid)
{
	static struct xenhost_domain_info info;

	if (info.domid == domid && *info.name)
		return info.name;
	if (xenhost_domain_info(t->host, domid, &info) < 0) {
		info.domid = domid;
		snprintf(info.name, sizeof(info.name), "%u", domid);
	}
	return info.name;
}

int bridge_tool_ask(struct bridge_tool *t, const char *what, bridge_frame *frame,
		    Bridge__Frame__BodyCase expect, struct bridge_message *ret_answer)
{
	int r = bridge_client_call(t->client, frame, NULL, 0, expect, ret_answer);
	const char *why = bridge_client_why(t->client);

	if (r < 0)
		log_error("cannot %s: %s%s%s", what, strerror(-r), *why ? ": " : "", why);
	return r;
}

void bridge_tool_list_item(struct bridge_tool *t)
{
	printf(t->printed ? ",\n " : "[");
	t->printed = true;
}
