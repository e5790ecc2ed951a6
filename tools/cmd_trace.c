/* SPDX-License-Identifier: MIT */
/*
 * xenhost trace bridge: the messages between xenhost-bridged and everybody else, as they go by; xenhost trace NAME:
 * what changes about one guest (trace_guest.h).
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/options.h"
#include "tools/bridge_tool.h"
#include "tools/commands.h"
#include "tools/json.h"
#include "tools/trace_guest.h"

struct trace_command {
	struct bridge_tool tool;
	unsigned long long left; /* messages, 0: without end */
};

static int set_count(void *data, const char *value)
{
	return options_number(value, 1, 1000000000, &((struct trace_command *)data)->left);
}

static const struct option_spec specs[] = {
	{ "count", "N", "end after so many messages or changes", set_count },
	{ NULL, NULL, NULL, NULL },
};

static const char *body_name(uint32_t body)
{
	const ProtobufCFieldDescriptor *field =
		protobuf_c_message_descriptor_get_field(&bridge__frame__descriptor, body);

	if (body == 0)
		return "done";
	return field ? field->name : "unknown";
}

/* what a message is, as seen from bridged's peer */
static const char *direction(const Bridge__TraceLine *line)
{
	if (line->from_peer)
		return "asks";
	return line->id ? "answer" : "event";
}

static void print_json(struct timespec now, const Bridge__TraceLine *line)
{
	printf("{\"time\": %lld.%06ld, \"connection\": %llu, \"socket\": ", (long long)now.tv_sec,
	       now.tv_nsec / 1000, (unsigned long long)line->connection);
	json_string(stdout, line->socket);
	printf(", \"client\": ");
	json_string(stdout, line->client);
	printf(", \"what\": \"%s\", \"id\": %u, \"message\": \"%s\", \"error\": %d, "
	       "\"descriptors\": %u, \"lost\": %u}\n",
	       direction(line), line->id, body_name(line->body), line->error, line->descriptors,
	       line->lost);
}

static void print_row(struct timespec now, const Bridge__TraceLine *line)
{
	if (line->lost)
		printf("(%u messages were lost here: they came faster than they could be shown)\n",
		       line->lost);
	printf("%lld.%06ld %s/%llu %s %s #%u %s", (long long)now.tv_sec, now.tv_nsec / 1000,
	       line->socket, (unsigned long long)line->connection,
	       *line->client ? line->client : "?", direction(line), line->id,
	       body_name(line->body));
	if (line->error)
		printf(": %s", strerror(line->error));
	if (line->descriptors)
		printf(" + %u descriptors", line->descriptors);
	printf("\n");
}

static void print(const struct bridge_tool *t, const Bridge__TraceLine *line)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (t->json)
		print_json(now, line);
	else
		print_row(now, line);
}

/* 1 go on, 0 enough, -errno */
static int print_waiting(struct trace_command *c)
{
	struct bridge_message event;
	int r;

	while ((r = bridge_client_event(c->tool.client, &event)) > 0) {
		bool line = event.frame->body_case == BRIDGE__FRAME__BODY_TRACE_LINE;

		if (line)
			print(&c->tool, event.frame->trace_line);
		bridge_message_fini(&event);
		if (line && c->left && --c->left == 0)
			return 0;
	}
	return r < 0 ? r : 1;
}

static int follow(struct trace_command *c)
{
	struct pollfd p[2] = { { .events = POLLIN }, { .events = POLLIN } };
	_cleanup_close_ int signals = -1;
	sigset_t set;
	int r = 1;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (signals < 0)
		return -errno;
	p[0].fd = bridge_client_fd(c->tool.client);
	p[1].fd = signals;
	while (r > 0) {
		fflush(stdout);
		if (ferror(stdout))
			return 0; /* nobody reads it any more */
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return -errno;
		if (p[1].revents)
			return 0;
		r = print_waiting(c);
	}
	fflush(stdout);
	if (r < 0)
		log_error("xenhost-bridged is gone: %s", strerror(-r));
	return r;
}

static int trace(struct trace_command *c)
{
	Bridge__Trace msg = BRIDGE__TRACE__INIT;
	bridge_frame frame = BRIDGE__FRAME__INIT;
	int r;

	frame.body_case = BRIDGE__FRAME__BODY_TRACE;
	frame.trace = &msg;
	r = bridge_tool_ask(&c->tool, "trace", &frame, BRIDGE__FRAME__BODY__NOT_SET, NULL);
	return r < 0 ? r : follow(c);
}

int cmd_trace(int argc, char **argv)
{
	static const struct options options = {
		.program = "xenhost trace",
		.operands = "bridge | NAME-OR-DOMID",
		.purpose =
			"Shows the messages between xenhost-bridged and its peers, or what changes about a guest.",
		.page = "xenhost-trace(1)",
	};
	struct trace_command c = { 0 };
	const struct option_table tables[] = { { specs, &c }, { bridge_tool_specs, &c.tool } };
	int i = options_parse(&options, argc, argv, tables, ARRAY_SIZE(tables)), r;

	if (i <= 0)
		return i < 0 ? EXIT_USAGE : 0;
	if (argc - i != 1) {
		log_error(
			"trace takes what is to be traced, bridge or a guest; xenhost trace --help");
		return EXIT_USAGE;
	}
	r = bridge_tool_open(&c.tool);
	if (r == 0 && !strcmp(argv[i], "bridge"))
		r = trace(&c);
	else if (r == 0)
		r = trace_guest(&c.tool, argv[i], c.left);
	bridge_tool_close(&c.tool);
	return r < 0 ? 1 : 0;
}
