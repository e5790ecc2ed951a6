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
#include "tools/json.h"

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

static const char *state_name(const struct xenhost_domain_info *info)
{
	static const char *const names[] = { "gone", "paused", "running", "shutdown" };

	return info->state < ARRAY_SIZE(names) ? names[info->state] : "unknown";
}

static const char *kind_name(const struct xenhost_domain_info *info)
{
	static const char *const names[] = { "control", "service", "guest" };

	return info->kind < ARRAY_SIZE(names) ? names[info->kind] : "unknown";
}

/* as Xen's public/sched.h */
static const char *reason_name(const struct xenhost_domain_info *info)
{
	static const char *const names[] = { "poweroff", "reboot",   "suspend",
					     "crash",	 "watchdog", "soft-reset" };

	if (!(info->flags & XENHOST_DOMAIN_F_ENDED))
		return "";
	return info->shutdown_reason < ARRAY_SIZE(names) ? names[info->shutdown_reason] : "unknown";
}

static void print_json(const struct xenhost_domain_info *info)
{
	printf("{\"domid\": %u, \"name\": ", info->domid);
	json_string(stdout, info->name);
	printf(", \"kind\": \"%s\", \"state\": \"%s\", \"shutdown_reason\": \"%s\", \"unique_id\": \"%016llx\", "
	       "\"memory_bytes\": %llu, \"store_port\": %u, \"console_port\": %u}",
	       kind_name(info), state_name(info), reason_name(info),
	       (unsigned long long)info->unique_id, (unsigned long long)info->memory_bytes,
	       info->store_port, info->console_port);
}

static void print_row(const struct xenhost_domain_info *info)
{
	const bool over =
		info->state == XENHOST_DOMAIN_SHUTDOWN || info->state == XENHOST_DOMAIN_GONE;
	const char *reason = over ? reason_name(info) : "";

	printf("%6u  %-24s %-8s %8llu  %s%s%s\n", info->domid, info->name, kind_name(info),
	       (unsigned long long)(info->memory_bytes >> 20), state_name(info),
	       *reason ? ": " : "", reason);
}

static void print_all(const struct xenhost_domain_info *info)
{
	printf("domid:           %u\nname:            %s\nkind:            %s\n", info->domid,
	       info->name, kind_name(info));
	printf("state:           %s\n", state_name(info));
	if (info->flags & XENHOST_DOMAIN_F_ENDED)
		printf("shutdown reason: %s\n", reason_name(info));
	printf("unique id:       %016llx\n", (unsigned long long)info->unique_id);
	if (info->kind != XENHOST_DOMAIN_GUEST || info->state == XENHOST_DOMAIN_GONE)
		return;
	printf("memory:          %llu MiB\n", (unsigned long long)(info->memory_bytes >> 20));
	printf("store port:      %u\nstore frame:     %#llx\n", info->store_port,
	       (unsigned long long)info->store_gfn);
	printf("grants:          direct: back ends hold the guest's memory and check its grants themselves\n");
}

static void on_domain(xenhost_t *host, const struct xenhost_domain_info *info, void *data)
{
	struct domain_command *c = data;

	if (info->state == XENHOST_DOMAIN_GONE)
		return;
	if (c->json) {
		printf("%s", c->printed ? ",\n " : "");
		print_json(info);
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

/* Of a domid also the guest that had it last; a name is that of a guest, which may have many domains. */
static int find(struct domain_command *c, const char *which, struct xenhost_domain_info *ret)
{
	unsigned long long domid;
	int r;

	if (options_number(which, 0, 32767, &domid) == 0)
		r = xenhost_domain_ended(c->host, (uint16_t)domid, ret);
	else
		r = xenhost_domain_by_name(c->host, which, ret);
	if (r < 0)
		log_error("there is no domain %s: %s; xenhost domain list shows those there are",
			  which, strerror(-r));
	return r;
}

/* Every change that comes, a line each, until we are ended. */
static void on_change(xenhost_t *host, const struct xenhost_domain_info *info, void *data)
{
	struct domain_command *c = data;

	if (c->json) {
		print_json(info);
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
	int r = find(c, which, &found);

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
	int r = find(c, which, &found);

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
	int r = find(c, which, &found);

	if (r < 0)
		return r;
	if (!c->json) {
		print_all(&found);
		return 0;
	}
	print_json(&found);
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
