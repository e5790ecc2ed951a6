/* SPDX-License-Identifier: MIT */
/* xenhost grant list|settle: what guests grant to whom, and who uses it. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/options.h"
#include "common/xen.h"
#include "tools/bridge_tool.h"
#include "tools/commands.h"
#include "tools/json.h"

static const char *use_name(uint32_t flags)
{
	if (flags & GTF_writing)
		return "writing";
	return flags & GTF_reading ? "reading" : "no";
}

static const char *kind_name(uint32_t flags)
{
	switch (flags & GTF_type_mask) {
	case GTF_permit_access:
		return flags & GTF_readonly ? "read-only" : "read-write";
	case GTF_accept_transfer:
		return "transfer";
	default:
		return "transitive";
	}
}

static void print_json(struct bridge_tool *t, const struct xenhost_domain_info *guest,
		       const Bridge__GrantInfo *g)
{
	bridge_tool_list_item(t);
	printf("{\"guest\": %u, \"guest_name\": ", guest->domid);
	json_string(stdout, guest->name);
	printf(", \"gref\": %u, \"frame\": %u, \"access\": \"%s\", \"to\": %u, \"to_name\": ",
	       g->gref, g->frame, kind_name(g->flags), g->domid);
	json_string(stdout, bridge_tool_name(t, (uint16_t)g->domid));
	printf(", \"in_use\": \"%s\"}", use_name(g->flags));
}

static void print_row(struct bridge_tool *t, const struct xenhost_domain_info *guest,
		      const Bridge__GrantInfo *g)
{
	printf("%-20s %7u  %#10x  %-10s  %-20s %s\n", guest->name, g->gref, g->frame,
	       kind_name(g->flags), bridge_tool_name(t, (uint16_t)g->domid), use_name(g->flags));
}

static int list_part(struct bridge_tool *t, const struct xenhost_domain_info *guest, uint32_t *next)
{
	Bridge__GrantQuery query = BRIDGE__GRANT_QUERY__INIT;
	bridge_frame frame = BRIDGE__FRAME__INIT;
	struct bridge_message answer;
	const Bridge__GrantList *list;
	int r;

	query.domid = guest->domid;
	query.from = *next;
	frame.body_case = BRIDGE__FRAME__BODY_GRANT_QUERY;
	frame.grant_query = &query;
	r = bridge_tool_ask(t, "list grants", &frame, BRIDGE__FRAME__BODY_GRANT_LIST, &answer);
	if (r < 0)
		return r;
	list = answer.frame->grant_list;
	for (size_t i = 0; i < list->n_grants; i++)
		if (t->json)
			print_json(t, guest, list->grants[i]);
		else
			print_row(t, guest, list->grants[i]);
	*next = list->next;
	bridge_message_fini(&answer);
	return 0;
}

static const struct bridge_tool_list grants = {
	.heading =
		"guest                   gref       frame  access      granted to           in use\n",
	.guests_only = true,
	.part = list_part,
};

static int settle(struct bridge_tool *t, const char *guest, const char *service)
{
	Bridge__GrantSettle msg = BRIDGE__GRANT_SETTLE__INIT;
	bridge_frame frame = BRIDGE__FRAME__INIT;
	struct xenhost_domain_info of, to;
	struct bridge_message answer;
	int r = bridge_tool_domain(t, guest, &of);

	if (r == 0)
		r = bridge_tool_domain(t, service, &to);
	if (r < 0)
		return r;
	msg.domid = of.domid;
	msg.to_domid = to.domid;
	frame.body_case = BRIDGE__FRAME__BODY_GRANT_SETTLE;
	frame.grant_settle = &msg;
	r = bridge_tool_ask(t, "settle grants", &frame, BRIDGE__FRAME__BODY_GRANT_SETTLED, &answer);
	if (r < 0)
		return r;
	printf(t->json ? "{\"grants\": %u}\n" : "%u grants unmarked\n",
	       answer.frame->grant_settled->grants);
	bridge_message_fini(&answer);
	return 0;
}

static int run(struct bridge_tool *t, int argc, char **argv)
{
	if (!strcmp(argv[0], "list"))
		return bridge_tool_list(t, &grants, argc > 1 ? argv[1] : NULL);
	return settle(t, argv[1], argv[2]);
}

int cmd_grant(int argc, char **argv)
{
	static const struct options options = {
		.program = "xenhost grant",
		.operands = "list [GUEST] | settle GUEST SERVICE",
		.purpose = "Shows what guests grant to whom, and who has it in use.",
		.page = "xenhost-grant(1)",
	};
	struct bridge_tool t = { 0 };
	const struct option_table table = { bridge_tool_specs, &t };
	int i = options_parse(&options, argc, argv, &table, 1), left = argc - i, r;

	if (i <= 0)
		return i < 0 ? EXIT_USAGE : 0;
	if (!(left >= 1 && left <= 2 && !strcmp(argv[i], "list")) &&
	    !(left == 3 && !strcmp(argv[i], "settle"))) {
		log_error("grant takes list and perhaps a guest, or settle, a guest and a service; "
			  "xenhost grant --help");
		return EXIT_USAGE;
	}
	r = bridge_tool_open(&t);
	if (r == 0)
		r = run(&t, left, argv + i);
	bridge_tool_close(&t);
	return r < 0 ? 1 : 0;
}
