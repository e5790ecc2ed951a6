/* SPDX-License-Identifier: MIT */
/* xenhost domain: shows the domains that xenhost-bridged knows, and commands guests. */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xenhost/domain.h>
#include <xenhost/store.h>
#include <xenhost/xenhost.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/options.h"
#include "tools/commands.h"
#include "tools/connect.h"
#include "tools/domain_show.h"

struct domain_command {
	const char *rundir;
	bool json;
	xenhost_t *host;
	unsigned int printed;
};

static int set_rundir(void *data, const char *value)
{
	((struct domain_command *)data)->rundir = value;
	return 0;
}

static int set_json(void *data, const char *value)
{
	((struct domain_command *)data)->json = true;
	return 0;
}

static const struct option_spec specs[] = {
	{ "json", NULL, "print JSON, for scripts", set_json },
	{ "rundir", "DIR", "run directory of xenhost-bridged (default: the system's)", set_rundir },
	{ NULL, NULL, NULL, NULL },
};

static void print_row(const struct xenhost_domain_info *info)
{
	const bool over =
		info->state == XENHOST_DOMAIN_SHUTDOWN || info->state == XENHOST_DOMAIN_GONE;
	const char *reason = over ? domain_reason_name(info) : "";

	printf("%6u  %-24s %-8s %8llu  %s%s%s\n", info->domid, info->name, domain_kind_name(info),
	       (unsigned long long)(info->memory_bytes >> 20), domain_state_name(info),
	       *reason ? ": " : "", reason);
}

static void on_domain(xenhost_t *host, const struct xenhost_domain_info *info, void *data)
{
	struct domain_command *c = data;

	if (info->state == XENHOST_DOMAIN_GONE)
		return;
	if (c->json) {
		printf("%s", c->printed ? ",\n " : "");
		domain_print_json(info);
	} else {
		print_row(info);
	}
	c->printed++;
}

/* The snapshot is queued by bridged before it answers anything that we ask later: our own domain. */
static int list(struct domain_command *c, const char *which)
{
	struct xenhost_domain_info self;
	int r = xenhost_domain_watch(c->host, on_domain, c);

	if (r == 0)
		r = xenhost_domain_info(c->host, xenhost_domid(c->host), &self);
	if (r < 0) {
		log_error("cannot list the domains: %s", strerror(-r));
		return r;
	}
	printf(c->json ? "[" : " domid  name                     kind          MiB  state\n");
	do
		r = xenhost_process(c->host);
	while (r > 0);
	if (c->json)
		printf("]\n");
	return r;
}

/* Every change that comes, a line each, until we are ended. */
static void on_change(xenhost_t *host, const struct xenhost_domain_info *info, void *data)
{
	struct domain_command *c = data;

	if (c->json) {
		domain_print_json(info);
		printf("\n");
	} else {
		print_row(info);
	}
	fflush(stdout);
}

static int watch(struct domain_command *c, const char *which)
{
	int r = xenhost_domain_watch(c->host, on_change, c);

	while (r >= 0) {
		struct pollfd pfd = { .fd = xenhost_get_fd(c->host), .events = POLLIN };

		if (poll(&pfd, 1, -1) < 0 && errno != EINTR)
			r = -errno;
		else
			r = xenhost_process(c->host);
	}
	log_error("cannot watch the domains: %s", strerror(-r));
	return r;
}

/* what guests that know Xen's control/shutdown do by themselves */
static int ask(struct domain_command *c, const char *which, const char *what)
{
	struct xenhost_domain_info found;
	char node[64];
	int r = domain_find(c->host, which, &found);

	if (r < 0)
		return r;
	snprintf(node, sizeof(node), "/local/domain/%u/control/shutdown", found.domid);
	r = xenhost_store_write(c->host, 0, node, what, strlen(what));
	if (r < 0)
		log_error("cannot ask domain %u to %s: %s", found.domid, what, strerror(-r));
	return r;
}

static int shutdown_guest(struct domain_command *c, const char *which)
{
	return ask(c, which, "poweroff");
}

static int reboot_guest(struct domain_command *c, const char *which)
{
	return ask(c, which, "reboot");
}

static int control(struct domain_command *c, const char *which, const char *what,
		   int (*fn)(xenhost_t *host, uint16_t domid))
{
	struct xenhost_domain_info found;
	int r = domain_find(c->host, which, &found);

	if (r < 0)
		return r;
	r = fn(c->host, found.domid);
	if (r < 0)
		log_error("cannot %s domain %u: %s%s", what, found.domid, strerror(-r),
			  r == -ESRCH ? "; only guests can be told" : "");
	return r;
}

static int pause_guest(struct domain_command *c, const char *which)
{
	return control(c, which, "pause", xenhost_domain_pause);
}

static int unpause_guest(struct domain_command *c, const char *which)
{
	return control(c, which, "unpause", xenhost_domain_unpause);
}

static int destroy_guest(struct domain_command *c, const char *which)
{
	return control(c, which, "destroy", xenhost_domain_destroy);
}

static int info(struct domain_command *c, const char *which)
{
	struct xenhost_domain_info found;
	int r = domain_find(c->host, which, &found);

	if (r < 0)
		return r;
	if (!c->json) {
		domain_print_all(&found);
		return 0;
	}
	domain_print_json(&found);
	printf("\n");
	return 0;
}

static const struct {
	const char *name;
	bool takes_domain;
	int (*run)(struct domain_command *c, const char *which);
} actions[] = {
	{ "list", false, list },
	{ "watch", false, watch },
	{ "info", true, info },
	{ "pause", true, pause_guest },
	{ "unpause", true, unpause_guest },
	{ "shutdown", true, shutdown_guest },
	{ "reboot", true, reboot_guest },
	{ "destroy", true, destroy_guest },
};

/* index in actions, or -EINVAL */
static int find_action(int nr_words, char **words)
{
	for (size_t i = 0; nr_words && i < ARRAY_SIZE(actions); i++)
		if (!strcmp(words[0], actions[i].name) &&
		    nr_words == (actions[i].takes_domain ? 2 : 1))
			return (int)i;
	return -EINVAL;
}

int cmd_domain(int argc, char **argv)
{
	static const struct options options = {
		.program = "xenhost domain",
		.operands =
			"list | watch | {info|pause|unpause|shutdown|reboot|destroy} NAME-OR-DOMID",
		.purpose = "Shows the domains of this host and commands guests.",
		.page = "xenhost-domain(1)",
	};
	struct domain_command c = { 0 };
	const struct option_table table = { specs, &c };
	int i = options_parse(&options, argc, argv, &table, 1), which, r;

	if (i <= 0)
		return i < 0 ? EXIT_USAGE : 0;
	which = find_action(argc - i, argv + i);
	if (which < 0) {
		log_error("domain takes list, or info and a name or domid; xenhost domain --help");
		return EXIT_USAGE;
	}
	r = connect_host(c.rundir, &c.host);
	if (r == 0)
		r = actions[which].run(&c, actions[which].takes_domain ? argv[i + 1] : NULL);
	xenhost_close(c.host);
	return r < 0 ? 1 : 0;
}
