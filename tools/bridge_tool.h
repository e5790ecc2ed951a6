/* SPDX-License-Identifier: MIT */
/* What subcommands that ask xenhost-bridged itself, not through the library, have in common. */
#ifndef TOOLS_BRIDGE_TOOL_H
#define TOOLS_BRIDGE_TOOL_H

#include <stdbool.h>
#include <stdint.h>

#include <xenhost/domain.h>
#include <xenhost/xenhost.h>

#include "common/bridge_client.h"
#include "common/options.h"

struct bridge_tool {
	const char *rundir;
	bool json;
	bool printed; /* an element of the JSON list */
	xenhost_t *host;
	struct bridge_client *client;
};

/* --json and --rundir */
extern const struct option_spec bridge_tool_specs[];

/* 0, or -errno; what is wrong was printed */
int bridge_tool_open(struct bridge_tool *t);
void bridge_tool_close(struct bridge_tool *t);

/* by name or number; -ESRCH was printed */
int bridge_tool_domain(struct bridge_tool *t, const char *which,
		       struct xenhost_domain_info *ret_info);
/* the name of a domain, its number when it has none; valid until the next call */
const char *bridge_tool_name(struct bridge_tool *t, uint16_t domid);

/* bridge_client_call(), of which an error is printed as "cannot WHAT: ..." */
int bridge_tool_ask(struct bridge_tool *t, const char *what, bridge_frame *frame,
		    Bridge__Frame__BodyCase expect, struct bridge_message *ret_answer);

/* what stands before the next element of the JSON list: "[" or a comma */
void bridge_tool_list_item(struct bridge_tool *t);

/* A list that bridged gives in parts, domain by domain. */
struct bridge_tool_list {
	const char *heading; /* of the columns, with its newline */
	bool guests_only;
	/* prints the part that begins with number *next, which becomes the next part's; not growing: the end */
	int (*part)(struct bridge_tool *t, const struct xenhost_domain_info *info, uint32_t *next);
};

/* of one domain, or of all when `which` is NULL; as a table or as JSON */
int bridge_tool_list(struct bridge_tool *t, const struct bridge_tool_list *list, const char *which);

#endif
