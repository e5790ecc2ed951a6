/* SPDX-License-Identifier: MIT */
/* xenhost evtchn list: the event channels that cross domains. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/options.h"
#include "tools/bridge_tool.h"
#include "tools/commands.h"
#include "tools/json.h"

static const char *state_name(const Bridge__PortInfo *p)
{
	static const char *const names[] = { "unknown", "unbound", "interdomain", "dead" };

	return (size_t)p->state < ARRAY_SIZE(names) ? names[p->state] : names[0];
}

static void print_json(struct bridge_tool *t, const struct xenhost_domain_info *d,
		       const Bridge__PortInfo *p)
{
	bridge_tool_list_item(t);
	printf("{\"domid\": %u, \"name\": ", d->domid);
	json_string(stdout, d->name);
	printf(", \"port\": %u, \"state\": \"%s\", \"remote_domid\": %u, \"remote_name\": ",
	       p->port, state_name(p), p->remote_domid);
	json_string(stdout, bridge_tool_name(t, (uint16_t)p->remote_domid));
	printf(", \"remote_port\": %u}", p->remote_port);
}

static void print_row(struct bridge_tool *t, const struct xenhost_domain_info *d,
		      const Bridge__PortInfo *p)
{
	printf("%-20s %6u  %-12s %-20s", d->name, p->port, state_name(p),
	       bridge_tool_name(t, (uint16_t)p->remote_domid));
	if (p->state == BRIDGE__PORT_INFO__STATE__INTERDOMAIN)
		printf(" %6u", p->remote_port);
	printf("\n");
}

static int list_part(struct bridge_tool *t, const struct xenhost_domain_info *d, uint32_t *next)
{
	Bridge__PortQuery query = BRIDGE__PORT_QUERY__INIT;
	bridge_frame frame = BRIDGE__FRAME__INIT;
	struct bridge_message answer;
	const Bridge__PortList *list;
	int r;

	query.domid = d->domid;
	query.from = *next;
	frame.body_case = BRIDGE__FRAME__BODY_PORT_QUERY;
	frame.port_query = &query;
	r = bridge_tool_ask(t, "list ports", &frame, BRIDGE__FRAME__BODY_PORT_LIST, &answer);
	if (r < 0)
		return r;
	list = answer.frame->port_list;
	for (size_t i = 0; i < list->n_ports; i++)
		if (t->json)
			print_json(t, d, list->ports[i]);
		else
			print_row(t, d, list->ports[i]);
	*next = list->next;
	bridge_message_fini(&answer);
	return 0;
}

static const struct bridge_tool_list ports = {
	.heading = "domain                 port  state        with                   port\n",
	.part = list_part,
};

int cmd_evtchn(int argc, char **argv)
{
	static const struct options options = {
		.program = "xenhost evtchn",
		.operands = "list [DOMAIN]",
		.purpose = "Shows the event channels that cross domains.",
		.page = "xenhost-evtchn(1)",
	};
	struct bridge_tool t = { 0 };
	const struct option_table table = { bridge_tool_specs, &t };
	int i = options_parse(&options, argc, argv, &table, 1), left = argc - i, r;

	if (i <= 0)
		return i < 0 ? EXIT_USAGE : 0;
	if (left < 1 || left > 2 || strcmp(argv[i], "list") != 0) {
		log_error("evtchn takes list and perhaps a domain; xenhost evtchn --help");
		return EXIT_USAGE;
	}
	r = bridge_tool_open(&t);
	if (r == 0)
		r = bridge_tool_list(&t, &ports, left > 1 ? argv[i + 1] : NULL);
	bridge_tool_close(&t);
	return r < 0 ? 1 : 0;
}
